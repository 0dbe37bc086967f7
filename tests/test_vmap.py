"""vmap equals the loop, for values and for derivatives inside and outside of it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import gradgraph as gg
from gradgraph import nn
from gradgraph.draw import Draw

OPS = [cls for name, cls in sorted(gg.Op.registry.items()) if name not in ("part", "custom")]
RNG = np.random.default_rng(0)


def loop(f, in_axes, *args):
    """f applied to one example after the other."""
    sizes = [a.shape[ax] for a, ax in zip(args, in_axes, strict=True) if ax is not None]
    each = [
        f(*(a if ax is None else np.take(a, i, ax) for a, ax in zip(args, in_axes, strict=True)))
        for i in range(sizes[0])
    ]
    if isinstance(each[0], tuple):
        return tuple(np.stack(parts) for parts in zip(*each, strict=True))
    return np.stack(each)


def close(found, wanted):
    pairs = zip(found, wanted, strict=True) if isinstance(wanted, tuple) else [(found, wanted)]
    for a, b in pairs:
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cls", OPS, ids=lambda cls: cls.name)
def test_every_op(cls):
    """Each float argument mapped alone, all of them, and all arguments, against the loop."""
    for seed in range(12):
        op, args = cls.sample(Draw.seeded(seed))
        args = [np.asarray(a) for a in args]
        masks = any(a.dtype == bool for a in args) and cls.name in ("getitem", "scatter")
        floats = [i for i, a in enumerate(args) if a.dtype.kind == "f"]
        choices = [{i} for i in floats] + [set(floats), set(range(len(args)))]
        for chosen in choices:
            if not chosen or (masks and chosen - set(floats)):
                continue
            axes = tuple(0 if i in chosen else None for i in range(len(args)))
            batch = [
                np.stack([_varied(a, k) for k in range(3)]) if i in chosen else a
                for i, a in enumerate(args)
            ]
            close(gg.vmap(op, axes)(*batch), loop(op, axes, *batch))


def _varied(a, k):
    """Another valid argument of the same shape."""
    return a * (1 + 0.01 * k) if a.dtype.kind == "f" else a


def test_gradients_of_each_example():
    w, xs, ys = RNG.normal(size=(4, 3)), RNG.normal(size=(7, 4)), RNG.integers(0, 3, 7)

    def loss(w, x, y):
        return gg.cross_entropy(x @ w, y)

    for f in (gg.grad(loss), gg.value_and_grad(loss), gg.grad(loss, (0, 1))):
        axes = (None, 0, 0)
        close(gg.vmap(f, axes)(w, xs, ys), loop(f, axes, w, xs, ys))


def test_gradients_of_each_example_of_a_network():
    w, v, xs = (
        RNG.normal(size=(3, 3, 1, 4)),
        RNG.normal(size=(36, 2)),
        RNG.normal(size=(5, 8, 8, 1)),
    )

    def loss(w, v, x):
        maps = gg.max_pool(gg.relu(gg.conv(x[None], w)), 2)
        return gg.cross_entropy(maps.reshape(1, -1) @ v, np.array([1]))

    f = gg.grad(loss, (0, 1))
    close(gg.vmap(f, (None, None, 0))(w, v, xs), loop(f, (None, None, 0), w, v, xs))


def test_hessians_and_jacobians_of_each_example():
    xs = RNG.normal(size=(6, 3))

    def f(x):
        return (gg.tanh(x) ** 3).sum() * x[0]

    close(gg.vmap(gg.hessian(f))(xs), loop(gg.hessian(f), (0,), xs))
    g = gg.jacobian(lambda x: gg.softmax(x * 2))
    close(gg.vmap(g)(xs), loop(g, (0,), xs))

    def h(x):
        return gg.jvp(f, x, np.ones(3))[1]

    close(gg.vmap(h)(xs), loop(h, (0,), xs))


def test_axes():
    a, b = RNG.normal(size=(4, 5)), RNG.normal(size=(3, 4))
    f = gg.vmap(lambda a, b: (a * 2, a.sum() + b), in_axes=(1, None), out_axes=(-1, 0))
    doubled, sums = f(a, b)
    assert_allclose(doubled, a * 2)
    assert_allclose(sums, a.sum(0)[:, None, None] + b)
    assert_allclose(gg.vmap(lambda a: a.sum(), in_axes=-1)(a), a.sum(0))


def test_nested():
    a, b = RNG.normal(size=(4, 5)), RNG.normal(size=(3, 5))
    products = gg.vmap(gg.vmap(lambda a, b: (a * b).sum(), (None, 0)), (0, None))(a, b)
    assert_allclose(products, a @ b.T)


def test_differentiated():
    w, xs = RNG.normal(size=(4, 3)), RNG.normal(size=(7, 4))

    def looped(w):
        return (gg.tanh(gg.Tensor(xs) @ w).sum(axis=1) ** 2).sum()

    def mapped(w):
        return (gg.vmap(lambda x: gg.tanh(x @ w).sum())(xs) ** 2).sum()

    assert_allclose(gg.grad(mapped)(w), gg.grad(looped)(w))
    assert_allclose(gg.hessian(mapped)(w), gg.hessian(looped)(w), atol=1e-10)
    net = nn.Linear(4, 3, rng=0)
    x32 = xs.astype(np.float32)
    gg.vmap(net)(x32[:, None]).sum().backward()
    found = net.w.grad.numpy()
    net.zero_grad()
    net(gg.Tensor(x32)).sum().backward()
    assert_allclose(found, net.w.grad.data, rtol=1e-5)


def test_choices_by_value_are_made_for_each_example():
    xs = np.array([1.0, -2.0, 3.0])
    assert gg.vmap(lambda x: gg.where(x > 0, x, -10 * x))(xs).tolist() == [1.0, 20.0, 3.0]
    assert gg.vmap(gg.grad(lambda x: gg.where(x > 0, x, -10 * x)))(xs).tolist() == [1, -10, 1]
    with pytest.raises(gg.GradError, match="instead of if"):
        gg.vmap(lambda x: x if x > 0 else -x)(xs)


def test_indices_of_each_example():
    table, rows = RNG.normal(size=(5, 2)), np.array([[0, 4], [1, 1], [-1, 0]])
    f = gg.grad(lambda t, i: (t[i] ** 2).sum())
    close(gg.vmap(f, (None, 0))(table, rows), loop(f, (None, 0), table, rows))


def test_no_examples():
    assert gg.vmap(lambda x: gg.softmax(x) @ np.ones((4, 2)))(np.zeros((0, 4))).shape == (0, 2)
    images = np.zeros((0, 1, 6, 6, 1))
    w = np.ones((3, 3, 1, 2))
    assert gg.vmap(lambda x: gg.max_pool(gg.conv(x, w), 2))(images).shape == (0, 1, 2, 2, 2)


def test_results_that_depend_on_no_example():
    doubled, ones, number = gg.vmap(lambda x: (x * 2, np.ones(2), 3.0))(np.arange(3.0))
    assert (doubled.tolist(), ones.shape, number.tolist()) == ([0, 2, 4], (3, 2), [3.0, 3.0, 3.0])


def test_checkpoints():
    def f(x):
        return gg.sin(x) * x

    x = np.arange(3.0)
    assert_array_equal(gg.vmap(gg.checkpoint(f))(x), f(x))
    assert_array_equal(gg.vmap(gg.grad(gg.checkpoint(f)))(x), gg.grad(lambda x: f(x).sum())(x))
    pair = gg.vmap(gg.checkpoint(lambda x: (f(x), x * 2)))(x)
    assert_array_equal(pair, (f(x), x * 2))
    with pytest.raises(gg.GradError, match="are not known"):
        gg.vmap(lambda x: x * float(gg.checkpoint(f)(x)))(x)


def test_a_function_of_ones_need_not_be_finite():
    assert gg.vmap(gg.custom(lambda x: np.log(x - 1)))(np.array([2.0])).tolist() == [0.0]


def test_axes_may_be_integers_of_numpy():
    found = gg.vmap(gg.sin, np.int64(0), np.int64(1))(np.ones((2, 3)))
    assert found.shape == (3, 2)


def test_arrays_in_arrays_out():
    assert isinstance(gg.vmap(gg.sin)(np.ones(3)), np.ndarray)
    assert isinstance(gg.vmap(gg.sin)(gg.Tensor(np.ones(3))), gg.Tensor)
    w = gg.Tensor(2.0, requires_grad=True)
    assert gg.vmap(lambda x: x * w)(np.ones(3)).requires_grad  # an array could not remember it


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: gg.vmap(gg.add)(np.ones(3), np.ones(4)), gg.ShapeError, "argument 1 has 4"),
        (lambda: gg.vmap(gg.sin)(1.0), gg.ShapeError, "one number"),
        (lambda: gg.vmap(gg.sin, 2)(np.ones((2, 3))), gg.ShapeError, "axis 2 is out of range"),
        (lambda: gg.vmap(gg.sin, None)(np.ones(3)), gg.DTypeError, "no argument"),
        (lambda: gg.vmap(gg.sin, (0, 0))(np.ones(3)), gg.DTypeError, "for 1 arguments"),
        (lambda: gg.vmap(gg.sin, "x")(np.ones(3)), gg.DTypeError, "in_axes is 'x'"),
        (lambda: gg.vmap(gg.sin, 0, (0, 1))(np.ones(3)), gg.DTypeError, "for 1 results"),
        (lambda: gg.vmap(gg.sin, 0, True)(np.ones(3)), gg.DTypeError, "out_axes is True"),
        (lambda: gg.vmap(gg.sin, 0, 2)(np.ones(3)), gg.ShapeError, "vmap: axis 2 is out of range"),
        (lambda: gg.vmap(lambda x: None)(np.ones(3)), gg.GradError, "returned NoneType"),
        (lambda: gg.vmap(3), gg.DTypeError, "int is no function"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_checkpoints_that_save_places():
    def f(x):
        h = gg.max_pool(gg.tanh(x * x)[None, :, None], 2)  # saves the places of its winners
        return h.sum() * x, gg.exp(x).sum()

    def scalar(pair):
        return lambda x: (pair(x)[0] * pair(x)[1]).sum()

    x = RNG.normal(size=(3, 4))
    block = gg.checkpoint(f)
    close(tuple(np.asarray(r) for r in gg.vmap(block)(x)), loop(f, (0,), x))
    for order in (gg.grad, gg.hessian):
        close(np.asarray(gg.vmap(order(scalar(block)))(x)), loop(order(scalar(f)), (0,), x))
    outside = gg.grad(lambda x: sum(r.sum() for r in gg.vmap(block)(x)))
    close(outside(x), gg.grad(lambda x: sum(r.sum() for r in gg.vmap(f)(x)))(x))


def test_casts_to_integers():
    close(
        gg.vmap(lambda x: gg.cast(x * 3, int))(np.arange(3.0)),
        np.array([0, 3, 6]),
    )
