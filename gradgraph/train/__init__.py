"""Training: the loop that most networks need, what it shows, and metrics."""

from .loop import Epoch, Training, evaluate, fit
from .metrics import accuracy, confusion_matrix

__all__ = ["Epoch", "Training", "accuracy", "confusion_matrix", "evaluate", "fit"]
