"""Does the model continue training text verbatim? (PaLM §7)

The first 50 tokens of a span are the prompt; the span is memorised when the 50 tokens generated greedily are
exactly its other 50. Reported for random training spans, by repetition count, and for held-out spans, which
say how much of it is text that anyone could guess.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from palmetto.analysis.config import MemorisationConfig
from palmetto.analysis.spans import BINS, Spans, SpanSet
from palmetto.common.errors import PalmettoError
from palmetto.common.files import write_json
from palmetto.common.progress import Reporter
from palmetto.evaluation.ports import TextTokenizer, TokenEngine
from palmetto.evaluation.statistics import wilson_interval
from palmetto.inference.types import Sampling


def measure_memorisation(
    engine: TokenEngine,
    tokenizer: TextTokenizer,
    spans: Spans,
    *,
    config: MemorisationConfig,
    out: Path,
    reporter: Reporter,
) -> dict[str, Any]:
    """Write one size's `memorisation.json` and return its contents.

    Every group of spans has "spans", "matches", "rate" with its Wilson interval (null without spans), and
    "matched_tokens", the mean number of generated tokens before the first wrong one. "examples" begins with
    memorised spans, the least repeated first; then come those that went right longest.

    Args:
        engine: the model. It must not stop at the end-of-document token, which spans may contain: load it
            without a stop token.
        tokenizer: decodes the examples.
        spans: from `choose_spans`, the same for every size.
        config: the one the spans were chosen with.
        out: the file to write.
        reporter: shows the progress of the generation.

    Raises:
        PalmettoError: the model cannot hold a span.
        ValueError: the engine stopped before all tokens were generated, or the spans have another length.
    """
    width = config.prompt_tokens + config.generated_tokens
    if width > engine.max_length:
        raise PalmettoError(
            f"memorisation: spans of {width} tokens do not fit the model's {engine.max_length}; "
            "lower memorisation.prompt_tokens and generated_tokens."
        )
    groups = [spans.train, spans.heldout, *spans.by_repetition]
    tokens = np.concatenate([group.tokens for group in groups])
    if tokens.shape[1] != width:
        raise ValueError(f"the spans have {tokens.shape[1]} tokens and the config says {width}")
    generated = _generate(engine, tokens[:, : config.prompt_tokens], config.generated_tokens, reporter)
    right = np.cumprod(generated == tokens[:, config.prompt_tokens :], axis=1).sum(axis=1)
    parts = np.split(right, np.cumsum([len(group.tokens) for group in groups])[:-1])
    report = {
        "format": 1,
        "prompt_tokens": config.prompt_tokens,
        "generated_tokens": config.generated_tokens,
        "confidence": config.confidence,
        "train": _rate(parts[0], config),
        "heldout": _rate(parts[1], config),
        "by_repetition": [
            {"repetitions": name, "low": low, "high": high, **_rate(part, config)}
            for (name, low, high), part in zip(BINS, parts[2:], strict=True)
        ],
        "examples": _examples(groups, generated, right, tokenizer, config),
    }
    write_json(out, report)
    return report


def _generate(
    engine: TokenEngine, prompts: Int64[np.ndarray, "N P"], new_tokens: int, reporter: Reporter
) -> Int64[np.ndarray, "N {new_tokens}"]:
    """Continue every prompt greedily; equal prompts are asked once."""
    unique, inverse = np.unique(prompts, axis=0, return_inverse=True)
    sampling = Sampling(max_new_tokens=new_tokens, temperature=0.0)
    answers = engine.generate([tuple(prompt) for prompt in unique.tolist()], sampling, reporter=reporter)
    if any(len(answer) != new_tokens for answer in answers):
        raise ValueError(
            f"the engine gave fewer than {new_tokens} tokens; memorisation needs one without a stop token"
        )
    return np.array(answers, np.int64).reshape(-1, new_tokens)[inverse.reshape(-1)]


def _rate(right: Int64[np.ndarray, " n"], config: MemorisationConfig) -> dict[str, Any]:
    spans, matches = len(right), int((right == config.generated_tokens).sum())
    if not spans:
        return dict.fromkeys(("spans", "matches"), 0) | dict.fromkeys(
            ("rate", "ci_low", "ci_high", "matched_tokens")
        )
    low, high = wilson_interval(matches, spans, config.confidence)
    return {
        "spans": spans,
        "matches": matches,
        "rate": matches / spans,
        "ci_low": low,
        "ci_high": high,
        "matched_tokens": float(right.mean()),
    }


def _examples(
    groups: Sequence[SpanSet],
    generated: Int64[np.ndarray, "N G"],
    right: Int64[np.ndarray, " N"],
    tokenizer: TextTokenizer,
    config: MemorisationConfig,
) -> list[dict[str, Any]]:
    """Return training spans in full: at most half memorised ones, then those that went right longest."""
    tokens = np.concatenate([group.tokens for group in groups])
    repetitions = np.concatenate([group.repetitions for group in groups])
    training = np.ones(len(tokens), bool)
    training[len(groups[0].tokens) : len(groups[0].tokens) + len(groups[1].tokens)] = False
    first = np.sort(np.unique(tokens, axis=0, return_index=True)[1])
    places = [int(place) for place in first if training[place]]
    exact = sorted(
        (p for p in places if right[p] == config.generated_tokens), key=lambda p: (repetitions[p], p)
    )
    near = sorted((p for p in places if right[p] < config.generated_tokens), key=lambda p: (-right[p], p))
    memorised = exact[: max((config.n_examples + 1) // 2, config.n_examples - len(near))]
    shown = memorised + near[: config.n_examples - len(memorised)]
    return [
        {
            "prompt": tokenizer.decode(tokens[place, : config.prompt_tokens].tolist()),
            "truth": tokenizer.decode(tokens[place, config.prompt_tokens :].tolist()),
            "generated": tokenizer.decode(generated[place].tolist()),
            "repetitions": int(repetitions[place]),
            "matched_tokens": int(right[place]),
            "exact": bool(right[place] == config.generated_tokens),
        }
        for place in shown
    ]
