"""Laws that every registered op obeys; a new op is covered by being registered.

pytest tests/test_laws.py --examples 1000 --random
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradgraph as gg
from gradgraph.draw import Draw
from gradgraph.spec import Spec
from gradgraph.sweep import push, reach

from . import oracle

OPS = [cls for name, cls in sorted(gg.Op.registry.items()) if name != "part"]
each_op = pytest.mark.parametrize("cls", OPS, ids=lambda cls: cls.name)


def a_case(data, cls, ties=False):
    """An instance of the op and arguments, from the op's own sample."""
    return cls.sample(Draw(lambda low, high: data.draw(st.integers(low, high)), ties))


def is_variable(op, i, arg):
    """Whether argument i is one that the op can be differentiated by."""
    name = op.args[min(i, len(op.args) - 1)]
    return isinstance(arg, np.ndarray) and arg.dtype.kind == "f" and name not in op.constant


class Applied:
    """An op applied to tensors, with its derivatives by the engine's sweeps."""

    def __init__(self, op, args):
        self.tensors = [
            gg.Tensor(a, requires_grad=True) if is_variable(op, i, a) else a
            for i, a in enumerate(args)
        ]
        self.leaves = [t for t in self.tensors if isinstance(t, gg.Tensor)]
        self.out = op(*self.tensors)

    def vjp(self, cotangent):
        self.out.backward(cotangent)
        grads = [np.zeros(x.shape) if x.grad is None else x.grad.numpy() for x in self.leaves]
        for x in self.leaves:
            x.grad = None
        return grads

    def jvp(self, tangents):
        seeds = list(zip(self.leaves, tangents, strict=True))
        return push(reach([self.out]), seeds)[self.out]


def normal_like(rng, arrays):
    return [rng.normal(size=np.shape(a)) for a in arrays]


def dot(xs, ys):
    return sum(float(np.sum(x * y)) for x, y in zip(xs, ys, strict=True))


def assert_close(actual, expected, tolerance=1e-11):
    actual, expected = np.asarray(actual, float), np.asarray(expected, float)
    assert actual.shape == expected.shape
    scale = 1.0 + np.max(np.abs(expected), initial=0.0)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * scale)


def is_differentiable(applied):
    return bool(applied.leaves) and applied.out.requires_grad


@each_op
@given(data=st.data(), ties=st.booleans())
def test_forward_is_the_reference(cls, data, ties):
    op, args = a_case(data, cls, ties)
    assert_close(op(*args), oracle.values(op.reference(*args)))


@each_op
@given(data=st.data())
def test_shape_and_dtype_are_the_specs(cls, data):
    op, args = a_case(data, cls)
    for dtype in (np.float64, np.float32):
        cast = [a.astype(dtype) if is_variable(op, i, a) else a for i, a in enumerate(args)]
        out = op(*cast)
        spec = op.spec(*map(Spec.of, cast))
        if not any(isinstance(a, np.ndarray) and a.dtype == bool for a in cast[1:]):
            assert (out.shape, out.dtype) == (spec.shape, spec.dtype)
        assert op.flops(Spec.of(out), *map(Spec.of, cast)) >= 0


@each_op
@given(data=st.data(), ties=st.booleans())
def test_vjp_and_jvp_are_adjoint(cls, data, ties):
    op, args = a_case(data, cls, ties)
    applied = Applied(op, args)
    if not is_differentiable(applied):
        return
    rng = np.random.default_rng(0)
    u = rng.normal(size=applied.out.shape)
    t = normal_like(rng, applied.leaves)
    left, right = np.sum(u * applied.jvp(t)), dot(applied.vjp(u), t)
    assert left == pytest.approx(right, rel=1e-10, abs=1e-10)


@each_op
@given(data=st.data(), ties=st.booleans())
def test_rules_are_those_of_the_scalar_graph(cls, data, ties):
    op, args = a_case(data, cls, ties)
    applied = Applied(op, args)
    if not is_differentiable(applied):
        return
    unfolded = [oracle.numbers(a) if is_variable(op, i, a) else a for i, a in enumerate(args)]
    leaves = [a for i, a in enumerate(unfolded) if is_variable(op, i, args[i])]
    output = op.reference(*unfolded)
    rng = np.random.default_rng(1)
    u = rng.normal(size=applied.out.shape)
    t = normal_like(rng, applied.leaves)
    for mine, theirs in zip(applied.vjp(u), oracle.pull(output, u, leaves), strict=True):
        assert_close(mine, theirs)
    assert_close(applied.jvp(t), oracle.push(output, t, leaves))


def slope(f, h):
    """Central difference at step h, one order improved."""

    def central(step):
        return (f(step) - f(-step)) / (2 * step)

    return (4 * central(h / 2) - central(h)) / 3


@each_op
@given(data=st.data())
def test_jvp_is_the_limit_of_differences(cls, data):
    op, args = a_case(data, cls)
    applied = Applied(op, args)
    if not is_differentiable(applied):
        return
    rng = np.random.default_rng(2)
    t = [np.clip(v, -1, 1) for v in normal_like(rng, applied.leaves)]

    def moved(h):
        tangents = iter(t)
        return op(
            *(a + h * next(tangents) if is_variable(op, i, a) else a for i, a in enumerate(args))
        )

    coarse, fine = slope(moved, 1e-2), slope(moved, 2e-3)
    scale = 1 + np.max(np.abs(fine), initial=0.0)
    error = np.max(np.abs(fine - coarse), initial=0.0) + 1e-9 * scale
    np.testing.assert_allclose(applied.jvp(t), fine, rtol=0, atol=error)


@each_op
@given(data=st.data())
def test_second_order(cls, data):
    """JVP of VJP = VJP of JVP = differences of the VJP, for s(x) = <u, op(x)>²/2 + <u, op(x)>."""
    op, args = a_case(data, cls)
    applied = Applied(op, args)
    if not is_differentiable(applied) or not applied.out.size:
        return
    rng = np.random.default_rng(3)
    u = rng.normal(size=applied.out.shape)
    xs = [x.numpy() for x in applied.leaves]
    t = [np.clip(v, -1, 1) for v in normal_like(rng, xs)]

    def s(*leaves):
        given_leaves = iter(leaves)
        out = op(*(next(given_leaves) if is_variable(op, i, a) else a for i, a in enumerate(args)))
        weighted = (out * u).sum()
        return weighted * weighted * 0.5 + weighted

    every = tuple(range(len(xs)))
    gradient = gg.grad(s, every)
    forward_over_reverse = gg.jvp(gradient, tuple(xs), tuple(t))[1]

    def along(*leaves):
        return gg.jvp(s, leaves, tuple(t))[1]

    reverse_over_forward = gg.grad(along, every)(*xs)
    for a, b in zip(forward_over_reverse, reverse_over_forward, strict=True):
        assert_close(a, b, 1e-9)
    for k in every:

        def moved(h, k=k):
            return gradient(*(x + h * v for x, v in zip(xs, t, strict=True)))[k]

        coarse, fine = slope(moved, 1e-2), slope(moved, 2e-3)
        scale = 1 + np.max(np.abs(fine), initial=0.0)
        error = 2 * np.max(np.abs(fine - coarse), initial=0.0) + 1e-8 * scale
        np.testing.assert_allclose(forward_over_reverse[k], fine, rtol=0, atol=error)


@each_op
@given(data=st.data())
def test_linear_arguments_are_linear(cls, data):
    op, args = a_case(data, cls)
    for name in op.linear:
        i = op.args.index(name)
        if not is_variable(op, i, args[i]):
            continue

        def at(x, i=i):
            return op(*args[:i], x, *args[i + 1 :])

        other = np.random.default_rng(4).normal(size=args[i].shape)
        assert not np.any(at(np.zeros_like(args[i])))
        assert_close(at(2.0 * args[i] - other), 2.0 * at(args[i]) - at(other))


@each_op
@given(data=st.data())
def test_vjp_is_linear_deterministic_and_leaves_its_inputs_alone(cls, data):
    op, args = a_case(data, cls)
    before = [np.array(a) for a in args]
    applied = Applied(op, args)
    if not is_differentiable(applied):
        return
    rng = np.random.default_rng(5)
    u, v = normal_like(rng, [applied.out, applied.out])
    kept = u.copy()
    u.setflags(write=False)
    held = [x.numpy() for x in applied.leaves]
    result, other = applied.vjp(u), applied.vjp(v)
    for a, b, c, again in zip(result, other, applied.vjp(2 * u - v), applied.vjp(u), strict=True):
        assert_close(c, 2 * a - b)
        assert np.array_equal(a, again)
        assert not np.shares_memory(a, u)
    assert np.array_equal(u, kept)
    for a, b in zip(args, before, strict=True):
        assert np.array_equal(a, b)
    for x, b in zip(applied.leaves, held, strict=True):
        assert np.array_equal(x.data, b)


def layouts(array):
    """The same values in other memory layouts."""
    yield np.array(array, order="F")
    backwards = (..., *(slice(None, None, -1),) * array.ndim)
    yield array[backwards].copy()[backwards]
    wide = np.zeros((*array.shape, 2), array.dtype)
    wide[..., 1] = array
    yield wide[..., 1]
    frozen = array.copy()
    frozen.setflags(write=False)
    yield frozen


@each_op
@given(data=st.data())
def test_layout_changes_nothing(cls, data):
    op, args = a_case(data, cls)
    expected = op(*args)
    variants = zip(
        *(layouts(a) if isinstance(a, np.ndarray) else [a] * 4 for a in args), strict=True
    )
    rng = np.random.default_rng(6)
    applied = Applied(op, args)
    u = rng.normal(size=applied.out.shape)
    grads = applied.vjp(u) if is_differentiable(applied) else []
    for variant, strided in zip(variants, layouts(u), strict=True):
        assert_close(op(*variant), expected)
        leaves = [gg.asarray(a, copy=False) if isinstance(a, np.ndarray) else a for a in variant]
        for i, a in enumerate(leaves):
            if is_variable(op, i, args[i]):
                a.requires_grad = True
        out = op(*leaves)
        if not grads:
            continue
        out.backward(strided)
        found = [a.grad for i, a in enumerate(leaves) if is_variable(op, i, args[i])]
        for mine, theirs in zip(found, grads, strict=True):
            assert_close(np.zeros(theirs.shape) if mine is None else mine.data, theirs)


@each_op
@given(data=st.data())
def test_float32_is_kept_and_agrees_with_float64(cls, data):
    op, args = a_case(data, cls)
    if cls.name == "cast":
        return
    wide = Applied(op, args)
    narrow = Applied(
        op, [a.astype(np.float32) if is_variable(op, i, a) else a for i, a in enumerate(args)]
    )
    if not is_differentiable(wide):
        return
    assert narrow.out.dtype == np.float32
    assert_close(narrow.out.data, wide.out.data, 1e-3)
    u = np.random.default_rng(7).normal(size=wide.out.shape)
    narrow.out.backward(u.astype(np.float32))
    for x, g in zip(narrow.leaves, wide.vjp(u), strict=True):
        if x.grad is not None:
            assert (x.grad.dtype, x.grad.shape) == (x.dtype, x.shape)
            assert_close(x.grad.data, g, 2e-3)


@each_op
@given(data=st.data())
def test_one_argument_twice_gets_both_partials(cls, data):
    op, args = a_case(data, cls)
    if len(args) != 2 or op.constant or not all(is_variable(op, i, a) for i, a in enumerate(args)):
        return
    if args[0].shape != args[1].shape:
        return
    x = gg.Tensor(args[0], requires_grad=True)
    out = op(x, x)
    u = np.random.default_rng(8).normal(size=out.shape)
    out.backward(u)
    assert_close(x.grad.data, sum(Applied(op, [args[0], args[0]]).vjp(u)))


@each_op
@given(data=st.data())
def test_all_rows_at_once_are_the_rows(cls, data):
    """A Jacobian by one sweep with a leading axis equals one VJP for each row."""
    op, args = a_case(data, cls)
    applied = Applied(op, args)
    if not is_differentiable(applied) or not 0 < applied.out.size <= 40:
        return
    rows = np.eye(applied.out.size).reshape(applied.out.size, *applied.out.shape)
    expected = [np.stack(column) for column in zip(*map(applied.vjp, rows), strict=True)]
    for k, wanted in enumerate(expected):

        def f(x, k=k):
            leaves = iter([*applied.leaves[:k], x, *applied.leaves[k + 1 :]])
            return op(*(next(leaves) if isinstance(a, gg.Tensor) else a for a in applied.tensors))

        with gg.no_grad():  # f closes over tracked tensors, so the result would be recorded
            jacobian = gg.jacobian(f)(applied.leaves[k].numpy())
        assert_close(jacobian.reshape(wanted.shape), wanted)
