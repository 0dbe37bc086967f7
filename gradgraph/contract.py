"""What makes a class an op: what is checked when it is defined, and derived from its rules.

And of an op that is not ours: what its forward returns, and what its rules may write to.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from .errors import DTypeError, OpDefinitionError
from .spec import SCALARS


def snake(name: str) -> str:
    """The name of a class as that of a function: `MaxPool` as `max_pool`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def complete(cls: Any, base: Any) -> None:
    """Read the argument names off `forward`; check that every rule is there; derive the rest.

    A rule that was derived for a class is derived anew for its subclasses, from their own rules.

    Args:
        cls: the class of an op.
        base: `Op` itself.
    """

    def fail(problem: str, fix: str) -> None:
        raise OpDefinitionError(f"class {cls.__name__}", problem, fix)

    if not hasattr(cls, "forward"):
        fail("it has no forward", "Add `def forward(self, x)`.")
    for field in cls.fields:
        if hasattr(base, field):
            fail(f"an op has a use of its own for {field!r}", "Choose another name for the field.")
    if isinstance(cls.forward, np.ufunc):
        cls.ufunc = cls.forward
        cls.args = ("x", "y")[: cls.forward.nin]
    else:
        code: Any = getattr(cls.forward, "__code__", None)
        if code is None:
            fail("its forward is no function", "Add `def forward(self, x)`.")
        cls.variadic = bool(code.co_flags & 0x04)
        cls.args = code.co_varnames[1 : code.co_argcount + cls.variadic]
    if not cls.args:
        fail("its forward takes no argument", "Add `def forward(self, x)`.")
    for kind in ("linear", "diagonal", "constant", "saves", "per_item"):
        if not isinstance(getattr(cls, kind), tuple):
            fail(f"{kind} is {getattr(cls, kind)!r}, not a tuple", f'Write {kind} = ("x",).')
    for kind in ("linear", "diagonal", "constant", "per_item"):
        for arg in getattr(cls, kind):
            if arg not in cls.args:
                fail(
                    f"{kind} names {arg!r}, but forward takes ({', '.join(cls.args)})",
                    "Use the names of forward's arguments.",
                )
    star = "*" if cls.variadic else ""
    taken = ", ".join((*cls.args[:-1], star + cls.args[-1]))
    shown = ", ".join((taken, *cls.saves))
    vjps: list[Any] = []
    jvps: list[Any] = []
    derived: dict[str, Any] = {}
    for arg in cls.args:
        if arg in cls.constant:
            vjps.append(None)
            jvps.append(None)
            continue
        index = "i, " if cls.variadic and arg == cls.args[-1] else ""
        for prefix, given in (("vjp", "g"), ("jvp", "t")):
            rule = f"{prefix}_{arg}"
            own = rule in vars(cls)
            if hasattr(cls, rule) and (own or rule not in cls.derived):
                _check_signature(cls, rule, f"self, {given}, out, {index}{shown}", fail)
            elif prefix == "jvp" and arg in cls.linear and not cls.hidden:
                derived[rule] = _linear_rule(cls, cls.args.index(arg), bool(index))
            elif prefix == "jvp" and arg in cls.diagonal:
                derived[rule] = getattr(cls, f"vjp_{arg}")
            else:
                hint = "" if prefix == "vjp" else f' (or say linear = ("{arg}",) if it is)'
                fail(
                    f"argument {arg!r} has no {rule}",
                    f"Add `def {rule}(self, {given}, out, {index}{shown})`{hint},"
                    f' or say constant = ("{arg}",) if it has no derivative.',
                )
        vjps.append(getattr(cls, f"vjp_{arg}"))
        jvps.append(derived.get(f"jvp_{arg}") or getattr(cls, f"jvp_{arg}"))
    written = {name for name in vars(cls) if name.startswith(("vjp_", "jvp_"))}
    cls.derived = (cls.derived | set(derived)) - written
    for rule, function in derived.items():
        setattr(cls, rule, function)
    cls.vjps = tuple(vjps)
    cls.jvps = tuple(jvps)
    for name in written:
        arg = name[4:].removesuffix("_into")
        if arg not in cls.args:
            fail(f"{name} is the rule of no argument of forward", f"Is {arg!r} misspelt?")
    needed = {
        "spec": f"`def spec(self, {taken})`: the result's shape and dtype, with the errors",
        "reference": f"`def reference(self, {taken})`: the definition in loops over scalars",
        "sample": "`@classmethod def sample(cls, draw)`: an instance and valid arguments",
    }
    for method, what in needed.items():
        if not hasattr(cls, method):
            fail(f"it has no {method}", f"Add {what}.")


def _check_signature(cls: Any, rule: str, wanted: str, fail: Any) -> None:
    if not callable(getattr(cls, rule)):
        fail(f"{rule} is no function", f"Write `def {rule}({wanted})`.")
    code = getattr(getattr(cls, rule), "__code__", None)
    if code is None or code.co_flags & 0x04:
        return
    count = len(wanted.split(","))
    if code.co_argcount != count:
        fail(
            f"{rule} takes {code.co_argcount} arguments, not {count}",
            f"Write `def {rule}({wanted})`.",
        )


def check_result(op: Any, data: Any) -> None:
    """Raise if what a user's `forward` returned is not what its class announces."""
    if op.saves and (not isinstance(data, tuple) or len(data) != 1 + len(op.saves)):
        wanted = f"a tuple of the result and {', '.join(op.saves)}"
    elif op.outputs > 1:
        parts = data[0] if op.saves else data
        count = len(parts) if isinstance(parts, tuple | list) else 0
        wanted = "" if count == op.outputs else f"a tuple of {op.outputs} arrays"
    else:
        part = data[0] if op.saves else data
        fine = isinstance(part, (np.ndarray, *SCALARS)) and np.asarray(part).dtype.kind in "biufc"
        wanted = "" if fine else "an array of numbers"
    if wanted:
        raise DTypeError(
            op.name,
            f"its forward returned {type(data).__name__}, not {wanted}",
            "Return what outputs and saves announce.",
        )


def read_only(value: Any) -> Any:
    """Read-only views of an array, or of the arrays in a tuple; anything else as it is."""
    if isinstance(value, tuple):
        return tuple(map(read_only, value))
    if not isinstance(value, np.ndarray):
        return value
    view = value.view()
    view.flags.writeable = False
    return view


def _linear_rule(cls: Any, index: int, variadic: bool) -> Any:
    """JVP of an argument that the op is linear in: the op, with the tangent in its place."""
    end = len(cls.saves)

    def at(self: Any, place: int, t: Any, args: tuple[Any, ...]) -> Any:
        return self(*args[:place], t, *args[place + 1 : len(args) - end])

    def rule(self: Any, t: Any, out: Any, *args: Any) -> Any:
        return at(self, index, t, args)

    def variadic_rule(self: Any, t: Any, out: Any, i: int, *args: Any) -> Any:
        return at(self, index + i, t, args)

    return variadic_rule if variadic else rule
