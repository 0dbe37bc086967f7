"""Readers of files: idx (the format of MNIST), npz, and folders of images."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DomainError, DTypeError, MissingExtraError
from ..ops.operand import count
from ..tensor import Array

IDX_DTYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


def read_idx(path: str | Path) -> Array:
    """The array of an idx file, the format that MNIST came in; it may be gzipped.

    Two zero bytes, a byte for the kind of numbers, one for the number of axes, the lengths as
    32-bit integers, then the numbers; all big-endian.

    Raises:
        DomainError: if the file is no idx file, or ends too early or too late.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "labels.idx1-ubyte"
    >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    >>> read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    raw = Path(path).read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise DomainError(
                "read_idx", f"{path} is no whole gzip file: {error}", "Download it again."
            ) from None
    dtype = np.dtype(IDX_DTYPES.get(raw[2], "V0")) if len(raw) >= 4 else np.dtype("V0")
    if raw[:2] != b"\0\0" or not dtype.itemsize or len(raw) < 4 + 4 * raw[3]:
        raise DomainError(
            "read_idx",
            f"{path} is no idx file: it begins with {raw[:4].hex(' ') or 'nothing'}",
            "Expected 00 00, the kind of numbers (08 for bytes), and the number of axes.",
        )
    axes = raw[3]
    shape = tuple(int(n) for n in np.frombuffer(raw, ">i4", axes, 4))
    expected = 4 + 4 * axes + dtype.itemsize * int(np.prod(shape, dtype=object))
    if len(raw) != expected or any(n < 0 for n in shape):
        raise DomainError(
            "read_idx",
            f"{path} has {len(raw)} bytes, but an array of shape {shape} makes {expected}",
            "Download it again.",
        )
    array = np.frombuffer(raw, dtype, offset=4 + 4 * axes).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def read_npz(path: str | Path, *names: str) -> Array | tuple[Array, ...]:
    """Arrays of an npz file by their names; all, in the order of the file, if none is given.

    Nothing in the file is executed: pickled objects are refused.

    Raises:
        DomainError: if the file is no npz file, or lacks a name.
        DTypeError: if an array holds pickled objects.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "digits.npz"
    >>> np.savez(path, images=np.zeros((3, 8, 8)), labels=np.arange(3))
    >>> images, labels = read_npz(path, "images", "labels")
    >>> labels
    array([0, 1, 2])
    """
    content = BytesIO(Path(path).read_bytes())  # what cannot be read is no damaged file
    try:
        arrays = _read_npz(path, content, names)
    except DomainError:
        raise
    except Exception as error:  # zip, zlib and numpy have many for a damaged file
        if isinstance(error, ValueError) and "allow_pickle" in str(error):
            raise DTypeError(
                "read_npz", f"{path} holds pickled objects, which are not read", "Save arrays."
            ) from None
        raise DomainError(
            "read_npz", f"{path} is a damaged npz file: {error}", "Save it again."
        ) from None
    return arrays if len(arrays) != 1 else arrays[0]


def _read_npz(path: Any, content: Any, names: tuple[str, ...]) -> tuple[Array, ...]:
    if not zipfile.is_zipfile(content):
        raise DomainError("read_npz", f"{path} is no npz file", "Save it with np.savez.")
    content.seek(0)
    with np.load(content, allow_pickle=False) as file:
        missing = [name for name in names if name not in file.files]
        if missing:
            raise DomainError(
                "read_npz",
                f"{path} has no {missing[0]!r}, only {', '.join(file.files)}",
                "Pass names that are in it.",
            )
        return tuple(file[name] for name in names or file.files)


class ImageFolder:
    """Images in folders, one folder for each class; they are read when they are asked for.

    `root/cat/1.png`, `root/dog/7.jpg`: the classes are the names of the folders in alphabetical
    order. Give it to a `DataLoader`; a batch is (images, labels).

    Args:
        root: the folder.
        size: (height, width) that every image is brought to; an int for both.
        channels: 3 for colours, 1 for shades of grey.

    Attributes:
        classes: names of the classes.
        files: paths of the images.
        labels: (N,) class numbers.

    Raises:
        DomainError: if the folder has no folders with images; when images are asked for, if one
            cannot be read, or channels is neither 3 nor 1.
        MissingExtraError: if Pillow is not installed.
    """

    def __init__(self, root: str | Path, size: int | tuple[int, int], channels: int = 3) -> None:
        _pillow()
        self.size = _size("ImageFolder", size)
        folders = sorted(p for p in Path(root).iterdir() if p.is_dir())
        found = [(f, i) for i, folder in enumerate(folders) for f in _images(folder)]
        if not found:
            raise DomainError(
                "ImageFolder",
                f"{root} has no folders with images ({', '.join(SUFFIXES)})",
                "Put the images of each class into a folder of its own.",
            )
        self.channels = channels
        self.classes = [folder.name for folder in folders]
        self.files = [f for f, _ in found]
        self.labels = np.array([i for _, i in found])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, items: Any) -> tuple[Array, ...]:
        """(n, height, width, channels) float32 from 0 to 1, and (n,) labels."""
        chosen = np.atleast_1d(np.arange(len(self))[items])
        images = [read_image(self.files[i], self.size, self.channels) for i in chosen]
        return np.stack(images), self.labels[chosen]


def read_image(
    path: str | Path, size: int | tuple[int, int] | None = None, channels: int = 3
) -> Array:
    """(height, width, channels) float32 from 0 to 1 of an image file.

    Args:
        path: of the file.
        size: (height, width) that it is brought to, an int for both; None for its own.
        channels: 3 for colours, 1 for shades of grey.

    Raises:
        DomainError: if the file is no image, or broken, or channels is neither 3 nor 1.
        OSError: if the file cannot be opened.
        MissingExtraError: if Pillow is not installed.
    """
    image_module = _pillow()
    if channels not in (1, 3):
        raise DomainError("read_image", f"channels is {channels!r}", "Use 3, or 1 for grey.")
    wanted = None if size is None else _size("read_image", size)
    with Path(path).open("rb") as content:  # what cannot be opened is no broken image
        try:
            image = image_module.open(content)
            deep = image.mode.startswith("I")  # 16 bits, which the usual conversion would cut off
            white = 65535 if deep else 255
            image = image.convert("F" if deep else "RGB" if channels == 3 else "L")
            if wanted is not None:
                image = image.resize(wanted[::-1], image_module.Resampling.BILINEAR)
            pixels = np.asarray(image, np.float32) / white
        except Exception as error:  # whatever its decoders find wrong with it
            raise DomainError(
                "read_image", f"{path} is no image that can be read: {error}", "Save it again."
            ) from None
    if deep:
        pixels = np.repeat(pixels[..., None], channels, -1)
    return pixels.reshape(*pixels.shape[:2], channels)


def _size(op: str, size: Any) -> tuple[int, int]:
    """(height, width) ≥ 1."""
    height, width = size if isinstance(size, tuple | list) and len(size) == 2 else (size, size)
    return count(op, "size", height), count(op, "size", width)


def _images(folder: Path) -> Sequence[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError(
            "data",
            "image files are read with Pillow, which is not installed",
            'Run: pip install "gradgraph-engine[images]".',
        ) from None
    return Image
