"""`palmetto finetune`: tune a trained model on prompts and targets, or on more text."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Terminal
from palmetto.recipes.finetuning import FinetuningConfig


@dataclass(frozen=True)
class Finetune:
    """Tune a trained model as the paper does, or go on where it stopped: run the same command again.

    Examples:
      palmetto finetune studies/starter/models/palm_5m --data train.jsonl --out runs/tuned --learning-rate 1e-2
      palmetto finetune BASE --data train.jsonl --validation devel.jsonl --epochs 5 --dropout 0.1 --out runs/tuned
      palmetto corpus --text my_code/ --tokenizer studies/starter/tokenizer --out code
      palmetto finetune BASE --corpus code=6 prose=1 --steps 2000 --out runs/coder

    A line of --data is {"prompt": "2 + 2 =", "target": " 4"}. The loss counts on targets alone; on a corpus, on all
    tokens. The tuned model is a folder that palmetto generate, palmetto export and lm_eval take.

    Exit codes: 0 done; 2 something to mend; 75 stopped by SIGTERM after saving; 130 stopped by Ctrl-C.
    """

    base: tyro.conf.Positional[Path]
    """A trained model's folder, such as studies/starter/models/palm_5m; its newest checkpoint is tuned."""

    out: Path
    """The tuned model's folder."""

    data: tuple[Path, ...] = ()
    """Files of training examples, JSON lines."""

    validation: tuple[Path, ...] = ()
    """Files of validation examples; without, a share of --data is held out."""

    validation_fraction: float = 0.05
    """Share of the prompts of --data that is held out where there is no --validation."""

    prompt_field: str = "prompt"
    """Field of a line that holds the prompt."""

    target_field: str = "target"
    """Field of a line that holds the target."""

    corpus: tuple[str, ...] = ()
    """Instead of --data: packed corpora, DIR or DIR=WEIGHT each, made with the base's tokenizer."""

    sequence_length: int | None = None
    """Tokens the tuned model takes at once; the base's unless given."""

    settings: Annotated[FinetuningConfig, tyro.conf.arg(name="")] = FinetuningConfig()
    """The run."""

    def run(self, terminal: Terminal) -> None:
        """Tune, and print where the model stands."""
        from palmetto.study.finetuning import ExampleFiles, finetune

        if bool(self.data) == bool(self.corpus):
            raise PalmettoError(
                "Give either --data (files of prompts and targets) or --corpus (packed text)."
            )
        if self.corpus and self.validation:
            raise PalmettoError("--validation is for --data; of a --corpus the held-out text is validation.")
        if self.sequence_length is not None and self.sequence_length < 1:
            raise PalmettoError(f"--sequence-length is {self.sequence_length}; it must be at least 1.")
        source = self.corpus or ExampleFiles(
            self.data, self.validation, self.validation_fraction, self.prompt_field, self.target_field
        )
        summary = finetune(
            self.base, source, self.out, self.settings, terminal, sequence_length=self.sequence_length
        )
        print(
            f"The tuned model is {self.out}: loss {summary['final_loss']:.4f} after {summary['steps']:,} steps"
        )
