"""Deep graphs without recursion; graphs that are freed at once, by reference counting."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import gradgraph as gg
from gradgraph.node import Vertex


def leaf(value):
    return gg.Tensor(value, requires_grad=True)


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def live():
    return sum(isinstance(o, Vertex) for o in gc.get_objects())


def chain(x, length):
    for i in range(length):
        x = x * 1.0 if i % 2 else x + 0.0
    return x


@pytest.mark.parametrize("length", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_deep_chains(length, no_collector):
    before = live()
    x = leaf(np.ones(2))
    y = chain(x, length)
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]
    del y
    _, t = gg.jvp(lambda x: chain(x, length), np.ones(2), np.array([1.0, 2.0]))
    assert t.tolist() == [1.0, 2.0]
    del x
    assert live() == before


def test_deep_recorded_sweeps():
    gradient = gg.grad(lambda x: gg.grad(lambda x: chain(x, 5000) * x)(x))(3.0)
    assert gradient == 2.0


def test_deep_graphs_are_replayed():
    graph = gg.Graph.of(chain(leaf(1.0), 20_000))
    assert graph.replay(2.0) == 2.0


def test_a_deep_chain_of_parts_and_slices_is_freed():
    x = leaf(np.ones(3))
    y = x
    for _ in range(20_000):
        y = gg.concatenate([y[1:], y[:1]])
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 1.0]


def network():
    rng = np.random.default_rng(0)
    shapes = [(3, 3, 1, 4), (4,), (16, 10)]
    return [leaf(rng.normal(size=s).astype(np.float32) * 0.3) for s in shapes]


IMAGES = np.random.default_rng(1).normal(size=(8, 4, 4, 1)).astype(np.float32)
LABELS = np.arange(8)


def loss_of(w, b, v):
    h = gg.max_pool(gg.relu(gg.conv(IMAGES, w, b, padding="same")), 2)
    return gg.cross_entropy(h.reshape(8, -1) @ v, LABELS)


def step(parameters):
    loss = loss_of(*parameters)
    loss.backward()
    for p in parameters:
        p.assign(p.data - 0.05 * p.grad.data)
        p.grad = None
    return loss.item()


def test_training_keeps_the_number_of_tensors_flat(no_collector):
    parameters = network()
    first = step(parameters)
    counts = set()
    for i in range(300):
        last = step(parameters)
        if i % 50 == 0:
            counts.add(live())
    assert len(counts) == 1
    assert last < first


def test_a_dropped_graph_leaves_nothing_to_collect(no_collector):
    parameters = network()
    step(parameters)
    before = live()
    loss = loss_of(*parameters)
    inner = weakref.ref(loss.inputs[0])
    loss.backward()
    assert inner() is not None
    del loss
    assert inner() is None
    for p in parameters:
        p.grad = None
    assert live() == before
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        assert not [o for o in gc.garbage if isinstance(o, Vertex | np.ndarray)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


@pytest.mark.parametrize(
    "operator",
    [
        lambda f, x: gg.value_and_grad(f)(x),
        lambda f, x: gg.vjp(f, x)[1](np.ones(())),
        lambda f, x: gg.jvp(f, x, np.ones(3)),
        lambda f, x: gg.hvp(f, x, np.ones(3)),
        lambda f, x: gg.jacobian(f)(x),
        lambda f, x: gg.hessian(f)(x),
    ],
)
@pytest.mark.parametrize("wrap", [np.array, gg.Tensor])
def test_operators_leave_nothing_behind(operator, wrap, no_collector):
    def f(x):
        return (gg.exp(x) * x[::2].sum()).sum()

    x = wrap([1.0, 2.0, 3.0])
    before = live()
    result = operator(f, x)
    del result
    assert live() == before


def test_errors_leave_nothing_behind(no_collector):
    before = live()
    for _ in range(5):
        x = leaf(np.ones((2, 3)))
        with pytest.raises(gg.ShapeError):
            gg.relu(x * 2) @ np.ones((2, 3))
        with gg.no_grad(), pytest.raises(gg.GradError):
            (x * 2).backward()
    del x
    gc.collect()  # the test runner keeps tracebacks in cycles
    assert live() == before


def test_create_graph_is_freed_when_the_gradients_are_dropped(no_collector):
    x = leaf([1.0, 2.0])
    before = live()
    (x**3).sum().backward(create_graph=True)
    assert live() > before
    x.grad = None
    assert live() == before


def test_a_suspended_generator_keeps_no_graph(no_collector):
    def batches():
        with gg.no_grad():
            while True:
                yield leaf(np.ones(3)) * 2

    before = live()
    generator = batches()
    next(generator)
    next(generator)
    generator.close()
    assert live() == before
