"""Networks: modules with named parameters, layers, and initial weights."""

from . import init
from .layers import (
    AvgPool,
    Conv,
    Flatten,
    Linear,
    MaxBlurPool,
    MaxPool,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
)
from .lenet import LeNet
from .module import Module
from .summary import Summary, summary

__all__ = [
    "AvgPool",
    "Conv",
    "Flatten",
    "LeNet",
    "Linear",
    "MaxBlurPool",
    "MaxPool",
    "Module",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Summary",
    "Tanh",
    "init",
    "summary",
]
