"""How ops behave right now: one context variable that holds one immutable `Mode`.

Threads and asyncio tasks have their own context, so their modes never mix. Generators share the
context of whoever runs them; a mode that was entered inside a generator therefore counts only
while that generator runs, not while it is suspended at a `yield`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from dataclasses import dataclass, replace
from types import FrameType, TracebackType
from typing import Any

_GENERATOR = 0x20 | 0x200  # CO_GENERATOR | CO_ASYNC_GENERATOR


@dataclass(frozen=True, slots=True)
class Mode:
    """What a vertex needs to know about the moment it is made.

    Attributes:
        record: whether ops on tracked tensors are recorded (`no_grad` turns it off).
        capture: whether every op is recorded, tracked or not (for replay and compile).
        scope: dotted path of the open scopes, e.g. `"net.features.conv1"`.
        origin: the forward vertex and the rule (`"vjp_x"`) on whose behalf a sweep computes.
    """

    record: bool = True
    capture: bool = False
    scope: str = ""
    origin: tuple[Any, str] | None = None


class _InGenerator:
    """A mode that was entered by a generator: valid while its frame is on the stack."""

    __slots__ = ("frame", "inner", "outer")

    def __init__(self, inner: Mode, outer: Mode | _InGenerator, frame: FrameType) -> None:
        self.inner = inner
        self.outer = outer
        self.frame = frame

    def resolve(self) -> Mode:
        state: Mode | _InGenerator = self
        while isinstance(state, _InGenerator):
            running = state.frame.f_back is not None  # a suspended generator has no caller
            if running:
                return state.inner
            state = state.outer
        return state


MODE: ContextVar[Any] = ContextVar("gradgraph_mode", default=Mode())  # noqa: B039


def current() -> Mode:
    """The mode in force.

    >>> current().record
    True
    """
    mode = MODE.get()
    return mode if mode.__class__ is Mode else mode.resolve()  # type: ignore[no-any-return]


class switch(ContextDecorator):  # noqa: N801
    """Context manager and decorator that changes the mode by `change(mode)`; re-entrant."""

    def __init__(self, change: Callable[[Mode], Mode]) -> None:
        self._change = change
        self._tokens: list[Token[Any]] = []

    def __enter__(self) -> switch:
        mode: Mode | _InGenerator = self._change(current())
        frame = sys._getframe(1)
        if frame.f_code.co_flags & _GENERATOR:
            assert isinstance(mode, Mode)
            mode = _InGenerator(mode, MODE.get(), frame)
        self._tokens.append(MODE.set(mode))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        token = self._tokens.pop()
        try:
            MODE.reset(token)
        except ValueError:  # the generator was closed from another context: nothing to restore
            pass


def no_grad() -> switch:
    """Context manager (or decorator) in which nothing is recorded: results are untracked.

    >>> import gradgraph as gg
    >>> w = gg.Tensor(2.0, requires_grad=True)
    >>> with gg.no_grad():
    ...     (w * 3).requires_grad
    False
    """
    return switch(lambda mode: replace(mode, record=False))


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

    >>> import gradgraph as gg
    >>> w = gg.Tensor(2.0, requires_grad=True)
    >>> with gg.scope("net"), gg.scope("head"):
    ...     (w * 3).scope
    'net.head'
    """
    return switch(
        lambda mode: replace(mode, scope=f"{mode.scope}.{name}" if mode.scope else name)
    )


def computing_for(vertex: Any, rule: str) -> switch:
    """Context manager for sweeps: vertices made inside remember `vertex` and `rule`."""
    return switch(lambda mode: replace(mode, origin=(vertex, rule), scope=vertex.scope))
