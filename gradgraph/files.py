"""Files that are there as a whole, or not at all."""

from __future__ import annotations

import glob
import os
import re
import secrets
import socket
import time
from contextlib import suppress
from pathlib import Path

STALE = 3600.0  # seconds after which another machine's temporary file is taken for left behind


def write(path: str | os.PathLike[str], content: bytes, *, durable: bool = True) -> Path:
    """Replace the file, so that whoever looks finds the old one or the new one, whole.

    The content goes to a temporary file beside it, which then takes the name; a link stays a link.
    Temporary files that a killed process left behind are removed.

    Args:
        path: of the file.
        content: what is in it afterwards.
        durable: whether to force it to the disk first, so that it is whole after a power failure.

    Returns:
        The path.

    Raises:
        OSError: (of the path) if it cannot be written; the old file is then untouched.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "state"
    >>> _ = write(path, b"1")
    >>> write(path, b"2").read_bytes(), [p.name for p in path.parent.iterdir()]
    (b'2', ['state'])
    """
    target = Path(path)
    real = target.resolve()
    if not real.name:
        raise IsADirectoryError(21, os.strerror(21), str(target))
    sweep(real)
    temporary = real.with_name(f".{real.name}.{_owner()}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, real)
    except OSError as error:
        if error.errno is not None:
            error.filename, error.filename2 = str(target), None  # not the part that is gone
        raise
    finally:
        temporary.unlink(missing_ok=True)
    if durable and hasattr(os, "O_DIRECTORY"):  # folders cannot be opened on Windows
        with suppress(OSError):  # some file systems cannot; the file is there by now
            folder = os.open(real.parent, os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    return target


def sweep(path: Path) -> None:
    """Remove temporary files of this path that nobody writes any more."""
    name = re.compile(rf"\.{re.escape(path.name)}\.(\w+-\d+)\.[0-9a-f]+\.tmp")
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        found = name.fullmatch(left.name)
        if found and not _in_use(left, found[1]):
            left.unlink(missing_ok=True)


def _owner() -> str:
    """This process, in the name of a file."""
    return f"{_host()}-{os.getpid()}"


def _host() -> str:
    return re.sub(r"\W", "_", socket.gethostname()) or "host"


def _in_use(left: Path, owner: str) -> bool:
    """Whether the process may still write it: it lives, or is elsewhere and the file is new."""
    host, _, pid = owner.rpartition("-")
    if host == _host() and os.name == "posix":
        try:
            os.kill(int(pid), 0)
        except (ProcessLookupError, OverflowError):
            return False
        except OSError:
            pass  # it lives, and belongs to somebody else
        return True
    try:
        return time.time() - left.stat().st_mtime < STALE
    except FileNotFoundError:
        return True
