"""The fixed binary tree in which virtual pods' gradients are summed, whoever holds which of them.

Floating-point sums depend on their order. A batch is cut into V virtual pods, a power of two; their gradients are the
leaves of a balanced binary tree, and a sum is always that of its two halves, left and right. Islands hold whole
subtrees, so how many islands there are, and which of them died, changes who adds and never what is added to what.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Node(NamedTuple):
    """A subtree: the virtual pods from `start` on, `size` of them."""

    start: int
    size: int  # a power of two that divides `start`

    def leaves(self) -> range:
        """Return the virtual pods in it."""
        return range(self.start, self.start + self.size)


def cover(pods: Iterable[int]) -> list[Node]:
    """Return the fewest subtrees that hold exactly these virtual pods, from left to right."""
    left, nodes = set(pods), []
    while left:
        node = Node(min(left), 1)
        while node.start % (2 * node.size) == 0 and left.issuperset(Node(node.start, 2 * node.size).leaves()):
            node = Node(node.start, 2 * node.size)
        nodes.append(node)
        left.difference_update(node.leaves())
    return nodes


def deal(pods: Sequence[int], ways: int) -> list[list[int]]:
    """Return the virtual pods in `ways` runs whose lengths differ by at most one, the longer ones first."""
    each, more = divmod(len(pods), ways)
    edges = [number * each + min(number, more) for number in range(ways + 1)]
    return [list(pods[low:high]) for low, high in pairwise(edges)]


def total(node: Node, known: Callable[[Node], T | None], add: Callable[[T, T], T]) -> T:
    """Return the sum of a subtree, adding halves from the sums that are known.

    Raises:
        LookupError: a virtual pod is in none of them.
    """
    if (value := known(node)) is not None:
        return value
    if node.size == 1:
        raise LookupError(f"virtual pod {node.start} is in no sum")
    half = node.size // 2
    left, right = (Node(start, half) for start in (node.start, node.start + half))
    return add(total(left, known, add), total(right, known, add))
