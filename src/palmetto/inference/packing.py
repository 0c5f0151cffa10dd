"""Cuts a list of scoring requests into fixed-shape batches in which nothing shared is computed twice.

Three levels of sharing. Requests whose contexts begin alike form a group, and what they all begin with (the worked
examples of a few-shot task) is the group's *prefix*, computed once. Requests with the same context (the choices of
one question) form a *tree*: the rest of the context is its stem, their continuations its branches. Trees are packed
side by side into rows of equal length; a token sees the prefix, its stem and its own branch, nothing else.

Numpy only. Equal lists of requests give equal batches.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

from palmetto.inference.types import ScoreRequest

MIN_PREFIX = 16
"""Contexts that share fewer leading tokens are not grouped."""

_ROW_LENGTHS = (256, 512, 1024, 2048, 4096, 8192)
_PREFIX_LENGTHS = (0, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
_PAIR_SHARES = (16, 4, 1)


@dataclass(frozen=True)
class Branch:
    """One continuation of a tree: which request it answers and its tokens."""

    request: int
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Tree:
    """One context's rest after the prefix, and the continuations to score after it."""

    stem: tuple[int, ...]
    branches: tuple[Branch, ...]

    @property
    def slots(self) -> int:
        """Places in a row: the last token of a continuation is never fed."""
        return len(self.stem) + sum(len(branch.tokens) - 1 for branch in self.branches)

    @property
    def pairs(self) -> int:
        """Token probabilities to read off."""
        return sum(len(branch.tokens) for branch in self.branches)


@dataclass(frozen=True)
class Group:
    """Trees that share a prefix."""

    prefix: tuple[int, ...]
    trees: tuple[Tree, ...]


@dataclass(frozen=True)
class Batch:
    """Rows of packed trees. `N` rows, `R` slots a row, `K` (slot, target) pairs; unused places are padding."""

    tokens: Int32[np.ndarray, "N R"]
    positions: Int32[np.ndarray, "N R"]
    tree: Int32[np.ndarray, "N R"]  # which tree a slot belongs to; -1 is padding
    branch: Int32[np.ndarray, "N R"]  # 0 in the stem, then 1, 2, ...
    pair_slot: Int32[np.ndarray, " K"]  # flat slot whose state predicts ...
    pair_target: Int32[np.ndarray, " K"]  # ... this token
    pair_request: Int32[np.ndarray, " K"]  # for this request; -1 is padding


def fit(request: ScoreRequest, max_length: int) -> tuple[ScoreRequest, int]:
    """Drop context on the left until the request fits; returns it and how many tokens were dropped.

    The model is fed context and continuation but for the last token: at most `max_length` tokens.
    """
    excess = len(request.context) + len(request.continuation) - 1 - max_length
    if excess <= 0:
        return request, 0
    return ScoreRequest(request.context[excess:], request.continuation), excess


def group_requests(requests: Sequence[ScoreRequest], row_length: int) -> list[Group]:
    """Group fitted requests by shared prefix and shared context, in a canonical order."""
    by_context: dict[tuple[int, ...], list[Branch]] = defaultdict(list)
    for number, request in enumerate(requests):
        by_context[request.context].append(Branch(number, request.continuation))
    contexts = sorted(by_context)

    groups: list[Group] = []
    alone: list[Tree] = []
    for cluster in _clusters(contexts):
        shared = min(_common(cluster[0], cluster[-1]), min(map(len, cluster)) - 1)
        # A prefix costs a pass of its own and a batch that is not filled: below two rows saved it does not pay.
        saved = (len(cluster) - 1) * shared
        if shared < MIN_PREFIX or saved < 2 * row_length:
            shared = 0
        trees = [Tree(context[shared:], tuple(by_context[context])) for context in cluster]
        if shared:
            groups.append(Group(cluster[0][:shared], tuple(trees)))
        else:
            alone += trees
    if alone:
        groups.append(Group((), tuple(alone)))
    return groups


def _clusters(contexts: list[tuple[int, ...]]) -> list[list[tuple[int, ...]]]:
    """Split sorted contexts where the first `MIN_PREFIX` tokens change."""
    clusters: list[list[tuple[int, ...]]] = []
    for context in contexts:
        if clusters and clusters[-1][0][:MIN_PREFIX] == context[:MIN_PREFIX]:
            clusters[-1].append(context)
        else:
            clusters.append([context])
    return clusters


def _common(first: tuple[int, ...], last: tuple[int, ...]) -> int:
    """Length of the common beginning; of a sorted list, first and last share no more than any two do."""
    length = min(len(first), len(last))
    different = np.nonzero(np.array(first[:length]) != np.array(last[:length]))[0]
    return int(different[0]) if len(different) else length


def row_length(requests: Sequence[ScoreRequest], max_length: int) -> int:
    """Return the slots of a row: enough for any single request, and no less than the smallest bucket."""
    longest = max(len(request.context) + len(request.continuation) - 1 for request in requests)
    return bucket(longest, _ROW_LENGTHS, max_length)


def bucket(length: int, sizes: Sequence[int], largest: int) -> int:
    """Return the smallest of `sizes` that holds `length`, never above `largest`: few shapes, few compilations."""
    return min(next((size for size in sizes if size >= length), largest), max(largest, length))


def prefix_bucket(length: int, max_length: int) -> int:
    """Return the padded length of a prefix."""
    return bucket(length, _PREFIX_LENGTHS, max_length)


def pack(group: Group, row: int, rows: int) -> list[Batch]:
    """Pack a group's trees into batches of `rows` rows of `row` slots: first fit, largest first."""
    pieces = [piece for tree in group.trees for piece in _split(tree, row)]
    pieces.sort(key=lambda piece: (-piece.slots, piece.branches[0].request))
    filled: list[list[Tree]] = []
    free: list[tuple[int, int]] = []
    first_open = 0
    for piece in pieces:
        for place in range(first_open, len(filled)):
            slots, pairs = free[place]
            if piece.slots <= slots and piece.pairs <= pairs:
                break
        else:
            place = len(filled)
            filled.append([])
            free.append((row, row))
        filled[place].append(piece)
        free[place] = (free[place][0] - piece.slots, free[place][1] - piece.pairs)
        smallest = pieces[-1].slots
        while first_open < len(filled) and free[first_open][0] < smallest:
            first_open += 1
    return [_lay_out(filled[i : i + rows], len(group.prefix), row, rows) for i in range(0, len(filled), rows)]


def _split(tree: Tree, row: int) -> list[Tree]:
    """Divide a tree that is longer than a row; every part repeats the stem."""
    parts: list[list[Branch]] = [[]]
    slots, pairs = len(tree.stem), 0
    for branch in tree.branches:
        extra = len(branch.tokens) - 1
        if parts[-1] and (slots + extra > row or pairs + extra + 1 > row):
            parts.append([])
            slots, pairs = len(tree.stem), 0
        parts[-1].append(branch)
        slots, pairs = slots + extra, pairs + extra + 1
    return [Tree(tree.stem, tuple(part)) for part in parts]


def _lay_out(filled: list[list[Tree]], prefix: int, row: int, rows: int) -> Batch:
    shape = (rows, row)
    tokens, positions = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    tree_of, branch_of = np.full(shape, -1, np.int32), np.zeros(shape, np.int32)
    pairs: list[tuple[int, int, int]] = []
    for r, trees in enumerate(filled):
        slot = 0
        for number, tree in enumerate(trees):
            start, stem = slot, len(tree.stem)
            tokens[r, start : start + stem] = tree.stem
            positions[r, start : start + stem] = prefix + np.arange(stem)
            slot += stem
            last = r * row + slot - 1
            for index, branch in enumerate(tree.branches, start=1):
                fed = len(branch.tokens) - 1
                tokens[r, slot : slot + fed] = branch.tokens[:-1]
                positions[r, slot : slot + fed] = prefix + stem + np.arange(fed)
                branch_of[r, slot : slot + fed] = index
                sources = [last, *range(r * row + slot, r * row + slot + fed)]
                pairs += [
                    (source, token, branch.request)
                    for source, token in zip(sources, branch.tokens, strict=True)
                ]
                slot += fed
            tree_of[r, start:slot] = number
    capacity = next(row * rows // share for share in _PAIR_SHARES if row * rows // share >= len(pairs))
    table = np.array([*pairs, *[(0, 0, -1)] * (capacity - len(pairs))], np.int32)
    return Batch(tokens, positions, tree_of, branch_of, table[:, 0], table[:, 1], table[:, 2])
