"""A few-shot evaluation small enough to run inside training, on the very strings of the whole one."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Reporter, Silent
from palmetto.evaluation.encoding import encode_requests
from palmetto.evaluation.loading import LoadedTasks, load_tasks, quiet_lm_eval
from palmetto.evaluation.ports import TextTokenizer, TokenEngine
from palmetto.inference.types import ScoreRequest


class InLoopFewShot:
    """Scores an engine on a fixed, seeded subset of the made tasks.

    The requests are built by lm_eval and encoded once; a call costs the engine's work alone.
    """

    def __init__(
        self,
        tasks: LoadedTasks | Path,
        tokenizer: TextTokenizer,
        shots: int = 1,
        n_items: int = 64,
        names: Sequence[str] = ("cloze", "continuation", "copying"),
        seed: int = 0,
    ) -> None:
        """Build the requests.

        Args:
            tasks: from `load_tasks`, or the folder.
            tokenizer: the model's tokenizer.
            shots: worked examples before each question.
            n_items: items of each task (fewer where a task has fewer).
            names: the tasks.
            seed: seed of the choice of items.

        Raises:
            PalmettoError: the tasks' folder is incomplete, a task has too few exemplars, or no item is asked.
        """
        if n_items < 1:
            raise PalmettoError(
                f"the in-loop few-shot evaluation needs n_items of at least 1, not {n_items}."
            )
        self._loaded = load_tasks(tasks) if isinstance(tasks, Path) else tasks
        self._requests: list[ScoreRequest | None] = []
        self._items: list[tuple[str, dict[str, object], int]] = []
        for name in names:
            task = self._loaded.set_shots(name, shots)
            count = self._loaded.facts(name)["n_items"]
            chosen = sorted(Random(f"{seed}\0{name}").sample(range(count), min(n_items, count)))
            with quiet_lm_eval():
                task.build_all_requests(samples=chosen)
            self._requests += encode_requests(tokenizer, [request.args for request in task.instances])
            sizes: dict[int, int] = {}
            docs: dict[int, dict[str, object]] = {}
            for request in task.instances:
                sizes[request.doc_id] = sizes.get(request.doc_id, 0) + 1
                docs[request.doc_id] = request.doc
            self._items += [(name, docs[item], size) for item, size in sizes.items()]

    def __call__(self, engine: TokenEngine, reporter: Reporter | None = None) -> dict[str, float]:
        """Return {"<task>_<preferred metric>": mean score in [0, 1]}, such as "continuation_acc_norm"."""
        asked = [request for request in self._requests if request is not None]
        scores = iter(engine.score(asked, reporter=reporter or Silent(), description="few-shot evaluation"))
        answers = [
            (0.0, True) if request is None else ((score := next(scores)).log_prob, score.greedy)
            for request in self._requests
        ]
        values: dict[str, list[float]] = {}
        place = 0
        for name, doc, size in self._items:
            metric = self._loaded.facts(name)["preferred_metric"]
            results = self._loaded.tasks[name].process_results(doc, answers[place : place + size])
            values.setdefault(f"{name}_{metric}", []).append(float(results[metric]))
            place += size
        return {name: sum(scored) / len(scored) for name, scored in values.items()}
