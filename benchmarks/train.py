"""Trains the same PaLM with Palmetto and with PyTorch, turn by turn in one run, and prints the speed of both.

Same weights, batches and optimizer steps; the peer is Hugging Face's `CohereForCausalLM`, which PaLM is exactly
(`torch_peer.py`), with PaLM's Adafactor in plain PyTorch. Each side lives in a process of its own, and only the one
whose turn it is computes. After every run the losses of all sides are compared, so that a side which does other work
is found out.
"""

import argparse
import importlib.util
import multiprocessing
import os
import sys
import tempfile
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from palmetto.common.errors import PalmettoError
from palmetto.model.config import ModelConfig
from palmetto.training.environment import threads, usable_cores
from sides import ON_CPU, ON_GPU, Side

EXAMPLES = """examples:
  python benchmarks/train.py                              palm_800k and palm_5m, a few minutes on a CPU
  python benchmarks/train.py palm_34m --rounds 3          sequences of 512
  python benchmarks/train.py palm_5m --sides palmetto torch-eager
  python benchmarks/train.py palm_1b5                     on one GPU: sequences of 2,048, bfloat16
"""

# Sequences a batch and their length. The larger sizes are shorter here than in their recipes on a CPU's account.
SETTINGS = {
    "palm_160k": (8, 256),
    "palm_800k": (8, 256),
    "palm_5m": (8, 256),
    "palm_34m": (4, 512),
    "palm_270m": (8, 2048),
    "palm_1b5": (8, 2048),
}
WARM_UP = 2
# A turn during which other programs kept more than this many processors busy is left out: threads that wait for each
# other suffer from a taken core far beyond its share, PyTorch's most of all.
QUIET = 0.15
PATIENCE = 15.0  # seconds a turn waits for other programs to be quiet
SEED = 0


class PalmettoTrainer:
    """Trains with Palmetto; `step` returns when the update is made."""

    def __init__(self, config: ModelConfig, weights: dict[str, np.ndarray], *, bfloat16: bool) -> None:
        import jax

        from palmetto.model.execution import ExecutionConfig, resolve_attention
        from palmetto.model.spec import named_parameters
        from palmetto.sharding import MeshConfig, make_mesh, parameter_shardings
        from palmetto.training.optimizer import OptimizerConfig
        from palmetto.training.state import fresh_optimizer, make_train_step

        config = replace(config, compute_dtype="bfloat16" if bfloat16 else "float32")
        optimizer, mesh = OptimizerConfig(), make_mesh(MeshConfig(data=1), jax.devices()[:1])
        shardings = parameter_shardings(config, mesh)
        leaves = [weights[name] for name in named_parameters(shardings)]
        parameters = jax.device_put(jax.tree.unflatten(jax.tree.structure(shardings), leaves), shardings)
        self._state = fresh_optimizer(parameters, config, optimizer, mesh)
        self._step = make_train_step(config, optimizer, mesh)
        self.attention = resolve_attention(ExecutionConfig(), config)

    def step(self, records: np.ndarray) -> float:
        """Make one update from records [B, S + 1]; return the cross-entropy before it."""
        import jax

        self._state, metrics = self._step(self._state, records)
        jax.block_until_ready(self._state)
        return float(metrics.loss)

    def peak(self) -> float:
        """Return the peak FLOP/s: of the maker's table, or measured by a float32 product on a CPU."""
        from palmetto.training.throughput import peak_flops

        return peak_flops().flops_per_second

    def device_memory(self) -> int | None:
        """Return the most bytes held on an accelerator; None on a CPU."""
        import jax

        statistics = jax.devices()[0].memory_stats()
        return statistics["peak_bytes_in_use"] if statistics else None


def peak_memory() -> int:
    """Return the most bytes this process has held in main memory."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def batch(config: ModelConfig, sequences: int, index: int) -> np.ndarray:
    """Return random records [B, S + 1]: the speed of a step does not depend on its text."""
    draw = np.random.default_rng((SEED, index))
    return draw.integers(0, config.vocab_size, (sequences, config.sequence_length + 1), np.int32)


def serve(connection: Connection, side: Side, config: ModelConfig, sequences: int, weights: Path) -> None:
    """Train one side in this process: for every number of steps received, answer seconds and losses."""
    loaded = dict(np.load(weights))
    if side.torch:
        from palmetto.training.optimizer import OptimizerConfig
        from torch_peer import TorchTrainer

        trainer: Any = TorchTrainer(
            config,
            OptimizerConfig(),
            loaded,
            bfloat16=side.bfloat16,
            compiled=side.compiled,
            deterministic=side.deterministic,
        )
    else:
        trainer = PalmettoTrainer(config, loaded, bfloat16=side.bfloat16)
    del loaded
    done = 0
    while steps := connection.recv():
        if steps == "peak":
            connection.send(trainer.peak())
            continue
        seconds, losses, busy = [], [], time.process_time()
        for index in range(done, done + steps):
            records = batch(config, sequences, index)
            start = time.perf_counter()
            losses.append(trainer.step(records))
            seconds.append(time.perf_counter() - start)
        done += steps
        memory = trainer.device_memory() or peak_memory()
        connection.send((seconds, losses, memory, time.process_time() - busy))


class Player:
    """A side's process, as its opponent sees it."""

    def __init__(self, side: Side, config: ModelConfig, sequences: int, weights: Path) -> None:
        self.side = side
        self.seconds: list[list[float]] = []
        self.losses: list[float] = []
        self.memory = 0
        self.peak = 0.0
        self.others: list[float] = []
        self._arguments = (side, config, sequences, weights)
        self._process: Any = None

    def start(self) -> None:
        """Start the process, let it compile and warm up, and keep it waiting."""
        added = self.side.environment()
        os.environ |= added
        context = multiprocessing.get_context("spawn")
        self._connection, far = context.Pipe()
        self._process = context.Process(target=serve, args=(far, *self._arguments), daemon=True)
        self._process.start()
        far.close()
        for name in added:
            del os.environ[name]
        fresh = not self.losses
        losses = self._ask(WARM_UP)[1]
        if fresh:
            self.losses += losses
            self.peak = self._ask("peak")

    def turn(self, steps: int, keep: bool) -> None:
        """Train `steps` updates and note what they took; `keep` says whether their losses are new."""
        wait_for_quiet()
        before, start = processor_seconds(), time.perf_counter()
        seconds, losses, memory, own = self._ask(steps)
        self.seconds.append(seconds)
        self.losses += losses if keep else []
        self.memory = max(self.memory, memory)
        others = processor_seconds() - before - own
        self.others.append(max(0.0, others) / (time.perf_counter() - start))

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._connection.send(0)
            self._process.join()
            self._process = None

    def _ask(self, question: Any) -> Any:
        try:
            self._connection.send(question)
            return self._connection.recv()
        except (EOFError, BrokenPipeError):
            self._process.join()
            raise PalmettoError(
                f"{self.side.name} ended with code {self._process.exitcode}; its error is above."
            ) from None


def processor_seconds() -> float:
    """Return the seconds all processors together have been busy; 0 where that can't be read (not Linux)."""
    path = Path("/proc/stat")
    if not path.exists():
        return 0.0
    user, nice, system, _, _, irq, soft, steal, *_ = map(int, path.read_text().split("\n")[0].split()[1:])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def wait_for_quiet() -> None:
    """Return when other programs have been quiet for half a second, or patience is at its end."""
    end = time.perf_counter() + PATIENCE
    while time.perf_counter() < end:
        before, start = processor_seconds(), time.perf_counter()
        time.sleep(0.5)
        if processor_seconds() - before < QUIET * (time.perf_counter() - start):
            return


def draw_weights(config: ModelConfig, path: Path, connection: Connection) -> None:
    """Draw the weights all sides begin with, and say what they will be trained on."""
    import jax

    from palmetto.model.spec import initialise, named_parameters

    parameters = jax.jit(lambda key: initialise(config, key))(jax.random.key(SEED))
    np.savez(path, **{name: np.asarray(leaf) for name, leaf in named_parameters(parameters).items()})
    connection.send((jax.default_backend(), jax.devices()[0].device_kind))


def compare(name: str, wanted: list[str] | None, rounds: int, steps: int, folder: Path) -> None:
    """Train one size with all sides and print the table.

    Raises:
        PalmettoError: a side is unknown, or its process failed.
    """
    from palmetto.recipes.models import model_recipe

    sequences, length = SETTINGS[name]
    config = replace(model_recipe(name), sequence_length=length)
    weights = folder / f"{name}.npz"
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe()
    drawing = context.Process(target=draw_weights, args=(config, weights, far))
    drawing.start()
    drawing.join()
    if drawing.exitcode:
        raise PalmettoError(f"Drawing the weights of {name} ended with code {drawing.exitcode}; see above.")
    backend, kind = near.recv()
    known = {side.name: side for side in (ON_GPU if backend == "gpu" else ON_CPU)}
    if unknown := set(wanted or ()) - set(known):
        raise PalmettoError(
            f"--sides: {', '.join(sorted(unknown))} is not among {', '.join(known)} ({backend})."
        )
    players = [Player(known[side], config, sequences, weights) for side in wanted or known]
    print(
        f"\n{name}: {sequences} sequences of {length} tokens a batch, {backend} ({kind}), {threads()} threads; "
        f"{rounds} rounds of {steps} steps each\n",
        flush=True,
    )
    # Several sides do not fit on one accelerator together; there each turn starts a process of its own.
    together = backend == "cpu"
    try:
        if together:
            for player in players:
                player.start()
        for number in range(rounds):
            # Every other round goes backwards, so that nobody always follows the same side.
            for player in players if number % 2 == 0 else reversed(players):
                if not together:
                    player.start()
                player.turn(steps, keep=together or number == 0)
                if not together:
                    player.stop()
    finally:
        for player in players:
            player.stop()
    table(players, config, sequences)


def table(players: list[Player], config: ModelConfig, sequences: int) -> None:
    """Print a row a side, and how far the losses are apart."""
    from palmetto.model.counts import flops_per_token

    tokens, flops = sequences * config.sequence_length, flops_per_token(config).model
    quiet = [n for n in range(len(players[0].seconds)) if all(player.others[n] < QUIET for player in players)]
    used = quiet or range(len(players[0].seconds))
    columns = ("side", "tokens/s", "best", "MFU", "peak memory", "Palmetto / it", "loss differs")
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for player in players:
        precision = [other for other in players if other.side.bfloat16 == player.side.bfloat16]
        peak = max(other.peak for other in precision)
        speeds = [tokens / float(np.median(player.seconds[n])) for n in used]
        ours = [other for other in precision if not other.side.torch][:1]
        ratio = ""
        if player.side.torch and ours:
            ratios = [float(np.median(player.seconds[n]) / np.median(ours[0].seconds[n])) for n in used]
            ratio = f"{np.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        first = np.array(players[0].losses)
        apart = float(np.max(np.abs(np.array(player.losses) - first) / first))
        print(
            f"| {player.side.name} | {np.median(speeds):,.0f} | {tokens / min(map(min, player.seconds)):,.0f} "
            f"| {np.median(speeds) * flops / peak:.1%} | {player.memory / 2**20:,.0f} MiB | {ratio} | {apart:.1e} |"
        )
    peaks = {
        kind: max((p.peak for p in players if p.side.bfloat16 == bfloat16), default=0.0)
        for kind, bfloat16 in (("float32", False), ("bfloat16", True))
    }
    print("\npeak: " + ", ".join(f"{kind} {peak / 1e9:,.0f} GFLOP/s" for kind, peak in peaks.items() if peak))
    print(
        f"losses of {len(players[0].losses)} steps, from {players[0].losses[0]:.4f} to {players[0].losses[-1]:.4f}; "
        f"the largest relative distance to {players[0].side.name} is in the last column"
    )
    others = [share for player in players for share in player.others]
    print(
        f"{len(quiet)} of {len(players[0].seconds)} rounds were quiet"
        + (" and make the table" if quiet else ": THE TABLE IS OF A BUSY MACHINE AND SAYS LITTLE")
        + f"; over all of them other programs kept {np.median(others):.2f} processors busy, at most {max(others):.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sizes", nargs="*", default=["palm_800k", "palm_5m"], metavar="SIZE", help="recipes")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each side (default 9)")
    parser.add_argument("--steps", type=int, default=4, help="updates a turn (default 4)")
    parser.add_argument(
        "--sides", nargs="+", help=f"only these; on a CPU {', '.join(side.name for side in ON_CPU)}"
    )
    arguments = parser.parse_args()
    try:
        for package in ("torch", "transformers"):
            if importlib.util.find_spec(package) is None:
                raise PalmettoError(
                    f"Comparing with PyTorch needs {package}: install palmetto[interop] (from a clone: "
                    'pip install -e ".[interop]" -c constraints.txt).'
                )
        if unknown := [size for size in arguments.sizes if size not in SETTINGS]:
            raise PalmettoError(f"SIZE {', '.join(unknown)} is not among {', '.join(SETTINGS)}.")
        if arguments.rounds < 1 or arguments.steps < 1:
            raise PalmettoError("--rounds and --steps must be at least 1.")
        # Both libraries get the same threads.
        os.environ["NPROC"] = os.environ["OMP_NUM_THREADS"] = str(min(threads(), usable_cores()))
        os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        with tempfile.TemporaryDirectory() as folder:
            for size in arguments.sizes:
                compare(size, arguments.sides, arguments.rounds, arguments.steps, Path(folder))
    except PalmettoError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
