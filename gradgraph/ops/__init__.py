"""The vocabulary: public functions that apply ops to tensors, arrays and numbers."""

from .conv import conv
from .custom import custom
from .elementwise import (
    absolute,
    add,
    alias,
    cast,
    cos,
    divide,
    exp,
    log,
    mask,
    maximum,
    multiply,
    negative,
    power,
    relu,
    sigmoid,
    sin,
    sqrt,
    subtract,
    tanh,
    where,
)
from .index import getitem
from .linalg import matmul
from .loss import cross_entropy, mse_loss, squared_loss
from .pool import avg_pool, blur_pool, max_pool
from .reduce import max, mean, sum
from .shape import (
    broadcast_to,
    concatenate,
    moveaxis,
    pad,
    reshape,
    stack,
    swapaxes,
    transpose,
)
from .softmax import log_softmax, softmax

__all__ = [
    "absolute",
    "add",
    "alias",
    "avg_pool",
    "blur_pool",
    "broadcast_to",
    "cast",
    "concatenate",
    "conv",
    "cos",
    "cross_entropy",
    "custom",
    "divide",
    "exp",
    "getitem",
    "log",
    "log_softmax",
    "mask",
    "matmul",
    "max",
    "max_pool",
    "maximum",
    "mean",
    "moveaxis",
    "mse_loss",
    "multiply",
    "negative",
    "pad",
    "power",
    "relu",
    "reshape",
    "sigmoid",
    "sin",
    "softmax",
    "sqrt",
    "squared_loss",
    "stack",
    "subtract",
    "sum",
    "swapaxes",
    "tanh",
    "transpose",
    "where",
]
