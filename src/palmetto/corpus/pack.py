"""From documents to token records of fixed length: concatenated with `[eod]`, never padded (sections 3 and 5
of the paper: sequences of one length, documents split by the end-of-document token).
"""

import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from palmetto.common.errors import PalmettoError
from palmetto.common.files import atomic_path, read_json, sha256_file, write_json, write_json_lines
from palmetto.common.progress import Bar, Reporter
from palmetto.corpus.records import FORMAT, token_dtype
from palmetto.tokenizer.tokenizer import Tokenizer

_SPLITS = ("train", "heldout")
# Id, source, tokens with `[eod]`, and UTF-8 bytes of a document.
Row = tuple[str, str, int, int]


def pack_corpus(
    documents: Path,
    tokenizer: Tokenizer,
    sequence_length: int,
    out: Path,
    reporter: Reporter,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Make the files of the `corpus/` folder in the existing, empty folder `out`.

    Each document is followed by `[eod]`. Training documents come in a seeded shuffled order and are cut into
    disjoint records of `sequence_length` + 1 tokens (so that a record holds its own targets); the last,
    incomplete record is dropped and counted. Held-out documents come in the order of their ids and
    `heldout.tokens` keeps the tokens after the last whole record too, so that each document's bits per byte
    can be computed from its tokens.

    Written are `<split>.tokens` (flat little-endian integers), `<split>.documents.jsonl.gz` (a row a document
    in the order of packing: "id", "source", "start" and "tokens" in the concatenation with `[eod]` counted,
    "bytes" of UTF-8 text), `heldout.jsonl.gz` (the held-out texts) and `manifest.json`.

    Args:
        documents: the `documents/` folder.
        tokenizer: the tokenizer to use.
        sequence_length: tokens a model sees at once.
        out: folder to write into.
        reporter: told the bytes tokenised.
        seed: seed of the order of training documents.

    Returns:
        The manifest.

    Raises:
        PalmettoError: the documents are damaged, or too few for one record.
        OSError: `out` cannot be written, as on a full disk.
    """
    if sequence_length < 1:
        raise PalmettoError(f"sequence_length is {sequence_length}; it must be at least 1.")
    prepared = read_json(documents / "manifest.json")
    dtype = token_dtype(tokenizer.vocab_size)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "sequence_length": sequence_length,
        "record_length": sequence_length + 1,
        "dtype": dtype.name,
        "seed": seed,
    }
    work = out / ".work"
    work.mkdir()
    try:
        for split in _SPLITS:
            path = documents / f"{split}.jsonl.gz"
            if not path.is_file() or sha256_file(path) != prepared["documents_sha256"][split]:
                raise PalmettoError(
                    f"{path} is missing or not the file its manifest describes; prepare the documents again."
                )
            with reporter.bar(f"tokenise {split}", prepared["counts"][f"{split}_bytes"], "B") as bar:
                rows = _tokenise(path, work / split, tokenizer, dtype, bar)
            manifest |= _write_split(split, rows, np.memmap(work / split, dtype, "r"), manifest, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    with atomic_path(out / "heldout.jsonl.gz") as temporary:
        shutil.copyfile(documents / "heldout.jsonl.gz", temporary)
    manifest |= {
        "tokenizer_sha256": tokenizer.sha256,
        "corpus_hash": prepared["corpus_hash"],
        "bytes_per_token": manifest["train_bytes"]
        / (manifest["train_tokens"] + manifest["train_tokens_dropped"]),
        "sha256": {path.name: sha256_file(path) for path in sorted(out.iterdir())},
    }
    write_json(out / "manifest.json", manifest)
    return manifest


def _tokenise(path: Path, spool: Path, tokenizer: Tokenizer, dtype: np.dtype, bar: Bar) -> list[Row]:
    from palmetto.corpus.steps import ReadPrepared, Tokenise, run_pipeline

    step = Tokenise(tokenizer, spool, dtype, bar)
    run_pipeline([ReadPrepared(path), step], spool.with_suffix(".log"))
    return step.rows


def _write_split(
    split: str, rows: list[Row], tokens: Shaped[np.ndarray, " N"], manifest: dict[str, Any], out: Path
) -> dict[str, int]:
    """Write the token file and its list of documents; return the split's entries of the manifest."""
    total, record_length = len(tokens), manifest["record_length"]
    records = total // record_length
    if records == 0:
        raise PalmettoError(
            f"the {split} documents give {total} tokens, too few for one record of sequence_length="
            f"{manifest['sequence_length']} and one more; "
            "give more text, lower sequence_length or change heldout_fraction."
        )
    ends = np.cumsum([count for _, _, count, _ in rows])
    order = list(range(len(rows)))
    if split == "train":
        # A hash, because a library's shuffle may change with its version.
        order.sort(key=lambda index: sha256(f"{manifest['seed']}:{rows[index][0]}".encode()).digest())
    kept = records * record_length if split == "train" else total
    written, start, listed = 0, 0, []
    with atomic_path(out / f"{split}.tokens") as temporary, temporary.open("wb") as stream:
        for index in order:
            identity, source, count, size = rows[index]
            piece = tokens[ends[index] - count : ends[index]][: kept - written]
            stream.write(piece.tobytes())
            written += len(piece)
            listed.append({"id": identity, "source": source, "start": start, "tokens": count, "bytes": size})
            start += count
    write_json_lines(out / f"{split}.documents.jsonl.gz", listed)
    return {
        f"{split}_documents": len(rows),
        f"{split}_records": records,
        f"{split}_tokens": kept,
        f"{split}_tokens_dropped": total - kept,
        f"{split}_bytes": sum(size for *_, size in rows),
    }
