"""What each stage of a study does. Read top to bottom: this is the way through the house."""

import math
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from palmetto.common.files import as_json, read_json, write_json
from palmetto.common.progress import Reporter
from palmetto.model.config import ModelConfig
from palmetto.model.spec import Parameters
from palmetto.recipes.config import StudyConfig
from palmetto.study.hardware import describe_hardware, describe_versions, peak_memory_bytes
from palmetto.study.sources import fingerprint
from palmetto.study.stages import Ledger, Stage, locked, move_aside, run_stage
from palmetto.training.environment import environment


def flatten(prefix: str, value: Any) -> dict[str, Any]:
    """Return a config as JSON values by dotted name, so that a difference can be named."""
    value = as_json(value)
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for name, part in value.items():
        flat |= flatten(f"{prefix}.{name}" if prefix else name, part)
    return flat


class StudyRun:
    """A study in one folder."""

    def __init__(self, config: StudyConfig, study: Path, reporter: Reporter) -> None:
        self.config, self.study, self.reporter = config, study, reporter

    # What several stages read, opened once.

    @cached_property
    def tokenizer(self) -> Any:
        """The study's tokenizer."""
        from palmetto.tokenizer.tokenizer import Tokenizer

        return Tokenizer.load(self.study / "tokenizer")

    @cached_property
    def tasks(self) -> Any:
        """The made tasks, loaded by lm_eval."""
        from palmetto.evaluation.loading import load_tasks

        return load_tasks(self.study / "tasks")

    @cached_property
    def task_names(self) -> list[str]:
        """Names of the made tasks."""
        return list(read_json(self.study / "tasks" / "manifest.json")["tasks"])

    @cached_property
    def data(self) -> Any:
        """The packed training records."""
        from palmetto.training.data import TrainingData

        return TrainingData.packed([self.study / "corpus"])

    @cached_property
    def consumed(self) -> list[np.ndarray]:
        """Ids of the records that each size read, in reading order: equal, but for a size that left batches out."""
        from palmetto.training.data import open_batches
        from palmetto.training.rewinds import Rewinds

        training, read = self.config.training, []
        for model in self.config.models:
            skipped = Rewinds(self.study / "models" / model.name).ranges()
            # A study has one source, so the record says it all.
            read.append(open_batches(training, self.data, skipped=skipped).consumed(training.steps)[:, 1])
        return read

    @cached_property
    def spans(self) -> Any:
        """The spans asked of every size for memorisation."""
        from palmetto.analysis.spans import choose_spans
        from palmetto.corpus.records import PackedRecords

        corpus = self.study / "corpus"
        # Every size is asked of what all of them read.
        first, *others = self.consumed
        shared = first[np.all([np.isin(first, other) for other in others], axis=0)] if others else first
        train = PackedRecords(corpus, "train").array[shared]
        heldout = PackedRecords(corpus, "heldout").array
        return choose_spans(train, heldout, self.config.memorisation, self.reporter)

    # The stages.

    def documents(self, out: Path) -> dict[str, Any]:
        """Read, normalise, de-duplicate and split the text."""
        from palmetto.corpus.prepare import prepare_documents

        return prepare_documents(self.config.corpus, out, self.reporter)

    def train_tokenizer(self, out: Path) -> dict[str, Any]:
        """Train the vocabulary on the training documents alone."""
        from palmetto.corpus.documents import read_documents
        from palmetto.tokenizer.train import train_tokenizer

        texts = (document.text for document in read_documents(self.study / "documents" / "train.jsonl.gz"))
        return train_tokenizer(texts, self.config.tokenizer, out, self.reporter)

    def corpus(self, out: Path) -> dict[str, Any]:
        """Pack both splits into records; too little text for the training is told here, before any training."""
        from palmetto.corpus.pack import pack_corpus
        from palmetto.training.data import TrainingData, open_batches

        length, seed = self.config.sequence_length, self.config.corpus.seed
        manifest = pack_corpus(
            self.study / "documents", self.tokenizer, length, out, self.reporter, seed=seed
        )
        open_batches(self.config.training, TrainingData.packed([out]))
        return manifest

    def make_tasks(self, out: Path) -> dict[str, Any]:
        """Make few-shot tasks from the held-out documents."""
        from palmetto.corpus.documents import read_documents
        from palmetto.evaluation.made_tasks import make_tasks

        heldout = read_documents(self.study / "documents" / "heldout.jsonl.gz")
        tokenizer = self.tokenizer
        return make_tasks(
            heldout,
            self.config.tasks,
            self.config.sequence_length,
            lambda text: len(tokenizer.encode(text)),
            out,
            self.reporter,
        )

    def train(self, model: ModelConfig) -> Callable[[Path], dict[str, Any]]:
        """Train one size, looking at held-out text and a few tasks on the way."""

        def run(out: Path) -> dict[str, Any]:
            from palmetto.evaluation.in_loop import InLoopFewShot
            from palmetto.inference.engine import Engine
            from palmetto.training.heldout import HeldoutText
            from palmetto.training.loop import train

            training, in_loop = self.config.training, self.config.in_loop
            corpus, eod = self.study / "corpus", self.tokenizer.eod_id
            heldout = HeldoutText(corpus, eod, training.heldout_tokens)
            few_shot = InLoopFewShot(
                self.tasks,
                self.tokenizer,
                shots=in_loop.shots,
                n_items=in_loop.n_items,
                seed=self.config.seed,
            )

            def look(parameters: Parameters) -> dict[str, Any]:
                return {
                    "heldout_bits_per_byte": heldout.measure(parameters, model).bits_per_byte,
                    "few_shot": few_shot(Engine(model, parameters)),
                }

            trained = train(model, training, self.data, out, look, self.reporter)
            final = HeldoutText(corpus, eod, training.final_heldout_tokens)
            summary = {**trained.facts, "heldout": self._heldout(final.measure(trained.parameters, model))}
            summary["timing"]["peak_memory_bytes"] = peak_memory_bytes()
            write_json(out / "summary.json", summary)
            self.reporter.say(
                f"  {model.name}: loss {summary['final_loss']:.3f}, "
                f"{summary['heldout']['bits_per_byte']:.3f} bits per byte on held-out text"
            )
            return summary

        return run

    def _heldout(self, losses: Any) -> dict[str, Any]:
        """Return bits per byte with its interval: documents are resampled, as a ratio of sums."""
        from palmetto.evaluation.statistics import ratio_bootstrap

        evaluation = self.config.evaluation
        bits, sizes = losses.nats / math.log(2), losses.bytes.astype(np.float64)
        low, high = ratio_bootstrap(
            bits, sizes, evaluation.confidence, evaluation.bootstrap_samples, evaluation.seed
        )
        return {
            "bits_per_byte": losses.bits_per_byte,
            "ci_low": low,
            "ci_high": high,
            "tokens": losses.tokens,
            "bytes": int(losses.bytes.sum()),
            "documents": len(losses.bytes),
            "document_nats": losses.nats.tolist(),
            "document_bytes": losses.bytes.tolist(),
        }

    def evaluate(self, model: ModelConfig) -> Callable[[Path], dict[str, Any]]:
        """Let one size take every task with every number of shots."""

        def run(out: Path) -> dict[str, Any]:
            from palmetto.evaluation.harness import PalmettoLM
            from palmetto.evaluation.run import evaluate_model
            from palmetto.inference.engine import Engine

            lm = PalmettoLM(Engine.load(self.study / "models" / model.name), self.tokenizer)
            results = evaluate_model(lm, self.tasks, model.name, self.config.evaluation, out, self.reporter)
            return {"results": results}

        return run

    def analyse(self, model: ModelConfig) -> Callable[[Path], dict[str, Any]]:
        """Ask one size for training spans it may have memorised, and for samples a reader can look at."""

        def run(out: Path) -> dict[str, Any]:
            from palmetto.analysis.memorisation import measure_memorisation
            from palmetto.analysis.samples import choose_prompts, write_samples
            from palmetto.corpus.documents import read_documents
            from palmetto.inference.engine import Engine

            engine = Engine.load(self.study / "models" / model.name)
            memorisation = measure_memorisation(
                engine,
                self.tokenizer,
                self.spans,
                config=self.config.memorisation,
                out=out / "memorisation.json",
                reporter=self.reporter,
            )
            texts = (
                document.text for document in read_documents(self.study / "documents" / "heldout.jsonl.gz")
            )
            prompts = choose_prompts(texts, self.tokenizer, self.config.samples)
            samples = write_samples(
                engine.stopping_at(self.tokenizer.eod_id),
                self.tokenizer,
                prompts,
                config=self.config.samples,
                out=out / "samples.json",
                reporter=self.reporter,
            )
            return {"memorisation": memorisation, "samples": samples}

        return run

    def compare(self, out: Path) -> dict[str, Any]:
        """What scale bought, and which items leaked into the training text."""
        from palmetto.analysis.contamination import contamination
        from palmetto.analysis.scaling import scaling
        from palmetto.corpus.records import PackedRecords
        from palmetto.model.counts import count_parameters
        from palmetto.study.consumed import consumed_texts

        folders = [(model, self.study / "models" / model.name) for model in self.config.models]
        scaled = scaling(
            [(model.name, count_parameters(model), folder) for model, folder in folders],
            self.task_names,
            self.config.scaling,
            out / "scaling.json",
        )
        overlaps = contamination(
            self.study / "tasks",
            self.task_names,
            consumed_texts(
                PackedRecords(self.study / "corpus", "train"), np.concatenate(self.consumed), self.tokenizer
            ),
            [(model.name, folder) for model, folder in folders],
            config=self.config.contamination,
            out=out / "contamination.json",
            reporter=self.reporter,
        )
        return {"scaling": scaled, "contamination": overlaps}

    def stages(self) -> list[Stage]:
        """Return the stages in order."""
        config = self.config
        names = [model.name for model in config.models]
        length = {"sequence_length": config.sequence_length}
        documents = flatten("corpus", asdict(config.corpus)) | fingerprint(config.corpus)
        tokenizer = flatten("tokenizer", asdict(config.tokenizer))
        tasks = flatten("tasks", asdict(config.tasks)) | length
        training = flatten("training", asdict(config.training))
        evaluation = flatten("evaluation", asdict(config.evaluation))
        per_size = flatten("memorisation", asdict(config.memorisation)) | flatten(
            "samples", asdict(config.samples)
        )
        compared = flatten("scaling", asdict(config.scaling)) | flatten(
            "contamination", asdict(config.contamination)
        )
        packing = length | {"corpus.seed": config.corpus.seed}

        stages = [
            Stage("documents", "documents", 1, documents, (), self.documents),
            Stage("tokenizer", "tokenizer", 1, tokenizer, ("documents",), self.train_tokenizer),
            Stage("corpus", "corpus", 1, packing, ("documents", "tokenizer"), self.corpus),
            Stage("tasks", "tasks", 1, tasks, ("documents", "tokenizer"), self.make_tasks),
        ]
        for model in config.models:
            folder = f"models/{model.name}"
            fields = flatten("model", asdict(model)) | training | flatten("in_loop", asdict(config.in_loop))
            fields |= {
                "evaluation.seed": config.evaluation.seed,
                "evaluation.confidence": config.evaluation.confidence,
            }
            stages.append(
                Stage(
                    f"train/{model.name}",
                    folder,
                    1,
                    fields,
                    ("corpus", "tasks"),
                    self.train(model),
                    atomic=False,
                )
            )
        for model in config.models:
            folder, trained = f"models/{model.name}", f"train/{model.name}"
            results, analyses = f"{folder}/results", f"{folder}/analyses"
            evaluate, analyse = self.evaluate(model), self.analyse(model)
            after = (trained, "tasks")
            stages += [
                Stage(f"evaluate/{model.name}", results, 1, evaluation, after, evaluate, atomic=False),
                Stage(f"analyse/{model.name}", analyses, 1, per_size, (trained, "corpus"), analyse),
            ]
        evaluated = tuple(f"evaluate/{name}" for name in names)
        stages.append(
            Stage("compare", "analyses", 1, compared, (*evaluated, "corpus", "tasks"), self.compare)
        )
        # The pages show everything, so they follow from everything and from the figures stated for energy.
        shown = flatten("energy", asdict(config.energy))
        stages.append(Stage("report", "report", 1, shown, tuple(stage.name for stage in stages), self.report))
        return stages

    def report(self, out: Path) -> dict[str, Any]:
        """Write the pages."""
        from palmetto.report.build import build_report

        self._write_study()
        build_report(self.study, out, self.reporter)
        return {"pages": sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())}

    def _write_study(self) -> None:
        config = self.config
        write_json(
            self.study / "study.json",
            {
                "format": 1,
                "palmetto": describe_versions()["palmetto"],
                "recipe": config.name,
                "config": asdict(config),
                "versions": describe_versions(),
                "hardware": describe_hardware(),
                "energy": asdict(config.energy),
                "stages": [
                    {name: record[name] for name in ("name", "key", "timing")}
                    for record in self.ledger.records
                ],
            },
        )

    def run(self, redo: str | None = None) -> Path:
        """Run every stage that is not done; returns the page's path.

        Raises:
            PalmettoError: bad input, or another process at work in the folder.
            StageConflictError: something in the folder was made from something else.
        """
        # lm_eval's data sets are cached in the study, and nothing is asked of a hub.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        self.ledger = Ledger()
        with locked(self.study):
            stages = self.stages()
            if redo is not None:
                for moved in move_aside(self.study, stages, redo):
                    self.reporter.say(f"moved aside: {moved}")
            around = environment()
            for number, stage in enumerate(stages, start=1):
                self.reporter.say(f"[{number}/{len(stages)}] {stage.name}")
                worked = run_stage(self.study, stage, self.ledger, self.reporter.say, around)
                # Not after a stage that was skipped: a conflict may still show that the folder is another recipe's.
                if worked or number == len(stages):
                    self._write_study()
                seconds = self.ledger.records[-1]["timing"]["seconds"]
                self.reporter.say(f"  done in {seconds:.1f} s" if worked else "  already done")
        return self.study / "report" / "index.html"
