"""Completions to look at: the same prompts for every size, with seeded sampling."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from palmetto.analysis.config import SamplesConfig
from palmetto.common.errors import PalmettoError
from palmetto.common.files import sha256_bytes, write_json
from palmetto.common.progress import Reporter
from palmetto.evaluation.ports import TextTokenizer, TokenEngine
from palmetto.inference.types import Sampling

_MIN_CHARACTERS_PER_TOKEN = (
    8  # a document this many times longer than the prompt is surely more than its prompt
)


def choose_prompts(heldout: Iterable[str], tokenizer: TextTokenizer, config: SamplesConfig) -> list[str]:
    """Return the config's prompts or, where it has none, beginnings of held-out documents.

    The choice depends on the documents' contents and the seed, not on their order; documents long enough to
    go on after their prompt come first. Streams: only the chosen documents are kept.

    Raises:
        PalmettoError: there is no held-out text to draw prompts from.
    """
    if config.prompts:
        return list(config.prompts)
    enough = config.prompt_tokens * _MIN_CHARACTERS_PER_TOKEN
    ranked = (
        (len(t) < enough, sha256_bytes(f"{config.seed}\0{t}".encode()), t) for t in heldout if t.strip()
    )
    chosen = heapq.nsmallest(config.n_prompts, ranked)
    # a character of several bytes may be cut in two by the last token
    prompts = [
        tokenizer.decode(tokenizer.encode(t)[: config.prompt_tokens]).rstrip("\ufffd") for *_, t in chosen
    ]
    if not prompts:
        raise PalmettoError("samples: no held-out document to draw prompts from; give samples.prompts.")
    return prompts


def write_samples(
    engine: TokenEngine,
    tokenizer: TextTokenizer,
    prompts: Sequence[str],
    *,
    config: SamplesConfig,
    out: Path,
    reporter: Reporter,
) -> dict[str, Any]:
    """Write one size's `samples.json` and return its contents.

    Args:
        engine: the model; with the end-of-document token as its stop token completions end with the document.
        tokenizer: encodes prompts and decodes completions. Prompts follow an end-of-document token.
        prompts: from `choose_prompts`.
        config: number of completions and how they are sampled.
        out: the file to write.
        reporter: shows the progress of the generation.

    Raises:
        PalmettoError: a prompt leaves no room for the completion.
    """
    encoded = [(tokenizer.eod_id, *tokenizer.encode(prompt)) for prompt in prompts]
    longest = max(map(len, encoded), default=0)
    if longest + config.max_new_tokens > engine.max_length:
        raise PalmettoError(
            f"samples: a prompt of {longest} tokens and {config.max_new_tokens} new ones do not fit the "
            f"model's {engine.max_length}; shorten samples.prompts, or lower prompt_tokens or max_new_tokens."
        )
    sampling = Sampling(
        config.max_new_tokens,
        temperature=config.temperature,
        top_k=config.top_k,
        top_p=config.top_p,
        seed=config.seed,
    )
    repeated = [prompt for prompt in encoded for _ in range(config.completions)]
    texts = [tokenizer.decode(new) for new in engine.generate(repeated, sampling, reporter=reporter)]
    report = {
        "format": 1,
        "prompts": [
            {
                "prompt": prompt,
                "completions": texts[number * config.completions : (number + 1) * config.completions],
                "sampling": asdict(sampling),
            }
            for number, prompt in enumerate(prompts)
        ],
    }
    write_json(out, report)
    return report
