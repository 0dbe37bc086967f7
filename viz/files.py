"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from gradgraph.errors import DomainError
from gradgraph.files import write


def suffix_of(path: str | os.PathLike[str], formats: tuple[str, ...], op: str) -> str:
    """The suffix of a path, in lower case, if it is one of these formats.

    >>> suffix_of("net.SVG", (".svg", ".dot"), "save")
    '.svg'
    """
    name = Path(path).name
    suffix = Path(path).suffix.lower()
    if suffix not in formats:
        raise DomainError(
            op,
            f"{name!r} ends in {suffix or 'nothing'!r}, which is no format it writes",
            "Use a name that ends in " + " or ".join(f'"{f}"' for f in formats) + ".",
        )
    return suffix


def write_whole(path: str | os.PathLike[str], text: str) -> Path:
    """Write text to a file, whole or not at all."""
    return write_bytes(path, text.encode())


def write_bytes(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write bytes to a file, whole or not at all."""
    return write(path, content, durable=False)
