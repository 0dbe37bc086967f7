"""Faults that other engines had, each with a test here.

| Fault | Test |
|---|---|
| broadcasting undone wrongly in a VJP | test_broadcasting_is_undone, test_sweep::test_fit_* |
| float32 in, float64 gradient out | test_tensor::TestDtypes |
| array changed after forward | test_tensor::TestData::test_an_array_operand_is_copied |
| state changed after forward | test_sweep::test_mutation_after_forward |
| "float() argument must be…" | test_errors::test_golden |
| repeated, negative, empty indices | test_repeated_and_negative_indices, test_empty_indices |
| dense zeros for each slice | test_sweep::test_slices_accumulate_in_place |
| ties; tie count in half precision | test_ties, test_many_ties_in_half_precision |
| NaN through the untaken side of `where` | test_where_*, test_relu_of_infinity |
| recursion in deep graphs | test_memory::test_deep_chains, test_deep_graphs_* |
| cycles keep memory | test_memory::test_a_dropped_graph_leaves_nothing_to_collect |
| nested derivatives confuse perturbations | test_transform::TestHigherOrder |
| backward twice, reused nodes | test_tensor::TestBackward |
| rule missing found only at run time | test_op_contract |
| zero-length axes | test_zero_length_axes, test_sweep::test_empty_tensors |
| powers at zero | test_powers_at_zero |
| average pooling divides by two different counts | test_average_pooling_divides_by_one_count |
| kernel larger than the image; label out of range; shapes of MSE | test_errors::test_golden |
| mode leaks through threads and generators | test_modes |
| non-contiguous arrays | test_layouts |
| pickle runs code | test_tensor::TestPythonSemantics::test_pickle_refuses_and_says_why |
| property tests flaky through a deadline | test_no_deadline |
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from numpy.testing import assert_allclose, assert_array_equal

import gradgraph as gg


def test_no_deadline():
    assert settings.default.deadline is None


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1), (1, 3), (4, 1, 1), (4, 2, 3)])
@pytest.mark.parametrize("other", [(4, 2, 3), (2, 3), (1, 1)])
@pytest.mark.parametrize("f", [gg.add, gg.subtract, gg.multiply, gg.divide, gg.maximum])
def test_broadcasting_is_undone(shape, other, f):
    rng = np.random.default_rng(0)
    x, y = rng.uniform(1, 2, shape), rng.uniform(3, 4, other)
    gx, gy = gg.grad(lambda x, y: f(x, y).sum(), (0, 1))(x, y)
    full = np.broadcast_shapes(shape, other)
    wide = np.broadcast_to(x, full).copy(), np.broadcast_to(y, full).copy()
    for g, v, w in zip(
        (gx, gy), (x, y), gg.grad(lambda x, y: f(x, y).sum(), (0, 1))(*wide), strict=True
    ):
        assert g.shape == v.shape
        axes = tuple(range(len(full) - v.ndim))
        folded = w.sum(axis=axes)
        short = tuple(i for i, n in enumerate(v.shape) if n == 1 != folded.shape[i])
        assert_allclose(g, folded.sum(axis=short, keepdims=True) if short else folded)


def test_broadcasting_in_matmul_is_undone():
    x, y = np.ones((2, 1, 3, 4)), np.ones((5, 4, 2))
    gx, gy = gg.grad(lambda x, y: (x @ y).sum(), (0, 1))(x, y)
    assert (gx.shape, gy.shape) == (x.shape, y.shape)
    assert_array_equal(gx, 10.0)
    assert_array_equal(gy, 6.0)


def test_repeated_and_negative_indices():
    x = np.arange(4.0)
    gradient = gg.grad(lambda x: (x[[0, 0, -1, 3, -4]] * np.arange(1.0, 6.0)).sum())(x)
    assert gradient.tolist() == [1 + 2 + 5, 0.0, 0.0, 3 + 4]
    gradient = gg.grad(lambda x: x[np.array([[0, 0], [1, 0]]), [1, 1]].sum())(np.ones((2, 2)))
    assert gradient.tolist() == [[0.0, 3.0], [0.0, 1.0]]
    assert gg.grad(lambda x: x[::-2].sum())(x).tolist() == [0.0, 1.0, 0.0, 1.0]
    assert gg.grad(lambda x: x[x > 1].sum())(x).tolist() == [0.0, 0.0, 1.0, 1.0]


def test_repeated_indices_into_a_gradient_that_has_arrived_before():
    x = gg.Tensor(np.zeros(3), requires_grad=True)
    (x.sum() + x[[1, 1]].sum() + x[gg.Tensor([1, 2])].sum()).backward()
    assert x.grad.tolist() == [1.0, 4.0, 2.0]


@pytest.mark.parametrize("index", [[], np.array([], int), np.zeros(3, bool), slice(0, 0)])
def test_empty_indices(index):
    assert gg.grad(lambda x: x[index].sum())(np.ones(3)).tolist() == [0.0, 0.0, 0.0]
    assert gg.jvp(lambda x: x[index], np.ones(3), np.ones(3))[1].shape == (0,)


def test_ties():
    """Reductions and maximum split evenly; pooling takes the first; kinks have slope 0."""
    x = np.array([2.0, 2.0, 1.0, 2.0])
    assert_allclose(gg.grad(lambda x: x.max())(x), [1 / 3, 1 / 3, 0, 1 / 3])
    assert gg.grad(lambda x, y: gg.maximum(x, y), (0, 1))(1.0, 1.0) == (0.5, 0.5)
    pooled = gg.grad(lambda x: gg.max_pool(x.reshape(1, 4, 1), 4).sum())(x)
    assert pooled.tolist() == [1.0, 0.0, 0.0, 0.0]
    for f in (gg.relu, gg.absolute):
        assert gg.grad(f)(0.0) == 0.0
        assert gg.jvp(f, 0.0, 1.0)[1] == 0.0


def test_a_maximum_that_is_nan_gets_no_gradient():
    x = np.array([[1.0, np.nan], [2.0, 3.0]])
    assert gg.grad(lambda x: x.max(axis=1).sum())(x).tolist() == [[0.0, 0.0], [0.0, 1.0]]


def test_ties_agree_in_both_modes():
    x, v = np.array([1.0, 1.0, 0.0]), np.array([1.0, 3.0, 7.0])
    for f in (lambda x: x.max(), lambda x: gg.max_pool(x.reshape(1, 3, 1), 3).sum()):
        assert_allclose(gg.jvp(f, x, v)[1], gg.grad(f)(x) @ v)


def test_many_ties_in_half_precision():
    gradient = gg.grad(lambda x: x.max())(np.ones(70_000, np.float16))
    assert gradient.dtype == np.float16
    assert_allclose(gradient, 1 / 70_000, rtol=2e-3)


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_where_and_the_side_that_is_not_taken():
    x = np.array([0.0, 4.0])
    assert gg.grad(lambda x: gg.where(x > 0, x, 1 / x).sum())(np.array([2.0, 4.0])).tolist() == [
        1,
        1,
    ]

    def safe(x):
        return gg.where(x > 0, gg.sqrt(gg.where(x > 0, x, 1.0)), 0.0).sum()

    assert gg.grad(safe)(x).tolist() == [0.0, 0.25]
    assert gg.jvp(safe, x, np.ones(2))[1] == 0.25


def test_relu_of_infinity():
    """A mask is no product: 0 × inf would be NaN."""
    gradient = gg.vjp(gg.relu, np.array([-1.0, 1.0]))[1](np.array([np.inf, 2.0]))
    assert gradient.tolist() == [0.0, 2.0]
    assert gg.mask(np.array([np.nan, np.inf, 1.0]), np.array([False, False, True])).tolist() == [
        0.0,
        0.0,
        1.0,
    ]


def test_powers_at_zero():
    for n, first, second in [(0, 0.0, 0.0), (1, 1.0, 0.0), (2, 0.0, 2.0), (3, 0.0, 0.0)]:
        assert gg.grad(lambda x, n=n: x**n)(0.0) == first
        assert gg.grad(gg.grad(lambda x, n=n: x**n))(0.0) == second
    assert gg.grad(lambda y: 0.0**y)(2.0) == 0.0


def test_zero_length_axes():
    x = np.ones((0, 4, 4, 2))
    w = np.ones((3, 3, 2, 5))
    assert gg.grad(lambda w: gg.conv(x, w).sum())(w).tolist() == np.zeros_like(w).tolist()
    assert gg.grad(lambda x: gg.max_pool(x, 2).sum())(x).shape == x.shape
    no_channels = gg.grad(lambda w: gg.conv(np.ones((2, 4, 4, 0)), w).sum())
    assert no_channels(np.ones((3, 3, 0, 5))).shape == (3, 3, 0, 5)
    assert gg.grad(lambda x: (x @ np.ones((0, 3))).sum())(np.ones((2, 0))).shape == (2, 0)
    assert gg.softmax(np.ones((0, 3))).shape == (0, 3)
    assert gg.sum(np.ones((0, 3)), axis=0).tolist() == [0.0, 0.0, 0.0]
    for f in (gg.max, gg.mean):
        with pytest.raises(gg.ShapeError, match="hold no elements"):
            f(np.ones((0, 3)), axis=0)
        assert f(np.ones((0, 3)), axis=1).shape == (0,)


def test_blurring_weighs_like_binomial_coefficients():
    pixel = np.zeros((1, 7, 1))
    pixel[0, 3] = 16
    assert gg.blur_pool(pixel, 3, stride=1).ravel().tolist() == [0, 0, 4, 8, 4, 0, 0]
    assert gg.blur_pool(pixel, 5, stride=1).ravel().tolist() == [0, 16 / 15, 4, 6, 4, 16 / 15, 0]
    square = np.zeros((1, 3, 3, 1))
    square[0, 1, 1] = 16
    assert gg.blur_pool(square, 3, stride=1, padding=1)[0, 0, 0].tolist() == [16 / 9]


def test_half_precision_is_summed_in_single():
    image = np.full((1, 16, 16, 1), 1000, np.float16)
    mean = gg.avg_pool(image, 16)
    assert mean.dtype == np.float16
    assert mean.tolist() == [[[[1000.0]]]]
    assert gg.blur_pool(image, 16, stride=16, padding=0).tolist() == [[[[1000.0]]]]


@pytest.mark.parametrize("count_include_pad", [True, False])
def test_average_pooling_divides_by_one_count(count_include_pad):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 5, 4, 2))

    def f(x):
        return gg.avg_pool(x, 3, stride=2, padding=1, count_include_pad=count_include_pad)

    out, pull = gg.vjp(f, x)
    g = rng.normal(size=out.shape)
    assert_allclose((f(x) * g).sum(), (x * pull(g)).sum())  # it is linear
    if not count_include_pad:
        assert_allclose(f(np.ones_like(x)), 1.0)


def layouts(a):
    wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]))
    wide[..., ::2] = a
    return {
        "fortran": np.asfortranarray(a),
        "backwards": a[::-1].copy()[::-1],
        "every other": wide[..., ::2],
        "big endian": a.astype(a.dtype.newbyteorder(">")),
    }


@pytest.mark.parametrize("kind", ["fortran", "backwards", "every other", "big endian"])
def test_layouts(kind):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 5, 5, 2)), rng.normal(size=(2, 2, 2, 3))

    def f(x, w):
        return (gg.max_pool(gg.conv(x, w), 2) ** 2).sum()

    expected = gg.value_and_grad(f, (0, 1))(x, w)
    value, gradients = gg.value_and_grad(f, (0, 1))(layouts(x)[kind], layouts(w)[kind])
    assert_allclose(value, expected[0])
    for g, e in zip(gradients, expected[1], strict=True):
        assert_allclose(g, e)


def test_saturated_functions_are_finite():
    x = np.array([-1000.0, 0.0, 1000.0])
    for f in (gg.sigmoid, gg.tanh, gg.softmax, gg.log_softmax):
        out, pull = gg.vjp(f, x)
        assert np.isfinite(out).all()
        assert np.isfinite(pull(np.ones(3))).all()
    loss = gg.value_and_grad(lambda x: gg.cross_entropy(x, np.array(0)))(x)
    assert loss[0] == 2000.0
    assert loss[1].tolist() == [-1.0, 0.0, 1.0]
