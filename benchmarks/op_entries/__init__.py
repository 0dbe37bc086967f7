"""The entries of `ops.py`."""

from . import arrays, elementwise, layers  # noqa: F401, I001: in this order they are shown
from .entry import ENTRIES, Entry

__all__ = ["ENTRIES", "Entry"]
