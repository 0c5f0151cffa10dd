"""How a model's answers are measured: against the training loss, and against answers made by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from palmetto.common.progress import Silent
from palmetto.evaluation.statistics import wilson_interval
from palmetto.evaluation.targets import Answers, answer, compare
from palmetto.inference.engine import Engine
from palmetto.inference.types import Sampling
from palmetto.model.config import ModelConfig
from palmetto.model.spec import initialise
from palmetto.training.examples import ExampleRecords
from palmetto.training.state import gradients

EOD = 0
MODEL = ModelConfig("tiny", n_layers=1, d_model=8, n_heads=2, head_dim=4, vocab_size=20, sequence_length=32)


def records() -> ExampleRecords:
    draw = np.random.default_rng(0)
    pairs = [
        (
            draw.integers(1, 20, draw.integers(1, 25)).tolist(),
            draw.integers(1, 20, draw.integers(1, 6)).tolist(),
        )
        for _ in range(20)
    ]
    return ExampleRecords(pairs, eod_id=EOD, sequence_length=MODEL.sequence_length)


def test_the_loss_is_the_one_training_minimises() -> None:
    parameters, examples = initialise(MODEL, jax.random.key(2)), records()
    rows = jnp.stack([examples[number] for number in range(len(examples))])
    _, parts = gradients(parameters, rows, MODEL)
    seen = answer(Engine(MODEL, parameters), examples, Silent())
    np.testing.assert_allclose(seen.loss, float(parts.cross_entropy), rtol=1e-5)
    assert seen.tokens.sum() == examples.facts["target_tokens"]


def test_exact_match_says_what_greedy_generation_writes() -> None:
    """The oracle is generation itself: the targets of half of the examples are what the model writes."""
    parameters = initialise(MODEL, jax.random.key(2))
    engine = Engine(MODEL, parameters, stop_token=EOD)
    prompts = [[number, 3, number] for number in range(1, 15)]
    written = [tokens[:4] for tokens in engine.generate(prompts, Sampling(max_new_tokens=4))]
    pairs = [
        (prompt, tokens if number % 2 else [*tokens[:-1], (tokens[-1] + 1) % 20])
        for number, (prompt, tokens) in enumerate(zip(prompts, written, strict=True))
        if tokens
    ]
    examples = ExampleRecords(pairs, eod_id=EOD, sequence_length=MODEL.sequence_length)
    seen = answer(Engine(MODEL, parameters), examples, Silent())
    again = engine.generate([prompt for prompt, _ in pairs], Sampling(max_new_tokens=8))
    assert seen.exact.tolist() == [out == target for out, (_, target) in zip(again, pairs, strict=True)]


def test_some_items_are_those_of_all() -> None:
    parameters, examples = initialise(MODEL, jax.random.key(2)), records()
    engine = Engine(MODEL, parameters)
    whole, part = answer(engine, examples, Silent()), answer(engine, examples, Silent(), items=[3, 11])
    np.testing.assert_allclose(part.nats, whole.nats[[3, 11]], rtol=1e-5)


def answers(nats: list[float], tokens: list[int], exact: list[bool]) -> Answers:
    return Answers(np.array(nats), np.array(tokens), np.array(exact))


def test_a_comparison_is_better_minus_worse() -> None:
    base = answers([4.0, 9.0, 2.0, 8.0], [2, 3, 1, 4], [False, False, True, False])
    tuned = answers([2.0, 3.0, 1.0, 4.0], [2, 3, 1, 4], [True, True, True, False])
    figures = compare(tuned, base, seed=0)
    assert figures["tuned"]["loss"] == 1.0
    assert figures["base"]["loss"] == 2.3
    assert figures["loss_saved"]["difference"] == np.mean([1.0, 2.0, 1.0, 1.0])
    assert figures["loss_saved"]["ci_low"] >= 1.0
    assert figures["exact_match_gained"]["difference"] == 0.5
    assert figures["tuned"]["exact_match_ci"] == list(wilson_interval(3, 4, 0.95))


def test_equal_models_do_not_differ() -> None:
    same = answers([4.0, 9.0, 2.0], [2, 3, 1], [False, False, True])
    figures = compare(same, same, seed=0)
    for name in ("loss_saved", "exact_match_gained"):
        assert figures[name]["ci_low"] == figures[name]["difference"] == figures[name]["ci_high"] == 0.0
