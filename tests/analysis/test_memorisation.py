"""Memorisation of PaLM section 7, on engines made to know a planted part of the spans."""

import numpy as np
import pytest
from analysis_fakes import Codec, RuleEngine

from palmetto.analysis.config import MemorisationConfig
from palmetto.analysis.memorisation import measure_memorisation
from palmetto.analysis.spans import BINS, Spans, SpanSet
from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json
from palmetto.common.progress import Silent

CONFIG = MemorisationConfig(prompt_tokens=3, generated_tokens=4, n_examples=4)


def span_set(count, first, repetitions=1):
    """Return spans of which the first token names the span, from `first` on."""
    tokens = np.stack([np.arange(first + i, first + i + 7) % 500 + 32 for i in range(count)])
    return SpanSet(tokens.astype(np.int64), np.full(count, repetitions, np.int64))


def spans():
    empty = span_set(1, 0).take(np.zeros(0, np.int64))
    bins = [span_set(5, 0), span_set(4, 100, 2), *[empty] * 3, span_set(2, 200, 70)]
    return Spans(train=span_set(10, 0), heldout=span_set(8, 300, 0), by_repetition=tuple(bins))


def counting(prompt, count):
    """Continue the way every span goes on."""
    return [(prompt[-1] + 1 + i - 32) % 500 + 32 for i in range(count)]


def knowing(known, wrong_after=1):
    """Return a rule that goes on rightly where the prompt's name is `known`, else errs after some tokens."""

    def rule(prompt, count):
        right = counting(prompt, count)
        return right if prompt[0] - 32 in known else right[:wrong_after] + [7] * (count - wrong_after)

    return rule


def measure(tmp_path, rule, given=None, config=CONFIG, **engine):
    return measure_memorisation(
        RuleEngine(rule, **engine),
        Codec(),
        given or spans(),
        config=config,
        out=tmp_path / "memorisation.json",
        reporter=Silent(),
    )


def test_rates_are_those_of_what_the_model_knows(tmp_path):
    report = measure(tmp_path, knowing({0, 1, 2, 101, 200, 201, 305}))
    assert report == read_json(tmp_path / "memorisation.json")
    assert (report["train"]["matches"], report["train"]["spans"], report["train"]["rate"]) == (3, 10, 0.3)
    assert (report["heldout"]["matches"], report["heldout"]["rate"]) == (1, 0.125)
    assert [row["rate"] for row in report["by_repetition"]] == [0.6, 0.25, None, None, None, 1.0]
    assert [row["repetitions"] for row in report["by_repetition"]] == [name for name, _, _ in BINS]
    assert (report["by_repetition"][-1]["low"], report["by_repetition"][-1]["high"]) == (51, None)


def test_intervals_are_wilsons(tmp_path):
    # oracle: the interval for 3 of 10 at 95 % as printed in textbooks, 0.108 to 0.603
    report = measure(tmp_path, knowing({0, 1, 2}))
    assert report["train"]["ci_low"] == pytest.approx(0.108, abs=5e-4)
    assert report["train"]["ci_high"] == pytest.approx(0.603, abs=5e-4)


def test_one_wrong_token_at_the_end_is_no_match(tmp_path):
    report = measure(tmp_path, knowing(set(), wrong_after=3))
    assert report["train"]["matches"] == 0
    assert report["train"]["matched_tokens"] == 3.0


def test_decoding_is_greedy_and_equal_prompts_are_asked_once(tmp_path):
    engine = RuleEngine(counting)
    measure_memorisation(engine, Codec(), spans(), config=CONFIG, out=tmp_path / "m.json", reporter=Silent())
    assert engine.sampling.temperature == 0.0
    assert len(engine.prompts) == len(set(engine.prompts)) == 10 + 8 + 4 + 2


def test_a_span_may_hold_the_end_of_document(tmp_path):
    tokens = np.array([[40, 0, 41, 42, 0, 43, 44]])
    one = SpanSet(tokens, np.array([1]))
    empty = one.take(np.zeros(0, np.int64))
    given = Spans(one, empty, tuple([empty] * len(BINS)))
    report = measure(tmp_path, lambda prompt, count: [42, 0, 43, 44], given)
    assert report["train"]["matches"] == 1
    assert report["examples"][0]["truth"] == "*+,"
    assert report["heldout"] == {
        "spans": 0,
        "matches": 0,
        "rate": None,
        "ci_low": None,
        "ci_high": None,
        "matched_tokens": None,
    }


def test_an_engine_that_stops_early_is_refused(tmp_path):
    with pytest.raises(ValueError, match="without a stop token"):
        measure(tmp_path, lambda prompt, count: [7] * (count - 1))


def test_spans_longer_than_the_model_are_an_error(tmp_path):
    with pytest.raises(PalmettoError, match="7 tokens do not fit the model's 6"):
        measure(tmp_path, counting, max_length=6)


def test_examples_are_memorised_spans_least_repeated_first_then_near_misses(tmp_path):
    def rule(prompt, count):
        name = prompt[0] - 32
        return knowing({200, 101}, wrong_after=3 if name in {5, 103} else 1)(prompt, count)

    examples = measure(tmp_path, rule)["examples"]
    assert [example["exact"] for example in examples] == [True, True, False, False]
    assert [example["repetitions"] for example in examples[:2]] == [2, 70]
    assert [example["matched_tokens"] for example in examples[2:]] == [3, 3]
    codec, first = Codec(), counting((32 + 101 + 2,), 4)
    assert examples[0]["truth"] == examples[0]["generated"] == codec.decode(first)
    assert examples[0]["prompt"] == codec.decode([133, 134, 135])


def test_where_all_is_memorised_the_examples_are_memorised_spans(tmp_path):
    examples = measure(tmp_path, counting)["examples"]
    assert [example["exact"] for example in examples] == [True] * 4
