"""Functions that numba compiles once for a machine, and keeps."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from llvmlite import binding
from numba import njit

KERNELS: list[Any] = []  # in the order in which they were made


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function of ints and floats, without Python's lock; keep it for later processes.

    It is kept beside its file, else in a folder of the user; if neither can be written to, every
    process compiles anew, and says so once. What is kept holds for this state of all files here.
    """
    try:
        made = njit(nogil=True, cache=True, error_model="numpy")(function)
        file = made._cache._cache_file
        file._source_stamp = (*file._source_stamp, _stamp())
        if not any(Path(file._index_path).parent.glob("*.nbi")):
            _say_once("gradgraph: compiling kernels for this machine: some seconds, once")
    except RuntimeError:  # numba found no folder
        made = njit(nogil=True, error_model="numpy")(function)
        _say_once("gradgraph: compiled kernels cannot be kept; NUMBA_CACHE_DIR may name a folder")
    KERNELS.append(made)
    return made


_said: set[str] = set()


def _say_once(text: str) -> None:
    if text not in _said:
        _said.add(text)
        print(text, file=sys.stderr)


@cache
def _stamp() -> int:
    """A number for the sources here and for the vectors of the machine: numba looks at the file of
    a function only, not at what the function calls."""
    here = sorted(Path(__file__).parent.glob("*.py"))
    machine = str(sorted(binding.get_host_cpu_features().items())).encode()
    return zlib.crc32(b"".join([machine, *(path.read_bytes() for path in here)]))
