"""Reading packed records: random access, refusals of damaged files, and use through grain."""

import json
import pickle
from pathlib import Path

import grain
import numpy as np
import pytest

from palmetto.common.errors import PalmettoError
from palmetto.common.files import sha256_file
from palmetto.corpus.records import PackedRecords

_TOKENS = np.arange(10 * 5 + 3) * 7 % 60_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten training records of five tokens, and held-out text of ten records with three tokens after them."""
    _TOKENS[:50].astype("<u2").tofile(tmp_path / "train.tokens")
    _TOKENS.astype("<u2").tofile(tmp_path / "heldout.tokens")
    manifest = {
        "format": 1,
        "sequence_length": 4,
        "record_length": 5,
        "dtype": "uint16",
        "train_records": 10,
        "train_tokens": 50,
        "heldout_records": 10,
        "heldout_tokens": 53,
        "sha256": {name: sha256_file(tmp_path / name) for name in ("train.tokens", "heldout.tokens")},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


def test_a_record_is_its_tokens_as_int32(folder: Path) -> None:
    records = PackedRecords(folder, "train")
    assert len(records) == 10
    assert records.sequence_length == 4
    assert records[3].dtype == np.int32
    assert records[3].tolist() == _TOKENS[15:20].tolist()
    assert records[np.int64(9)].tolist() == _TOKENS[45:50].tolist()


@pytest.mark.parametrize("record", [-1, 10])
def test_a_record_that_is_not_there_is_an_error_and_nothing_wraps(folder: Path, record: int) -> None:
    with pytest.raises(IndexError, match="of 10"):
        PackedRecords(folder, "train")[record]


def test_all_records_are_a_read_only_view_of_the_file(folder: Path) -> None:
    array = PackedRecords(folder, "train").array
    assert array.shape == (10, 5)
    assert np.array_equal(array, _TOKENS[:50].reshape(10, 5))
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1


def test_the_flat_heldout_tokens_go_on_after_the_last_record(folder: Path) -> None:
    records = PackedRecords(folder, "heldout")
    assert records.array.shape == (10, 5)
    assert records.tokens.tolist() == _TOKENS.tolist()


def test_records_survive_pickling_without_carrying_the_tokens(folder: Path) -> None:
    pickled = pickle.dumps(PackedRecords(folder, "train"))
    assert len(pickled) < 500
    assert pickle.loads(pickled)[7].tolist() == _TOKENS[35:40].tolist()


def test_grain_reads_the_records(folder: Path) -> None:
    records = PackedRecords(folder, "train")
    dataset = grain.MapDataset.source(records)
    assert len(dataset) == 10
    assert np.array_equal(dataset[4], records[4])
    seen = sorted(record.tolist() for record in dataset.shuffle(seed=0))
    assert seen == sorted(record.tolist() for record in records.array)


@pytest.mark.parametrize("change", [-2, 2])
def test_a_file_of_the_wrong_size_is_refused(folder: Path, change: int) -> None:
    data = (folder / "train.tokens").read_bytes()
    (folder / "train.tokens").write_bytes(data[:change] if change < 0 else data + b"\0" * change)
    with pytest.raises(PalmettoError, match=rf"train\.tokens holds {100 + change} bytes where .* says 100"):
        PackedRecords(folder, "train")


def test_a_missing_file_is_refused(folder: Path) -> None:
    (folder / "train.tokens").unlink()
    with pytest.raises(PalmettoError, match=r"train\.tokens holds 0 bytes"):
        PackedRecords(folder, "train")


def test_another_format_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text()) | {"format": 99}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(PalmettoError, match="format 99"):
        PackedRecords(folder, "train")


def test_verify_finds_a_changed_byte(folder: Path) -> None:
    records = PackedRecords(folder, "train")
    records.verify()
    data = bytearray((folder / "train.tokens").read_bytes())
    data[17] ^= 1
    (folder / "train.tokens").write_bytes(data)
    with pytest.raises(PalmettoError, match=r"train\.tokens was changed"):
        PackedRecords(folder, "train").verify()
