"""The rooms of the house: a room imports only the rooms above it, and every module belongs to a room."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"


def test_a_room_imports_only_the_rooms_above_it() -> None:
    """The oracle is import-linter, which reads the source and so sees the imports inside functions too."""
    # In a process of its own, because it keeps hold of the streams that pytest captures.
    done = subprocess.run([sys.executable, "-c", LINT], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 kept, 0 broken" in done.stdout
