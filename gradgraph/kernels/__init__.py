"""Kernels: arrays in, arrays out. `numpy_` and `pooling` always work and are the reference."""

from . import numpy_, pooling

__all__ = ["numpy_", "pooling"]
