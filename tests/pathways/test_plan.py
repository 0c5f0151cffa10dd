"""What `palmetto plan` is asked, and the sentences it answers with where it cannot; nothing is compiled here."""

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmetto.cli.plan import Plan, read_mesh
from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Silent, Terminal
from palmetto.pathways import libtpu
from palmetto.pathways.plan import Setting
from palmetto.pathways.sweep import Outcome, all_meshes, growing, try_all
from palmetto.pathways.topology import CHIPS, open_machine
from palmetto.recipes.training import run_recipe
from palmetto.sharding import MeshConfig


def setting(batch: int = 2048, pods: int = 2) -> Setting:
    run = run_recipe("palm_540b")
    mesh = MeshConfig(pods, 256, 12)
    return Setting(run.model, run.training.optimizer, run.training.execution, mesh, batch)


@given(data=st.integers(1, 999), model=st.integers(1, 99), pods=st.integers(1, 9))
def test_a_mesh_is_read_as_it_is_written(data: int, model: int, pods: int) -> None:
    assert read_mesh(f"data={data},model={model}", pods) == MeshConfig(pods, data, model)
    assert read_mesh(f"model={model}, pod={pods}", pods) == MeshConfig(pods, -1, model)
    assert read_mesh("", pods) == MeshConfig(pods, -1, 1)


@pytest.mark.parametrize("text", ["256x12", "data=0", "rows=3", "data=", "data=-2", "data=2;model=3"])
def test_a_mesh_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(PalmettoError, match="write it as data=256,model=12"):
        read_mesh(text, 1)


def test_two_numbers_of_pods_are_refused() -> None:
    with pytest.raises(PalmettoError, match="has 4 pods and --pods is 2"):
        read_mesh("pod=4,data=2", 2)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("v9:4x4", "'v9:4x4' is not known; there is v4, v5e, v5p, v6e"),
        ("v4", "is not known"),
        ("v4-8", "is not known"),
        ("v4:16x16", "v4 is named v4:AxBxC"),
        ("v5e:16", "v5e is named v5e:AxB"),
        ("v5p:0x2x2", "each at least 1"),
        ("cpu:2x2", "cpu is named cpu:N"),
    ],
)
def test_an_unknown_topology_is_a_sentence(name: str, sentence: str) -> None:
    with pytest.raises(PalmettoError, match=sentence):
        open_machine(name)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PalmettoError, match=r"pip install 'palmetto\[tpu-plan\]'"):
        open_machine("v5e:4x4")
    with pytest.raises(PalmettoError, match=r"pip install 'palmetto\[cuda\]'"):
        open_machine("gpu:8")


def test_more_cpu_devices_than_a_started_process_has_are_refused() -> None:
    assert len(open_machine("cpu:1").devices) == 1
    with pytest.raises(PalmettoError, match="CPU devices, not 64; plan in one of its own"):
        open_machine("cpu:32", pods=2)


def test_several_values_need_a_sweep() -> None:
    with pytest.raises(PalmettoError, match="several values only with --sweep"):
        Plan("palm_160k", "cpu:1", batch=(8, 16)).run(Terminal())


def test_chips_clocks_are_those_printed() -> None:
    """v4: 1,050 MHz (Jouppi et al., 2023, table 4)."""
    assert CHIPS["v4"].clock_hz == pytest.approx(1.05e9, rel=1e-3)
    assert all(1e9 < chip.clock_hz < 2e9 for chip in CHIPS.values())


def test_a_pods_devices_are_divided_in_every_way_the_heads_allow() -> None:
    found = all_meshes(run_recipe("palm_540b").model, 2, 3072)
    assert MeshConfig(2, 256, 12) in found
    assert all((mesh.pod, mesh.data * mesh.model, 48 % mesh.model) == (2, 3072, 0) for mesh in found)
    assert [mesh.model for mesh in found] == [1, 2, 3, 4, 6, 8, 12, 16, 24, 48]


def test_the_batch_grows_with_the_pods() -> None:
    grown = growing(setting())
    assert [(one.mesh.pod, one.batch) for one in grown] == [(1, 1024), (2, 2048), (4, 4096), (8, 8192)]


def test_a_candidate_that_cannot_run_stops_no_other() -> None:
    def make(one: Setting) -> None:
        raise PalmettoError(f"{one.batch} is too many")

    outcomes = try_all([setting(8), setting(16)], make, Silent())  # type: ignore[arg-type]
    assert [one.refusal for one in outcomes] == ["8 is too many", "16 is too many"]
    assert outcomes[0] == Outcome(setting(8), None, "8 is too many")
    assert outcomes[0].cost == float("inf")


@pytest.mark.parametrize(
    ("vendor", "kind", "found"),
    [
        ("0x1ae0", "0x120000", True),
        ("0x1ae0", "0x020000", False),
        ("0x1ae0", "0x010802", False),
        ("0x10de", "0x030200", False),
    ],
)
def test_a_tpu_is_told_from_googles_network_cards_and_disks(
    vendor: str, kind: str, found: bool, tmp_path: Path
) -> None:
    device = tmp_path / "0000:00:04.0"
    device.mkdir()
    (device / "vendor").write_text(vendor + "\n")
    (device / "class").write_text(kind + "\n")
    assert libtpu.tpu_attached(tmp_path) is found


@pytest.mark.parametrize(("plugin", "platform"), [(True, None), (False, "cpu")])
def test_without_a_tpu_jax_is_spared_looking_for_one(
    plugin: bool, platform: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a GPU may be found JAX still looks; nothing a user set is changed."""
    there = {"libtpu", *(["jax_plugins"] if plugin else [])}
    environment = {"TPU_WORKER_HOSTNAMES": "mine"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name in there else None)
    monkeypatch.setattr(libtpu, "tpu_attached", lambda: False)
    monkeypatch.setattr("os.environ", environment)
    libtpu.spare_jax()
    assert environment.get("JAX_PLATFORMS") == platform
    assert (environment["TPU_SKIP_MDS_QUERY"], environment["TPU_WORKER_HOSTNAMES"]) == ("1", "mine")


def test_with_a_tpu_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    environment: dict[str, str] = {}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(libtpu, "tpu_attached", lambda: True)
    monkeypatch.setattr("os.environ", environment)
    libtpu.spare_jax()
    assert environment == {}
