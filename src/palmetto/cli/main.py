"""Parses a command, runs it, and ends errors that the user can mend in one sentence and a non-zero exit."""

import errno
import importlib
import inspect
import os
import select
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TextIO, Union

import tyro

from palmetto.common.errors import PalmettoError
from palmetto.common.interruption import Interruption
from palmetto.common.progress import Terminal
from palmetto.pathways.heartbeat import give_signs
from palmetto.pathways.libtpu import spare_jax
from palmetto.training.environment import LARGE_PAGES, usable_cores

_EXAMPLES = """examples:
  palmetto study starter                          train, evaluate and report three models, here and now
  palmetto study starter --text my_corpus/ --out studies/mine
  palmetto study starter --dry-run                what it would do, take and cost
  palmetto study starter --minutes 30             pick sizes and tokens for a budget
  palmetto study my_study.py:study                a recipe of your own
  palmetto corpus --text my_text/ --out my_corpus text to a tokenizer and packed records
  palmetto train palm_34m --corpus my_corpus --out runs/palm_34m
  palmetto launch --processes 2 train palm_34m --corpus my_corpus --out runs/palm_34m
  palmetto plan palm_540b --topology v4:16x16x12 --pods 2 --mesh data=256,model=12 --batch 2048
  palmetto finetune runs/palm_34m --data examples.jsonl --out runs/tuned
  palmetto export runs/palm_34m exported          a folder that transformers and lm_eval load
  palmetto generate studies/starter/models/palm_5m "def "
  palmetto eval studies/starter --suite palm_29   the paper's few-shot evaluations; any lm_eval model can take them
  palmetto info                                   sizes, parameters and FLOPs of the ladder
  palmetto doctor                                 devices, threads, disk, extras, and what would be slow
"""

_COMMANDS = {
    "study": "palmetto.cli.study:Study",
    "corpus": "palmetto.cli.corpus:Corpus",
    "train": "palmetto.cli.train:Train",
    "launch": "palmetto.cli.launch:Launch",
    "finetune": "palmetto.cli.finetune:Finetune",
    "plan": "palmetto.cli.plan:Plan",
    "export": "palmetto.cli.export:Export",
    "generate": "palmetto.cli.generate:Generate",
    "eval": "palmetto.cli.eval:Eval",
    "info": "palmetto.cli.info:Info",
    "doctor": "palmetto.cli.doctor:Doctor",
}

_SECOND_WORDS = {
    "eval fetch": "palmetto.cli.eval_fetch:Fetch",
    "eval tasks": "palmetto.cli.eval_tasks:Tasks",
}


@dataclass(frozen=True)
class _NotAsked:
    """A command that is not imported because another was named: imports cost time, and JAX's the most."""


def parse(arguments: list[str]) -> Any:
    """Return the command that the words ask for.

    Of `train` the recipe is read first, because its values are the defaults of the options. The command that `launch`
    is to start is not looked into: behind `--` words are only words.
    """
    if inner := _SECOND_WORDS.get(" ".join(arguments[:2])):
        kind = _load(inner)
        about_it = inspect.getdoc(kind)
        return tyro.cli(
            kind, prog=f"palmetto {arguments[0]} {arguments[1]}", description=about_it, args=arguments[2:]
        )
    first = arguments[0] if arguments else ""
    if first == "launch" and "--" not in arguments:
        started = next(
            (place for place, word in enumerate(arguments) if place and word in _COMMANDS), len(arguments)
        )
        arguments = [*arguments[:started], "--", *arguments[started:]]
    commands = []
    for name, place in _COMMANDS.items():
        asked = name == first or first not in _COMMANDS
        command = _load(place) if asked else _NotAsked
        # The docstring whole: tyro takes a section of examples for markup and leaves it out.
        words = inspect.getdoc(command) or ""
        about: dict[str, Any] = {"description": words if name == first else words.partition("\n\n")[0]}
        if name == first == "train":
            from palmetto.cli.train import default_train

            if default := default_train(arguments):
                about["default"] = default
        commands.append(Annotated[command, tyro.conf.subcommand(name, **about)])
    choice: Any = Union[tuple(commands)]  # noqa: UP007
    return tyro.cli(choice, prog="palmetto", description=_description(), args=arguments)


def _load(place: str) -> Any:
    module, _, kind = place.partition(":")
    return getattr(importlib.import_module(module), kind)


def _before_jax(arguments: list[str]) -> None:
    """Fix what decides bits and noise; JAX reads it once, at its start."""
    if arguments[:1] != ["launch"]:  # which divides the cores among its processes
        os.environ.setdefault("NPROC", str(usable_cores()))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    spare_jax()


def _with_large_pages() -> None:
    """Start this process again with memory in large pages, if it is one that trains and the system has them.

    XLA takes the memory of a CPU step from the system anew at every step; in pages of 4 KiB the page faults are up to
    a seventh of its time (benchmarks/README.md). The C library reads the setting once, when a process starts.
    """
    pages = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not {"study", "train", "finetune"} & {*sys.argv[1:2]} or "GLIBC_TUNABLES" in os.environ:
        return
    if pages.exists() and "[never]" not in pages.read_text():
        os.environ["GLIBC_TUNABLES"] = LARGE_PAGES
        os.execv(sys.executable, sys.orig_argv)


def main(arguments: list[str] | None = None) -> None:
    """Run a command; errors that the user can mend end in one sentence and a non-zero exit."""
    if arguments is None:
        _with_large_pages()
        give_signs()
        arguments = sys.argv[1:]
    _before_jax(arguments)
    try:
        with Interruption():
            try:
                parse(arguments).run(Terminal())
            finally:
                sys.stdout.flush()
    except BrokenPipeError:
        if not _left_by_its_reader(sys.stdout):
            raise
        raise SystemExit(128 + signal.SIGPIPE) from None
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


def _left_by_its_reader(stream: TextIO) -> bool:
    """Whether a pipe's reader is gone, as `head` is when it has its lines; then nothing more is written to it."""
    poll = select.poll()
    poll.register(stream, 0)
    gone = any(event & select.POLLERR for _, event in poll.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return gone


def _description() -> str:
    return "Train a family of PaLM models on your text and study what scale bought.\n\n" + _EXAMPLES
