"""Small stand-ins for an engine and a tokenizer, and for what evaluations leave in a model's folder."""

import math

from palmetto.common.files import write_json, write_json_lines


class Codec:
    """One token per character, spaced out; 0 ends a document."""

    eod_id = 0

    def encode(self, text):
        return [ord(character) for character in text]

    def encode_batch(self, texts):
        return [self.encode(text) for text in texts]

    def decode(self, ids):
        return "".join(chr(number) for number in ids if number)


class RuleEngine:
    """Continues a prompt by a rule: a function from (prompt, count) to `count` tokens."""

    def __init__(self, rule, max_length=256):
        self.rule, self.max_length, self.prompts, self.sampling = rule, max_length, [], None

    def score(self, requests, reporter, description):
        raise AssertionError("no analysis here scores")

    def generate(self, prompts, sampling, reporter):
        self.prompts, self.sampling = list(prompts), sampling
        return [self.rule(tuple(prompt), sampling.max_new_tokens) for prompt in prompts]


def write_result(model, task, shots, scores, **changes):
    """Write a result and its samples: `scores` by item id."""
    folder = model / "results" / task
    folder.mkdir(parents=True, exist_ok=True)
    mean = sum(scores.values()) / len(scores)
    summary = {
        "format": 1,
        "task": task,
        "title": task.title(),
        "shots": shots,
        "preferred_metric": "acc",
        "score": mean,
        "ci_low": mean - 0.1,
        "ci_high": mean + 0.1,
        "chance": 0.25,
        "n_items": len(scores),
    }
    write_json(folder / f"{shots}-shot.json", summary | changes)
    rows = [{"id": identity, "score": score} for identity, score in scores.items()]
    write_json_lines(folder / f"{shots}-shot.samples.jsonl", rows)


def write_summary(model, bits_per_byte):
    """Write the part of a model's summary that the scaling analysis reads."""
    heldout = {"bits_per_byte": bits_per_byte, "ci_low": bits_per_byte - 0.1, "ci_high": bits_per_byte + 0.1}
    # Three documents; the same number of bits is spread over their bytes, unevenly.
    sizes = [100, 300, 600]
    spread = [0.8, 1.1, 0.9833333333333333]
    nats = [bits_per_byte * math.log(2) * size * share for size, share in zip(sizes, spread, strict=True)]
    heldout |= {"document_bytes": sizes, "document_nats": nats}
    write_json(model / "summary.json", {"heldout": heldout})
