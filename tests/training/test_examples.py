"""Examples as records: what is read and refused, what is a target, what is cut; the loss sees targets alone."""

import gzip
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Silent
from palmetto.model.config import ModelConfig
from palmetto.model.forward import forward
from palmetto.model.spec import initialise
from palmetto.training.batches import Batches
from palmetto.training.examples import (
    Example,
    ExampleRecords,
    encode_examples,
    read_examples,
    split_examples,
)
from palmetto.training.schedules import BatchSize
from palmetto.training.state import gradients

EOD = 0
MODEL = ModelConfig("tiny", n_layers=1, d_model=8, n_heads=2, head_dim=4, vocab_size=20, sequence_length=11)
TOKENS = st.lists(st.integers(1, 19), max_size=14)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_lines_are_read_in_order_and_other_fields_left_out(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.jsonl",
        '\ufeff{"prompt": "p", "target": "t", "id": 3}',
        "",
        '{"target": "ü", "prompt": ""}',
    )
    assert read_examples(file) == [Example("p", "t"), Example("", "ü")]


def test_fields_may_have_other_names_and_files_be_compressed(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl.gz"
    file.write_bytes(gzip.compress(b'{"question": "2 + 2 =", "answer": " 4"}\n'))
    assert read_examples(file, prompt_field="question", target_field="answer") == [Example("2 + 2 =", " 4")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"prompt": "p", "target": "t"}\n{"prompt": "p"\n', ("line 2", "not JSON", "mend or remove")),
        (b'["p", "t"]\n', ("line 1", "not a JSON object")),
        (
            b'\n{"prompt": "p", "answer": "t"}\n',
            ("line 2", "has no field 'target'", "prompt, answer", "--target-field"),
        ),
        (b'{"prompt": 4, "target": "t"}\n', ("line 1", "'prompt' is not a string")),
        (b'{"prompt": "p", "target": ""}\n', ("line 1", "'target' is empty")),
        (b'{"prompt": "p", "target": "t"}\n{"prompt": "\xff", "target": "t"}\n', ("line 2", "not UTF-8")),
        (b'{"prompt": "p", "target": "\\ud800"}\n', ("line 1", "lone surrogate")),
        (b"\n\n", ("holds no examples", '"prompt"')),
    ],
)
def test_a_bad_line_is_named_with_its_remedy(tmp_path: Path, content: bytes, words: tuple[str, ...]) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_bytes(content)
    with pytest.raises(PalmettoError) as caught:
        read_examples(file)
    for word in (str(file), *words):
        assert word in str(caught.value)


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PalmettoError, match="is not a file"):
        read_examples(tmp_path / name)


def test_a_compressed_file_cut_short_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl.gz"
    line = json.dumps({"prompt": "p" * 500, "target": "t"}).encode()
    file.write_bytes(gzip.compress(line)[:-9])
    with pytest.raises(PalmettoError, match="damaged"):
        read_examples(file)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=20, max_size=60, unique=False), st.integers(0, 5))
def test_examples_of_one_prompt_stay_on_one_side_whatever_their_order(prompts: list[int], seed: int) -> None:
    examples = [Example(f"p{prompt}", f"t{number}") for number, prompt in enumerate(prompts)]
    try:
        train, held = split_examples(examples, 0.4, seed)
    except PalmettoError:
        return
    assert sorted([*train, *held], key=repr) == sorted(examples, key=repr)
    assert not {example.prompt for example in train} & {example.prompt for example in held}
    again, _ = split_examples(examples[::-1], 0.4, seed)
    assert again[::-1] == train


def test_about_the_asked_share_is_held_out_and_another_seed_holds_out_others() -> None:
    examples = [Example(f"p{number}", "t") for number in range(2000)]
    (_, one), (_, other) = (split_examples(examples, 0.1, seed) for seed in (0, 1))
    # Four standard deviations of the binomial distribution.
    assert abs(len(one) - 200) < 54
    assert one != other


def test_a_split_with_an_empty_side_is_refused() -> None:
    with pytest.raises(PalmettoError, match="leave none for validation"):
        split_examples([Example("p", "t")] * 3, 1e-9, 0)
    with pytest.raises(PalmettoError, match="between 0 and 1"):
        split_examples([Example("p", "t")] * 3, 1.0, 0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(TOKENS, TOKENS.filter(bool)), min_size=1, max_size=8), st.integers(2, 24))
def test_a_record_is_prompt_target_eod_and_padding(
    pairs: list[tuple[list[int], list[int]]], length: int
) -> None:
    """The oracle builds each record anew, from lists: the whole example, then its last tokens, then the padding."""
    fitting = [(prompt or [EOD], [*target, EOD]) for prompt, target in pairs if len(target) < length]
    if not fitting:
        with pytest.raises(PalmettoError, match="None of the"):
            ExampleRecords(pairs, eod_id=EOD, sequence_length=length)
        return
    records = ExampleRecords(pairs, eod_id=EOD, sequence_length=length)
    assert len(records) == len(fitting)
    cut = []
    for number, (prompt, target) in enumerate(fitting):
        tokens = [*prompt, *target][-(length + 1) :]
        marks = [*[0] * (len(tokens) - len(target)), *[1] * len(target)]
        padding = length + 1 - len(tokens)
        assert records[number].tolist() == [[*tokens, *[EOD] * padding], [*marks, *[0] * padding]]
        assert records[number].dtype == np.int32
        example = records.example(number)
        assert (list(example.context) + list(example.target), list(example.target)) == (tokens, target)
        cut.append(len(prompt) + len(target) - len(tokens))
    facts = records.facts
    assert facts["examples"] == len(fitting)
    assert facts["left_out"] == len(pairs) - len(fitting)
    assert (facts["prompts_cut"], facts["prompt_tokens_cut"]) == (sum(map(bool, cut)), sum(cut))
    assert facts["target_tokens"] == sum(len(target) for _, target in fitting)
    assert facts["longest"] == max(max(1, len(prompt)) + len(target) + 1 for prompt, target in pairs)


def test_there_is_no_record_before_the_first_or_after_the_last() -> None:
    records = ExampleRecords([([1], [2])], eod_id=EOD, sequence_length=4)
    for number in (-1, 1):
        with pytest.raises(IndexError):
            records[number]


def test_other_examples_have_another_hash() -> None:
    pairs = [([1, 2], [3]), ([1], [2, 3]), ([1, 2], [4])]
    hashes = {ExampleRecords([pair], eod_id=EOD, sequence_length=6).facts["sha256"] for pair in pairs}
    assert len(hashes) == 3
    assert ExampleRecords([pairs[0]], eod_id=EOD, sequence_length=6).facts["sha256"] in hashes


PAIRS = [([1, 2, 3], [4, 5]), ([6], [7, 8, 9, 10]), ([11] * 9, [12]), ([], [13, 14])]


def test_the_loss_is_the_mean_over_targets_alone() -> None:
    """The oracle is a float64 log-softmax of each example's own logits, without padding."""
    parameters = initialise(MODEL, jax.random.key(1))
    records = ExampleRecords(PAIRS, eod_id=EOD, sequence_length=MODEL.sequence_length)
    _, parts = gradients(parameters, jnp.stack([records[number] for number in range(4)]), MODEL)
    losses = []
    for number in range(4):
        example = records.example(number)
        whole = np.array([*example.context, *example.target], np.int32)
        logits = np.asarray(forward(parameters, jnp.asarray(whole[None, :-1]), MODEL), np.float64)[0]
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        first = len(example.context) - 1
        losses += [-logs[place, whole[place + 1]] for place in range(first, len(whole) - 1)]
    assert len(losses) == records.facts["target_tokens"]
    np.testing.assert_allclose(float(parts.cross_entropy), np.mean(losses), rtol=1e-5)


def test_padding_changes_neither_loss_nor_gradient() -> None:
    parameters = initialise(MODEL, jax.random.key(1))
    records = ExampleRecords(PAIRS, eod_id=EOD, sequence_length=MODEL.sequence_length)
    batch = np.stack([records[number] for number in range(4)])
    other = batch.copy()
    for number in range(4):
        example = records.example(number)
        other[number, 0, len(example.context) + len(example.target) :] = 17
    assert (other != batch).any()
    one, two = (gradients(parameters, jnp.asarray(rows), MODEL) for rows in (batch, other))
    assert float(one[1].cross_entropy) == float(two[1].cross_entropy)
    for a, b in zip(jax.tree.leaves(one[0]), jax.tree.leaves(two[0]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_batches_take_records_with_a_plane_of_targets() -> None:
    records = ExampleRecords(PAIRS, eod_id=EOD, sequence_length=11)
    batches = Batches([records], BatchSize((2,)), seed=0, vocab_size=20)
    seen = np.concatenate([batches[0], batches[1]])
    assert seen.shape == (4, 2, 12)
    expected = sorted(records[number].tolist() for number in range(4))
    assert sorted(seen.tolist()) == expected


def test_a_token_outside_the_vocabulary_is_named_with_its_record() -> None:
    records = ExampleRecords(PAIRS, eod_id=EOD, sequence_length=11, name="answers.jsonl")
    with pytest.raises(PalmettoError, match=r"record 3 of source 0, ExampleRecords\('answers.jsonl'\)"):
        batches = Batches([records], BatchSize((4,)), seed=0, vocab_size=13 + 1)
        batches[0]


class Letters:
    """A letter a token."""

    eod_id = EOD

    def encode_batch(self, texts):
        return [[ord(letter) - ord("a") + 1 for letter in text] for text in texts]


class Said(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_what_is_cut_and_left_out_is_said() -> None:
    said = Said()
    examples = [Example("abc", "de"), Example("abcdefgh", "ij"), Example("a", "bcdefgh")]
    records = encode_examples(examples, Letters(), 6, "answers.jsonl", said)
    assert records.example(1).context == (5, 6, 7, 8)
    assert [line.split(": ")[0] for line in said.lines] == ["answers.jsonl"] * 2
    assert "1 of 2 prompts" in said.lines[0]
    assert "lost 4 tokens" in said.lines[0]
    assert "1 examples were left out" in said.lines[1]


def test_nothing_is_said_when_all_fits() -> None:
    said = Said()
    encode_examples([Example("abc", "de")], Letters(), 6, "answers.jsonl", said)
    assert said.lines == []
