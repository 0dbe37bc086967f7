"""Wrong rules on purpose: a verifier that finds none of them is worth nothing.

A fault is planted by exchanging the code of a function while a block runs. Faults are written by
hand as a change of source text, or made mechanically from every rule of an op: a factor dropped, a
sign flipped, arguments swapped, an axis changed, a term dropped.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from types import CodeType, FunctionType
from typing import Any

from ..op import Op

_NO_RULES = {
    "spec",
    "reference",
    "sample",
    "flops",
    "label",
    "line",
    "fold",
    "scalar",
    "domain",
    "_missing",
}

_SYMMETRIC = {"equal", "both", "maximum", "minimum", "max", "min", "isinstance"}


@dataclass(frozen=True)
class Fault:
    """A change of the source of one function.

    Attributes:
        name: what is wrong, in words.
        target: `"gradgraph.ops.elementwise:Divide.vjp_y"`, the function that is changed.
        old: a fragment of its source; must occur exactly once.
        new: what stands there instead.
        ops: names of the ops whose check must notice; empty for the op that the target belongs to.
        source: where it happened, e.g. `"jax#3056"`; empty if nowhere in particular.
    """

    name: str
    target: str
    old: str
    new: str
    ops: tuple[str, ...] = ()
    source: str = ""

    @property
    def function(self) -> FunctionType:
        """The function that is changed."""
        return _named(self.target)

    @property
    def owner(self) -> str:
        """The name of the op that the target belongs to; empty if it is none's."""
        module, _, path = self.target.partition(":")
        found = getattr(import_module(module), path.split(".")[0])
        return found.name if isinstance(found, type) and issubclass(found, Op) else ""

    def planted(self) -> Any:
        """Context manager in which the fault is there.

        Raises:
            ValueError: if the fragment does not occur exactly once.
        """
        function = _named(self.target)
        source = source_of(function)
        if source.count(self.old) != 1:
            raise ValueError(f"{self.target}: {self.old!r} occurs {source.count(self.old)} times")
        tree = ast.parse(source.replace(self.old, self.new))
        return exchanged(function, compiled(tree, function))


@dataclass(frozen=True)
class Mutant:
    """A mechanical change of one rule.

    Attributes:
        function: the function that is changed.
        where: its name, e.g. `Divide.vjp_y`.
        change: the expression before and after.
        line: line of the change within the function.
        ops: names of the ops that use the function.
        code: the changed code.
    """

    function: FunctionType
    where: str
    change: str
    line: int
    ops: tuple[str, ...]
    code: CodeType

    @property
    def name(self) -> str:
        """A key that does not depend on where the function stands."""
        return f"{self.where}:{self.line}: {self.change}"

    def planted(self) -> Any:
        """Context manager in which the mutant is there."""
        return exchanged(self.function, self.code)


def _named(target: str) -> FunctionType:
    module, _, path = target.partition(":")
    found: Any = reduce(_attribute, path.split("."), import_module(module))
    found = found.fget if isinstance(found, property) else found
    assert isinstance(found, FunctionType), target
    return found


def _attribute(holder: Any, name: str) -> Any:
    found = vars(holder).get(name)
    return found.__func__ if isinstance(found, classmethod | staticmethod) else found


def source_of(function: FunctionType) -> str:
    """The source of a function, without indentation."""
    return textwrap.dedent(inspect.getsource(function))


def compiled(tree: ast.Module, function: FunctionType) -> CodeType:
    """The code of a function from the tree of its changed definition."""
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.decorator_list = []
    free = function.__code__.co_freevars
    if free:  # a definition inside another, so that the free names are free again
        arguments = ast.parse(f"def outer({', '.join(free)}): pass").body[0]
        assert isinstance(arguments, ast.FunctionDef)
        arguments.body = [definition]
        tree.body = [arguments]
    ast.fix_missing_locations(tree)
    code = compile(tree, inspect.getfile(function), "exec")
    return _find(code, definition.name)


def _find(code: CodeType, name: str) -> CodeType:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            return constant if constant.co_name == name else _find(constant, name)
    raise LookupError(name)


@contextmanager
def exchanged(function: FunctionType, code: CodeType) -> Iterator[None]:
    """The function runs other code, wherever it is referred to."""
    before = function.__code__
    function.__code__ = code
    try:
        yield
    finally:
        function.__code__ = before


def mutants(*ops: type[Op]) -> list[Mutant]:
    """Every mechanical mutant of the rules of these ops, shared helpers once.

    >>> import gradgraph as gg
    >>> [m.name for m in mutants(gg.Op.registry["negative"])]
    ['Negative.vjp_x:2: -g → g']
    """
    users: dict[FunctionType, list[str]] = {}
    for cls in ops:
        for function in _rules(cls):
            users.setdefault(function, []).append(cls.name)
    found = []
    for function, names in users.items():
        tree = ast.parse(source_of(function))
        where = function.__qualname__
        seen: set[str] = set()
        for change, line, changed in _changes(tree):
            try:
                code = compiled(changed, function)
            except SyntaxError:
                continue
            key = f"{line} {change}"
            while key in seen:
                change += " (again)"
                key = f"{line} {change}"
            seen.add(key)
            found.append(Mutant(function, where, change, line, tuple(names), code))
    return found


def _rules(cls: type[Op]) -> Iterator[FunctionType]:
    """The functions that compute an op and its derivatives: its rules and what they call."""
    seen: set[FunctionType] = set()
    rules = ("forward", "vjp_", "jvp_", "pulls", "pushes")
    stack = [n for n in dir(cls) if n.startswith(rules) and n not in cls.derived]
    found = [getattr(cls, n) for n in stack if getattr(cls, n) is not getattr(Op, n, None)]
    while found:
        function = found.pop(0)
        if not isinstance(function, FunctionType) or function in seen:
            continue
        if function.__module__ != cls.__module__:
            continue
        seen.add(function)
        yield function
        module = vars(sys.modules[function.__module__])
        for name in function.__code__.co_names:
            if name not in _NO_RULES and hasattr(cls, name) and not hasattr(Op, name):
                found.append(getattr(cls, name))
            elif name in module and name not in module.get("__all__", ()):
                found.append(module[name])


def _changes(tree: ast.Module) -> Iterator[tuple[str, int, ast.Module]]:
    """(what was changed, its line, a changed copy of the tree) for every possible change."""
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    nodes = list(ast.walk(tree))
    for index, node in enumerate(nodes):
        if _is_text(node, definition):
            continue
        for new in _variants(node):
            copy = deepcopy(tree)
            target = list(ast.walk(copy))[index]
            _replace(copy, target, new)
            before, after = ast.unparse(node), ast.unparse(new)
            yield f"{before} → {after}", getattr(node, "lineno", 0), copy


def _is_text(node: ast.AST, definition: ast.FunctionDef) -> bool:
    """Whether a node belongs to annotations, defaults or an error message."""
    outside: list[ast.AST | None] = [definition.args, definition.returns]
    outside += definition.decorator_list
    for n in ast.walk(definition):
        if isinstance(n, ast.AnnAssign):
            outside.append(n.annotation)
        elif isinstance(n, ast.Raise | ast.JoinedStr):
            outside.append(n)
        elif isinstance(n, ast.keyword) and n.arg in ("strict", "copy"):
            outside.append(n)  # they decide no result
    return any(node is inner for part in outside if part for inner in ast.walk(part))


def _variants(node: ast.AST) -> Iterator[ast.expr]:
    """What an expression could have been by mistake."""
    match node:
        case ast.BinOp(left=left, op=ast.Mult() | ast.MatMult(), right=right):
            yield left
            yield right
            if isinstance(node.op, ast.MatMult):
                yield ast.BinOp(right, ast.MatMult(), left)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            yield left
            yield ast.BinOp(right, ast.Div(), left)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield left
            yield right
            yield ast.BinOp(left, ast.Sub(), right)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            yield left
            yield ast.UnaryOp(ast.USub(), right)
            yield ast.BinOp(left, ast.Add(), right)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            yield left
            yield ast.BinOp(right, ast.Pow(), left)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            yield operand
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
            yield operand
        case ast.Call(func=func, args=[first, second, *rest], keywords=keywords):
            starred = any(isinstance(a, ast.Starred) for a in (first, second))
            same = ast.unparse(first) == ast.unparse(second)
            if not (starred or same or ast.unparse(func).rpartition(".")[2] in _SYMMETRIC):
                yield ast.Call(func, [second, first, *rest], keywords)
        case ast.Constant(value=bool() as flag):
            yield ast.Constant(not flag)
        case ast.Constant(value=int() as number):
            yield ast.Constant(number + 1)
            yield ast.Constant(number - 1)
        case ast.Constant(value=float() as number):
            yield ast.Constant(number * 2 if number else 1.0)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            other = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
            opposite = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
            for table in (other, opposite):
                if type(op) in table:
                    yield ast.Compare(left, [table[type(op)]()], [right])
        case ast.IfExp(body=body, orelse=orelse):
            yield body
            yield orelse


def _replace(tree: ast.AST, target: ast.AST, new: ast.expr) -> None:
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, name, deepcopy(new))
                return
            if isinstance(value, list):
                for i, item in enumerate(value):
                    if item is target:
                        value[i] = deepcopy(new)
                        return
