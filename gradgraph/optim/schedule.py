"""Schedules: how the learning rate changes from step to step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import DomainError, DTypeError, GradError
from ..ops.operand import count
from ..state import check_names
from .optimizer import Optimizer, number, plain


class Schedule:
    """A learning rate that depends on the number of steps alone.

    A subclass defines `factor(step)`, what the optimiser's first learning rate is multiplied by.
    Call `step()` after each `optimizer.step()`, or after each epoch: whatever one step shall mean.
    A rate that was set by hand meanwhile is overwritten. The state is the first rate and the number
    of steps; the other settings are those that the schedule is made with.

    Args:
        optimizer: whose learning rate is set, now and at each step.

    Attributes:
        base: the learning rate that the optimiser had.
        steps: how many steps have been made.

    >>> import gradgraph as gg
    >>> from gradgraph import optim
    >>> class Halving(Schedule):
    ...     def factor(self, step):
    ...         return 0.5**step
    >>> sgd = optim.SGD([gg.Tensor(1.0, requires_grad=True)], lr=0.8)
    >>> schedule = Halving(sgd)
    >>> schedule.step()
    >>> sgd.lr
    0.4
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = _optimiser(type(self).__name__, optimizer)
        self.base = optimizer.lr
        self.steps = 0
        self._set()

    def factor(self, step: int) -> float:
        """What the first learning rate is multiplied by after so many steps."""
        raise GradError(
            type(self).__name__,
            "the schedule has no factor, so it changes nothing",
            "Add `def factor(self, step)` to the class.",
        )

    def step(self) -> None:
        """Set the learning rate for the next step."""
        self.steps += 1
        self._set()

    def _set(self) -> None:
        self.optimizer.lr = self.base * self.factor(self.steps)

    def state_dict(self) -> dict[str, Any]:
        """Numbers that `load_state_dict` goes on from."""
        return {"kind": type(self).__name__, "base": self.base, "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the schedule that gave the state was; all, or nothing.

        Raises:
            DomainError: if names are missing or unknown, or a number is out of range.
            DTypeError: if a value is no number.
        """
        kind = type(self).__name__
        _check_state(kind, self.state_dict(), state)
        base = number(kind, "base", plain(state["base"]))
        steps = count(kind, "steps", plain(state["steps"]), 0)
        self.base, self.steps = base, steps
        self._set()


class StepLR(Schedule):
    """The learning rate times gamma every `step_size` steps.

    >>> import gradgraph as gg
    >>> from gradgraph import optim
    >>> sgd = optim.SGD([gg.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> schedule, rates = StepLR(sgd, step_size=2), []
    >>> for _ in range(5):
    ...     rates.append(round(sgd.lr, 6))
    ...     schedule.step()
    >>> rates
    [1.0, 1.0, 0.1, 0.1, 0.01]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = count("StepLR", "step_size", step_size)
        self.gamma = number("StepLR", "gamma", gamma)
        super().__init__(optimizer)

    def factor(self, step: int) -> float:
        return float(self.gamma ** (step // self.step_size))


class CosineLR(Schedule):
    """From the learning rate down to `last` times it, along half a cosine; then it stays there.

    Source: Loshchilov and Hutter, SGDR (2016), without restarts.

    Args:
        optimizer: as for `Schedule`.
        total_steps: after how many steps the end is reached.
        last: factor of the learning rate at the end.

    >>> import gradgraph as gg
    >>> from gradgraph import optim
    >>> sgd = optim.SGD([gg.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> schedule = CosineLR(sgd, total_steps=4)
    >>> [round(schedule.factor(step), 4) for step in range(6)]
    [1.0, 0.8536, 0.5, 0.1464, 0.0, 0.0]
    """

    def __init__(self, optimizer: Optimizer, total_steps: int, last: float = 0.0) -> None:
        self.total_steps = count("CosineLR", "total_steps", total_steps)
        self.last = number("CosineLR", "last", last)
        super().__init__(optimizer)

    def factor(self, step: int) -> float:
        return _cosine(1.0, self.last, min(step / self.total_steps, 1.0))


class WarmupLR(Schedule):
    """A rate that grows in a straight line over the first steps; afterwards another schedule's.

    The rate of step k is (k + 1) / (warmup + 1) of what it would be without: the first is not 0.
    Only this schedule is stepped from now on; the other begins anew at the end of the warm-up.

    Args:
        then: the schedule that goes on, which counts its steps from the end of the warm-up; or an
            optimiser, whose rate is then kept.
        warmup: the number of steps.

    Raises:
        DTypeError: if `then` is neither: a plateau does not depend on the step.
        DomainError: if warmup is less than 1.

    >>> import gradgraph as gg
    >>> from gradgraph import optim
    >>> sgd = optim.SGD([gg.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> schedule = WarmupLR(CosineLR(sgd, total_steps=4), warmup=3)
    >>> [round(schedule.factor(step), 4) for step in range(6)]
    [0.25, 0.5, 0.75, 1.0, 0.8536, 0.5]
    """

    def __init__(self, then: Schedule | Optimizer, warmup: int) -> None:
        self.warmup = count("WarmupLR", "warmup", warmup)
        self.then = then if isinstance(then, Schedule) else None
        if isinstance(then, Schedule):
            then.optimizer.lr = then.base
            super().__init__(then.optimizer)
        else:
            super().__init__(then)

    def factor(self, step: int) -> float:
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1) * (self.then.factor(0) if self.then else 1.0)
        return self.then.factor(step - self.warmup) if self.then else 1.0


class OneCycleLR(Schedule):
    """Up to a largest rate and down again to almost nothing, along half cosines, in one cycle.

    It begins at max_lr / div_factor, is at max_lr after the part `pct_start` of the steps (that may
    be between two of them; with less than one step it begins there), and ends at
    max_lr / div_factor / final_div_factor with the last one.

    Source: Smith and Topin, Super-convergence (2017).

    Args:
        optimizer: as for `Schedule`; its own learning rate does not count.
        max_lr: the largest learning rate.
        total_steps: the number of steps of the cycle, at least 2.
        pct_start: which part of them goes up, from 0 to less than 1.
        div_factor, final_div_factor: how much smaller the first rate, and the last, are.

    >>> import gradgraph as gg
    >>> from gradgraph import optim
    >>> sgd = optim.SGD([gg.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> schedule, rates = OneCycleLR(sgd, max_lr=1.0, total_steps=10), []
    >>> for _ in range(10):
    ...     rates.append(round(sgd.lr, 3))
    ...     schedule.step()
    >>> rates
    [0.04, 0.52, 1.0, 0.95, 0.812, 0.611, 0.389, 0.188, 0.05, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
        total_steps: int,
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        op = "OneCycleLR"
        self.total_steps = count(op, "total_steps", total_steps, 2)
        self.pct_start = number(op, "pct_start", pct_start, below=1)
        self.first = 1 / number(op, "div_factor", div_factor, least=1)
        self.last = self.first / number(op, "final_div_factor", final_div_factor, least=1)
        _optimiser(op, optimizer).lr = number(op, "max_lr", max_lr)
        super().__init__(optimizer)

    def factor(self, step: int) -> float:
        top, end = max(self.pct_start * self.total_steps - 1, 0.0), self.total_steps - 1
        if step < top:
            return _cosine(self.first, 1.0, step / top)
        return _cosine(1.0, self.last, (step - top) / (end - top) if step < end else 1.0)


class ReduceLROnPlateau:
    """The learning rate times `factor` when a metric has not become better for a while.

    Better is less than the best so far by more than `threshold` times its size (more than it, if
    mode is "max"), whatever its sign. A NaN is not better.

    Args:
        optimizer: whose learning rate is set.
        mode: "min" for losses, "max" for accuracies.
        factor: what the rate is multiplied by, less than 1.
        patience: how many steps in a row may bring nothing before that.
        threshold: what is too little to count.
        min_lr: the rate is not reduced below it.

    Raises:
        DTypeError: if a value is of another kind.
        DomainError: if the mode is unknown, or a number is out of range.

    >>> import gradgraph as gg
    >>> from gradgraph import optim
    >>> sgd = optim.SGD([gg.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> schedule = ReduceLROnPlateau(sgd, patience=1)
    >>> for loss in (5.0, 4.0, 4.0, 4.0):
    ...     schedule.step(loss)
    >>> sgd.lr
    0.1
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        min_lr: float = 0.0,
    ) -> None:
        op = type(self).__name__
        if mode not in ("min", "max"):
            raise DomainError(op, f"mode is {mode!r}", 'Use "min" for losses, "max" for scores.')
        self.factor = number(op, "factor", factor, below=1)
        self.optimizer, self.mode = _optimiser(op, optimizer), mode
        self.patience = count(op, "patience", patience, 0)
        self.threshold = number(op, "threshold", threshold)
        self.min_lr = number(op, "min_lr", min_lr)
        self.best = math.inf if mode == "min" else -math.inf
        self.waited = 0

    def step(self, metric: Any) -> None:
        """Look at the metric of an epoch (a number, or a tensor or array of one)."""
        value = _metric(type(self).__name__, "metric", metric)
        if self._better(value):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            self.waited = 0
            rate = self.optimizer.lr
            self.optimizer.lr = min(rate, max(rate * self.factor, self.min_lr))

    def _better(self, value: float) -> bool:
        if math.isinf(self.best):
            return value < self.best if self.mode == "min" else value > self.best
        margin = self.threshold * abs(self.best)
        return value < self.best - margin if self.mode == "min" else value > self.best + margin

    def state_dict(self) -> dict[str, Any]:
        """Numbers that `load_state_dict` goes on from; the rate itself is the optimiser's."""
        return {"kind": type(self).__name__, "best": self.best, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the schedule that gave the state was; all, or nothing."""
        kind = type(self).__name__
        _check_state(kind, self.state_dict(), state)
        best = _metric(kind, "best", state["best"])
        if math.isnan(best):
            raise DomainError(kind, "best is nan, so nothing could be better", "Use inf.")
        self.best, self.waited = best, count(kind, "waited", plain(state["waited"]), 0)


def _optimiser(op: str, optimizer: Any) -> Optimizer:
    if not isinstance(optimizer, Optimizer):
        raise DTypeError(
            op,
            f"optimizer is {type(optimizer).__name__}, not an optimiser",
            "Pass optim.SGD(...), say.",
        )
    return optimizer


def _metric(op: str, name: str, value: Any) -> float:
    """A number of any sign, also inf and NaN, or a tensor or array of one."""
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError):
        raise DTypeError(op, f"{name} is {value!r:.40}, not a number", "Pass a float.") from None


def _check_state(kind: str, own: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Raise unless a state has these names, and is of the same kind of schedule."""
    fix = f"Pass what state_dict() of another {kind} returned."
    check_names(kind, own, state, fix)
    if plain(state["kind"]) != kind:
        raise DomainError(kind, f"the state is that of a {state['kind']}", fix)


def _cosine(start: float, end: float, part: float) -> float:
    """From start (part 0) to end (part 1)."""
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2
