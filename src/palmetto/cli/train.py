"""`palmetto train`: one model, on corpora already packed."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import tyro

from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Terminal
from palmetto.pathways.islands import IslandsConfig
from palmetto.recipes.training import RUNS, RunConfig, run_recipe
from palmetto.training.config import TrainingConfig


@dataclass(frozen=True)
class Train:
    """Train one model on packed corpora, or go on where it stopped: run the same command again.

    Examples:
      palmetto corpus --text my_text/ --vocab-size 8192 --sequence-length 2048 --out my_corpus
      palmetto train palm_34m --corpus my_corpus --out runs/palm_34m
      palmetto train palm_34m --corpus books=13 web=27 --out runs/mixed --train.steps 5000
      palmetto train palm_34m --corpus fresh=3 old=1 --base runs/palm_34m --out runs/longer
      palmetto train my_run.py:run --corpus my_corpus --out runs/mine
      palmetto train palm_34m --corpus my_corpus --out runs/two --controller ray --islands.number 2

    Exit codes: 0 done; 2 something to mend; 75 stopped by SIGTERM after saving; 130 stopped by Ctrl-C.
    """

    recipe: tyro.conf.Positional[str]
    """A model of the ladder, whose run it is, or a file and function of your own that returns a RunConfig."""

    out: Path
    """The model's folder."""

    corpus: tuple[str, ...]
    """Packed corpora, DIR or DIR=WEIGHT each: WEIGHT records of it in every block of all weights' sum."""

    train: TrainingConfig
    """The run; the defaults shown are the recipe's."""

    base: Path | None = None
    """Go on from this trained model, with the corpora and schedules given here (appendix F)."""

    profile: bool = False
    """Write a trace of three steps to OUT/profile, for TensorBoard or Perfetto."""

    controller: Literal["none", "ray"] = "none"
    """`ray`: this process only controls, and pods make the steps as islands that may come and go (docs/pathways.md)."""

    islands: IslandsConfig = IslandsConfig()
    """The islands of `--controller ray`."""

    def run(self, terminal: Terminal) -> None:
        """Train, and print where the model stands."""
        from palmetto.pathways.joining import join
        from palmetto.study.single import train_single

        if not self.corpus:
            raise PalmettoError("--corpus: name at least one packed corpus.")
        run = RunConfig(run_recipe(self.recipe).model, self.train)
        more: dict[str, Any] = {}
        with ExitStack() as held:
            if self.controller == "ray":
                from palmetto.pathways.controller import IslandsEngine
                from palmetto.pathways.gang import connected

                # Accelerators are the islands'; an island may be on this machine.
                jax.config.update("jax_platforms", "cpu")
                held.enter_context(connected(self.islands, terminal.say))
                more = {
                    "engine": lambda model: IslandsEngine(
                        model, self.train, self.islands, self.out, terminal
                    ),
                    "facts": self.islands.facts(),
                }
            else:
                join(terminal.say)
            summary = train_single(
                run, self.corpus, self.out, terminal, base=self.base, profile=self.profile, **more
            )
        print(
            f"{self.out}: loss {summary['final_loss']:.4f}, {summary['heldout']['bits_per_byte']:.4f} bits per byte on "
            f"held-out text, {summary['tokens']:,} tokens"
        )


def default_train(arguments: list[str]) -> Train | None:
    """Return the defaults of `train RECIPE ...`, so that its options show and start from the recipe's values."""
    if len(arguments) < 2 or arguments[0] != "train" or arguments[1].startswith("-"):
        return None
    name = arguments[1]
    if name in RUNS or name.partition(":")[0].endswith(".py"):
        return Train(recipe=name, out=tyro.MISSING, corpus=tyro.MISSING, train=run_recipe(name).training)
    return None
