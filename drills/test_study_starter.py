"""What a newcomer does: `palmetto study starter`, timed, weighed, and its claims checked with intervals of its own."""

import json
import math
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser import browser_missing, console_errors, open_browser, open_page, requested

pytestmark = pytest.mark.alone

SIZES = ("palm_160k", "palm_800k", "palm_5m")
MINUTES, GIGABYTES = 10, 4
RATIO_DRAWS = 10_000


@dataclass(frozen=True)
class Run:
    study: Path
    seconds: float
    peak_bytes: int


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Compiled programs are not kept: a newcomer has none."""
    study = tmp_path_factory.mktemp("newcomer") / "starter"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    # The file stands in for the terminal: a pipe that nobody reads would stop the process.
    with (study.parent / "output.txt").open("w+") as output:
        start = time.monotonic()
        command = [sys.executable, "-m", "palmetto.cli", "study", "starter", "--out", str(study)]
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        assert process.returncode == 0, output.read()[-5000:]
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(f"\nthe starter study took {seconds:.0f} s and {peak / 1e9:.2f} GB")
    return Run(study, seconds, peak)


def test_it_takes_ten_minutes_and_four_gigabytes_at_most(run: Run) -> None:
    assert run.peak_bytes <= GIGABYTES * 1e9
    assert run.seconds <= MINUTES * 60


def test_the_largest_beats_the_smallest_on_bits_per_byte(run: Run) -> None:
    """Documents are resampled in pairs, as a ratio of sums; the interval of the difference excludes 0."""
    small, large = (
        read(run.study / "models" / name / "summary.json")["heldout"] for name in (SIZES[0], SIZES[-1])
    )
    assert small["document_bytes"] == large["document_bytes"]
    sizes = np.array(small["document_bytes"])
    gain = np.array(small["document_nats"]) - np.array(large["document_nats"])
    draws = np.random.default_rng(0).integers(0, len(sizes), (RATIO_DRAWS, len(sizes)))
    low, high = np.quantile(gain[draws].sum(1) / sizes[draws].sum(1) / math.log(2), [0.025, 0.975])
    print(
        f"\nbits per byte: {SIZES[-1]} is lower by {gain.sum() / sizes.sum() / math.log(2):.3f} [{low:.3f}, {high:.3f}]"
    )
    assert low > 0


def test_the_largest_beats_the_smallest_on_a_task(run: Run) -> None:
    scaling = read(run.study / "analyses" / "scaling.json")
    assert [size["name"] for size in scaling["sizes"]] == list(SIZES)
    clear = []
    for row in scaling["tasks"]:
        (pair,) = [pair for pair in row["paired"] if (pair["small"], pair["large"]) == (SIZES[0], SIZES[-1])]
        if pair["ci_low"] > 0:
            clear.append((row["task"], row["shots"], pair["difference"], pair["ci_low"], pair["ci_high"]))
    print(f"\nclearly better: {clear}")
    assert clear


def test_the_learning_rate_decays(run: Run) -> None:
    rows = [
        json.loads(line)
        for line in (run.study / "models" / SIZES[0] / "metrics.jsonl").read_text().splitlines()
    ]
    assert rows[-1]["learning_rate"] < 0.5 * rows[0]["learning_rate"]


def test_every_size_read_the_same_batches(run: Run) -> None:
    read_by = {}
    for name in SIZES:
        rows = (run.study / "models" / name / "metrics.jsonl").read_text().splitlines()
        read_by[name] = [(row["step"], row["batch"], row["tokens"]) for row in map(json.loads, rows)]
    assert read_by[SIZES[0]] == read_by[SIZES[1]] == read_by[SIZES[2]]


def test_every_page_and_table_of_the_report_is_there(run: Run) -> None:
    report = run.study / "report"
    for name in ("index.html", "model_card.md", "datasheet.md"):
        assert (report / name).stat().st_size > 1000
    tables = list((report / "figures").glob("*.csv"))
    assert len(tables) >= 8
    assert all(len(table.read_text().splitlines()) > 1 for table in tables)
    assert set(read(report / "stage.json")) >= {"finished", "digest"}


@pytest.mark.skipif(bool(browser_missing()), reason=browser_missing())
def test_a_browser_draws_the_report_without_a_request_or_an_error(run: Run) -> None:
    page = run.study / "report" / "index.html"
    with open_browser() as driver:
        open_page(driver, page, 1400)
        plots = driver.execute_script(
            "return [...document.querySelectorAll('.plot')].map(p => [p.id, p.querySelectorAll("
            "'.scatterlayer .trace path, .barlayer .trace path').length])"
        )
        assert len(plots) >= 10
        assert [name for name, marks in plots if marks == 0] == []
        assert [url for url in requested(driver) if not url.startswith(("file:", "data:", "blob:"))] == []
        assert console_errors(driver) == []
