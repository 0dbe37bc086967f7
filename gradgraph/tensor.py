"""Tensor: the vertex as users meet it, with Python's operators and numpy's protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock
from types import FunctionType
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from . import ops
from .errors import DTypeError, GradError, GradgraphError, ShapeError
from .mode import current
from .node import Vertex, leaf, make
from .op import Op, apply2
from .ops.elementwise import ADD, DIVIDE, MULTIPLY, SUBTRACT, both, negate
from .spec import Shape, show
from .sweep import pull, reach

Array = npt.NDArray[Any]


class Tensor(Vertex):
    """An array that remembers how it was made.

    Args:
        data: array, nested lists or number; copied. Floats keep their dtype, Python floats become
            float64.
        requires_grad: whether gradients with respect to it are wanted; needs a float dtype.
        name: what pictures and errors call it.

    Raises:
        DTypeError: if the data are no numbers, or integers that require grad.

    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> loss = (w * w).sum()
    >>> loss.backward()
    >>> w.grad
    Tensor([2., 4.])
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = False, name: str | None = None) -> None:
        array = _array(data)
        if requires_grad and array.dtype.kind != "f":
            raise DTypeError(
                "Tensor",
                f"a tensor of {array.dtype} cannot require grad; derivatives need floats",
                "Use real and imaginary parts as two tensors."
                if array.dtype.kind == "c"
                else "Write 2.0 instead of 2, or convert with .astype(float).",
            )
        if name is not None and not isinstance(name, str):
            raise DTypeError("Tensor", f"name is {name!r}, not a string", 'Use name="w".')
        self._data = array
        self.op = None
        self.inputs = ()
        self.saved = ()
        self._seen = 0
        self.requires_grad = bool(requires_grad)
        self._mode = current()
        self._grad = None
        self.name = name
        self.version = 0
        self.retains = False
        self.birth = leaf(Vertex, None).birth

    # What it holds

    @property
    def data(self) -> Array:
        """The values, read-only. Change a leaf with `assign`; copy with `numpy`."""
        data: Array = self._data
        if data.__class__ is not np.ndarray:
            data = np.asarray(data)
        if self.op is None:
            data = data.view()  # an assign may write to the buffer itself
        data.flags.writeable = False
        return data

    @property
    def shape(self) -> Shape:
        return np.shape(self._data)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.data.dtype

    @property
    def ndim(self) -> int:
        return np.ndim(self._data)

    @property
    def size(self) -> int:
        return int(np.size(self._data))

    @property
    def T(self) -> Any:  # noqa: N802
        """The tensor with its axes reversed."""
        return ops.transpose(self)

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` accumulated here, or None."""
        return self._grad  # type: ignore[no-any-return]

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                value = Tensor(value)
            if value.shape != self.shape or value.dtype != self.dtype:
                raise ShapeError(
                    "Tensor.grad",
                    f"the gradient is {show(value.shape)} {value.dtype}, but the tensor is"
                    f" {show(self.shape)} {self.dtype}",
                    "Assign a tensor of the same shape and dtype, or None.",
                )
        self._grad = value

    def detach(self) -> Tensor:
        """The same values as a leaf without a past; shares no later change.

        >>> w = Tensor(2.0, requires_grad=True)
        >>> (w * 3).detach().requires_grad
        False
        """
        return leaf(Tensor, self.data)  # type: ignore[no-any-return]

    def numpy(self) -> Array:
        """A copy of the values as an array of one's own.

        >>> Tensor([1.0, 2.0]).numpy()
        array([1., 2.])
        """
        return np.array(self._data)

    def item(self) -> Any:
        """The one number in the tensor, as a Python number."""
        if self.size != 1:
            raise _not_one("item", self)
        return self._data.item() if hasattr(self._data, "item") else self._data

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self.data.tolist()

    def assign(self, value: Any) -> None:
        """Change the values of a leaf: the only way to change state.

        Graphs that were recorded from the old values refuse to be swept afterwards.

        Args:
            value: array, tensor or number of the same shape (or one number); cast to the dtype.

        Raises:
            GradError: if the tensor was computed by an op.
            ShapeError: if the shape differs.

        >>> w = Tensor([1.0, 2.0])
        >>> w.assign([3.0, 4.0])
        >>> w
        Tensor([3., 4.])
        """
        if self.op is not None:
            raise GradError(
                "assign",
                f"the tensor was computed by {self.op.name}; only leaves hold state",
                "Assign to the parameter it was computed from.",
            )
        new = _array(value) if not isinstance(value, Vertex) else value._data
        if np.shape(new) not in (self.shape, ()):
            raise ShapeError(
                "assign",
                f"the value is {show(np.shape(new))}, but {self.name or 'the tensor'} is"
                f" {show(self.shape)}",
                "Make a new Tensor for another shape.",
            )
        if self._data.__class__ is not np.ndarray:
            self._data = np.asarray(self._data)
        if not np.can_cast(np.asarray(new).dtype, self._data.dtype, "same_kind"):
            raise DTypeError(
                "assign",
                f"the value is {np.asarray(new).dtype}, which {self.name or 'the tensor'} of"
                f" {self._data.dtype} cannot hold",
                "Convert it first, or make a new Tensor.",
            )
        self.own()[...] = new

    # Gradients

    def backward(self, cotangent: Any = None, create_graph: bool = False) -> None:
        """Add d self / d leaf to the `.grad` of every leaf that requires grad.

        May be called any number of times; gradients accumulate until `.grad = None`.

        Args:
            cotangent: weight of each element of this tensor, in its shape; 1 for one number.
            create_graph: record the sweep, so that `.grad` can be differentiated again. The
                gradients then refer to the graph that they came from: set `.grad = None` when
                done, or the two keep each other alive until the cycle collector runs.

        Raises:
            GradError: if the tensor is not one number and no cotangent is given, or if nothing
                it depends on requires grad.
            ShapeError: if the cotangent's shape differs.
            MutationError: if `assign` changed an input after the forward pass.

        >>> x = Tensor(3.0, requires_grad=True)
        >>> (x * x).backward()
        >>> x.grad
        Tensor(6.)
        """
        if not self.requires_grad:
            raise GradError(
                "backward",
                "nothing that this tensor depends on requires grad",
                "Make a leaf with Tensor(..., requires_grad=True), and compute outside no_grad.",
            )
        if cotangent is None:
            if self.size != 1:
                raise GradError(
                    "backward",
                    f"the tensor is {show(self.shape)}, and a gradient starts from one number",
                    "Reduce it with .sum() or .mean(), or pass a cotangent of its shape.",
                )
            seed: Any = np.ones_like(self._data)
        else:
            seed = cotangent if isinstance(cotangent, Vertex) else _array(cotangent)
            if seed.shape != self.shape:
                raise ShapeError(
                    "backward",
                    f"the cotangent is {show(seed.shape)}, but the tensor is {show(self.shape)}",
                    "A cotangent has the shape of its tensor.",
                )
            if seed.dtype != self.dtype:
                seed = ops.cast(seed, self.dtype)
            if not create_graph and isinstance(seed, Vertex):
                seed = seed._data
        order = reach([self])
        grads = pull(order, [(self, seed)], create_graph)
        for v in grads:
            if v._data.dtype.kind != "f":
                raise DTypeError(
                    "backward",
                    f"{v.name or 'a tensor'} of {v._data.dtype} requires grad; derivatives need"
                    " floats",
                    "Make it with Tensor(array.astype(float), requires_grad=True).",
                )
        taken = {id(getattr(seed, "_data", seed))}
        with _DEPOSITS:
            for v, g in grads.items():
                if g is not None:
                    _deposit(v, g, create_graph, taken)

    def retain_grad(self) -> Tensor:
        """Ask `backward` to keep the gradient of this inner tensor too; returns self.

        >>> x = Tensor(3.0, requires_grad=True)
        >>> y = (x * x).retain_grad()
        >>> (y * 2).backward()
        >>> y.grad
        Tensor(2.)
        """
        if not self.requires_grad:
            raise GradError("retain_grad", "the tensor does not require grad", "See backward.")
        self.retains = self.op is not None
        return self

    # Python semantics

    def __repr__(self) -> str:
        body = np.array2string(self.data, separator=", ", prefix="Tensor(", threshold=100)
        notes = [f"dtype={self.dtype}"] if self.dtype not in (np.dtype(float), bool, int) else []
        notes += [f"name={self.name!r}"] if self.name else []
        notes += ["requires_grad=True"] if self.requires_grad and self.op is None else []
        notes += [f"op={self.op.name}"] if self.op is not None else []
        return f"Tensor({', '.join([body, *notes])})"

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a scalar tensor: it has no axes")
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Any]:
        if not self.ndim:
            raise TypeError("iteration over a scalar tensor: it has no axes")
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def __getitem__(self, index: Any) -> Any:
        return ops.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise GradError(
            "setitem",
            "a tensor is not changed in place, because graphs may have recorded its values",
            "Use gg.where(mask, value, x) for a changed copy, or assign() to change a leaf.",
        )

    def __bool__(self) -> bool:
        if self.size != 1:
            raise _not_one("bool", self)
        return bool(self._data)

    def __float__(self) -> float:
        if self.size != 1:
            raise _not_one("float", self)
        return float(self.item())

    def __int__(self) -> int:
        if self.size != 1:
            raise _not_one("int", self)
        return int(self.item())

    def __index__(self) -> int:
        if self.ndim or self.dtype.kind not in "iu":
            raise TypeError(f"a tensor of {show(self.shape)} {self.dtype} is no index")
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.size == 1 else format(str(self), spec)

    __hash__ = Vertex.__hash__

    def __copy__(self) -> Tensor:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self.op is not None:
            raise GradError(
                "deepcopy",
                f"the tensor was computed by {self.op.name} and its graph cannot be copied",
                "Copy .detach(), or copy the leaves and compute again.",
            )
        copy = Tensor(self._data, self.requires_grad, self.name)
        copy._grad = None if self._grad is None else Tensor(self._grad._data)
        memo[id(self)] = copy
        return copy

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            "a Tensor is not pickled, because a pickle runs code when it is loaded and cannot"
            " hold a graph. Save t.numpy() with numpy.savez, and load it with Tensor(array)."
        )

    # Arithmetic (`==` and `<` compare values and give boolean arrays; `~ & |` are logical)

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

    def __matmul__(self, other: Any) -> Any:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return ops.matmul(other, self)

    def __neg__(self) -> Any:
        return ops.negative(self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Any:
        return ops.absolute(self)

    def __invert__(self) -> Any:
        return negate(self)

    def __and__(self, other: Any) -> Any:
        return both(self, other)

    __rand__ = __and__

    def __or__(self, other: Any) -> Any:
        return negate(both(negate(self), negate(other)))

    __ror__ = __or__

    def __eq__(self, other: Any) -> Any:
        return self._data == _raw(other)

    def __ne__(self, other: Any) -> Any:
        return self._data != _raw(other)

    def __lt__(self, other: Any) -> Any:
        return self._data < _raw(other)

    def __le__(self, other: Any) -> Any:
        return self._data <= _raw(other)

    def __gt__(self, other: Any) -> Any:
        return self._data > _raw(other)

    def __ge__(self, other: Any) -> Any:
        return self._data >= _raw(other)

    # The same ops as methods

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        """See `gradgraph.sum`."""
        return ops.sum(self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        """See `gradgraph.mean`."""
        return ops.mean(self, axis, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        """See `gradgraph.max`."""
        return ops.max(self, axis, keepdims)

    def reshape(self, *shape: Any) -> Any:
        """See `gradgraph.reshape`."""
        return ops.reshape(self, *shape)

    def transpose(self, *axes: Any) -> Any:
        """See `gradgraph.transpose`."""
        if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], tuple | list)):
            return ops.transpose(self, axes[0])
        return ops.transpose(self, axes or None)

    def astype(self, dtype: Any) -> Any:
        """See `gradgraph.cast`."""
        return ops.cast(self, dtype)

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

    def sigmoid(self) -> Any:
        """See `gradgraph.sigmoid`."""
        return ops.sigmoid(self)

    def relu(self) -> Any:
        """See `gradgraph.relu`."""
        return ops.relu(self)

    # numpy's protocols

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self.requires_grad:
            raise GradError(
                "np.asarray",
                "the tensor requires grad, and a plain array would silently drop its graph",
                "Use t.detach() to leave the graph on purpose, or a function of gradgraph.",
            )
        return np.array(self.data, dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if ufunc in _COMPARISONS and method == "__call__" and not kwargs:
            return ufunc(*map(_raw, inputs))
        op = _UFUNCS.get(ufunc)
        if op is None or method != "__call__" or kwargs:
            what = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
            with_ = f" with {', '.join(kwargs)}" if kwargs and op else ""
            raise TypeError(
                f"{what}{with_} has no rule for tensors. Use a function of gradgraph, give your"
                " own derivative with gg.custom, or leave the graph with t.detach()."
            )
        return op(*inputs)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        mine = _FUNCTIONS.get(function)
        if mine is None:
            raise TypeError(
                f"np.{function.__name__} has no rule for tensors. Use a function of gradgraph,"
                " give your own derivative with gg.custom, or leave the graph with t.detach()."
            )
        return mine(*args, **kwargs)


_DEPOSITS = Lock()  # sweeps of several threads may add to the `.grad` of one leaf


def _array(data: Any) -> Array:
    """A fresh array of numbers, in the machine's byte order."""
    if isinstance(data, Vertex):
        data = data._data
    try:
        array = np.array(data)
    except GradgraphError:
        raise
    except ValueError:
        array = np.empty(0, object)
    if array.dtype.kind not in "biufc":
        raise DTypeError(
            "Tensor",
            f"data {str(data)[:40]!r} is {_kind(data)}, not an array of numbers",
            "Pass numbers, nested lists of equal length, or a numpy array.",
        )
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _kind(data: Any) -> str:
    return f"an array of {data.dtype}" if isinstance(data, np.ndarray) else type(data).__name__


def _raw(value: Any) -> Any:
    return value._data if isinstance(value, Vertex) else value


def _not_one(what: str, t: Tensor) -> GradError:
    return GradError(
        what,
        f"the tensor is {show(t.shape)} ({t.size} elements), and only one element has a"
        f" {'truth value' if what == 'bool' else 'number'}",
        "Use (t > 0).any() or .all()." if what == "bool" else "Use .numpy() or index one element.",
    )


def _deposit(v: Vertex, g: Any, tracked: bool, taken: set[int]) -> None:
    """Add g to v.grad, which shares memory with nothing else: no array whose id is `taken`."""
    if v._grad is not None:
        g = v._grad + g if tracked else v._grad._data + g
    if isinstance(g, Vertex) and (g.op is not None or g.requires_grad):
        if g._data.base is not None or id(g._data) in taken:
            g = ops.multiply(g, 1.0)
        taken.add(id(g._data))
        v._grad = g
        return
    fresh = np.array(_raw(g))
    v._grad = make(Tensor, fresh, None, (), (), 0, False, current())


def asarray(data: Any, *, copy: bool | None = None) -> Tensor:
    """A constant tensor of data; with `copy=False` it takes the array over instead of copying.

    Whoever passes `copy=False` promises not to write to the array any more.

    >>> import numpy as np
    >>> asarray(np.ones(2), copy=False)
    Tensor([1., 1.])
    """
    if isinstance(data, Tensor):
        return data
    if copy is False and isinstance(data, np.ndarray) and data.dtype.kind in "biufc":
        view = data.view()
        view.flags.writeable = False
        return leaf(Tensor, view)  # type: ignore[no-any-return]
    return Tensor(data)


_COMPARISONS = {
    np.equal,
    np.not_equal,
    np.less,
    np.less_equal,
    np.greater,
    np.greater_equal,
    np.isnan,
    np.isfinite,
    np.isinf,
    np.sign,
}
_UFUNCS: dict[Any, Any] = {}
_FUNCTIONS: dict[Any, Callable[..., Any]] = {}
_OTHERWISE = (np.put, np.linalg.norm, np.linalg.trace)  # they do something else than ours


def _numpy_functions() -> None:
    """numpy's functions that record an op: those of the same name, and those that an Op names."""
    for name in ops.__all__:
        for module in (np, np.linalg):
            theirs, mine = getattr(module, name, None), getattr(ops, name)
            if isinstance(theirs, np.ufunc):
                _UFUNCS[theirs] = mine
            elif isinstance(mine, FunctionType) and callable(theirs) and theirs not in _OTHERWISE:
                folds = "keepdims" in mine.__code__.co_varnames
                _FUNCTIONS[theirs] = _reduction(name) if folds else mine
    _FUNCTIONS[np.linalg.vector_norm] = ops.norm
    _FUNCTIONS[np.linalg.trace] = lambda x, *, offset=0: ops.trace(x, offset, -2, -1)
    for op in Op.registry.values():
        if isinstance(op.ufunc, np.ufunc) and hasattr(ops, op.name):
            _UFUNCS[op.ufunc] = getattr(ops, op.name)
    for shape_only in (np.shape, np.ndim, np.size):
        _FUNCTIONS[shape_only] = _on_values(shape_only)
    for constant in (np.zeros_like, np.ones_like):
        _FUNCTIONS[constant] = _on_values(constant)


def _reduction(name: str) -> Callable[..., Any]:
    """Our function called as numpy's, which has other arguments after `axis` (dtype, out)."""

    mine = getattr(ops, name)
    taken = mine.__code__.co_varnames[1 : mine.__code__.co_argcount]

    def reduce(a: Any, axis: Any = None, *rest: Any, **options: Any) -> Any:
        if rest or not options.keys() <= set(taken):
            raise TypeError(
                f"np.{name} of a tensor takes {', '.join(taken[:-1])} and {taken[-1]} only, all but"
                " axis by name. For another dtype use .astype first; there is no out=."
            )
        return mine(a, axis, **options)

    return reduce


def _on_values(function: Any) -> Callable[..., Any]:
    return lambda t, *args, **kwargs: function(_raw(t), *args, **kwargs)


Op.vertex = Tensor
_numpy_functions()
