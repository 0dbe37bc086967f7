"""The ops as operators and methods of a tensor."""

from __future__ import annotations

import operator
from typing import Any, NoReturn, Self

from . import ops
from .node import Vertex
from .ops.arithmetic import ADD, DIVIDE, MULTIPLY, SUBTRACT
from .ops.elementwise import both, negate
from .protocol import ask
from .record import apply2

# What tensors and arrays of other libraries have, and is said otherwise here.
_ELSEWHERE = {
    "view": "x.reshape(shape)",
    "permute": "x.transpose(axes)",
    "t": "x.T",
    "unsqueeze": "gg.expand_dims(x, axis)",
    "expand": "gg.broadcast_to(x, shape)",
    "expand_as": "gg.broadcast_to(x, y.shape)",
    "contiguous": "x itself: every tensor can be reshaped",
    "gather": "gg.take_along_axis(x, indices, axis)",
    "index_select": "x.take(indices, axis)",
    "scatter": "gg.put(x, index, values)",
    "scatter_add": "gg.put(x, index, values, add=True)",
    "index_add": "gg.put(x, index, values, add=True)",
    "masked_fill": "gg.where(mask, value, x)",
    "cat": "gg.concatenate",
    "clamp": "x.clip(min, max)",
    "pow": "x**y",
    "add": "x + y",
    "sub": "x - y",
    "mul": "x * y",
    "div": "x / y",
    "mm": "x @ y",
    "bmm": "x @ y",
    "neg": "-x",
    "float": "x.astype(np.float32)",
    "double": "x.astype(np.float64)",
    "long": "x.astype(np.int64)",
    "to": "x.astype(dtype); there is one device",
    "type": "x.astype(dtype)",
    "cpu": "x itself; there is one device",
    "cuda": "x itself; there is no GPU",
    "clone": "x.copy()",
    "fill": "x.assign(values) on a leaf",
    "copy_": "x.assign(values)",
    "zero_": "x.assign(0.0)",
    "add_": "x.assign(x + y) on a leaf",
    "requires_grad_": "gg.Tensor(array, requires_grad=True)",
    "grad_fn": "x.op",
    "dim": "x.ndim",
    "numel": "x.size",
    "nbytes": "x.data.nbytes",
    "nonzero": "np.nonzero(x.data)",
    "real": "x itself; there are no complex tensors",
}


class _Missing:
    """A method that other libraries' arrays have: asking for it says what to use instead.

    It stands in the class, since a `__getattr__` would make every attribute slower to read.
    """

    def __init__(self, name: str, hint: str) -> None:
        self.name, self.hint = name, hint

    def __get__(self, tensor: Any, kind: type) -> NoReturn:
        raise AttributeError(
            f"{kind.__name__!r} object has no attribute {self.name!r}. Use {self.hint}.",
            name=self.name,
            obj=tensor,
        )


class Methods(Vertex):
    """What tensors can do besides holding values and gradients.

    `==` and `<` compare values and give boolean arrays; `~ & | ^` are logical.
    """

    __slots__ = ()

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if name not in _MISSING]

    def __add__(self, other: Any) -> Any:
        return apply2(ADD, self, other)

    def __radd__(self, other: Any) -> Any:
        return apply2(ADD, other, self)

    def __sub__(self, other: Any) -> Any:
        return apply2(SUBTRACT, self, other)

    def __rsub__(self, other: Any) -> Any:
        return apply2(SUBTRACT, other, self)

    def __mul__(self, other: Any) -> Any:
        return apply2(MULTIPLY, self, other)

    def __rmul__(self, other: Any) -> Any:
        return apply2(MULTIPLY, other, self)

    def __truediv__(self, other: Any) -> Any:
        return apply2(DIVIDE, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return apply2(DIVIDE, other, self)

    def __pow__(self, other: Any) -> Any:
        return ops.power(self, other)

    def __rpow__(self, other: Any) -> Any:
        return ops.power(other, self)

    def __mod__(self, other: Any) -> Any:
        return ops.remainder(self, other)

    def __rmod__(self, other: Any) -> Any:
        return ops.remainder(other, self)

    def __matmul__(self, other: Any) -> Any:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return ops.matmul(other, self)

    def __neg__(self) -> Any:
        return ops.negative(self)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Any:
        return ops.absolute(self)

    def __round__(self, decimals: int = 0) -> Any:
        return ops.round(self, decimals)

    def __floor__(self) -> Any:
        return ops.floor(self)

    def __ceil__(self) -> Any:
        return ops.ceil(self)

    def __trunc__(self) -> Any:
        return ops.trunc(self)

    def __invert__(self) -> Any:
        return negate(self)

    def __and__(self, other: Any) -> Any:
        return both(self, other)

    __rand__ = __and__

    def __or__(self, other: Any) -> Any:
        return ops.logical_or(self, other)

    __ror__ = __or__

    def __xor__(self, other: Any) -> Any:
        return ops.logical_xor(self, other)

    __rxor__ = __xor__

    def __eq__(self, other: Any) -> Any:
        return ask(operator.eq, self, other)

    def __ne__(self, other: Any) -> Any:
        return ask(operator.ne, self, other)

    def __lt__(self, other: Any) -> Any:
        return ask(operator.lt, self, other)

    def __le__(self, other: Any) -> Any:
        return ask(operator.le, self, other)

    def __gt__(self, other: Any) -> Any:
        return ask(operator.gt, self, other)

    def __ge__(self, other: Any) -> Any:
        return ask(operator.ge, self, other)

    # For references: the methods that a scalar has

    def exp(self) -> Any:
        """See `gradgraph.exp`."""
        return ops.exp(self)

    def log(self) -> Any:
        """See `gradgraph.log`."""
        return ops.log(self)

    def sqrt(self) -> Any:
        """See `gradgraph.sqrt`."""
        return ops.sqrt(self)

    def sin(self) -> Any:
        """See `gradgraph.sin`."""
        return ops.sin(self)

    def cos(self) -> Any:
        """See `gradgraph.cos`."""
        return ops.cos(self)

    def tanh(self) -> Any:
        """See `gradgraph.tanh`."""
        return ops.tanh(self)

    def arctan(self) -> Any:
        """See `gradgraph.arctan`."""
        return ops.arctan(self)

    def erf(self) -> Any:
        """See `gradgraph.erf`."""
        return ops.erf(self)

    # The same ops as methods

    def sigmoid(self) -> Any:
        """See `gradgraph.sigmoid`."""
        return ops.sigmoid(self)

    def relu(self) -> Any:
        """See `gradgraph.relu`."""
        return ops.relu(self)

    def ravel(self) -> Any:
        """See `gradgraph.ravel`."""
        return ops.ravel(self)

    def round(self, decimals: int = 0) -> Any:
        """See `gradgraph.round`."""
        return ops.round(self, decimals)

    def abs(self) -> Any:
        """See `gradgraph.absolute`."""
        return ops.absolute(self)

    def clip(self, min: Any = None, max: Any = None) -> Any:
        """See `gradgraph.clip`."""
        return ops.clip(self, min, max)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        """See `gradgraph.sum`."""
        return ops.sum(self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        """See `gradgraph.mean`."""
        return ops.mean(self, axis, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        """See `gradgraph.max`."""
        return ops.max(self, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        """See `gradgraph.min`."""
        return ops.min(self, axis, keepdims)

    def prod(self, axis: Any = None, keepdims: bool = False) -> Any:
        """See `gradgraph.prod`."""
        return ops.prod(self, axis, keepdims)

    def argmax(self, axis: Any = None, keepdims: bool = False) -> Any:
        """See `gradgraph.argmax`."""
        return ops.argmax(self, axis, keepdims)

    def argmin(self, axis: Any = None, keepdims: bool = False) -> Any:
        """See `gradgraph.argmin`."""
        return ops.argmin(self, axis, keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Any:
        """See `gradgraph.all`."""
        return ops.all(self, axis, keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> Any:
        """See `gradgraph.any`."""
        return ops.any(self, axis, keepdims)

    def var(self, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
        """See `gradgraph.var`."""
        return ops.var(self, axis, ddof, keepdims)

    def std(self, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
        """See `gradgraph.std`."""
        return ops.std(self, axis, ddof, keepdims)

    def cumsum(self, axis: Any = None) -> Any:
        """See `gradgraph.cumsum`."""
        return ops.cumsum(self, axis)

    def cumprod(self, axis: Any = None) -> Any:
        """See `gradgraph.cumprod`."""
        return ops.cumprod(self, axis)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        """See `gradgraph.trace`."""
        return ops.trace(self, offset, axis1, axis2)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        """See `gradgraph.diagonal`."""
        return ops.diagonal(self, offset, axis1, axis2)

    def reshape(self, *shape: Any) -> Any:
        """See `gradgraph.reshape`."""
        return ops.reshape(self, *shape)

    def transpose(self, *axes: Any) -> Any:
        """See `gradgraph.transpose`."""
        if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], tuple | list)):
            return ops.transpose(self, axes[0])
        return ops.transpose(self, axes or None)

    @property
    def mT(self) -> Any:  # noqa: N802
        """The tensor with its last two axes exchanged."""
        return ops.matrix_transpose(self)

    def copy(self) -> Any:
        """See `gradgraph.alias`: a new tensor on the same values, which nothing changes."""
        return ops.alias(self)

    def flatten(self) -> Any:
        """See `gradgraph.ravel`."""
        return ops.ravel(self)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        """See `gradgraph.swapaxes`."""
        return ops.swapaxes(self, axis1, axis2)

    def squeeze(self, axis: Any = None) -> Any:
        """See `gradgraph.squeeze`."""
        return ops.squeeze(self, axis)

    def repeat(self, repeats: Any, axis: Any = None) -> Any:
        """See `gradgraph.repeat`."""
        return ops.repeat(self, repeats, axis)

    def take(self, indices: Any, axis: Any = None) -> Any:
        """See `gradgraph.take`."""
        return ops.take(self, indices, axis)

    def dot(self, other: Any) -> Any:
        """See `gradgraph.dot`."""
        return ops.dot(self, other)

    def sort(self, axis: Any = -1) -> Any:
        """See `gradgraph.sort`."""
        return ops.sort(self, axis)

    def argsort(self, axis: Any = -1) -> Any:
        """See `gradgraph.argsort`."""
        return ops.argsort(self, axis)

    def astype(self, dtype: Any) -> Any:
        """See `gradgraph.cast`."""
        return ops.cast(self, dtype)


_MISSING = {f: f"gg.{f}(x)" for f in ops.__all__ if not hasattr(Methods, f)} | _ELSEWHERE
for _name, _hint in _MISSING.items():
    setattr(Methods, _name, _Missing(_name, _hint))
