"""How well a model answers finetuning examples: the loss of their targets, and whether it would write them itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from palmetto.common.progress import Reporter
from palmetto.evaluation.ports import TokenEngine
from palmetto.evaluation.statistics import PairedDifference, paired_bootstrap, wilson_interval
from palmetto.inference.types import ScoreRequest
from palmetto.training.examples import ExampleRecords

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Answers:
    """One model on examples, in their order."""

    nats: Float[np.ndarray, " N"]
    """Negative log-likelihood of each target, [eod] included."""

    tokens: Int[np.ndarray, " N"]
    """Tokens of each target, [eod] included."""

    exact: Bool[np.ndarray, " N"]
    """Whether greedy decoding writes the target, and ends it there."""

    @property
    def loss(self) -> float:
        """Nats a target token, over all of them: what training minimises, z-loss aside."""
        return float(self.nats.sum() / self.tokens.sum())

    @property
    def exact_match(self) -> float:
        """Share of targets that greedy decoding writes."""
        return float(self.exact.mean())


def answer(
    engine: TokenEngine,
    records: ExampleRecords,
    reporter: Reporter,
    *,
    items: Sequence[int] | None = None,
    description: str = "validation",
) -> Answers:
    """Score the targets of examples.

    Args:
        engine: the model.
        records: the examples, as they are for training.
        reporter: shows progress.
        items: which ones; all when left out.
        description: of the work, for the reporter.
    """
    chosen = [records.example(item) for item in (range(len(records)) if items is None else items)]
    requests = [ScoreRequest(example.context, example.target) for example in chosen]
    scores = engine.score(requests, reporter, description)
    return Answers(
        np.array([-score.log_prob for score in scores]),
        np.array([len(example.target) for example in chosen]),
        np.array([score.greedy for score in scores]),
    )


def compare(tuned: Answers, base: Answers, seed: int) -> dict[str, Any]:
    """Return what `summary.json` says of a tuned model and the one it began from, on the same examples.

    Intervals cover 95 %: Wilson's for a rate, and examples resampled in pairs for a difference. A loss in a
    difference is the mean over examples of nats a token, so that a long target counts as much as a short one.
    """
    saved = paired_bootstrap(base.nats / base.tokens, tuned.nats / tuned.tokens, _CONFIDENCE, seed=seed)
    gained = paired_bootstrap(
        tuned.exact.astype(np.int64), base.exact.astype(np.int64), _CONFIDENCE, seed=seed
    )
    return {
        "examples": len(tuned.nats),
        "target_tokens": int(tuned.tokens.sum()),
        "tuned": _described(tuned),
        "base": _described(base),
        "loss_saved": _difference(saved),
        "exact_match_gained": _difference(gained),
    }


def _described(answers: Answers) -> dict[str, Any]:
    low, high = wilson_interval(int(answers.exact.sum()), len(answers.exact), _CONFIDENCE)
    return {
        "loss": answers.loss,
        "exact_match": answers.exact_match,
        "exact_match_ci": [low, high],
        "example_nats": answers.nats.tolist(),
        "example_tokens": answers.tokens.tolist(),
        "example_exact": answers.exact.tolist(),
    }


def _difference(difference: PairedDifference) -> dict[str, float]:
    return {
        "difference": difference.difference,
        "ci_low": difference.low,
        "ci_high": difference.high,
        "p_value": difference.p_value,
    }
