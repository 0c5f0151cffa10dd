"""The starter's own training raises no alarm: two sizes, three seeds, the batch doubling twice on the way."""

import pytest

from palmetto.model.config import ModelConfig
from spike_runs import CALM_MODELS, SEEDS, Text, starter_training


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Text:
    return Text(tmp_path_factory.mktemp("calm"))


@pytest.mark.parametrize("model", CALM_MODELS, ids=lambda model: model.name)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_clean_run_raises_no_alarm(text: Text, model: ModelConfig, seed: int) -> None:
    config = starter_training(seed)
    assert config.spikes.enabled
    assert len(config.batch_size.sizes) == 3
    run = text.run(f"{model.name}-{seed}", model, config)
    assert len(run.rows) == config.steps
    assert run.rewinds == []
