"""Make a packed corpus from tokens that others made: `.npy` arrays and flat `.bin` files.

The shards are one stream of token ids, in the order given. A document ends with `[eod]`; where a stream has none, or
comes as rows of an array, its documents are unknown and each record stands for one. The text is not there: the bytes
of a document are those its tokens decode to, so bits per byte stay what they are for text.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Int, Int64

from palmetto.common.errors import PalmettoError
from palmetto.common.files import atomic_path, hash_json, sha256_file, write_json, write_json_lines
from palmetto.common.progress import Reporter
from palmetto.corpus.documents import Document, document_writer
from palmetto.corpus.records import FORMAT, token_dtype
from palmetto.corpus.shards import Shard, open_shards
from palmetto.tokenizer.tokenizer import Tokenizer

_CHUNK = 1 << 20


@dataclass(frozen=True)
class TokensConfig:
    """Choices of the import of tokens."""

    shards: tuple[str, ...]
    """Files `.npy` (integers; one-dimensional, or rows of sequence_length + 1) and `.bin` (flat little-endian
    integers), or folders of them, which are read in the order of their names."""

    sequence_length: int | None = None
    """Tokens a model sees at once. None takes it from the rows of a two-dimensional array."""

    bin_dtype: Literal["auto", "uint16", "uint32"] = "auto"
    """Integers of `.bin` files, which do not say. `auto` is uint16 where the vocabulary fits, as in nanoGPT."""

    split: Literal["auto", "documents", "tail"] = "auto"
    """What is held out: documents by a seeded hash of their tokens, so that equal ones stay on one side, or the end of
    the stream. `auto` is documents where they are known, else the tail."""

    heldout_fraction: float = 0.05
    """Share kept out of training: of the documents, or of the stream's tokens. At least one document or record."""

    seed: int = 0
    """Seed of the choice of held-out documents."""

    def __post_init__(self) -> None:
        if not self.shards:
            raise PalmettoError("tokens.shards is empty; name .npy or .bin files, or folders of them.")
        if self.sequence_length is not None and self.sequence_length < 1:
            raise PalmettoError(f"tokens.sequence_length is {self.sequence_length}; it must be at least 1.")
        if not 0.0 < self.heldout_fraction < 1.0:
            raise PalmettoError(
                f"tokens.heldout_fraction is {self.heldout_fraction}; it must be above 0 and below 1."
            )


def import_tokens(
    config: TokensConfig, tokenizer: Tokenizer, out: Path, reporter: Reporter
) -> dict[str, Any]:
    """Make the files of a `corpus/` folder in the existing, empty folder `out`, as `pack.pack_corpus` does.

    Training tokens keep the order of the stream and are cut into disjoint records of sequence_length + 1; the last,
    incomplete record is dropped and counted. `heldout.jsonl.gz` holds the held-out texts as the tokens decode. The
    manifest says of every shard its size and SHA-256; `corpus_hash` is over the ids in order, so it does not depend on
    how they lie in files.

    Args:
        config: what to read, and how to split it.
        tokenizer: the one that the tokens were made with.
        out: folder to write into.
        reporter: told the tokens read and written.

    Returns:
        The manifest.

    Raises:
        PalmettoError: a shard is missing, of another kind, or holds an id outside the vocabulary (named with its
            place); there are too few tokens for one record on either side.
        OSError: `out` cannot be written, as on a full disk.
    """
    shards = open_shards(config.shards, config.bin_dtype, tokenizer.vocab_size, reporter.say)
    stream = _Stream(shards, tokenizer, config.sequence_length)
    with reporter.bar("read tokens", stream.total, "tokens") as bar:
        for amount in stream.scan():
            bar.advance(amount)
    split = config.split
    if split == "auto":
        split = "documents" if stream.documents_known else "tail"
    if split == "documents" and not stream.documents_known:
        raise PalmettoError(
            "tokens.split is documents, but the shards are rows of an array or hold no [eod], so their documents are "
            "unknown; set it to tail."
        )
    if not stream.documents_known:
        reporter.say(
            "The tokens do not show documents (rows of an array, or no [eod]): each record counts as one, and the "
            "last records are held out. A text that lies across that border is on both sides."
        )
    held = _held_by_hash(stream, config, reporter) if split == "documents" else _held_tail(stream, config)
    dtype = token_dtype(tokenizer.vocab_size)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "sequence_length": stream.sequence_length,
        "record_length": stream.sequence_length + 1,
        "dtype": dtype.name,
        "seed": config.seed,
        "input": {
            "kind": "tokens",
            "shards": [shard.facts() for shard in shards],
            "documents": "ended by [eod]" if stream.documents_known else "unknown; records stand for them",
            "text": "decoded from the tokens",
            "licence": "not stated; the user's own tokens",
        },
        "split": {"kind": split, "heldout_fraction": config.heldout_fraction, "seed": config.seed},
    }
    with reporter.bar("write tokens", stream.total, "tokens") as bar:
        for name, side in (("train", ~held), ("heldout", held)):
            manifest |= _write_split(name, side, stream, dtype, out)
            bar.advance(int(stream.lengths[side].sum()))
    with document_writer(out / "heldout.jsonl.gz") as write:
        for number in np.flatnonzero(held).tolist():
            write(stream.document(number, tokenizer))
    manifest |= {
        "tokenizer_sha256": tokenizer.sha256,
        "corpus_hash": hash_json({"tokens": stream.sha256, "tokenizer": tokenizer.sha256}),
        "bytes_per_token": manifest["train_bytes"]
        / (manifest["train_tokens"] + manifest["train_tokens_dropped"]),
        "sha256": {path.name: sha256_file(path) for path in sorted(out.iterdir())},
    }
    write_json(out / "manifest.json", manifest)
    return manifest


class _Stream:
    """The ids of all shards, one after the other; where documents end is known after `scan`."""

    def __init__(self, shards: list[Shard], tokenizer: Tokenizer, sequence_length: int | None) -> None:
        self._shards, self._tokenizer = shards, tokenizer
        self._starts = np.cumsum([0, *(len(shard) for shard in shards)])
        self.total = int(self._starts[-1])
        self._in_rows, self.sequence_length = _record_shape(shards, sequence_length)
        self._ends: Int64[np.ndarray, " N"] = np.zeros(0, np.int64)
        self.documents_known = False
        self.sha256 = ""

    def scan(self) -> Iterator[int]:
        """Read everything once: check ids, hash them and find `[eod]`; yields how many tokens were read.

        Raises:
            PalmettoError: an id is outside the vocabulary.
        """
        digest, found = sha256(), [np.zeros(0, np.int64)]
        for shard, base in zip(self._shards, self._starts.tolist(), strict=False):
            for start in range(0, len(shard), _CHUNK):
                tokens = shard.read(start, min(start + _CHUNK, len(shard)))
                if tokens.min() < 0 or tokens.max() >= self._tokenizer.vocab_size:
                    bad = (tokens < 0) | (tokens >= self._tokenizer.vocab_size)
                    first = int(np.flatnonzero(bad)[0])
                    raise PalmettoError(
                        f"{shard.path}: token {start + first:,} (from 0) is {tokens[first]}, but the tokenizer has ids "
                        f"0 .. {self._tokenizer.vocab_size - 1}; give the tokenizer that the tokens were made with"
                        f"{', or the right integers of .bin files' if shard.kind == 'bin' else ''}."
                    )
                digest.update(tokens.astype("<u4").tobytes())
                found.append(np.flatnonzero(tokens == self._tokenizer.eod_id) + base + start + 1)
                yield len(tokens)
        self.sha256 = digest.hexdigest()
        ends = np.concatenate(found)
        self.documents_known = len(ends) > 0 and not self._in_rows
        if not self.documents_known:
            length = self.sequence_length + 1
            ends = np.arange(length, self.total + 1, length)
        # What follows the last [eod] or the last whole record is a document too.
        if not len(ends) or ends[-1] != self.total:
            ends = np.append(ends, self.total)
        self._ends = ends.astype(np.int64)

    @cached_property
    def lengths(self) -> Int64[np.ndarray, " N"]:
        """Tokens of each document, `[eod]` counted."""
        return np.diff(self._ends, prepend=0)

    def read(self, start: int, end: int) -> Int[np.ndarray, " T"]:
        """Return the ids [start, end) of the stream."""
        parts = []
        shard = int(np.searchsorted(self._starts, start, side="right")) - 1
        while start < end:
            base, stop = int(self._starts[shard]), min(end, int(self._starts[shard + 1]))
            parts.append(self._shards[shard].read(start - base, stop - base))
            start, shard = stop, shard + 1
        return np.concatenate(parts)

    def tokens(self, number: int) -> Int[np.ndarray, " T"]:
        """Return the ids of document `number`, with its `[eod]`."""
        end = int(self._ends[number])
        return self.read(end - int(self.lengths[number]), end)

    def runs(self, side: Bool[np.ndarray, " N"]) -> Iterator[tuple[int, int]]:
        """Yield the stretches [start, end) of the stream that the documents of `side` fill, joined."""
        edges = np.flatnonzero(np.diff(side.astype(np.int8), prepend=0, append=0))
        starts = self._ends - self.lengths
        for first, after in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            yield int(starts[first]), int(self._ends[after - 1])

    def identity(self, number: int) -> tuple[str, str]:
        """Return a document's id and source: where it begins."""
        start = int(self._ends[number] - self.lengths[number])
        shard = self._shards[int(np.searchsorted(self._starts, start, side="right")) - 1]
        return f"{shard.path.name}:{number:08d}", shard.path.name

    def document(self, number: int, tokenizer: Tokenizer) -> Document:
        """Return a document with the text that its tokens decode to."""
        identity, source = self.identity(number)
        return Document(identity, tokenizer.decode(self.tokens(number)), source)

    @cached_property
    def token_bytes(self) -> Int64[np.ndarray, " V"]:
        """UTF-8 bytes that each token stands for: their sum is a text's bytes, also where it was cut in a character."""
        sizes = []
        for token in range(self._tokenizer.vocab_size):
            piece = self._tokenizer.piece(token)
            is_byte = len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">")
            sizes.append(1 if is_byte else len(self._tokenizer.decode([token]).encode()))
        return np.array(sizes, np.int64)


def _record_shape(shards: list[Shard], sequence_length: int | None) -> tuple[bool, int]:
    """Return whether the shards are rows, and the sequence length."""
    widths = {shard.width for shard in shards}
    if len(widths) > 1:
        shown = ", ".join(f"{shard.path.name} {list(shard.shape)}" for shard in shards[:5])
        raise PalmettoError(
            f"the shards differ in shape ({shown}); give flat ones, or rows of one length, not both."
        )
    width = widths.pop()
    if width is None:
        if sequence_length is None:
            raise PalmettoError(
                f"{shards[0].path} is flat, so it does not say how long a record is; give sequence_length."
            )
        return False, sequence_length
    if sequence_length is not None and width != sequence_length + 1:
        raise PalmettoError(
            f"{shards[0].path} has rows of {width} tokens and a record of sequence_length={sequence_length} holds "
            f"{sequence_length + 1}; set sequence_length to {width - 1}, or flatten the array if its rows follow "
            "each other in the text."
        )
    if width < 2:
        raise PalmettoError(f"{shards[0].path} has rows of {width} token; a record needs at least 2.")
    return True, width - 1


def _held_by_hash(stream: _Stream, config: TokensConfig, reporter: Reporter) -> Bool[np.ndarray, " N"]:
    """Hold out the documents whose seeded hash is below the fraction: at least one, and not all."""
    count = len(stream.lengths)
    if count < 2:
        raise PalmettoError(
            "the tokens hold one document ([eod] at the end alone), and the split needs two; give more, or set "
            "tokens.split to tail and leave [eod] out."
        )
    ranks = np.zeros(count, np.uint64)
    with reporter.bar("split documents", stream.total, "tokens") as bar:
        for number in range(count):
            data = f"{config.seed}:".encode() + stream.tokens(number).astype("<u4").tobytes()
            ranks[number] = int.from_bytes(sha256(data).digest()[:8])
            bar.advance(int(stream.lengths[number]))
    held: Bool[np.ndarray, " N"] = ranks < np.uint64(config.heldout_fraction * 2**64)
    if not held.any():
        held = ranks == ranks.min()
    if held.all():
        held = ranks != ranks.max()
    return held


def _held_tail(stream: _Stream, config: TokensConfig) -> Bool[np.ndarray, " N"]:
    """Hold out the last documents: as many as begin in the last `heldout_fraction` of the stream, at least one."""
    starts = np.cumsum(stream.lengths) - stream.lengths
    held: Bool[np.ndarray, " N"] = starts >= stream.total * (1 - config.heldout_fraction)
    held[-1] = True
    if not stream.documents_known and len(held) > 2 and stream.lengths[-1] <= stream.sequence_length:
        # The last record is not whole, and one whole record is the least.
        held[-2] = True
    held[0] = False
    return held


def _write_split(
    name: str, side: Bool[np.ndarray, " N"], stream: _Stream, dtype: np.dtype, out: Path
) -> dict[str, int]:
    """Write one side's token file and list of documents; return its entries of the manifest."""
    total, record_length = int(stream.lengths[side].sum()), stream.sequence_length + 1
    records = total // record_length
    if records == 0:
        raise PalmettoError(
            f"the {name} side has {total} tokens, too few for one record of sequence_length="
            f"{stream.sequence_length} and one more; give more tokens, lower sequence_length or change "
            "heldout_fraction."
        )
    kept = records * record_length if name == "train" else total
    written = 0
    with atomic_path(out / f"{name}.tokens") as temporary, temporary.open("wb") as file:
        for start, end in stream.runs(side):
            for place in range(start, end, _CHUNK):
                piece = stream.read(place, min(place + _CHUNK, end))[: kept - written]
                file.write(piece.astype(dtype).tobytes())
                written += len(piece)
    sizes: list[int] = []
    write_json_lines(out / f"{name}.documents.jsonl.gz", _rows(side, stream, sizes))
    return {
        f"{name}_documents": len(sizes),
        f"{name}_records": records,
        f"{name}_tokens": kept,
        f"{name}_tokens_dropped": total - kept,
        f"{name}_bytes": sum(sizes),
    }


def _rows(side: Bool[np.ndarray, " N"], stream: _Stream, sizes: list[int]) -> Iterable[dict[str, Any]]:
    """Yield the rows of a list of documents, as `pack_corpus` writes them; their bytes are added to `sizes`."""
    start = 0
    for number in np.flatnonzero(side).tolist():
        identity, source = stream.identity(number)
        tokens = stream.tokens(number)
        sizes.append(int(stream.token_bytes[tokens].sum()))
        yield {"id": identity, "source": source, "start": start, "tokens": len(tokens), "bytes": sizes[-1]}
        start += len(tokens)
