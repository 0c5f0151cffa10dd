"""What the interop drills share: a trained study with its exports, and lm_eval run as a process."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECIPE = f"{Path(__file__).with_name('interop_study.py')}:study"
SIZES = ("equal", "different")
MADE_TASKS = ("cloze", "continuation", "copying")
TEXT_TASKS = {
    "greedy": "output_type: generate_until\n"
    "doc_to_text: question\n"
    "doc_to_target: target\n"
    'generation_kwargs: {until: ["\\n\\n"], do_sample: false, max_gen_toks: 24}\n'
    "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]\n",
    "rolling": "output_type: loglikelihood_rolling\n"
    'doc_to_text: ""\n'
    "doc_to_target: question\n"
    "metric_list: [{metric: bits_per_byte}]\n",
}


@dataclass(frozen=True)
class Exported:
    """A trained model and the folder that was exported from it."""

    study: Path
    model: Path
    folder: Path


def add_text_tasks(made: Path, out: Path) -> Path:
    """Copy a folder of made tasks and add two over the same questions: greedy generation, and rolling likelihood."""
    shutil.copytree(made, out)
    for name, yaml in TEXT_TASKS.items():
        head = (
            f"task: {name}\n"
            "custom_dataset: !function task_loader.load\n"
            "dataset_kwargs: {made_task: cloze}\n"
            "test_split: test\n"
            "num_fewshot: 0\n"
        )
        (out / f"{name}.yaml").write_text(f"{head}{yaml}metadata: {{version: 1.0}}\n")
    return out


def start_lm_eval(
    model: str, arguments: str, tasks: Path, out: Path, environment: dict[str, str]
) -> subprocess.Popen[str]:
    """Start Palmetto's lm_eval command line on all tasks, one example a question."""
    command = [sys.executable, "-m", "palmetto.evaluation", "--model", model, "--model_args", arguments]
    command += ["--include_path", str(tasks), "--tasks", ",".join((*MADE_TASKS, *TEXT_TASKS))]
    command += ["--num_fewshot", "1", "--device", "cpu", "--batch_size", "16"]
    command += ["--output_path", str(out), "--log_samples"]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command,
        env={**os.environ, **environment, **offline},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for a process that must succeed."""
    with process:
        said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said[-4000:]


def read_scores(out: Path) -> dict[tuple[str, str], float]:
    """Return lm_eval's scores by (task, metric); what it cannot estimate (an error of a ratio) is left out."""
    (path,) = out.rglob("results_*.json")
    return {
        (task, metric): value
        for task, metrics in json.loads(path.read_text())["results"].items()
        for metric, value in metrics.items()
        if isinstance(value, float) and "stderr" not in metric
    }


def read_samples(out: Path, task: str) -> list[dict[str, Any]]:
    """Return lm_eval's samples of a task by document."""
    (path,) = out.rglob(f"samples_{task}_*.jsonl")
    return sorted(map(json.loads, path.read_text().splitlines()), key=lambda sample: sample["doc_id"])
