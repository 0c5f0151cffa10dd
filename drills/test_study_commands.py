"""The other commands, and what `palmetto study` says without doing anything."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from study_drill import RECIPE, SIZES, Finished, Palmetto


def said(palmetto: Palmetto, *arguments: str | Path) -> str:
    done = palmetto.run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_generate_prints_samples_that_the_seed_decides(palmetto: Palmetto, finished: Finished) -> None:
    model = finished.folder / "models" / SIZES[2]
    words = ("generate", model, "def ", "--max-new-tokens", "20", "--temperature", "1")
    first, again, other = (said(palmetto, *words, "--seed", seed) for seed in "112")
    assert first == again != other
    assert first.count("def ") >= 3


@pytest.mark.parametrize("prompt", ["", "naïve — 漢字 \U0001f980\n\ttabs"])
def test_any_text_is_a_prompt(palmetto: Palmetto, finished: Finished, prompt: str) -> None:
    words = (
        "generate",
        finished.folder / "models" / SIZES[0],
        prompt,
        "--samples",
        "1",
        "--max-new-tokens",
        "5",
    )
    assert said(palmetto, *words, "--temperature", "0").startswith(prompt)


def test_generate_refuses_a_prompt_that_does_not_fit(palmetto: Palmetto, finished: Finished) -> None:
    model = finished.folder / "models" / SIZES[0]
    assert "max_new_tokens" in palmetto.refused("generate", model, "word " * 500)
    assert "--samples" in palmetto.refused("generate", model, "a", "--samples", "0")


def test_generate_names_a_folder_without_a_model(palmetto: Palmetto, finished: Finished) -> None:
    assert "holds no model" in palmetto.refused("generate", finished.folder, "def ")


def test_info_prints_the_ladder(palmetto: Palmetto) -> None:
    """The largest two are the paper's table 1: 8.63 and 540.35 billion."""
    table = said(palmetto, "info")
    for name, parameters in (("palm_160k", "161,856"), ("palm_8b", "8,632"), ("palm_540b", "540,356")):
        row = next(line for line in table.splitlines() if name in line)
        assert parameters in row


def test_info_of_a_study_and_of_a_model_says_what_was_trained(palmetto: Palmetto, finished: Finished) -> None:
    told = said(palmetto, "info", finished.folder)
    for name in SIZES:
        assert re.search(rf"{name}: 16 steps, 8,192 tokens, .* bits per byte", told)
    told = said(palmetto, "info", finished.folder / "models" / SIZES[1])
    assert SIZES[1] in told
    assert SIZES[0] not in told


def test_doctor_says_what_there_is(palmetto: Palmetto, tmp_path: Path) -> None:
    told = said(palmetto, "doctor", tmp_path / "not" / "yet")
    for word in ("devices", "processor", "threads", "memory", "disk", "peak", "versions", "extra", "browser"):
        assert re.search(rf"^{word}\s+\S", told, re.MULTILINE), told
    assert "1 for XLA" in told
    assert "palmetto[" in told or "installed" in told
    assert not (tmp_path / "not").exists()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            [],
            [
                "examples:",
                "palmetto study starter --text",
                "palmetto generate",
                "palmetto doctor",
                "--minutes 30",
            ],
        ),
        (
            ["study"],
            ["--out", "--text", "--seed", "--minutes", "--flops", "--redo", "--dry-run", "standard library"],
        ),
        (["generate"], ["--samples", "--temperature", "--top-k", "--top-p", "--seed", "greedy"]),
        (["info"], ["recipe's name", "study's folder"]),
        (["doctor"], ["devices, extras, threads and disk"]),
    ],
)
def test_help_explains(palmetto: Palmetto, command: list[str], words: list[str]) -> None:
    told = " ".join(said(palmetto, *command, "--help").replace("│", " ").split())
    for word in words:
        assert word in told, told


def check_plan(told: str, sizes: tuple[str, ...]) -> None:
    stages = re.findall(r"^ +\d+\. (\S+) +-> \S+", told, re.MULTILINE)
    names = [f"train/{size}" for size in sizes] + [
        f"{part}/{size}" for size in sizes for part in ("evaluate", "analyse")
    ]
    assert stages == ["documents", "tokenizer", "corpus", "tasks", *names, "compare", "report"]
    for heading in ("parameters", "tokens", "FLOPs", "training", "evaluation", "memory", "disk"):
        assert heading in told
    assert re.search(r"Estimated: \d+ (s|min|h) in all, [\d.]+ GB of memory, [\d,]+ MB of disk", told)


def test_a_dry_run_says_all_and_writes_nothing(
    palmetto: Palmetto, tmp_path: Path, tree_hashes: Callable[..., dict[str, str]]
) -> None:
    (tmp_path / "here").mkdir()
    done = palmetto.run("study", RECIPE, "--dry-run", cwd=tmp_path / "here")
    assert done.returncode == 0, done.stderr
    check_plan(done.stdout, SIZES)
    assert "8,192 tokens" in done.stdout
    assert list((tmp_path / "here").rglob("*")) == []


def test_a_dry_run_of_a_budget_spends_the_budget(palmetto: Palmetto, tmp_path: Path) -> None:
    done = palmetto.run("study", "starter", "--flops", "3e12", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    check_plan(done.stdout, ("palm_160k", "palm_800k", "palm_5m"))
    spent = [float(value) for value in re.findall(r"\d\.\d\de\+?\d+", done.stdout)]
    assert len(spent) == 3
    assert sum(spent) == pytest.approx(3e12, rel=0.06)
    assert list(tmp_path.iterdir()) == []
