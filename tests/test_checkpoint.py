"""A checkpoint has exactly the values and derivatives of its function, and keeps no inner graph."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections import namedtuple

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import gradgraph as gg
from gradgraph.nn import Linear
from gradgraph.node import Vertex
from gradgraph.testing import check

RNG = np.random.default_rng(0)
W1, W2 = RNG.normal(size=(4, 6)), RNG.normal(size=(6, 4))
X, Y = RNG.normal(size=(5, 4)), RNG.normal(size=(5, 4))


def leaf(value):
    return gg.Tensor(value, requires_grad=True)


def mixed(x, y):
    """Several ops, one operand read twice, a constant, an op with a kink."""
    h = gg.tanh(x @ W1) @ W2
    return gg.relu(h + x) * y + 2.0


def gradients(f, *values):
    """The value and the gradients of leaves that hold the values."""
    leaves = [leaf(v) for v in values]
    out = f(*leaves)
    (out * np.arange(1.0, out.size + 1).reshape(out.shape)).sum().backward()
    return [out.data, *(x.grad.data for x in leaves)]


def test_values_and_gradients_are_exactly_those_without_it():
    for a, b in zip(gradients(mixed, X, Y), gradients(gg.checkpoint(mixed), X, Y), strict=True):
        assert_array_equal(a, b)


def test_the_graph_holds_one_vertex():
    x, y = leaf(X), leaf(Y)
    out = gg.checkpoint(mixed)(x, y)
    assert out.op.name == "checkpoint"
    assert out.op.title == "mixed"
    assert out.inputs == (x, y)
    assert gg.checkpoint(lambda x: x * x)(x).op.title == "checkpoint"


def test_tensors_that_it_closes_over():
    def run(wrap):
        w, b = leaf(W1), leaf(np.ones(6))
        inner = gg.exp(b)  # computed, not a leaf
        f = wrap(lambda x: gg.tanh(x @ w + inner) * inner)
        x = leaf(X)
        f(x).sum().backward()
        return x.grad.data, w.grad.data, b.grad.data

    for a, b in zip(run(gg.checkpoint), run(lambda f: f), strict=True):
        assert_array_equal(a, b)


def test_modules_and_containers_of_tensors():
    layer = Linear(4, 3, rng=0)
    weights = {"w": leaf(W1), "rest": [leaf(np.ones(6))]}

    def f(x, weights, *, scale):
        return (x @ weights["w"] + weights["rest"][0]) * scale

    gg.checkpoint(f)(X, weights, scale=3.0).sum().backward()
    assert_array_equal(weights["rest"][0].grad.data, np.full(6, 15.0))
    out = gg.checkpoint(layer)(X.astype(np.float32))
    assert out.op.title == "Linear"
    out.sum().backward()
    assert_array_equal(layer.b.grad.data, np.full(3, 5.0))


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize("kind", [tuple, list, lambda parts: Pair(*parts)])
def test_several_results(kind):
    def f(x):
        h = gg.tanh(x)
        return kind([h * x, h + 1.0])

    def total(g):
        def loss(x):
            first, second = g(x)
            return (first * 2.0 + second * Y).sum()

        return loss

    out = gg.checkpoint(f)(leaf(X))
    assert type(out) is type(f(leaf(X)))
    assert out[0].inputs[0] is out[1].inputs[0]
    assert_array_equal(gg.grad(total(gg.checkpoint(f)))(X), gg.grad(total(f))(X))
    only = gg.grad(lambda x: gg.checkpoint(f)(x)[1].sum())(X)
    assert_array_equal(only, gg.grad(lambda x: f(x)[1].sum())(X))


def test_results_that_are_no_part_of_the_graph_pass_through():
    x = leaf(X)
    same, number, constant, twice, again = gg.checkpoint(
        lambda x: (x, 3.0, gg.Tensor(1.0), *([x * 2.0] * 2))
    )(x)
    assert same is x
    assert number == 3.0
    assert constant.op is None
    assert twice is again
    assert gg.checkpoint(lambda: 4)() == 4
    assert isinstance(gg.checkpoint(lambda x: x * 2)(X), np.ndarray)


def test_what_hides_tensors_is_refused():
    with pytest.raises(gg.GradError, match=r"returned a dict, not a tensor\. Return one tensor"):
        gg.checkpoint(lambda x: {"h": x * x})(leaf(X))
    with pytest.raises(gg.GradError, match="returned None"):
        gg.checkpoint(lambda x: None)(leaf(X))
    with pytest.raises(gg.DTypeError, match="int is no function"):
        gg.checkpoint(3)


def test_the_laws_hold_to_second_order():
    assert check(gg.checkpoint(mixed), X, Y, examples=5).verdict == "passed"
    w = leaf(W1)
    assert check(gg.checkpoint(lambda x: gg.tanh(x @ w)), X, examples=5).verdict == "passed"


def test_operators_of_any_order():
    def f(x):
        return (gg.tanh(x) * x * x).sum()

    g = gg.checkpoint(f)
    x, v = RNG.normal(size=3), RNG.normal(size=3)
    for operator in (gg.grad, gg.hessian, gg.jacobian):
        assert_array_equal(operator(g)(x), operator(f)(x))
    for a, b in zip(gg.jvp(g, (x,), (v,)), gg.jvp(f, (x,), (v,)), strict=True):
        assert_array_equal(a, b)
    assert_array_equal(gg.hvp(g, x, v), gg.hvp(f, x, v))
    third = gg.grad(lambda x: gg.hvp(f, x, v).sum())(x)
    np.testing.assert_allclose(gg.grad(lambda x: gg.hvp(g, x, v).sum())(x), third, rtol=1e-12)


def test_jacobians_go_through_in_one_sweep():
    def f(x):
        return gg.tanh(x) * x, gg.exp(x).sum()

    def both(f):
        def joined(x):
            first, second = f(x)
            return gg.concatenate([first, second.reshape(1)])

        return gg.jacobian(joined)(np.array([0.5, -1.0]))

    assert_array_equal(both(gg.checkpoint(f)), both(f))


def test_a_recorded_gradient_can_be_differentiated_and_replayed():
    x, y = leaf(np.array([0.5, 2.0])), leaf(np.array([1.0, 3.0]))
    out = gg.checkpoint(lambda x: gg.tanh(x * y) * x)(x).sum()
    out.backward(create_graph=True)
    first = x.grad
    x.grad = y.grad = None
    (first * first).sum().backward()
    plain = gg.grad(
        lambda x, y: (gg.grad(lambda x: (gg.tanh(x * y) * x).sum())(x) ** 2).sum(), (0, 1)
    )(x.data, y.data)
    np.testing.assert_allclose(x.grad.data, plain[0])
    np.testing.assert_allclose(y.grad.data, plain[1])
    graph = gg.Graph.of(first, inputs=[x, y])
    new = np.array([0.3, -0.4]), np.array([2.0, 0.5])
    again = gg.grad(lambda x: (gg.tanh(x * new[1]) * x).sum())(new[0])
    np.testing.assert_allclose(graph.replay(*new), again)


def test_the_forward_graph_is_replayed():
    x = leaf(X)
    graph = gg.Graph.of(gg.checkpoint(lambda x: gg.tanh(x) * x)(x))
    assert_array_equal(graph.replay(Y), np.tanh(Y) * Y)


def test_a_derivative_inside_is_part_of_it():
    def f(x, c):
        return gg.grad(lambda x: (gg.max_pool(x * x, 2) * gg.tanh(x)[:, ::2, ::2]).sum())(x) * c

    image, c = RNG.normal(size=(1, 4, 4, 1)), RNG.normal(size=(1, 4, 4, 1))
    for a, b in zip(gradients(f, image, c), gradients(gg.checkpoint(f), image, c), strict=True):
        assert_array_equal(a, b)


def test_nested_checkpoints():
    inner = gg.checkpoint(lambda x: gg.tanh(x) * x)
    outer = gg.checkpoint(lambda x, y: inner(inner(x)) * y)
    plain = lambda x, y: (lambda f: f(f(x)) * y)(lambda x: gg.tanh(x) * x)  # noqa: E731
    for a, b in zip(gradients(outer, X, Y), gradients(plain, X, Y), strict=True):
        assert_array_equal(a, b)
    assert check(outer, X, Y, examples=3).verdict == "passed"


def test_random_masks_repeat_and_the_generator_goes_on_once():
    def f(x, rng):
        return gg.dropout(gg.tanh(x), 0.5, rng=rng) * x

    one, two = np.random.default_rng(3), np.random.default_rng(3)
    x, z = leaf(X), leaf(X)
    out, plain = gg.checkpoint(f)(x, one), f(z, two)
    assert_array_equal(out.data, plain.data)
    out.sum().backward()
    plain.sum().backward()
    assert_array_equal(x.grad.data, z.grad.data)
    assert one.random() == two.random()


def test_the_function_runs_once():
    calls = []

    def f(x):
        calls.append(x)
        return gg.exp(x)

    out = gg.checkpoint(f)(leaf(X)).sum()
    out.backward()
    out.backward()
    assert len(calls) == 1


def test_values_from_outside_the_graph_are_constants():
    def f(x):
        return x / np.abs(x.numpy()).max()

    assert_array_equal(gradients(gg.checkpoint(f), X)[1], gradients(f, X)[1])


@pytest.mark.parametrize("tracked", [True, False])
def test_assign_between_the_passes_is_an_error(tracked):
    w = gg.Tensor(3.0, requires_grad=tracked, name="w")
    out = gg.checkpoint(lambda x: gg.tanh(x * w))(leaf(0.5))
    w.assign(4.0)
    with pytest.raises(gg.MutationError, match=r"checkpoint: its input w \(scalar, version 1\)"):
        out.backward()


def test_assign_inside_is_an_error():
    w = leaf(3.0)

    def f(x):
        y = x * w
        w.assign(4.0)
        return y * x

    with pytest.raises(gg.MutationError, match="checkpoint"):
        gg.checkpoint(f)(leaf(0.5)).backward()


def test_leaves_that_it_makes_get_their_gradient():
    made = []

    def f(x):
        made.append(leaf(2.0))
        return x * made[0]

    gg.checkpoint(f)(leaf(5.0)).backward()
    assert made[0].grad.item() == 5.0


def test_the_rules_of_one_operand():
    """The sweeps ask for all operands at once; who asks for one gets the same."""
    op = gg.checkpoint(lambda x, y: (gg.tanh(x) * y, x * x))(leaf(X), leaf(Y))[0].inputs[0].op
    out = np.tanh(X) * Y, X * X
    g, t = (np.ones_like(X), Y), 2 * X
    slope = 1 - np.tanh(X) ** 2
    np.testing.assert_allclose(op.vjp_xs(g, out, 0, X, Y), slope * Y + 2 * X * Y)
    np.testing.assert_allclose(op.vjp_xs(g, out, 1, X, Y), np.tanh(X))
    for i, wanted in enumerate([(t * slope * Y, t * 2 * X), (t * np.tanh(X), 0 * X)]):
        for part, other in zip(op.jvp_xs(t, out, i, X, Y), wanted, strict=True):
            np.testing.assert_allclose(part, other)


def test_flops_are_those_of_its_steps():
    x = leaf(X)
    plain = gg.Graph.of(mixed(x, Y)).flops()
    assert gg.Graph.of(gg.checkpoint(mixed)(x, Y)).flops() == plain


def test_modes():
    x = leaf(X)
    f = gg.checkpoint(lambda x: gg.tanh(x) * x)
    with gg.no_grad():
        assert f(x).op is None
    with gg.capture():
        assert f(x).op.name == "multiply"
    out = f(x).sum()
    with gg.no_grad():
        out.backward()
    assert_array_equal(x.grad.data, gradients(lambda x: (gg.tanh(x) * x).sum(), X)[1])


def test_the_steps_keep_their_scopes():
    def f(x):
        with gg.scope("first"):
            x = gg.tanh(x)
        with gg.scope("second"):
            return x * x

    x = leaf(0.5)
    with gg.scope("net"):
        out = gg.checkpoint(f)(x)
    assert [s.scope for s in out.op.program.steps] == ["net.first", "net.second"]
    out.backward(create_graph=True)
    scopes = {s.scope for s in gg.Graph.of(x.grad).steps}
    assert {"net.first", "net.second"} <= scopes


def test_it_works_in_debug():
    x = leaf(X)
    with gg.debug():
        gg.checkpoint(mixed)(x, Y).sum().backward()
    assert_array_equal(x.grad.data, gradients(lambda x: mixed(x, Y).sum(), X)[1])


def test_float32_stays():
    x = leaf(X.astype(np.float32))
    out = gg.checkpoint(lambda x: gg.tanh(x) * 0.5)(x)
    out.sum().backward()
    assert (out.dtype, x.grad.dtype) == (np.float32, np.float32)


def test_the_inner_graph_is_dropped_at_once():
    inner = []

    def f(x):
        h = gg.tanh(x)
        inner.append(weakref.ref(h))
        return h * h

    gc.collect()
    gc.disable()
    try:
        x = leaf(X)
        before = sum(isinstance(o, Vertex) for o in gc.get_objects())
        out = gg.checkpoint(f)(x)
        assert inner[0]() is None
        out.backward(np.ones_like(X))
        x.grad = None
        del out
        assert sum(isinstance(o, Vertex) for o in gc.get_objects()) == before
    finally:
        gc.enable()


def test_a_chain_of_checkpoints_needs_less_memory():
    def block(x):
        for _ in range(5):
            x = gg.tanh(x) * 1.5
        return x

    def peak(block):
        x = leaf(np.linspace(0, 1, 10_000))
        tracemalloc.start()
        y = x
        for _ in range(10):
            y = block(y)
        y.sum().backward()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most, x.grad.data

    (small, g), (large, h) = peak(gg.checkpoint(block)), peak(block)
    assert_array_equal(g, h)
    assert large > 100 * 80_000  # 50 layers of two arrays each
    assert small < large / 2
