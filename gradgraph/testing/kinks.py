"""The table of kinks and ties, made from what the ops declare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..kink import Kink
from ..op import Op
from .case import OpCase


def declared() -> Iterator[tuple[type[Op], Kink]]:
    """Every convention of every op of the engine, by the op's name."""
    for _, cls in sorted(Op.registry.items()):
        if cls.trusted:
            for kink in cls.kinks:
                yield cls, kink


def gradients(cls: type[Op], kink: Kink) -> list[Any]:
    """What the op's rules give at the example of a convention.

    >>> import gradgraph as gg
    >>> relu = gg.Op.registry["relu"]
    >>> gradients(relu, relu.kinks[0])
    [array([0., 1., 0.])]
    """
    args = [np.asarray(a) if isinstance(a, list) else a for a in kink.at]
    case = OpCase(cls(*kink.fields), args)
    with np.errstate(all="ignore"):
        return case.vjp(np.ones_like(case.value(case.xs)))


def kink_table() -> str:
    """The conventions as a Markdown table.

    >>> kink_table().splitlines()[2]
    '| `absolute` | x = 0 | slope 0 | 0, 2, -2 | 0, 1, -1 |'
    """
    lines = [
        "| op | where | what its rules do | example | gradient there |",
        "| --- | --- | --- | --- | --- |",
    ]
    for cls, kink in declared():
        at = "; ".join(map(_numbers, kink.at))
        found = "; ".join(_numbers(g) for g in gradients(cls, kink))
        lines.append(f"| `{cls.name}` | {kink.where} | {kink.takes} | {at} | {found} |")
    return "\n".join(lines)


def _numbers(values: Any) -> str:
    flat = np.asarray(values).ravel()
    return ", ".join(str(bool(v)) if flat.dtype == bool else f"{v:g}" for v in flat)
