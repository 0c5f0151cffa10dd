"""`palmetto corpus` as a real command on real text: a few modules of the standard library."""

import shutil
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from palmetto.common.files import read_json
from palmetto.corpus.documents import read_documents
from palmetto.corpus.records import PackedRecords
from palmetto.model.config import ModelConfig
from palmetto.model.spec import initialise
from palmetto.tokenizer.tokenizer import Tokenizer
from palmetto.training.batches import Batches, read_ahead
from palmetto.training.heldout import HeldoutText
from palmetto.training.schedules import BatchSize
from study_drill import Palmetto

Hashes = Callable[..., dict[str, str]]
LIBRARY = Path(sysconfig.get_paths()["stdlib"])
MODULES = ("argparse", "ast", "bisect", "calendar", "cmd", "copy", "csv", "dis", "enum", "heapq")
SIZES = ("--vocab-size", "512", "--sequence-length", "64")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    for name in MODULES:
        shutil.copyfile(LIBRARY / f"{name}.py", folder / f"{name}.py")
    return folder


@pytest.fixture(scope="module")
def made(palmetto: Palmetto, text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with a tokenizer of its own; nothing may change it."""
    out = tmp_path_factory.mktemp("made") / "mine"
    done = palmetto.run("corpus", "--text", text, "--out", out, *SIZES)
    assert done.returncode == 0, done.stderr
    assert "tokenise train" in done.stderr
    assert "records of 64 tokens to train on" in done.stdout
    return out


def test_text_becomes_documents_a_tokenizer_and_records(made: Path, text: Path) -> None:
    tokenizer = Tokenizer.load(made / "tokenizer")
    records = PackedRecords(made / "corpus", "train")
    records.verify()
    assert tokenizer.vocab_size == 512
    assert records.manifest["tokenizer_sha256"] == tokenizer.sha256
    read = "".join(
        document.text
        for split in ("train", "heldout")
        for document in read_documents(made / "documents" / f"{split}.jsonl.gz")
    )
    # Long modules are cut into pieces, so compare what is in them and not how.
    assert sorted(read) == sorted("".join((text / f"{name}.py").read_text() for name in MODULES))
    ends = np.flatnonzero(records.tokens == tokenizer.eod_id)
    first = tokenizer.decode(records.tokens[: int(ends[0])])
    assert any(document.text == first for document in read_documents(made / "documents" / "train.jsonl.gz"))


def test_the_same_command_gives_the_same_bytes(
    palmetto: Palmetto, made: Path, text: Path, tmp_path: Path, tree_hashes: Hashes
) -> None:
    done = palmetto.run("corpus", "--text", text, "--out", tmp_path / "again", *SIZES)
    assert done.returncode == 0, done.stderr
    assert tree_hashes(tmp_path / "again") == tree_hashes(made)


def test_an_existing_tokenizer_is_copied_and_used(
    palmetto: Palmetto, made: Path, tmp_path: Path, tree_hashes: Hashes
) -> None:
    """A refreshed corpus for continued training: other text, the tokenizer that the model has."""
    out = tmp_path / "more"
    other = [LIBRARY / f"{name}.py" for name in ("inspect", "locale", "mailbox", "optparse")]
    arguments = ("--tokenizer", made / "tokenizer", "--sequence-length", "64")
    done = palmetto.run("corpus", "--text", *other, "--out", out, *arguments)
    assert done.returncode == 0, done.stderr
    assert tree_hashes(out / "tokenizer") == tree_hashes(made / "tokenizer")
    sources = [PackedRecords(folder / "corpus", "train") for folder in (made, out)]
    assert sources[0].manifest["tokenizer_sha256"] == sources[1].manifest["tokenizer_sha256"]
    batches = Batches(sources, BatchSize((8,)), seed=0, weights=(1, 3), vocab_size=512)
    read = list(read_ahead(batches, 0, 10, 3))
    assert [step for step, _, _ in read] == list(range(10))
    for _, index, rows in read:
        assert (batches.record_ids(index)[:, 0] == 1).sum() == 6
        assert rows.shape == (8, 65)


@pytest.mark.parametrize(("suffix", "dtype"), [("npy", "<u2"), ("npy", "<i8"), ("bin", "<u2")])
def test_token_shards_become_the_same_records(
    palmetto: Palmetto, made: Path, tmp_path: Path, suffix: str, dtype: str
) -> None:
    tokenizer = Tokenizer.load(made / "tokenizer")
    texts = [document.text for document in read_documents(made / "documents" / "train.jsonl.gz")]
    stream = np.array(
        [token for text in texts for token in [*tokenizer.encode(text), tokenizer.eod_id]], dtype
    )
    (tmp_path / "shards").mkdir()
    for number, part in enumerate(np.array_split(stream, 3)):
        path = tmp_path / "shards" / f"{number}.{suffix}"
        np.save(path, part) if suffix == "npy" else part.tofile(path)
    out = tmp_path / "out"
    arguments = ("--tokenizer", made / "tokenizer", "--sequence-length", "64")
    done = palmetto.run("corpus", "--tokens", tmp_path / "shards", "--out", out, *arguments)
    assert done.returncode == 0, done.stderr
    PackedRecords(out / "corpus", "train").verify()
    heldout = [document.text for document in read_documents(out / "corpus" / "heldout.jsonl.gz")]
    assert heldout and set(heldout) <= set(texts)
    manifest = read_json(out / "corpus" / "manifest.json")
    assert manifest["train_documents"] + len(heldout) == len(texts)
    sides = manifest["train_bytes"] + manifest["heldout_bytes"]
    assert sides == sum(len(text.encode()) for text in texts)


@pytest.mark.parametrize("form", ["documents", "no ends of documents", "rows"])
def test_heldout_bits_per_byte_can_be_measured_on_imported_tokens(
    palmetto: Palmetto, made: Path, tmp_path: Path, form: str
) -> None:
    """An untrained model gives about log2(vocabulary) bits a token, whatever stands for documents."""
    import jax

    tokenizer = Tokenizer.load(made / "tokenizer")
    tokens = np.array(PackedRecords(made / "corpus", "train").tokens)
    if form == "no ends of documents":
        tokens = tokens[tokens != tokenizer.eod_id]
    np.save(tmp_path / "a.npy", tokens.reshape(-1, 65) if form == "rows" else tokens)
    out = tmp_path / "out"
    arguments = ("--tokenizer", made / "tokenizer", *(() if form == "rows" else ("--sequence-length", "64")))
    done = palmetto.run("corpus", "--tokens", tmp_path / "a.npy", "--out", out, *arguments)
    assert done.returncode == 0, done.stderr
    assert ("do not show documents" in done.stderr) == (form != "documents")
    shape = {
        "n_layers": 1,
        "d_model": 16,
        "n_heads": 2,
        "head_dim": 8,
        "vocab_size": 512,
        "sequence_length": 64,
    }
    config = ModelConfig(name="small", **shape)
    found = HeldoutText(out / "corpus", tokenizer.eod_id, 3000).measure(
        initialise(config, jax.random.key(0)), config
    )
    assert found.tokens > 500
    assert found.bits_per_byte == pytest.approx(9 * found.tokens / found.bytes.sum(), rel=0.2)


def refused(palmetto: Palmetto, out: Path, *arguments: str | Path) -> str:
    """Run a command that must fail and leave nothing."""
    before = sorted(out.parent.iterdir())
    said = palmetto.refused("corpus", "--out", out, *arguments)
    assert sorted(out.parent.iterdir()) == before
    return said


def test_a_folder_that_exists_is_not_touched(
    palmetto: Palmetto, made: Path, text: Path, tree_hashes: Hashes
) -> None:
    before = tree_hashes(made)
    said = refused(palmetto, made, "--text", text, *SIZES)
    assert f"{made} already exists" in said
    assert tree_hashes(made) == before


def test_text_that_is_missing(palmetto: Palmetto, tmp_path: Path) -> None:
    said = refused(palmetto, tmp_path / "out", "--text", tmp_path / "nowhere.txt")
    assert f"{tmp_path / 'nowhere.txt'} does not exist" in said


def test_text_in_another_encoding(palmetto: Palmetto, tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_bytes("façade ".encode("latin-1") * 100)
    said = refused(palmetto, tmp_path / "out", "--text", tmp_path / "old.txt")
    assert "old.txt" in said
    assert "not UTF-8 text (at byte 2)" in said


def test_a_tokenizer_that_is_missing(palmetto: Palmetto, tmp_path: Path, text: Path) -> None:
    said = refused(palmetto, tmp_path / "out", "--text", text, "--tokenizer", tmp_path / "none")
    assert f"{tmp_path / 'none'} does not exist; train a tokenizer first" in said


def test_too_little_text_for_the_vocabulary(palmetto: Palmetto, tmp_path: Path) -> None:
    (tmp_path / "little.txt").write_text("\n\n".join(f"paragraph {number} " * 40 for number in range(30)))
    said = refused(palmetto, tmp_path / "out", "--text", tmp_path / "little.txt")
    assert "too small for tokenizer.vocab_size=4096" in said


def test_too_little_text_for_a_record(palmetto: Palmetto, tmp_path: Path, made: Path) -> None:
    (tmp_path / "little.txt").write_text("\n\n".join(f"paragraph {number} " * 40 for number in range(30)))
    arguments = ("--tokenizer", made / "tokenizer", "--sequence-length", "50000")
    said = refused(palmetto, tmp_path / "out", "--text", tmp_path / "little.txt", *arguments)
    assert "too few for one record of sequence_length=50000" in said


def test_ids_outside_the_vocabulary(palmetto: Palmetto, tmp_path: Path, made: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(400, 800))
    arguments = ("--tokenizer", made / "tokenizer", "--sequence-length", "64")
    said = refused(palmetto, tmp_path / "out", "--tokens", tmp_path / "a.npy", *arguments)
    assert f"{tmp_path / 'a.npy'}: token 112 (from 0) is 512" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "either --text"),
        (("--text", "a", "--tokens", "b"), "either --text"),
        (("--tokens", "b"), "--tokens needs --tokenizer"),
        (("--text", "a", "--tokenizer", "t", "--vocab-size", "300"), "one of the two"),
        (("--text", "a", "--sequence-length", "0"), "at least 1"),
    ],
)
def test_options_that_do_not_go_together(
    palmetto: Palmetto, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert said in refused(palmetto, tmp_path / "out", *arguments)


def begun(palmetto: Palmetto, out: Path) -> subprocess.Popen[str]:
    """Start a command that reads for some seconds, and return when it has begun to."""
    more = [LIBRARY / name for name in ("asyncio", "email", "json", "logging", "multiprocessing", "unittest")]
    process = palmetto.start("corpus", "--text", *more, "--out", out)
    until = time.monotonic() + 120
    while not list(out.parent.glob(".*/documents")) and time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    return process


def test_a_killed_command_leaves_no_corpus_and_the_next_makes_it(
    palmetto: Palmetto, made: Path, text: Path, tmp_path: Path, tree_hashes: Hashes
) -> None:
    out = tmp_path / "out"
    with begun(palmetto, out) as process:
        process.kill()
        process.communicate()
    assert not out.exists()
    assert list(tmp_path.iterdir()), "killed before it began"
    done = palmetto.run("corpus", "--text", text, "--out", out, *SIZES)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == [out]
    assert tree_hashes(out) == tree_hashes(made)


def test_ctrl_c_leaves_nothing(palmetto: Palmetto, tmp_path: Path) -> None:
    """Python may end by the signal itself when it was interrupted inside an import; a shell shows 130 for both."""
    with begun(palmetto, tmp_path / "out") as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode in (130, -signal.SIGINT), said
    assert said.endswith("Stopped.\n")
    assert list(tmp_path.iterdir()) == []
