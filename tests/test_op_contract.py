"""The contract of an op: complete when its class is defined, immutable, cached."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import gradgraph as gg
from gradgraph.op import Op

from .extra_ops import unregistered


@pytest.fixture(autouse=True)
def _registry():
    with unregistered():
        yield


def complete():
    """What a class needs to be an op of one argument."""
    return {
        "forward": lambda self, x: x * 2,
        "vjp_x": lambda self, g, out, x: g * 2,
        "jvp_x": lambda self, t, out, x: t * 2,
        "spec": lambda self, x: x,
        "reference": lambda self, x: x * 2,
        "sample": classmethod(lambda cls, draw: (cls(), (draw.normal(()),))),
    }


def define(name="Twice", **changes):
    """A new op class; a change to None takes a rule away."""
    body = {k: v for k, v in {**complete(), **changes}.items() if v is not None}
    return type(Op)(name, (Op,), {"__annotations__": {}, **body})


def test_a_complete_op_works_and_is_registered():
    op = define()()
    assert Op.registry["twice"] is type(op)
    assert op.name == "twice"
    assert gg.grad(op)(1.0) == 2.0
    assert gg.jvp(op, 1.0, 1.0)[1] == 2.0


@pytest.mark.parametrize("missing", ["forward", "vjp_x", "jvp_x", "spec", "reference", "sample"])
def test_what_is_missing_is_named_with_what_to_add(missing):
    with pytest.raises(gg.OpDefinitionError, match=missing) as caught:
        define(**{missing: None})
    assert "class Twice" in str(caught.value)
    assert f"def {missing}(" in str(caught.value)
    assert "twice" not in Op.registry


def test_the_hint_of_a_missing_rule_has_its_signature():
    with pytest.raises(gg.OpDefinitionError) as caught:
        define(
            forward=lambda self, x, w: (x * w, x > 0),
            saves=("positive",),
            vjp_x=None,
            linear=("x",),
        )
    assert "`def vjp_x(self, g, out, x, w, positive)`" in str(caught.value)
    assert 'constant = ("x",)' in str(caught.value)
    with pytest.raises(gg.OpDefinitionError) as caught:
        define(
            forward=lambda self, x: (x, x > 0),
            saves=("positive",),
            vjp_x=lambda self, g, out, x, positive: g,
            jvp_x=None,
        )
    assert "`def jvp_x(self, t, out, x, positive)`" in str(caught.value)
    assert 'linear = ("x",)' in str(caught.value)


def test_the_hints_of_spec_and_reference_have_no_saved_arrays():
    saving = {
        "forward": lambda self, x: (x, x > 0),
        "saves": ("positive",),
        "vjp_x": lambda self, g, out, x, positive: g,
        "jvp_x": lambda self, t, out, x, positive: t,
    }
    for method in ("spec", "reference"):
        with pytest.raises(gg.OpDefinitionError, match=rf"def {method}\(self, x\)"):
            define(**saving, **{method: None})


def test_forward_needs_an_argument():
    with pytest.raises(gg.OpDefinitionError, match="takes no argument"):
        define(forward=lambda self: 1.0)


@pytest.mark.parametrize("kind", ["linear", "diagonal", "constant"])
def test_names_of_arguments_are_checked(kind):
    with pytest.raises(gg.OpDefinitionError, match=rf"{kind} names 'z', but forward takes \(x\)"):
        define(**{kind: ("z",)})


@pytest.mark.parametrize("rule", ["vjp_x", "jvp_x"])
def test_wrong_signatures(rule):
    with pytest.raises(gg.OpDefinitionError, match=rf"{rule} takes 3 arguments, not 4"):
        define(**{rule: lambda self, g, x: g})


def test_linear_gives_the_jvp():
    cls = define(jvp_x=None, linear=("x",))
    assert gg.jvp(cls(), np.array([1.0, 2.0]), np.array([3.0, 4.0]))[1].tolist() == [6.0, 8.0]


def test_linear_does_not_do_for_hidden_outputs():
    with pytest.raises(gg.OpDefinitionError, match="jvp_x"):
        define(forward=lambda self, x: (x, x), outputs=2, hidden=1, jvp_x=None, linear=("x",))


def test_diagonal_gives_the_jvp():
    cls = define(
        forward=lambda self, x: x * x,
        vjp_x=lambda self, g, out, x: 2 * x * g,
        jvp_x=None,
        diagonal=("x",),
    )
    assert gg.jvp(cls(), np.array([1.0, 2.0]), np.ones(2))[1].tolist() == [2.0, 4.0]


def test_constant_needs_no_rules():
    cls = define(
        forward=lambda self, x, k: x * k,
        vjp_x=lambda self, g, out, x, k: g * k,
        jvp_x=None,
        linear=("x",),
        constant=("k",),
        spec=lambda self, x, k: x,
    )
    k = gg.Tensor([2.0, 3.0], requires_grad=True)
    x = gg.Tensor([1.0, 1.0], requires_grad=True)
    cls()(x, k).sum().backward()
    assert x.grad.tolist() == [2.0, 3.0]
    assert k.grad is None
    assert gg.grad(lambda x: cls()(x, k).sum())(np.ones(2)).tolist() == [2.0, 3.0]


class TestVariadic:
    def cls(self, **changes):
        return define(
            "Total",
            forward=lambda self, *xs: sum(xs[1:], xs[0]) * 1.0,
            vjp_x=None,
            jvp_x=None,
            vjp_xs=lambda self, g, out, i, *xs: g * (i + 1 - i),
            jvp_xs=lambda self, t, out, i, *xs: t,
            spec=lambda self, *xs: xs[0],
            **changes,
        )

    def test_rules_get_the_index(self):
        cls = self.cls()
        assert cls.variadic
        assert cls.args == ("xs",)
        f = cls()
        assert gg.grad(lambda x: f(x, 2.0, x, x))(1.0) == 3.0
        assert gg.jvp(lambda x: f(x, 2.0, x, x), 1.0, 1.0)[1] == 3.0

    def test_a_rule_without_the_index(self):
        with pytest.raises(gg.OpDefinitionError, match=r"def vjp_xs\(self, g, out, i, \*xs\)"):
            define(
                forward=lambda self, *xs: xs[0], vjp_xs=lambda self, g: g, jvp_xs=None, vjp_x=None
            )

    def test_linear(self):
        cls = define(
            "Join",
            forward=lambda self, k, *xs: np.concatenate(xs) * k,
            constant=("k",),
            linear=("xs",),
            vjp_x=None,
            jvp_x=None,
            vjp_xs=lambda self, g, out, i, k, *xs: g[2 * i : 2 * i + 2] * k,
            spec=lambda self, k, *xs: xs[0],
        )
        x = np.array([1.0, 2.0])

        def f(x):
            return cls()(3.0, x, np.zeros(2))

        assert cls().rule_of(2) == "vjp_xs"
        assert gg.jvp(f, x, x)[1].tolist() == [3.0, 6.0, 0.0, 0.0]
        assert gg.grad(lambda x: f(x).sum())(x).tolist() == [3.0, 3.0]


class Scale(Op, abstract=True):
    """A base class that is no op itself: it needs no rules and is not registered."""

    factor: float
    shift: float = 0.0


def scale_class():
    body = {k: v for k, v in complete().items() if k != "forward"}
    body["forward"] = lambda self, x: x * self.factor + self.shift
    body["vjp_x"] = lambda self, g, out, x: g * self.factor
    body["jvp_x"] = lambda self, t, out, x: t * self.factor
    return type(Op)("ScaleShift", (Scale,), {"__annotations__": {}, **body})


class TestInstances:
    def test_abstract_classes_are_not_registered(self):
        assert "scale" not in Op.registry
        assert scale_class().name == "scale_shift"

    def test_fields_by_position_and_name(self):
        cls = scale_class()
        assert cls.fields == ("factor", "shift")
        op = cls(2.0, shift=1.0)
        assert (op.factor, op.shift) == (2.0, 1.0)
        assert cls(factor=3.0).shift == 0.0
        assert repr(op) == "ScaleShift(factor=2.0, shift=1.0)"
        assert op.label() == "factor 2.0, shift 1.0"
        reductions = gg.Op.registry["sum"]
        assert reductions((-2, -1), True).label() == "axis (-2, -1), keepdims"
        assert reductions(None, False).label() == ""
        assert gg.grad(op)(1.0) == 2.0

    def test_wrong_fields(self):
        cls = scale_class()
        with pytest.raises(TypeError, match="'factor' is missing"):
            cls()
        with pytest.raises(TypeError, match="has the fields"):
            cls(1.0, 2.0, 3.0)
        with pytest.raises(TypeError, match="has the fields"):
            cls(1.0, unknown=2.0)

    def test_immutable(self):
        op = scale_class()(2.0)
        for name in ("factor", "other"):
            with pytest.raises(AttributeError, match="immutable"):
                setattr(op, name, 3.0)

    def test_equality_and_hash(self):
        cls, other = scale_class(), scale_class()
        assert cls(2.0) == cls(2.0)
        assert hash(cls(2.0)) == hash(cls(2.0))
        assert cls(2.0) != cls(3.0)
        assert cls(2.0) != other(2.0)
        assert cls(2.0) != 2.0
        assert len({cls(2.0), cls(2.0), cls(3.0)}) == 2

    def test_of_caches_by_type_too(self):
        cls = scale_class()
        assert cls.of(2.0) is cls.of(2.0)
        made = [cls.of(1), cls.of(1.0), cls.of(True)]
        assert [type(op.factor) for op in made] == [int, float, bool]
        assert len(set(map(id, made))) == 3
        assert cls.of(0.0, 1.0) is not cls.of(0.0)


class TestCalls:
    def test_a_subclass_with_saved_arrays_of_a_plain_op(self):
        base = define()
        cls = type(Op)(
            "Masked",
            (base,),
            {
                "__annotations__": {},
                "saves": ("positive",),
                "forward": lambda self, x: (x * 2, np.asarray(x) > 0),
                "vjp_x": lambda self, g, out, x, positive: 2 * g * positive,
                "jvp_x": lambda self, t, out, x, positive: 2 * t * positive,
            },
        )
        x = np.array([1.0, -1.0])
        assert gg.grad(lambda x: cls()(x).sum())(x).tolist() == [2.0, 0.0]
        assert gg.grad(lambda x: base()(x).sum())(x).tolist() == [2.0, 2.0]

    def test_an_own_call_is_kept(self):
        cls = define(__call__=lambda self, x: "called")
        assert cls()(1.0) == "called"

    def test_a_subclass_of_tensor_is_a_tensor(self):
        class Named(gg.Tensor):
            __slots__ = ()

        x = Named([1.0, 2.0], requires_grad=True)
        y = gg.exp(x) * x + x
        y.sum().backward()
        assert_allclose(x.grad.data, (x.data + 1) * np.exp(x.data) + 1)

    def test_errors_of_forward_pass_through(self):
        def broken(self, *args):
            raise ZeroDivisionError("mine")

        for spec in (broken, lambda self, x: x):
            cls = define(forward=lambda self, x: 1 // 0, spec=spec)
            for x in (1.0, gg.Tensor(1.0), gg.Tensor(1.0, requires_grad=True)):
                with pytest.raises(ZeroDivisionError, match="integer division"):
                    cls()(x)

    def test_the_spec_explains_an_error_of_forward(self):
        def explain(self, x):
            raise gg.ShapeError("twice", "x is odd", "Make it even.")

        cls = define(forward=lambda self, x: 1 // 0, spec=explain)
        for x in (1.0, gg.Tensor(1.0)):
            with pytest.raises(gg.ShapeError, match="x is odd") as caught:
                cls()(x)
            assert caught.value.__suppress_context__

    def test_checks_runs_the_spec_first(self):
        def refuse(self, x):
            raise gg.ShapeError("twice", "x is odd", "Make it even.")

        with pytest.raises(gg.ShapeError, match="x is odd"):
            define(spec=refuse, checks=True)()(1.0)

    def test_results_are_arrays(self):
        op = define()()
        for x in (gg.Tensor(1.0), gg.Tensor(np.float32(1.0), requires_grad=True)):
            assert type(op(x)._data) is np.ndarray
        assert_array_equal(op(np.ones(2)), 2.0)


def test_every_registered_op_has_a_docstring_and_a_sample():
    from gradgraph.draw import Draw

    for name, cls in Op.registry.items():
        assert cls.__doc__, name
        op, args = cls.sample(Draw.seeded(0))
        assert isinstance(op, cls)
        assert isinstance(op.label(), str)
        if name != "part":
            out = op(*args)
            several = isinstance(out, tuple)
            result = tuple(map(gg.Spec.of, out)) if several else gg.Spec.of(out)
            assert isinstance(op.flops(result, *map(gg.Spec.of, args)), int), name


def test_specs():
    a = gg.Spec((2, 3), np.dtype("float32"))
    assert (a.ndim, a.size, a.nbytes) == (2, 6, 24)
    assert a.with_shape((6,)) == gg.Spec((6,), np.dtype("float32"))
    assert (str(a), repr(a)) == ("2×3 float32", "Spec(2×3 float32)")
    assert gg.Spec.of(2.0).weak
    assert not gg.Spec.of(np.float64(2.0)).weak


def test_draws_are_what_they_promise():
    from gradgraph.draw import Draw

    for seed in range(20):
        draw = Draw.seeded(seed)
        axis = draw.axis(3)
        assert axis is None or np.sum(np.ones((2, 2, 2)), axis=axis).ndim <= 3
        values = draw.kinky((4, 3))
        assert len(np.unique(values)) == 12
        assert np.abs(values).min() > 0.04
        draw.ties = True
        assert set(np.unique(draw.kinky((30,)))) <= {-1.0, 0.0, 1.0}
        np.broadcast_shapes(*draw.broadcastable(3))
        assert draw.positive((5,)).min() > 0
        assert set(draw.indices((50,), 2)) <= {-2, -1, 0, 1}


def test_the_flops_of_an_op_are_its_elements_by_default():
    a = gg.Spec((2, 3), np.dtype(float))
    assert define()().flops(a, a) == 6


def test_a_tangent_that_a_rule_keeps_is_not_handed_out():
    kept = np.array([3.0, 4.0])
    op = define("Keeps", jvp_x=lambda self, t, out, x: kept)()
    x = np.ones(2)
    gg.jvp(op, (x,), (x,))[1][:] = 0
    assert kept.tolist() == [3.0, 4.0]
