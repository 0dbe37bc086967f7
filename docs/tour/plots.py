"""Figures of the tour that are no graphs: strips of pixels, images, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

matplotlib.rcParams.update(
    {"svg.hashsalt": "tour", "svg.fonttype": "path", "font.size": 9, "axes.spines.top": False,
     "axes.spines.right": False}
)  # fmt: skip
COLOURS = ("#1e5fa9", "#d8576b", "#0f756c", "#79479a")


def strips(rows: Mapping[str, Sequence[float]]) -> Any:
    """1-d images as rows of squares with their numbers: white 0, dark positive, red negative."""
    longest = max(map(len, rows.values()))
    figure, axes = plt.subplots(len(rows), 1, figsize=(1.6 + 0.55 * longest, 0.62 * len(rows)))
    for ax, (name, values) in zip(np.atleast_1d(axes), rows.items(), strict=True):
        for i, v in enumerate(values):
            shade = min(abs(v) / 2, 1)
            face = (1 - 0.85 * shade,) * 3 if v >= 0 else (1, 1 - 0.7 * shade, 1 - 0.7 * shade)
            ax.add_patch(plt.Rectangle((i, 0), 1, 1, facecolor=face, edgecolor="#444444"))
            ink = "white" if v > 1 else "black"
            ax.text(i + 0.5, 0.47, f"{v:g}", ha="center", va="center", color=ink)
        ax.text(-0.25, 0.5, name, ha="right", va="center")
        ax.set(xlim=(-0.05, longest + 0.05), ylim=(-0.05, 1.05), aspect="equal")
        ax.axis("off")
    return figure


def images(pictures: Any, columns: int = 4, size: float = 2.0) -> Any:
    """Images side by side: colour as it is, one channel in grey, or diverging if it is signed.

    Takes a dict, or a list of (name, image); None leaves a place empty.
    """
    pictures = list(pictures.items() if isinstance(pictures, dict) else pictures)
    rows = -(-len(pictures) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(size * columns, size * rows + 0.2 * rows))
    for ax in np.ravel(axes):
        ax.axis("off")
    for ax, (name, picture) in zip(np.ravel(axes), pictures, strict=False):
        if picture is None:
            continue
        array = np.asarray(picture)
        if array.ndim == 2:
            most = float(np.abs(array).max()) or 1.0
            signed = array.min() < 0
            options = (
                {"cmap": "RdBu_r", "vmin": -most, "vmax": most} if signed else {"cmap": "gray"}
            )
            ax.imshow(array, interpolation="nearest", **options)
        else:
            ax.imshow(array, interpolation="nearest")
        ax.set_title(name, fontsize=9)
    figure.tight_layout()
    return figure


def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    x: str,
    y: str,
    *,
    log_x: bool = False,
    dashed: Sequence[str] = (),
    percent: bool = True,
) -> Any:
    """Lines with names, and markers where the measurements are."""
    figure, ax = plt.subplots(figsize=(5.2, 3.2))
    for i, (name, (xs, ys)) in enumerate(lines.items()):
        style = "--" if name in dashed else "-"
        marker = "o" if len(xs) < 20 else None
        ax.plot(xs, ys, style, marker=marker, label=name, color=COLOURS[i % len(COLOURS)])
    if log_x:
        ax.set_xscale("log")
        ticks = sorted({v for xs, _ in lines.values() for v in xs})
        ax.set_xticks(ticks, [f"{v:,}" for v in ticks])
        ax.minorticks_off()
    elif len(next(iter(lines.values()))[0]) < 20:
        ax.set_xticks(sorted({v for xs, _ in lines.values() for v in xs}))
    if percent:
        ax.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0, decimals=0))
    ax.set(xlabel=x, ylabel=y)
    ax.grid(alpha=0.3)
    if len(lines) > 1:
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
