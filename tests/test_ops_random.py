"""Randomness has a source that is named: the same seed gives the same numbers each time."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import gradgraph as gg
from gradgraph.testing import check

X = np.random.default_rng(0).normal(size=(3, 4, 5, 6))

CALLS = [
    lambda rng: gg.dropout(X, 0.5, rng=rng),
    lambda rng: gg.channel_dropout(X, 0.5, rng=rng),
    lambda rng: gg.normal(0.0, 1.0, (3, 4), rng=rng),
    lambda rng: gg.uniform(0.0, 1.0, (3, 4), rng=rng),
]


def fresh():
    return np.random.default_rng(7)


@pytest.mark.parametrize("call", CALLS)
class TestGenerators:
    def test_a_seed_gives_the_same_numbers_each_time(self, call):
        assert_array_equal(call(7), call(7))
        assert_array_equal(call(np.int64(7)), call(fresh()))
        assert (call(7) != call(8)).any()

    def test_a_generator_goes_on(self, call):
        rng = fresh()
        assert (call(rng) != call(rng)).any()

    def test_the_global_state_is_left_alone(self, call):
        before = np.random.get_state()[1].copy()
        call(0)
        assert_array_equal(np.random.get_state()[1], before)

    @pytest.mark.parametrize("rng", [None, -1, 0.5, True, "0", np.random])
    def test_anything_else_is_refused(self, call, rng):
        with pytest.raises(gg.DTypeError, match="neither a numpy Generator nor a seed"):
            call(rng)

    def test_so_is_the_legacy_generator(self, call):
        with pytest.raises(gg.DTypeError, match="rng is a legacy RandomState"):
            call(np.random.RandomState(0))


@pytest.mark.parametrize("f", [gg.dropout, gg.channel_dropout, gg.normal, gg.uniform])
def test_rng_is_required_by_name(f):
    parameter = inspect.signature(f).parameters["rng"]
    assert parameter.kind is parameter.KEYWORD_ONLY
    assert parameter.default is parameter.empty


@pytest.mark.parametrize("f", [gg.dropout, gg.channel_dropout])
class TestDropouts:
    def test_what_is_kept_is_scaled(self, f):
        kept = f(X, 0.2, rng=0)
        assert set(np.unique(np.round(kept / X, 12))) == {0.0, 1.25}

    def test_the_share_that_is_dropped(self, f):
        dropped = (f(np.ones((100, 2, 100)), 0.3, rng=1) == 0).mean()
        assert abs(dropped - 0.3) < 0.02
        assert abs(f(np.ones((100, 2, 100)), 0.3, rng=1).mean() - 1) < 0.03

    def test_gradients_are_dropped_alike(self, f):
        y, pull = gg.vjp(lambda x: f(x, 0.5, rng=3), X)
        assert_allclose(pull(np.ones_like(X)) * X, y)
        assert check(lambda x: f(x, 0.5, rng=3), X[0], examples=4).verdict == "passed"

    def test_rates_at_the_ends(self, f):
        x = gg.Tensor(X, requires_grad=True)
        assert f(x, 0.0, rng=0) is x
        y = f(np.full((2, 3), np.inf), 1.0, rng=0)
        assert_array_equal(y, np.zeros((2, 3)))
        zeros = f(x, 1, rng=0)
        zeros.sum().backward()
        assert_array_equal(zeros.data, 0)
        assert_array_equal(x.grad.data, 0)

    def test_not_training(self, f):
        x, rng = gg.Tensor(X), fresh()
        assert f(x, 0.5, rng=rng, training=False) is x
        assert rng.random() == fresh().random()
        with pytest.raises(gg.DTypeError, match="rng is None"):
            f(x, 0.5, rng=None, training=False)

    def test_infinities_and_nans_are_dropped(self, f):
        x = np.where(np.ones((2, 40)), np.inf, 0)
        assert set(f(x, 0.5, rng=0).ravel()) == {0.0, np.inf}

    def test_dtypes(self, f):
        for dtype in (np.float16, np.float32, np.float64):
            assert f(X.astype(dtype), 0.5, rng=0).dtype == dtype
        assert f([[1, 2], [3, 4]], 0.0, rng=0).dtype == float
        assert set(np.unique(f(np.ones((9, 9), int), 0.5, rng=0))) == {0.0, 2.0}
        assert_array_equal(
            f(X.astype(np.float32), 0.5, rng=0) == 0, f(X, 0.5, rng=0) == 0
        )  # one seed, one mask

    def test_empty_arrays(self, f):
        assert f(np.ones((0, 3)), 0.5, rng=0).shape == (0, 3)

    def test_a_replay_drops_the_same(self, f):
        x = gg.Tensor(X, requires_grad=True)
        y = f(x, 0.5, rng=0)
        assert_allclose(gg.Graph.of(y).replay(2 * X), 2 * y.data)

    @pytest.mark.parametrize("rate", [-0.1, 1.1, np.nan, 50])
    def test_rates_are_from_0_to_1(self, f, rate):
        with pytest.raises(gg.DomainError, match=f"^{f.__name__}: rate is .* from 0 to 1"):
            f(X, rate, rng=0)

    @pytest.mark.parametrize("rate", ["0.5", None, True, X])
    def test_rates_are_numbers(self, f, rate):
        with pytest.raises(gg.DTypeError, match=r"rate is .*, not a number"):
            f(X, rate, rng=0)

    def test_numbers_only(self, f):
        with pytest.raises(gg.DTypeError, match="x is of dtype"):
            f("text", 0.5, rng=0)


def test_whole_channels_of_each_item():
    y = gg.channel_dropout(np.ones((50, 2, 3, 8)), 0.5, rng=0)
    first = y[:, :1, :1, :]
    assert_array_equal(y, np.broadcast_to(first, y.shape))
    assert len({tuple(row) for row in first.reshape(50, 8)}) > 10
    with pytest.raises(gg.ShapeError, match=r"x is \(3,\), not \(N, \*S, C\)"):
        gg.channel_dropout(np.ones(3), 0.5, rng=0)


class TestSamples:
    def test_moments(self):
        x = gg.normal(3.0, 0.5, 20_000, rng=0)
        assert_allclose([x.mean(), x.std()], [3.0, 0.5], atol=0.02)
        x = gg.uniform(-1.0, 3.0, 20_000, rng=0)
        assert_allclose([x.mean(), x.std()], [1.0, 4 / np.sqrt(12)], atol=0.03)
        assert x.min() >= -1
        assert x.max() < 3

    def test_gradients_reach_the_parameters(self):
        mean, std = np.array([1.0, 2.0]), np.array([[0.5], [2.0]])
        x = gg.normal(mean, std, rng=0)
        noise = (x - mean) / std
        ones, by_std = gg.grad(lambda m, s: gg.normal(m, s, rng=0).sum(), (0, 1))(mean, std)
        assert_allclose(ones, [2.0, 2.0])
        assert_allclose(by_std, noise.sum(1, keepdims=True))
        low, high = np.array([-1.0, 0.0]), np.array(2.0)
        u = (gg.uniform(low, high, rng=0) - low) / (high - low)
        by_low, by_high = gg.grad(lambda a, b: gg.uniform(a, b, rng=0).sum(), (0, 1))(low, high)
        assert_allclose(by_low, 1 - u)
        assert_allclose(by_high, u.sum())
        for f in (gg.normal, gg.uniform):
            assert check(lambda a, b, f=f: f(a, b, rng=0), low, high, examples=3)

    def test_shapes(self):
        for f in (gg.normal, gg.uniform):
            assert f(rng=0).shape == ()
            assert f(np.zeros(3), np.ones((2, 1)), rng=0).shape == (2, 3)
            assert f(np.zeros(3), 1.0, (4, 3), rng=0).shape == (4, 3)
            assert f(shape=5, rng=0).shape == (5,)
            assert f(shape=(0, 2), rng=0).shape == (0, 2)

    def test_every_element_is_drawn_anew(self):
        assert len(np.unique(gg.normal(np.zeros(3), 1.0, (4, 3), rng=0))) == 12

    def test_dtypes(self):
        for f in (gg.normal, gg.uniform):
            assert f(rng=0).dtype == np.float64
            assert f(0, 1, 3, rng=0).dtype == np.float64
            for dtype in (np.float16, np.float32):
                assert f(np.zeros(3, dtype), 1.0, rng=0).dtype == dtype
                assert f(0, np.ones(3, dtype), rng=0).dtype == dtype
            assert f(np.zeros(3, int), np.ones(3, np.uint8), rng=0).dtype == np.float64

    def test_no_spread_at_all(self):
        assert gg.normal(2.0, 0.0, 3, rng=0).tolist() == [2.0] * 3
        assert gg.uniform(2.0, 2.0, 3, rng=0).tolist() == [2.0] * 3

    def test_errors(self):
        with pytest.raises(gg.DomainError, match="normal: std holds a negative number"):
            gg.normal(0.0, gg.Tensor([1.0, -1.0]), rng=0)
        with pytest.raises(gg.DomainError, match="uniform: low is above high"):
            gg.uniform(2.0, [3.0, 1.0], rng=0)
        for f, names in ((gg.normal, "mean and std"), (gg.uniform, "low and high")):
            with pytest.raises(gg.ShapeError, match=rf"{names} are \(3,\) together"):
                f(np.zeros(3), 1.0, (1,), rng=0)
            with pytest.raises(gg.ShapeError, match="broadcast"):
                f(np.zeros(3), np.ones(2), rng=0)
            for shape in (-1, (2, -3), 1.5, "3"):
                with pytest.raises(gg.ShapeError, match=f"{f.__name__}: shape is"):
                    f(0.0, 1.0, shape, rng=0)
            with pytest.raises(gg.DTypeError, match="not real numbers"):
                f("0", rng=0)
