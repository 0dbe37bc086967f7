"""Checkpoints: everything that a training needs to go on, in one file."""

from .checkpoint import CheckpointError, load, save

__all__ = ["CheckpointError", "load", "save"]
