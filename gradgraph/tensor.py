"""Tensor: the vertex as users meet it, with Python's operators and numpy's protocols."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import Any, NoReturn

import numpy as np

from . import ops
from .errors import DTypeError, GradError, GradgraphError, ShapeError
from .methods import Methods
from .mode import current, no_grad
from .node import Vertex, leaf, make
from .op import Op
from .protocol import COMPARISONS, FUNCTIONS, UFUNCS, ask, raw
from .spec import Shape, show
from .sweep import pull, reach

Array = np.ndarray[Any, np.dtype[Any]]


class Tensor(Methods):
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
        if (tape := current().tape) and not tape.knows(self):
            tape.refuse("data", self)
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
        return np.asarray(self._data).dtype

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
        if tape := current().tape:
            return tape.gradient(self)  # type: ignore[no-any-return]
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
        if tape := current().tape:
            tape.set_gradient(self, value)
        else:
            self._grad = value

    def detach(self) -> Tensor:
        """The same values as a leaf without a past; shares no later change.

        >>> w = Tensor(2.0, requires_grad=True)
        >>> (w * 3).detach().requires_grad
        False
        """
        if current().tape:
            with no_grad():
                return ops.alias(self)  # type: ignore[no-any-return]
        return leaf(Tensor, self.data)  # type: ignore[no-any-return]

    def numpy(self) -> Array:
        """A copy of the values as an array of one's own.

        >>> Tensor([1.0, 2.0]).numpy()
        array([1., 2.])
        """
        return np.array(self.data)

    def item(self) -> Any:
        """The one number in the tensor, as a Python number."""
        if self.size != 1:
            raise _not_one("item", self)
        return self.data.item()

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
        if tape := current().tape:
            tape.assign(self, value)
            return
        if value.__class__ is Op.traced:
            return  # while a function is traced, its state does not change
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
            if isinstance(seed, Vertex) and not (create_graph or current().tape):
                seed = seed._data
        order = reach([self])
        if tape := current().tape:
            tape.backward(order, self, seed, create_graph)
            return
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
            "Use gg.put(x, index, value) or gg.where(mask, value, x) for a changed copy, or"
            " assign() to change a leaf.",
        )

    def __bool__(self) -> bool:
        if self.size != 1:
            raise _not_one("bool", self)
        return bool(self.data)

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
        if ufunc in COMPARISONS and method == "__call__" and not kwargs:
            return ask(ufunc, *inputs)
        op = UFUNCS.get(ufunc)
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
        mine = FUNCTIONS.get(function)
        if mine is None:
            home = "np" if function.__module__ == "numpy" else function.__module__
            name = f"{home.replace('numpy', 'np')}.{function.__name__}"
            raise TypeError(
                f"{name} has no rule for tensors. Use a function of gradgraph,"
                " give your own derivative with gg.custom, or leave the graph with t.detach()."
            )
        return mine(*args, **kwargs)


_DEPOSITS = Lock()  # sweeps of several threads may add to the `.grad` of one leaf


def _array(data: Any) -> Array:
    """A fresh array of numbers, in the machine's byte order."""
    if isinstance(data, Tensor):
        data = data.data
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
    fresh = np.array(raw(g))
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


Op.vertex = Tensor
