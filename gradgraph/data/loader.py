"""Batches of a dataset, epoch after epoch, which go on exactly after an interruption."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from operator import index
from typing import Any

import numpy as np

from ..errors import DomainError, DTypeError
from ..ops.random import Rng, generator
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
        DomainError: if a number is out of range.
        DTypeError: if there is no rng to shuffle with, or the dataset is none.
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
        self.size = _count(op, "size", size, 1)
        self.prefetch = _count(op, "prefetch", prefetch, 0)
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
        epoch, made = self.epoch, self._batches(self._seed, self.position)
        for batch in _ahead(made, self.prefetch) if self.prefetch else made:
            if self.epoch != epoch:
                raise DomainError(
                    "DataLoader",
                    "another loop, or load_state_dict, went on with this loader",
                    "Begin a new loop: for batch in loader.",
                )
            self.position += 1
            last = self.position == len(self)
            if last:
                self.epoch, self.position, self._seed = epoch + 1, 0, None
            yield batch
            if last:
                return
        self.epoch, self.position, self._seed = epoch + 1, 0, None  # an epoch without batches

    def _batches(self, seed: int, start: int) -> Iterator[Batch]:
        """The batches of the epoch that this number makes, from the start-th on."""
        n = len(self.dataset)
        order = np.random.default_rng(seed).permutation(n) if self.shuffle else np.arange(n)
        for k in range(start, len(self)):
            batch = self.dataset[order[k * self.size : (k + 1) * self.size]]
            if self.transform is not None:
                batch = self.transform(*batch, rng=np.random.default_rng([seed, k]))
            yield batch if isinstance(batch, tuple) else (batch,)

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands, as numbers: what `load_state_dict` goes on from."""
        state = None if self.rng is None else self.rng.bit_generator.state
        seed = self._seed
        return {"epoch": self.epoch, "position": self.position, "seed": seed, "rng": state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the batch after the last one of the loader that gave the state.

        Raises:
            DomainError: if the state is none of a loader, or beyond the end of an epoch.
        """
        if state.keys() != {"epoch", "position", "seed", "rng"}:
            raise DomainError(
                "DataLoader",
                f"the state holds {sorted(state)}",
                "Pass what state_dict() of another DataLoader returned.",
            )
        position = _count("DataLoader", "position", state["position"], 0)
        if position > len(self):
            raise DomainError(
                "DataLoader",
                f"the state is at batch {position}, and an epoch has {len(self)}",
                "Make the loader with the dataset and size that the state was saved from.",
            )
        if (self.rng is None) != (state["rng"] is None):
            raise DomainError(
                "DataLoader",
                "one of the two loaders has an rng, and the other has none",
                "Make the loader as it was when the state was saved.",
            )
        epoch = _count("DataLoader", "epoch", state["epoch"], 0)
        if self.rng is not None:
            self.rng.bit_generator.state = state["rng"]
        self.epoch, self.position, self._seed = epoch, position, state["seed"]


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

    thread = threading.Thread(target=work, name="gradgraph-loader", daemon=True)
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


def _count(op: str, name: str, value: Any, least: int) -> int:
    try:
        whole = index(value)
    except TypeError:
        whole = least - 1
    if isinstance(value, bool) or whole < least:
        raise DomainError(op, f"{name} is {value!r}, not an int ≥ {least}", f"Use {name}=32.")
    return whole
