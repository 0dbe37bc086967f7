"""Elementwise functions against numpy, `math` and literal numbers; their kinks and their limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import gradgraph as gg
from gradgraph.testing import check

EPS = float(np.finfo(float).eps)
X = np.array([-3.7, -1.2, -0.4, 0.3, 0.9, 2.6])
inf, nan = math.inf, math.nan


def slopes(f, x):
    """The derivative of an elementwise function at each element."""
    return partials(f, np.asarray(x))[0]


def partials(f, *xs):
    """The derivatives of the sum of a function by each argument; the sum itself may be NaN."""
    leaves = [gg.Tensor(x, requires_grad=True) for x in xs]
    out = f(*leaves)
    out.backward(np.ones(out.shape))
    return [x.grad.numpy() for x in leaves]


def erf_of(x):
    return np.array([math.erf(v) for v in x])


def softplus_of(x):
    return np.logaddexp(0, x)


SAME_AS_NUMPY = {
    gg.square: (np.square, X),
    gg.reciprocal: (lambda x: 1 / x, X),
    gg.abs: (np.abs, X),
    gg.exp2: (np.exp2, X),
    gg.expm1: (np.expm1, X),
    gg.log2: (np.log2, X + 4),
    gg.log10: (np.log10, X + 4),
    gg.log1p: (np.log1p, X + 4),
    gg.rsqrt: (lambda x: 1 / np.sqrt(x), X + 4),
    gg.tan: (np.tan, X),
    gg.arcsin: (np.arcsin, X / 4),
    gg.arccos: (np.arccos, X / 4),
    gg.arctan: (np.arctan, X),
    gg.sinh: (np.sinh, X),
    gg.cosh: (np.cosh, X),
    gg.arcsinh: (np.arcsinh, X),
    gg.arccosh: (np.arccosh, X + 5),
    gg.arctanh: (np.arctanh, X / 4),
    gg.erf: (erf_of, X),
    gg.erfc: (lambda x: 1 - erf_of(x), X),
    gg.sign: (np.sign, X),
    gg.floor: (np.floor, X),
    gg.ceil: (np.ceil, X),
    gg.round: (np.round, X),
    gg.trunc: (np.trunc, X),
    gg.leaky_relu: (lambda x: np.where(x > 0, x, 0.01 * x), X),
    gg.relu6: (lambda x: np.clip(x, 0, 6), 3 * X),
    gg.hard_tanh: (lambda x: np.clip(x, -1, 1), X),
    gg.hard_sigmoid: (lambda x: np.clip(x / 6 + 0.5, 0, 1), X),
    gg.hard_swish: (lambda x: x * np.clip(x / 6 + 0.5, 0, 1), X),
    gg.elu: (lambda x: np.where(x > 0, x, np.exp(x) - 1), X),
    gg.selu: (
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1)),
        X,
    ),
    gg.celu: (lambda x: np.where(x > 0, x, np.exp(x) - 1), X),
    gg.softsign: (lambda x: x / (1 + np.abs(x)), X),
    gg.softplus: (softplus_of, X),
    gg.log_sigmoid: (lambda x: -softplus_of(-x), X),
    gg.silu: (lambda x: x / (1 + np.exp(-x)), X),
    gg.mish: (lambda x: x * np.tanh(softplus_of(x)), X),
    gg.gelu: (lambda x: 0.5 * x * (1 + erf_of(x / np.sqrt(2))), X),
    gg.isnan: (np.isnan, np.array([1.0, nan, inf])),
    gg.isinf: (np.isinf, np.array([1.0, nan, -inf])),
    gg.isfinite: (np.isfinite, np.array([1.0, nan, inf])),
    gg.logical_not: (np.logical_not, np.array([1.0, 0.0, nan])),
}


@pytest.mark.parametrize("f", SAME_AS_NUMPY, ids=lambda f: f.__name__)
class TestOfOneArgument:
    def test_values(self, f):
        plain, x = SAME_AS_NUMPY[f]
        assert_allclose(f(x), plain(x), rtol=1e-13, atol=1e-15)

    def test_shapes_and_dtypes(self, f):
        plain, x = SAME_AS_NUMPY[f]
        boolean = plain(x).dtype == bool
        for dtype in (np.float32, np.float16):
            found = f(gg.Tensor(x.astype(dtype)[:, None]))
            assert found.dtype == (bool if boolean else dtype)
            assert found.shape == (x.size, 1)
        assert f(np.ones((2, 0))).shape == (2, 0)
        assert f(np.asarray(x[0])).shape == ()
        with np.errstate(all="ignore"):  # 2 is outside of some domains
            integers = f(np.array([1, 2]))
        keeps = f.__name__ in (
            *("square", "abs", "sign", "floor", "ceil", "round", "trunc", "relu6", "hard_tanh"),
        )
        assert integers.dtype == (bool if boolean else int if keeps else float)

    def test_gradients(self, f):
        plain, x = SAME_AS_NUMPY[f]
        if plain(x).dtype == bool:
            assert not f(gg.Tensor(x, requires_grad=True)).requires_grad
            return
        h = 1e-6
        wanted = (plain(x + h) - plain(x - h)) / (2 * h)
        assert_allclose(slopes(f, x), wanted, rtol=1e-7, atol=1e-8)

    def test_nan_stays_nan(self, f):
        plain, x = SAME_AS_NUMPY[f]
        if plain(x).dtype != bool:
            assert np.isnan(f(np.array([nan, x[-1]]))[0])
            assert not np.isinf(slopes(f, np.array([nan, x[-1]]))[0])


COMPOSITES = [
    gg.reciprocal,
    gg.hard_sigmoid,
    gg.hard_swish,
    gg.elu,
    gg.selu,
    gg.softplus,
    gg.log_sigmoid,
    lambda x: gg.rsqrt(x + 5),
    lambda x: gg.celu(x, 0.7),
    lambda x: gg.elu(x, 1.7),
    lambda x: gg.softplus(x, 2.5),
    lambda x: gg.glu(x, 0),
    lambda x: gg.apply_where(x > 0, gg.sqrt, x, 2.0 * x),
    lambda x: gg.isfinite(x) * x,
]


@pytest.mark.parametrize("f", COMPOSITES)
def test_composites_obey_the_laws(f):
    assert check(f, X, examples=20).verdict == "passed"


def test_learned_slopes_and_bounds_obey_the_laws():
    x = X.reshape(3, 2)
    assert check(gg.prelu, x, np.array([0.1, 0.4]), examples=20).verdict == "passed"
    assert check(gg.clip, x, np.array([-1.0, -0.5]), 1.5, examples=20).verdict == "passed"


class TestArithmetic:
    def test_remainder_has_the_sign_of_the_divisor(self):
        x, y = np.array([5.0, -5.0, 5.0, -5.0]), np.array([3.0, 3.0, -3.0, -3.0])
        assert_array_equal(gg.remainder(x, y), [2.0, 1.0, -1.0, -2.0])
        dx, dy = partials(gg.remainder, x, y)
        assert_array_equal(dx, [1.0, 1.0, 1.0, 1.0])
        assert_array_equal(dy, [-1.0, 2.0, 2.0, -1.0])
        assert_array_equal(np.remainder(gg.Tensor(x), 3.0), [2.0, 1.0, 2.0, 1.0])

    def test_the_quotient_of_a_remainder_is_that_of_numpy(self):
        x, y = np.array([1.0]), np.array([0.1])
        assert np.floor(x / y) == 10  # the rounded quotient is whole, the exact one is below
        assert np.floor_divide(x, y) == 9
        assert gg.grad(lambda y: gg.remainder(x, y).sum())(y) == -9

    def test_an_infinite_dividend_or_divisor(self):
        dx = gg.grad(lambda x: gg.remainder(x, inf).sum())(np.array([2.0]))
        assert_array_equal(dx, [1.0])

    def test_a_sign_of_another_dtype_leaves_the_precision_alone(self):
        x = np.full(3, 0.1)
        signed = gg.Op.registry["signed"]()
        found = signed(x, np.array([1, -1, 0], np.float32))
        assert found.dtype == float
        assert_array_equal(found, [0.1, -0.1, 0.0])

    def test_reciprocals_of_integers(self):
        assert_array_equal(gg.reciprocal(np.array([2, 4])), [0.5, 0.25])
        assert_array_equal(np.reciprocal(gg.Tensor([2, 4])), [0.5, 0.25])

    def test_powers_of_a_negative_base(self):
        x, y = np.array([-2.0, -2.0, 0.0, 3.0]), np.array([3.0, -1.0, 0.0, 2.0])
        dx, dy = partials(gg.power, x, y)
        assert_allclose(dx, [12.0, -0.25, 0.0, 6.0])
        assert_allclose(dy, [0.0, 0.0, 0.0, 9 * np.log(3)])

    def test_a_nan_base_is_not_hidden(self):
        assert np.isnan(gg.grad(lambda y: (np.array(nan) ** y).sum())(np.array(2.0)))

    def test_powers_and_their_gradients_of_float32(self):
        dx = gg.grad(lambda x: (x**2).sum())(np.array([3.0], np.float32))
        assert dx.dtype == np.float32
        assert_array_equal(dx, [6.0])


class TestMinimumAndClip:
    def test_ties_of_minimum_are_halved(self):
        x, y = np.array([1.0, 2.0, nan]), np.array([1.0, 3.0, 1.0])
        dx, dy = partials(gg.minimum, x, y)
        assert_array_equal(dx, [0.5, 1.0, 0.0])
        assert_array_equal(dy, [0.5, 0.0, 0.0])

    def test_what_is_clipped_goes_to_the_bound(self):
        x, low, high = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]), np.array(-1.0), np.array(1.0)
        grads = gg.grad(lambda *a: (gg.clip(*a) * np.arange(1.0, 6)).sum(), (0, 1, 2))
        dx, dlow, dhigh = grads(x, low, high)
        assert_array_equal(dx, [0.0, 0.0, 3.0, 0.0, 0.0])
        assert (dlow, dhigh) == (3.0, 9.0)

    def test_bounds_that_cross_give_the_upper_one(self):
        x = np.array([0.0, 2.0, 4.0])
        assert_array_equal(gg.clip(x, 3.0, 1.0), np.clip(x, 3.0, 1.0))
        dx, dlow, dhigh = partials(gg.clip, x, np.array(3.0), np.array(1.0))
        assert_array_equal(dx, [0.0, 0.0, 0.0])
        assert (dlow, dhigh) == (0.0, 3.0)

    def test_one_bound_or_none(self):
        x = gg.Tensor([-inf, 0.5, inf])
        assert_array_equal(gg.clip(x, 0.0), [0.0, 0.5, inf])
        assert_array_equal(gg.clip(x, None, 1.0), [-inf, 0.5, 1.0])
        assert_array_equal(gg.clip(x), [-inf, 0.5, inf])
        assert_array_equal(slopes(lambda x: gg.clip(x, 0.0), [-inf, 0.5, inf]), [0.0, 1.0, 1.0])
        assert_array_equal(
            slopes(lambda x: gg.clip(x, None, 1.0), [-inf, 0.5, inf]), [1.0, 1.0, 0.0]
        )
        assert_array_equal(slopes(gg.clip, [-inf, 0.5, inf]), [1.0, 1.0, 1.0])

    def test_dtypes_are_those_of_numpy(self):
        for x in (np.array([1, 5]), np.array([1, 5], np.uint8), np.array([1, 5], np.float32)):
            for bounds in ((0, 3), (0.5, 3.5), (None, 3), (2, None)):
                assert gg.clip(x, *bounds).dtype == np.clip(x, *bounds).dtype

    def test_it_is_what_numpy_records(self):
        x = gg.Tensor([-1.0, 0.5], requires_grad=True)
        np.clip(x, 0.0, 1.0).sum().backward()
        assert_array_equal(x.grad, [0.0, 1.0])
        with pytest.raises(TypeError):
            np.clip(x, 0.0, 1.0, out=np.empty(2))


class TestChoosing:
    def test_the_function_does_not_see_the_others(self):
        x = np.array([4.0, 0.0, -1.0])
        f = lambda x: gg.apply_where(x > 0, lambda x: gg.sqrt(x) + gg.log(x), x, -x)  # noqa: E731
        assert_allclose(f(x), [2 + math.log(4), 0.0, 1.0])
        assert_array_equal(slopes(f, x), [0.5, -1.0, -1.0])

    def test_another_stand_in(self):
        x = np.array([1.0, -1.0])
        found = gg.apply_where(x > 0, lambda x: 1 / (x - 1 + 0.5), x, 0.0, stand_in=3.0)
        assert_array_equal(found, [2.0, 0.0])


class TestExponentials:
    def test_small_numbers_keep_their_digits(self):
        x = np.array([1e-18, -1e-18])
        assert_array_equal(gg.expm1(x), x)
        assert_array_equal(gg.log1p(x), x)
        assert_allclose(slopes(gg.expm1, [-50.0]), [math.exp(-50)], rtol=1e-15)

    def test_whole_powers_are_exact(self):
        assert_array_equal(gg.log2(np.array([8.0, 2.0**-40])), [3.0, -40.0])
        assert_array_equal(gg.log10(np.array([1000.0])), [3.0])
        assert_array_equal(gg.exp2(np.array([10.0, -1.0])), [1024.0, 0.5])

    def test_logaddexp_does_not_overflow(self):
        x, y = np.array([1e4, -1e4, 0.0]), np.array([1e4 - 1, -1e4, -1e4])
        assert_allclose(
            gg.logaddexp(x, y), [1e4 + math.log1p(math.exp(-1)), -1e4 + math.log(2), 0.0]
        )
        dx, dy = partials(gg.logaddexp, x, y)
        assert_allclose(dx, [1 / (1 + math.exp(-1)), 0.5, 1.0])
        assert_allclose(dy, [1 / (1 + math.exp(1)), 0.5, 0.0])

    def test_logaddexp_of_infinities(self):
        x, y = np.array([-inf, inf, inf, -inf]), np.array([-inf, inf, 0.0, 0.0])
        assert_array_equal(gg.logaddexp(x, y), [-inf, inf, inf, 0.0])
        dx, dy = partials(gg.logaddexp, x, y)
        assert_array_equal(dx, [0.5, 0.5, 1.0, 0.0])
        assert_array_equal(dy, [0.5, 0.5, 0.0, 1.0])

    def test_hypot_neither_overflows_nor_divides_by_zero(self):
        x, y = np.array([3e200, 3e-200, 0.0]), np.array([4e200, 4e-200, 0.0])
        assert_allclose(gg.hypot(x, y), [5e200, 5e-200, 0.0])
        dx, dy = partials(gg.hypot, x, y)
        assert_allclose(dx, [0.6, 0.6, 0.0])
        assert_allclose(dy, [0.8, 0.8, 0.0])


class TestTrigonometry:
    def test_all_quadrants(self):
        y, x = np.array([1.0, 1.0, -1.0, -1.0, 0.0]), np.array([1.0, -1.0, 1.0, -1.0, -1.0])
        assert_allclose(gg.arctan2(y, x), np.array([1, 3, -1, -3, 4]) * np.pi / 4)
        dy, dx = partials(gg.arctan2, y, x)
        assert_allclose(dy, [0.5, -0.5, 0.5, -0.5, -1.0])
        assert_allclose(dx, [-0.5, -0.5, 0.5, 0.5, 0.0])
        assert_allclose(np.arctan2(gg.Tensor(y), x), np.arctan2(y, x))

    def test_the_origin_has_no_slope(self):
        dy, dx = gg.grad(lambda y, x: gg.arctan2(y, x), (0, 1))(np.array(0.0), np.array(0.0))
        assert (dy, dx) == (0.0, 0.0)

    @pytest.mark.parametrize("f", [gg.arctan, gg.arcsinh])
    def test_squares_do_not_overflow(self, f):
        assert_array_equal(slopes(f, [1e200, -1e200, inf]) < 1e-199, True)

    def test_near_the_ends(self):
        x = np.array([1 - 1e-12])
        # (1 - x)(1 + x) in rational arithmetic; 1 - x² would lose four digits of it
        gap = (1.0 - x) * (1.0 + x)
        assert_allclose(slopes(gg.arcsin, x), 1 / np.sqrt(gap), rtol=1e-15)
        assert_allclose(slopes(gg.arccosh, 1 / x), 7.07e5, rtol=1e-2)


class TestErrorFunction:
    def test_to_four_eps(self):
        for x in (np.linspace(-7, 7, 40001), np.geomspace(1e-300, 1, 2001)):
            wanted = erf_of(x)
            off = np.abs(gg.erf(x) - wanted)
            assert np.all(off <= 4 * EPS * np.abs(wanted))

    def test_the_complement_to_four_eps(self):
        x = np.linspace(-7, 26.5, 60001)
        wanted = np.array([math.erfc(v) for v in x])
        assert np.all(np.abs(gg.erfc(x) - wanted) <= 4 * EPS * wanted)

    def test_its_underflow(self):
        x = np.linspace(26.5, 30, 2001)
        wanted = np.array([math.erfc(v) for v in x])
        assert np.all(np.abs(gg.erfc(x) - wanted) <= 4 * EPS * wanted + 2e-323)

    def test_special_values(self):
        x = np.array([0.0, -0.0, inf, -inf, nan, 1e300, -1e300, 5e-324])
        assert_array_equal(gg.erf(x), [0.0, -0.0, 1.0, -1.0, nan, 1.0, -1.0, 5e-324])
        assert np.signbit(gg.erf(x)[1])
        assert_array_equal(gg.erfc(x), [1.0, 1.0, 0.0, 2.0, nan, 0.0, 2.0, 1.0])

    def test_known_digits(self):
        # Abramowitz & Stegun, table 7.1, and Wolfram's N[Erfc[10], 17]
        assert_allclose(gg.erf(0.5), 0.5204998778130465, rtol=1e-15)
        assert_allclose(gg.erf(1.0), 0.8427007929497149, rtol=1e-15)
        assert_allclose(gg.erfc(10.0), 2.0884875837625448e-45, rtol=1e-15)

    def test_other_dtypes_and_layouts(self):
        x = np.linspace(-4, 4, 40001).reshape(-1, 1)[::3].T
        single = gg.erfc(x.astype(np.float32))
        assert single.dtype == np.float32
        wanted = np.array([math.erfc(v) for v in x.astype(np.float32).ravel()])
        assert np.all(np.abs(single.ravel() - wanted) <= 6e-8 * wanted)
        assert_array_equal(gg.erf(np.array([0, 1])), gg.erf(np.array([0.0, 1.0])))

    def test_slopes_far_out(self):
        x = [0.0, 1.0, 1e4, -1e200, inf]
        assert_allclose(
            slopes(gg.erf, x), [2 / math.sqrt(math.pi), 2 / math.sqrt(math.pi) / math.e, 0, 0, 0]
        )


class TestRounding:
    @pytest.mark.parametrize("f", [gg.sign, gg.floor, gg.ceil, gg.round, gg.trunc])
    def test_gradients_are_zero_not_missing(self, f):
        x = gg.Tensor([-1.5, 0.0, 2.0], requires_grad=True)
        f(x).sum().backward()
        assert_array_equal(x.grad, [0.0, 0.0, 0.0])
        x.grad = None
        f(x).backward(np.full(3, inf))
        assert_array_equal(x.grad, [0.0, 0.0, 0.0])

    @pytest.mark.parametrize("decimals", [-2, -1, 0, 1, 3])
    def test_decimals(self, decimals):
        x = np.array([1234.56789, -0.05, 2.5, 15.0])
        assert_array_equal(gg.round(x, decimals), np.round(x, decimals))
        assert_array_equal(np.round(gg.Tensor(x), decimals), np.round(x, decimals))
        assert_array_equal(np.round(gg.Tensor(x), decimals=decimals), np.round(x, decimals))

    def test_numpy_records_them(self):
        x = gg.Tensor([-1.5, 2.2], requires_grad=True)
        for f in (np.floor, np.ceil, np.trunc):
            assert f(x).requires_grad
            assert_array_equal(f(x).data, f(x.data))

    def test_integers_are_as_in_numpy(self):
        for dtype in (np.int8, np.uint16, np.int64):
            x = np.array([1, 20], dtype)
            for f, plain in ((gg.floor, np.floor), (gg.round, np.round), (gg.sign, np.sign)):
                assert f(x).dtype == plain(x).dtype
                assert_array_equal(f(x), plain(x))


class TestQuestions:
    PAIRS = (np.array([1.0, 2.0, 3.0, nan, 0.0]), np.array([2.0, 2.0, 2.0, nan, 1.0]))

    @pytest.mark.parametrize(
        "name",
        [
            *("greater", "greater_equal", "less", "less_equal", "equal", "not_equal"),
            *("logical_and", "logical_or", "logical_xor"),
        ],
    )
    def test_answers_are_those_of_numpy(self, name):
        x, y = self.PAIRS
        f, plain = getattr(gg, name), getattr(np, name)
        assert_array_equal(f(x, y), plain(x, y))
        answer = f(gg.Tensor(x, requires_grad=True), y)
        assert isinstance(answer, gg.Tensor)
        assert answer.dtype == bool
        assert not answer.requires_grad
        assert_array_equal(answer, plain(x, y))
        assert_array_equal(f(x, 2.0), plain(x, 2.0))

    def test_shapes_must_broadcast(self):
        with pytest.raises(gg.ShapeError, match=r"^less_equal: x is \(2,\) and y is \(3,\)"):
            gg.less_equal(np.ones(2), np.ones(3))


SMOOTH = [
    *(gg.sigmoid, gg.log_sigmoid, gg.softplus, gg.silu, gg.mish, gg.gelu, gg.softsign),
    *(gg.elu, gg.selu, gg.celu, gg.hard_swish, gg.hard_sigmoid, gg.hard_tanh, gg.relu6),
    *(gg.leaky_relu, gg.erf, gg.erfc),
    lambda x: gg.gelu(x, approximate=True),
    lambda x: gg.softplus(x, 3.0),
]
# f(-∞), f(∞), f'(-∞), f'(∞) in the order of SMOOTH
LIMITS = [
    *((0, 1, 0, 0), (-inf, 0, 1, 0), (0, inf, 0, 1), (0, inf, 0, 1), (0, inf, 0, 1)),
    *((0, inf, 0, 1), (-1, 1, 0, 0)),
    *((-1, inf, 0, 1), (-1.7580993408473766, inf, 0, 1.0507009873554805), (-1, inf, 0, 1)),
    *((0, inf, 0, 1), (0, 1, 0, 0), (-1, 1, 0, 0), (0, 6, 0, 0)),
    *((-inf, inf, 0.01, 1), (-1, 1, 0, 0), (2, 0, 0, 0)),
    (0, inf, 0, 1),
    (0, inf, 0, 1),
]


class TestActivations:
    @pytest.mark.parametrize(
        ("f", "limits"), list(zip(SMOOTH, LIMITS, strict=True)), ids=lambda v: str(v)[:20]
    )
    def test_at_infinity(self, f, limits):
        ends = np.array([-inf, inf])
        assert_allclose(f(ends), limits[:2], rtol=1e-15)
        assert_allclose(slopes(f, ends), limits[2:], rtol=1e-15)

    @pytest.mark.parametrize("f", SMOOTH)
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_large_numbers_neither_overflow_nor_cancel(self, f, dtype):
        x = np.array([-1e4, -300.0, -80.0, 80.0, 300.0, 1e4], dtype)
        for found in (f(x), slopes(f, x), slopes(lambda x: gg.square(f(x) / 1e4), x)):
            assert found.dtype == dtype
            assert np.all(np.isfinite(found))
        far = np.array([-1e4, 1e4])
        ends = f(np.array([-inf, inf]))
        wanted = np.where(np.isinf(ends), far * slopes(f, [-inf, inf]), ends)
        assert_allclose(f(far), wanted, rtol=2e-4, atol=1e-15)

    @pytest.mark.parametrize(
        ("f", "x", "slope"),
        [
            (gg.relu, 0.0, 0.0),
            (gg.leaky_relu, 0.0, 0.01),
            (gg.relu6, 0.0, 0.0),
            (gg.relu6, 6.0, 0.0),
            (gg.hard_tanh, -1.0, 0.0),
            (gg.hard_tanh, 1.0, 0.0),
            (gg.hard_sigmoid, -3.0, 0.0),
            (gg.hard_sigmoid, 3.0, 0.0),
            (gg.hard_swish, -3.0, 0.0),
            (gg.hard_swish, 3.0, 1.0),
            (gg.elu, 0.0, 1.0),
            (lambda x: gg.elu(x, 1.7), 0.0, 1.7),
            (gg.selu, 0.0, 1.0507009873554805 * 1.6732632423543772),
            (lambda x: gg.celu(x, 1.7), 0.0, 1.0),
            (gg.softsign, 0.0, 1.0),
        ],
    )
    def test_slopes_at_kinks(self, f, x, slope):
        assert_allclose(slopes(f, [x]), [slope], rtol=1e-15)

    def test_the_second_derivative_of_elu_is_that_of_the_negative_side_too(self):
        second = gg.grad(lambda x: gg.grad(lambda x: gg.elu(x, 0.5).sum())(x).sum())
        assert_allclose(second(np.array([-1.0, 0.0, 1.0])), [0.5 / math.e, 0.5, 0.0])

    def test_prelu_learns_one_slope_a_channel(self):
        x, slope = np.array([[-2.0, -3.0], [1.0, -1.0]]), np.array([0.1, 0.5])
        assert_allclose(gg.prelu(x, slope), [[-0.2, -1.5], [1.0, -0.5]])
        dx, dslope = partials(lambda x, s: gg.prelu(x, s), x, slope)
        assert_array_equal(dx, [[0.1, 0.5], [1.0, 0.5]])
        assert_array_equal(dslope, [-2.0, -4.0])

    def test_a_flat_side_of_infinity(self):
        assert_array_equal(gg.leaky_relu(np.array([inf, 2.0]), 0.0), [inf, 2.0])
        assert_array_equal(slopes(lambda x: gg.leaky_relu(x, 0.0), [inf, -2.0]), [1.0, 0.0])

    def test_gelu_keeps_its_digits_far_left(self):
        x = np.array([-5.0, -20.0, -37.0])
        wanted = [v * 0.5 * math.erfc(-v / math.sqrt(2)) for v in x]
        assert_allclose(gg.gelu(x), wanted, rtol=2e-13)
        assert np.all(gg.gelu(np.array([-5.0, -10.0]), approximate=True) < 0)

    def test_the_approximation_of_gelu(self):
        u = math.sqrt(2 / math.pi) * (X + 0.044715 * X**3)
        assert_allclose(gg.gelu(X, approximate=True), 0.5 * X * (1 + np.tanh(u)), rtol=1e-12)

    def test_softplus_and_celu_take_their_parameter(self):
        assert_allclose(gg.softplus(X, 2.5), np.log1p(np.exp(2.5 * X)) / 2.5)
        assert_allclose(gg.celu(X, 0.5), np.where(X > 0, X, 0.5 * np.expm1(X / 0.5)))
        assert_allclose(gg.elu(X, 0.5), np.where(X > 0, X, 0.5 * np.expm1(X)))

    def test_log_sigmoid_of_unsigned_integers(self):
        assert_allclose(gg.log_sigmoid(np.array([2], np.uint8)), -math.log1p(math.exp(-2)))

    @pytest.mark.parametrize("axis", [0, 1, -1, -2])
    def test_glu_halves_an_axis(self, axis):
        x = np.random.default_rng(0).normal(size=(4, 6))
        a, b = np.split(x, 2, axis)
        assert_allclose(gg.glu(x, axis), a / (1 + np.exp(-b)))
        assert_allclose(gg.glu(gg.Tensor(x), axis), a / (1 + np.exp(-b)))

    def test_bad_parameters(self):
        with pytest.raises(gg.DomainError, match="beta is -1, and must be a positive number"):
            gg.softplus(X, -1)
        with pytest.raises(gg.DomainError, match="alpha is 0"):
            gg.celu(X, 0)
        with pytest.raises(gg.DTypeError, match="approximate is 'tanh', not a bool"):
            gg.gelu(X, approximate="tanh")
        with pytest.raises(gg.DTypeError, match=r"decimals is 0\.5"):
            gg.round(X, 0.5)
        with pytest.raises(gg.ShapeError, match="odd length 3"):
            gg.glu(np.ones((2, 3)))
        with pytest.raises(gg.ShapeError, match="out of range"):
            gg.glu(np.ones((2, 4)), 2)
        with pytest.raises(gg.ShapeError, match="not one axis"):
            gg.glu(np.ones((2, 4)), None)
        with pytest.raises(gg.ShapeError, match=r"slope is \(3,\)"):
            gg.prelu(np.ones((2, 4)), np.ones(3))


def test_second_derivatives_at_infinity_are_numbers():
    for f in (gg.silu, gg.mish, gg.gelu, gg.softplus, lambda x: gg.gelu(x, True)):
        second = gg.grad(lambda x: gg.grad(lambda x: f(x).sum())(x).sum())  # noqa: B023
        assert_array_equal(second(np.array([-inf, -1e4, 1e4, inf])), 0.0)


def test_a_power_whose_exponent_is_an_unsigned_zero():
    x = np.array([1e10, 3.0, 2.0])
    for dtype in (np.uint8, np.uint64):
        y = np.array([0, 1, 2], dtype)
        assert_array_equal(slopes(lambda x: x**y, x), [0.0, 1.0, 4.0])  # noqa: B023


@pytest.mark.parametrize("f", [gg.softplus, gg.celu, gg.elu])
def test_a_parameter_from_numpy_leaves_the_dtype_alone(f):
    x = X.astype(np.float32)
    assert f(x, np.float64(2.0)).dtype == np.float32
    assert_array_equal(f(x, np.float64(2.0)), f(x, 2.0))


def test_no_type_of_numbers():
    for dtype in ("flot32", "U3", None, object):
        with pytest.raises(gg.DTypeError, match=r"^cast: dtype is .*, no type of numbers"):
            gg.cast(gg.Tensor(X), dtype)


def test_integers_to_negative_powers():
    for wrong in (lambda: gg.Tensor([1, 2]) ** -1, lambda: gg.power(2, np.array([-1, 0]))):
        with pytest.raises(gg.DomainError, match=r"^power: an integer to the power of a negative"):
            wrong()
    with pytest.raises(gg.ShapeError, match=r"^power: x is \(2,\) and y is \(3,\)"):
        gg.power(np.array([1, 2]), np.array([-1, 2, 3]))


def test_comparisons_of_shapes_that_do_not_broadcast():
    x = gg.Tensor([1.0, 2.0, 3.0])
    for wrong in (lambda: x == np.ones(2), lambda: np.ones(2) < x, lambda: np.less(x, np.ones(2))):
        with pytest.raises(gg.ShapeError, match="broadcast"):
            wrong()


def test_the_slope_by_an_exponent_has_the_precision_of_the_result():
    base, y = np.array([3.0, 7.0], np.float16), np.array([0.5, 1.5])
    assert_allclose(slopes(lambda y: base**y, y), base.astype(float) ** y * np.log([3, 7]))


def test_hard_swish_beyond_its_gate():
    with np.errstate(divide="ignore"):
        assert gg.jvp(lambda q: gg.hard_swish(gg.log(q)), (np.zeros(1),), (np.ones(1),))[1] == 0.0
    near = np.nextafter(np.float32(3), np.float32(0))
    second = gg.grad(gg.grad(gg.hard_swish))
    assert second(near) == pytest.approx(1 / 3)
    assert np.isnan(gg.grad(gg.hard_swish)(np.nan))
    assert gg.grad(gg.hard_swish)(np.inf) == 1.0
