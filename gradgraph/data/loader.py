"""Batches of a dataset, epoch after epoch, which go on exactly after an interruption."""

from __future__ import annotations

import contextvars
import inspect
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import DomainError, DTypeError
from ..ops.operand import count
from ..ops.random import Rng, generator
from ..state import check_names
from ..tensor import Array
from .dataset import ArrayDataset, Dataset

Batch = tuple[Array, ...]


class DataLoader:
    """Batches of a dataset; each pass over it is an epoch.

    A thread makes the next batches while one is used. What is random in an epoch (the order, and
    what `transform` draws) depends on one number, which is drawn from `rng` when the epoch begins:
    so neither the thread nor an interruption changes anything. `state_dict` says where an epoch
    stands after the last batch that was handed out; a loader that loads it goes on with the next.

    Args:
        dataset: an `ArrayDataset`, a tuple of arrays, or anything with a length that gives the
            items of an array of numbers.
        size: items per batch; the last batch may be smaller.
        shuffle: whether each epoch has a new order.
        rng: a numpy Generator, which goes on, or a seed; needed for chance.
        drop_last: whether to leave out a last batch that is smaller.
        transform: called as `transform(*batch, rng=generator)`; gives the batch to hand out.
        prefetch: how many batches are made ahead; 0 for no thread.

    Raises:
        DomainError: if a number is out of range, or two loops go on with one loader.
        DTypeError: if there is no rng to shuffle with, the dataset is none, or a batch is none.
        ShapeError: if the arrays do not belong together.

    >>> loader = DataLoader((np.arange(5), np.arange(5) * 10), size=2, rng=0)
    >>> for x, y in loader:
    ...     print(x, y)
    [3 2] [30 20]
    [0 4] [ 0 40]
    [1] [10]
    >>> len(loader), loader.epoch
    (3, 1)
    """

    def __init__(
        self,
        dataset: Dataset | tuple[Any, ...] | list[Any],
        size: int,
        *,
        shuffle: bool = True,
        rng: Rng | None = None,
        drop_last: bool = False,
        transform: Callable[..., Any] | None = None,
        prefetch: int = 2,
    ) -> None:
        op = "DataLoader"
        if isinstance(dataset, tuple | list | np.ndarray):
            dataset = ArrayDataset(*(dataset if isinstance(dataset, tuple | list) else [dataset]))
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise DTypeError(
                op, f"the dataset is {type(dataset).__name__}", "Pass a tuple of arrays."
            )
        self.dataset = dataset
        self.size = count(op, "size", size)
        self.prefetch = count(op, "prefetch", prefetch, 0)
        chance = shuffle or transform is not None or rng is not None
        self.rng = generator(rng, op) if chance else None
        self.shuffle, self.drop_last, self.transform = bool(shuffle), bool(drop_last), transform
        self.epoch = 0
        self.position = 0
        self._seed: int | None = None  # of the epoch that is under way

    def __len__(self) -> int:
        """Batches in an epoch."""
        whole, rest = divmod(len(self.dataset), self.size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Batch]:
        """The batches of this epoch that were not handed out yet."""
        if self._seed is None:
            self._seed = int(self.rng.integers(2**63)) if self.rng is not None else 0
            self.position = 0
        made = self._batches(self._seed, self.position, self.shuffle)
        mine = self._place()
        for batch in _ahead(made, self.prefetch) if self.prefetch else made:
            if self._place() != mine:
                raise DomainError(
                    "DataLoader",
                    "another loop, or load_state_dict, went on with this loader",
                    "Begin a new loop: for batch in loader.",
                )
            self.position += 1
            last = self.position == len(self)
            if last:
                self._end()
            mine = self._place()
            yield batch
            if last:
                return
        self._end()  # an epoch without batches

    def whole(self) -> Iterator[Batch]:
        """All batches in the order of the dataset, for evaluation: the epoch stays where it is.

        What `transform` draws is the same each time.
        """
        made = self._batches(0, 0, shuffle=False)
        return _ahead(made, self.prefetch) if self.prefetch else made

    def _place(self) -> tuple[int, int | None, int]:
        return self.epoch, self._seed, self.position

    def _end(self) -> None:
        self.epoch, self.position, self._seed = self.epoch + 1, 0, None

    def _batches(self, seed: int, start: int, shuffle: bool) -> Iterator[Batch]:
        """The batches of the epoch that this number makes, from the start-th on."""
        n = len(self.dataset)
        order = np.random.default_rng(seed).permutation(n) if shuffle else np.arange(n)
        for k in range(start, len(self)):
            batch = _tuple("dataset", self.dataset[order[k * self.size : (k + 1) * self.size]])
            if self.transform is not None:
                _check_call(self.transform, batch)
                changed = self.transform(*batch, rng=np.random.default_rng([seed, k]))
                batch = _tuple("transform", changed)
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands, and what it is made with: `load_state_dict` goes on there."""
        state = None if self.rng is None else self.rng.bit_generator.state
        place = {"epoch": self.epoch, "position": self.position, "seed": self._seed}
        return {**self._made_with(), **place, "rng": state}

    def _made_with(self) -> dict[str, Any]:
        return {
            "items": len(self.dataset),
            "size": self.size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the batch after the last one that the loader that gave the state handed out.

        Raises:
            DomainError: if the state is none of a loader, or of one that was made otherwise.
            DTypeError: if a number is of another kind.
        """
        op, fix = "DataLoader", "Make the loader as it was when the state was saved."
        check_names(op, self.state_dict(), state, fix)
        if (self.rng is None) != (state["rng"] is None):
            raise DomainError(op, "one of the two loaders has an rng, and the other has none", fix)
        for name, value in self._made_with().items():
            if state[name] != value:
                raise DomainError(op, f"its {name} is {value}, in the state {state[name]!r}", fix)
        epoch, position = (count(op, k, state[k], 0, fix) for k in ("epoch", "position"))
        seed = None if state["seed"] is None else count(op, "seed", state["seed"], 0, fix)
        if position > (len(self) if seed is not None else 0):
            raise DomainError(op, f"the state is at batch {position} of no such epoch", fix)
        if self.rng is not None:
            try:
                self.rng.bit_generator.state = state["rng"]
            except (TypeError, ValueError, KeyError) as error:
                raise DomainError(op, f"rng is no state of its generator: {error}", fix) from None
        self.epoch, self.position, self._seed = epoch, position, seed


def _tuple(who: str, batch: Any) -> Batch:
    """A batch as a tuple of arrays; one array is one of one."""
    if isinstance(batch, tuple | list):
        return tuple(batch)
    if batch is None or not hasattr(batch, "shape"):
        raise DTypeError(
            "DataLoader",
            f"the {who} gave {type(batch).__name__}, not a batch",
            "Return the arrays of the batch: transform(x, y, rng=...) returns x, y.",
        )
    return (batch,)


def _check_call(transform: Callable[..., Any], batch: Batch) -> None:
    """Raise unless it takes the arrays of a batch, and a generator by name."""
    try:
        inspect.signature(transform).bind(*batch, rng=None)
    except TypeError as error:
        raise DTypeError(
            "DataLoader",
            f"the transform cannot be called with {len(batch)} arrays and rng: {error}",
            "Write `def transform(x, y, *, rng)`, whether it needs chance or not.",
        ) from None
    except ValueError:
        pass  # what is not written in Python tells nothing of its arguments


def _ahead(batches: Iterator[Batch], count: int) -> Iterator[Batch]:
    """The same batches, made by a thread that is up to `count` batches ahead."""
    ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(count)
    stopped, end = threading.Event(), object()

    def put(item: tuple[Any, BaseException | None]) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.05)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for batch in batches:
                if not put((batch, None)):
                    return
            put((end, None))
        except BaseException as error:  # it is raised where the batch is asked for
            put((end, error))

    context = contextvars.copy_context()  # no_grad and scopes hold in the thread, too
    thread = threading.Thread(
        target=context.run, args=(work,), name="gradgraph-loader", daemon=True
    )
    thread.start()
    try:
        while True:
            batch, error = ready.get()
            if error is not None:
                raise error
            if batch is end:
                return
            yield batch
    finally:
        stopped.set()
        thread.join()
