"""The command line's own part: parsing, and errors as one sentence with an exit code."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from palmetto.cli import main as cli
from palmetto.common.errors import PalmettoError, StageConflictError
from palmetto.training.environment import LARGE_PAGES


def end(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        cli.main(list(arguments))
    out, err = capsys.readouterr()
    return int(caught.value.code or 0), out, err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["stduy"],
        ["study"],
        ["study", "starter", "--outt", "x"],
        ["study", "starter", "--seed", "one"],
        ["study", "starter", "--minutes", "soon"],
        ["generate", "only-a-model"],
        ["doctor", "a", "b"],
    ],
)
def test_words_that_do_not_parse_end_in_two(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    code, out, err = end(capsys, *arguments)
    assert code == 2
    assert err.strip()
    assert "Traceback" not in out + err


@pytest.mark.parametrize("command", [[], *([name] for name in cli._COMMANDS)])
def test_help_is_there_for_every_command(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    code, out, _ = end(capsys, *command, "--help")
    assert code == 0
    assert f"usage: {' '.join(['palmetto', *command])}" in " ".join(out.split())


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = end(capsys, "--help")
    for example in ("palmetto study starter --dry-run", "palmetto generate studies/starter/models/palm_5m"):
        assert example in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["study", "startre"], "no study recipe 'startre'"),
        (["study", "starter", "--minutes", "5", "--flops", "1e15"], "give one"),
        (["study", "starter", "--flops", "1"], "too little"),
        (["info", "palm_9000b"], "neither a recipe"),
        (["generate", "nowhere", "def"], "nowhere"),
        (["generate", "nowhere", "def", "--samples", "0"], "--samples"),
    ],
)
def test_what_the_user_can_mend_is_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    code, out, err = end(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("palmetto: ")
    assert complaint in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (PalmettoError("a.txt is empty; give text."), 2, "palmetto: a.txt is empty; give text."),
        (StageConflictError("made from something else."), 3, "palmetto: made from something else."),
        (
            OSError(errno.ENOSPC, "No space left on device", "/x/y"),
            4,
            "No space left on device while writing /x/y",
        ),
        (OSError(errno.EFBIG, "File too large"), 4, "palmetto: File too large. Nothing already made is lost"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 4, "Permission denied while writing /x"),
        (KeyboardInterrupt(), 130, "Stopped."),
    ],
)
def test_errors_have_their_exit_codes(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    words: str,
) -> None:
    def fail(what: str) -> None:
        raise error

    monkeypatch.setattr("palmetto.study.info.print_info", fail)
    found, _, err = end(capsys, "info")
    assert found == code
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_an_error_nobody_can_mend_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(what: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("palmetto.study.info.print_info", fail)
    with pytest.raises(OSError, match="Input/output"):
        cli.main(["info"])


def test_stopping_a_study_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The command is the one given, less --redo: what it moved aside stays aside."""

    def stop(self: object, redo: str | None) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr("palmetto.study.run.StudyRun.run", stop)
    for redo in (["--redo", "report"], ["--redo=report"]):
        arguments = ["study", "starter", "--out", str(tmp_path / "my study"), *redo]
        monkeypatch.setattr(sys, "argv", ["/somewhere/palmetto", *arguments])
        code, _, err = end(capsys, *arguments)
        assert code == 130
        assert err.strip().splitlines() == [
            f"Stopped. Run the same command again to go on: palmetto study starter --out '{tmp_path / 'my study'}'"
        ]


def test_info_prints_the_ladder(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["info"])
    out = capsys.readouterr().out
    assert "palm_160k" in out
    assert "161,856" in out
    assert "palm_540b" in out


@pytest.mark.parametrize(
    ("words", "setting", "again"),
    [
        (["train", "x"], None, True),
        (["study", "x"], None, True),
        (["info"], None, False),
        (["train", "x"], "", False),
    ],
)
def test_what_trains_is_started_again_with_large_pages_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, words: list[str], setting: str | None, again: bool
) -> None:
    pages = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not pages.exists() or "[never]" in pages.read_text():
        pytest.skip("this system has no large pages")
    started: list[tuple[str, list[str], str]] = []
    monkeypatch.setattr(sys, "argv", ["palmetto", *words])
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if setting is not None:
        monkeypatch.setenv("GLIBC_TUNABLES", setting)
    monkeypatch.setattr(
        "os.execv", lambda program, line: started.append((program, line, os.environ["GLIBC_TUNABLES"]))
    )
    cli._with_large_pages()
    assert started == ([(sys.executable, sys.orig_argv, LARGE_PAGES)] if again else [])


def test_a_reader_that_leaves_early_is_no_error() -> None:
    """As in `palmetto train --help | head -1`; the shell's status for it is 141."""
    command = [sys.executable, "-m", "palmetto.cli", "train", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (141, "")
