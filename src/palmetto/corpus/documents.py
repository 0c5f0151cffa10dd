"""A document, and the files of documents that the rooms hand each other."""

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from palmetto.common.files import atomic_path, read_json_lines


@dataclass(frozen=True)
class Document:
    """One text and where it came from."""

    id: str
    """Unique in its corpus, and independent of where the corpus lies: a relative path, for a JSON line or
    Parquet row with `:` and its number, for a piece of a cut document with `#` and its number."""

    text: str
    """The normalised text."""

    source: str
    """The top-level part of the corpus it belongs to: a folder, a file, or what its JSON line says."""

    metadata: dict[str, str] = field(default_factory=dict)
    """What else is known: `licence`, `url`, `title` and other short fields."""


def read_documents(path: Path) -> Iterator[Document]:
    """Yield the documents of a `train.jsonl.gz` or `heldout.jsonl.gz`, in the order of their ids.

    Raises:
        PalmettoError: the file is missing or damaged.
    """
    for row in read_json_lines(path):
        yield Document(**row)


@contextmanager
def document_writer(path: Path) -> Iterator[Callable[[Document], None]]:
    """Yield a function that appends a document to `path`, compressed where the name ends in `.gz`.

    The file appears when the block ends without an error; equal documents give equal bytes.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as raw:
        if path.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed:
                yield lambda document: _write(packed.write, document)
        else:
            yield lambda document: _write(raw.write, document)


def _write(write: Callable[[bytes], object], document: Document) -> None:
    write((json.dumps(asdict(document), ensure_ascii=False) + "\n").encode())
