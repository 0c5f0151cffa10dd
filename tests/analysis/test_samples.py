"""Completions to look at."""

import pytest
from analysis_fakes import Codec, RuleEngine

from palmetto.analysis.config import SamplesConfig
from palmetto.analysis.samples import choose_prompts, write_samples
from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json
from palmetto.common.progress import Silent

CONFIG = SamplesConfig(n_prompts=2, prompt_tokens=5, completions=3, max_new_tokens=4, seed=11)
DOCUMENTS = [f"document {number}: " + "text " * 20 for number in range(9)]


def test_given_prompts_are_taken_as_they_are():
    assert choose_prompts([], Codec(), SamplesConfig(prompts=("def ", "class "))) == ["def ", "class "]


def test_prompts_are_beginnings_of_heldout_documents():
    documents = [f"{name} " * 30 for name in ("alpha", "bravo", "delta")]
    prompts = choose_prompts(documents, Codec(), CONFIG)
    assert len(prompts) == 2
    assert set(prompts) < {"alpha", "bravo", "delta"}


def test_the_choice_does_not_depend_on_the_documents_order():
    assert choose_prompts(DOCUMENTS, Codec(), CONFIG) == choose_prompts(DOCUMENTS[::-1], Codec(), CONFIG)


def test_documents_that_end_with_their_prompt_come_last():
    assert choose_prompts(["tiny", "x " * 50, "y " * 50], Codec(), CONFIG)[0] != "tiny"
    assert "tiny" not in choose_prompts(["tiny", "x " * 50, "y " * 50], Codec(), CONFIG)


def test_a_character_cut_in_two_is_left_out():
    class Cutting(Codec):
        def decode(self, ids):
            return super().decode(ids) + "\ufffd"

    assert choose_prompts(["hello world " * 5], Cutting(), CONFIG) == ["hello"]


def test_no_heldout_text_is_an_error():
    with pytest.raises(PalmettoError, match=r"give samples\.prompts"):
        choose_prompts(["", " \n"], Codec(), CONFIG)


def write(tmp_path, engine, prompts):
    out = tmp_path / "samples.json"
    report = write_samples(engine, Codec(), prompts, config=CONFIG, out=out, reporter=Silent())
    assert report == read_json(out)
    return report


def test_every_prompt_gets_its_own_completions_and_the_sampling_is_written(tmp_path):
    engine = RuleEngine(lambda prompt, count: [prompt[-1]] * count)
    first, second = write(tmp_path, engine, ["ab", "cd"])["prompts"]
    assert (first["prompt"], first["completions"]) == ("ab", ["bbbb"] * 3)
    assert (second["prompt"], second["completions"]) == ("cd", ["dddd"] * 3)
    assert first["sampling"] == {
        "max_new_tokens": 4,
        "temperature": 0.8,
        "top_k": 40,
        "top_p": 1.0,
        "seed": 11,
    }


def test_prompts_follow_the_end_of_a_document(tmp_path):
    engine = RuleEngine(lambda prompt, count: [65])
    write(tmp_path, engine, ["ab"])
    assert engine.prompts[0] == (0, 97, 98)


def test_a_prompt_that_leaves_no_room_is_an_error(tmp_path):
    with pytest.raises(PalmettoError, match="prompt of 3 tokens and 4 new ones"):
        write(tmp_path, RuleEngine(lambda prompt, count: [], max_length=6), ["ab"])


def test_one_string_as_prompts_is_refused():
    config = SamplesConfig()
    object.__setattr__(config, "prompts", "def ")  # the constructor's own check runs in tests alone
    with pytest.raises(PalmettoError, match="give a tuple"):
        config.__post_init__()
