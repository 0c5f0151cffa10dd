"""What a run trains on: one source of records or a mixture, and the facts about it that `config.json` records."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palmetto.common.errors import PalmettoError
from palmetto.corpus.records import PackedRecords
from palmetto.training.batches import Batches, RecordArray
from palmetto.training.config import TrainingConfig
from palmetto.training.mixture import Mixture


@dataclass(frozen=True)
class TrainingData:
    """Records to train on."""

    sources: tuple[RecordArray, ...]
    """Where records come from; all of one length."""

    weights: tuple[int, ...]
    """Records of each source in every block of sum(weights)."""

    sequence_length: int
    """Tokens of a record that are fed to the model; the record has one more."""

    facts: dict[str, Any]
    """What `config.json` says of the data: `tokenizer_sha256`, `corpus_hash`, and of a mixture its sources."""

    @classmethod
    def packed(cls, folders: Sequence[Path], weights: Sequence[int] = (1,)) -> "TrainingData":
        """Open the training records of packed corpora.

        Args:
            folders: `corpus/` folders.
            weights: as `TrainingData.weights`.

        Raises:
            PalmettoError: a folder is damaged, or the corpora differ in tokenizer or sequence length.
        """
        records = [PackedRecords(folder, "train") for folder in folders]
        first = records[0].manifest
        for folder, other in zip(folders, records, strict=True):
            for field in ("tokenizer_sha256", "sequence_length"):
                if other.manifest[field] != first[field]:
                    raise PalmettoError(
                        f"{folder} has {field} {other.manifest[field]} and {folders[0]} has {first[field]}; pack both "
                        "with one tokenizer and one sequence length."
                    )
        facts = {name: first[name] for name in ("tokenizer_sha256", "corpus_hash")}
        if len(records) > 1:
            hashes = [each.manifest["corpus_hash"] for each in records]
            facts["corpus_hash"] = ",".join(hashes)
            facts["mixture"] = [
                {"corpus_hash": name, "weight": weight} for name, weight in zip(hashes, weights, strict=True)
            ]
        return cls(tuple(records), tuple(weights), records[0].sequence_length, facts)

    def held(self, epochs: int = 1) -> tuple[int, RecordArray]:
        """Return the records that so many epochs hold, and the source that ends first."""
        records, first_to_end = Mixture(self.weights).end([len(source) * epochs for source in self.sources])
        return records, self.sources[first_to_end]


def open_batches(
    config: TrainingConfig,
    data: TrainingData,
    *,
    skipped: Sequence[tuple[int, int]] = (),
    vocab_size: int | None = None,
) -> Batches:
    """Return the run's batches.

    Args:
        config: the run.
        data: what it reads.
        skipped: ranges of batch indices that are left out.
        vocab_size: when given, a token id from it on is an error as it is read.

    Raises:
        PalmettoError: the recipe asks for more tokens than its epochs of the corpus hold.
    """
    needed = config.sequences()
    held, source = data.held(config.epochs)
    if needed > held:
        what = "the corpus" if len(data.sources) == 1 else f"the mixture, whose {source!r} ends first,"
        raise PalmettoError(
            f"The recipe trains on {needed:,} records of {data.sequence_length} tokens, but {what} holds "
            f"{held:,} in {config.epochs} epoch(s) (training.epochs); give more text, lower training.steps to "
            f"{held * config.steps // needed:,} or fewer, or raise training.epochs."
        )
    return Batches(
        data.sources,
        config.batch_size,
        seed=config.seed,
        weights=data.weights,
        epochs=config.epochs,
        skipped=skipped,
        vocab_size=vocab_size,
    )
