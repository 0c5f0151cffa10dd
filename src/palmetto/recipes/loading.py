"""Finds a recipe by name, or in a user's own Python file."""

import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from palmetto.common.errors import PalmettoError

T = TypeVar("T")


def load_recipe(
    name: str, known: Mapping[str, Callable[[], T]], kind: type[T], what: str, *, default: str
) -> T:
    """Return the config of a known recipe, or of `file.py:function`.

    Args:
        name: the recipe's name, or the file and its function.
        known: recipes by name.
        kind: the config a recipe returns.
        what: what it is a recipe of, in words.
        default: the function looked for in a file that is named without one.

    Raises:
        PalmettoError: there is no such recipe, file or function, or it gives something else.
    """
    if ":" not in name and not name.endswith(".py"):
        if name not in known:
            raise PalmettoError(
                f"There is no {what} recipe {name!r}; there is {', '.join(known)}, or name a file of your own as "
                f"my_{default}.py:function."
            )
        return known[name]()
    file, _, function = name.rpartition(":") if ":" in name else (name, "", default)
    path = Path(file)
    if not path.is_file():
        raise PalmettoError(f"The recipe file {path} does not exist; name it as path/to/file.py:function.")
    spec = importlib.util.spec_from_file_location(f"palmetto_recipe_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise PalmettoError(f"{path} is not a Python file; a recipe file ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except PalmettoError:
        raise
    except Exception as error:
        raise PalmettoError(f"The recipe file {path} fails: {type(error).__name__}: {error}") from error
    recipe = vars(module).get(function)
    if not callable(recipe):
        raise PalmettoError(
            f"{path} has no function {function!r}; define `def {function}() -> {kind.__name__}`."
        )
    try:
        config = recipe()
    except PalmettoError:
        raise
    except Exception as error:
        raise PalmettoError(f"{path}:{function} fails: {type(error).__name__}: {error}") from error
    if not isinstance(config, kind):
        raise PalmettoError(
            f"{path}:{function} returns {type(config).__name__}; it must return a {kind.__name__}."
        )
    return config
