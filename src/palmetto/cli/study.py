"""`palmetto study`: the whole, from text to report."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from palmetto.common.errors import PalmettoError
from palmetto.common.interruption import Interruption
from palmetto.common.progress import Terminal


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

    def run(self, terminal: Terminal) -> None:
        """Run the study, or print what it would do."""
        from palmetto.recipes.config import with_seed
        from palmetto.recipes.studies import study_recipe

        config = study_recipe(self.recipe)
        if self.text:
            texts = tuple(str(Path(path).resolve()) for path in self.text)
            config = replace(config, corpus=replace(config.corpus, text=texts))
        if self.seed is not None:
            config = with_seed(config, self.seed)
        if self.minutes is not None and self.flops is not None:
            raise PalmettoError("--minutes and --flops are two ways to say the same; give one.")
        if self.minutes is not None or self.flops is not None:
            from palmetto.study.budget import within_flops, within_minutes

            if self.minutes is not None:
                config = within_minutes(config, self.minutes, terminal)
            elif self.flops is not None:
                config = within_flops(config, self.flops)
        study = self.out or Path("studies") / config.name
        if self.dry_run:
            from palmetto.study.plan import print_plan

            print_plan(config, study, terminal)
            return
        from palmetto.study.run import StudyRun

        try:
            with Interruption():
                page = StudyRun(config, study, terminal).run(self.redo)
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
