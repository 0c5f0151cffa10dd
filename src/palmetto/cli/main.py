"""Parses a command, runs it, and ends errors that the user can mend in one sentence and a non-zero exit."""

import errno
import os
import sys
from typing import Annotated, Any

import tyro

from palmetto.cli.doctor import Doctor
from palmetto.cli.generate import Generate
from palmetto.cli.info import Info
from palmetto.cli.study import Study
from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Terminal

_EXAMPLES = """examples:
  palmetto study starter                          train, evaluate and report three models, here and now
  palmetto study starter --text my_corpus/ --out studies/mine
  palmetto study starter --dry-run                what it would do, take and cost
  palmetto study starter --minutes 30             pick sizes and tokens for a budget
  palmetto study my_study.py:study                a recipe of your own
  palmetto generate studies/starter/models/palm_5m "def "
  palmetto info                                   sizes, parameters and FLOPs of the ladder
  palmetto doctor                                 devices, threads, disk, extras, and what would be slow
"""

Command = (
    Annotated[Study, tyro.conf.subcommand("study")]
    | Annotated[Generate, tyro.conf.subcommand("generate")]
    | Annotated[Info, tyro.conf.subcommand("info")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)


def _before_jax() -> None:
    """Fix what decides bits and noise; JAX reads it once, at its start."""
    from palmetto.training.environment import usable_cores

    os.environ.setdefault("NPROC", str(usable_cores()))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def main(arguments: list[str] | None = None) -> None:
    """Run a command; errors that the user can mend end in one sentence and a non-zero exit."""
    command: Any = tyro.cli(Command, prog="palmetto", description=_description(), args=arguments)
    _before_jax()
    try:
        command.run(Terminal())
    except PalmettoError as error:
        print(f"palmetto: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        raise SystemExit(130) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EFBIG):
            raise
        where = f" while writing {error.filename}" if error.filename else ""
        print(
            f"palmetto: {error.strerror}{where}. Nothing already made is lost; make room or mend the permissions, "
            "then run the same command again.",
            file=sys.stderr,
        )
        raise SystemExit(4) from None


def _description() -> str:
    return "Train a family of PaLM models on your text and study what scale bought.\n\n" + _EXAMPLES
