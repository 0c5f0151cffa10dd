"""Find the files that a corpus is read from: the standard library, or the user's files and folders.

A file's id is its path relative to what was named, so a corpus is the same wherever it lies.
"""

import fnmatch
import os
import platform
import stat
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from palmetto.common.errors import PalmettoError
from palmetto.common.files import sha256_file
from palmetto.corpus.config import CorpusConfig

# Installed beside the standard library without being part of it.
_FOREIGN_FOLDERS = ("site-packages", "dist-packages", "__pycache__", "config-*")
# Written at installation with the machine's own paths and compiler flags: they would tell machines apart.
_GENERATED_FILES = ("_sysconfigdata*.py",)


@dataclass(frozen=True)
class InputFile:
    """A file to read."""

    id: str
    path: Path
    source: str
    bytes: int
    named: bool
    """Whether the user named this very file: then it must be readable."""

    metadata: dict[str, str] = field(default_factory=dict)
    """Given to every document of the file."""


@dataclass(frozen=True)
class Skipped:
    """Something that was found and not read."""

    path: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """What was found: `files` in the order of their ids."""

    description: dict[str, Any]
    """The `input` entry of the manifest."""

    files: list[InputFile]
    unreadable: list[Skipped]
    """Files and folders that cannot be opened; they count towards `max_unreadable_share`."""

    passed_over: list[Skipped]
    """Links to folders, which are not followed; they do not count."""


def find_files(config: CorpusConfig) -> Listing:
    """Return the files of the configured input.

    Raises:
        PalmettoError: a named path is missing or unreadable, or nothing is there to read.
    """
    listing = (
        _named_paths(config.text) if config.text else standard_library(Path(sysconfig.get_paths()["stdlib"]))
    )
    listing.files.sort(key=lambda file: file.id)
    if not listing.files:
        where = ", ".join(listing.description["paths"])
        raise PalmettoError(f"no file to read was found in {where}; name files or folders that hold text.")
    return listing


def standard_library(root: Path) -> Listing:
    """Return the `.py` files of a standard library at `root`.

    Left out: what others installed there, links, and files that the installation generates with the machine's
    own paths (`_sysconfigdata*.py` and the `config-*` folders).
    """
    listing = Listing({}, [], [], [])
    for path, identity in _walk(root, listing, pass_over=_FOREIGN_FOLDERS):
        generated = any(fnmatch.fnmatch(path.name, pattern) for pattern in _GENERATED_FILES)
        if path.suffix == ".py" and not generated and not path.is_symlink():
            _add(listing, path, identity, _first_part(identity, "(top level)"), {"licence": "PSF-2.0"})
    licence = root / "LICENSE.txt"
    listing.description.update(
        kind="standard library",
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        paths=[str(root)],
        licence="PSF-2.0",
        licence_file={"path": licence.name, "sha256": sha256_file(licence)} if licence.is_file() else None,
        left_out=[*_FOREIGN_FOLDERS, *_GENERATED_FILES, "symbolic links", "files that are not *.py"],
    )
    return listing


def _named_paths(names: tuple[str, ...]) -> Listing:
    description = {"kind": "files", "paths": list(names), "licence": "not stated; the user's own text"}
    listing = Listing(description, [], [], [])
    labels = _labels(names)
    for name, label in zip(names, labels, strict=True):
        path = Path(name)
        try:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                next(path.iterdir(), None)
        except FileNotFoundError:
            raise PalmettoError(f"{name} does not exist; correct the path given as text.") from None
        except OSError as error:
            raise PalmettoError(
                f"{name} cannot be read ({error.strerror}); correct its permissions."
            ) from None
        if stat.S_ISDIR(mode):
            prefix = f"{label}/" if len(names) > 1 else ""
            for found, identity in _walk(path, listing, pass_over=("__pycache__",)):
                _add(listing, found, prefix + identity, _first_part(prefix + identity, label), {})
        elif stat.S_ISREG(mode):
            listing.files.append(InputFile(label, path, label, path.stat().st_size, named=True))
        else:
            raise PalmettoError(f"{name} is neither a file nor a folder; name one of those as text.")
    return listing


def _labels(names: Iterable[str]) -> list[str]:
    """Return the last part of each path, made unique by a number where two are the same."""
    counts: dict[str, int] = {}
    labels = []
    for name in names:
        label = _clean(Path(name).resolve().name or "root")
        counts[label] = counts.get(label, 0) + 1
        labels.append(label if counts[label] == 1 else f"{label}~{counts[label]}")
    return labels


def _walk(root: Path, listing: Listing, pass_over: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    """Yield the files below `root` with their ids; hidden ones and folders of `pass_over` are left out."""

    def refused(error: OSError) -> None:
        listing.unreadable.append(
            Skipped(str(error.filename), f"the folder cannot be read ({error.strerror})")
        )

    for folder, folders, files in os.walk(root, onerror=refused):
        kept = []
        for name in sorted(folders):
            if name.startswith(".") or any(fnmatch.fnmatch(name, pattern) for pattern in pass_over):
                continue
            if (Path(folder) / name).is_symlink():
                reason = "a link to a folder is not followed; name the folder itself to read it"
                listing.passed_over.append(Skipped(str(Path(folder) / name), reason))
                continue
            kept.append(name)
        folders[:] = kept
        for name in sorted(files):
            if not name.startswith("."):
                path = Path(folder) / name
                yield path, _clean(path.relative_to(root).as_posix())


def _add(listing: Listing, path: Path, identity: str, source: str, metadata: dict[str, str]) -> None:
    try:
        status = path.stat()
    except OSError as error:
        listing.unreadable.append(Skipped(str(path), f"cannot be read ({error.strerror})"))
        return
    if stat.S_ISREG(status.st_mode):
        listing.files.append(InputFile(identity, path, source, status.st_size, False, metadata))
    else:
        # Opening a pipe would wait for ever.
        listing.unreadable.append(Skipped(str(path), "is not a regular file"))


def _first_part(identity: str, otherwise: str) -> str:
    first, slash, _ = identity.partition("/")
    return first if slash else otherwise


def _clean(name: str) -> str:
    """Return a file name as text that UTF-8 can encode: bytes that are not UTF-8 become escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
