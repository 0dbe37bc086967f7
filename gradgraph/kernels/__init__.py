"""Kernels: arrays in, arrays out. `numpy_` always works and is the reference."""

from . import numpy_

__all__ = ["numpy_"]
