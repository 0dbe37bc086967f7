"""Networks: modules with named parameters, layers, and initial weights."""

from . import init
from .layers import AvgPool, Conv, Flatten, Linear, MaxPool, ReLU, Sequential, Sigmoid, Tanh
from .lenet import LeNet
from .module import Module

__all__ = [
    "AvgPool",
    "Conv",
    "Flatten",
    "LeNet",
    "Linear",
    "MaxPool",
    "Module",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "init",
]
