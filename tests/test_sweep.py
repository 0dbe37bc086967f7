"""The two sweeps: sums over paths, what is called and what is not, and refusal after mutation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import gradgraph as gg
from gradgraph import sweep

from . import extra_ops


def leaf(value, **kwargs):
    return gg.Tensor(value, requires_grad=True, **kwargs)


def test_fan_out_sums():
    x = leaf([1.0, 2.0])
    (x * 2 + x * 3 + x * 5 + x).sum().backward()
    assert_array_equal(x.grad.data, [11.0, 11.0])


def test_the_same_tensor_twice_in_one_op():
    x = leaf(3.0)
    (x * x).backward()
    assert x.grad.item() == 6.0
    y = leaf([[1.0, 2.0], [3.0, 4.0]])
    (y @ y).sum().backward()
    expected = np.ones((2, 2)) @ y.data.T + y.data.T @ np.ones((2, 2))
    assert_array_equal(y.grad.data, expected)


def test_diamonds_take_linear_time():
    x = leaf(1.0)
    y = x
    for _ in range(100):  # 2^100 paths
        y = y * 0.5 + y * 0.5
    y.backward()
    assert x.grad.item() == 1.0


def test_a_vertex_waits_for_all_its_consumers():
    x = leaf(2.0)
    early = x * 3
    late = early * early
    for _ in range(10):
        late = late * 1.0
    (early + late).backward()
    assert x.grad.item() == 3 + 2 * 6 * 3


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("fan_out", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("shape", [(), (3,)])
def test_fan_out_keeps_the_dtype(dtype, fan_out, shape):
    x = leaf(np.ones(shape, dtype))
    total = x * 1
    for _ in range(fan_out - 1):
        total = total + x * 1
    assert total.dtype == dtype
    total.sum().backward()
    assert type(x.grad._data) is np.ndarray
    assert x.grad.dtype == dtype
    assert x.grad.shape == shape
    assert_array_equal(x.grad.data, np.full(shape, fan_out))


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
def test_empty_tensors(shape):
    x = leaf(np.empty(shape))
    gg.relu(x * 2 + x).sum().backward()
    assert x.grad.shape == shape
    out, tangent = gg.jvp(lambda x: (x * x).sum(), np.empty(shape), np.empty(shape))
    assert (out.item(), tangent.item()) == (0.0, 0.0)


def test_vjps_that_nobody_needs_are_not_called():
    op, calls = extra_ops.counting()
    image, weight = gg.Tensor(np.ones(3)), leaf(np.ones(3))
    op(image, weight).sum().backward()
    assert calls == ["w"]
    calls.clear()
    gg.grad(lambda x: op(op(x, weight), weight).sum())(np.ones(3))
    assert calls == ["x", "x"]


def test_the_first_convolution_computes_no_gradient_of_the_image(monkeypatch):
    calls = []
    original = gg.ops.conv.__globals__["ConvInput"].forward
    monkeypatch.setattr(
        gg.ops.conv.__globals__["ConvInput"],
        "forward",
        lambda *args: calls.append("image") or original(*args),
    )
    w1, w2 = leaf(np.ones((2, 2, 1, 1))), leaf(np.ones((2, 2, 1, 1)))
    gg.conv(gg.conv(np.ones((1, 5, 5, 1)), w1), w2).sum().backward()
    assert calls == ["image"]  # of the second convolution only


def test_a_tracked_mask_gets_no_gradient_and_stops_nothing():
    w, x = leaf([1.0, 0.0]), leaf([1.0, 2.0])
    gg.where(w, x * 2, 0.0).sum().backward()
    assert w.grad is None
    assert_array_equal(x.grad.data, [2.0, 0.0])
    gg.mask(x * w, w).sum().backward()
    assert_array_equal(w.grad.data, [1.0, 0.0])
    _, t = gg.jvp(lambda w: gg.where(w, w * 3, 0.0), w.numpy(), np.ones(2))
    assert_array_equal(t, [3.0, 0.0])


def test_a_tangent_that_reaches_only_a_mask_is_zero():
    out, t = gg.jvp(lambda w: gg.where(w, 1.0, 0.0) + w.sum() * 0, np.array([1.0, 0.0]), np.ones(2))
    assert out.tolist() == [1.0, 0.0]
    assert t.tolist() == [0.0, 0.0]


def by_parts(op, x):
    s, c = op(x)
    return s * s * c + x * s


def closed(x):
    return np.sin(x) ** 2 * np.cos(x) + x * np.sin(x)


def closed1(x):
    s, c = np.sin(x), np.cos(x)
    return 2 * s * c * c - s**3 + s + x * c


def closed2(x):
    s, c = np.sin(x), np.cos(x)
    return 2 * c**3 - 7 * s * s * c + 2 * c - x * s


@pytest.mark.parametrize("x", [np.array(0.3), np.array([0.3, -0.7, 1.1])])
def test_several_outputs(x):
    op = extra_ops.sin_cos()

    def f(x):
        return by_parts(op, x)

    out, pull = gg.vjp(f, x)
    assert_allclose(out, closed(x))
    assert_allclose(pull(np.ones_like(x)), closed1(x))
    assert_allclose(gg.jvp(f, x, np.ones_like(x))[1], closed1(x))
    diagonal = np.diag(closed1(x)) if x.ndim else closed1(x)
    assert_allclose(gg.jacobian(f)(x), diagonal, atol=1e-15)
    second = np.diag(closed2(x)) if x.ndim else closed2(x)
    assert_allclose(gg.hessian(lambda x: f(x).sum())(x), second, atol=1e-14)
    assert_allclose(gg.jvp(gg.grad(lambda x: f(x).sum()), x, np.ones_like(x))[1], closed2(x))
    t = leaf(x)
    f(t).sum().backward()
    assert_allclose(t.grad.data, closed1(x))


def test_one_of_several_outputs():
    op = extra_ops.sin_cos()
    x = np.array([0.3, 0.9])
    assert_allclose(gg.grad(lambda x: op(x)[1].sum())(x), -np.sin(x))
    assert_allclose(gg.grad(gg.grad(lambda x: op(x)[1]))(0.3), -np.cos(0.3))
    assert_allclose(gg.jacobian(lambda x: op(x)[0])(x), np.diag(np.cos(x)))
    thrice = gg.jacobian(lambda x: gg.concatenate([op(x)[0], op(x)[1][:1]]))(x)
    assert_allclose(thrice, [[np.cos(0.3), 0], [0, np.cos(0.9)], [-np.sin(0.3), 0]], atol=1e-15)


def test_outputs_of_arrays_and_of_untracked_tensors():
    op = extra_ops.sin_cos()
    s, c = op(np.array(0.3))
    assert (s, c) == (np.sin(0.3), np.cos(0.3))
    s, c = op(gg.Tensor(0.3))
    assert s.op is None
    assert c.item() == np.cos(0.3)


@pytest.mark.parametrize("x", [np.array(0.4), np.array([0.4, -1.2])])
def test_hidden_outputs_have_derivatives_of_every_order(x):
    f = extra_ops.x_exp()
    ones = np.ones_like(x)
    e = np.exp(x)
    assert_allclose(f(x), x * e)
    assert_allclose(gg.grad(lambda x: f(x).sum())(x), (x + 1) * e)
    assert_allclose(gg.jvp(f, x, ones)[1], (x + 1) * e)
    total = gg.grad(lambda x: f(x).sum())
    assert_allclose(gg.jvp(total, x, ones)[1], (x + 2) * e)
    assert_allclose(gg.grad(lambda x: total(x).sum())(x), (x + 2) * e)
    third = gg.jvp(gg.grad(lambda x: gg.jvp(f, x, gg.Tensor(ones))[1].sum()), x, ones)[1]
    assert_allclose(third, (x + 3) * e)
    jacobian = gg.jacobian(f)(x)
    assert_allclose(jacobian, np.diag((x + 1) * e) if x.ndim else (x + 1) * e)


def test_saved_masks_reach_every_rule():
    op = extra_ops.leaky()
    x = np.array([1.0, -2.0, 3.0])
    slope = np.array([1.0, 0.1, 1.0])
    assert_array_equal(gg.grad(lambda x: op(x).sum())(x), slope)
    assert_array_equal(gg.jvp(op, x, np.ones(3))[1], slope)
    assert_array_equal(gg.jacobian(op)(x), np.diag(slope))
    assert_allclose(gg.hessian(lambda x: (op(x) * op(x)).sum())(x), 2 * np.diag(slope**2))
    assert op(x).shape == (3,)


def test_slices_accumulate_in_place(monkeypatch):
    """n slices of one array: n additions into one buffer, not n arrays of zeros."""
    sizes = []

    def counted(original):
        def make(*args, **kwargs):
            array = original(*args, **kwargs)
            sizes.append(array.size)
            return array

        return make

    n = 10_000
    x = leaf(np.arange(float(n)))
    total = x[0] * 1.0
    for i in range(1, n):
        total = total + x[i] * 2.0
    for name in ("zeros", "zeros_like", "empty_like", "array"):
        monkeypatch.setattr(np, name, counted(getattr(np, name)))
    total.backward()
    monkeypatch.undo()
    assert_array_equal(x.grad.data, [1.0] + [2.0] * (n - 1))
    assert sum(size == n for size in sizes) <= 3


def test_slices_of_a_tensor_with_other_uses():
    x = leaf(np.arange(4.0))
    z = x * 1.0
    (z.sum() + (z[1:3] * 10).sum() + (z * 2).sum() + z[[0, 0]].sum()).backward()
    assert_array_equal(x.grad.data, [5.0, 13.0, 13.0, 3.0])


def test_the_callers_cotangent_is_never_written_to():
    seed = np.ones(3)
    x = leaf(np.zeros(3))
    y = x * 1.0
    out = y + y + y[0:3] + y
    out.backward(seed)
    assert_array_equal(seed, 1.0)
    assert_array_equal(x.grad.data, 4.0)


@pytest.mark.parametrize("sweep_", ["pull", "create_graph", "push"])
def test_mutation_after_forward(sweep_):
    w = leaf([1.0, 2.0], name="dense.w")
    x = leaf([3.0, 4.0])
    y = (x * w).sum()
    w.assign([10.0, 20.0])
    run = {
        "pull": y.backward,
        "create_graph": lambda: y.backward(create_graph=True),
        "push": lambda: sweep.push(sweep.reach([y]), [(x, np.ones(2))]),
    }
    with pytest.raises(gg.MutationError, match=r"dense\.w \(\(2,\), version 1\)"):
        run[sweep_]()
    assert x.grad is None


def test_mutation_of_a_constant_operand():
    mean = gg.Tensor(1.0, name="mean")
    x = leaf(2.0)
    y = x * mean
    mean.assign(5.0)
    with pytest.raises(gg.MutationError, match="mean"):
        y.backward()


@pytest.mark.parametrize(
    "f",
    [
        lambda w: gg.exp(w),
        lambda w: w * 2.0,
        lambda w: w[0],
        lambda w: gg.concatenate([w, w]),
        lambda w: gg.softmax(w),
    ],
)
def test_mutation_is_seen_by_ops_of_every_arity(f):
    w = leaf([1.0, 2.0])
    y = f(w).sum()
    y.backward()
    w.assign(0.0)
    with pytest.raises(gg.MutationError):
        y.backward()
    f(w).sum().backward()


def test_a_sweep_before_the_mutation_is_fine():
    w = leaf(2.0)
    loss = w * w
    loss.backward()
    w.assign(w.data - 0.1 * w.grad.data)
    assert_allclose(w.item(), 1.6)
    w.grad = None
    (w * w).backward()
    assert_allclose(w.grad.item(), 3.2)


def test_a_sweep_that_does_not_pass_the_mutated_vertex_is_fine():
    w, x = leaf(2.0), leaf(3.0)
    stale = w * w
    y = x * x
    w.assign(0.0)
    y.backward()
    assert x.grad.item() == 6.0
    with pytest.raises(gg.MutationError):
        (stale + y).backward()


BINARY = {
    "add": (lambda a, b: a + b, lambda a, b: (1.0, 1.0)),
    "subtract": (lambda a, b: a - b, lambda a, b: (1.0, -1.0)),
    "multiply": (lambda a, b: a * b, lambda a, b: (b, a)),
    "maximum": (gg.maximum, lambda a, b: ((a > b) + 0.5 * (a == b), (b > a) + 0.5 * (a == b))),
}
UNARY = {
    "negative": (lambda a: -a, lambda a: -1.0),
    "tanh": (gg.tanh, lambda a: 1 - np.tanh(a) ** 2),
    "sin": (gg.sin, lambda a: np.cos(a)),
    "relu": (gg.relu, lambda a: float(a > 0)),
}


@st.composite
def dags(draw):
    """A random DAG: values of the leaves, and ops with the places that they read."""
    leaves = draw(st.lists(st.sampled_from([-1.5, -0.5, 0.0, 0.25, 1.0]), min_size=1, max_size=3))
    steps = []
    for i in range(draw(st.integers(1, 14))):
        place = st.integers(0, len(leaves) + i - 1)
        if draw(st.booleans()):
            steps.append((draw(st.sampled_from(sorted(BINARY))), (draw(place), draw(place))))
        else:
            steps.append((draw(st.sampled_from(sorted(UNARY))), (draw(place),)))
    return leaves, steps


def naive(leaves, steps):
    """Values, and the gradient of the last one: floats and a dictionary, nothing else."""
    values = list(leaves)
    for name, places in steps:
        f = (BINARY if len(places) == 2 else UNARY)[name][0]
        values.append(float(f(*(np.float64(values[p]) for p in places))))
    slopes = dict.fromkeys(range(len(values)), 0.0)
    slopes[len(values) - 1] = 1.0
    for i, (name, places) in reversed(list(enumerate(steps, len(leaves)))):
        partials = (BINARY if len(places) == 2 else UNARY)[name][1](*(values[p] for p in places))
        for p, d in zip(places, partials if len(places) == 2 else [partials], strict=True):
            slopes[p] += slopes[i] * float(d)
    return values[-1], [slopes[i] for i in range(len(leaves))]


def build(leaves, steps):
    values = list(leaves)
    for name, places in steps:
        f = (BINARY if len(places) == 2 else UNARY)[name][0]
        values.append(f(*(values[p] for p in places)))
    return values[-1]


@given(dags(), st.sampled_from([(), (1,), (2, 3)]))
def test_random_graphs(dag, shape):
    leaves, steps = dag
    value, slopes = naive(leaves, steps)
    tensors = [leaf(np.full(shape, v)) for v in leaves]
    out = build(tensors, steps)
    assert_allclose(out.data, value, rtol=1e-12, atol=1e-12)
    out.backward(np.ones(shape))
    for t, slope in zip(tensors, slopes, strict=True):
        got = np.zeros(shape) if t.grad is None else t.grad.data
        assert_allclose(got, slope, rtol=1e-10, atol=1e-12)
        assert got.shape == shape
    for i, slope in enumerate(slopes):
        tangents = tuple(np.full(shape, float(i == j)) for j in range(len(leaves)))
        _, t = gg.jvp(
            lambda *xs: build(xs, steps), tuple(np.full(shape, v) for v in leaves), tangents
        )
        assert_allclose(t, slope, rtol=1e-10, atol=1e-12)


@given(dags())
def test_random_graphs_recorded(dag):
    leaves, steps = dag
    _, slopes = naive(leaves, steps)
    tensors = [leaf(v) for v in leaves]
    build(tensors, steps).backward(create_graph=True)
    for t, slope in zip(tensors, slopes, strict=True):
        assert_allclose(0.0 if t.grad is None else t.grad.item(), slope, rtol=1e-10, atol=1e-12)
        t.grad = None


def test_birth_is_a_topological_order():
    x = leaf([1.0, 2.0])
    y = gg.softmax(x * x + 1)
    order = sweep.reach([y.sum()])
    assert [v.birth for v in order] == sorted(v.birth for v in order)
    for v, u in itertools.product(order, order):
        if any(u is x for x in v.inputs):
            assert u.birth < v.birth


def test_fit_undoes_broadcasting_on_tensors_and_rows():
    like = np.zeros((2, 1), np.float32)
    assert sweep.fit(np.ones((4, 2, 3)), like).tolist() == [[12.0], [12.0]]
    assert sweep.fit(np.ones((5, 2, 3)), like, rows=5).shape == (5, 2, 1)
    tensor = sweep.fit(gg.Tensor(np.ones((4, 2, 3))), like)
    assert isinstance(tensor, gg.Tensor)
    assert (tensor.shape, tensor.dtype) == ((2, 1), np.float32)
    assert sweep.fit(2.0, np.zeros(())).shape == ()
