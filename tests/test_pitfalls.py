"""Faults that other engines had, in the order of a list of public reports; each is a test.

A test that stands here carries the number of its fault; others name the file that they stand in.

| # | Fault | Test |
|---|---|---|
| 1 | broadcasting undone wrongly in a VJP, of einsum too | test_01_*, test_sweep::test_fit_* |
| 2 | float32 in, float64 gradient out (max, scalars) | test_02_*, test_tensor::TestDtypes |
| 3 | array changed after forward | test_03_*, test_sweep::test_mutation_* |
| 4 | "float() argument must be…" instead of an explanation | test_04_*, test_errors::test_golden |
| 5 | repeated indices overwrite; negative ones lost; empty scatter | test_05_* |
| 6 | dense zeros for each slice: quadratic time | test_sweep::test_slices_accumulate_in_place |
| 7 | ties: pool and max disagree; tie count in half precision | test_07_* |
| 8 | NaN through the untaken side of `where`; norm at 0; sqrt at 0 | test_08_* |
| 9 | recursion: building, sweeping, freeing, drawing deep graphs | test_memory::test_deep_* |
| 10 | cycles keep memory | test_memory::test_a_dropped_graph_leaves_nothing_to_collect |
| 11 | nested derivatives confuse perturbations | test_11_*, test_transform::TestHigherOrder |
| 12 | backward twice, reused nodes | test_12_*, test_tensor::TestBackward |
| 13 | rule missing found only at run time | test_op_contract |
| 14 | product with zeros | test_14_* |
| 15 | zero-length axes | test_15_*, test_sweep::test_empty_tensors |
| 16 | average pooling divides by two different counts | test_16_* |
| 17 | kernel larger than the image gives an empty result | test_17_* |
| 18 | label out of range: no error | test_18_* |
| 19 | loss of (4,) against (4, 1) broadcasts silently | test_19_* |
| 20 | mode leaks through threads and generators | test_modes |
| 21 | same random numbers in every worker | test_21_* |
| 22 | non-contiguous arrays | test_22_* |
| 24 | loading runs code | test_tensor::test_pickle_refuses_and_says_why |
| 25 | a loss that is NaN passes the anomaly detector | test_debug |
| 26 | checkers that alarm at ties or miss | test_testing, test_mutation |
| 27 | property tests flaky through a deadline | test_27_* |
| 28 | markup in labels, ports, links | test_drawing, test_viz |
| 29 | clipped figures, repeated ids | test_drawing |
| 30 | drawings too large, no names, no folding | test_drawing |
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from numpy.testing import assert_allclose, assert_array_equal

import gradgraph as gg


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1), (1, 3), (4, 1, 1), (4, 2, 3)])
@pytest.mark.parametrize("other", [(4, 2, 3), (2, 3), (1, 1)])
@pytest.mark.parametrize("f", [gg.add, gg.subtract, gg.multiply, gg.divide, gg.maximum])
def test_01_broadcasting_is_undone(shape, other, f):
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


def test_01_broadcasting_in_matmul_is_undone():
    x, y = np.ones((2, 1, 3, 4)), np.ones((5, 4, 2))
    gx, gy = gg.grad(lambda x, y: (x @ y).sum(), (0, 1))(x, y)
    assert (gx.shape, gy.shape) == (x.shape, y.shape)
    assert_array_equal(gx, 10.0)
    assert_array_equal(gy, 6.0)


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("ij,jk->ik", [(1, 3), (3, 4)]),
        ("...i,i...->...", [(2, 1, 3), (3, 4)]),
        ("ii->", [(3, 3)]),
        ("ij->", [(2, 3)]),
        ("i,j->ij", [(1,), (3,)]),
        ("ij,ij->j", [(1, 3), (4, 3)]),
    ],
)
def test_01_broadcasting_in_einsum_is_undone(subscripts, shapes):
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=s) for s in shapes]
    weight = rng.normal(size=np.einsum(subscripts, *xs).shape)

    def f(*xs):
        return (gg.einsum(subscripts, *xs) * weight).sum()

    for i, x in enumerate(xs):
        g = gg.grad(f, i)(*xs)
        assert g.shape == x.shape
        direction = rng.normal(size=x.shape)
        ahead, behind = list(xs), list(xs)
        ahead[i], behind[i] = x + direction, x - direction
        assert_allclose((g * direction).sum(), (f(*ahead) - f(*behind)) / 2, rtol=1e-9)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.max(),
        lambda x: gg.min(x),
        lambda x: (x * 2.0).sum(),
        lambda x: (x * np.float32(2)).sum(),
        lambda x: gg.norm(x),
        lambda x: gg.std(x),
        lambda x: gg.logsumexp(x),
        lambda x: gg.prod(x),
        lambda x: gg.gelu(x).mean(),
        lambda x: gg.einsum("i,i", x, x),
        lambda x: gg.huber_loss(x, np.zeros(3, np.float32)),
        lambda x: gg.layer_norm(x, None, None).sum(),
        lambda x: gg.dropout(x, 0.5, rng=0).sum(),
    ],
)
def test_02_a_gradient_has_the_dtype_of_its_tensor(f):
    x = gg.Tensor(np.array([0.5, -1.0, 2.0], np.float32), requires_grad=True)
    y = f(x)
    assert y.dtype == np.float32
    y.backward()
    assert x.grad.dtype == np.float32
    assert gg.jvp(f, x.detach(), np.ones(3, np.float32))[1].dtype == np.float32


def test_03_an_array_that_is_changed_later_changes_nothing():
    a = np.array([1.0, 2.0])
    x = gg.Tensor(3.0, requires_grad=True)
    y = (x * a).sum()
    a[:] = 100.0
    y.backward()
    assert x.grad.item() == 3.0
    t = gg.Tensor(a)
    a[:] = 7.0
    assert t.tolist() == [100.0, 100.0]


def test_04_a_number_of_several_elements_is_explained():
    with pytest.raises(gg.GradError, match="only one element has a number"):
        float(gg.Tensor([1.0, 2.0]))
    with pytest.raises(gg.GradError, match="detach"):
        np.asarray(gg.Tensor([1.0], requires_grad=True))


def test_05_repeated_and_negative_indices():
    x = np.arange(4.0)
    gradient = gg.grad(lambda x: (x[[0, 0, -1, 3, -4]] * np.arange(1.0, 6.0)).sum())(x)
    assert gradient.tolist() == [1 + 2 + 5, 0.0, 0.0, 3 + 4]
    gradient = gg.grad(lambda x: x[np.array([[0, 0], [1, 0]]), [1, 1]].sum())(np.ones((2, 2)))
    assert gradient.tolist() == [[0.0, 3.0], [0.0, 1.0]]
    assert gg.grad(lambda x: x[::-2].sum())(x).tolist() == [0.0, 1.0, 0.0, 1.0]
    assert gg.grad(lambda x: x[x > 1].sum())(x).tolist() == [0.0, 0.0, 1.0, 1.0]


def test_05_repeated_indices_into_a_gradient_that_has_arrived_before():
    x = gg.Tensor(np.zeros(3), requires_grad=True)
    (x.sum() + x[[1, 1]].sum() + x[gg.Tensor([1, 2])].sum()).backward()
    assert x.grad.tolist() == [1.0, 4.0, 2.0]


@pytest.mark.parametrize("index", [[], np.array([], int), np.zeros(3, bool), slice(0, 0)])
def test_05_empty_indices(index):
    assert gg.grad(lambda x: x[index].sum())(np.ones(3)).tolist() == [0.0, 0.0, 0.0]
    assert gg.jvp(lambda x: x[index], np.ones(3), np.ones(3))[1].shape == (0,)


def test_05_rows_that_are_used_twice_add_up():
    table = np.zeros((4, 2))
    rows = np.array([[1, 1], [3, 1]])
    gradient = gg.grad(lambda t: (gg.embedding(rows, t) * np.arange(8.0).reshape(2, 2, 2)).sum())
    assert gradient(table).tolist() == [[0, 0], [0 + 2 + 6, 1 + 3 + 7], [0, 0], [4, 5]]
    added = gg.put(np.zeros(3), np.array([1, 1, -1]), np.array([1.0, 2.0, 4.0]), add=True)
    assert added.tolist() == [0.0, 3.0, 4.0]
    kept = gg.grad(lambda v: (gg.put(np.zeros(3), [1, 1, -1], v) * 2).sum())(np.ones(3))
    assert kept.tolist() == [0.0, 2.0, 2.0]  # the last one wins, as in numpy
    assert gg.put(np.ones(3), np.array([], int), np.array([]), add=True).tolist() == [1.0] * 3


def test_07_ties():
    """Reductions and maximum split evenly; pooling takes the first; kinks have slope 0."""
    x = np.array([2.0, 2.0, 1.0, 2.0])
    assert_allclose(gg.grad(lambda x: x.max())(x), [1 / 3, 1 / 3, 0, 1 / 3])
    assert gg.grad(lambda x, y: gg.maximum(x, y), (0, 1))(1.0, 1.0) == (0.5, 0.5)
    pooled = gg.grad(lambda x: gg.max_pool(x.reshape(1, 4, 1), 4).sum())(x)
    assert pooled.tolist() == [1.0, 0.0, 0.0, 0.0]
    for f in (gg.relu, gg.absolute):
        assert gg.grad(f)(0.0) == 0.0
        assert gg.jvp(f, 0.0, 1.0)[1] == 0.0


def test_07_a_maximum_that_is_nan_gets_no_gradient():
    x = np.array([[1.0, np.nan], [2.0, 3.0]])
    assert gg.grad(lambda x: x.max(axis=1).sum())(x).tolist() == [[0.0, 0.0], [0.0, 1.0]]


def test_07_ties_agree_in_both_modes():
    x, v = np.array([1.0, 1.0, 0.0]), np.array([1.0, 3.0, 7.0])
    for f in (lambda x: x.max(), lambda x: gg.max_pool(x.reshape(1, 3, 1), 3).sum()):
        assert_allclose(gg.jvp(f, x, v)[1], gg.grad(f)(x) @ v)


def test_07_many_ties_in_half_precision():
    gradient = gg.grad(lambda x: x.max())(np.ones(70_000, np.float16))
    assert gradient.dtype == np.float16
    assert_allclose(gradient, 1 / 70_000, rtol=2e-3)


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_08_where_and_the_side_that_is_not_taken():
    x = np.array([0.0, 4.0])
    assert gg.grad(lambda x: gg.where(x > 0, x, 1 / x).sum())(np.array([2.0, 4.0])).tolist() == [
        1,
        1,
    ]

    def safe(x):
        return gg.where(x > 0, gg.sqrt(gg.where(x > 0, x, 1.0)), 0.0).sum()

    assert gg.grad(safe)(x).tolist() == [0.0, 0.25]
    assert gg.jvp(safe, x, np.ones(2))[1] == 0.25


def test_08_relu_of_infinity():
    """A mask is no product: 0 × inf would be NaN."""
    gradient = gg.vjp(gg.relu, np.array([-1.0, 1.0]))[1](np.array([np.inf, 2.0]))
    assert gradient.tolist() == [0.0, 2.0]
    assert gg.mask(np.array([np.nan, np.inf, 1.0]), np.array([False, False, True])).tolist() == [
        0.0,
        0.0,
        1.0,
    ]


def test_08_powers_at_zero():
    for n, first, second in [(0, 0.0, 0.0), (1, 1.0, 0.0), (2, 0.0, 2.0), (3, 0.0, 0.0)]:
        assert gg.grad(lambda x, n=n: x**n)(0.0) == first
        assert gg.grad(gg.grad(lambda x, n=n: x**n))(0.0) == second
    assert gg.grad(lambda y: 0.0**y)(2.0) == 0.0


def test_08_saturated_functions_are_finite():
    x = np.array([-1000.0, 0.0, 1000.0])
    for f in (gg.sigmoid, gg.tanh, gg.softmax, gg.log_softmax):
        out, pull = gg.vjp(f, x)
        assert np.isfinite(out).all()
        assert np.isfinite(pull(np.ones(3))).all()
    loss = gg.value_and_grad(lambda x: gg.cross_entropy(x, np.array(0)))(x)
    assert loss[0] == 2000.0
    assert loss[1].tolist() == [-1.0, 0.0, 1.0]


@pytest.mark.parametrize("order", [1, 2, 3, np.inf])
def test_08_a_norm_has_a_gradient_at_zero(order):
    assert gg.grad(lambda x: gg.norm(x, order))(np.zeros(3)).tolist() == [0.0, 0.0, 0.0]
    assert np.isfinite(gg.hessian(lambda x: gg.norm(x, order))(np.zeros(2))).all()


def test_08_a_deviation_of_equal_numbers_has_a_gradient():
    assert gg.grad(lambda x: gg.std(x))(np.ones(3)).tolist() == [0.0, 0.0, 0.0]
    assert gg.grad(lambda x: gg.hypot(x[0], x[1]))(np.zeros(2)).tolist() == [0.0, 0.0]
    assert gg.grad(lambda x: gg.normalize(x).sum())(np.zeros(3)).shape == (3,)
    assert gg.grad(lambda x: gg.cosine_similarity(x, np.ones(3)))(np.zeros(3)).tolist() == [0] * 3


def test_11_perturbations_are_not_confused():
    """The derivative of x · d(x + y)/dy by x is 1; engines that confuse the two say 2."""
    f = gg.grad(lambda x: x * gg.grad(lambda y: x + y)(1.0))
    assert f(1.0) == 1.0
    assert gg.jvp(lambda x: x * gg.jvp(lambda y: x + y, 1.0, 1.0)[1], 1.0, 1.0)[1] == 1.0


def test_12_backward_twice_adds_the_same():
    x = gg.Tensor(3.0, requires_grad=True)
    y = x * x
    z = y + y
    z.backward()
    assert x.grad.item() == 12.0
    z.backward()
    assert x.grad.item() == 24.0


def test_14_products_with_zeros():
    for x, wanted in [
        ([2.0, 0.0, 3.0], [0.0, 6.0, 0.0]),
        ([0.0, 0.0, 3.0], [0.0, 0.0, 0.0]),
        ([2.0, 4.0, 3.0], [12.0, 6.0, 8.0]),
    ]:
        assert gg.grad(lambda x: gg.prod(x))(np.array(x)).tolist() == wanted
    second = gg.hessian(lambda x: gg.prod(x))(np.array([0.0, 0.0, 3.0]))
    assert second.tolist() == [[0.0, 3.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    running = gg.grad(lambda x: gg.cumprod(x).sum())(np.array([2.0, 0.0, 3.0]))
    assert running.tolist() == [1.0, 8.0, 0.0]


def test_15_zero_length_axes():
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


def test_16_blurring_weighs_like_binomial_coefficients():
    pixel = np.zeros((1, 7, 1))
    pixel[0, 3] = 16
    assert gg.blur_pool(pixel, 3, stride=1).ravel().tolist() == [0, 0, 4, 8, 4, 0, 0]
    assert gg.blur_pool(pixel, 5, stride=1).ravel().tolist() == [0, 16 / 15, 4, 6, 4, 16 / 15, 0]
    square = np.zeros((1, 3, 3, 1))
    square[0, 1, 1] = 16
    assert gg.blur_pool(square, 3, stride=1, padding=1)[0, 0, 0].tolist() == [16 / 9]


def test_16_half_precision_is_summed_in_single():
    image = np.full((1, 16, 16, 1), 1000, np.float16)
    mean = gg.avg_pool(image, 16)
    assert mean.dtype == np.float16
    assert mean.tolist() == [[[[1000.0]]]]
    assert gg.blur_pool(image, 16, stride=16, padding=0).tolist() == [[[[1000.0]]]]


@pytest.mark.parametrize("count_include_pad", [True, False])
def test_16_average_pooling_divides_by_one_count(count_include_pad):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 5, 4, 2))

    def f(x):
        return gg.avg_pool(x, 3, stride=2, padding=1, count_include_pad=count_include_pad)

    out, pull = gg.vjp(f, x)
    g = rng.normal(size=out.shape)
    assert_allclose((f(x) * g).sum(), (x * pull(g)).sum())  # it is linear
    if not count_include_pad:
        assert_allclose(f(np.ones_like(x)), 1.0)


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("count_include_pad", [True, False])
def test_16_also_where_the_last_window_hangs_over(padding, count_include_pad):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 6, 7, 2))

    def f(x):
        return gg.avg_pool(
            x, 3, stride=2, padding=padding, ceil_mode=True, count_include_pad=count_include_pad
        )

    out, pull = gg.vjp(f, x)
    g = rng.normal(size=out.shape)
    assert_allclose((out * g).sum(), (x * pull(g)).sum())


def test_17_a_kernel_larger_than_the_image():
    for f in (
        lambda: gg.conv(np.ones((1, 2, 2, 1)), np.ones((3, 3, 1, 1))),
        lambda: gg.max_pool(np.ones((1, 2, 2, 1)), 3),
        lambda: gg.avg_pool(np.ones((1, 2, 2, 1)), 3),
        lambda: gg.unfold(np.ones((1, 2, 2, 1)), 3),
    ):
        with pytest.raises(gg.ShapeError):
            f()


def test_18_a_label_out_of_range():
    for f in (gg.cross_entropy, gg.nll_loss):
        for label in (3, -1):
            with pytest.raises(gg.DomainError, match="outside 0 to 2"):
                f(np.zeros((1, 3)), np.array([label]))
    for row in (4, -1):
        with pytest.raises(gg.GradgraphError):
            gg.embedding(np.array([row]), np.zeros((4, 2)))


@pytest.mark.parametrize(
    "loss",
    ["mse_loss", "squared_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "hinge_loss", "kl_div",
     "binary_cross_entropy", "binary_cross_entropy_with_logits"],
)  # fmt: skip
def test_19_a_loss_does_not_broadcast(loss):
    with pytest.raises(gg.ShapeError, match=loss):
        getattr(gg, loss)(np.full(4, 0.5), np.full((4, 1), 0.5))


def test_21_randomness_is_explicit():
    workers = np.random.default_rng(0).spawn(2)
    a, b = (gg.normal(shape=(5,), rng=rng) for rng in workers)
    assert not np.array_equal(np.asarray(a), np.asarray(b))
    with pytest.raises(TypeError):
        gg.dropout(np.ones(3), 0.5)  # no hidden global state


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
def test_22_layouts(kind):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 5, 5, 2)), rng.normal(size=(2, 2, 2, 3))

    def f(x, w):
        return (gg.max_pool(gg.conv(x, w), 2) ** 2).sum()

    expected = gg.value_and_grad(f, (0, 1))(x, w)
    value, gradients = gg.value_and_grad(f, (0, 1))(layouts(x)[kind], layouts(w)[kind])
    assert_allclose(value, expected[0])
    for g, e in zip(gradients, expected[1], strict=True):
        assert_allclose(g, e)


def test_27_no_deadline():
    assert settings.default.deadline is None
