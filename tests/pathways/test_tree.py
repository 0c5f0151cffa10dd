"""The tree of virtual pods: which subtrees are sent, and that the order of a sum is always the same."""

import functools
from itertools import pairwise

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmetto.pathways.tree import Node, cover, deal, total


def test_whole_subtrees_are_sent_and_no_more_of_them_than_needed() -> None:
    assert cover(range(8)) == [Node(0, 8)]
    assert cover([0, 1, 2, 3]) == [Node(0, 4)]
    assert cover([1, 2, 3]) == [Node(1, 1), Node(2, 2)]
    assert cover([2, 3, 4, 5]) == [Node(2, 2), Node(4, 2)]  # four in a row, but of two subtrees
    assert cover([]) == []


@given(st.sets(st.integers(0, 31)))
def test_subtrees_hold_exactly_the_pods_asked_for(pods: set[int]) -> None:
    nodes = cover(pods)
    assert sorted(pod for node in nodes for pod in node.leaves()) == sorted(pods)
    assert all(node.start % node.size == 0 and node.size & (node.size - 1) == 0 for node in nodes)
    for left, right in pairwise(nodes):
        assert (left.size, left.start + left.size, left.start % (2 * left.size)) != (
            right.size,
            right.start,
            0,
        )


@given(st.lists(st.integers(0, 99), unique=True), st.integers(1, 9))
def test_pods_are_dealt_out_evenly_and_in_order(pods: list[int], ways: int) -> None:
    shares = deal(pods, ways)
    assert [pod for share in shares for pod in share] == pods
    sizes = [len(share) for share in shares]
    assert len(sizes) == ways and max(sizes) - min(sizes) <= 1 and sizes == sorted(sizes, reverse=True)


def test_the_order_of_a_sum_is_that_of_the_balanced_tree() -> None:
    written = total(
        Node(0, 8),
        lambda node: str(node.start) if node.size == 1 else None,
        lambda left, right: f"({left}+{right})",
    )
    assert written == "(((0+1)+(2+3))+((4+5)+(6+7)))"


def test_a_pod_that_nobody_summed_is_named() -> None:
    held = {Node(0, 2): 1.0, Node(3, 1): 1.0}
    with pytest.raises(LookupError, match="virtual pod 2"):
        total(Node(0, 4), held.get, lambda left, right: left + right)


def rounded(value: np.float32) -> np.float32:
    """The oracle of what may cross islands: NumPy's own bfloat16."""
    return value.astype(ml_dtypes.bfloat16).astype(np.float32)


@given(
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=8, max_size=8),
    st.sets(st.integers(1, 7)),
    st.booleans(),
)
def test_any_division_into_islands_gives_the_bits_of_one(
    values: list[float], cuts: set[int], bf16: bool
) -> None:
    leaves = [np.float32(value) for value in values]

    def add(left: np.float32, right: np.float32) -> np.float32:
        return rounded(left) + rounded(right) if bf16 else left + right

    def leaf(node: Node) -> np.float32 | None:
        return leaves[node.start] if node.size == 1 else None

    alone = total(Node(0, 8), leaf, add)
    edges = [0, *sorted(cuts), 8]
    sums = {node: total(node, leaf, add) for low, high in pairwise(edges) for node in cover(range(low, high))}
    sent = {node: rounded(value) if bf16 and node.size < 8 else value for node, value in sums.items()}
    assert total(Node(0, 8), sent.get, add).tobytes() == alone.tobytes()


def test_a_plain_sum_from_left_to_right_has_other_bits() -> None:
    """The order is not a formality."""
    leaves = np.array([1e8, 1, -1e8, 1], np.float32)
    by_tree = total(Node(0, 4), lambda node: leaves[node.start] if node.size == 1 else None, np.add)
    assert functools.reduce(np.add, leaves).tobytes() != by_tree.tobytes()
