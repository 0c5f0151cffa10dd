"""Scores with everything shared equal scores one at a time; the oracle is the plain forward pass in `small_model`."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.small_model import CONFIG, logits, parameters, plain_score
from palmetto.common.errors import PalmettoError
from palmetto.inference.engine import Engine
from palmetto.inference.types import ScoreRequest

V, LONGEST = CONFIG.vocab_size, CONFIG.sequence_length
RNG = np.random.default_rng(5)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(CONFIG, parameters(), batch_tokens=4 * LONGEST)


def words(count: int) -> tuple[int, ...]:
    return tuple(map(int, RNG.integers(0, V, count)))


def check(engine: Engine, requests: list[ScoreRequest]) -> None:
    for request, score in zip(requests, engine.score(requests), strict=True):
        plain = plain_score(request)
        assert score.log_prob == pytest.approx(plain.log_prob, rel=1e-5), request
        assert (score.greedy, score.truncated) == (plain.greedy, plain.truncated), request


def test_unrelated_requests(engine: Engine) -> None:
    sizes = [(int(RNG.integers(1, 60)), int(RNG.integers(1, 30))) for _ in range(60)]
    check(engine, [ScoreRequest(words(context), words(continuation)) for context, continuation in sizes])


def test_requests_that_share_worked_examples(engine: Engine) -> None:
    """Long enough that the prefix is computed once; some contexts are the prefix itself and a little more."""
    prefix = words(40)
    questions = [prefix + words(int(RNG.integers(1, 20))) for _ in range(15)]
    requests = [
        ScoreRequest(question, words(int(RNG.integers(1, 12)))) for question in questions for _ in range(4)
    ]
    RNG.shuffle(requests)
    check(engine, requests)


def test_a_context_that_is_the_beginning_of_all_others(engine: Engine) -> None:
    prefix = words(48)
    check(engine, [ScoreRequest(prefix + words(extra), words(3)) for extra in range(12)])


def test_several_prefixes_at_once(engine: Engine) -> None:
    prefixes = [words(30), words(50), words(17)]
    check(engine, [ScoreRequest(prefix + words(5), words(2)) for prefix in prefixes for _ in range(20)])


def test_choices_of_one_question_that_do_not_fit_one_row(engine: Engine) -> None:
    context = words(50)
    check(engine, [ScoreRequest(context, words(int(RNG.integers(1, 40)))) for _ in range(25)])


def test_context_that_does_not_fit_loses_its_beginning(engine: Engine) -> None:
    sizes = [(200, 1), (96, 1), (97, 1), (96, 2), (1, 96), (5, 96), (90, 40)]
    check(engine, [ScoreRequest(words(context), words(continuation)) for context, continuation in sizes])


def test_single_tokens(engine: Engine) -> None:
    check(engine, [ScoreRequest((token,), (other,)) for token in range(0, V, 3) for other in range(0, V, 7)])


def test_the_same_request_twice_has_two_equal_answers(engine: Engine) -> None:
    request = ScoreRequest(words(10), words(5))
    first, second = engine.score([request, request])
    assert first.log_prob == pytest.approx(second.log_prob, rel=1e-6)
    assert first.greedy == second.greedy


def test_a_continuation_of_most_probable_tokens_is_greedy(engine: Engine) -> None:
    context, continuation = list(words(10)), []
    for _ in range(6):
        continuation.append(int(logits([*context, *continuation])[-1].argmax()))
    wrong = [*continuation[:-1], (continuation[-1] + 1) % V]
    scores = engine.score([ScoreRequest(tuple(context), tuple(answer)) for answer in (continuation, wrong)])
    assert [score.greedy for score in scores] == [True, False]


token = st.integers(0, V - 1)
run = st.lists(token, min_size=1, max_size=30).map(tuple)


@settings(max_examples=15, deadline=None)
@given(
    run,
    st.lists(st.tuples(st.lists(token, max_size=20).map(tuple), run), min_size=1, max_size=30),
    st.integers(0, 3),
)
def test_any_list_of_requests(start: tuple[int, ...], parts: list[tuple], repeat: int) -> None:
    prefix = start * repeat
    requests = [ScoreRequest((0, *prefix, *context), continuation) for context, continuation in parts]
    check(Engine(CONFIG, parameters(), batch_tokens=4 * LONGEST), requests)


def test_answers_do_not_depend_on_what_else_is_asked(engine: Engine) -> None:
    requests = [ScoreRequest(words(20), words(4)) for _ in range(30)]
    together = engine.score(requests)
    alone = [engine.score([request])[0] for request in requests]
    np.testing.assert_allclose([s.log_prob for s in together], [s.log_prob for s in alone], rtol=1e-6)


def test_no_requests_give_no_answers(engine: Engine) -> None:
    assert engine.score([]) == []


@pytest.mark.parametrize("request_", [((), (1,)), ((1,), ()), ((1,), (1,) * (LONGEST + 1))])
def test_a_request_that_cannot_be_answered_is_named(engine: Engine, request_: tuple) -> None:
    with pytest.raises(PalmettoError, match="Score request 1 has"):
        engine.score([ScoreRequest((1,), (2,)), ScoreRequest(*request_)])
