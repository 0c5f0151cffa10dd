"""An export holds a layer, not the model: peak memory of the real command, on a model of a gigabyte."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interop_study import model
from palmetto.common.files import sha256_file, write_json
from palmetto.common.progress import Silent
from palmetto.model.counts import count_parameters
from palmetto.model.spec import ParameterSpec, map_specs, parameter_specs
from palmetto.tokenizer.config import TokenizerConfig
from palmetto.tokenizer.train import train_tokenizer
from palmetto.training.checkpoints import Checkpoints
from palmetto.training.loading import FORMAT
from palmetto.training.state import TrainState
from study_drill import Palmetto

CONFIG = replace(model("equal"), name="gigabyte", n_layers=44, d_model=640, n_heads=5, head_dim=128)

# The high-water mark of the child alone: what `resource` says of a child counts its parent before the exec, too.
CHILD = """
import sys
from pathlib import Path
import palmetto.export.export as export
from palmetto.common.progress import Terminal
def peak():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = peak()
export.export_model(Path(sys.argv[1]), Path(sys.argv[2]), Terminal(), sys.argv[3])
print(before, peak())
"""


@pytest.fixture(scope="module")
def big_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 1.0 GB with drawn weights (of each layer's own scale, so that drawing is quick) and its tokenizer."""
    study = tmp_path_factory.mktemp("memory")
    (study / "tokenizer").mkdir()
    text = "".join(path.read_text() for path in sorted(Path(__file__).resolve().parent.glob("*.py")))
    train_tokenizer([text], TokenizerConfig(vocab_size=CONFIG.vocab_size), study / "tokenizer", Silent())
    folder = study / "models" / CONFIG.name
    described = {
        "format": FORMAT,
        "name": CONFIG.name,
        "model": asdict(CONFIG),
        "tokenizer_sha256": sha256_file(study / "tokenizer" / "tokenizer.model"),
    }
    write_json(folder / "config.json", described)
    rng = np.random.default_rng(0)

    def draw(spec: ParameterSpec) -> Any:
        first = rng.standard_normal(spec.shape[1:], dtype=np.float32)
        return jnp.asarray(np.stack([first * (1 + row) for row in range(spec.shape[0])]))

    with Checkpoints(folder / "checkpoints") as checkpoints:
        weights = map_specs(draw, parameter_specs(CONFIG))
        checkpoints.save(1, TrainState(weights, {"count": jnp.int32(1)}))
        jax.block_until_ready(weights)
    return folder


@pytest.mark.parametrize(("dtype", "itemsize"), [("float32", 4), ("bfloat16", 2)])
def test_an_export_takes_less_memory_than_the_model(
    palmetto: Palmetto, big_model: Path, tmp_path: Path, dtype: str, itemsize: int
) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("the high-water mark of memory is read from /proc, which only Linux has")
    command = [sys.executable, "-c", CHILD, str(big_model), str(tmp_path / "out"), dtype]
    done = subprocess.run(
        command, env=palmetto.environment, capture_output=True, text=True, check=True, timeout=300
    )
    before, peak = map(int, done.stdout.split())
    size = 4 * count_parameters(CONFIG)
    print(
        f"\nmodel {size / 1e6:,.0f} MB; imports {before / 1e6:,.0f} MB, peak {peak / 1e6:,.0f} MB ({dtype})"
    )
    print(done.stderr)
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    # The last norm is exported as ones, which are not among our weights.
    assert index["metadata"]["total_size"] == itemsize * (count_parameters(CONFIG) + CONFIG.d_model)
    assert peak < 0.5 * size
    assert peak - before < 0.2 * size
