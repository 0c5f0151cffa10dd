"""The training loop: resume, step, log, look, save; and after a loss spike, go back and leave its batches out.

Bits: a run that was killed and started again gives the same parameters as one that was not, because a batch depends
on its index alone, a checkpoint holds everything else, and whether a step is a spike depends on the steps before it,
which `metrics.jsonl` keeps.

Of several processes all run this loop, each with its part of the arrays; what is in a file the primary reads for all,
and only it writes. What the loop decides it decides from numbers that are the same in all of them.
"""

import math
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
from jax.sharding import NamedSharding

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json_lines
from palmetto.common.progress import Bar, Reporter, Silent
from palmetto.model.config import ModelConfig
from palmetto.model.counts import flops_per_token
from palmetto.model.execution import resolve_attention
from palmetto.model.spec import Parameters
from palmetto.sharding import batch_sharding, make_mesh
from palmetto.training.batches import Batches, read_ahead
from palmetto.training.checkpoints import Checkpoints
from palmetto.training.config import TrainingConfig
from palmetto.training.data import TrainingData, open_batches
from palmetto.training.engine import Engine, MeshEngine, held_rows
from palmetto.training.opening import Start, check_mesh, claim, record_environment, restore_or_start
from palmetto.training.processes import in_gang, once, primary
from palmetto.training.rewinds import Rewinds, describe_spike
from palmetto.training.signals import StoppedError, Termination
from palmetto.training.spikes import Spike, SpikeDetector
from palmetto.training.state import StepMetrics
from palmetto.training.summary import describe, hash_parameters, summarise
from palmetto.training.throughput import Peak, peak_flops, utilisation
from palmetto.training.trackers import JsonLines, TensorBoard, Tracker
from palmetto.training.watchdog import Watchdog

Evaluate = Callable[[Parameters], dict[str, Any]]
"""An in-loop evaluation: weights in, figures for the step's row out. It must not depend on anything else."""

# Updates of a profile: past the compiled one, and few, because traces are large.
_PROFILE = range(3, 6)


@dataclass(frozen=True)
class Trained:
    """A finished run."""

    parameters: Parameters
    """The final weights, on the devices."""

    facts: dict[str, Any]
    """What `summary.json` says of the run: counts, FLOPs, the hash of the weights, and times under `timing`."""


def train(
    config: ModelConfig,
    training: TrainingConfig,
    data: TrainingData,
    out: Path,
    evaluate: Evaluate,
    reporter: Reporter,
    *,
    start: Start | None = None,
    profile: bool = False,
    engine: Engine | None = None,
) -> Trained:
    """Train one model into `out`, or go on where an interrupted run of the same config stopped.

    Args:
        config: the model.
        training: the run.
        data: what it reads.
        out: `models/<size>`; gets config.json, metrics.jsonl, tensorboard/, checkpoints/, skipped_batches.json,
            environments.json; after a spike rewound/, and with `profile` profile/.
        evaluate: called every `evaluate_every` updates and after the last.
        reporter: shows steps, loss and speed.
        start: the model to begin from, instead of a fresh draw.
        profile: whether to write a trace of three updates, for TensorBoard or Perfetto.
        engine: makes the steps; left out, one program over `training.mesh`. It is closed at the end.

    Raises:
        PalmettoError: too little text, a mesh that does not divide, a loss that is not finite or spikes again and
            again, another run's folder, a checkpoint that cannot be written, or only damaged ones.
        StoppedError: SIGTERM came; the run is saved and can go on.
        LostError: another process of the run failed.
    """
    reporter = reporter if primary() else Silent()
    open_batches(training, data)
    epoch, _ = data.held()
    if training.sequences() > epoch:
        reporter.say(
            f"{config.name}: reads its {epoch:,} records {training.sequences() / epoch:.2f} times (the paper: once)."
        )
    mesh = make_mesh(training.mesh)
    check_mesh(config, training, mesh)
    attention = resolve_attention(training.execution, config)
    facts = data.facts if start is None else {**data.facts, "start": start.facts()}
    once(lambda: claim(out, describe(config, training, facts)))
    places = None
    if engine is None:
        engine = MeshEngine(config, training, replace(training.execution, attention=attention), mesh)
        places = batch_sharding(mesh)
    rewinds = Rewinds(out)
    rewinds.entries = once(lambda: rewinds.entries)
    stacks = out / ("stuck.txt" if primary() else f"stuck-{jax.process_index()}.txt")
    with (
        closing(engine),
        Checkpoints(
            out / "checkpoints",
            keep=training.keep_checkpoints,
            every=training.checkpoint_every,
            reach=training.rewind_reach(),
        ) as checkpoints,
        Watchdog(training.stuck_after_seconds, stacks, reporter, config.name, ends=in_gang()) as watchdog,
        Termination() as termination,
    ):
        once(checkpoints.clear_interrupted)
        once(lambda: checkpoints.drop(rewinds.abandoned))
        watchdog.beat("restoring the state")
        done, state = restore_or_start(config, training, mesh, checkpoints, start, reporter.say)
        if 0 < done < training.steps:
            reporter.say(f"{config.name}: going on from the checkpoint of step {done:,}.")
        once(lambda: record_environment(out, mesh, attention, done, reporter.say, config.name))
        run = _Run(
            config=config,
            training=training,
            out=out,
            evaluate=evaluate,
            reporter=reporter,
            checkpoints=checkpoints,
            trackers=(JsonLines(out / "metrics.jsonl"), TensorBoard(out / "tensorboard"))
            if primary()
            else (),
            watchdog=watchdog,
            termination=termination,
            rewinds=rewinds,
            engine=engine,
            places=places,
            profile=profile and primary(),
        )
        while True:
            batches = open_batches(training, data, skipped=rewinds.ranges(), vocab_size=config.vocab_size)
            state, spike = run.steps(engine.begin(state), done, batches)
            if spike is None:
                break
            rewinds.entries = once(partial(_add, rewinds, spike, batches, training, config.name))
            entry = rewinds.entries[-1]
            reporter.say(
                f"{config.name}: loss spike from step {spike.first_step:,} on ({describe_spike(spike)}); going back to "
                f"step {entry['to_step']:,} and leaving out batches {entry['first_batch']:,} to "
                f"{entry['end_batch'] - 1:,}."
            )
            del state
            checkpoints.wait()
            once(lambda: checkpoints.drop(rewinds.abandoned))
            done, state = restore_or_start(
                config, training, mesh, checkpoints, start, reporter.say, at_most=entry["to_step"]
            )
        trained = engine.fetch(state).parameters
    sha256 = hash_parameters(trained)
    return Trained(trained, once(lambda: summarise(config, training, out, sha256, attention)))


def _add(rewinds: Rewinds, *spike: Any) -> list[dict[str, Any]]:
    rewinds.add(*spike)
    return rewinds.entries


@dataclass
class _Waiting:
    """A step that was dispatched and not looked at yet."""

    step: int
    index: int
    sequences: int
    metrics: StepMetrics


@dataclass(kw_only=True)
class _Run:
    """What all steps of a run share."""

    config: ModelConfig
    training: TrainingConfig
    out: Path
    evaluate: Evaluate
    reporter: Reporter
    checkpoints: Checkpoints
    trackers: tuple[Tracker, ...]
    watchdog: Watchdog
    termination: Termination
    rewinds: Rewinds
    engine: Engine
    places: NamedSharding | None
    """Where the rows of a batch belong, of an engine that takes a part of them; None: it takes them whole."""
    profile: bool

    def __post_init__(self) -> None:
        self._tracing = False
        self._flops = flops_per_token(self.config)
        self._peak = Peak(*once(lambda: astuple(peak_flops())))
        # Programs in flight on several devices of one processor would wait for each other's threads.
        self._ahead = not (jax.default_backend() == "cpu" and jax.device_count() > 1)

    def steps(self, state: Any, done: int, batches: Batches) -> tuple[Any, Spike | None]:
        """Make the updates after `done`, to the end or until a spike is certain; returns the state and the spike.

        A state is the engine's own.
        """
        training = self.training
        self._detector = SpikeDetector(training.spikes)
        self._tokens = 0
        for step, tokens, loss, norm in once(lambda: self._remember(done)):
            self._tokens = tokens
            self._detector.observe(step, loss, norm)
        waiting: _Waiting | None = None
        with ExitStack() as stack:
            stack.callback(self._close)
            bar = stack.enter_context(self.reporter.bar(f"train {self.config.name}", training.steps, "steps"))
            bar.advance(done)
            read = None
            if self.places is not None and not self.places.is_fully_addressable:
                read = partial(held_rows, batches, sharding=self.places)
            reading = read_ahead(batches, done, training.steps, training.read_ahead, read)
            stack.callback(reading.close)
            self._saved, self._save_seconds, self._clock = done, 0.0, time.perf_counter()
            for step, index, rows in reading:
                self.watchdog.beat(f"step {step + 1:,}" + (" with its compilation" if step == done else ""))
                self.checkpoints.poll()
                self._trace(step - done, state)
                state, metrics = self.engine.step(state, rows)
                # While this step runs, the one before it is logged and judged.
                if waiting is not None and (spike := self._settle(waiting, bar)):
                    return state, spike
                waiting = _Waiting(step + 1, index, len(rows), metrics)
                stopping = self.termination.reached()
                if self._boundary(step + 1) or not self._ahead or stopping:
                    spike, waiting = self._settle(waiting, bar, state), None
                    if spike is not None:
                        return state, spike
                    if stopping and step + 1 < training.steps:
                        self._stop(step + 1, state)
        return state, None

    def _remember(self, done: int) -> list[list[Any]]:
        """Make the log end after `done`; return step, tokens, loss and gradient norm of what its detector remembers."""
        for tracker in self.trackers:
            tracker.begin(done)
        rows = [
            [row[name] for name in ("step", "tokens", "loss", "grad_norm")]
            for row in read_json_lines(self.out / "metrics.jsonl")
        ]
        return [row for row in rows if row[0] > done - self._detector.memory]

    def _boundary(self, step: int) -> bool:
        """Whether anything looks at the state after update number `step`, before the next one reuses its memory."""
        return step == self.training.steps or not (
            step % self.training.evaluate_every and step % self.training.checkpoint_every
        )

    def _settle(self, waiting: _Waiting, bar: Bar, state: Any = None) -> Spike | None:
        """Log a step and judge it; with the state after it, evaluate and save it when that is due."""
        step, training = waiting.step, self.training
        values = {name: float(value) for name, value in waiting.metrics._asdict().items()}
        now = time.perf_counter()
        seconds = now - self._clock
        fresh = waiting.sequences * self.config.sequence_length
        self._tokens += fresh
        speed = fresh / seconds
        row: dict[str, Any] = {"step": step, "batch": waiting.index, "tokens": self._tokens, **values}
        if skipped := self.rewinds.before(step):
            row["skipped"] = skipped
        row["timing"] = {
            "seconds": seconds,
            "tokens_per_second": speed,
            "mfu": utilisation(speed, self._flops.model, self._peak),
            "checkpoint_seconds": self._save_seconds,
        }
        self._clock, self._save_seconds = now, 0.0
        spike = self._judge(step, waiting.index, values)
        last = step == training.steps
        if spike is None and state is not None and (last or step % training.evaluate_every == 0):
            self.watchdog.beat(f"the evaluation after step {step:,}")
            row |= self.evaluate(self.engine.fetch(state).parameters)
            self._clock = time.perf_counter()
        for tracker in self.trackers:
            tracker.log(row)
        if spike is None and state is not None and (last or step % training.checkpoint_every == 0):
            self._save(step, state)
        bar.advance()
        bar.note(f"loss {values['loss']:.3f}  {speed:,.0f} tokens/s")
        return spike

    def _judge(self, step: int, index: int, values: dict[str, float]) -> Spike | None:
        spike = self._detector.observe(step, values["loss"], values["grad_norm"])
        if self.training.spikes.enabled:
            return spike
        if not (math.isfinite(values["loss"]) and math.isfinite(values["grad_norm"])):
            raise PalmettoError(
                f"{self.config.name}: loss {values['loss']} and gradient norm {values['grad_norm']} at step {step} "
                f"(batch {index}) are not finite; earlier checkpoints are intact. Lower "
                "training.optimizer.learning_rate.peak, change the seed, or set training.spikes.enabled."
            )
        return None

    def _save(self, step: int, state: Any) -> None:
        self.watchdog.beat(f"saving step {step:,}")
        self.checkpoints.save(step, self.engine.fetch(state), {"rewinds": len(self.rewinds.entries)})
        now = time.perf_counter()
        self._saved, self._save_seconds, self._clock = step, now - self._clock, now

    def _stop(self, step: int, state: Any) -> None:
        if self._saved != step:
            self._save(step, state)
        self.checkpoints.wait()
        raise StoppedError(
            f"{self.config.name}: stopped by SIGTERM; step {step:,} is saved, run the same command to go on."
        )

    def _trace(self, step: int, state: Any) -> None:
        """Begin or end the profile before update number `step` of this process, from 0."""
        if self.profile and step in (_PROFILE.start, _PROFILE.stop):
            jax.block_until_ready(state)
            if step == _PROFILE.start:
                jax.profiler.start_trace(str(self.out / "profile"))
                self._tracing = True
            else:
                self._end_trace()

    def _end_trace(self) -> None:
        if self._tracing:
            jax.profiler.stop_trace()
            self._tracing = False
            self.reporter.say(f"{self.config.name}: the profile is in {self.out / 'profile'}.")

    def _close(self) -> None:
        self._end_trace()
        for tracker in self.trackers:
            tracker.close()
