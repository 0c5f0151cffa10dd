"""The type checker of the test run, for jaxtyping's import hook: beartype with PEP 484's numeric tower.

The tower lets an int stand where a float is annotated, as every static type checker does.
"""

from beartype import BeartypeConf, beartype

typecheck = beartype(conf=BeartypeConf(is_pep484_tower=True))
