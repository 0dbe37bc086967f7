"""Networks: modules with named parameters, layers, and initial weights."""

from . import init
from .activation import (
    ELU,
    GELU,
    HardSwish,
    LeakyReLU,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from .attention import MultiHeadAttention
from .container import ModuleList, Residual, Sequential
from .conv import Conv, ConvTranspose, DepthwiseConv
from .dropout import ChannelDropout, Dropout
from .lenet import LeNet
from .linear import Embedding, Flatten, Linear
from .module import Module
from .norm import BatchNorm, GroupNorm, LayerNorm
from .pool import AvgPool, GlobalAvgPool, MaxBlurPool, MaxPool
from .recurrent import LSTMCell
from .summary import Summary, summary

__all__ = [
    "ELU",
    "GELU",
    "AvgPool",
    "BatchNorm",
    "ChannelDropout",
    "Conv",
    "ConvTranspose",
    "DepthwiseConv",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAvgPool",
    "GroupNorm",
    "HardSwish",
    "LSTMCell",
    "LayerNorm",
    "LeNet",
    "LeakyReLU",
    "Linear",
    "MaxBlurPool",
    "MaxPool",
    "Module",
    "ModuleList",
    "MultiHeadAttention",
    "PReLU",
    "ReLU",
    "ReLU6",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Summary",
    "Tanh",
    "init",
    "summary",
]
