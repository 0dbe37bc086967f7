"""Optimisers."""

from __future__ import annotations

import numpy as np
import pytest

import gradgraph as gg
from gradgraph.node import leaf
from gradgraph.optim import BLOCK, SGD, Optimizer

SETTINGS = [
    {},
    {"weight_decay": 0.1},
    {"momentum": 0.9},
    {"momentum": 0.9, "weight_decay": 0.1},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
]


def by_the_formula(w, gradient, steps, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
    """The update rule in float64, one array at a time."""
    w = np.array(w, float)
    v = np.zeros_like(w)
    for _ in range(steps):
        g = gradient(w) + weight_decay * w
        v = momentum * v + g
        w = w - lr * (g + momentum * v if nesterov else v)
    return w


def minimise(w, optimizer, loss, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        loss(w).backward()
        optimizer.step()


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("shape", [(3, 4), (), (0,), (2 * BLOCK + 5,)])
def test_a_hundred_steps_follow_the_formula(settings, shape):
    rng = np.random.default_rng(0)
    start, curve = rng.normal(size=shape), rng.uniform(0.2, 2, size=shape)
    w = gg.Tensor(start, requires_grad=True)
    steps = 100 if start.size < 100 else 5
    minimise(w, SGD([w], lr=0.05, **settings), lambda w: (curve * w * w).sum(), steps)
    expected = by_the_formula(start, lambda w: 2 * curve * w, steps, 0.05, **settings)
    assert np.allclose(w.data, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("settings", SETTINGS)
def test_float32_stays_float32(settings):
    w = gg.Tensor(np.array([1.0, -2.0], np.float32), requires_grad=True)
    optimizer = SGD([w], lr=np.float64(0.05), **settings)
    minimise(w, optimizer, lambda w: (w * w).sum(), 100)
    assert w.dtype == np.float32
    assert type(optimizer.lr) is float
    expected = by_the_formula([1.0, -2.0], lambda w: 2 * w, 100, 0.05, **settings)
    assert np.allclose(w.data, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("settings", SETTINGS)
def test_memory_layout_does_not_matter(settings):
    start = np.asfortranarray(np.random.default_rng(0).normal(size=(3, 5)))
    w = gg.Tensor(start, requires_grad=True)
    minimise(w, SGD([w], lr=0.05, **settings), lambda w: (w * w).sum(), 3)
    expected = by_the_formula(start, lambda w: 2 * w, 3, 0.05, **settings)
    assert np.allclose(w.data, expected, rtol=1e-12)


def test_steps_are_in_place_but_never_seen_from_outside():
    w = gg.Tensor(np.ones(4), requires_grad=True)
    optimizer = SGD([w], lr=0.1, momentum=0.9)
    minimise(w, optimizer, lambda w: (w * w).sum(), 1)
    buffers = id(w._data), id(optimizer.velocity[0]._data)
    minimise(w, optimizer, lambda w: (w * w).sum(), 3)
    assert (id(w._data), id(optimizer.velocity[0]._data)) == buffers
    seen = w.data
    before = seen.copy()
    minimise(w, optimizer, lambda w: (w * w).sum(), 1)
    assert np.array_equal(seen, before)
    assert not np.array_equal(w.data, before)


def test_gradients_are_not_changed():
    w = gg.Tensor([1.0, 2.0], requires_grad=True)
    (w * w).sum().backward()
    SGD([w], lr=0.1, momentum=0.9, weight_decay=0.5).step()
    assert np.array_equal(w.grad.data, [2.0, 4.0])


def test_a_parameter_without_gradient_is_left_alone():
    used, unused = (gg.Tensor(1.0, requires_grad=True) for _ in range(2))
    optimizer = SGD([used, unused], lr=0.1, momentum=0.9, weight_decay=0.5)
    (used * 2).backward()
    optimizer.step()
    assert used.item() != 1.0
    assert unused.item() == 1.0
    assert unused.version == 0


def test_velocities_belong_to_their_parameters():
    a, b = (gg.Tensor(np.zeros(n), requires_grad=True) for n in (2, 3))
    optimizer = SGD([a, b], lr=1.0, momentum=0.5)
    b.sum().backward()
    optimizer.step()
    assert [v.tolist() for v in optimizer.velocity] == [[0, 0], [1, 1, 1]]


def test_the_rate_may_change_between_steps():
    w = gg.Tensor(1.0, requires_grad=True)
    optimizer = SGD([w], lr=1.0)
    optimizer.lr = 0.25
    w.backward()
    optimizer.step()
    assert w.item() == 0.75


def test_a_graph_of_the_old_weights_refuses_to_be_swept():
    w = gg.Tensor(2.0, requires_grad=True, name="w")
    loss = w * w
    loss.backward()
    SGD([w], lr=0.1).step()
    with pytest.raises(gg.MutationError, match="its input w"):
        loss.backward()


def test_zero_grad():
    w = gg.Tensor(2.0, requires_grad=True)
    (w * w).backward()
    SGD([w], lr=0.1).zero_grad()
    assert w.grad is None


def test_another_optimiser_needs_only_update():
    class Sign(Optimizer):
        def update(self, i, w, g):
            w -= self.lr * np.sign(g)

    w = gg.Tensor([1.0, -1.0], requires_grad=True)
    optimizer = Sign([w], lr=0.5)
    minimise(w, optimizer, lambda w: (w * w).sum(), 1)
    assert w.tolist() == [0.5, -0.5]


def weight(**kwargs):
    return gg.Tensor(1.0, **{"requires_grad": True, "name": "w", **kwargs})


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: SGD(weight(), 0.1), gg.DTypeError, "one Tensor, not several"),
        (lambda: SGD(3, 0.1), gg.DTypeError, "one int, not several"),
        (lambda: SGD([("w", weight())], 0.1), gg.DTypeError, "is tuple.*without the names"),
        (lambda: SGD([np.ones(2)], 0.1), gg.DTypeError, "parameter 0 is ndarray"),
        (lambda: SGD([weight() * 2], 0.1), gg.GradError, "computed by multiply"),
        (lambda: SGD([weight(requires_grad=False)], 0.1), gg.GradError, "w does not require"),
        (lambda: SGD([weight()] * 2, 0.1), gg.DomainError, "w is given twice"),
        (lambda: SGD([], 0.1), gg.DomainError, "no parameters"),
        (lambda: SGD([weight()], "fast"), gg.DTypeError, "lr is 'fast', not a number"),
        (lambda: SGD([weight()], -0.1), gg.DomainError, "lr is -0.1"),
        (lambda: SGD([weight()], float("nan")), gg.DomainError, "lr is nan"),
        (lambda: SGD([weight()], 0.1, momentum=-1), gg.DomainError, "momentum is -1"),
        (lambda: SGD([weight()], 0.1, weight_decay=True), gg.DTypeError, "weight_decay is True"),
        (lambda: SGD([weight()], 0.1, nesterov=True), gg.DomainError, "momentum is 0"),
    ],
)
def test_errors_teach(make, kind, words):
    with pytest.raises(kind, match=words):
        make()


def test_a_wrong_rate_is_refused_later_too():
    optimizer = SGD([weight()], 0.1)
    with pytest.raises(gg.DomainError, match="lr is inf"):
        optimizer.lr = float("inf")
    assert optimizer.lr == 0.1


def test_state_is_leaf_tensors():
    optimizer = SGD([weight()], 0.1, momentum=0.9)
    assert type(optimizer.velocity[0]) is type(leaf(gg.Tensor, np.zeros(())))
    assert optimizer.velocity[0].op is None
