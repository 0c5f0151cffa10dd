"""What the input looked like, so that a study notices when it is given other text."""

import platform
from pathlib import Path
from typing import Any

from palmetto.common.files import hash_json
from palmetto.corpus.config import CorpusConfig


def fingerprint(config: CorpusConfig) -> dict[str, Any]:
    """Return fields for the documents' stage key: the interpreter, or each path's names, sizes and times.

    Contents are hashed when the documents are read; here a look at the file system is enough, and cheap enough to
    take on every start.
    """
    if not config.text:
        return {"corpus.python": platform.python_version()}
    return {f"files under {path}": _look(Path(path)) for path in config.text}


def _look(path: Path) -> str:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    seen = []
    for file in files:
        if file.is_file():
            facts = file.stat()
            seen.append([str(file.relative_to(path)), facts.st_size, facts.st_mtime_ns])
    return hash_json(seen)[:16]
