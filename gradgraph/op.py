"""The contract of an op, and the registry of ops. What a call of one does is in record.py.

An op is one class. Its annotated fields are its static parameters; its methods are its rules,
named by argument:

    class Scale(Op):
        factor: float
        linear = ("x",)
        def forward(self, x): return x * self.factor
        def vjp_x(self, g, out, x): return g * self.factor
        def spec(self, x): return Spec(x.shape, inexact(x))  # of gradgraph.spec
        def reference(self, x): return np.asarray(x) * self.factor  # the definition, on scalars
        @classmethod
        def sample(cls, draw): return cls(2.0), (draw.normal(draw.shape()),)

Rules are made of operators and ops. Called with arrays they compute; called with tensors they
record, which is how derivatives of any order come from rules that are written once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, Self

from .contract import complete, read_only, snake
from .errors import DTypeError, GradgraphError, OpDefinitionError
from .kink import Kink
from .mode import current
from .node import Vertex, make
from .record import apply, apply1, apply2, compute
from .spec import Spec, spec_of


class Op:
    """Base class of ops. Instances are immutable, and equal if class and fields are.

    Class attributes that a subclass may set:
        linear: arguments the op is linear in, the others fixed (zero in, zero out); their JVP is
            the op itself.
        diagonal: arguments whose Jacobian is diagonal up to broadcasting; their JVP is their VJP.
        constant: arguments without a derivative (indices, labels, masks).
        saves: names of integer or boolean arrays that `forward` returns after its result, and
            that every rule gets after the arguments.
        outputs: number of results; if more than one, `forward` returns a tuple.
        hidden: how many of the last outputs only the rules see.
        checks: run `spec` before `forward` (where numpy would be silently wrong).
        batched: whether the VJPs hold for a cotangent with extra leading axes.
        per_item: arguments whose first axis runs over items that do not influence each other.
        trailing: whether it looks at the last axes of its first argument only, so that an extra
            leading axis of that one passes through to the result.
        kinks: what the rules do where there is no derivative (kinks, ties), with examples.
        ufunc: the numpy function it stands for; `np.exp(tensor)` then records it. An op that is
            no more than that writes `forward = np.exp`; its arguments are called x (and y).
        style: how it is drawn: the name of a colour group.

    Methods of a subclass, for arguments `x, w`:
        forward(x, w): the result, from arrays.
        into(out, x, w): the same, written to `out` (a tuple, if there are several or `saves`),
            which none of the arguments overlaps; for plans of `compile`. None if there is no
            such thing.
        vjp_x(g, out, x, w): cotangent of x from the cotangent g of the result.
        jvp_x(t, out, x, w): tangent of the result from the tangent t of x.
        spec(x, w): shape and dtype of the result; raises the errors that teach.
        reference(x, w): the definition by loops over scalars, on arrays of floats or objects.
        sample(draw): classmethod; an instance and valid arguments.
        flops(out, x, w): floating point operations, from specs.
        explain(error, args): what to raise instead of an error of forward.
        batch(size, args, mapped, examples, spec): the op on many examples at once, for `vmap`.

    A last argument `*xs` stands for any number of arguments; its rules are `vjp_xs(g, out, i, *xs)`
    and `jvp_xs(t, out, i, *xs)` for the one with index i among them.

    Raises:
        OpDefinitionError: when a subclass is defined without one of its rules.
    """

    registry: ClassVar[dict[str, type[Op]]] = {}  # by name; "module.name" where we had it first
    into: ClassVar[Any] = None  # see `forward`
    vertex: ClassVar[type[Vertex]] = Vertex
    traced: ClassVar[type[Vertex] | None] = None  # the vertex that has no values, see trace.py

    linear: ClassVar[tuple[str, ...]] = ()
    diagonal: ClassVar[tuple[str, ...]] = ()
    constant: ClassVar[tuple[str, ...]] = ()
    saves: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[int] = 1
    hidden: ClassVar[int] = 0
    checks: ClassVar[bool] = False
    batched: ClassVar[bool] = False
    per_item: ClassVar[tuple[str, ...]] = ()
    trailing: ClassVar[bool] = False
    kinks: ClassVar[tuple[Kink, ...]] = ()
    ufunc: ClassVar[Any] = None
    style: ClassVar[str] = "other"

    name: ClassVar[str] = "op"
    fields: ClassVar[tuple[str, ...]] = ()
    args: ClassVar[tuple[str, ...]] = ()
    variadic: ClassVar[bool] = False
    derived: ClassVar[set[str]] = set()  # names of the rules that follow from others
    vjps: ClassVar[tuple[Any, ...]] = ()
    jvps: ClassVar[tuple[Any, ...]] = ()
    plain: ClassVar[int] = 0  # 1 or 2: the arity of an op that the fast paths may take
    trusted: ClassVar[bool] = True  # one of ours: its arrays need no guard, its results no check

    _values: tuple[Any, ...]
    _hash: int

    __call__ = apply

    forward: Any
    spec: Any
    reference: Any
    sample: Any

    def __init_subclass__(cls, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = [f for f, kind in cls.__annotations__.items() if "ClassVar" not in str(kind)]
        cls.fields = (*cls.fields, *(f for f in own if f not in cls.fields))
        if abstract:
            return
        cls.name = cls.__dict__.get("name") or snake(cls.__name__)
        cls.trusted = cls.__module__.partition(".")[0] == "gradgraph"
        complete(cls, Op)
        cls.plain = 0
        simple = not (cls.saves or cls.checks or cls.variadic or cls.constant) and cls.trusted
        simple = simple and cls.outputs == 1
        if simple and cls.pulls is Op.pulls and cls.pushes is Op.pushes and len(cls.args) < 3:
            cls.plain = len(cls.args)
        if "__call__" not in cls.__dict__:  # a subclass may be plain where its base is not
            cls.__call__ = (apply, apply1, apply2)[cls.plain]  # type: ignore[method-assign]
        held = Op.registry.get(cls.name)
        if held is not None and held.trusted and cls.trusted and held.__module__ != cls.__module__:
            raise OpDefinitionError(
                f"class {cls.__name__}",
                f"{held.__module__} has an op named {cls.name!r} already",
                "Choose another name for the class.",
            )
        ours = held is not None and held.trusted and not cls.trusted
        Op.registry[f"{cls.__module__}.{cls.name}" if ours else cls.name] = cls

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.update(zip(self.fields, args, strict=False))
        values = []
        for field in self.fields:
            if field not in kwargs and not hasattr(type(self), field):
                raise TypeError(f"{type(self).__name__}: field {field!r} is missing")
            values.append(kwargs.pop(field) if field in kwargs else getattr(type(self), field))
        if kwargs or len(args) > len(self.fields):
            raise TypeError(f"{type(self).__name__} has the fields {self.fields}, got {args}")
        self.__dict__.update(zip(self.fields, values, strict=True))
        self.__dict__["_values"] = tuple(values)
        for field, value in zip(self.fields, values, strict=True):
            try:
                hash(value)
            except TypeError:
                raise DTypeError(
                    self.name,
                    f"field {field} is {type(value).__name__}, which cannot be hashed",
                    "Fields are numbers, strings and tuples of them; an array is an argument.",
                ) from None
        self.__dict__["_hash"] = hash((type(self), *values))

    @classmethod
    def of(cls, *values: Any) -> Self:
        """The instance with these field values, made once and cached."""
        try:
            return _cached(cls, *values)  # type: ignore[arg-type, return-value]
        except TypeError:
            return cls(*values)  # says which value cannot be hashed

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: make a new one instead")

    def __eq__(self, other: Any) -> bool:
        return self is other or (type(self) is type(other) and self._values == other._values)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        values = zip(self.fields, self._values, strict=True)
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in values)})"

    def label(self) -> str:
        """The parameters as a picture shows them; empty if there is nothing to say."""
        values = zip(self.fields, self._values, strict=True)
        said = [(k, v) for k, v in values if v is not None and v is not False]
        return ", ".join(k if v is True else f"{k} {v}" for k, v in said)

    def flops(self, out: Spec, *args: Spec) -> int:
        """Floating point operations of one call (a multiply-add is two)."""
        return sum(part.size for part in out) if isinstance(out, tuple) else out.size

    def guarded(self, values: Sequence[Any]) -> Sequence[Any]:
        """Read-only views of arrays for the rules of an op that is not ours."""
        return values if self.trusted else [read_only(v) for v in values]

    def explain(self, error: Exception, args: Sequence[Any]) -> Exception:
        """The op's own words for an error of numpy's, if its spec has any."""
        if not isinstance(error, GradgraphError):
            try:
                self.spec(*map(Spec.of, args))
            except GradgraphError as better:
                return better
            except Exception:
                return error
        return error

    def foreseen(self, inputs: Sequence[Vertex]) -> Any:
        """The spec of the result for inputs of which some are traced."""
        return self.spec(*(spec_of(x._data) for x in inputs))

    def saved_stand_ins(self, inputs: Sequence[Vertex], spec: Any) -> tuple[Any, ...]:
        """What stands for the saved arrays of a traced vertex: here, those of the stand-ins."""
        return compute(self, [x._data for x in inputs])[1]

    def _parts(self, vertex: Vertex) -> tuple[Any, ...]:
        """A vertex for each result, from the one that holds them all."""
        return tuple(Part.of(i)(vertex) for i in range(self.outputs - self.hidden))

    def pulls(
        self, g: Any, out: Any, args: Sequence[Any], saved: Sequence[Any], wanted: Sequence[bool]
    ) -> list[Any]:
        """Cotangents of the wanted arguments (None for the others), from the VJP rules."""
        fixed = len(self.args) - self.variadic
        result: list[Any] = []
        for i, want in enumerate(wanted):
            rule = self.vjps[min(i, fixed)] if want else None
            if rule is None:
                result.append(None)
            elif i < fixed:
                result.append(rule(self, g, out, *args, *saved))
            else:
                result.append(rule(self, g, out, i - fixed, *args, *saved))
        return result

    def pushes(
        self, tangents: Sequence[Any], out: Any, args: Sequence[Any], saved: Sequence[Any]
    ) -> list[Any]:
        """For each argument that has a tangent, what it adds to the result's tangent."""
        fixed = len(self.args) - self.variadic
        result = []
        for i, t in enumerate(tangents):
            rule = None if t is None else self.jvps[min(i, fixed)]
            if rule is None:
                continue
            if i < fixed:
                result.append(rule(self, t, out, *args, *saved))
            else:
                result.append(rule(self, t, out, i - fixed, *args, *saved))
        return result

    def batch(
        self,
        size: int,
        args: Sequence[Any],
        mapped: Sequence[bool],
        examples: Sequence[Spec],
        spec: Spec,
    ) -> Any:
        """The op on `size` examples at once, for `vmap`; NotImplemented if it has no way to.

        Args:
            size: number of examples.
            args: tensors; those that are `mapped` have an extra axis of examples in front.
            mapped: for each argument, whether it differs between examples.
            examples: what each argument is for one example.
            spec: what the result is for one example.
        """
        if self.trailing and not any(mapped[1:]) and not (self.saves or self.hidden):
            return self(*args)
        return NotImplemented

    def rule_of(self, i: int) -> str:
        """Name of the VJP rule of the i-th operand, for `origin`."""
        return f"vjp_{self.args[min(i, len(self.args) - 1)]}"


@lru_cache(maxsize=4096, typed=True)
def _cached(cls: type[Op], *values: Any) -> Op:
    return cls(*values)


class Part(Op):
    """One of the several outputs of a vertex: `part(i)` reads output i."""

    index: int
    style = "shape"

    def forward(self, x: Any) -> Any:
        return x[self.index]

    def vjp_x(self, g: Any, out: Any, x: Any) -> Any:
        """A cotangent for a tuple: g in its place, None (zero) elsewhere."""
        count = len(x._data if isinstance(x, Vertex) else x)  # parts may differ in shape
        return tuple(g if i == self.index else None for i in range(count))

    def jvp_x(self, t: Any, out: Any, x: Any) -> Any:
        return t[self.index]

    def spec(self, x: Any) -> Any:
        return x[self.index]

    def reference(self, x: Any) -> Any:
        return x[self.index]

    @classmethod
    def sample(cls, draw: Any) -> Any:
        shape = draw.shape()
        return cls(draw.integer(0, 1)), ((draw.normal(shape), draw.normal(shape)),)


Part.plain = 0  # its cotangent is a tuple, which only the general step of `pull` takes


class Saved(Op):
    """An array that `forward` saved, as a vertex: recorded, so that a replay saves it anew."""

    index: int
    constant = ("x",)
    style = "shape"

    @staticmethod
    def all(v: Vertex) -> tuple[Any, ...]:
        """A vertex for each array that v saved."""
        mode = current()
        return tuple(
            make(type(v), saved, Saved.of(i), (v,), (), v.version, False, mode)
            for i, saved in enumerate(v.saved)
        )

    def forward(self, x: Any) -> Any:
        raise NotImplementedError  # it reads the vertex, not its array

    def spec(self, x: Any) -> Any:
        raise NotImplementedError

    reference = sample = spec


del Op.registry["saved"]  # no law applies to it
