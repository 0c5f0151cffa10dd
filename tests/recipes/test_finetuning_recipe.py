"""The paper's finetuning settings, and how steps and epochs are reckoned."""

import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmetto.common.errors import PalmettoError
from palmetto.recipes.finetuning import DROPOUT, FinetuningConfig, finetuning


def test_the_defaults_are_the_papers() -> None:
    """Sections 6.6 and 6.7: 5e-5, constant, and 32 examples a batch; the rest of the optimizer is pretraining's."""
    run = finetuning(FinetuningConfig(steps=15_000, dropout=DROPOUT), records=1000)
    assert run.batch_size.sizes == (32,)
    assert run.execution.dropout == 0.1
    rates = [float(run.optimizer.learning_rate(jnp.int32(step))) for step in (0, 1, 7_000, 14_999)]
    assert rates == [pytest.approx(5e-5, rel=1e-6)] * 4
    assert len(set(rates)) == 1
    assert (run.optimizer.beta1, run.optimizer.beta2_exponent, run.optimizer.clip_global_norm) == (
        0.9,
        0.8,
        1.0,
    )


@given(st.integers(1, 500), st.integers(1, 400), st.integers(1, 40))
def test_there_are_enough_epochs_for_the_steps_and_none_to_spare(
    records: int, steps: int, batch: int
) -> None:
    run = finetuning(FinetuningConfig(steps=steps, batch_size=batch), records)
    assert run.steps == steps
    assert (run.epochs - 1) * records < run.sequences() <= run.epochs * records


@given(st.integers(40, 500), st.floats(1, 6))
def test_epochs_give_whole_batches(records: int, epochs: float) -> None:
    run = finetuning(FinetuningConfig(epochs=epochs), records)
    assert 0 <= records * epochs - run.sequences() < 32 + 1


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (FinetuningConfig(steps=3, epochs=1.0), "give one"),
        (FinetuningConfig(epochs=1.0), "no whole batch of 32"),
        (FinetuningConfig(batch_size=0), "--batch-size is 0"),
        (FinetuningConfig(steps=0), "steps is 0"),
        (FinetuningConfig(steps=3, evaluate_every=0), "--evaluate-every is 0"),
        (FinetuningConfig(steps=3, dropout=1.0), "dropout is 1.0"),
        (FinetuningConfig(steps=3, learning_rate=0.0), "peak must be above 0"),
    ],
)
def test_what_makes_no_run_is_refused(config: FinetuningConfig, words: str) -> None:
    with pytest.raises(PalmettoError, match=words):
        finetuning(config, records=20)
