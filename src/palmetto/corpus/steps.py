"""PaLM's corpus steps as datatrove `PipelineStep`s, and the executor that runs them in this process.

Import this module inside functions: datatrove is not needed until a corpus is made. The same steps run under
datatrove's Slurm and Ray executors, whose file systems they then share.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import datatrove.data
import numpy as np
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.io import LocalFileSystem
from datatrove.pipeline.base import PipelineStep
from datatrove.utils.logging import logger
from datatrove.utils.stats import PipelineStats

from palmetto.common.errors import PalmettoError
from palmetto.common.files import sha256_file
from palmetto.common.progress import Bar
from palmetto.corpus.config import CorpusConfig
from palmetto.corpus.cutting import cut_text
from palmetto.corpus.documents import Document, document_writer, read_documents
from palmetto.corpus.reading import Row, UnreadableError, is_plain_text, read_file, reads_in_pieces
from palmetto.corpus.sources import InputFile, Skipped
from palmetto.tokenizer.tokenizer import Tokenizer

# Where a datatrove document carries our `source`: a name that no field of a user's row keeps (see
# `_document`).
_SOURCE = ""
Stream = Iterator[datatrove.data.Document]


class InProcessExecutor(LocalPipelineExecutor):
    """datatrove's local executor without its manager process.

    That process is forked (JAX's threads forbid it) and outlives a killed parent; one task needs neither.
    """

    def run(self) -> PipelineStats:
        """Run every task here, one after the other, and return their statistics."""
        # Rank 1 of the screen prints errors only; those reach the user as exceptions.
        return sum((self._run_for_rank(rank, 1) for rank in range(self.tasks)), start=PipelineStats())


def run_pipeline(steps: list[PipelineStep], work: Path) -> None:
    """Run `steps` as one datatrove task in this process; its log files go into the folder `work`."""
    executor = InProcessExecutor(steps, logging_dir=(str(work), LocalFileSystem()), skip_completed=False)
    logger.disable("datatrove")
    try:
        executor.run()
    finally:
        logger.enable("datatrove")


def _to_datatrove(document: Document) -> datatrove.data.Document:
    return datatrove.data.Document(
        document.text, document.id, metadata={**document.metadata, _SOURCE: document.source}
    )


def _from_datatrove(document: datatrove.data.Document) -> Document:
    metadata = dict(document.metadata)
    source = metadata.pop(_SOURCE)
    return Document(document.id, document.text, source, metadata)


class ReadFiles(PipelineStep):
    """Read the listed files into documents. After the run `skipped` and `records` say what became of each."""

    type = "Reader"
    name = "Palmetto files"

    def __init__(self, files: list[InputFile], config: CorpusConfig, bar: Bar) -> None:
        super().__init__()
        self.files, self.config, self.bar = files, config, bar
        self.skipped: list[Skipped] = []
        self.records: list[dict[str, str | int]] = []
        """One row a file that was read: "path" (its id), "bytes", "sha256", "documents"."""
        self.in_pieces: list[str] = []
        """Ids of the files above `large_file_bytes`, whose pieces are documents."""

    def run(self, data: Stream | None = None, rank: int = 0, world_size: int = 1) -> Stream:
        """Yield the documents of this rank's files.

        Raises:
            PalmettoError: a file that the user named cannot be used, or holds no text.
        """
        yield from data or ()
        for file in self.files[rank::world_size]:
            documents = 0
            blank = True
            try:
                for row in self._rows(file):
                    documents += 1
                    blank = blank and not row.text.strip()
                    yield _to_datatrove(_document(file, row))
                record: dict[str, str | int] = {
                    "path": file.id,
                    "bytes": file.bytes,
                    "sha256": sha256_file(file.path),
                    "documents": documents,
                }
            except UnreadableError as error:
                # Texts of it were already passed on: it was whole a moment ago.
                if file.named or documents:
                    changed = "" if file.named else " (it changed while it was read)"
                    raise PalmettoError(f"{file.path}{changed}: {error}.") from None
                self.skipped.append(Skipped(str(file.path), str(error)))
            else:
                if file.named and blank:
                    raise PalmettoError(f"{file.path} is empty: it holds no text; name a file that does.")
                self.records.append(record)
                if reads_in_pieces(file.path, file.bytes, self.config):
                    self.in_pieces.append(file.id)
            self.bar.advance(file.bytes)

    def _rows(self, file: InputFile) -> Iterator[Row]:
        whole = is_plain_text(file.path) and not reads_in_pieces(file.path, file.bytes, self.config)
        if not file.named and not whole:
            # A file met in a folder counts wholly or not at all, so it is read through once before its first
            # text is passed on. A named file with a fault ends the run, which needs no such care.
            for _ in read_file(file.path, self.config):
                pass
        yield from read_file(file.path, self.config)


def _document(file: InputFile, row: Row) -> Document:
    metadata = {**file.metadata, **row.metadata}
    metadata.pop(_SOURCE, None)
    # A row may say its own source.
    source = metadata.pop("source", "") or file.source
    if row.suffix:
        metadata["path"] = file.id
    return Document(file.id + row.suffix, row.text, source, metadata)


class Normalise(PipelineStep):
    r"""Drop a byte order mark, make every line end `\n`, and drop documents of blanks alone."""

    type = "Formatter"
    name = "Palmetto normaliser"

    def __init__(self) -> None:
        super().__init__()
        self.empty = 0

    def run(self, data: Stream, rank: int = 0, world_size: int = 1) -> Stream:
        """Yield the normalised documents."""
        for document in data:
            text = document.text.removeprefix("\ufeff")
            if "\r" in text:
                text = text.replace("\r\n", "\n").replace("\r", "\n")
            if text.strip():
                document.text = text
                yield document
            else:
                self.empty += 1


class DropDuplicates(PipelineStep):
    """Drop each document whose text came before, so of equal ones the first in the order of reading stays."""

    type = "Dedup"
    name = "Palmetto exact duplicates"

    def __init__(self) -> None:
        super().__init__()
        self.duplicates = 0
        self._seen: set[bytes] = set()

    def run(self, data: Stream, rank: int = 0, world_size: int = 1) -> Stream:
        """Yield the documents with new texts."""
        for document in data:
            digest = sha256(document.text.encode()).digest()
            if digest in self._seen:
                self.duplicates += 1
            else:
                self._seen.add(digest)
                yield document


class CutLong(PipelineStep):
    """Cut documents above `size` characters into pieces at paragraphs; each piece becomes a document."""

    type = "Formatter"
    name = "Palmetto cutter"

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.cut = 0

    def run(self, data: Stream, rank: int = 0, world_size: int = 1) -> Stream:
        """Yield short documents as they are and long ones in pieces."""
        for document in data:
            if len(document.text) <= self.size:
                yield document
                continue
            self.cut += 1
            metadata = {"path": document.id, **document.metadata}
            for number, piece in enumerate(cut_text(document.text, self.size)):
                yield datatrove.data.Document(piece, f"{document.id}#{number:08d}", metadata=dict(metadata))


class ReadPrepared(PipelineStep):
    """Read a file that `WriteDocuments` wrote."""

    type = "Reader"
    name = "Palmetto documents"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def run(self, data: Stream | None = None, rank: int = 0, world_size: int = 1) -> Stream:
        """Yield the documents of the file."""
        yield from data or ()
        for document in read_documents(self.path):
            yield _to_datatrove(document)


class WriteDocuments(PipelineStep):
    """Write each document to the file of `paths` that `choose` names, and show it to `see`."""

    type = "Writer"
    name = "Palmetto documents"

    def __init__(
        self, paths: dict[str, Path], choose: Callable[[Document], str], see: Callable[[Document, str], None]
    ) -> None:
        super().__init__()
        self.paths, self.choose, self.see = paths, choose, see

    def run(self, data: Stream, rank: int = 0, world_size: int = 1) -> Stream:
        """Write the documents and yield them on."""
        with _writers(self.paths) as writers:
            for document in data:
                ours = _from_datatrove(document)
                name = self.choose(ours)
                writers[name](ours)
                self.see(ours, name)
                yield document


@contextmanager
def _writers(paths: dict[str, Path]) -> Iterator[dict[str, Callable[[Document], None]]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(document_writer(path)) for name, path in paths.items()}


class Tokenise(PipelineStep):
    """Append each document's tokens and an `[eod]` to a flat file of little-endian integers.

    After the run `rows` holds, in the order of the documents, their id, source, number of tokens (with
    `[eod]`) and number of UTF-8 bytes.
    """

    type = "Tokenizer"
    name = "Palmetto tokens"
    # Enough text for the tokenizer's batch call, little enough that its lists of ids stay small.
    _BATCH_CHARACTERS = 1 << 20

    def __init__(self, tokenizer: Tokenizer, path: Path, dtype: np.dtype, bar: Bar) -> None:
        super().__init__()
        self.tokenizer, self.path, self.dtype, self.bar = tokenizer, path, dtype, bar
        self.rows: list[tuple[str, str, int, int]] = []

    def run(self, data: Stream, rank: int = 0, world_size: int = 1) -> Stream:
        """Write the tokens and yield the documents on."""
        with self.path.open("wb") as stream:
            batch: list[datatrove.data.Document] = []
            held = 0
            for document in data:
                batch.append(document)
                held += len(document.text)
                if held >= self._BATCH_CHARACTERS:
                    yield from self._write(batch, stream)
                    batch, held = [], 0
            yield from self._write(batch, stream)

    def _write(self, batch: list[datatrove.data.Document], stream: BinaryIO) -> Stream:
        for document, ids in zip(
            batch, self.tokenizer.encode_batch([one.text for one in batch]), strict=True
        ):
            ids.append(self.tokenizer.eod_id)
            stream.write(np.asarray(ids, self.dtype).tobytes())
            size = len(document.text.encode())
            self.rows.append((document.id, document.metadata[_SOURCE], len(ids), size))
            self.bar.advance(size)
            yield document
