"""Packing: whatever the requests, every token asked for is read off once, in the right place."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from palmetto.inference.packing import Batch, fit, group_requests, pack, prefix_bucket, row_length
from palmetto.inference.types import ScoreRequest

LONGEST, ROWS = 64, 3
token = st.integers(1, 5)
text = st.lists(token, min_size=1, max_size=25).map(tuple)


@st.composite
def request_lists(draw: st.DrawFn) -> list[tuple]:
    """Requests with shared beginnings and shared contexts, some too long."""
    starts = draw(st.lists(st.lists(token, max_size=40).map(tuple), min_size=1, max_size=3))
    contexts = draw(st.lists(st.tuples(st.sampled_from(starts), text), min_size=1, max_size=12))
    asked = draw(st.lists(st.tuples(st.sampled_from(contexts), text), min_size=1, max_size=40))
    return [((*start, *rest), continuation) for (start, rest), continuation in asked]


def fitted_to(longest: int, pairs: list[tuple]) -> list[ScoreRequest]:
    return [fit(ScoreRequest(context, continuation), longest)[0] for context, continuation in pairs]


def seen_by(batch: Batch, prefix: tuple[int, ...], slot: int) -> tuple[int, ...]:
    """The oracle: what a slot sees by the rule of trees, told by position, one slot at a time."""
    row, place = divmod(slot, batch.tokens.shape[1])
    tree, branch = batch.tree[row, place], batch.branch[row, place]
    assert tree >= 0
    visible = [
        (int(batch.positions[row, other]), int(batch.tokens[row, other]))
        for other in range(place + 1)
        if batch.tree[row, other] == tree and batch.branch[row, other] in (0, branch)
    ]
    assert [position for position, _ in visible] == list(range(len(prefix), len(prefix) + len(visible)))
    return (*prefix, *(token for _, token in visible))


@settings(max_examples=60, deadline=None)
@given(request_lists())
def test_every_token_of_every_request_is_read_once_after_what_precedes_it(pairs: list[tuple]) -> None:
    fitted = fitted_to(LONGEST, pairs)
    row = row_length(fitted, LONGEST)
    found: Counter[tuple] = Counter()
    for group in group_requests(fitted, row):
        assert len(group.prefix) <= prefix_bucket(len(group.prefix), LONGEST)
        for batch in pack(group, row, ROWS):
            assert batch.tokens.shape == (ROWS, row)
            for slot, target, owner in zip(
                batch.pair_slot, batch.pair_target, batch.pair_request, strict=True
            ):
                if owner >= 0:
                    found[int(owner), seen_by(batch, group.prefix, int(slot)), int(target)] += 1
    wanted = Counter(
        (number, (*request.context, *request.continuation[:place]), target)
        for number, request in enumerate(fitted)
        for place, target in enumerate(request.continuation)
    )
    assert found == wanted


@settings(max_examples=30, deadline=None)
@given(request_lists())
def test_equal_lists_give_equal_batches(pairs: list[tuple]) -> None:
    fitted = fitted_to(LONGEST, pairs)
    row = row_length(fitted, LONGEST)
    once, again = (
        [batch for group in group_requests(list(fitted), row) for batch in pack(group, row, ROWS)]
        for _ in range(2)
    )
    for one, other in zip(once, again, strict=True):
        for name in vars(one):
            np.testing.assert_array_equal(vars(one)[name], vars(other)[name])


@given(text, text, st.integers(1, 30))
def test_fit_drops_as_little_as_it_must_from_the_left(
    context: tuple, continuation: tuple, longest: int
) -> None:
    if len(continuation) > longest:
        return
    short, dropped = fit(ScoreRequest(context, continuation), longest)
    assert context[dropped:] == short.context
    assert short.continuation == continuation
    fed = len(short.context) + len(continuation) - 1
    assert fed <= longest
    assert dropped == 0 or fed == longest
    assert short.context


def test_a_tree_longer_than_a_row_is_divided() -> None:
    requests = [ScoreRequest((1,) * 20, (2,) * 30) for _ in range(5)]
    (group,) = group_requests(requests, 49)
    batches = pack(group, 49, 2)
    assert sum(int((batch.pair_request >= 0).sum()) for batch in batches) == 150
    assert len(batches) == 3


def test_worked_examples_that_many_requests_share_become_a_prefix() -> None:
    examples = tuple(range(1, 41))
    requests = [ScoreRequest((*examples, 50 + number, 7), (8, 9)) for number in range(30)]
    (group,) = group_requests(requests, LONGEST)
    assert group.prefix == examples
    assert [tree.stem for tree in group.trees] == [(50 + number, 7) for number in range(30)]
