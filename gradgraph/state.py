"""State that is loaded: names, shapes and dtypes are compared before anything is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .errors import DomainError, DTypeError, ShapeError
from .spec import show
from .tensor import Array, Tensor


def check_names(op: str, own: Iterable[str], state: Iterable[str], fix: str) -> None:
    """Raise unless a state has exactly these names.

    >>> check_names("load_state_dict", ["w", "b"], ["b", "w"], "Pass another.")
    """
    missing, unknown = sorted(set(own) - set(state)), sorted(set(state) - set(own))
    if missing or unknown:
        problems = [f"lacks {', '.join(missing)}"] if missing else []
        problems += [f"has the unknown {', '.join(unknown)}"] if unknown else []
        raise DomainError(op, f"the state {' and '.join(problems)}", fix)


def fitting(op: str, own: Mapping[str, Tensor], state: Mapping[str, Any]) -> dict[str, Array]:
    """The arrays of a state for these tensors, if each has its tensor's shape and kind of numbers.

    Raises:
        ShapeError: if an array has another shape than its tensor.
        DTypeError: if its tensor cannot hold what it holds.
    """
    arrays = {name: np.asarray(getattr(state[name], "_data", state[name])) for name in own}
    for name, t in own.items():
        if arrays[name].shape != t.shape:
            raise ShapeError(
                op,
                f"{name} is {show(arrays[name].shape)} in the state, but {show(t.shape)} here",
                f"Build it with the sizes that the state was saved from, or leave {name} out.",
            )
        if not np.can_cast(arrays[name].dtype, t.dtype, "same_kind"):
            raise DTypeError(
                op,
                f"{name} is {arrays[name].dtype} in the state, which {t.dtype} cannot hold",
                "Convert it first.",
            )
    return arrays
