"""Run by `test_plan_compiled.py` in a process of its own, where the CPU poses as eight devices.

    python eight_device_plans.py FOLDER

Compiles small programs whose collectives are known, and plans tiny models through the command itself; prints JSON.
"""

import contextlib
import io
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from palmetto.cli.plan import Plan
from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Terminal
from palmetto.pathways import libtpu
from palmetto.pathways.collectives import collectives
from palmetto.pathways.hlo import Program
from palmetto.pathways.topology import open_machine
from palmetto.sharding import MeshConfig, make_mesh

RECIPE = """
from dataclasses import replace
from palmetto.model.config import ModelConfig
from palmetto.recipes.training import RunConfig, run_recipe


def run() -> RunConfig:
    model = ModelConfig("tiny", n_layers=2, d_model=64, n_heads=4, head_dim=16, vocab_size=512, sequence_length=64)
    return RunConfig(model, run_recipe("palm_160k").training)
"""


def known_collectives() -> dict[str, Any]:
    """A loop of 5 products whose right side is divided over `data`; a sum over `pod` and over `model`."""
    mesh = make_mesh(MeshConfig(2, 2, 2), open_machine("cpu:4", 2).devices)

    def array(*shape: int, spec: PartitionSpec) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=NamedSharding(mesh, spec))

    def gathered(x: jax.Array, w: jax.Array) -> jax.Array:
        def body(x: jax.Array, _: None) -> tuple[jax.Array, None]:
            moving = jax.lax.with_sharding_constraint(w * x[0, 0], NamedSharding(mesh, PartitionSpec("data")))
            whole = jax.lax.with_sharding_constraint(moving, NamedSharding(mesh, PartitionSpec()))
            return jnp.tanh(x @ whole), None

        return jax.lax.scan(body, x, length=5)[0]

    def found(function: Any, *arguments: Any) -> list[dict[str, Any]]:
        text = jax.jit(function).lower(*arguments).compile().as_text()
        assert text is not None
        return [asdict(one) for one in collectives(Program(text), dict(mesh.shape))]

    whole = PartitionSpec()
    return {
        "loop": found(gathered, array(8, 64, spec=whole), array(64, 64, spec=PartitionSpec("data"))),
        "pod": found(lambda x: x.sum(0), array(2, 4096, spec=PartitionSpec("pod"))),
        "model": found(lambda a, b: a @ b, array(16, 32, spec=PartitionSpec(None, "model")),
                       array(32, 24, spec=PartitionSpec("model"))),
    }  # fmt: skip


def planned(folder: Path, name: str, **options: Any) -> dict[str, Any]:
    """What the command prints and writes, or the sentence it ends with."""
    said, out = io.StringIO(), folder / f"{name}.json"
    plan = Plan(recipe=f"{folder / 'tiny.py'}:run", out=out, **options)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            plan.run(Terminal())
    except PalmettoError as error:
        return {"error": str(error)}
    return {"printed": said.getvalue(), "written": json.loads(out.read_text())}


def main(folder: Path) -> dict[str, Any]:
    """Return what each program showed, by name."""
    (folder / "tiny.py").write_text(RECIPE)
    found: dict[str, Any] = {"collectives": known_collectives()}
    found["one"] = planned(folder, "one", topology="cpu:8", mesh=("data=4,model=2",), batch=(16,))
    found["pods"] = planned(folder, "pods", topology="cpu:4", pods=2, mesh=("data=4",), batch=(16,))
    found["sweep"] = planned(
        folder, "sweep", topology="cpu:8", mesh=("data=4,model=2", "model=8"), batch=(16, 3), sweep=True,
        rematerialisation=("full",),
    )  # fmt: skip
    if libtpu.installed():
        found["tpu"] = planned(folder, "tpu", topology="v5e:2x2", mesh=("data=2,model=2",), batch=(8,))
        found["odd"] = planned(folder, "odd", topology="v5e:3x3")
        found["network"] = planned(folder, "network", topology="v6e:2x2", pods=2, batch=(8,))
        found["full"] = planned(folder, "full", topology="v5e:2x2", batch=(2**18,))
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
