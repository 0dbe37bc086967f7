"""Operators on functions, nested in every way, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import gradgraph as gg
from gradgraph.sweep import reach

from . import extra_ops


def leaf(value, **kwargs):
    return gg.Tensor(value, requires_grad=True, **kwargs)


def forward(f):
    """d/dx by forward mode, for functions of one number."""
    return lambda x: gg.jvp(f, x, np.ones_like(getattr(x, "data", x)))[1]


ORDERS = [gg.grad, forward, lambda f: gg.jacobian(f)]


class TestGrad:
    def test_value_and_grad(self):
        value, gradient = gg.value_and_grad(lambda x: (x * x).sum())(np.array([1.0, 2.0]))
        assert value == 5.0
        assert gradient.tolist() == [2.0, 4.0]

    def test_argnums(self):
        def f(x, y, scale=1.0):
            return (x * y * y).sum() * scale

        x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
        assert gg.grad(f)(x, y).tolist() == [9.0, 16.0]
        assert gg.grad(f, argnums=1)(x, y).tolist() == [6.0, 16.0]
        assert gg.grad(f, argnums=-1)(x, y).tolist() == [6.0, 16.0]
        both = gg.grad(f, argnums=(1, 0))(x, y, scale=2.0)
        assert isinstance(both, tuple)
        assert [g.tolist() for g in both] == [[12.0, 32.0], [18.0, 32.0]]
        only = gg.grad(f, argnums=(0,))(x, y)
        assert isinstance(only, tuple)
        assert len(only) == 1

    def test_other_arguments_pass_through(self):
        seen = []

        def f(x, labels, *, mode):
            seen.append((labels, mode))
            return x * 2

        labels = object()
        gg.grad(f)(1.0, labels, mode="train")
        assert seen == [(labels, "train")]

    @pytest.mark.parametrize("argnums", [2, -3, (0, 2)])
    def test_argnums_out_of_range(self, argnums):
        with pytest.raises(gg.GradError, match="called with 2 arguments"):
            gg.grad(lambda x, y: x * y, argnums)(1.0, 2.0)

    def test_of_a_vector(self):
        with pytest.raises(gg.GradError, match=r"result is \(2,\), not one number"):
            gg.grad(lambda x: x * 2)(np.ones(2))

    @pytest.mark.parametrize("operator", [gg.grad, gg.jacobian])
    @pytest.mark.parametrize(
        ("result", "named"), [(None, "returned None"), ((1.0, 2.0), "a tuple"), ("text", "a str")]
    )
    def test_results_that_are_no_tensors(self, operator, result, named):
        with pytest.raises(gg.GradError, match=named):
            operator(lambda x: result)(1.0)

    def test_a_forgotten_return_in_vjp_and_jvp(self):
        with pytest.raises(gg.GradError, match="Does it lack a return"):
            gg.vjp(lambda x: None, 1.0)
        with pytest.raises(gg.GradError, match="Does it lack a return"):
            gg.jvp(lambda x: (x, None), 1.0, 1.0)

    def test_integers_are_refused(self):
        for x in (3, np.array([1, 2]), gg.Tensor(3)):
            with pytest.raises(gg.DTypeError, match=r"only floats have derivatives.*2\.0"):
                gg.grad(lambda x: x * 2.0)(x)
        with pytest.raises(gg.DTypeError, match="argument 1 is complex128"):
            gg.grad(lambda x, y: x * y, (0, 1))(1.0, 1j)

    def test_lists_are_arrays(self):
        assert gg.grad(lambda x: (x * x).sum())([1.0, 2.0]).tolist() == [2.0, 4.0]

    @pytest.mark.parametrize("f", [lambda x: 5.0, lambda x: np.ones(()), lambda x: gg.Tensor(2.0)])
    def test_an_output_that_does_not_depend_on_the_input(self, f):
        x = np.ones((2, 3), np.float32)
        for zero in (gg.grad(f)(x), gg.jacobian(f)(x), gg.jvp(f, x, x)[1], gg.vjp(f, x)[1](1.0)):
            assert_array_equal(zero, 0.0)
        assert gg.grad(f)(x).shape == (2, 3)
        assert gg.grad(f)(x).dtype == np.float32
        assert gg.jacobian(f)(x).shape == (2, 3)
        assert gg.hessian(lambda x: x.sum())(x).shape == (2, 3, 2, 3)
        assert gg.jvp(f, x, x)[1].shape == ()

    def test_an_argument_that_the_result_does_not_depend_on(self):
        gx, gy = gg.grad(lambda x, y: x * x, (0, 1))(3.0, 4.0)
        assert (gx, gy) == (6.0, 0.0)


class TestTypes:
    """Arrays in, arrays out; a tensor among the operands makes the results tensors."""

    def test_arrays(self):
        x = np.array([1.0, 2.0])

        def f(x):
            return (x * x).sum()

        value, gradient = gg.value_and_grad(f)(x)
        out, pull = gg.vjp(lambda x: x * x, x)
        results = [value, gradient, gg.grad(f)(x), out, pull(x), *gg.jvp(f, x, x)]
        results += [gg.hvp(f, x, x), gg.jacobian(lambda x: x * x)(x), gg.hessian(f)(x)]
        for r in results:
            assert type(r) is np.ndarray

    def test_tensors(self):
        x = gg.Tensor([1.0, 2.0])

        def f(x):
            return (x * x).sum()

        value, gradient = gg.value_and_grad(f)(x)
        out, pull = gg.vjp(lambda x: x * x, x)
        results = [value, gradient, gg.grad(f)(x), out, pull(x), pull(np.ones(2)), *gg.jvp(f, x, x)]
        results += [gg.hvp(f, x, x), gg.jacobian(lambda x: x * x)(x), gg.hessian(f)(x)]
        for r in results:
            assert type(r) is gg.Tensor
            assert not r.requires_grad

    def test_mixed(self):
        x, t = np.ones(2), gg.Tensor([1.0, 2.0])
        assert type(gg.grad(lambda x, t: (x * t).sum())(x, t)) is gg.Tensor
        assert type(gg.jvp(lambda x: x * 2, x, t)[1]) is gg.Tensor
        assert type(gg.hvp(lambda x: (x * x).sum(), x, t)) is gg.Tensor
        out, pull = gg.vjp(lambda x: x * 2, x)
        assert type(out) is np.ndarray
        assert type(pull(t)) is gg.Tensor

    def test_results_alias_nothing(self):
        x, y, c = np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([5.0, 6.0])

        def squared(x, y):
            s = x + y
            return (s * s).sum()

        given = [x, y, c]
        results = [*gg.grad(squared, (0, 1))(x, y)]
        for f in (lambda x: x, lambda x: x.reshape(2, 1), lambda x: x + 0, lambda x: x[::-1]):
            out, pull = gg.vjp(f, x)
            results += [out, pull(c.reshape(out.shape)), *gg.jvp(f, x, c), gg.jacobian(f)(x)]
        out, pull = gg.vjp(lambda x, y: x + y, x, y)
        results += [out, *pull(c)]
        results += [*gg.grad(lambda x, y: (x + y).sum(), (0, 1))(x, y)]
        results += gg.jvp(lambda x: (x, x.reshape(2, 1)), x, c)[1]
        results += gg.vjp(lambda x, y: x.reshape(2, 1) + y.reshape(2, 1), x, y)[1](c[:, None])
        results += [r._data for r in gg.jvp(lambda x: (x, x), x, gg.Tensor(c))[1]]
        for i, r in enumerate(results):
            assert r.flags.writeable, i
            for other in given + results[:i]:
                assert not np.shares_memory(r, other), i

    def test_recorded_results_are_tensors_of_their_own(self):
        x, y = (gg.Tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
        c = gg.Tensor([1.0, 10.0])
        a, b = gg.vjp(lambda x, y: x + y, x, y)[1](c)
        assert len({id(t) for t in (a, b, c)}) == 3
        tangent = gg.jvp(lambda x: x, (x,), (c,))[1]
        c.assign([7.0, 7.0])
        assert [t.tolist() for t in (a, b, tangent)] == [[1.0, 10.0]] * 3

    def test_what_a_users_rule_keeps_is_not_handed_out(self):
        kept = gg.Tensor([3.0, 4.0])
        f = gg.custom(lambda x: x * 2, vjp=lambda g, out, x: kept, jvp=lambda t, out, x: kept)
        x = np.ones(2)
        gg.grad(lambda x: f(x).sum())(x)[:] = 0
        gg.jvp(f, (x,), (x,))[1][:] = 0
        assert kept.tolist() == [3.0, 4.0]

    def test_the_callers_arrays_may_change_afterwards(self):
        x = np.array([1.0, 2.0])
        _, pull = gg.vjp(lambda x: x * x, x)
        x[:] = 100.0
        assert pull(np.ones(2)).tolist() == [2.0, 4.0]


class TestVjpJvp:
    def test_several_results_and_arguments(self):
        def f(x, y):
            return x * y, x + y

        (p, s), pull = gg.vjp(f, 2.0, 3.0)
        assert (p, s) == (6.0, 5.0)
        assert pull(1.0, 0.0) == (3.0, 2.0)
        assert pull((1.0, 10.0)) == (13.0, 12.0)
        out, t = gg.jvp(f, (2.0, 3.0), (1.0, 0.0))
        assert out == (6.0, 5.0)
        assert t == (3.0, 1.0)

    def test_pull_may_be_called_again(self):
        _, pull = gg.vjp(lambda x: gg.exp(x), np.zeros(2))
        assert pull(np.array([1.0, 2.0])).tolist() == [1.0, 2.0]
        assert pull([3, 4]).tolist() == [3.0, 4.0]

    def test_shapes_are_checked(self):
        _, pull = gg.vjp(lambda x: (x, x), np.ones(2))
        with pytest.raises(gg.ShapeError, match="1 cotangents for 2 results"):
            pull(np.ones(2))
        with pytest.raises(gg.ShapeError, match=r"the cotangent is \(3,\)"):
            pull(np.ones(3), np.ones(2))
        with pytest.raises(gg.ShapeError, match="the tangent is scalar"):
            gg.jvp(lambda x: x, np.ones(2), 1.0)
        with pytest.raises(gg.ShapeError, match="2 arguments, 1 tangents"):
            gg.jvp(lambda x, y: x, (1.0, 2.0), (1.0,))

    def test_a_result_that_is_a_constant(self):
        out, t = gg.jvp(lambda x: (x * 2, 7.0), 1.0, 1.0)
        assert out == (2.0, 7.0)
        assert t == (2.0, 0.0)
        (a, b), pull = gg.vjp(lambda x: (x * 2, np.array(7.0)), 1.0)
        assert (a, b, pull(1.0, 1.0)) == (2.0, 7.0, 2.0)

    @given(st.integers(0, 10_000))
    def test_adjoint_of_a_network(self, seed):
        rng = np.random.default_rng(seed)
        w, x = rng.normal(size=(3, 4)), rng.normal(size=(2, 3))
        v, g = rng.normal(size=(2, 3)), rng.normal(size=(2, 4))

        def f(x):
            return gg.softmax(gg.tanh(x @ w) * 2)

        _, t = gg.jvp(f, x, v)
        _, pull = gg.vjp(f, x)
        assert_allclose((t * g).sum(), (pull(g) * v).sum(), rtol=1e-9, atol=1e-12)


class TestHigherOrder:
    @pytest.mark.parametrize("a", ORDERS)
    @pytest.mark.parametrize("b", ORDERS)
    @pytest.mark.parametrize("c", ORDERS)
    def test_three_derivatives_in_any_mode(self, a, b, c):
        def f(x):
            return gg.sin(x) * x * x

        x = 0.7
        s, co = np.sin(x), np.cos(x)
        assert_allclose(a(f)(x), x * x * co + 2 * x * s)
        assert_allclose(a(b(f))(x), (2 - x * x) * s + 4 * x * co)
        assert_allclose(a(b(c(f)))(x), (6 - x * x) * co - 6 * x * s)

    def test_forward_over_reverse_is_reverse_over_forward(self):
        rng = np.random.default_rng(0)
        x, v, w = rng.normal(size=4), rng.normal(size=4), rng.normal(size=(4, 3))

        def f(x):
            return gg.log_softmax(gg.tanh(x @ w)).sum() * gg.exp(x).mean()

        fr = gg.jvp(gg.grad(f), x, v)[1]
        rf = gg.grad(lambda x: gg.jvp(f, x, v)[1])(x)
        rr = gg.grad(lambda x: (gg.grad(f)(x) * v).sum())(x)
        ff = [gg.jvp(lambda x, e=e: gg.jvp(f, x, e)[1], x, v)[1] for e in np.eye(4)]
        assert_allclose(fr, gg.hvp(f, x, v))
        for other in (rf, rr, ff, gg.hessian(f)(x) @ v):
            assert_allclose(other, fr, rtol=1e-9, atol=1e-12)

    def test_hessian_of_a_quadratic(self):
        a = np.arange(9.0).reshape(3, 3)
        h = gg.hessian(lambda x: x @ a @ x)(np.ones(3))
        assert_allclose(h, a + a.T)
        h = gg.hessian(lambda c, x: (c * x * x).sum(), argnums=1)(2.0, np.ones(2))
        assert_allclose(h, 4 * np.eye(2))

    def test_gradient_of_a_gradient_through_a_network(self):
        rng = np.random.default_rng(1)
        image, w = rng.normal(size=(1, 4, 4, 1)), rng.normal(size=(2, 2, 1, 2))

        def f(w):
            return (gg.max_pool(gg.relu(gg.conv(image, w)), 2, stride=1) ** 2).sum()

        h = gg.hessian(f)(w).reshape(8, 8)
        assert_allclose(h, h.T, atol=1e-12)
        v = rng.normal(size=w.shape)
        assert_allclose(gg.hvp(f, w, v).ravel(), h @ v.ravel(), atol=1e-10)
        step = 1e-5
        slope = (gg.grad(f)(w + step * v) - gg.grad(f)(w - step * v)) / (2 * step)
        assert_allclose(slope.ravel(), h @ v.ravel(), rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize("outer", ORDERS)
    @pytest.mark.parametrize("inner", ORDERS)
    def test_no_perturbation_confusion(self, outer, inner):
        def f(x):
            return x * inner(lambda y: x + y)(1.0)

        assert outer(f)(1.0) == 1.0

        def g(x):
            return x * inner(lambda y: x * y)(3.0)

        assert_allclose(outer(g)(5.0), 10.0)

    @pytest.mark.parametrize("outer", ORDERS)
    @pytest.mark.parametrize("inner", ORDERS)
    def test_no_perturbation_confusion_with_one_argument(self, outer, inner):
        """d/dx (d/dy (x - y)) x: the inner derivative is -1 wherever x comes in."""

        def f(x):
            return inner(lambda y: (x - y) * 1.0)(x) * x

        assert outer(f)(2.0) == -1.0

    def test_a_shadowed_variable(self):
        d = gg.grad
        assert d(lambda x: d(lambda x: x * x * x)(x * x))(2.0) == 3 * 4 * 2.0**3

    def test_curried_functions(self):
        """The derivative of a function-valued derivative keeps its tangents apart."""

        def shifted(f, y):
            return lambda z: f(z + y)

        def at(y):
            return forward(shifted(lambda z: z**3, y))

        assert_allclose(forward(lambda y: at(y)(1.0))(0.5), 6 * 1.5)

    def test_jacobian_of_jacobian(self):
        x = np.array([1.0, 2.0])
        out = gg.jacobian(gg.jacobian(lambda x: x * x * x))(x)
        expected = np.zeros((2, 2, 2))
        expected[0, 0, 0], expected[1, 1, 1] = 6.0, 12.0
        assert_allclose(out, expected)


def rows(f, x):
    """The Jacobian one row at a time."""
    out, pull = gg.vjp(f, x)
    seeds = np.eye(out.size).reshape(out.size, *out.shape)
    return np.reshape([pull(s) for s in seeds], (*out.shape, *x.shape))


IMAGE = np.random.default_rng(2).normal(size=(1, 4, 4, 2))
FUNCTIONS = {
    "elementwise": lambda x: gg.tanh(x * 2) / (1 + x * x),
    "broadcast": lambda x: (
        x[:, None] * np.arange(3.0) + x.sum() - gg.Tensor([[1.0], [2.0], [3], [4]])
    ),
    "scalar broadcast": lambda x: x.mean() * np.ones((2, 1)) + 1.0,
    "reduce": lambda x: gg.max(x.reshape(2, 2), axis=0) + x.reshape(2, 2).sum(axis=1),
    "all": lambda x: x.sum(),
    "power": lambda x: (x * x + 1) ** 1.5,
    "matmul": lambda x: x.reshape(2, 2) @ np.arange(6.0).reshape(2, 3),
    "matvec": lambda x: np.arange(8.0).reshape(2, 4) @ x,
    "dot": lambda x: x @ (x * 2),
    "batched matmul": lambda x: np.ones((3, 1, 2)) @ x.reshape(1, 2, 2),
    "transpose": lambda x: gg.transpose(x.reshape(2, 2)) * x.reshape(2, 2),
    "broadcast_to": lambda x: gg.broadcast_to(x, (3, 4)) * 2,
    "softmax": lambda x: gg.softmax(x) - gg.log_softmax(x),
    "getitem": lambda x: x[[0, 0, -1]] * x[1:],
    "pad": lambda x: gg.pad(x, 1) * 2,
    "concatenate": lambda x: gg.concatenate([x, x * 2]),
    "where": lambda x: gg.where(x > 0, x, -2 * x) + gg.maximum(x, 0.1) + gg.relu(x),
    "conv": lambda x: gg.conv(x.reshape(1, 2, 2, 1), np.ones((2, 2, 1, 3)), padding="same"),
    "pool": lambda x: gg.max_pool(x.reshape(1, 4, 1), 2) + gg.avg_pool(x.reshape(1, 4, 1), 2),
    "loss": lambda x: gg.cross_entropy(x.reshape(2, 2), np.array([0, 1]), reduction="none"),
    "identity": lambda x: x,
    "cast": lambda x: x.astype(np.float32).astype(float),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_jacobian_is_made_of_rows(name):
    x = np.array([0.3, -1.1, 0.8, 2.0])
    f = FUNCTIONS[name]
    expected = rows(f, x)
    actual = gg.jacobian(f)(x)
    assert actual.shape == expected.shape
    assert_allclose(actual, expected, atol=1e-14)
    columns = [gg.jvp(f, x, e)[1] for e in np.eye(4)]
    assert_allclose(actual, np.moveaxis(columns, 0, -1), rtol=1e-6, atol=1e-12)
    w = leaf(1.0)
    tracked = gg.jacobian(lambda x: f(x) * w)(x)
    assert_allclose(getattr(tracked, "data", tracked), expected, atol=1e-14)


def test_jacobian_calls_batched_rules_once():
    op, calls = extra_ops.counting()
    type(op).batched = True
    gg.jacobian(lambda x: op(x, 2.0))(np.ones(5))
    assert calls == ["x"]
    type(op).batched = False
    calls.clear()
    gg.jacobian(lambda x: op(x, 2.0))(np.ones(5))
    assert calls == ["x"] * 5


def test_jacobian_argnums_and_empty_results():
    def f(x, y, power=2):
        return x * y**power

    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    assert_allclose(gg.jacobian(f, argnums=1)(x, y, power=3), np.diag(3 * x * y**2))
    assert gg.jacobian(lambda x: x[:0])(x).shape == (0, 2)
    assert gg.jacobian(lambda x: x.sum())(np.ones((0, 3))).shape == (0, 3)
    with pytest.raises(gg.GradError, match="argnums=2"):
        gg.jacobian(f, argnums=2)(x, y)


class TestClosures:
    def test_a_gradient_over_a_closed_over_parameter(self):
        w = leaf([2.0, 3.0])
        x = np.array([1.0, 1.0])
        gradient = gg.grad(lambda x: (w * x * x).sum())(gg.Tensor(x))
        assert gradient.requires_grad
        (gradient * gradient).sum().backward()
        assert_allclose(w.grad.data, 8 * w.data)

    def test_gradient_penalty(self):
        rng = np.random.default_rng(0)
        w1, w2 = leaf(rng.normal(size=(3, 4))), leaf(rng.normal(size=(4, 1)))
        x = gg.Tensor(rng.normal(size=(5, 3)))

        def penalty(w1, w2):
            gradient = gg.grad(lambda x: (gg.tanh(x @ w1) @ w2).sum())(x)
            return ((gradient * gradient).sum(axis=1) ** 0.5 - 1.0) ** 2

        penalty(w1, w2).mean().backward()
        step = 1e-6
        for w in (w1, w2):
            value = w.numpy()
            numeric = np.zeros_like(value)
            for at in np.ndindex(value.shape):
                sides = []
                for sign in (1, -1):
                    moved = value.copy()
                    moved[at] += sign * step
                    pair = [gg.Tensor(moved) if v is w else v.detach() for v in (w1, w2)]
                    sides.append(penalty(*pair).mean().item())
                numeric[at] = (sides[0] - sides[1]) / (2 * step)
            assert_allclose(w.grad.data, numeric, rtol=1e-5, atol=1e-7)

    @pytest.mark.parametrize(
        "operator",
        [
            lambda f, x: gg.value_and_grad(f)(x)[0],
            lambda f, x: gg.vjp(f, x)[0],
            lambda f, x: gg.vjp(f, x)[1](gg.Tensor(1.0)),
            lambda f, x: gg.jvp(f, x, gg.Tensor(1.0))[0],
            lambda f, x: gg.jvp(f, x, gg.Tensor(1.0))[1],
            lambda f, x: gg.jacobian(f)(x),
            lambda f, x: gg.hessian(f)(x),
            lambda f, x: gg.hvp(f, x, gg.Tensor(1.0)),
        ],
    )
    def test_every_operator_records_closures(self, operator):
        w = leaf(2.0)
        result = operator(lambda x: w * x**3, gg.Tensor(1.5))
        assert result.requires_grad
        result.backward()
        assert_allclose(w.grad.item(), result.item() / 2.0)  # linear in w

    def test_tracked_arguments_stay_linked(self):
        x = leaf(2.0)
        gradient = gg.grad(lambda x: x**3)(x)
        gradient.backward()
        assert x.grad.item() == 12.0
        x.grad = None
        gg.jvp(lambda x: x**3, x, gg.Tensor(1.0))[1].backward()
        assert x.grad.item() == 12.0

    def test_tracked_tangents_and_cotangents_stay_linked(self):
        t = leaf(5.0)
        gg.jvp(lambda x: x**3, gg.Tensor(2.0), t)[1].backward()
        assert t.grad.item() == 12.0
        c = leaf(5.0)
        gg.vjp(lambda x: x**3, gg.Tensor(2.0))[1](c).backward()
        assert c.grad.item() == 12.0

    def test_leaves_of_the_caller_get_no_gradient_by_themselves(self):
        w = leaf(2.0)
        gg.grad(lambda x: w * x)(1.0)
        assert w.grad is None

    def test_a_closed_over_tracked_tensor_counts_as_an_operand(self):
        w = leaf(2.0)
        value, gradient = gg.value_and_grad(lambda x: w * x * x)(3.0)
        assert (value.item(), gradient.item()) == (18.0, 12.0)
        (value + gradient).backward()
        assert w.grad.item() == 15.0
        with gg.no_grad():
            assert type(gg.grad(lambda x: w * x * x)(3.0)) is np.ndarray
        assert type(gg.grad(lambda x: w.detach() * x * x)(3.0)) is np.ndarray

    def test_what_an_inner_operator_differentiated_by_is_not_waited_for(self):
        """The alias of an argument is no leaf of the result once its operator is done."""
        y = leaf(0.5)
        _, pull = gg.vjp(lambda z: z**3 * y, 2.0)
        results = [
            pull(1.0),
            pull(1.0),
            gg.grad(lambda z: z**3 * y)(2.0),
            gg.jvp(lambda z: z**3 * y, 2.0, 1.0)[1],
            gg.jacobian(lambda z: z**3 * y)(2.0),
            gg.value_and_grad(lambda z: z**3 * y)(2.0)[1],
        ]
        for r in results:
            leaves = [v for v in reach([r]) if v.op is None]
            assert len(leaves) == 1
            assert leaves[0] is y
            assert r.item() == 6.0

    def test_backward_inside_a_differentiated_function(self):
        """A closed-over leaf can be swept while an outer operator records."""
        w = leaf(3.0)

        def f(x):
            w.grad = None
            (w * w).backward()
            return x * w.grad

        assert gg.grad(f)(2.0) == 6.0


class TestNoGrad:
    @pytest.mark.parametrize("tracked", [False, True])
    def test_outside_an_operator(self, tracked):
        w = leaf(2.0)
        x = gg.Tensor(1.5, requires_grad=tracked)

        def f(x):
            return w * x**3

        with gg.no_grad():
            results = [
                *gg.value_and_grad(f)(x),
                gg.vjp(f, x)[1](1.0),
                *gg.jvp(f, x, 1.0),
                gg.jacobian(f)(x),
                gg.hessian(f)(x),
                gg.hvp(f, x, 1.0),
                gg.grad(gg.grad(f))(x),
            ]
        expected = [6.75, 13.5, 13.5, 6.75, 13.5, 13.5, 18, 18, 18]
        assert_allclose([r.item() for r in results], expected)
        assert not any(r.requires_grad for r in results)

    def test_inside_a_differentiated_function(self):
        def f(x):
            with gg.no_grad():
                frozen = x * x
            return frozen * x

        assert gg.grad(f)(3.0) == 9.0
        assert gg.jvp(f, 3.0, 1.0)[1] == 9.0

    def test_the_mode_is_restored(self):
        seen = []
        with gg.no_grad():
            gg.grad(lambda x: seen.append((x * 2).requires_grad) or x * 1)(1.0)
            assert not (leaf(1.0) * 2).requires_grad
        assert seen == [True]


class TestCustom:
    def test_vjp_only(self):
        cube = gg.custom(lambda x: x**3, vjp=lambda g, out, x: 3 * x**2 * g, name="cube")
        x = np.array([1.0, 2.0])
        assert gg.grad(lambda x: cube(x).sum())(x).tolist() == [3.0, 12.0]
        assert_allclose(gg.hessian(lambda x: cube(x).sum())(x), np.diag(6 * x))
        assert_allclose(gg.grad(gg.grad(gg.grad(cube)))(2.0), 6.0)
        assert_allclose(gg.jacobian(cube)(x), np.diag(3 * x**2))
        with pytest.raises(gg.GradError, match="cube: it was made without jvp"):
            gg.jvp(cube, x, x)
        assert cube(leaf(x)).op.label() == "cube"

    def test_jvp_only(self):
        def product(tangents, out, x, y):
            return tangents[0] * y + tangents[1] * x

        f = gg.custom(lambda x, y: x * y, jvp=product)
        out, t = gg.jvp(f, (2.0, 3.0), (1.0, 10.0))
        assert (out, t) == (6.0, 23.0)
        assert gg.jvp(lambda x: f(x, 3.0), 2.0, 1.0)[1] == 3.0
        assert gg.jvp(lambda x: gg.jvp(lambda y: f(x, y), 3.0, 1.0)[1], 2.0, 1.0)[1] == 1.0
        with pytest.raises(gg.GradError, match="made without vjp"):
            gg.grad(f)(2.0, 3.0)

    def test_a_rule_that_returns_tensors_hands_on_arrays(self):
        given = []

        def pull(g, out, x):
            given.append(type(g))
            return gg.Tensor(g) * np.cos(x)

        f = gg.custom(np.sin, vjp=pull)
        f(f(leaf([1.0, 2.0]))).sum().backward()
        assert given == [np.ndarray, np.ndarray]

    def test_several_arguments_and_none(self):
        f = gg.custom(lambda x, k: x * k, vjp=lambda g, out, x, k: (g * k, None))
        x, k = leaf([1.0, 2.0]), leaf([3.0, 4.0])
        f(x, k).sum().backward()
        assert x.grad.tolist() == [3.0, 4.0]
        assert k.grad is None
        assert_allclose(gg.jacobian(lambda x: f(x, x))(np.array([1.0, 2.0])), np.diag([1.0, 2.0]))

    def test_the_arrays_that_it_gets_are_read_only(self):
        def spoil(x):
            x[...] = 0.0
            return x

        with pytest.raises(ValueError, match="read-only"):
            gg.custom(spoil)(np.ones(2))
        f = gg.custom(lambda x: x * 1, vjp=lambda g, out, x: np.copyto(g, 0) or g)
        with pytest.raises(ValueError, match="read-only"):
            gg.grad(lambda x: f(x).sum())(np.ones(2))

    def test_a_result_that_is_its_argument_is_copied(self):
        x = np.ones(2)
        y = gg.custom(lambda x: x)(x)
        assert not np.shares_memory(x, y)

    @pytest.mark.parametrize(
        ("vjp", "named"),
        [
            (lambda g, out, x: g.sum(), r"returned scalar for argument 0, which is \(2,\)"),
            (lambda g, out, x: (g, g), "2 cotangents for 1 arguments"),
        ],
    )
    def test_wrong_vjps(self, vjp, named):
        f = gg.custom(lambda x: x * 2, vjp=vjp)
        with pytest.raises(gg.GradError, match=named):
            gg.grad(lambda x: f(x).sum())(np.ones(2))

    def test_a_wrong_jvp(self):
        f = gg.custom(lambda x: x * 2, jvp=lambda t, out, x: t[0].sum())
        with pytest.raises(gg.GradError, match=r"jvp returned scalar, but the result is \(2,\)"):
            gg.jvp(f, np.ones(2), np.ones(2))

    def test_keeps_float32(self):
        f = gg.custom(
            lambda x, y: x * y,
            vjp=lambda g, out, x, y: (g * np.float64(2), g * x),
            jvp=lambda t, out, x, y: t[0] * y + x * t[1],
        )
        x = np.ones(2, np.float32)
        assert gg.grad(lambda x: f(x, x).sum())(x).dtype == np.float32
        assert gg.jvp(lambda x: f(x, x), x, x)[1].dtype == np.float32
        assert gg.jvp(lambda x: f(x, gg.Tensor(2.0)), x, x)[0].dtype == np.float64
        assert f(x, 2.0).dtype == np.float32

    def test_a_rule_may_compute_with_tensors(self):
        two = gg.Tensor(2.0)
        f = gg.custom(lambda x: x * 2, lambda g, out, x: g * two, lambda t, out, x: t[0] * two)
        x = np.ones(2)
        assert gg.grad(lambda x: (f(x) + f(x)).sum())(x).tolist() == [4.0, 4.0]
        assert gg.jvp(lambda x: f(x) + f(x), x, x)[1].tolist() == [4.0, 4.0]
        assert gg.jacobian(gg.grad(lambda x: (f(x) * f(x)).sum()))(x).tolist() == [[8, 0], [0, 8]]

    def test_a_rule_may_reuse_its_buffer(self):
        buffer = np.zeros(2)
        f = gg.custom(
            lambda x: x * 3,
            vjp=lambda g, out, x: np.multiply(g, 3, out=buffer),
            jvp=lambda t, out, x: np.multiply(t[0], 3, out=buffer),
        )
        x = np.array([1.0, 2.0])
        assert gg.grad(lambda x: (f(x) + f(f(x))).sum())(x).tolist() == [12.0, 12.0]
        assert gg.jvp(lambda x: f(x) + f(f(x)), x, np.ones(2))[1].tolist() == [12.0, 12.0]

    def test_the_rules_of_one_argument(self):
        op = gg.Op.registry["custom"](
            lambda x, y: x * y,
            lambda g, out, x, y: (g * y, g * x),
            lambda t, out, x, y: t[0] * y + x * t[1],
        )
        x, y = np.array([2.0, 3.0]), np.array([5.0, 7.0])
        assert [op.vjp_xs(np.ones(2), x * y, i, x, y).tolist() for i in (0, 1)] == [[5, 7], [2, 3]]
        assert [op.jvp_xs(np.ones(2), x * y, i, x, y).tolist() for i in (0, 1)] == [[5, 7], [2, 3]]

    def test_equal_functions_are_equal_ops(self):
        f = lambda x: x  # noqa: E731
        assert gg.custom(f) == gg.custom(f)
        assert gg.custom(f) != gg.custom(lambda x: x)


class TestCapture:
    def test_sweeps_are_recorded_under_capture(self):
        with gg.capture():
            gradient = gg.grad(lambda x: (x * x).sum())(gg.Tensor([1.0, 2.0]))
            _, t = gg.jvp(lambda x: x * x, gg.Tensor(2.0), gg.Tensor(1.0))
            with gg.no_grad():
                quiet = gg.grad(lambda x: (x * x).sum())(gg.Tensor([1.0, 2.0]))
        for r in (gradient, t, quiet):
            assert r.op is not None
        assert gradient.tolist() == quiet.tolist() == [2.0, 4.0]
