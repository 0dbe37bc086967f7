"""Maps of importance beside the images that they belong to, as heat over a grey copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import numpy as np

from gradgraph.errors import DomainError, DTypeError, ShapeError
from gradgraph.spec import show
from gradgraph.tensor import Array

from .picture import Picture
from .png import Pixels, data_uri
from .sheet import named, sheet, text
from .text import clean, number

MOST = 12  # images in one picture
CELL, GAP, LEFT, TOP = 144.0, 22.0, 32.0, 124.0
LEAST = 520.0  # width, for the words below the title
FOOT, TEXT = 52.0, 24  # below each image: points for its scale and captions; letters in a line
FINEST = 256  # pixels along the longer side of an image; what is larger is thinned out

FOR, AGAINST = np.array([234.0, 88.0, 12.0]), np.array([37.0, 99.0, 235.0])
STRONGEST = 0.9  # how much of the grey copy the greatest value covers
_ENDS = {"for": "#ea580c", "none": "#9aa0a8", "against": "#2563eb"}


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture in a row.

    Attributes:
        name: what it shows.
        pixels: (H, W, 3).
        ends: the least and the greatest number of a map; None for the image itself.
        place: row and column of the greatest.
    """

    name: str
    pixels: Pixels
    ends: tuple[float, float] | None = None
    place: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Maps(Picture):
    """The picture of some maps; a notebook shows it by itself.

    Attributes:
        rows: for each image the panels, itself first.
        captions: what is said below each image; empty strings for nothing.
        title: heading.
        total: how many images there were; only the first rows are drawn.
    """

    rows: tuple[tuple[Panel, ...], ...]
    captions: tuple[str, ...]
    title: str
    total: int

    @cached_property
    def svg(self) -> str:
        """The picture as SVG text."""
        return _svg(self)

    def __repr__(self) -> str:
        names = ", ".join(panel.name for panel in self.rows[0][1:])
        return f"Maps({self.total} image{'s' * (self.total != 1)}: {names})"


def maps(
    x: Any,
    found: Mapping[str, Any],
    *,
    captions: Sequence[str] = (),
    title: str = "What the network looks at",
) -> Maps:
    """Draw maps of the same images side by side.

    Args:
        x: (N, H, W, 1 or 3) images; floats are shown from the least to the greatest of each image,
            uint8 as they are.
        found: by name, a map for each image, (N, h, w), e.g. of `saliency`, `grad_cam` or
            `occlusion`; a coarser one is made finer bilinearly.
        captions: a line for each image.
        title: heading of the picture.

    Raises:
        ShapeError: if x is no batch of images, or a map or the captions are of another number.
        DTypeError: if the maps are in no dict by name, or a text is no string.
        DomainError: if there is no map, or x or a map has a NaN or an infinity.

    >>> image = np.zeros((1, 4, 4, 1))
    >>> maps(image, {"saliency": image[..., 0]})
    Maps(1 image: saliency)
    """
    images = _images(x)
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        raise DTypeError(
            "maps", f"the maps are {type(found).__name__}", 'Pass {"saliency": saliency(net, x)}.'
        )
    if not found:
        raise DomainError("maps", "there is no map", 'Pass {"saliency": saliency(net, x)}.')
    if isinstance(captions, str) or not all(isinstance(t, str) for t in (title, *captions)):
        raise DTypeError("maps", "a title or a caption is no string", "Use str(label).")
    if captions and len(captions) != len(images):
        raise ShapeError(
            "maps", f"{len(captions)} captions for {len(images)} images", "Pass one for each."
        )
    heat = {name: _map(name, given, images) for name, given in found.items()}
    rows = []
    for i, image in enumerate(images[:MOST]):
        shown = _shown(image)
        row = [Panel("image", shown), *(_panel(name, m[i], shown) for name, m in heat.items())]
        rows.append(tuple(row))
    said = tuple(captions)[:MOST] or ("",) * len(rows)
    return Maps(tuple(rows), said, title, len(images))


def enlarged(values: Array, shape: tuple[int, int]) -> Array:
    """A map with as many rows and columns as an image, bilinear between the centres of its cells.

    >>> enlarged(np.array([[0.0, 1.0]]), (1, 4))
    array([[0.  , 0.25, 0.75, 1.  ]])
    """
    for axis, n in enumerate(shape):
        m = values.shape[axis]
        at = np.clip((np.arange(n) + 0.5) * m / n - 0.5, 0, m - 1)
        low = np.floor(at).astype(int)
        part = (at - low).reshape(-1, *(1,) * (1 - axis))
        high = np.minimum(low + 1, m - 1)
        values = values.take(low, axis) * (1 - part) + values.take(high, axis) * part
    return values


def _images(x: Any) -> Array:
    images = np.asarray(getattr(x, "_data", x))
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not images.size:
        raise ShapeError(
            "maps",
            f"x is {show(images.shape)}, not a batch of images N×H×W×1 or N×H×W×3",
            "Add the missing axes: x[None] is a batch of one, x[..., None] has one channel.",
        )
    return _finite("x", images)


def _map(name: str, given: Any, images: Array) -> Array:
    values = np.asarray(getattr(given, "_data", given))
    if values.ndim != 3 or len(values) != len(images) or not values.size:
        raise ShapeError(
            "maps",
            f"the map {name!r:.40} is {show(values.shape)} for {len(images)} images",
            f"It needs {len(images)}×rows×columns, as saliency(f, x) gives it.",
        )
    return _finite(f"the map {name!r:.40}", values).astype(float)


def _finite(what: str, values: Array) -> Array:
    if values.dtype.kind not in "biuf":
        raise DTypeError("maps", f"{what} is {values.dtype}, not numbers", "Pass floats.")
    if not np.isfinite(values).all():
        raise DomainError(
            "maps", f"{what} has a NaN or an infinity", "gg.debug() names the op that made it."
        )
    return values


def _shown(image: Array) -> Pixels:
    """An image as pixels."""
    steps = [-(-n // FINEST) for n in image.shape[:2]]
    image = image[:: steps[0], :: steps[1]]
    if image.dtype != np.uint8:
        image = image / (float(np.abs(image.astype(float)).max()) or 1.0)  # no overflow below
        low, high = image.min(), image.max()
        image = 255 * (image - low) / ((high - low) or 1.0)
    return _pixels(np.broadcast_to(image, (*image.shape[:2], 3)))


def _panel(name: str, values: Array, image: Pixels) -> Panel:
    """A map over the grey copy of its image."""
    scale = float(np.abs(values).max()) or 1.0
    fine = enlarged(values / scale, (image.shape[0], image.shape[1]))[..., None]
    grey = 60 + 0.55 * (image @ np.array([0.299, 0.587, 0.114]))[..., None]
    cover = STRONGEST * np.abs(fine)
    colour = np.where(fine > 0, FOR, AGAINST)
    row, column = np.unravel_index(values.argmax(), values.shape)
    return Panel(
        name,
        _pixels((1 - cover) * grey + cover * colour),
        (float(values.min()), float(values.max())),
        (int(row), int(column)),
    )


def _pixels(image: Array) -> Pixels:
    return np.asarray(np.clip(np.rint(image), 0, 255), dtype=np.uint8)


def _svg(picture: Maps) -> str:
    shape = picture.rows[0][0].pixels.shape
    wide, tall = (max(CELL * n / max(shape[:2]), 4.0) for n in (shape[1], shape[0]))
    step = max(wide, CELL) + GAP
    own = named("gm", picture.title, picture.captions,
                [[(p.name, p.pixels.tobytes(), p.ends) for p in row]
                 for row in picture.rows])  # fmt: skip
    body = list(_heading(picture, step))
    for i, row in enumerate(picture.rows):
        y = TOP + i * (tall + FOOT)
        for k, panel in enumerate(row):
            x = LEFT + k * step
            body.append(_image(panel, i, (x, y), (wide, tall)))
            if panel.ends:
                body += _scale(own, panel.ends, x, y + tall + 8, max(wide, CELL))
            else:
                body.append(text("value", x, y + tall + 18, clean(picture.captions[i], TEXT)))
    words = 2 * LEFT + 12.0 * len(clean(picture.title, 60))
    size = (max(LEFT + len(picture.rows[0]) * step - GAP + LEFT, LEAST, words),
            TOP + len(picture.rows) * (tall + FOOT) + 4)  # fmt: skip
    rules = {
        "image": "image-rendering:pixelated",
        ".frame": "fill:none;stroke:{border};stroke-width:1",
    }
    content = f"<defs>{_ramps(own)}</defs>{''.join(body)}"
    return sheet(own, size, picture.title, _words(picture), content, rules)


def _heading(picture: Maps, step: float) -> Iterator[str]:
    yield text("title", LEFT, 42, clean(picture.title, 60))
    told = "orange matters for the score, blue speaks against it; each map has its own scale"
    if picture.total > len(picture.rows):
        yield text("told", LEFT, 84, f"the first {len(picture.rows)} of {picture.total:,} images")
    yield text("told", LEFT, 66, told)
    for k, panel in enumerate(picture.rows[0]):
        yield text("name", LEFT + k * step, TOP - 12, clean(panel.name, TEXT - 4))


def _image(panel: Panel, i: int, at: tuple[float, float], size: tuple[float, float]) -> str:
    box = f'x="{at[0]:.1f}" y="{at[1]:.1f}" width="{size[0]:.1f}" height="{size[1]:.1f}"'
    return (
        f'<g role="img"><title>{escape(_told(panel, i))}</title>'
        f'<image {box} preserveAspectRatio="none" href="{data_uri(panel.pixels)}"/>'
        f'<rect class="frame" {box}/></g>'
    )


def _scale(own: str, ends: tuple[float, float], x: float, y: float, wide: float) -> Iterator[str]:
    """The colours of a map's numbers, and how far they reach."""
    far = max(map(abs, ends))
    if not far:
        yield text("value", x, y + 10, "0 everywhere")
        return
    both = ends[0] < 0
    ramp = "both" if both else "for"
    yield f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="6" fill="url(#{own}-{ramp})"/>'
    yield text("value", x, y + 20, number(-far) if both else "0")
    if both:
        yield text("value", x + wide / 2, y + 20, "0", "middle")
    yield text("value", x + wide, y + 20, number(far), "end")


def _ramps(own: str) -> str:
    """The colours of the scales, as they lie over a middle grey."""

    def ramp(name: str, kinds: Sequence[str]) -> str:
        stops = "".join(
            f'<stop offset="{i / (len(kinds) - 1):g}" stop-color="{_ENDS[kind]}"/>'
            for i, kind in enumerate(kinds)
        )
        return f'<linearGradient id="{own}-{name}">{stops}</linearGradient>'

    return ramp("for", ["none", "for"]) + ramp("both", ["against", "none", "for"])


def _told(panel: Panel, i: int) -> str:
    name = clean(panel.name, 80)
    if not panel.ends:
        return f"{name} {i + 1}"
    least, most = map(number, panel.ends)
    row, column = panel.place
    return (
        f"{name} of image {i + 1}: from {least} to {most}, the most in row {row + 1},"
        f" column {column + 1}"
    )


def _words(picture: Maps) -> str:
    """The picture in words."""
    said = []
    for i, (row, caption) in enumerate(zip(picture.rows, picture.captions, strict=True)):
        told = ", ".join(_told(panel, i) for panel in row[1:])
        said.append(f"{clean(caption, 40)}: {told}" if caption else told)
    return "; ".join(said) + "."
