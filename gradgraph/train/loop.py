"""`fit`: passes over the data, each batch one step, with what most trainings need around it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import io
from ..compile import Compiled
from ..compile import compile as graph_compile
from ..data import DataLoader
from ..errors import DomainError, DTypeError, NonFiniteError
from ..mode import no_grad
from ..nn.module import Module, unchanged
from ..ops.operand import count
from ..optim import Optimizer, ReduceLROnPlateau, Schedule, clip_grad_norm
from ..tensor import asarray
from .progress import Progress

Metric = Callable[[Any, Any], float]


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to.

    Attributes:
        number: of the epoch, from 0.
        loss: mean over the items that were learned from, while the weights changed.
        metrics: the same of each metric.
        gradient: mean norm of the gradient of all parameters, before clipping.
        validation: loss and metrics on the items held out; empty if there are none.
        lr: the learning rate at its end.
        seconds: how long it took.
        least, weakest: the smallest norm that the gradient of a layer's parameters together had in
            the last step, before clipping, and the layer's name: where a gradient has vanished.
    """

    number: int
    loss: float
    metrics: dict[str, float]
    gradient: float
    validation: dict[str, float]
    lr: float
    seconds: float
    least: float = 0.0
    weakest: str = ""


@dataclass
class Training:
    """The epochs of a training; prints as a table.

    Attributes:
        epochs: what each came to.
        best: number of the epoch with the least validation loss (without validation, the least
            loss); an epoch where it is NaN is never the best. None if there is none.
        stopped: whether it ended early, because nothing became better.
    """

    epochs: list[Epoch] = field(default_factory=list)
    best: int | None = None
    stopped: bool = False

    def __str__(self) -> str:
        if not self.epochs:
            return "no epoch yet"
        first = self.epochs[0]
        head = ["epoch", "loss", *first.metrics, *(f"validation {k}" for k in first.validation)]
        lines = [[*head, "gradient", "smallest", "layer", "lr", "seconds"]]
        for e in self.epochs:
            values = [e.loss, *e.metrics.values(), *e.validation.values(), e.gradient, e.least]
            told = [f"{v:.4g}" for v in values]
            mark = "*" if e.number == self.best else ""
            lines.append(
                [f"{e.number + 1}{mark}", *told, e.weakest, f"{e.lr:.4g}", f"{e.seconds:.1f}"]
            )
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)

    __repr__ = __str__


def fit(
    model: Module,
    data: DataLoader,
    loss: Callable[[Any, Any], Any],
    optimizer: Optimizer,
    *,
    epochs: int,
    validation: DataLoader | tuple[Any, Any] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    schedule: Schedule | ReduceLROnPlateau | None = None,
    clip: float | None = None,
    patience: int | None = None,
    checkpoint: str | Path | None = None,
    keep_best: bool = False,
    compile: bool = False,
    progress: bool = True,
) -> Training:
    """Train a model: for each batch (x, y) of each epoch one step down loss(model(x), y).

    Args:
        model: in training mode it learns, in `eval` mode it is validated; it is left in `eval`.
        data: a loader of pairs.
        loss: of what the model gives and the truth; the mean over a batch.
        optimizer: of the model's parameters.
        epochs: how many there are in all, those of a checkpoint included; the first goes on where
            the loader stands.
        validation: items held out, (x, y) or a loader, which is gone through as a whole.
        metrics: functions of scores and truths to follow, such as `{"accuracy": accuracy}`.
        schedule: of the learning rate; a `Schedule` steps after each batch, a plateau after each
            epoch.
        clip: the greatest norm of the gradient.
        patience: stop after so many epochs in a row in which the validation loss (without one, the
            loss) did not become better.
        checkpoint: file to save everything to after each epoch: the parts model, optimizer, loader,
            schedule, best and epochs (`gradgraph.io.load(path, model=net)` loads the weights). If
            it is there, the training goes on from it, and ends with the same weights as one that
            was not interrupted. Its random numbers must come from the loader's and the layers'
            generators.
        keep_best: give the model back with the weights of its best epoch.
        compile: replay the step (`gg.compile`), which is captured for each size of a batch. The
            model and the loss then must not decide by value.
        progress: whether to show it: a bar in a terminal (with rich), else a line for each epoch.

    Returns:
        What each epoch came to.

    Raises:
        NonFiniteError: if the loss becomes infinite or NaN.
        DTypeError: if data is no loader of pairs.
        DomainError: if there is nothing to learn from or to validate with, a metric is called loss
            or gradient, the optimiser has no parameter of the model, or the checkpoint followed
            other metrics.
        Also those of the model, the loss, and `gradgraph.io.load`.

    >>> import gradgraph as gg
    >>> from gradgraph import data, nn, optim
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(64, 2)).astype(np.float32)
    >>> loader = data.DataLoader((x, (x.sum(-1) > 0).astype(int)), 16, rng=rng)
    >>> net = nn.Sequential(nn.Linear(2, 8, rng=rng), nn.ReLU(), nn.Linear(8, 2, rng=rng))
    >>> adam = optim.Adam(net.parameters(), lr=0.05)
    >>> training = fit(net, loader, gg.cross_entropy, adam, epochs=20, progress=False)
    >>> training.epochs[-1].loss < 0.1
    True
    """
    if isinstance(model, Compiled):  # alone it gives no gradients
        model, compile = model.__wrapped__, True
    if not isinstance(data, DataLoader):
        raise DTypeError(
            "fit",
            f"data is {type(data).__name__}, not a DataLoader",
            "Use data.DataLoader((x, y), 32, rng=0), or DataLoader(folder, 32, rng=0).",
        )
    epochs = count("fit", "epochs", epochs)
    patience = None if patience is None else count("fit", "patience", patience)
    if not len(data):
        raise DomainError("fit", "the loader has no batches", "Give it items, or a smaller size.")
    own = {id(p) for p in model.parameters()}
    if not any(id(p) in own for p in optimizer.parameters):
        raise DomainError(
            "fit",
            "the optimiser has no parameter of the model, which would stay as it is",
            "Make it with model.parameters().",
        )
    metrics = _named("fit", metrics)
    held_out = None if validation is None else _loader("fit", validation)
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "loader": data}
    parts |= {"schedule": schedule} if schedule is not None else {}
    best = _Best(model)
    training = Training()
    if checkpoint is not None and Path(checkpoint).exists():
        told = io.load(checkpoint, **parts, best=best)["epochs"]
        training.epochs = [Epoch(**epoch) for epoch in told]
        _check_followed(training.epochs, metrics, held_out is not None)
        training.best = _least(training.epochs)
        if progress and told:
            state = f"after epoch {len(told)} of {epochs}, with its lr {optimizer.lr:.4g}"
            print(f"going on from {checkpoint} {state}", flush=True)
    elif checkpoint is not None:
        io.save(checkpoint, **parts, best=best, epochs=[])  # what cannot be written is told now
    step = _step if not compile else _compiled(model, loss, optimizer, clip)
    try:
        with Progress(epochs, len(data), progress) as shown:
            while len(training.epochs) < epochs and not _stop(training, patience):
                number, start = len(training.epochs), time.perf_counter()
                model.train()
                sums = _Sums(metrics)
                for x, y in _pairs("fit", data):
                    value, scores, norm = step(model, x, y, loss, optimizer, clip, number)
                    sums.add(len(x), value, scores, y, norm)
                    if isinstance(schedule, Schedule):
                        schedule.step()
                    speed = sums.items / (time.perf_counter() - start)
                    shown.step(number, sums.means() | {"items/s": speed})
                least, weakest = _weakest(model, optimizer)
                if clip is not None and norm > clip:
                    least *= norm / clip  # as it was before
                held = {} if held_out is None else evaluate(model, held_out, loss, metrics)
                means = sums.means()
                if isinstance(schedule, ReduceLROnPlateau):
                    schedule.step(held.get("loss", means["loss"]))
                seconds = time.perf_counter() - start
                epoch = Epoch(
                    number,
                    means["loss"],
                    {name: means[name] for name in metrics},
                    means["gradient"],
                    held,
                    optimizer.lr,
                    seconds,
                    least,
                    weakest,
                )
                training.epochs.append(epoch)
                training.best = _least(training.epochs)
                if training.best == number:
                    best.weights = model.state_dict()
                line = means | {f"smallest ({weakest})": least}
                line |= {f"validation {k}": v for k, v in held.items()}
                shown.epoch(number, line | {"items/s": sums.items / seconds})
                if checkpoint is not None:
                    io.save(checkpoint, **parts, best=best, epochs=[*map(vars, training.epochs)])
    finally:
        model.eval()
    training.stopped = len(training.epochs) < epochs
    if progress and training.stopped:
        print(f"stopped early: nothing became better in {patience} epochs", flush=True)
    if keep_best:
        model.load_state_dict(best.weights)
        if progress and training.best is not None:
            print(f"the weights are those of epoch {training.best + 1}", flush=True)
    return training


def _step(
    model: Module,
    x: Any,
    y: Any,
    loss: Callable[[Any, Any], Any],
    optimizer: Optimizer,
    clip: float | None,
    epoch: int,
) -> tuple[float, Any, float]:
    """One step down the loss of a batch: the loss, the scores, the gradient's norm."""
    optimizer.zero_grad()
    scores = model(asarray(x))
    value = loss(scores, y)
    if not np.isfinite(value.item()):
        raise NonFiniteError("fit", *_why(model, x, y, value.item(), epoch))
    value.backward()
    norm = clip_grad_norm(optimizer.parameters, np.inf if clip is None else clip)
    optimizer.step()
    return value.item(), scores, norm


def _compiled(
    model: Module, loss: Callable[[Any, Any], Any], optimizer: Optimizer, clip: float | None
) -> Callable[..., tuple[float, Any, float]]:
    """`_step`, replayed. What is not finite is noticed by the norm, before a weight changes."""
    limit = np.inf if clip is None else clip

    @graph_compile
    def run(x: Any, y: Any) -> tuple[Any, Any, Any]:
        optimizer.zero_grad()
        scores = model(x)
        value = loss(scores, y)
        value.backward()
        norm = clip_grad_norm(optimizer.parameters, limit)
        optimizer.step()
        return value, scores, norm

    def step(model: Module, x: Any, y: Any, *rest: Any) -> tuple[float, Any, float]:
        try:
            value, scores, norm = run(asarray(x), y)
        except NonFiniteError:
            with no_grad(), unchanged(model):
                found = loss(model(asarray(x)), y).item()
            if np.isfinite(found):
                raise
            raise NonFiniteError("fit", *_why(model, x, y, found, rest[-1])) from None
        return value.item(), scores, float(norm)

    return step


def _why(model: Module, x: Any, y: Any, loss: float, epoch: int) -> tuple[str, str]:
    """Where a loss that is no number comes from, as far as data and weights tell, and a remedy."""
    told = f"the loss is {loss} in epoch {epoch + 1}"
    for name, values in (("inputs", x), ("truths", y)):
        values = np.asarray(values)
        strange = ~np.isfinite(values) if values.dtype.kind in "fc" else np.zeros(0, bool)
        if strange.any():
            place = ", ".join(map(str, np.argwhere(strange)[0]))
            what = f"{told}: {strange.sum():,} of the batch's {name} are infinite or NaN"
            return f"{what}, the first at [{place}]", "Mend or leave out these items."
    for name, p in model.named_parameters():
        if not np.isfinite(p.data).all():
            return f"{told}: {name} has become infinite or NaN", "Use a smaller lr, or clip=1.0."
    return told, "Find its origin under `with gg.debug():`, or use a smaller lr."


def evaluate(
    model: Module,
    data: DataLoader | tuple[Any, Any],
    loss: Callable[[Any, Any], Any],
    metrics: Mapping[str, Metric] | None = None,
) -> dict[str, float]:
    """The loss and the metrics of a model on items held out, in `eval` mode, without a graph.

    Args:
        model: is left as it is.
        data: (x, y), or a loader, which is gone through as a whole and stays where it stands.
        loss, metrics: as for `fit`.

    Raises:
        DomainError: if there is no batch, or a metric is called loss.
        DTypeError: if a batch is no pair.

    >>> import gradgraph as gg
    >>> from gradgraph import nn
    >>> held_out = np.zeros((4, 2), np.float32), np.zeros(4, int)
    >>> found = evaluate(nn.Linear(2, 2, rng=0), held_out, gg.cross_entropy)
    >>> round(found["loss"], 4)
    0.6931
    """
    loader, metrics = _loader("evaluate", data), _named("evaluate", metrics)
    sums = _Sums(metrics)
    with no_grad(), unchanged(model, training=False):
        for x, y in _pairs("evaluate", loader.whole()):
            scores = model(asarray(x))
            sums.add(len(x), loss(scores, y).item(), scores, y, 0.0)
    means = sums.means()
    del means["gradient"]
    return means


def _weakest(model: Module, optimizer: Optimizer) -> tuple[float, str]:
    """The smallest norm of the gradient of a layer's own parameters, 0 without one, and its name.

    A layer as a whole: a bias before a normalisation never has a gradient. Only what the optimiser
    changes: what it leaves alone it does not forget the gradients of.
    """
    known = {id(p) for p in optimizer.parameters}
    held = (
        (name or "itself", [p for p in module.parameters(below=False) if id(p) in known])
        for name, module in model.named_modules()
    )
    return min(((clip_grad_norm(ps, np.inf), name) for name, ps in held if ps), default=(0.0, ""))


def _loader(op: str, data: Any) -> DataLoader:
    """A loader of what is held out, with a batch at least."""
    loader = data if isinstance(data, DataLoader) else DataLoader(data, 256, shuffle=False)
    if not len(loader):
        raise DomainError(op, "there is no batch to validate with", "Use drop_last=False.")
    return loader


def _named(op: str, metrics: Mapping[str, Metric] | None) -> dict[str, Metric]:
    found = dict(metrics or {})
    if taken := found.keys() & {"loss", "gradient"}:
        raise DomainError(op, f"a metric is called {min(taken)!r}, as the loop's own", "Rename it.")
    return found


def _pairs(op: str, batches: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, Any]]:
    for batch in batches:
        if len(batch) != 2:
            raise DTypeError(
                op, f"a batch has {len(batch)} arrays, not an x and a y", "Load pairs."
            )
        yield batch[0], batch[1]


class _Sums:
    """Sums over items of the loss, the metrics and the gradient's norm."""

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        self.metrics = metrics
        self.items = 0
        self.totals = dict.fromkeys(["loss", *metrics, "gradient"], 0.0)

    def add(self, items: int, loss: float, scores: Any, truth: Any, gradient: float) -> None:
        found = {name: float(f(scores, truth)) for name, f in self.metrics.items()}
        for name, value in {"loss": loss, **found, "gradient": gradient}.items():
            self.totals[name] += items * value
        self.items += items

    def means(self) -> dict[str, float]:
        return {name: total / self.items for name, total in self.totals.items()}


class _Best:
    """The weights of the best epoch so far."""

    def __init__(self, model: Module) -> None:
        self.weights = model.state_dict()

    def state_dict(self) -> dict[str, Any]:
        return self.weights

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.weights = dict(state)


def _least(epochs: Sequence[Epoch]) -> int | None:
    """The number of the epoch with the least loss; NaN is never least."""
    losses = {e.number: e.validation.get("loss", e.loss) for e in epochs}
    known = [number for number, loss in losses.items() if loss == loss]
    return min(known, key=losses.__getitem__, default=None)


def _check_followed(epochs: Sequence[Epoch], metrics: Iterable[str], validated: bool) -> None:
    """Raise unless the epochs of a checkpoint followed what is to be followed now."""
    wanted = set(metrics)
    for e in epochs:
        if set(e.metrics) != wanted or bool(e.validation) != validated:
            raise DomainError(
                "fit",
                f"the checkpoint followed {sorted(e.metrics) or 'no metrics'}, validation:"
                f" {'yes' if e.validation else 'no'}",
                "Ask for the same, or use another checkpoint.",
            )


def _stop(training: Training, patience: int | None) -> bool:
    """Whether the last `patience` epochs brought nothing."""
    last = -1 if training.best is None else training.best
    return patience is not None and len(training.epochs) - 1 - last >= patience
