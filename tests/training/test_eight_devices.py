"""Sharded over eight (fake) devices against a single device, which is the oracle; see `eight_devices.py`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MESHES = pytest.mark.parametrize(
    "mesh", ["8x1x1", "4x2x1", "4x1x2", "2x4x1", "2x2x2", "2x1x4", "1x8x1", "1x4x2", "1x2x4", "1x1x8"]
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    """Distances from the single device by mesh (pod x data x model), from one process for all."""
    # Compiling is what takes the time here, so the compiler is told to hurry.
    flags = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
    environment = {**os.environ, "XLA_FLAGS": flags}
    program = Path(__file__).with_name("eight_devices.py")
    command = [sys.executable, str(program), str(tmp_path_factory.mktemp("eight") / "checkpoints")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@MESHES
def test_weights_are_divided_over_data_and_model(mesh: str, report: dict[str, dict[str, float]]) -> None:
    pod, data, model = map(int, mesh.split("x"))
    assert report[mesh]["devices"] == pod * data * model == 8
    assert report[mesh]["w_gate_share"] == 1 / (data * model)


@MESHES
def test_one_fully_sharded_activation_is_saved_of_each_layer(
    mesh: str, report: dict[str, dict[str, float]]
) -> None:
    """Section 4: what the forward pass leaves to the backward pass is divided over the batch and over `model`."""
    assert report[mesh]["saved_columns"] == 16 / int(mesh[-1])


@MESHES
def test_a_sharded_draw_equals_an_unsharded_one(mesh: str, report: dict[str, dict[str, float]]) -> None:
    assert report[mesh]["initial"] < 1e-7  # the generator's integers are equal; their transform may round


@MESHES
def test_a_checkpoint_of_one_device_has_equal_values_on_eight(
    mesh: str, report: dict[str, dict[str, float]]
) -> None:
    assert report[mesh]["restored"] == 0.0


@MESHES
def test_the_gradient_of_every_weight_on_eight_devices_agrees_with_one(
    mesh: str, report: dict[str, dict[str, float]]
) -> None:
    assert report[mesh]["gradient"] < 1e-5


@MESHES
def test_the_loss_of_each_heldout_document_on_eight_devices_agrees_with_one(
    mesh: str, report: dict[str, dict[str, float]]
) -> None:
    assert report[mesh]["heldout"] < 1e-5


@MESHES
@pytest.mark.parametrize("figure", ["metrics", "state"])
def test_a_step_on_eight_devices_agrees_with_one(
    figure: str, mesh: str, report: dict[str, dict[str, float]]
) -> None:
    """Loss and norms; weights and both moments after the update, so the gradient too: 1e-5 in float32."""
    assert report[mesh]["moved"] > 1e-3
    assert report[mesh][figure] < 1e-5
