"""Programs that show a fault again: the counterexample as text that runs when it is pasted."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import textwrap
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from ..node import Vertex
from ..op import Op

LITERAL = 64  # elements of an array that are written out; larger ones go to a file


class Unwritable(Exception):
    """Something that no text can stand for."""


class Writer:
    """Collects the lines that define what a program uses.

    Args:
        folder: where arrays too large to write out are saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.imports = {"import numpy as np": None}
        self.paths: dict[str, None] = {}
        self.definitions: dict[str, str] = {}

    def program(self, call: str) -> str:
        """The whole program around a call."""
        lines = []
        if self.paths:
            lines += ["import sys", *(f"sys.path.insert(0, {p!r})" for p in self.paths), ""]
        lines += [*sorted(self.imports), ""]
        for text in self.definitions.values():
            lines += [text, ""]
        return "\n".join([*lines, call])

    def value(self, v: Any) -> str:
        """An expression for a value.

        Raises:
            Unwritable: if there is none.
        """
        if isinstance(v, Vertex):
            v = v._data
        if isinstance(v, np.ndarray):
            return self._array(v)
        if isinstance(v, np.generic):
            return repr(v.item())
        if isinstance(v, dict):
            return "{" + ", ".join(f"{self.value(k)}: {self.value(x)}" for k, x in v.items()) + "}"
        if type(v) in (tuple, list):
            inner = ", ".join(map(self.value, v))
            comma = "," if isinstance(v, tuple) and len(v) == 1 else ""
            return f"({inner}{comma})" if isinstance(v, tuple) else f"[{inner}]"
        if isinstance(v, Op):
            fields = zip(v.fields, v._values, strict=True)
            inside = ", ".join(f"{k}={self.value(x)}" for k, x in fields)
            return f"{self.name(type(v))}({inside})"
        if isinstance(v, functools.partial):
            self.imports["from functools import partial"] = None
            given = [*map(self.value, v.args)]
            given += [f"{k}={self.value(x)}" for k, x in v.keywords.items()]
            return f"partial({', '.join([self.value(v.func), *given])})"
        if isinstance(v, np.ufunc):
            return f"np.{v.__name__}"
        if v is None or v is ... or isinstance(v, bool | int | float | str | slice):
            return repr(v)
        if callable(v):
            return self.name(v)
        raise Unwritable(type(v).__name__)

    def _array(self, v: Any) -> str:
        if v.size <= LITERAL:
            text = np.array2string(v, separator=", ", threshold=LITERAL, floatmode="unique")
            text = " ".join(text.split()).replace("[ ", "[")
            if not v.size:
                return f"np.zeros({v.shape}, {str(v.dtype)!r})"
            for word in ("nan", "inf"):
                text = text.replace(word, f"np.{word}")
            return f"np.array({text}, {str(v.dtype)!r})"
        number = len(list(self.folder.glob("array*.npy")))
        path = self.folder / f"array{number}.npy"
        np.save(path, v)
        return f"np.load({str(path)!r})"

    def name(self, thing: Any) -> str:
        """A name for a function or class, imported or defined before the call."""
        module = getattr(thing, "__module__", None) or ""
        path = getattr(thing, "__qualname__", "")
        if path and module not in ("", "__main__") and _find(module, path) is thing:
            self._reach(module)
            first = path.partition(".")[0]
            self.imports[f"from {module} import {first}"] = None
            return path
        return self._defined(thing)

    def _reach(self, module: str) -> None:
        """Make the module importable from anywhere."""
        top = sys.modules.get(module.partition(".")[0])
        file = getattr(top, "__file__", None)
        if file is None or "site-packages" in file or top is sys.modules["gradgraph"]:
            return
        if file.startswith(str(Path(inspect.getfile(ast)).parent)):
            return
        folder = Path(file).resolve().parent
        self.paths[str(folder.parent if Path(file).name == "__init__.py" else folder)] = None

    def _defined(self, thing: Any) -> str:
        """The source of a local function, lambda or class, with what it refers to."""
        if isinstance(thing, type):
            text = _source(thing)
            free: dict[str, Any] = dict(vars(sys.modules[thing.__module__]))
            codes = [m.__code__ for m in vars(thing).values() if isinstance(m, FunctionType)]
            for member in vars(thing).values():
                if isinstance(member, FunctionType):
                    free.update(_closure(member))
                elif isinstance(member, classmethod | staticmethod):
                    codes.append(member.__func__.__code__)
            name = thing.__name__
            names = {n for code in codes for n in _names(code)}
            names |= {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
        elif isinstance(thing, FunctionType):
            free = {**thing.__globals__, **_closure(thing)}
            names = _names(thing.__code__)
            text = _source(thing)
            name = thing.__name__ if thing.__name__ != "<lambda>" else f"f{len(self.definitions)}"
            if thing.__name__ == "<lambda>":
                text = f"{name} = {text}"
        else:
            raise Unwritable(type(thing).__name__)
        if name not in self.definitions:
            self.definitions[name] = ""  # it may refer to itself
            for needed in sorted(names & free.keys()):
                if needed != name:
                    self._provide(needed, free[needed])
            del self.definitions[name]
            self.definitions[name] = text
        return name

    def _provide(self, name: str, value: Any) -> None:
        """Let a name stand for a value in the program."""
        if isinstance(value, ModuleType):
            self._reach(value.__name__)
            self.imports[f"import {value.__name__} as {name}"] = None
            return
        written = self.value(value)
        if written != name:
            self.definitions[f"{name} ="] = f"{name} = {written}"


def _find(module: str, path: str) -> Any:
    try:
        found: Any = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return None
    return found


def _closure(function: FunctionType) -> dict[str, Any]:
    return dict(inspect.getclosurevars(function).nonlocals)


def _names(code: CodeType) -> set[str]:
    """Every global or free name that code refers to, in inner functions too."""
    found = {*code.co_names, *code.co_freevars}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _names(constant)
    return found


def _source(thing: Any) -> str:
    """The source of a function, class or lambda.

    Raises:
        Unwritable: if there is none (an interactive session), or it is ambiguous.
    """
    try:
        if not isinstance(thing, FunctionType) or thing.__name__ != "<lambda>":
            return textwrap.dedent(inspect.getsource(thing)).rstrip()
        lines, _ = inspect.findsource(thing)
    except (OSError, TypeError):
        raise Unwritable("a function without source") from None
    for node in _lambdas("".join(lines)).get(thing.__code__.co_firstlineno, ()):
        text = ast.unparse(node)
        if _same_code(text, thing):
            return text
    raise Unwritable("a lambda among others")


@functools.lru_cache(maxsize=8)
def _lambdas(source: str) -> dict[int, list[ast.Lambda]]:
    """The lambdas of a file by the line that they begin on."""
    found: dict[int, list[ast.Lambda]] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Lambda):
            found.setdefault(node.lineno, []).append(node)
    return found


def _same_code(text: str, function: FunctionType) -> bool:
    free = function.__code__.co_freevars
    source = f"def outer({', '.join(free)}):\n    return {text}"
    outer = compile(source, "<lambda>", "exec").co_consts[0]
    inner = next(c for c in outer.co_consts if isinstance(c, CodeType))
    return (
        inner.co_code == function.__code__.co_code and inner.co_names == function.__code__.co_names
    )
