"""Reductions, cumulative ops, norms, softmax and normalisation against numpy and known values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import gradgraph as gg
from gradgraph.kernels.scan import WIDE, recurrence, stepwise
from gradgraph.ops.normalisation import Standardise
from gradgraph.ops.scan import Recurrence
from gradgraph.testing import check

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3, 4))
AXES = [None, 0, -1, (0, 2), (-1, 1), ()]
BOTH = [("float64", 1e-12), ("float32", 1e-5)]
INF, NAN = np.inf, np.nan


def gradient(f, *args):
    """The gradient of the sum of f by its first argument."""
    return gg.grad(lambda *xs: f(*xs).sum())(*args)


def plain_norm(x, axis=None, keepdims=False, ord=2):
    return np.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)


def plain_lse(x, axis=None, keepdims=False):
    x = x if x.dtype.kind == "f" else x.astype(float)
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


REDUCTIONS = {
    "sum": (gg.sum, np.sum),
    "mean": (gg.mean, np.mean),
    "max": (gg.max, np.max),
    "min": (gg.min, np.min),
    "prod": (gg.prod, np.prod),
    "var": (gg.var, np.var),
    "std": (gg.std, np.std),
    "all": (gg.all, np.all),
    "any": (gg.any, np.any),
    "logsumexp": (gg.logsumexp, plain_lse),
    "norm": (gg.norm, plain_norm),
    "norm of order 1": (
        lambda x, axis, keepdims=False: gg.norm(x, 1, axis, keepdims),
        lambda x, axis, keepdims=False: plain_norm(x, axis, keepdims, 1),
    ),
    "norm of order 3": (
        lambda x, axis, keepdims=False: gg.norm(x, 3, axis, keepdims),
        lambda x, axis, keepdims=False: plain_norm(x, axis, keepdims, 3),
    ),
    "norm of order 0.5": (
        lambda x, axis, keepdims=False: gg.norm(x, 0.5, axis, keepdims),
        lambda x, axis, keepdims=False: plain_norm(x, axis, keepdims, 0.5),
    ),
    "norm of order inf": (
        lambda x, axis, keepdims=False: gg.norm(x, INF, axis, keepdims),
        lambda x, axis, keepdims=False: plain_norm(x, axis, keepdims, INF),
    ),
    "norm of order -inf": (
        lambda x, axis, keepdims=False: gg.norm(x, -INF, axis, keepdims),
        lambda x, axis, keepdims=False: plain_norm(x, axis, keepdims, -INF),
    ),
}


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "bool"])
def test_reductions_are_numpys(name, axis, dtype):
    mine, theirs = REDUCTIONS[name]
    x = (3 * X).astype(dtype)
    for keepdims in (False, True):
        wanted = theirs(
            x.astype(float) if axis == () and "norm" in name else x, axis=axis, keepdims=keepdims
        )
        if name == "logsumexp" and dtype in ("int64", "bool"):
            wanted = wanted.astype(float)
        for found in (
            mine(x, axis=axis, keepdims=keepdims),
            mine(gg.Tensor(x), axis=axis, keepdims=keepdims),
        ):
            assert found.shape == wanted.shape
            exact = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2}.get(dtype, 1e-12)
            assert_allclose(np.asarray(found), wanted, rtol=exact, atol=exact)
            if dtype != "bool" and not (axis == () and "norm" in name):
                assert found.dtype == wanted.dtype


@pytest.mark.parametrize("name", ["var", "std"])
def test_degrees_of_freedom(name):
    mine, theirs = REDUCTIONS[name]
    for ddof in (0, 1, 2.5, -1):
        assert_allclose(mine(X, 2, ddof), theirs(X, 2, ddof=ddof))
    assert mine(X, (0, 2), 1, True).shape == (1, 3, 1)
    assert check(lambda x: mine(x, (0, -1), 1), X, examples=20).verdict == "passed"
    assert check(lambda x: mine(x), X, examples=20).verdict == "passed"


def test_variance_does_not_cancel():
    x = 1e8 + np.array([0.0, 1.0, 2.0])
    assert gg.var(x) == pytest.approx(2 / 3, rel=1e-12)
    assert gg.var(np.full(4, 300, np.float16) + np.float16([0, 2, 0, 2])) == 1
    assert gg.std(np.float16([-300, 300])) == 300
    between = np.float16([2000, 2001])  # whose mean is no half
    assert gg.var(between) == 0.25
    assert gg.grad(gg.var)(between).tolist() == [-0.5, 0.5]


def test_the_deviation_of_equal_elements_has_gradient_zero():
    x = np.array([[2.0, 2.0, 2.0], [1.0, 2.0, 3.0]])
    assert_allclose(gradient(lambda x: gg.std(x, 1), x)[0], 0.0, atol=0)
    assert_allclose(
        gradient(lambda x: gg.std(x, 1), x)[1], [-1 / math.sqrt(6), 0, 1 / math.sqrt(6)]
    )
    assert gg.grad(gg.std)(3.0) == 0.0
    assert_array_equal(gg.hessian(gg.std)(np.ones(2)), np.zeros((2, 2)))
    assert np.isnan(gg.std(np.array([1.0, NAN])))


def test_products_with_zeros():
    cases = {
        (2.0, 3.0, 4.0): [12.0, 8.0, 6.0],
        (0.0, 3.0, 4.0): [12.0, 0.0, 0.0],
        (2.0, 0.0, 4.0): [0.0, 8.0, 0.0],
        (0.0, 3.0, 0.0): [0.0, 0.0, 0.0],
        (0.0, 0.0, 0.0): [0.0, 0.0, 0.0],
    }
    for x, wanted in cases.items():
        assert gg.grad(gg.prod)(np.array(x)).tolist() == wanted
    two = np.array([0.0, 0.0, 5.0])
    assert gg.hessian(gg.prod)(two).tolist() == [[0, 5, 0], [5, 0, 0], [0, 0, 0]]
    third = gg.grad(lambda x: gg.grad(lambda y: gg.grad(gg.prod)(y)[0])(x)[1])(np.zeros(3))
    assert third.tolist() == [0.0, 0.0, 1.0]


def test_cumulative_products_with_zeros():
    x = np.array([2.0, 0.0, 3.0, 0.0, 5.0])
    wanted = np.zeros((5, 5))
    for i in range(5):
        for j in range(i + 1):
            wanted[i, j] = np.prod(np.delete(x[: i + 1], j))
    assert_array_equal(gg.jacobian(gg.cumprod)(x), wanted)
    assert gg.cumprod(x).tolist() == [2.0, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(("mine", "theirs"), [(gg.cumsum, np.cumsum), (gg.cumprod, np.cumprod)])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int8", "bool"])
def test_cumulative_ops_are_numpys(mine, theirs, axis, dtype):
    x = (2 * X).astype(dtype)
    found, wanted = mine(x, axis), theirs(x, axis)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    assert_allclose(found, wanted, rtol=1e-5)
    assert mine(np.ones((0, 2, 1)), axis).shape == theirs(np.ones((0, 2, 1)), axis).shape
    assert mine(np.float64(5.0)).tolist() == [5.0]


@pytest.mark.parametrize("mine", [gg.cumsum, gg.cumprod])
def test_gradients_of_cumulative_ops(mine):
    for axis in (None, 0, -1):
        assert check(lambda x: mine(x, axis), X, examples=5).verdict == "passed"  # noqa: B023
    assert gradient(mine, np.ones((0,))).shape == (0,)
    assert gradient(lambda x: mine(x, 0), np.ones((0, 3))).shape == (0, 3)
    assert gradient(mine, np.array([1.0, 1.0, 1.0]))[0] == 3.0
    assert gradient(mine, np.ones(3, np.float32)).dtype == np.float32


@pytest.mark.parametrize("tail", [(), (1,), (3,), (2, 2), (WIDE,)])
def test_the_recurrence_is_that_of_single_steps(tail):
    for n in [*range(1, 70), 1000, 1001, 20_000 if len(tail) < 2 and tail != (WIDE,) else 1002]:
        a, b = RNG.normal(size=(n - 1, *tail)), RNG.normal(size=(n, *tail))
        assert_allclose(recurrence(a, b), stepwise(a, b), rtol=1e-8, atol=1e-8)
    assert stepwise(np.array([2.0, 3.0]), np.array([1.0, 0.0, 1.0])).tolist() == [1.0, 2.0, 7.0]


def test_a_recurrence_whose_couplings_leave_the_range_of_floats():
    a, b = np.full(2000, 1e10), np.zeros(2001)
    b[-1] = 1.0
    assert_array_equal(recurrence(a, b), b)
    both = recurrence(np.stack([a, a / 2e10], 1), np.stack([b, b + 1], 1))
    assert_array_equal(both[:, 0], b)
    assert both[-2, 1] == 2.0
    b[3] = NAN
    assert_array_equal(np.isnan(recurrence(a, b)), np.arange(2001) >= 3)


def test_a_recurrence_in_all_its_forms():
    a, b = RNG.normal(size=(2, 4)), RNG.normal(size=(3, 2, 5))
    assert_array_equal(Recurrence(-1)(np.ones(2), np.ones(3)), [1.0, 2.0, 3.0])
    assert_array_equal(Recurrence(-1, True)(np.ones(2), np.ones(3)), [3.0, 2.0, 1.0])
    wide = Recurrence(-1)(a, b)
    assert wide.shape == b.shape
    assert_allclose(wide[1], Recurrence(-1)(a, b[1]))
    assert Recurrence(-1)(np.ones(2, "f4"), np.ones(3, "f4")).dtype == np.float32
    assert Recurrence(-2)(np.ones((0, 2)), np.ones((0, 2))).shape == (0, 2)
    assert Recurrence(-2)(np.ones((2, 0)), np.ones((3, 0))).shape == (3, 0)
    with pytest.raises(gg.ShapeError, match="one shorter"):
        Recurrence(-1)(np.ones(3), np.ones(3))


def test_long_products():
    x = RNG.uniform(0.9, 1.1, 3000)
    assert_allclose(gg.grad(gg.prod)(x), np.prod(x) / x)
    g = RNG.normal(size=3000)
    found = gg.vjp(gg.cumprod, x)[1](g)
    assert_allclose(found, np.cumsum((g * np.cumprod(x))[::-1])[::-1] / x, rtol=1e-8)


def test_extremes():
    x = np.array([[1.0, 3.0, 3.0], [2.0, NAN, 1.0]])
    assert gradient(lambda x: gg.max(x, 1), x).tolist() == [[0.0, 0.5, 0.5], [0.0, 0.0, 0.0]]
    assert gradient(lambda x: gg.min(x, 1), x).tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert gg.min(np.array([-INF, 1.0])) == -INF


def test_places_of_extremes():
    x = np.array([[1.0, 7.0, 7.0], [0.0, NAN, -1.0]])
    assert gg.argmax(x, 1).tolist() == [1, 1]
    assert gg.argmin(x[:1]) == 0
    assert gg.argmin(-x[:1], 1).tolist() == [1]
    assert gg.argmax(X, keepdims=True).shape == (1, 1, 1)
    assert gg.argmax(X, 1, True).shape == (2, 1, 4)
    assert gg.argmax(X) == np.argmax(X)
    place = gg.argmax(gg.Tensor(X, requires_grad=True), axis=0)
    assert not place.requires_grad
    assert place.dtype == np.intp
    with pytest.raises(gg.ShapeError, match="no elements"):
        gg.argmin(np.ones((2, 0)), 1)


def test_what_is_asked_is_asked_again_in_a_replay():
    with gg.capture():
        x = gg.Tensor([1.0, 2.0, 0.0])
        outs = gg.argmax(x), gg.all(x), gg.any(x)
    graph = gg.Graph.of(outs, inputs=[x])
    assert [v.tolist() for v in graph.replay(np.array([4.0, 2.0, 1.0]))] == [0, True, True]
    assert [v.tolist() for v in graph.replay(np.zeros(3))] == [0, False, False]


def test_empty_reductions():
    none = np.ones((2, 0))
    assert gg.prod(none, 1).tolist() == [1.0, 1.0]
    assert gg.sum(none, 1).tolist() == [0.0, 0.0]
    assert gg.norm(none, axis=1).tolist() == [0.0, 0.0]
    assert gg.norm(none, 3, 1).tolist() == [0.0, 0.0]
    assert gg.logsumexp(none, 1).tolist() == [-INF, -INF]
    assert gg.all(none)
    assert not gg.any(none)
    assert gg.var(np.ones((0, 3)), 1).shape == (0,)
    for f in (gg.prod, gg.logsumexp, gg.norm):
        assert gradient(lambda x: f(x, axis=1), none).shape == (2, 0)  # noqa: B023
    for f in (gg.mean, gg.max, gg.min, gg.var, gg.std):
        with pytest.raises(gg.ShapeError, match="no elements"):
            f(none, 1)


@pytest.mark.parametrize("offset", [-5, -1, 0, 1, 2, 9])
def test_the_trace_is_numpys(offset):
    for axes in ((0, 1), (-1, 0), (1, 2)):
        found = gg.trace(X, offset, *axes)
        assert_allclose(found, np.trace(X, offset, *axes))
        f = lambda x: gg.trace(x, offset, *axes)  # noqa: E731, B023
        assert_allclose(gg.jacobian(f)(X), numeric_jacobian(f, X), atol=1e-6)
    assert gg.trace(np.eye(3, dtype=np.int8)).dtype == np.trace(np.eye(3, dtype=np.int8)).dtype
    assert check(lambda x: gg.trace(x, offset), X, examples=5).verdict == "passed"


def numeric_jacobian(f, x):
    """Exact for linear f."""
    here = f(x)
    columns = [f(x + e.reshape(x.shape)) - here for e in np.eye(x.size)]
    return np.stack(columns, -1).reshape(*here.shape, *x.shape)


LINES = {
    "all masked": ([-INF, -INF], [0.0, 0.0], [-INF, -INF], -INF),
    "one masked": ([-INF, 1.0], [0.0, 1.0], [-INF, 0.0], 1.0),
    "one infinite": ([INF, 1000.0], [1.0, 0.0], [0.0, -INF], INF),
    "two infinite": ([INF, INF], [0.5, 0.5], [-math.log(2)] * 2, INF),
    "both infinite": ([INF, -INF], [1.0, 0.0], [0.0, -INF], INF),
    "large": ([1e4, -1e4], [1.0, 0.0], [0.0, -2e4], 1e4),
    "small": ([-1e4, -1e4], [0.5, 0.5], [-math.log(2)] * 2, -1e4 + math.log(2)),
    "nan": ([NAN, INF], [NAN, NAN], [NAN, NAN], NAN),
}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_exponentials_of_infinite_logits(name, dtype):
    x, soft, log_soft, total = LINES[name]
    if dtype == "float16" and name in ("large", "small"):
        return
    ordinary = np.log([1.0, 3.0])
    x = np.array([x, ordinary], dtype)
    near = {"rtol": 1e-3 if dtype == "float16" else 1e-6}
    assert_allclose(gg.softmax(x), [soft, [0.25, 0.75]], **near)
    assert_allclose(gg.log_softmax(x), [log_soft, np.log([0.25, 0.75])], **near)
    assert_allclose(gg.logsumexp(x, 1), [total, np.log(4.0)], **near)
    assert_allclose(gg.softmax(x.T, 0), np.transpose([soft, [0.25, 0.75]]), **near)
    for f in (gg.softmax, gg.log_softmax, gg.logsumexp):
        assert f(x).dtype == dtype
    assert_allclose(gradient(lambda x: gg.logsumexp(x, 1), x), [soft, [0.25, 0.75]], **near)


def test_gradients_of_masked_lines_are_finite():
    x = np.array([[-INF, -INF], [0.0, 0.0]])
    weights = np.array([[1.0, 2.0], [1.0, 2.0]])
    soft = gradient(lambda x: gg.softmax(x) * weights, x)
    assert_allclose(soft, [[0.0, 0.0], [-0.25, 0.25]])
    log_soft = gradient(lambda x: gg.log_softmax(x)[1] * weights[1], x)
    assert_allclose(log_soft, [[0.0, 0.0], [-0.5, 0.5]])
    assert np.isfinite(gg.hessian(lambda x: gg.logsumexp(x, 1).sum())(x)).all()


def test_half_precision_sums_in_single():
    x = np.zeros(70_000, np.float16)
    assert_allclose(gg.logsumexp(x), math.log(70_000), rtol=1e-3)
    assert_allclose(gg.softmax(x)[0], 1 / 70_000, rtol=2e-2)
    assert_allclose(gg.norm(np.full(10, 300, np.float16)), 300 * math.sqrt(10), rtol=1e-3)
    assert_allclose(gg.norm(np.full(8, 300, np.float16), 3), 600, rtol=1e-3)
    assert_allclose(gg.rms_norm(np.full((1, 4), 300, np.float16)), 1.0, rtol=1e-3)


@pytest.mark.parametrize("ord", [2, 3, 1.5, 0.5, 1, INF, -INF])
@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e-310])
def test_norms_of_huge_and_tiny_vectors(ord, scale):
    x = np.array([[3.0, -4.0], [1.0, 2.0]])
    near = 1e-2 if scale < 1e-300 else 1e-12
    assert_allclose(gg.norm(scale * x, ord, 1) / scale, plain_norm(x, 1, ord=ord), rtol=near)
    found = gradient(lambda x: gg.norm(x, ord, 1), scale * x)
    assert_allclose(found, gradient(lambda x: gg.norm(x, ord, 1), x), rtol=near)


@pytest.mark.parametrize("ord", [2, 3, 1.5, 0.5, 1, INF, -INF])
def test_norms_at_zero(ord):
    x = np.array([[0.0, 0.0], [3.0, -4.0]])
    f = lambda x: gg.norm(x, ord, axis=1).sum()  # noqa: E731
    assert gg.norm(x, ord, axis=1)[0] == 0.0
    assert gg.grad(f)(x)[0].tolist() == [0.0, 0.0]
    assert not gg.hessian(f)(x)[0].any()
    assert np.isfinite(gg.hessian(f)(x)).all()
    assert gg.jvp(f, np.zeros((1, 2)), np.ones((1, 2)))[1] == 0.0
    pushed = lambda x: gg.jvp(f, x, np.ones((2, 2)))[1]  # noqa: E731
    assert gg.grad(pushed)(x)[0].tolist() == [0.0, 0.0]
    third = gg.grad(lambda y: gg.grad(lambda x: (gg.grad(f)(x) * x).sum())(y).sum())(x)
    assert third[0].tolist() == [0.0, 0.0]


def test_norms_of_single_lines():
    assert gg.norm(np.array([3.0, 4.0])) == 5.0
    assert gg.grad(gg.norm)(np.array([3.0, -4.0])).tolist() == [0.6, -0.8]
    assert gg.norm(np.array([0.0, 0.0])) == 0.0
    assert gg.norm(np.array([[3, 4]], np.float32)).dtype == np.float32
    assert gg.norm(np.array([1e30, 1e30], np.float32)) == np.float32(math.sqrt(2) * 1e30)
    assert gg.norm(np.array([3, 4])) == 5.0
    for ord in (2, 3, 0.5, 1, INF):
        assert gg.norm(np.array([1e300, -INF]), ord) == INF
        assert np.isnan(gg.norm(np.array([1e300, NAN]), ord))
    assert gg.norm(np.array([[1e300, INF], [3.0, 4.0]]), axis=1).tolist() == [INF, 5.0]
    assert gg.norm(np.array([[1e300], [1e-300]]), axis=1).tolist() == [1e300, 1e-300]
    assert gg.norm(np.array([[1e300], [1e-300]]), axis=1, keepdims=True).shape == (2, 1)


@pytest.mark.parametrize("ord", [1, INF, -INF, 3, 2])
def test_gradients_of_norms(ord):
    for axis in (None, (0, -1), 1):
        f = lambda x: gg.norm(x, ord, axis, True)  # noqa: E731, B023
        assert check(f, X, examples=5).verdict == "passed"


def test_vectors_of_unit_length():
    assert_allclose(gg.norm(gg.normalize(X, 1), axis=1), np.ones((2, 4)))
    assert_allclose(gg.normalize(X, (0, 2), 1), X / np.abs(X).sum((0, 2), keepdims=True))
    assert gg.normalize(np.array([0.0, 0.0])).tolist() == [0.0, 0.0]
    assert gg.normalize(np.array([0.0, 1e-3]), eps=1e-2).tolist() == [0.0, 0.1]
    assert check(lambda x: gg.normalize(x), X, examples=20).verdict == "passed"
    assert check(lambda x: gg.normalize(x, 0, 3), X, examples=10).verdict == "passed"
    half = np.array([0.0, 0.0], np.float16)
    assert gg.normalize(half).tolist() == [0.0, 0.0]
    assert np.isfinite(gradient(gg.normalize, half)).all()
    assert gg.normalize(X.astype("f4")).dtype == np.float32
    assert_allclose(gg.normalize(np.array([1e200, 0.0])), [1.0, 0.0])
    assert gg.normalize(np.array([3, 4])).tolist() == [0.6, 0.8]


def standardised(x, axes, eps=1e-5):
    middle = x.mean(axes, keepdims=True)
    return (x - middle) / np.sqrt(((x - middle) ** 2).mean(axes, keepdims=True) + eps)


GAMMA, BETA, SCALE = RNG.normal(size=4), RNG.normal(size=4), np.arange(1.0, 5.0)
WIDE_X = RNG.normal(1.0, 3.0, size=(3, 5, 4))
NORMALISED = {
    "batch": (gg.batch_norm, lambda x, g, b: standardised(x, (0, 1)) * g + b),
    "layer": (gg.layer_norm, lambda x, g, b: standardised(x, (2,)) * g + b),
    "group": (
        lambda x, g, b: gg.group_norm(x, 2, g, b),
        lambda x, g, b: standardised(x.reshape(3, 5, 2, 2), (1, 3)).reshape(x.shape) * g + b,
    ),
    "instance": (gg.instance_norm, lambda x, g, b: standardised(x, (1,)) * g + b),
    "root mean square": (
        lambda x, g, b: gg.rms_norm(x, g) + b,
        lambda x, g, b: x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * g + b,
    ),
    "running": (
        lambda x, g, b: gg.batch_norm(
            x, g, b, running_mean=BETA, running_var=GAMMA**2, training=False
        ),
        lambda x, g, b: (
            (x - BETA.astype(x.dtype))
            / np.sqrt(GAMMA.astype(x.dtype) ** 2 + x.dtype.type(1e-5))
            * g
            + b
        ),
    ),
}


@pytest.mark.parametrize("name", NORMALISED)
@pytest.mark.parametrize(("dtype", "near"), BOTH)
def test_normalisation_is_the_plain_expression(name, dtype, near):
    mine, plain = NORMALISED[name]
    x, g, b = (a.astype(dtype) for a in (WIDE_X, GAMMA, BETA))
    assert_allclose(mine(x, g, b), plain(x, g, b), rtol=near, atol=near)
    if name != "running":
        assert mine(x, g, b).dtype == dtype
        half = mine(WIDE_X.astype("f2"), GAMMA.astype("f2"), BETA.astype("f2"))
        assert half.dtype == np.float16
        assert_allclose(half, plain(WIDE_X, GAMMA, BETA), atol=2e-2)


@pytest.mark.parametrize("name", NORMALISED)
def test_gradients_of_normalisation(name):
    mine, _ = NORMALISED[name]
    assert check(mine, WIDE_X[:, :3], GAMMA, BETA, examples=8).verdict == "passed"


def test_normalisation_without_scale_and_shift():
    assert_allclose(gg.batch_norm(WIDE_X, None, BETA), standardised(WIDE_X, (0, 1)) + BETA)
    assert_allclose(gg.batch_norm(WIDE_X, GAMMA, None), standardised(WIDE_X, (0, 1)) * GAMMA)
    assert_allclose(gg.layer_norm(WIDE_X), standardised(WIDE_X, 2))
    assert_allclose(gg.group_norm(WIDE_X, 4), gg.instance_norm(WIDE_X))
    assert_allclose(gg.group_norm(WIDE_X, 1), gg.layer_norm(WIDE_X, axis=(1, 2)))
    assert_allclose(gg.batch_norm(WIDE_X, None, None, eps=2.0), standardised(WIDE_X, (0, 1), 2.0))


def test_layers_over_several_axes():
    g, b = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))
    wanted = standardised(WIDE_X, (0, 2)) * g[:, None] + b[:, None]
    assert_allclose(gg.layer_norm(WIDE_X, g, b, axis=(2, 0)), wanted)
    g, b = RNG.normal(size=(5, 4)), RNG.normal(size=(5, 4))
    wanted = standardised(WIDE_X, (1, 2)) * g + b
    assert_allclose(gg.layer_norm(WIDE_X, g, b, axis=(1, 2)), wanted)
    g = RNG.normal(size=5)
    wanted = WIDE_X / np.sqrt((WIDE_X**2).mean(1, keepdims=True) + 1e-5) * g[:, None]
    assert_allclose(gg.rms_norm(WIDE_X, g, axis=1), wanted)


def test_statistics_of_a_batch():
    y, mean, var = gg.batch_norm(WIDE_X, GAMMA, BETA, return_stats=True)
    assert_allclose(y, gg.batch_norm(WIDE_X, GAMMA, BETA))
    assert_allclose(mean, WIDE_X.mean((0, 1)))
    assert_allclose(var, WIDE_X.var((0, 1)))
    _, mean, var = gg.batch_norm(
        WIDE_X, None, None, running_mean=BETA, running_var=SCALE, training=False, return_stats=True
    )
    assert mean is BETA
    assert var is SCALE
    _, mean, var = gg.batch_norm(WIDE_X.astype("f2"), None, None, return_stats=True)
    assert mean.dtype == var.dtype == np.float32

    def all_of_it(x):
        y, mean, var = gg.batch_norm(x, GAMMA, BETA, return_stats=True)
        return (y * y).sum() + (mean * var * var).sum()

    assert check(all_of_it, WIDE_X[:, :3], examples=8).verdict == "passed"


def test_batches_in_which_nothing_varies():
    x = np.full((4, 2), 7.0)
    assert gg.batch_norm(x, np.ones(2), np.array([1.0, 2.0])).tolist() == [[1.0, 2.0]] * 4
    assert_allclose(gradient(lambda x: gg.batch_norm(x, None, None) * x, x), 0.0, atol=1e-9)
    one = np.array([[3.0, -1e4]])
    assert gg.batch_norm(one, np.ones(2), np.array([1.0, 2.0])).tolist() == [[1.0, 2.0]]
    assert gradient(lambda x: gg.batch_norm(x, None, None), one).tolist() == [[0.0, 0.0]]
    shifted = 1e4 + np.array([[0.0], [2.0]])
    assert_allclose(gg.batch_norm(shifted, None, None, eps=1e-12), [[-1.0], [1.0]])


def test_rows_of_a_normalisation_in_one_sweep():
    f = lambda x: Standardise((-2,), 0.1)(x)[0]  # noqa: E731
    x = RNG.normal(size=(3, 2))
    rows = gg.jacobian(f)(x)
    for at in np.ndindex(3, 2):
        one = np.zeros((3, 2))
        one[at] = 1.0
        assert_allclose(rows[at], gradient(lambda x: f(x) * one, x), atol=1e-12)  # noqa: B023


def test_numpys_functions_of_tensors():
    t = gg.Tensor(X, requires_grad=True)
    for name in ("prod", "min", "var", "std", "argmax", "argmin", "all", "any", "cumsum"):
        assert_allclose(getattr(np, name)(t, axis=1).numpy(), getattr(np, name)(X, axis=1))
    assert_allclose(
        np.var(t, 1, ddof=1, keepdims=True).numpy(), np.var(X, 1, ddof=1, keepdims=True)
    )
    assert_allclose(np.trace(t, 1, 1, 2).numpy(), np.trace(X, 1, 1, 2))
    assert_allclose(np.linalg.trace(t, offset=1).numpy(), np.linalg.trace(X, offset=1))
    norm = np.linalg.vector_norm(t, axis=1, ord=3, keepdims=True)
    assert_allclose(norm.numpy(), np.linalg.vector_norm(X, axis=1, ord=3, keepdims=True))
    for wrong in (
        lambda: np.var(t, 1, float),
        lambda: np.var(t, mean=0.0),
        lambda: np.std(t, correction=1),
        lambda: np.prod(t, initial=2.0),
        lambda: np.max(t, where=X > 0),
        lambda: np.cumsum(t, 0, float),
        lambda: np.argmax(t, 0, np.zeros(2, int)),
        lambda: np.linalg.norm(t, 1),
    ):
        with pytest.raises(TypeError):
            wrong()


ERRORS = [
    (
        lambda: gg.var(X, 0, 2),
        gg.DomainError,
        r"var: ddof is 2, but n = 2 \(x is 2×3×4, folded over axis -3",
    ),
    (lambda: gg.std(X, 0, "1"), gg.DTypeError, "std: ddof is '1', not a number"),
    (lambda: gg.var(X * 1j), gg.DTypeError, "var: x is complex"),
    (lambda: gg.norm(X * 1j), gg.DTypeError, "norm: x is complex"),
    (lambda: gg.norm(X, "fro"), gg.DomainError, "norm: ord is 'fro', not a number"),
    (lambda: gg.norm(X, True), gg.DomainError, "norm: ord is True, not a number"),
    (lambda: gg.norm(X, 0), gg.DomainError, "norm: ord is 0, which gives no norm"),
    (lambda: gg.norm(X, -2), gg.DomainError, "norm: ord is -2, which gives no norm"),
    (lambda: gg.norm(X, NAN), gg.DomainError, "norm: ord is nan, which gives no norm"),
    (lambda: gg.norm(X, axis=3), gg.ShapeError, "norm: axis 3 is out of range"),
    (lambda: gg.normalize(X, ord=0), gg.DomainError, "normalize: ord is 0"),
    (lambda: gg.normalize(X, eps=0), gg.DomainError, "normalize: eps is 0, not a number > 0"),
    (lambda: gg.argmax(X, (0, 1)), gg.ShapeError, r"argmax: axis is \(0, 1\), not one axis"),
    (lambda: gg.cumsum(X, (0,)), gg.ShapeError, r"cumsum: axis is \(0,\), not one axis"),
    (lambda: gg.cumprod(X, 5), gg.ShapeError, "cumprod: axis 5 is out of range"),
    (lambda: gg.trace(X[0, 0]), gg.ShapeError, "trace: axis 1 is out of range"),
    (lambda: gg.trace(X, 0, 1, -2), gg.ShapeError, "trace: axis .* names an axis twice"),
    (lambda: gg.trace(X, 0.5), gg.ShapeError, "trace: offset is 0.5, not an integer"),
    (lambda: gg.batch_norm(X, np.ones(3), None), gg.ShapeError, r"gamma is \(3,\), but x is 2×3×4"),
    (lambda: gg.batch_norm(X, None, np.ones(3)), gg.ShapeError, r"beta is \(3,\).* 4 channels"),
    (lambda: gg.batch_norm(X[0, 0], None, None), gg.ShapeError, "at least 2 axes"),
    (lambda: gg.batch_norm(X[:0], None, None), gg.ShapeError, "Skip empty batches"),
    (lambda: gg.batch_norm(X, None, None, training=False), gg.DomainError, "running_mean"),
    (
        lambda: gg.batch_norm(
            X, None, None, running_mean=BETA, running_var=np.ones(2), training=False
        ),
        gg.ShapeError,
        r"running_var is \(2,\)",
    ),
    (lambda: gg.batch_norm(X, None, None, eps=0.0), gg.DomainError, "eps is 0.0, not a number > 0"),
    (lambda: gg.layer_norm(X, np.ones(4), axis=(1, 2)), gg.ShapeError, "features of shape 3×4"),
    (lambda: gg.group_norm(X, 3), gg.ShapeError, "4 channels cannot be divided into 3 groups"),
    (lambda: gg.group_norm(X, 0), gg.DomainError, "groups is 0, not an int > 0"),
    (lambda: gg.instance_norm(X[0]), gg.ShapeError, "at least 3 axes"),
    (lambda: gg.rms_norm(X, np.ones(3)), gg.ShapeError, "gamma"),
    (lambda: gg.logsumexp(X, 3), gg.ShapeError, "logsumexp: axis 3 is out of range"),
    (lambda: gg.min(X, (0, 0)), gg.ShapeError, "min: axis .* names an axis twice"),
]


@pytest.mark.parametrize(("call", "kind", "text"), ERRORS)
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


@pytest.mark.parametrize("ord", [1.5, 0.5, 3.0])
def test_norms_of_elements_that_are_far_apart(ord):
    """The slope of an element that is negligible beside another underflows to 0, not to NaN."""
    for x in (np.array([1e-300, -1e300]), np.array([1e-38, -1e38], np.float32)):
        assert_allclose(gradient(lambda x: gg.norm(x, ord), x), [0.0, -1.0], atol=1e-15)


FOLDS = ["sum", "mean", "max", "min", "prod", "all", "any", "argmax", "argmin"]


@pytest.mark.parametrize("name", [*FOLDS, "var", "std", "norm", "logsumexp"])
def test_keepdims_is_a_bool(name):
    """numpy's methods have the dtype in that place: silently it would count as True."""
    for wrong in (np.float32, "float32", None, 1):
        with pytest.raises(gg.DTypeError, match=rf"^{name}: keepdims is .*, not a bool"):
            getattr(gg, name)(X, axis=0, keepdims=wrong)
        with pytest.raises(gg.DTypeError, match=rf"^{name}: keepdims is .*, not a bool"):
            getattr(gg, name)(X, axis=None, keepdims=wrong)
    assert getattr(gg, name)(X, axis=0, keepdims=np.True_).shape == (1, 3, 4)


@pytest.mark.parametrize("name", [*FOLDS, "var", "std", "norm", "logsumexp", "softmax", "cumsum"])
def test_ragged_lists(name):
    with pytest.raises(gg.DTypeError, match=rf"^{name}: .*whose parts differ in shape"):
        getattr(gg, name)([[1.0], [1.0, 2.0]])


def test_errors_name_the_function_that_was_called():
    empty = np.zeros((0, 2))
    for call, name in [
        (lambda: gg.std(empty), "std"),
        (lambda: gg.std(X, 0, ddof=2), "std"),
        (lambda: gg.norm(empty, np.inf), "norm"),
        (lambda: gg.layer_norm(empty.T), "layer_norm"),
        (lambda: gg.rms_norm(empty.T), "rms_norm"),
        (lambda: gg.batch_norm(empty, None, None), "batch_norm"),
        (lambda: gg.instance_norm(np.zeros((2, 0, 3))), "instance_norm"),
        (lambda: gg.group_norm(np.zeros((2, 0, 4)), 2), "group_norm"),
    ]:
        with pytest.raises((gg.ShapeError, gg.DomainError), match=f"^{name}: "):
            call()


def test_the_trace_is_of_two_axes():
    for axis in (None, (0, 1)):
        with pytest.raises(gg.ShapeError, match=r"^trace: axis is .*, not an integer"):
            gg.ops.trace(X, 0, axis)


def test_normalisation_over_no_axes():
    x = np.array([[1.0, 5.0]])
    assert_array_equal(gg.layer_norm(x, np.array(2.0), np.array(3.0), axis=()), [[3.0, 3.0]])
    assert_allclose(gg.rms_norm(x, np.array(2.0), axis=()), [[2.0, 2.0]], rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64"])
def test_running_statistics_leave_the_dtype_alone(dtype):
    x = np.array([[1, 5], [3, 9]], dtype)
    for middle, var in [([2.0, 7.0], [1.0, 4.0]), (np.array([2.0, 7]), np.array([1.0, 4]))]:
        y = gg.batch_norm(
            x, None, None, running_mean=middle, running_var=var, training=False, eps=1e-12
        )
        assert y.dtype == (dtype if dtype != "int64" else "float64")
        assert_allclose(y, [[-1.0, -1.0], [1.0, 1.0]], atol=1e-9)


def test_norms_in_half_precision():
    x = np.full(100, -0.5, np.float16)
    x[0] = 0.25
    wanted = gradient(lambda x: gg.norm(x, 0.5), x.astype(float))
    assert_allclose(gradient(lambda x: gg.norm(x, 0.5), x), wanted, rtol=1e-2)
