"""Hosts of islands, driven by hand in one process: equal bits for any number of islands, and what they refuse."""

from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_islands import MODEL, PODS, TRAINING, batches, host, islands, leaves, programs, start

from palmetto.common.errors import PalmettoError
from palmetto.pathways.exchange import cut, digest, layout, pack, place
from palmetto.pathways.host import Host, StaleError
from palmetto.pathways.islands import IslandsConfig
from palmetto.pathways.tree import cover, deal
from palmetto.sharding import make_mesh
from palmetto.training.config import TrainingConfig
from palmetto.training.schedules import BatchSize
from palmetto.training.state import abstract_state, make_train_step


def trained(number: int, transfer: str, steps: int = 3) -> tuple[list[dict[str, float]], set[str]]:
    """Train on so many islands; return the metrics of every step, and the checksums that the islands end with."""
    hosts = [host(islands(number, transfer=transfer)) for _ in range(number)]
    metrics = []
    for step, rows in enumerate(batches(steps)):
        pods, sums = np.split(rows, PODS), {}
        for owner, share in zip(hosts, deal(range(PODS), number), strict=True):
            for node in cover(share):
                sums[node] = (
                    owner,
                    owner.compute(step, node, number > 1, *(pods[pod] for pod in node.leaves())),
                )
        for taker in hosts:
            foreign = {node: sent for node, (owner, sent) in sums.items() if owner is not taker}
            taker.receive(step, list(foreign), *(part for sent in foreign.values() for part in sent))
        reports = [each.apply(step)["metrics"] for each in hosts]
        assert all(report == reports[0] for report in reports)
        metrics.append(reports[0])
    return metrics, {each.digest(steps) for each in hosts}


@pytest.mark.parametrize("transfer", ["float32", "bfloat16"])
def test_any_number_of_islands_gives_the_same_bits(transfer: str) -> None:
    alone = trained(1, transfer)
    assert len(alone[1]) == 1
    for number in (2, 3, 4):
        assert trained(number, transfer) == alone


def test_islands_train_as_one_mesh_does_to_rounding() -> None:
    """The oracle is the train step of one mesh, on whole batches."""
    metrics, _ = trained(2, "float32")
    step, state = make_train_step(MODEL, TRAINING.optimizer, make_mesh(TRAINING.mesh)), start()
    for rows, found in zip(batches(3), metrics, strict=True):
        state, expected = step(state, rows)
        assert found == pytest.approx({name: float(x) for name, x in expected._asdict().items()}, rel=1e-5)


def test_bfloat16_transfer_changes_the_gradients_and_not_the_parts_of_the_loss() -> None:
    (exact, *_), (rounded, *_) = trained(2, "float32")[0], trained(2, "bfloat16")[0]
    assert exact["loss"] == rounded["loss"] and exact["z_loss"] == rounded["z_loss"]
    assert exact["grad_norm"] != rounded["grad_norm"]
    assert exact["grad_norm"] == pytest.approx(rounded["grad_norm"], rel=1e-2)


def test_what_is_rounded_is_rounded_as_bfloat16_rounds() -> None:
    """The oracle is NumPy's own bfloat16 (ml_dtypes), on values of every size, ties among them."""
    components = programs("bfloat16")
    random = np.random.default_rng(0)

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        bits = random.integers(0, 2**32, shape, dtype=np.uint32)
        values = (
            np.where(random.random(shape) < 0.5, bits, bits & 0xFFFF8000).astype(np.uint32).view(np.float32)
        )
        return np.where(np.isfinite(values) & (np.abs(values) > 1e-37), values, np.float32(1.0))

    drawn = [draw(leaf.shape) for leaf in jax.tree.leaves(components.sum)]
    value = jax.tree.unflatten(jax.tree.structure(components.sum), [jnp.asarray(leaf) for leaf in drawn])
    grads, parts = components.as_sent(value)
    for found, given_ in zip(jax.tree.leaves(grads), drawn, strict=False):
        np.testing.assert_array_equal(np.asarray(found), given_.astype(ml_dtypes.bfloat16).astype(np.float32))
    assert [float(part) for part in parts] == [float(leaf) for leaf in drawn[-2:]]
    received = place(pack(grads, half=True), components.sum[0])
    for found, sent in zip(jax.tree.leaves(received), jax.tree.leaves(grads), strict=True):
        np.testing.assert_array_equal(np.asarray(found), np.asarray(sent))


def test_half_of_the_bytes_travel_as_bfloat16() -> None:
    grads = start().parameters
    whole, half = (sum(block.nbytes for block in pack(grads, half=half)) for half in (False, True))
    assert whole == 2 * half == sum(leaf.nbytes for leaf in jax.tree.leaves(grads))


def test_a_state_is_cut_into_blocks_and_put_together_again() -> None:
    state = start()
    abstract = abstract_state(MODEL, make_mesh(TRAINING.mesh))
    blocks = cut(leaves(state), layout(abstract))
    assert digest(blocks) == digest(pack(state))
    for found, expected in zip(leaves(place(blocks, abstract)), leaves(state), strict=True):
        np.testing.assert_array_equal(found, expected)


@given(st.integers(-2, 5).filter(lambda step: step != 0))
def test_a_call_for_another_step_is_refused(step: int) -> None:
    at_zero = REFUSING
    rows = batches(1)[0][: 8 // PODS]
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("give", ()),
        ("digest", ()),
        ("compute", ((0, 1), False, rows)),
        ("receive", ([],)),
        ("apply", ()),
    ]
    for method, arguments in calls:
        with pytest.raises(StaleError, match=f"asked for step {step}, at step 0"):
            getattr(at_zero, method)(step, *arguments)


REFUSING = host(islands())


def test_a_step_that_lacks_a_sum_is_refused_and_can_still_be_made() -> None:
    one, pods = host(islands()), np.split(batches(1)[0], PODS)
    before = one.digest(0)
    one.compute(0, (0, 2), False, *pods[:2])
    with pytest.raises(StaleError, match="virtual pod 2"):
        one.apply(0)
    assert one.digest(0) == before
    one.compute(0, (2, 2), False, *pods[2:])
    assert one.apply(0)["metrics"] == trained(1, "float32", steps=1)[0][0]


def test_a_state_that_was_changed_on_its_way_is_refused() -> None:
    giver, taker = host(islands()), host(islands())
    checksum, blocks = giver.give(0)
    blocks = [block.copy() for block in blocks]
    blocks[1].reshape(-1)[0] += 1
    with pytest.raises(PalmettoError, match="another checksum"):
        taker.take(0, checksum, blocks)
    with pytest.raises(StaleError):
        taker.digest(0)


def test_a_report_tells_the_bytes_received_and_where_the_time_went() -> None:
    one, other = host(islands()), host(islands())
    pods = np.split(batches(1)[0], PODS)
    sent = other.compute(0, (2, 2), True, *pods[2:])
    one.compute(0, (0, 2), True, *pods[:2])
    one.receive(0, [(2, 2)], *sent)
    report = one.apply(0)
    assert report["received_bytes"] == sum(leaf.nbytes for leaf in jax.tree.leaves(start().parameters))
    assert set(report["timing"]) == {"a", "transfer", "b", "idle"}
    assert min(report["timing"].values()) > 0


def test_batches_that_cannot_be_cut_are_refused_with_what_would_do() -> None:
    training = TrainingConfig(steps=1, batch_size=BatchSize((6,)))
    with pytest.raises(PalmettoError, match=r"\(6,\) are cut into 4 parts .* multiple of that"):
        Host(MODEL, training, islands()).form()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"virtual_pods": 3}, "power of two"),
        ({"number": 8}, r"at least islands.number \(8\)"),
        ({"hosts": 0}, "islands.hosts is 0"),
        ({"timeout_seconds": 0.0}, "above 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(PalmettoError, match=message):
        IslandsConfig(**change)


def test_config_json_records_what_decides_the_sum() -> None:
    assert islands(4, transfer="bfloat16").facts() == {
        "islands": {"virtual_pods": PODS, "transfer": "bfloat16"}
    }
