"""The command line: `palmetto study · generate · info · doctor`.

It parses, sets what must be set before JAX starts, and turns errors into one sentence and an exit code. The work is
in the rooms.
"""

import errno
import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Silent, Terminal

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


@dataclass(frozen=True)
class Study:
    """Run a study: corpus, tokenizer, family, evaluations, analyses, report. Run it again to go on or to look."""

    recipe: tyro.conf.Positional[str]
    """A recipe's name (starter), or a file and function of your own: my_study.py:study."""

    out: Path | None = None
    """The study's folder; studies/<recipe> unless given."""

    text: tuple[str, ...] = ()
    """Files or folders of your own text, instead of the interpreter's standard library."""

    seed: int | None = None
    """Seed of everything that is drawn."""

    minutes: float | None = None
    """Choose sizes and tokens so that the study takes about this long on this machine."""

    flops: float | None = None
    """Choose sizes and tokens so that training takes this many model FLOPs."""

    redo: str | None = None
    """Move this stage, and all that follow from it, aside and make them again."""

    dry_run: bool = False
    """Print stages, tokens, estimated time, memory and disk; do nothing."""


@dataclass(frozen=True)
class Generate:
    """Continue a prompt with a trained model."""

    model: tyro.conf.Positional[Path]
    """A model's folder, such as studies/starter/models/palm_5m."""

    prompt: tyro.conf.Positional[str]
    """Text to continue; may be empty."""

    samples: int = 3
    """Continuations to print."""

    max_new_tokens: int = 64
    """Upper bound of new tokens in each."""

    temperature: float = 0.8
    """Divides the logits; 0 is greedy decoding."""

    top_k: int = 40
    """Keep this many most probable tokens; 0 keeps all."""

    top_p: float = 1.0
    """Keep the smallest set of tokens whose probability reaches this."""

    seed: int = 0
    """Seed of the draws."""


@dataclass(frozen=True)
class Info:
    """Print sizes, parameter counts and FLOPs: of the ladder, of one recipe, or of a trained model's folder."""

    model: tyro.conf.Positional[str] = ""
    """A recipe's name, a model's folder or a study's folder; nothing prints the ladder."""


@dataclass(frozen=True)
class Doctor:
    """Say what devices, extras, threads and disk there are, and what would be slow."""

    folder: tyro.conf.Positional[Path] = field(default_factory=Path.cwd)
    """Where studies would be written."""


Command = (
    Annotated[Study, tyro.conf.subcommand("study")]
    | Annotated[Generate, tyro.conf.subcommand("generate")]
    | Annotated[Info, tyro.conf.subcommand("info")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)


def _before_jax() -> None:
    """Fix what decides bits and noise; JAX reads it once, at its start."""
    from palmetto.study.hardware import usable_cores

    os.environ.setdefault("NPROC", str(usable_cores()))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _study(command: Study, terminal: Terminal) -> None:
    from palmetto.recipes.config import with_seed
    from palmetto.recipes.studies import study_recipe

    config = study_recipe(command.recipe)
    if command.text:
        texts = tuple(str(Path(path).resolve()) for path in command.text)
        config = replace(config, corpus=replace(config.corpus, text=texts))
    if command.seed is not None:
        config = with_seed(config, command.seed)
    if command.minutes is not None and command.flops is not None:
        raise PalmettoError("--minutes and --flops are two ways to say the same; give one.")
    if command.minutes is not None or command.flops is not None:
        from palmetto.study.budget import within_flops, within_minutes

        if command.minutes is not None:
            config = within_minutes(config, command.minutes, terminal)
        elif command.flops is not None:
            config = within_flops(config, command.flops)
    study = command.out or Path("studies") / config.name
    if command.dry_run:
        from palmetto.study.plan import print_plan

        print_plan(config, study, terminal)
        return
    from palmetto.study.run import StudyRun

    try:
        page = StudyRun(config, study, terminal).run(command.redo)
    except KeyboardInterrupt:
        print(f"\nStopped. Run the same command again to go on: {_again()}", file=sys.stderr)
        raise SystemExit(130) from None
    print(f"The report is {page}")


def _again() -> str:
    import shlex

    # What was moved aside stays aside; asked again, --redo would throw the progress away.
    words = [word for word in sys.argv[1:] if not word.startswith("--redo=")]
    if "--redo" in words:
        place = words.index("--redo")
        words = words[:place] + words[place + 2 :]
    return shlex.join(["palmetto", *words])


def _generate(command: Generate, terminal: Terminal) -> None:
    from palmetto.evaluation.harness import load_model
    from palmetto.inference.types import Sampling

    if command.samples < 1 or command.max_new_tokens < 1:
        raise PalmettoError("--samples and --max-new-tokens must be at least 1.")
    engine, tokenizer = load_model(command.model)
    prompt = [tokenizer.eod_id, *tokenizer.encode(command.prompt)]
    sampling = Sampling(
        command.max_new_tokens, command.temperature, command.top_k, command.top_p, command.seed
    )
    for number, tokens in enumerate(engine.generate([prompt] * command.samples, sampling, Silent()), start=1):
        terminal.say(f"--- sample {number} (seed {command.seed})")
        print(command.prompt + tokenizer.decode(tokens), flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Run a command; errors that the user can mend end in one sentence and a non-zero exit."""
    command: Any = tyro.cli(Command, prog="palmetto", description=_description(), args=arguments)
    _before_jax()
    terminal = Terminal()
    try:
        match command:
            case Study():
                _study(command, terminal)
            case Generate():
                _generate(command, terminal)
            case Info():
                from palmetto.study.info import print_info

                print_info(command.model)
            case Doctor():
                from palmetto.study.doctor import print_doctor

                print_doctor(command.folder)
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


if __name__ == "__main__":
    main()
