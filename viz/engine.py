"""The layout engine: a program that turns DOT text into SVG."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

from gradgraph.errors import GradgraphError, MissingExtraError

TIMEOUT = 15.0
PORT = "graphviz-pure"


class EngineError(GradgraphError, RuntimeError):
    """The layout engine could not draw."""


class EngineTimeout(EngineError, TimeoutError):  # noqa: N818
    """The layout engine took too long."""


def find() -> str:
    """The path of a layout engine: the port of Graphviz that pip installs, or else its `dot`.

    Raises:
        MissingExtraError: if there is none; it says how to get one.
    """
    found = _port() or shutil.which("dot")
    if found is None:
        raise MissingExtraError(
            "viz",
            "no layout engine was found: neither the program `dot` on the PATH, nor the package"
            " graphviz-pure beside this Python",
            'Run pip install "gradgraph-engine[viz]", or install Graphviz with the package manager'
            " of your system. The DOT text needs no engine: see Drawing.dot.",
        )
    return found


def layouts(parts: Sequence[str], engine: str | None = None, timeout: float = TIMEOUT) -> list[str]:
    """The SVG of each of several DOT texts: a process for each, side by side.

    One process for all would do, but what it makes of one graph then depends on those before it.
    Raises as `layout` does.
    """
    program = engine or find()
    with ThreadPoolExecutor(max(len(parts), 1)) as pool:
        return list(pool.map(lambda part: layout(part, program, timeout), parts))


def layout(dot: str, engine: str | None = None, timeout: float = TIMEOUT) -> str:
    """The SVG that an engine makes of DOT text.

    Args:
        dot: the text.
        engine: path of a program that understands `-Tsvg`; by default the one that is found.
        timeout: seconds that it may take.

    Raises:
        MissingExtraError: if there is no engine.
        EngineTimeout: if it took too long; it has been stopped then.
        EngineError: if it failed.
    """
    program = engine or find()
    try:
        done = subprocess.run(
            [program, "-Tsvg"],
            input=dot.encode(),
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise EngineTimeout(
            "viz", f"the layout took longer than {timeout:g} s", "Draw with a smaller budget=."
        ) from None
    except (OSError, TypeError, ValueError) as error:
        raise EngineError(
            "viz", f"{program} could not be run ({error})", "Check the path in engine=."
        ) from None
    if done.returncode or b"<svg" not in done.stdout:
        said = done.stderr.decode(errors="replace").strip()[-300:] or "it said nothing"
        raise EngineError("viz", f"{Path(program).name} failed: {said}", "See Drawing.dot.")
    try:
        text = done.stdout.decode()
        ElementTree.fromstring(text)
    except (UnicodeDecodeError, ElementTree.ParseError, RecursionError) as error:
        raise EngineError(
            "viz", f"{Path(program).name} wrote no SVG ({error})", "See Drawing.dot."
        ) from None
    return text


def _port() -> str | None:
    """The port's program: beside the interpreter, where pip noted it, or on the PATH."""
    folders = [Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))]
    for folder in folders:
        for name in (PORT, f"{PORT}.exe"):
            if os.access(folder / name, os.X_OK):
                return str(folder / name)
    try:
        files = metadata.files(PORT) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.stem == PORT and os.access(path := file.locate(), os.X_OK):
            return str(Path(path).resolve())
    return shutil.which(PORT)
