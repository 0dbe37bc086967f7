"""Images as PNG files, by the standard library alone."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np

from gradgraph.errors import DTypeError, ShapeError
from gradgraph.spec import show

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

_KINDS = {1: 0, 3: 2, 4: 6}  # PNG's number for grey, red-green-blue, and that with transparency


def png(pixels: Pixels) -> bytes:
    """The bytes of a PNG file.

    Args:
        pixels: uint8, (H, W) for grey, (H, W, 3) for colours, (H, W, 4) with transparency.

    Raises:
        DTypeError: if the pixels are not uint8.
        ShapeError: if they have another shape, or there are none.

    >>> png(np.zeros((2, 3), np.uint8))[:4]
    b'\\x89PNG'
    """
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
        kind = getattr(pixels, "dtype", type(pixels).__name__)
        raise DTypeError("png", f"the pixels are {kind}", "Scale to 0–255, then .astype(np.uint8).")
    image = pixels[..., None] if pixels.ndim == 2 else pixels
    if image.ndim != 3 or image.shape[2] not in _KINDS or not image.size:
        raise ShapeError(
            "png", f"the pixels are {show(pixels.shape)}", "Pass (H, W), (H, W, 3) or (H, W, 4)."
        )
    high, wide, channels = image.shape
    lines = np.zeros((high, 1 + wide * channels), np.uint8)  # each line starts with its filter, 0
    lines[:, 1:] = image.reshape(high, -1)
    head = struct.pack(">IIBBBBB", wide, high, 8, _KINDS[channels], 0, 0, 0)
    data = zlib.compress(lines.tobytes(), 9)
    parts = [_chunk(b"IHDR", head), _chunk(b"IDAT", data), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def data_uri(pixels: Pixels) -> str:
    """The PNG as a `data:` address, for the `href` of an image.

    >>> data_uri(np.zeros((1, 1), np.uint8))[:22]
    'data:image/png;base64,'
    """
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
