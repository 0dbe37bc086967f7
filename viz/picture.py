"""What pictures that are one SVG have in common."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from .files import suffix_of, write_bytes, write_whole
from .raster import png


class Picture:
    """A picture that is one SVG text; a notebook shows it by itself.

    A subclass has `svg`, a property or an attribute.
    """

    formats: ClassVar[tuple[str, ...]] = (".svg", ".png")

    @property
    def svg(self) -> str:
        """The picture as SVG text."""
        raise NotImplementedError

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file, whole or not at all; its ending says in which format.

        Returns:
            The path.

        Raises:
            DomainError: if the path ends in no format of this picture.
            MissingExtraError: for PNG, if there is nothing that makes pixels of the picture.
        """
        suffix = suffix_of(path, self.formats, f"{type(self).__name__}.save")
        return write_bytes(path, png(self.svg)) if suffix == ".png" else write_whole(path, self.svg)

    def _repr_svg_(self) -> str | None:
        return self.svg
