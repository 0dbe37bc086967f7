"""PNG files, read back by hand."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import pytest
from gradgraph.viz.png import data_uri, png

import gradgraph as gg


def chunks(file):
    """(kind, data) of each chunk, its checksum checked."""
    assert file[:8] == b"\x89PNG\r\n\x1a\n"
    at, found = 8, []
    while at < len(file):
        (size,) = struct.unpack(">I", file[at : at + 4])
        kind, data = file[at + 4 : at + 8], file[at + 8 : at + 8 + size]
        (check,) = struct.unpack(">I", file[at + 8 + size : at + 12 + size])
        assert check == zlib.crc32(kind + data)
        found.append((kind, data))
        at += 12 + size
    return found


@pytest.mark.parametrize(("shape", "kind"), [((2, 3), 0), ((2, 3, 3), 2), ((2, 3, 4), 6)])
def test_the_pixels_come_back(shape, kind):
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    (head, first), (body, data), end = chunks(png(pixels))
    assert (head, body, end) == (b"IHDR", b"IDAT", (b"IEND", b""))
    assert first == struct.pack(">IIBBBBB", 3, 2, 8, kind, 0, 0, 0)
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(2, -1)
    assert not lines[:, 0].any()
    assert (lines[:, 1:].reshape(shape) == pixels).all()


def test_a_view_is_written_as_it_looks():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert png(pixels[::-1].T) == png(np.array(pixels[::-1].T))


def test_one_channel_is_grey():
    assert png(np.zeros((2, 3, 1), np.uint8)) == png(np.zeros((2, 3), np.uint8))


def test_a_data_uri_holds_the_file():
    pixels = np.full((2, 2, 3), 7, np.uint8)
    kind, _, content = data_uri(pixels).partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(content) == png(pixels)


@pytest.mark.parametrize("pixels", [np.zeros((2, 2)), [[1, 2]], np.zeros((2, 2), bool)])
def test_only_bytes(pixels):
    with pytest.raises(gg.DTypeError, match=r"the pixels are (float64|list|bool)"):
        png(pixels)


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2), (0, 3), (1, 1, 1, 3)])
def test_only_images(shape):
    with pytest.raises(gg.ShapeError, match="Pass"):
        png(np.zeros(shape, np.uint8))
