"""Programs that show a fault again: the counterexample as text that runs when it is pasted."""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import inspect
import linecache
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from ..node import Vertex
from ..op import Op
from ..ops.custom import Custom
from ..tensor import Tensor

LITERAL = 400  # elements of an array that are written out; larger ones go to a file


class Unwritable(Exception):
    """Something that no text can stand for."""


class Writer:
    """Collects the lines that define what a program uses.

    Every name stands for one thing: two functions of the same name get different names, and what
    a function's own scope binds to a name that is taken stays in a scope of its own.

    Args:
        folder: gives the folder where arrays too large to write out are saved.
        check: the function of gradgraph.testing that the program calls.
    """

    def __init__(self, folder: Callable[[], Path], check: str) -> None:
        self.folder = folder
        self.imports = {"import numpy as np": None}
        self.paths: dict[str, None] = {}
        self.lines: list[str] = []
        self.taken: dict[str, Any] = {"np": np}
        self.known: dict[int, str] = {}
        self.kept: list[Any] = []  # so that no id is given twice
        self._need(check, _find("gradgraph.testing", check), "gradgraph.testing")

    def program(self, call: str) -> str:
        """The whole program around a call."""
        lines = []
        if self.paths:
            lines += ["import sys", *(f"sys.path.insert(0, {p!r})" for p in self.paths), ""]
        return "\n".join([*lines, *sorted(self.imports), "", *self.lines, call])

    def value(self, v: Any) -> str:
        """An expression for a value.

        Raises:
            Unwritable: if there is none.
        """
        if isinstance(v, Tensor) and v.requires_grad:
            return self._tensor(v)
        if isinstance(v, Vertex):
            v = v._data
        if isinstance(v, enum.Enum):
            return f"{self.name(type(v))}.{v.name}"
        if isinstance(v, np.ndarray):
            return self._array(v)
        if isinstance(v, np.generic):
            return self.value(v.item())
        if isinstance(v, float) and not np.isfinite(v):
            return f"float('{v}')"
        if v is None or v is ... or isinstance(v, bool | int | float | complex | str | bytes):
            return repr(v)
        if isinstance(v, slice | range):
            parts = (v.start, v.stop, v.step)
            return f"{type(v).__name__}({', '.join(map(self.value, parts))})"
        if isinstance(v, dict | list | tuple | set | frozenset):
            return self._container(v)
        if isinstance(v, Custom):
            self._gradgraph()
            rules = [(k, getattr(v, k)) for k in ("vjp", "jvp") if getattr(v, k) is not None]
            given = self._keywords([*rules, ("name", v.title)])
            return f"gg.custom({self.value(v.function)}, {given})"
        if isinstance(v, Op):
            fields = zip(v.fields, v._values, strict=True)
            return f"{self.name(type(v))}({self._keywords(fields)})"
        if isinstance(v, functools.partial):
            self._need("partial", functools.partial, "functools")
            inside = filter(None, [*map(self.value, v.args), self._keywords(v.keywords.items())])
            return f"partial({', '.join([self.value(v.func), *inside])})"
        if isinstance(v, np.ufunc):
            return f"np.{v.__name__}"
        if isinstance(v, ModuleType):
            self._reach(v.__name__)
            alias = self._free(v.__name__.rpartition(".")[2], v)
            self.imports[f"import {v.__name__} as {alias}"] = None
            return alias
        if inspect.ismethod(v):
            return f"{self.value(v.__self__)}.{v.__name__}"
        if isinstance(v, type | FunctionType) or inspect.isbuiltin(v):
            return self.name(v)
        if isinstance(v, functools._lru_cache_wrapper):
            return self.value(v.__wrapped__)
        return self._object(v)

    def name(self, thing: Any) -> str:
        """A name for a function or class, imported or defined before the call."""
        if id(thing) in self.known:
            return self.known[id(thing)]
        self.kept.append(thing)
        module = getattr(thing, "__module__", None) or ""
        path = getattr(thing, "__qualname__", "")
        if module == "builtins":
            return path
        if path and module not in ("", "__main__") and _find(module, path) is thing:
            self._reach(module)
            first, _, rest = path.partition(".")
            written = self._free(first, _find(module, first))
            alias = "" if written == first else f" as {written}"
            self.imports[f"from {module} import {first}{alias}"] = None
            self.known[id(thing)] = f"{written}.{rest}" if rest else written
        else:
            self._define(thing)
        return self.known[id(thing)]

    def _need(self, name: str, thing: Any, module: str) -> None:
        self.imports[f"from {module} import {name}"] = None
        self.taken[name] = thing

    def _gradgraph(self) -> None:
        self.taken.setdefault("gg", sys.modules["gradgraph"])
        self.imports["import gradgraph as gg"] = None

    def _free(self, name: str, thing: Any) -> str:
        """The name, or one like it that nothing else has; it is taken then."""
        tried, count = name, 1
        while self.taken.get(tried, thing) is not thing:
            count += 1
            tried = f"{name}_{count}"
        self.taken[tried] = thing
        return tried

    def _keywords(self, pairs: Any) -> str:
        return ", ".join(f"{k}={self.value(v)}" for k, v in pairs)

    def _container(self, v: Any) -> str:
        if type(v) not in (dict, list, tuple, set, frozenset) and not hasattr(v, "_fields"):
            raise Unwritable(f"a {type(v).__name__}")
        if isinstance(v, dict):
            return "{" + ", ".join(f"{self.value(k)}: {self.value(x)}" for k, x in v.items()) + "}"
        if hasattr(v, "_fields"):
            return f"{self.name(type(v))}({self._keywords(zip(v._fields, v, strict=True))})"
        inner = ", ".join(map(self.value, v))
        if type(v) is tuple:
            return f"({inner}{',' * (len(v) == 1)})"
        if type(v) is list:
            return f"[{inner}]"
        return f"{type(v).__name__}([{inner}])"

    def _array(self, v: Any) -> str:
        if not v.size:
            return f"np.zeros({v.shape}, {str(v.dtype)!r})"
        if v.size <= LITERAL:
            text = np.array2string(v, separator=", ", threshold=LITERAL, floatmode="unique")
            text = " ".join(text.split()).replace("[ ", "[")
            for word in ("nan", "inf") if v.dtype.kind in "fc" else ():
                text = text.replace(word, f"np.{word}")
            return f"np.array({text}, {str(v.dtype)!r})"
        folder = self.folder()
        path = folder / f"array{len(list(folder.glob('array*.npy')))}.npy"
        np.save(path, v)
        return f"np.load({str(path)!r})"

    def _tensor(self, v: Tensor) -> str:
        """A name: a tensor that is used in two places is one tensor."""
        if id(v) not in self.known:
            self._gradgraph()
            own = v.name or ""
            name = self._free(own if own.isidentifier() else "tensor", v)
            called = f", name={v.name!r}" if v.name else ""
            array = self._array(v._data)
            self.lines += [f"{name} = gg.Tensor({array}, requires_grad=True{called})", ""]
            self.known[id(v)] = name
            self.kept.append(v)
        return self.known[id(v)]

    def _object(self, v: Any) -> str:
        """An instance of a class that can be written: made without its constructor."""
        held = getattr(v, "__dict__", None)
        if held is None or type(v).__module__ == "builtins":
            raise Unwritable(f"a {type(v).__name__}")
        if dataclasses.is_dataclass(v) and not hasattr(v, "__post_init__"):
            pairs = [(f.name, getattr(v, f.name)) for f in dataclasses.fields(v) if f.init]
            return f"{self.name(type(v))}({self._keywords(pairs)})"
        if id(v) not in self.known:
            cls = self.name(type(v))
            name = self._free(type(v).__name__.lower(), v)
            self.known[id(v)] = name
            self.kept.append(v)
            parts = self.value(dict(held))
            self.lines += [f"{name} = object.__new__({cls})", f"vars({name}).update({parts})", ""]
        return self.known[id(v)]

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

    def _define(self, thing: Any) -> None:
        """The source of a local function, lambda or class, with what it refers to."""
        if isinstance(thing, type):
            node, free = _class_node(thing), _scope_of_class(thing)
        elif isinstance(thing, FunctionType):
            names = _names(thing.__code__)
            free = {k: v for k, v in thing.__globals__.items() if k in names}
            node, free = _function_node(thing), {**free, **_closure(thing)}
            self._bind_defaults(thing, node)
        else:
            raise Unwritable(f"a {type(thing).__name__}")
        own = "" if isinstance(node, ast.Lambda) else node.name
        name = self._free(own or "f0", thing)
        self.known[id(thing)] = name
        local = list(self._bindings(node, free, own))
        if not local and own in ("", name):
            text = ast.unparse(node)
            self.lines += [f"{name} = {text}" if not own else text, ""]
            return
        inside = [line for line in local if line.startswith("import ")]
        given = ", ".join(line for line in local if not line.startswith("import "))
        inside += [ast.unparse(node), f"return {own}"] if own else [f"return {ast.unparse(node)}"]
        body = textwrap.indent("\n".join(inside), "    ")
        self.lines += [f"def make_{name}({given}):\n{body}", "", f"{name} = make_{name}()", ""]

    def _bind_defaults(self, thing: FunctionType, node: Any) -> None:
        """Defaults are values: their expressions belonged to another scope."""
        for k, v in enumerate(thing.__defaults__ or ()):
            node.args.defaults[k] = _expression(self.value(v))
        given = thing.__kwdefaults__ or {}
        for k, arg in enumerate(node.args.kwonlyargs):
            if arg.arg in given:
                node.args.kw_defaults[k] = _expression(self.value(given[arg.arg]))

    def _bindings(self, node: Any, free: dict[str, Any], own: str) -> Iterator[str]:
        """Let the names that a function uses stand for what they did; yields what must be local."""
        used = dict.fromkeys(n.id for n in ast.walk(node) if isinstance(n, ast.Name))
        for name in used:
            if name not in free or name == own:
                continue
            value = free[name]
            if isinstance(value, ModuleType):
                self._reach(value.__name__)
                line = f"import {value.__name__} as {name}"
                if self.taken.setdefault(name, value) is value:
                    self.imports[line] = None
                else:
                    yield line
                continue
            written = self.value(value)
            if written == name:
                continue
            if name not in self.taken:
                self.taken[name] = value
                self.kept.append(value)
                self.lines += [f"{name} = {written}", ""]
            elif self.taken[name] is not value:
                yield f"{name}={written}"


def _find(module: str, path: str) -> Any:
    try:
        found: Any = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError):
        return None
    return found


def _names(code: CodeType) -> set[str]:
    """The names that code looks up outside of it, in inner functions too."""
    found = {*code.co_names}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _names(constant)
    return found


def _closure(function: FunctionType) -> dict[str, Any]:
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # not yet bound
            found[name] = cell.cell_contents
    return found


def _scope_of_class(thing: type) -> dict[str, Any]:
    free: dict[str, Any] = dict(vars(sys.modules[thing.__module__]))
    for member in vars(thing).values():
        inner = getattr(member, "__func__", member)
        if isinstance(inner, FunctionType):
            free.update(_closure(inner))
    return free


def _class_node(thing: type) -> Any:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]
    except (OSError, TypeError, SyntaxError):
        raise Unwritable("a class without source") from None


def _function_node(thing: FunctionType) -> Any:
    """The definition of a function, without what belongs to the scope that it was made in.

    Raises:
        Unwritable: if there is no source (an interactive session).
    """
    code = thing.__code__
    lines = linecache.getlines(code.co_filename)
    found = [n for n in _functions("".join(lines)) if _first_line(n) == code.co_firstlineno]
    if code.co_name == "<lambda>":
        found = [n for n in found if isinstance(n, ast.Lambda)]
        if len(found) > 1:
            spans = {p for p in code.co_positions() if None not in p}
            found = [n for n in found if _span(n.body) in spans]
    else:
        found = [n for n in found if getattr(n, "name", "") == code.co_name]
    if not found:
        raise Unwritable("a function without source")
    node: Any = ast.parse(ast.unparse(found[0])).body[0]
    node = node.value if isinstance(node, ast.Expr) else node
    for inner in ast.walk(node):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            inner.returns = None
        if isinstance(inner, ast.arg):
            inner.annotation = None
    if not isinstance(node, ast.Lambda):
        node.decorator_list = []
    return node


@functools.lru_cache(maxsize=8)
def _functions(source: str) -> list[Any]:
    """The functions of a file."""
    kinds = (ast.Lambda, ast.FunctionDef, ast.AsyncFunctionDef)
    try:
        return [n for n in ast.walk(ast.parse(source)) if isinstance(n, kinds)]
    except SyntaxError:
        return []


def _first_line(node: Any) -> int:
    decorators = getattr(node, "decorator_list", [])
    return int(min([node.lineno, *(d.lineno for d in decorators)]))


def _span(node: Any) -> tuple[Any, ...]:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset


def _expression(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        raise Unwritable(f"the default {text[:40]}") from None
