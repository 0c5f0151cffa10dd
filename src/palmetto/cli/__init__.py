"""The command line: one file a command, each a frozen dataclass of options with a `run` method.

`main` parses, sets what must be set before JAX starts, and turns errors into one sentence and an exit code. The work
is in the rooms; nothing imports this one.
"""
