"""A small study is killed, stopped, run again and run twice at once; what it makes is the same to the bit."""

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from smoke_study import STEPS
from study_drill import RECIPE, SIZES, Finished, Palmetto

FEWEST_KILLS, MOST_STUDIES = 12, 4
LONG_STAGES = {"train", "evaluate", "analyse"}
SEED = 20220405


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert sorted(one) == sorted(other)
    assert [name for name in one if one[name] != other[name]] == []


def wait_for(process: subprocess.Popen[str], sign: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not sign():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_is_compared_covers_every_kind_of_file(finished: Finished, results: Callable) -> None:
    """So that the drills below cannot pass by comparing nothing."""
    names = set(results(finished.folder))
    wanted = {
        "documents/manifest.json", "documents/train.jsonl.gz", "tokenizer/tokenizer.model", "corpus/train.tokens",
        "corpus/manifest.json", "tasks/manifest.json", "tasks/cloze.yaml", "analyses/scaling.json",
        "analyses/contamination.json",
    }  # fmt: skip
    for size in SIZES:
        wanted |= {
            f"models/{size}/{name}" for name in ("summary.json", "metrics.jsonl", "skipped_batches.json")
        }
        wanted |= {f"models/{size}/analyses/{name}.json" for name in ("memorisation", "samples")}
        for task in ("cloze", "continuation", "copying"):
            for shots in (0, 1):
                wanted |= {
                    f"models/{size}/results/{task}/{shots}-shot{end}" for end in (".json", ".samples.jsonl")
                }
    assert wanted <= names


def test_killed_at_random_moments_it_goes_on_to_the_same_bits(
    palmetto: Palmetto, finished: Finished, tmp_path: Path, results: Callable, digests: Callable
) -> None:
    """Studies are begun until there were kills enough, in every kind of long stage.

    Each run is killed after a random delay, drawn from a longer range when the last one got no further.
    """
    draw, start = random.Random(SEED), time.monotonic()
    palmetto.run("info")
    importing = time.monotonic() - start
    hit: list[str] = []
    delay = finished.seconds / 12
    for number in range(MOST_STUDIES):
        if len(hit) >= FEWEST_KILLS and {stage.split("/")[0] for stage in hit} >= LONG_STAGES:
            break
        study, within, done, before = tmp_path / str(number), delay, False, ""
        while not done:
            with palmetto.start("study", RECIPE, "--out", study) as process:
                time.sleep(importing + draw.random() * within)
                done = process.poll() is not None
                process.kill()
                _, err = process.communicate()
            assert not done or process.returncode == 0, err
            stages = [line.split("] ")[1] for line in err.splitlines() if line.startswith("[")]
            last = stages[-1] if stages else "start"
            within = within + delay / 2 if last == before else delay
            before = last
            hit += [last] * (not done)
        same(results(finished.folder), results(study))
        assert digests(study) == digests(finished.folder)
        for size in SIZES:
            rows = (study / "models" / size / "metrics.jsonl").read_text().splitlines()
            assert [json.loads(row)["step"] for row in rows] == list(range(1, STEPS + 1))
        pages = {path.name for path in (study / "report").rglob("*")}
        assert pages == {path.name for path in (finished.folder / "report").rglob("*")}
    print(f"\nkilled {len(hit)} times in {number} studies, in {', '.join(dict.fromkeys(hit))}")
    assert len(hit) >= FEWEST_KILLS
    assert {stage.split("/")[0] for stage in hit} >= LONG_STAGES


# Moments that a clock hits rarely: each is a file whose appearance begins it.
MOMENTS = [
    "documents",
    ".tokenizer.partial",
    "corpus",
    "models/smoke_16/stage.json",
    "models/smoke_16/config.json",
    "models/smoke_16/metrics.jsonl",
    "models/smoke_24/checkpoints/00000004",
    "models/smoke_24/checkpoints/00000008/manifest.json",
    "models/smoke_24/summary.json",
    "models/smoke_16/results/cloze/0-shot.samples.jsonl",
    "models/smoke_24/results/continuation/1-shot.json",
    "models/smoke_32/.analyses.partial",
    ".report.partial",
    "report/stage.json",
]


def test_killed_at_the_moments_that_matter_it_goes_on_to_the_same_bits(
    palmetto: Palmetto, finished: Finished, tmp_path: Path, results: Callable, digests: Callable
) -> None:
    study = tmp_path / "study"
    for moment in MOMENTS:
        with palmetto.start("study", RECIPE, "--out", study, stderr=subprocess.DEVNULL) as process:
            wait_for(process, (study / moment).exists)
            process.kill()
            process.communicate()
    done = palmetto.run("study", RECIPE, "--out", study)
    assert done.returncode == 0, done.stderr
    same(results(finished.folder), results(study))
    assert digests(study) == digests(finished.folder)


def test_stopped_by_hand_it_says_in_one_line_how_to_go_on(
    palmetto: Palmetto, finished: Finished, tmp_path: Path, results: Callable
) -> None:
    study = tmp_path / "my study"
    with palmetto.start("study", RECIPE, "--out", study) as process:
        wait_for(process, (study / "models" / SIZES[0] / "metrics.jsonl").exists)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    progress = ("[", "  ", "task ")
    lines = [line for line in err.splitlines() if line.strip() and not line.startswith(progress)]
    assert len(lines) == 1, err
    assert lines[0] == err.splitlines()[-1]
    assert f"palmetto study {RECIPE} --out '{study}'" in lines[0]
    assert palmetto.run("study", RECIPE, "--out", study).returncode == 0
    same(results(finished.folder), results(study))


def test_a_finished_study_run_again_does_nothing(
    palmetto: Palmetto, copied: Path, tree_hashes: Callable[..., dict[str, str]]
) -> None:
    before = tree_hashes(copied, "study.json")
    done = palmetto.run("study", RECIPE, "--out", copied)
    assert done.returncode == 0, done.stderr
    stages = [line for line in done.stderr.splitlines() if line.startswith("[")]
    assert len(stages) == 15
    assert done.stderr.count("already done") == len(stages)
    assert str(copied / "report" / "index.html") in done.stdout
    assert tree_hashes(copied, "study.json") == before


def test_a_second_process_in_the_same_folder_is_turned_away(palmetto: Palmetto, tmp_path: Path) -> None:
    study = tmp_path / "study"
    with palmetto.start("study", RECIPE, "--out", study, stderr=subprocess.DEVNULL) as first:
        wait_for(first, (study / "documents").exists)
        said = palmetto.refused("study", RECIPE, "--out", study)
        assert first.poll() is None
        first.send_signal(signal.SIGINT)
        first.communicate()
    assert "Another palmetto process is at work" in said
