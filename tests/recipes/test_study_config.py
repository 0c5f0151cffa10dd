"""What a study's recipe must hold together."""

from dataclasses import fields, replace

import pytest

from palmetto.common.errors import PalmettoError
from palmetto.recipes.config import StudyConfig, family, with_seed
from palmetto.recipes.models import palm_5m, palm_34m
from palmetto.recipes.studies import starter


def test_a_study_without_models_is_refused() -> None:
    with pytest.raises(PalmettoError, match=r"StudyConfig\.models is empty"):
        replace(starter(), models=())


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(PalmettoError, match="two models of one name: palm_5m, palm_5m"):
        replace(starter(), models=(palm_5m(), palm_5m()))


@pytest.mark.parametrize(("field", "value"), [("vocab_size", 8192), ("sequence_length", 512)])
def test_models_that_could_not_read_the_same_batches_are_refused(field: str, value: int) -> None:
    other = replace(palm_5m(), name="other", **{field: value})
    with pytest.raises(PalmettoError, match=f"differ in {field}"):
        replace(starter(), models=(palm_5m(), other))


def test_a_vocabulary_that_is_not_the_models_is_refused() -> None:
    config = starter()
    with pytest.raises(PalmettoError, match=r"tokenizer\.vocab_size is 512, but the models have 4096"):
        replace(config, tokenizer=replace(config.tokenizer, vocab_size=512))


def test_more_shots_than_exemplars_are_refused() -> None:
    config = starter()
    with pytest.raises(PalmettoError, match=r"asks for 9 exemplars and tasks\.n_exemplars is"):
        replace(config, evaluation=replace(config.evaluation, shots=(0, 9)))


def test_a_seed_reaches_every_part_that_has_one() -> None:
    config = with_seed(starter(), 41)
    parts = [config, *(getattr(config, field.name) for field in fields(StudyConfig))]
    seeds = [part.seed for part in parts if hasattr(part, "seed")]
    assert len(seeds) == 9
    assert set(seeds) == {41}


def test_a_seed_changes_nothing_else() -> None:
    assert with_seed(with_seed(starter(), 41), starter().seed) == starter()


def test_a_family_takes_the_largest_vocabulary_and_length() -> None:
    small, large = family((palm_5m(), palm_34m()))
    assert (small.name, large.name) == ("palm_5m", "palm_34m")
    assert small.vocab_size == large.vocab_size == 8192
    assert small.sequence_length == large.sequence_length == 2048
    assert small.d_model == palm_5m().d_model
