"""From files to documents: read, normalise, drop exact duplicates, split into training and held-out text.

The steps are datatrove `PipelineStep`s (`steps.py`). Documents stream through; what stays in memory is a hash
and an id for each.
"""

import shutil
from collections import Counter
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from palmetto.common.errors import PalmettoError
from palmetto.common.files import hash_json, sha256_file, write_json, write_json_lines
from palmetto.common.progress import Reporter
from palmetto.corpus.config import CorpusConfig
from palmetto.corpus.documents import Document
from palmetto.corpus.reading import file_kind
from palmetto.corpus.sources import Listing, Skipped, find_files

FORMAT = 1
_SHOWN = 5
_SHORTEST_PIECE = 1_024
_NORMALISATION = ["a byte order mark at the start is removed", "the line ends \\r\\n and \\r become \\n"]


def prepare_documents(config: CorpusConfig, out: Path, reporter: Reporter) -> dict[str, Any]:
    """Make the files of the `documents/` folder in the existing, empty folder `out`.

    They are `train.jsonl.gz` and `heldout.jsonl.gz` (see `documents.read_documents`), `files.jsonl.gz` (the
    files read: "path", "bytes", "sha256", "documents"), `skipped.jsonl` ("path", "reason") and
    `manifest.json`. All are functions of the input and `config` alone.

    Returns:
        The manifest. Its `corpus_hash` is the SHA-256 over the kept documents' ids and texts in the order of
        ids, so it is equal for equal corpora, wherever they lie.

    Raises:
        PalmettoError: a named file cannot be used, too many files of a folder cannot, or there is too little
        text. OSError: `out` cannot be written, as on a full disk.
    """
    listing = find_files(config)
    work = out / ".work"
    work.mkdir()
    try:
        return _prepare(listing, config, work, out, reporter)
    finally:
        shutil.rmtree(work, ignore_errors=True)


class _Catalogue:
    """What is remembered of the documents that passed: never their text."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.hashes: list[tuple[str, str]] = []
        self.ranks: list[int] = []
        self.bytes: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()
        self.suffixes: dict[str, dict[str, int]] = {}
        self.documents: Counter[str] = Counter()
        self.characters = 0

    def rank(self, document: Document) -> int:
        """Return the document's place in the seeded order, below 2**64; it depends on the text alone."""
        return int.from_bytes(sha256(f"{self._seed}:{document.text}".encode()).digest()[:8])

    def see(self, document: Document, split: str) -> None:
        data = document.text.encode()
        self.hashes.append((document.id, sha256(data).hexdigest()))
        self.ranks.append(self.rank(document))
        self.characters += len(document.text)
        self.documents[split] += 1
        self.bytes[split] += len(data)
        self.sources[document.source] += len(data)
        kind = file_kind(Path(document.metadata.get("path", document.id)))
        entry = self.suffixes.setdefault(kind, {"documents": 0, "bytes": 0})
        entry["documents"] += 1
        entry["bytes"] += len(data)


def _prepare(
    listing: Listing, config: CorpusConfig, work: Path, out: Path, reporter: Reporter
) -> dict[str, Any]:
    from palmetto.corpus.steps import (
        CutLong,
        DropDuplicates,
        Normalise,
        ReadFiles,
        ReadPrepared,
        WriteDocuments,
        run_pipeline,
    )

    spool = work / "documents.jsonl"
    with reporter.bar("read text", sum(file.bytes for file in listing.files), "B") as bar:
        reader, normalise, duplicates = ReadFiles(listing.files, config, bar), Normalise(), DropDuplicates()
        found = _Catalogue(config.seed)
        writer = WriteDocuments({"all": spool}, lambda _: "all", found.see)
        run_pipeline([reader, normalise, duplicates, writer], work / "read")
    files_seen = len(listing.files) + len(listing.unreadable)
    unreadable = [*listing.unreadable, *reader.skipped]
    _check_unreadable(unreadable, files_seen, config)
    empty, repeated, cut = normalise.empty, duplicates.duplicates, None
    if reader.in_pieces:
        more = ", ..." if len(reader.in_pieces) > _SHOWN else ""
        reporter.say(
            f"{', '.join(reader.in_pieces[:_SHOWN])}{more}: above "
            f"{config.large_file_bytes} bytes, so read in pieces of at most {config.piece_characters} "
            "characters, cut at paragraphs; each piece is a document."
        )

    if 0 < len(found.ranks) < config.cut_below_documents:
        size = max(
            _SHORTEST_PIECE,
            min(config.piece_characters, found.characters // (2 * config.cut_below_documents)),
        )
        spool, whole = work / "pieces.jsonl", spool
        before = len(found.ranks)
        cutter, blank, again, found = CutLong(size), Normalise(), DropDuplicates(), _Catalogue(config.seed)
        writer = WriteDocuments({"all": spool}, lambda _: "all", found.see)
        run_pipeline([ReadPrepared(whole), cutter, blank, again, writer], work / "cut")
        empty, repeated = empty + blank.empty, repeated + again.duplicates
        if cutter.cut:
            cut = {
                "documents": cutter.cut,
                "piece_characters": size,
                "pieces": len(found.ranks) - (before - cutter.cut),
            }
            reporter.say(
                f"The input holds {before} document{'s' * (before != 1)}; {cutter.cut} long "
                f"{'ones were' if cutter.cut != 1 else 'one was'} cut at paragraphs, so that there are "
                f"{len(found.ranks)} to split into training and held-out text."
            )

    cutoff, adjusted = _cutoff(found.ranks, config)
    kept = _Catalogue(config.seed)
    paths = {"train": out / "train.jsonl.gz", "heldout": out / "heldout.jsonl.gz"}
    total = sum(found.bytes.values())
    with reporter.bar("write documents", total, "B") as bar:

        def see(document: Document, split: str) -> None:
            kept.see(document, split)
            bar.advance(len(document.text.encode()))

        writer = WriteDocuments(
            paths, lambda document: "heldout" if kept.rank(document) < cutoff else "train", see
        )
        run_pipeline([ReadPrepared(spool), writer], work / "write")

    skipped = sorted([*unreadable, *listing.passed_over], key=lambda entry: entry.path)
    write_json_lines(out / "skipped.jsonl", [_printable(entry) for entry in skipped])
    write_json_lines(out / "files.jsonl.gz", reader.records)
    manifest = {
        "format": FORMAT,
        "input": listing.description,
        "counts": {
            "files_seen": files_seen,
            "skipped_unreadable": len(unreadable),
            "links_passed_over": len(listing.passed_over),
            "empty": empty,
            "duplicates": repeated,
            "train_documents": kept.documents["train"],
            "heldout_documents": kept.documents["heldout"],
            "train_bytes": kept.bytes["train"],
            "heldout_bytes": kept.bytes["heldout"],
        },
        "skipped": [_printable(entry) for entry in skipped[:_SHOWN]],
        "normalisation": _NORMALISATION,
        "cut": cut,
        "read_in_pieces": reader.in_pieces,
        "split": {
            "seed": config.seed,
            "heldout_fraction": config.heldout_fraction,
            "moved_to_reach_minimum": adjusted,
        },
        "corpus_hash": hash_json(sorted(kept.hashes)),
        "documents_sha256": {split: sha256_file(path) for split, path in paths.items()},
        "sources": dict(sorted(kept.sources.items())),
        "suffixes": dict(sorted(kept.suffixes.items())),
    }
    write_json(out / "manifest.json", manifest)
    return manifest


def _printable(entry: Skipped) -> dict[str, str]:
    """Return the row for `skipped.jsonl`; a file name that is not UTF-8 is written with escapes."""
    return {name: text.encode("utf-8", "backslashreplace").decode() for name, text in asdict(entry).items()}


def _check_unreadable(unreadable: list[Skipped], files_seen: int, config: CorpusConfig) -> None:
    if files_seen and len(unreadable) / files_seen > config.max_unreadable_share:
        first = "; ".join(f"{entry.path}: {entry.reason}" for entry in unreadable[:_SHOWN])
        raise PalmettoError(
            f"{len(unreadable)} of {files_seen} files cannot be read, more than max_unreadable_share="
            f"{config.max_unreadable_share} allows ({first}); "
            "take them out of the folder or raise that share."
        )


def _cutoff(ranks: list[int], config: CorpusConfig) -> tuple[int, int]:
    """Return the rank below which a document is held out, and how many were moved for a side's minimum."""
    least = config.min_heldout_documents
    if not ranks:
        raise PalmettoError("the input holds no text after normalisation; give files or folders that do.")
    if len(ranks) < 2 * least:
        raise PalmettoError(
            f"the input holds {len(ranks)} different documents and the split needs {2 * least}, "
            f"{least} on either side (min_heldout_documents); give more text."
        )
    ordered = sorted(ranks)
    wanted = sum(rank < config.heldout_fraction * 2**64 for rank in ranks)
    held = min(max(wanted, least), len(ranks) - least)
    return ordered[held], abs(held - wanted)
