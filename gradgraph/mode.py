"""How ops behave right now: one context variable that holds one immutable `Mode`.

Threads and asyncio tasks have their own context, so their modes never mix. Generators share the
context of whoever runs them; a mode that was entered inside a generator therefore counts only
while that generator runs, not while it is suspended at a `yield`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import wraps
from types import FrameType, TracebackType
from typing import Any, TypeVar, overload

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # of code.co_flags
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Mode:
    """What a vertex needs to know about the moment it is made.

    Attributes:
        record: whether ops on tracked tensors are recorded (`no_grad` turns it off).
        capture: whether every op is recorded, tracked or not (for replay and compile).
        scope: dotted path of the open scopes, e.g. `"net.features.conv1"`.
        origin: the forward vertex and the rule (`"vjp_x"`) on whose behalf a sweep computes.
        debug: who watches ops and sweeps for values that are not finite (see `debug.py`), or None.
        tape: who notes down what a function does while it is compiled (see `compile/`), or None.
        line: the user's line that applies the op; kept by vertices that are made while debugging.
    """

    record: bool = True
    capture: bool = False
    scope: str = ""
    origin: tuple[Any, str] | None = None
    debug: Any = None
    tape: Any = None
    line: str = ""


class _Layer:
    """One `with` block, in a context where some block belongs to a generator or debugs.

    The block of a generator counts while the generator runs, and lies above every block that its
    consumer opened while it was suspended, although those were opened later.
    """

    __slots__ = ("_last", "beneath", "change", "frame", "key", "outer")

    def __init__(
        self,
        change: Callable[[Mode], Mode],
        frame: FrameType | None,
        outer: Mode | _Layer,
        key: object,
        beneath: tuple[FrameType, ...],
    ) -> None:
        self.change = change
        self.frame = frame  # of the generator that the block belongs to, if any
        self.outer = outer
        self.key = key
        self.beneath = beneath  # of the generators that were running when the block was opened
        self._last: tuple[list[_Layer], Mode] | None = None

    def resolve(self) -> Mode:
        layers = []
        mode: Mode | _Layer = self
        while isinstance(mode, _Layer):
            if _runs(mode.frame):
                layers.append(mode)
            mode = mode.outer
        if self._last and self._last[0] == layers:
            return self._last[1]
        order: list[_Layer] = []
        for layer in reversed(layers):
            above = [k for k in order if k.frame is not None and k.frame not in layer.beneath]
            order = [*(k for k in order if k not in above), layer, *above]
        for layer in order:
            mode = layer.change(mode)
        self._last = layers, mode
        return mode

    def running(self) -> tuple[FrameType, ...]:
        """The generators with a block here that are running now."""
        frames: list[FrameType] = []
        state: Mode | _Layer = self
        while isinstance(state, _Layer):
            if state.frame is not None and _runs(state.frame):
                frames.append(state.frame)
            state = state.outer
        return tuple(frames)


def _runs(frame: FrameType | None) -> bool:
    return frame is None or frame.f_back is not None  # a suspended generator has no caller


def _keys(state: Mode | _Layer) -> list[object]:
    """What identifies each open block: a layer's key, or the plain mode at the bottom."""
    keys: list[object] = []
    while isinstance(state, _Layer):
        keys.append(state.key)
        state = state.outer
    return [*keys, state]


def _without(state: Mode | _Layer, key: object, outer: Mode | _Layer) -> Mode | _Layer:
    """The state after the block with this key was closed, whatever was opened since."""
    above = []
    while isinstance(state, _Layer) and state.key is not key:
        above.append(state)
        state = state.outer
    state = state.outer if isinstance(state, _Layer) else outer
    for layer in reversed(above):
        state = _Layer(layer.change, layer.frame, state, layer.key, layer.beneath)
    return state


MODE: ContextVar[Any] = ContextVar("gradgraph_mode", default=Mode())  # noqa: B039


def current() -> Mode:
    """The mode in force.

    >>> current().record
    True
    """
    mode = MODE.get()
    return mode if mode.__class__ is Mode else mode.resolve()


class switch:  # noqa: N801
    """Context manager and decorator that changes the mode by `change(mode)`; re-entrant.

    Decorating a generator function, a coroutine function or an asynchronous generator function
    makes the mode hold while its body runs.
    """

    def __init__(self, change: Callable[[Mode], Mode]) -> None:
        self._change = change
        self._open: list[tuple[object, Mode | _Layer]] = []

    def __enter__(self) -> switch:
        return self.enter(sys._getframe(1))

    def enter(self, caller: FrameType) -> switch:
        """Open a block that belongs to this frame, as if the `with` statement stood in it."""
        outer = MODE.get()
        frame = _generator(caller)
        plain = frame is None and outer.__class__ is Mode
        state: Any = self._change(outer) if plain else outer
        key: object = state
        if not plain or state.debug or state.tape:  # ops look for them in a mode that is not plain
            key = object()
            beneath = outer.running() if isinstance(outer, _Layer) else ()
            if frame is not None:
                beneath = (*beneath, frame)
            state = _Layer(self._change, frame, outer, key, beneath)
        self._open.append((key, outer))
        MODE.set(state)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        state = MODE.get()
        keys = _keys(state)
        for i in reversed(range(len(self._open))):
            key, outer = self._open[i]
            if any(key is k for k in keys):
                del self._open[i]
                MODE.set(_without(state, key, outer))
                return
        # a generator that is closed in another context than its own has nothing to restore here

    def __call__(self, function: F) -> F:
        change = self._change
        flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
        wrapper: Any
        if flags & _ASYNC_GENERATOR:

            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                inner = function(*args, **kwargs)
                try:
                    with switch(change):
                        step = inner.asend(None)
                        while True:
                            try:
                                got = await step
                            except StopAsyncIteration:
                                return
                            try:
                                sent = yield got
                            except Exception as error:
                                step = inner.athrow(error)
                            else:
                                step = inner.asend(sent)
                finally:
                    await inner.aclose()

        elif flags & _COROUTINE:

            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                with switch(change):
                    return await function(*args, **kwargs)

        elif flags & _GENERATOR:

            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with switch(change):
                    return (yield from function(*args, **kwargs))

        else:

            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with switch(change):
                    return function(*args, **kwargs)

        wraps(function)(wrapper)
        return wrapper  # type: ignore[no-any-return]


def _generator(frame: FrameType | None) -> FrameType | None:
    """The generator that a `with` block in this frame belongs to, or None.

    The generator of a `contextlib.contextmanager` stands for the block of its user.
    """
    while frame is not None:
        if frame.f_code.co_flags & (_GENERATOR | _ASYNC_GENERATOR):
            caller = frame.f_back
            if caller is None or caller.f_globals.get("__name__") != "contextlib":
                return frame
        elif frame.f_globals.get("__name__") != "contextlib":
            return None
        frame = frame.f_back
    return None


@overload
def no_grad() -> switch: ...
@overload
def no_grad(function: F) -> F: ...
def no_grad(function: Any = None) -> Any:
    """Context manager or decorator in which nothing is recorded: results are untracked.

    `@no_grad` and `@no_grad()` both decorate.

    >>> import gradgraph as gg
    >>> w = gg.Tensor(2.0, requires_grad=True)
    >>> with gg.no_grad():
    ...     (w * 3).requires_grad
    False
    """
    off = switch(lambda mode: replace(mode, record=False))
    return off if function is None else off(function)


def enable_grad() -> switch:
    """Context manager that records again inside a `no_grad` block.

    >>> import gradgraph as gg
    >>> w = gg.Tensor(2.0, requires_grad=True)
    >>> with gg.no_grad(), gg.enable_grad():
    ...     (w * 3).requires_grad
    True
    """
    return switch(lambda mode: replace(mode, record=True))


def capture() -> switch:
    """Context manager in which every op is recorded, whether or not an operand requires grad.

    >>> import gradgraph as gg
    >>> with gg.capture():
    ...     y = gg.Tensor(2.0) * 3
    >>> y.op.name, y.requires_grad
    ('multiply', False)
    """
    return switch(lambda mode: replace(mode, capture=True))


def scope(name: str) -> switch:
    """Context manager that names the part of the network that ops inside belong to.

    Scopes nest; vertices, pictures and errors show the dotted path.

    Raises:
        TypeError: if the name is no string.

    >>> import gradgraph as gg
    >>> w = gg.Tensor(2.0, requires_grad=True)
    >>> with gg.scope("net"), gg.scope("head"):
    ...     (w * 3).scope
    'net.head'
    """
    if not isinstance(name, str):
        raise TypeError(f'scope: {name!r} is no string. Write gg.scope("conv1").')
    return switch(lambda mode: replace(mode, scope=f"{mode.scope}.{name}" if mode.scope else name))


def computing_for(vertex: Any, rule: str) -> switch:
    """Context manager for recorded sweeps: vertices made inside remember `vertex` and `rule`.

    Everything is captured: what the rule asks about its operands belongs to the graph too.
    """
    place = {"origin": (vertex, rule), "scope": vertex.scope, "line": vertex.line}
    return switch(lambda mode: replace(mode, capture=True, **place))
