import pytest
from evaluation_fakes import prose

from palmetto.common.progress import Silent
from palmetto.evaluation.config import MadeTasksConfig
from palmetto.evaluation.loading import load_tasks
from palmetto.evaluation.made_tasks import make_tasks


@pytest.fixture(scope="session")
def tasks_folder(tmp_path_factory):
    """Three tasks of 60 items from invented prose, for a model of 1,024 one-byte tokens."""
    out = tmp_path_factory.mktemp("study") / "tasks"
    out.mkdir()
    config = MadeTasksConfig(n_items=60, max_request_tokens=1024)
    make_tasks(prose(), config, 1024, lambda text: len(text.encode()), out, Silent())
    return out


@pytest.fixture(scope="session")
def tasks(tasks_folder):
    return load_tasks(tasks_folder)
