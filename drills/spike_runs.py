"""The small runs behind the spike drills and `docs/spikes.md`: real text, tiny models, with and without the remedy.

The text is the interpreter's own standard library, through Palmetto's own corpus and tokenizer stages.
"""

import math
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json, read_json_lines
from palmetto.common.progress import Reporter, Silent
from palmetto.corpus.config import CorpusConfig
from palmetto.corpus.documents import read_documents
from palmetto.corpus.pack import pack_corpus
from palmetto.corpus.prepare import prepare_documents
from palmetto.model.config import ModelConfig
from palmetto.recipes.models import palm_160k, palm_800k
from palmetto.recipes.studies import scaled_training
from palmetto.sharding import make_mesh
from palmetto.tokenizer.config import TokenizerConfig
from palmetto.tokenizer.tokenizer import Tokenizer
from palmetto.tokenizer.train import train_tokenizer
from palmetto.training.batches import RecordArray
from palmetto.training.checkpoints import restore_state
from palmetto.training.config import TrainingConfig
from palmetto.training.data import TrainingData, open_batches
from palmetto.training.heldout import HeldoutText
from palmetto.training.loop import train
from palmetto.training.optimizer import OptimizerConfig
from palmetto.training.schedules import BatchSize, LearningRate
from palmetto.training.spikes import SpikeConfig
from palmetto.training.state import abstract_state, initial_state, make_train_step

PACKAGES = (
    "asyncio", "concurrent", "ctypes", "dbm", "email", "html", "http", "idlelib", "importlib", "json", "logging",
    "multiprocessing", "sqlite3", "tkinter", "unittest", "urllib", "wsgiref", "xml", "xmlrpc",
)  # fmt: skip
VOCABULARY, LENGTH = 1024, 128
# 0.15 and 0.09 million parameters.
PLANTED_MODEL = ModelConfig("spike_planted", 2, 64, 2, 32, VOCABULARY, LENGTH)
CALM_MODELS = tuple(
    replace(recipe(), vocab_size=VOCABULARY, sequence_length=LENGTH) for recipe in (palm_160k, palm_800k)
)
UNSTABLE_MODEL = ModelConfig("spike_unstable", 4, 32, 2, 16, VOCABULARY, LENGTH)
# The loss of a guess without any knowledge.
UNIFORM = math.log(VOCABULARY)
HELDOUT_TOKENS = 8_192
EVERY = 10
SEEDS = (0, 1, 2)
# Batches that are replaced, of a run of so many steps.
PLANTED, PLANTED_STEPS = range(110, 130), 200
PLANT_KINDS = ("random", "constant")
UNSTABLE_STEPS, UNSTABLE_PEAK, CALM_PEAK = 360, 0.23, 0.1
# Updates that an ablation's checkpoint lies before the one a rewind takes.
EARLIER = (20, 50)


def training(steps: int, optimizer: OptimizerConfig, *, sequences: int = 8, **fields: Any) -> TrainingConfig:
    """A run whose remedy has the paper's constants divided by about five, as its checkpoints are that much denser."""
    remedy = SpikeConfig(rewind=20, skip=80, window=50, max_rewinds=8)
    common = {"checkpoint_every": EVERY, "evaluate_every": EVERY, "spikes": remedy}
    common["batch_size"] = BatchSize((sequences,))
    return TrainingConfig(**{"steps": steps, "optimizer": optimizer, **common, **fields})


@dataclass(frozen=True)
class Substituted:
    """Records of which some are replaced."""

    records: RecordArray
    planted: dict[int, np.ndarray]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.planted.get(index, self.records[index])


@dataclass(frozen=True)
class Run:
    """A finished run, or one that gave up."""

    folder: Path

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The steps that stayed."""
        return list(read_json_lines(self.folder / "metrics.jsonl"))

    @property
    def losses(self) -> np.ndarray:
        """Training loss by step, from 1."""
        return np.array([float(row["loss"]) for row in self.rows])

    @property
    def heldout(self) -> dict[int, float]:
        """Held-out loss in nats a token, by step."""
        return {row["step"]: float(row["heldout"]) for row in self.rows if "heldout" in row}

    @property
    def end(self) -> float:
        """Held-out loss after the last update; infinite for a run that gave up before it."""
        whole = len(self.rows) == read_json(self.folder / "config.json")["training"]["steps"]
        return self.heldout[len(self.rows)] if whole else math.inf

    @property
    def rewinds(self) -> list[dict[str, Any]]:
        """Entries of `skipped_batches.json`."""
        return read_json(self.folder / "skipped_batches.json")


class Text:
    """The corpus in a folder, and the runs on it."""

    def __init__(self, folder: Path, reporter: Reporter | None = None) -> None:
        self.folder, self.reporter = folder, reporter or Silent()
        if not (folder / "corpus" / "manifest.json").exists():
            self._make()
        self.data = TrainingData.packed([folder / "corpus"])
        self.eod = Tokenizer.load(folder / "tokenizer").eod_id

    def _make(self) -> None:
        library, silent = Path(sysconfig.get_paths()["stdlib"]), Silent()
        documents, tokenizer, corpus = (self.folder / name for name in ("documents", "tokenizer", "corpus"))
        for folder in (documents, tokenizer, corpus):
            folder.mkdir(parents=True)
        prepare_documents(
            CorpusConfig(text=tuple(str(library / name) for name in PACKAGES)), documents, silent
        )
        texts = (document.text for document in read_documents(documents / "train.jsonl.gz"))
        config = TokenizerConfig(vocab_size=VOCABULARY, max_training_bytes=500_000)
        train_tokenizer(texts, config, tokenizer, silent)
        pack_corpus(documents, Tokenizer.load(tokenizer), LENGTH, corpus, silent)

    def run(
        self, name: str, model: ModelConfig, config: TrainingConfig, data: TrainingData | None = None
    ) -> Run:
        """Train into `<folder>/runs/<name>`; a run that is there and whole is taken as it is, one that gives up as far
        as it came."""
        heldout = HeldoutText(self.folder / "corpus", self.eod, HELDOUT_TOKENS)

        def look(parameters: Any) -> dict[str, Any]:
            losses = heldout.measure(parameters, model)
            return {"heldout": float(losses.nats.sum() / losses.tokens)}

        out = self.folder / "runs" / name
        try:
            train(model, config, data or self.data, out, look, self.reporter)
        except PalmettoError as error:
            # A control whose loss is not finite, or more spikes than rewinds, is a result; anything else is not.
            if not any(words in str(error) for words in ("are not finite", "begins loss spike number")):
                raise
            print(f"{name} ended early: {error}")
        return Run(out)

    def plant(self, config: TrainingConfig, batches: range, records: np.ndarray) -> TrainingData:
        """Replace the records that a run of `config` reads in `batches` by those given, in a circle."""
        order = open_batches(config, self.data)
        ids = np.concatenate([order.record_ids(index)[:, 1] for index in batches]).tolist()
        planted = {record: records[place % len(records)] for place, record in enumerate(ids)}
        facts = {**self.data.facts, "corpus_hash": f"planted in {batches}"}
        return replace(self.data, sources=(Substituted(self.data.sources[0], planted),), facts=facts)

    def losses_from(
        self, run: Run | None, step: int, model: ModelConfig, config: TrainingConfig, batches: Sequence[int]
    ) -> np.ndarray:
        """Take a run's checkpoint (None: fresh weights) and return its training losses on `batches`, one after
        the other; nothing is written."""
        mesh = make_mesh(config.mesh)
        train_step = make_train_step(model, config.optimizer, mesh, config.execution)
        if run is None:
            state = initial_state(model, config.optimizer, mesh, config.seed)
        else:
            state = restore_state(run.folder / "checkpoints", step, abstract_state(model, mesh))
        order, losses = open_batches(config, self.data), []
        for index in batches:
            state, metrics = train_step(state, order[index])
            losses.append(float(metrics.loss))
        return np.array(losses)


def starter_like(peak: float = 0.1) -> OptimizerConfig:
    """The starter's optimizer: the paper's, with ten times its peak."""
    return OptimizerConfig(learning_rate=LearningRate(peak=peak, plateau_steps=30))


def unstable(peak: float) -> OptimizerConfig:
    """No clipping, and a second moment that remembers at step 300 as much as the paper's at 44,000: what a long run
    meets late, a short one meets early. After half of the run the learning rate falls as the paper's does."""
    return OptimizerConfig(
        learning_rate=LearningRate(peak=peak, plateau_steps=UNSTABLE_STEPS // 2),
        beta1=0.5,
        beta2_exponent=1.5,
        weight_decay_exponent=3.0,
        clip_global_norm=1e9,
        clip_update_rms=1e9,
    )


def planted_config(seed: int) -> TrainingConfig:
    """The run that harmful batches are planted into."""
    return training(PLANTED_STEPS, starter_like(), seed=seed)


def without_remedy(config: TrainingConfig) -> TrainingConfig:
    """The control."""
    return replace(config, spikes=replace(config.spikes, enabled=False))


def planted_runs(text: Text) -> dict[tuple[str, str, int], Run]:
    """Return the runs by (what was planted, "with" or "without" the remedy, seed); "clean" has nothing planted.

    `random` tokens teach the model that any token may follow any other; a `constant` one that only itself does: then
    the loss falls where the harm is done, and the gradient norm has to tell.
    """
    rng = np.random.default_rng(0)
    records = {
        "random": rng.integers(0, VOCABULARY, (len(PLANTED) * 8, LENGTH + 1)).astype(np.uint16),
        "constant": np.full((1, LENGTH + 1), 300, np.uint16),
    }
    runs = {}
    for seed in SEEDS:
        config = planted_config(seed)
        runs["clean", "with", seed] = text.run(f"clean-{seed}", PLANTED_MODEL, config)
        for kind in PLANT_KINDS:
            data = text.plant(config, PLANTED, records[kind])
            for remedy, each in (("with", config), ("without", without_remedy(config))):
                name = f"{kind}-{remedy}-{seed}"
                runs[kind, remedy, seed] = text.run(name, PLANTED_MODEL, each, data)
    return runs


@dataclass(frozen=True)
class Excess:
    """Held-out loss above the clean run of the same seed, nats a token, by seed."""

    window: dict[int, float]
    """Mean over the evaluations from the plant on, until 50 steps after its last batch."""

    end: dict[int, float]
    """At the last step."""


def excess(runs: dict[tuple[str, str, int], Run], kind: str, remedy: str) -> Excess:
    """Compare runs with the clean ones."""
    window, end = {}, {}
    for seed in SEEDS:
        clean, run = runs["clean", "with", seed].heldout, runs[kind, remedy, seed].heldout
        steps = [step for step in clean if PLANTED.start < step <= PLANTED.stop + 50]
        window[seed] = float(np.mean([run[step] - clean[step] for step in steps]))
        end[seed] = run[PLANTED_STEPS] - clean[PLANTED_STEPS]
    return Excess(window, end)


def unstable_config(seed: int, peak: float = UNSTABLE_PEAK) -> TrainingConfig:
    """The run whose learning rate is raised; it goes further back than the planted ones, as trouble begins before
    the loss shows it."""
    remedy = SpikeConfig(rewind=50, skip=120, window=50)
    return training(UNSTABLE_STEPS, unstable(peak), sequences=4, seed=seed, spikes=remedy)


def unstable_runs(text: Text) -> dict[tuple[str, int], Run]:
    """Return the runs by ("calm", "with" or "without", seed); the calm ones have the lower learning rate."""
    runs = {}
    for seed in SEEDS:
        config, calm = unstable_config(seed), unstable_config(seed, CALM_PEAK)
        # The ablation wants all checkpoints of these two.
        all_kept = {"keep_checkpoints": UNSTABLE_STEPS}
        runs["calm", seed] = text.run(f"calm-{seed}", UNSTABLE_MODEL, replace(calm, **all_kept))
        control = replace(without_remedy(config), **all_kept)
        runs["without", seed] = text.run(f"unstable-without-{seed}", UNSTABLE_MODEL, control)
        runs["with", seed] = text.run(f"unstable-with-{seed}", UNSTABLE_MODEL, config)
    return runs


def spikes_over(losses: np.ndarray, level: float, patience: int = 3) -> bool:
    """Whether so many losses in a row lie above a level."""
    high = np.concatenate([[False], losses > level, [False]])
    edges = np.flatnonzero(np.diff(high.astype(int)))
    return bool(np.any(edges[1::2] - edges[::2] >= patience))


@dataclass(frozen=True)
class Replay:
    """The batches around a spike, trained on from some checkpoint."""

    seed: int
    """Of the run that spiked on them."""

    kind: Literal["own", "earlier", "other seed", "calm", "calm, raised"]
    """Whose checkpoint was taken: the one the run itself came through; an earlier one of it; that of equal number of
    another seed's raised run; or of the calm run of its seed, going on calmly or with the learning rate raised."""

    checkpoint: str
    """Run and step, in words."""

    losses: np.ndarray
    """Training losses, one a batch."""

    same: bool
    """Whether the losses are, to the bit, those that the run had logged."""

    spiked: bool
    """Whether three losses in a row lie above the uniform guess."""


def ablation(text: Text, runs: dict[tuple[str, int], Run]) -> list[Replay]:
    """Section 5.1: train on the batches around the first spike of each run from its own checkpoint and from others."""
    found = []
    for seed in SEEDS:
        run, config = runs["without", seed], unstable_config(seed)
        if not runs["with", seed].rewinds:
            continue  # On this machine's rounding this seed has no spike to take apart.
        entry = runs["with", seed].rewinds[0]
        step = entry["to_step"]
        batches = range(entry["first_batch"], entry["spike"]["first_batch"] + 10)
        places = [("own", "without", seed, step)]
        places += [("earlier", "without", seed, max(EVERY, step - before)) for before in EARLIER]
        places += [("other seed", "without", other, step) for other in SEEDS if other != seed]
        places += [("calm", "calm", seed, step), ("calm, raised", "calm", seed, step)]
        for kind, name, other, at in places:
            each = unstable_config(seed, CALM_PEAK) if kind == "calm" else config
            losses = text.losses_from(runs[name, other], at, UNSTABLE_MODEL, each, batches)
            same = np.array_equal(losses, run.losses[batches.start : batches.stop])
            words = f"{'calm' if name == 'calm' else 'raised'} run of seed {other}, step {at}"
            found.append(Replay(seed, kind, words, losses, same, spikes_over(losses, UNIFORM)))
    return found


def starter_training(seed: int) -> TrainingConfig:
    """The starter's own training, batch-size switches and remedy's constants included."""
    return replace(scaled_training(steps=332, sequences=8), seed=seed)
