"""Prompts and targets as records for finetuning: the loss counts on targets alone (paper, sections 6.6 and 6.7).

A record holds one example: its prompt, its target, [eod], and padding that counts for nothing. Several examples in a
record would see one another, since the paper masks nothing between documents; so there is one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from operator import index
from pathlib import Path
from typing import Any, Protocol, SupportsIndex, runtime_checkable

import numpy as np
from jaxtyping import Int32

from palmetto.common.errors import PalmettoError
from palmetto.common.files import hash_json, sha256_bytes
from palmetto.common.json_lines import BadLineError, json_objects, text_field
from palmetto.common.progress import Reporter

# Examples that the tokenizer is given at once.
_CHUNK = 1024
_OTHER_FIELDS = "name the fields with --prompt-field and --target-field"


@dataclass(frozen=True)
class Example:
    """What a model is given, and what it should answer."""

    prompt: str
    """May be empty: the answer then follows [eod], as the start of a document does."""

    target: str
    """Never empty."""


@runtime_checkable
class Encoder(Protocol):
    """What is needed of a tokenizer."""

    eod_id: int

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text."""


def read_examples(path: Path, *, prompt_field: str = "prompt", target_field: str = "target") -> list[Example]:
    """Read JSON lines of examples, compressed when the name ends in `.gz`; blank lines and other fields are left out.

    Raises:
        PalmettoError: the file is missing, damaged or holds no example; or a line is not UTF-8 or JSON, lacks a
            field, or has an empty target. The line is named.
    """
    examples = []
    try:
        for number, value in json_objects(path):
            fields = (prompt_field, target_field)
            prompt, target = (text_field(value, field, f"line {number}", _OTHER_FIELDS) for field in fields)
            if not target:
                raise BadLineError(
                    f"line {number}: field {target_field!r} is empty; give an answer or remove the line"
                )
            examples.append(Example(prompt, target))
    except BadLineError as error:
        raise PalmettoError(f"{path}, {error}.") from None
    except (FileNotFoundError, IsADirectoryError):
        raise PalmettoError(f"{path} is not a file; name a file of JSON lines.") from None
    if not examples:
        shown = json.dumps({prompt_field: "2 + 2 =", target_field: " 4"})
        raise PalmettoError(f"{path} holds no examples; give JSON lines such as {shown}.")
    return examples


def split_examples(
    examples: Sequence[Example], fraction: float, seed: int
) -> tuple[list[Example], list[Example]]:
    """Return (training, validation) examples. Examples of one prompt stay together, so that none is given away.

    Args:
        examples: all of them.
        fraction: share of the prompts for validation, in (0, 1).
        seed: of the choice, which depends on it and the prompt alone.

    Raises:
        PalmettoError: `fraction` is out of range, or a side is empty.
    """
    if not 0 < fraction < 1:
        raise PalmettoError(f"--validation-fraction is {fraction}; it must be between 0 and 1.")
    sides: tuple[list[Example], list[Example]] = ([], [])
    for example in examples:
        # A hash, because a library's random numbers may change with its version.
        rank = int.from_bytes(sha256(f"{seed}:{example.prompt}".encode()).digest()[:8])
        sides[rank < fraction * 2**64].append(example)
    if not sides[0] or not sides[1]:
        raise PalmettoError(
            f"{len(examples)} examples split at --validation-fraction {fraction} leave none for "
            f"{'validation' if sides[0] else 'training'}; give more examples or another fraction."
        )
    return sides


@dataclass(frozen=True)
class EncodedExample:
    """An example that fits a record."""

    context: tuple[int, ...]
    """Token ids of the prompt; at least one."""

    target: tuple[int, ...]
    """Token ids of the target and [eod]."""


class ExampleRecords:
    """Examples as records [2, T] of int32: token ids, and 1 where a token is a target.

    T is `sequence_length` + 1. A prompt that does not fit loses tokens on its left. An example is left out when its
    target leaves no room for a single token of prompt. Both are counted in `facts`.

    Attributes:
        facts: "examples" that are records; "left_out"; "prompts_cut" and "prompt_tokens_cut"; "target_tokens", [eod]
            among them; "tokens" of all; "longest" of all examples as they were given, in tokens; "sha256".
    """

    def __init__(
        self,
        pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
        *,
        eod_id: int,
        sequence_length: int,
        name: str = "the examples",
    ) -> None:
        """Fit examples into records.

        Args:
            pairs: token ids of each prompt and its target, [eod] not among them.
            eod_id: ends each target; stands for an empty prompt; fills records.
            sequence_length: tokens the model is fed at once.
            name: how errors call them.

        Raises:
            PalmettoError: none of the examples fits.
        """
        self.sequence_length, self._eod, self._name = sequence_length, eod_id, name
        kept: list[np.ndarray] = []
        contexts, ends = [], [0]
        left_out = prompts_cut = tokens_cut = longest = 0
        for prompt, target in pairs:
            context = list(prompt) or [eod_id]
            longest = max(longest, len(context) + len(target) + 1)
            room = sequence_length - len(target)
            if room < 1:
                left_out += 1
                continue
            prompts_cut += len(context) > room
            tokens_cut += max(0, len(context) - room)
            kept.append(np.array([*context[-room:], *target, eod_id], np.int32))
            contexts.append(min(len(context), room))
            ends.append(ends[-1] + len(kept[-1]))
        if not kept:
            raise PalmettoError(
                f"None of the {len(pairs):,} examples of {name} fits: their targets have {sequence_length} tokens or "
                "more, and the model takes so many at once (--sequence-length)."
            )
        self._tokens, self._ends = np.concatenate(kept), np.array(ends, np.int64)
        self._contexts = np.array(contexts, np.int64)
        self.facts: dict[str, Any] = {
            "examples": len(kept),
            "left_out": left_out,
            "prompts_cut": prompts_cut,
            "prompt_tokens_cut": tokens_cut,
            "target_tokens": int(len(self._tokens) - self._contexts.sum()),
            "tokens": len(self._tokens),
            "longest": longest,
            "sha256": hash_json(
                [
                    sequence_length,
                    *(sha256_bytes(a.tobytes()) for a in (self._tokens, self._ends, self._contexts)),
                ]
            ),
        }

    def __len__(self) -> int:
        return len(self._contexts)

    def example(self, number: SupportsIndex) -> EncodedExample:
        """Return the token ids of one example.

        Raises:
            IndexError: there is no such example. Nothing wraps round.
        """
        place = index(number)
        if not 0 <= place < len(self):
            raise IndexError(f"example {place} of {len(self)} in {self._name}")
        start, end = self._ends[place], self._ends[place + 1]
        middle = start + self._contexts[place]
        return EncodedExample(
            tuple(self._tokens[start:middle].tolist()), tuple(self._tokens[middle:end].tolist())
        )

    def __getitem__(self, record: SupportsIndex) -> Int32[np.ndarray, "2 T"]:
        """Return one record: token ids, and 1 where a token is a target.

        Raises:
            IndexError: as `example`.
        """
        example = self.example(record)
        first, used = len(example.context), len(example.context) + len(example.target)
        rows = np.zeros((2, self.sequence_length + 1), np.int32)
        rows[0] = self._eod
        rows[0, :used] = example.context + example.target
        rows[1, first:used] = 1
        return rows

    def __repr__(self) -> str:
        return f"ExampleRecords({self._name!r})"


def encode_examples(
    examples: Sequence[Example], tokenizer: Encoder, sequence_length: int, name: str, reporter: Reporter
) -> ExampleRecords:
    """Encode examples as a model meets them when it answers: the prompt by itself, and then the target.

    What was cut and left out is said.

    Args:
        examples: at least one.
        tokenizer: the model's.
        sequence_length: tokens the model is fed at once.
        name: how they are called, such as their file.
        reporter: shows progress.

    Raises:
        PalmettoError: none of them fits.
    """
    pairs: list[tuple[list[int], list[int]]] = []
    with reporter.bar(f"encode {name}", len(examples), "examples") as bar:
        for start in range(0, len(examples), _CHUNK):
            part = examples[start : start + _CHUNK]
            prompts = tokenizer.encode_batch([example.prompt for example in part])
            targets = tokenizer.encode_batch([example.target for example in part])
            pairs += zip(prompts, targets, strict=True)
            bar.advance(len(part))
    records = ExampleRecords(pairs, eod_id=tokenizer.eod_id, sequence_length=sequence_length, name=name)
    facts = records.facts
    if facts["prompts_cut"]:
        reporter.say(
            f"{name}: {facts['prompts_cut']:,} of {facts['examples']:,} prompts were too long with their targets for "
            f"{sequence_length} tokens and lost {facts['prompt_tokens_cut']:,} tokens on their left."
        )
    if facts["left_out"]:
        reporter.say(
            f"{name}: {facts['left_out']:,} examples were left out: their targets have {sequence_length} tokens or "
            "more."
        )
    return records
