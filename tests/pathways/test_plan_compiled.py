"""Plans of small programs on eight (fake) devices, and of a tiny model for four TPU chips; see `eight_device_plans.py`.

Oracles: bytes reckoned by hand; the model's own formula of FLOPs.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

needs_libtpu = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None,
    reason="libtpu is not installed: pip install 'palmetto[tpu-plan]'",
)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    program = Path(__file__).with_name("eight_device_plans.py")
    command = [sys.executable, str(program), str(tmp_path_factory.mktemp("plans"))]
    environment = {**os.environ, "XLA_FLAGS": "--xla_backend_optimization_level=0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def one(found: list[dict[str, Any]]) -> dict[str, Any]:
    assert len(found) == 1, found
    return found[0]


def test_a_gather_in_a_loop_counts_by_its_trips(shown: dict[str, Any]) -> None:
    """Each device holds half of 64 x 64 float32 and sends it to the one other of its group, five times."""
    gather = one(shown["collectives"]["loop"])
    assert (gather["axes"], gather["kind"], gather["count"]) == (["data"], "all-gather", 5)
    assert (gather["array_bytes"], gather["sent_bytes"]) == (5 * 16384, 5 * 8192)


def test_sums_over_pods_and_over_model_are_told_apart(shown: dict[str, Any]) -> None:
    """A sum of 4,096 float32 over two pods; products of 16 x 24 whose inner axis is divided over `model`."""
    over_pods, over_model = one(shown["collectives"]["pod"]), one(shown["collectives"]["model"])
    assert (over_pods["axes"], over_pods["array_bytes"], over_pods["sent_bytes"]) == (["pod"], 16384, 16384)
    assert (over_model["axes"], over_model["array_bytes"]) == (["model"], 16 * 24 * 4)


def test_a_plan_holds_the_steps_parameters_memory_and_flops(shown: dict[str, Any]) -> None:
    written = shown["one"]["written"]
    assert written["parameters"] == 2 * 64 * (64 + 2 * 16 + 64 + 3 * 256 + 1) + 512 * 64
    assert written["mesh"] == {"pod": 1, "data": 4, "model": 2}
    state = 3 * 4 * written["parameters"] / 8
    assert state < written["memory"]["arguments"] < 1.5 * state  # what is repeated is small
    assert written["memory"]["total"] >= written["memory"]["arguments"] + written["memory"]["temporaries"]
    assert written["flops"] == pytest.approx(written["expected_flops"], rel=0.15)
    assert written["times"] is None
    assert written["setting"]["model"]["compute_dtype"] == "float32"


def test_the_table_names_what_is_written(shown: dict[str, Any]) -> None:
    printed = shown["one"]["printed"]
    assert "tiny on 1 x cpu:8" in printed
    assert "pod 1 x data 4 x model 2" in printed
    assert {"all-gather", "parameters", "temporaries", "rematerialisation"} <= {
        *printed.replace(",", " ").split()
    }


def test_gradients_cross_between_pods_once(shown: dict[str, Any]) -> None:
    """Each of two hosts sends all gradients to the other, 4 bytes a weight, and a few scalars; the embedding's in two
    parts, by lookup and by output."""
    written = shown["pods"]["written"]
    gradients = 4 * (written["parameters"] + 512 * 64)
    assert 4 * written["parameters"] <= written["bytes_per_host_pair"] <= 1.01 * gradients


def test_a_sweep_ranks_what_fits_and_says_why_the_rest_does_not(shown: dict[str, Any]) -> None:
    printed, written = shown["sweep"]["printed"], shown["sweep"]["written"]
    assert "1 of 4 candidates fit" in printed
    assert "batch 3, full: --batch 3 sequences cannot be divided" in printed
    assert "which 8 devices along mesh axis 'model' do not divide; 1, 2 or 4 would" in printed
    assert [bool(entry["refusal"]) for entry in written] == [False, True, True, True]


@needs_libtpu
def test_a_tpus_plan_estimates_time_and_utilisation(shown: dict[str, Any]) -> None:
    written = shown["tpu"]["written"]
    assert written["memory"]["capacity"] == 16 * 2**30
    assert written["flops"] == pytest.approx(written["expected_flops"], rel=0.15)
    assert written["uncounted_kernels"] == []
    times = written["times"]
    assert times["computing"] > written["flops"] / 197e12  # no faster than the peak
    assert times["step"] == times["computing"] + times["waiting"] + times["between_pods"]
    assert 0 < times["mfu"] <= times["hfu"] < 1
    assert {axis for entry in written["collectives"] for axis in entry["axes"]} == {"data", "model"}
    assert written["setting"]["model"]["compute_dtype"] == "bfloat16"


@needs_libtpu
def test_what_the_compiler_refuses_is_a_sentence(shown: dict[str, Any]) -> None:
    assert shown["odd"]["error"].startswith("--topology v5e:3x3: libtpu refuses it (Topology layout")
    refused = shown["full"]["error"]
    assert refused.startswith(
        "tiny with 262144 sequences a step on 1 x v5e:2x2 does not fit a chip's memory ("
    )
    assert "smaller --batch" in refused
    assert "\n" not in refused


@needs_libtpu
def test_a_bandwidth_that_nobody_publishes_is_asked_for(shown: dict[str, Any]) -> None:
    assert shown["network"]["error"].endswith("over the data-centre network; give --dcn-gbps.")
