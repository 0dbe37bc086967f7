"""The entries of `ops.py`."""

from . import arrays, elementwise, layers
from .entry import ENTRIES, Entry

__all__ = ["ENTRIES", "Entry", "arrays", "elementwise", "layers"]
