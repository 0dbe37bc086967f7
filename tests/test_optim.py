"""Optimisers."""

from __future__ import annotations

import numpy as np
import pytest

import gradgraph as gg
from gradgraph import optim
from gradgraph.node import leaf
from gradgraph.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from gradgraph.optim.optimizer import BLOCK

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


def sgd():
    return SGD([weight()], lr=0.1)


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
        (lambda: Adam([weight()], betas=(1.0, 0.9)), gg.DomainError, "beta1 is 1.0.* < 1"),
        (lambda: Adam([weight()], betas=(0.9, -1)), gg.DomainError, "beta2 is -1"),
        (lambda: AdamW([weight()], eps=-1e-8), gg.DomainError, "eps is -1e-08"),
        (lambda: Adam([weight()], eps=0.0), gg.DomainError, "eps is 0, and must be positive"),
        (lambda: Adam([weight()], betas=0.9), gg.DTypeError, "betas is 0.9, not two"),
        (lambda: SGD([weight()], lr=np.complex64(1)), gg.DTypeError, "not a number"),
        (lambda: SGD([weight()], lr=10**400), gg.DomainError, "not a finite number"),
        (lambda: optim.StepLR(sgd(), True), gg.DTypeError, "step_size is True"),
        (lambda: optim.OneCycleLR(sgd(), "a", 5), gg.DTypeError, "OneCycleLR: max_lr is 'a'"),
        (lambda: optim.ReduceLROnPlateau(3), gg.DTypeError, "optimizer is int"),
        (lambda: optim.ReduceLROnPlateau(sgd()).step("a"), gg.DTypeError, "metric is 'a'"),
        (lambda: optim.WarmupLR(optim.ReduceLROnPlateau(sgd()), 3), gg.DTypeError, "optimizer is"),
        (lambda: optim.Schedule(sgd()), gg.GradError, "has no factor"),
        (lambda: RMSprop([weight()], alpha=1), gg.DomainError, "alpha is 1"),
        (lambda: optim.StepLR(3, 2), gg.DTypeError, "optimizer is int"),
        (lambda: optim.StepLR(sgd(), 0), gg.DomainError, "step_size is 0, not at least 1"),
        (lambda: optim.StepLR(sgd(), 1.5), gg.DTypeError, "step_size is 1.5, not an int"),
        (lambda: optim.CosineLR(sgd(), 4, last=-1), gg.DomainError, "last is -1"),
        (
            lambda: optim.OneCycleLR(sgd(), 1.0, 1),
            gg.DomainError,
            "total_steps is 1, not",
        ),
        (lambda: optim.OneCycleLR(sgd(), 1.0, 9, pct_start=1), gg.DomainError, "pct_start is 1"),
        (lambda: optim.ReduceLROnPlateau(sgd(), "low"), gg.DomainError, "mode is 'low'"),
        (lambda: optim.ReduceLROnPlateau(sgd(), factor=1), gg.DomainError, "factor is 1"),
        (lambda: optim.clip_grad_norm([weight()], -1), gg.DomainError, "max_norm is -1"),
        (lambda: optim.clip_grad_norm(weight(), 1), gg.DTypeError, "one Tensor, not several"),
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


OPTIMISERS = {
    "sgd": lambda p: SGD(p, lr=0.05),
    "velocity": lambda p: SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: Adam(p, lr=0.05, weight_decay=0.1),
    "adamw": lambda p: AdamW(p, lr=0.05),
    "rmsprop": lambda p: RMSprop(p, lr=0.05),
    "rmsprop velocity": lambda p: RMSprop(p, lr=0.05, momentum=0.5),
}


@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS.keys())
class TestEvery:
    def test_goes_on_from_its_state(self, make):
        a = gg.Tensor(np.array([1.0, -2.0], np.float32), requires_grad=True)
        first = make([a])
        minimise(a, first, lambda w: gg.cosh(w).sum(), 5)
        b = gg.Tensor(a.data, requires_grad=True)
        second = make([b])
        second.lr = 7.0
        second.load_state_dict(first.state_dict())
        assert second.lr == 0.05
        for w, optimiser in ((a, first), (b, second)):
            minimise(w, optimiser, lambda w: gg.cosh(w).sum(), 5)
        assert a.tolist() == b.tolist()

    def test_state_is_all_or_nothing(self, make):
        optimiser, wide = make([weight()]), make([gg.Tensor(np.ones(2), requires_grad=True)])
        before = optimiser.state_dict()
        wrong = [{**before, "lr": -1.0}, {**before, "lr": "fast"}, {**before, "more": 1.0}, {}]
        wrong += [{k: v for k, v in before.items() if k != "lr"}]
        if optimiser.slots:
            wrong += [wide.state_dict()]
            name = next(k for k in before if "." in k)
            wrong += [{**before, name: before[name] * 1j}]
        for state in wrong:
            with pytest.raises((gg.DomainError, gg.DTypeError, gg.ShapeError)):
                optimiser.load_state_dict(state)
            assert optimiser.state_dict() == before

    def test_state_is_a_copy(self, make):
        w = weight()
        optimiser = make([w])
        state = optimiser.state_dict()
        before = {k: np.array(v) for k, v in state.items()}
        minimise(w, optimiser, lambda w: w * w, 2)
        assert all(np.array_equal(state[k], before[k]) for k in state)

    def test_memory_layout_and_size_do_not_matter(self, make):
        start = np.random.default_rng(0).normal(size=(BLOCK // 2, 5))
        ends = []
        for order in "CF":
            w = gg.Tensor(np.asarray(start, order=order), requires_grad=True)
            minimise(w, make([w]), lambda w: (w * w).sum(), 3)
            ends.append(w.data)
        small = gg.Tensor(start[-2:], requires_grad=True)
        minimise(small, make([small]), lambda w: (w * w).sum(), 3)
        np.testing.assert_allclose(ends[0], ends[1], rtol=1e-13)
        np.testing.assert_allclose(ends[0][-2:], small.data, rtol=1e-13)

    def test_each_parameter_counts_its_own_steps(self, make):
        a, b, alone = (gg.Tensor(1.0, requires_grad=True) for _ in range(3))
        both, single = make([a, b]), make([alone])
        for step in range(4):
            both.zero_grad()
            loss = a * a + b * b if step == 3 else a * a
            loss.backward()
            both.step()
        minimise(alone, single, lambda w: w * w, 1)
        assert b.item() == alone.item()


SCHEDULES = {
    "step": lambda o: optim.StepLR(o, 2),
    "cosine": lambda o: optim.CosineLR(o, 6, last=0.1),
    "warm-up": lambda o: optim.WarmupLR(o, 3),
    "warm-up, cosine": lambda o: optim.WarmupLR(optim.CosineLR(o, 6), 3),
    "one cycle": lambda o: optim.OneCycleLR(o, 0.5, 8),
    "one cycle, no rise": lambda o: optim.OneCycleLR(o, 0.5, 8, pct_start=0.0),
}


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES.keys())
class TestSchedules:
    def test_goes_on_from_its_state(self, make):
        first, second = sgd(), sgd()
        a, rates = make(first), []
        for step in range(12):
            if step == 5:
                state = a.state_dict()
            rates.append(first.lr)
            a.step()
        second.lr = 3.0
        b = make(second)
        b.load_state_dict(state)
        for rate in rates[5:]:
            assert second.lr == rate
            b.step()
        assert all(np.isfinite(rates))
        assert min(rates) >= 0

    def test_a_wrong_state_changes_nothing(self, make):
        optimiser = sgd()
        schedule = make(optimiser)
        before = schedule.state_dict(), optimiser.lr
        for state in ({}, {**before[0], "steps": -1}, {**before[0], "base": "a"}, {"steps": 1}):
            with pytest.raises((gg.DomainError, gg.DTypeError)):
                schedule.load_state_dict(state)
            assert (schedule.state_dict(), optimiser.lr) == before


def test_a_warm_up_leads_to_the_rate_of_what_follows():
    optimiser = sgd()
    schedule = optim.WarmupLR(optim.StepLR(optimiser, 2), 4)
    rates = []
    for _ in range(8):
        rates.append(round(optimiser.lr, 6))
        schedule.step()
    assert rates == [0.02, 0.04, 0.06, 0.08, 0.1, 0.1, 0.01, 0.01]


def test_one_cycle_without_a_rise_begins_at_the_top():
    optimiser = sgd()
    optim.OneCycleLR(optimiser, 0.5, 5, pct_start=0.0)
    assert optimiser.lr == 0.5


def test_the_state_of_another_kind_is_refused():
    w = weight()
    pairs = [
        (AdamW([w]), Adam([w])),
        (SGD([w], 0.1, 0.9), SGD([w], 0.1, 0.9, nesterov=True)),
        (optim.StepLR(sgd(), 2), optim.CosineLR(sgd(), 5)),
    ]
    for a, b in pairs:
        with pytest.raises(gg.DomainError, match=r"kind|nesterov|that of a CosineLR"):
            a.load_state_dict(b.state_dict())


@pytest.mark.parametrize("make", [Adam, AdamW, RMSprop, lambda p: SGD(p, 0.01, 0.9)])
def test_half_precision_stays_finite(make):
    w = gg.Tensor(np.array([1.0, 2e-3, 1e-5, 0.0], np.float16), requires_grad=True)
    minimise(w, make([w]), lambda w: (w * w).sum(), 5)
    assert w.dtype == np.float16
    assert np.isfinite(w.data).all()
    assert w.data[0] < 1


class TestPlateaus:
    @pytest.mark.parametrize(("mode", "worse"), [("min", -0.9), ("max", -1.1)])
    def test_metrics_below_zero(self, mode, worse):
        optimiser = sgd()
        schedule = optim.ReduceLROnPlateau(optimiser, mode, patience=1)
        for metric in (-1.0, -1.0, -1.0):
            schedule.step(metric)
        assert optimiser.lr == pytest.approx(0.01)
        schedule.step(worse)
        assert schedule.best == -1.0

    def test_a_rate_below_the_floor_is_not_raised(self):
        optimiser = sgd()
        schedule = optim.ReduceLROnPlateau(optimiser, patience=0, min_lr=1.0)
        schedule.step(1.0)
        schedule.step(1.0)
        assert optimiser.lr == 0.1

    @pytest.mark.parametrize(
        "wrong", [{"waited": -3}, {"waited": 2.7}, {"best": float("nan")}, {"best": "a"}]
    )
    def test_a_wrong_state(self, wrong):
        schedule = optim.ReduceLROnPlateau(sgd())
        with pytest.raises((gg.DomainError, gg.DTypeError)):
            schedule.load_state_dict({**schedule.state_dict(), **wrong})
        assert (schedule.best, schedule.waited) == (float("inf"), 0)

    def test_goes_on_from_its_state(self):
        optimiser = sgd()
        a = optim.ReduceLROnPlateau(optimiser, patience=1)
        a.step(1.0)
        a.step(gg.Tensor(2.0))
        b = optim.ReduceLROnPlateau(optimiser, patience=1)
        b.load_state_dict(a.state_dict())
        b.step(np.float32(2.0))
        assert optimiser.lr == pytest.approx(0.01)
        with pytest.raises(gg.DomainError, match="the state lacks kind, waited"):
            b.load_state_dict({"best": 1.0})

    def test_nan_is_no_progress_and_the_rate_has_a_floor(self):
        optimiser = sgd()
        schedule = optim.ReduceLROnPlateau(optimiser, patience=0, min_lr=0.03)
        for _ in range(3):
            schedule.step(float("nan"))
        assert optimiser.lr == 0.03


class TestClipping:
    def test_the_norm_of_all_together(self):
        a, b, unused = (gg.Tensor(np.ones(n), requires_grad=True) for n in (3, 1, 2))
        (a.sum() * 3 + b.sum() * 3).backward()
        assert optim.clip_grad_norm([a, b, unused], 3.0) == 6.0
        assert a.grad.tolist() + b.grad.tolist() == [1.5] * 4
        assert optim.clip_grad_norm([a, b, unused], 3.5) == 3.0
        assert a.grad.tolist() + b.grad.tolist() == [1.5] * 4
        assert unused.grad is None

    def test_single_precision_does_not_overflow(self):
        w = gg.Tensor(np.ones(4, np.float32), requires_grad=True)
        (w * np.float32(1e30)).sum().backward()
        assert optim.clip_grad_norm([w], 1.0) == pytest.approx(2e30)
        assert w.grad.dtype == np.float32
        np.testing.assert_allclose(w.grad.data, 0.5, rtol=1e-6)

    def test_huge_tiny_and_half_precision_gradients(self):
        for dtype, factor, limit in (
            (np.float64, 1e200, 1.0),
            (np.float64, 1e-200, 1e-201),
            (np.float32, 2e38, 1e-6),
            (np.float16, 6e4, 1e-3),
        ):
            w = gg.Tensor(np.ones(4, dtype), requires_grad=True)
            w.grad = np.full(4, factor, dtype)
            norm = optim.clip_grad_norm([w], limit)
            assert norm == pytest.approx(2 * float(dtype(factor)))
            np.testing.assert_allclose(w.grad.data.astype(float), limit / 2, rtol=1e-3)

    def test_infinity_looks_only(self):
        w = weight()
        (w * 3).backward()
        assert optim.clip_grad_norm([w], np.float32(np.inf)) == 3.0

    @pytest.mark.parametrize("value", [np.inf, np.nan])
    def test_what_is_not_finite_is_refused(self, value):
        a, b = weight(name="a"), weight(name="b")
        (a * 2.0 + b * value).backward()
        with pytest.raises(gg.NonFiniteError, match="gradient of b is not finite"):
            optim.clip_grad_norm([a, b], 1.0)
        assert a.grad.item() == 2.0

    def test_a_graph_of_gradients_still_stands(self):
        w = gg.Tensor([3.0], requires_grad=True)
        (w * w).sum().backward()
        before = w.grad
        optim.clip_grad_value([w], 1.0)
        assert (before.item(), w.grad.item()) == (6.0, 1.0)
