"""Files that are there as a whole, or not at all."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

STALE = 3600.0  # seconds after which another machine's temporary file is taken for left behind


def write(path: Path, content: bytes) -> None:
    """Replace the file, so that whoever looks finds the old one or the new one, whole.

    The content goes to a temporary file beside it, is forced to the disk, and then takes the
    name; at last the folder is forced to the disk. Temporary files that a killed process left
    behind are removed.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "state"
    >>> write(path, b"1")
    >>> write(path, b"2")
    >>> path.read_bytes(), [p.name for p in path.parent.iterdir()]
    (b'2', ['state'])
    """
    sweep(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):  # folders cannot be opened on Windows
        folder = os.open(path.parent, os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def sweep(path: Path) -> None:
    """Remove temporary files of this path whose process is gone."""
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        pid = left.name[len(path.name) + 2 :].partition(".")[0]
        if pid.isdecimal() and not _in_use(left, int(pid)):
            left.unlink(missing_ok=True)


def _in_use(left: Path, pid: int) -> bool:
    """Whether the process may still write it: it lives, here or (if the file is new) elsewhere."""
    if pid == os.getpid():
        return True  # perhaps of another thread
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it lives, and belongs to somebody else
    try:
        return time.time() - left.stat().st_mtime < STALE
    except FileNotFoundError:
        return True
