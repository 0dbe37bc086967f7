"""Plans of small networks: what the machine does instead of Python equals what Python does."""

from __future__ import annotations

import numpy as np
import pytest

import gradgraph as gg
from gradgraph import nn, optim
from gradgraph.compile import native
from gradgraph.draw import Draw
from gradgraph.op import Op

from . import test_compile as plain

pytest.importorskip("numba")

OPS = [cls for name, cls in sorted(Op.registry.items()) if cls.trusted and name != "part"]


@pytest.fixture(autouse=True)
def compiled_kernels():
    with gg.backend("numba"):
        yield


def by_numpy(function, *args):
    with gg.backend("numpy"), np.errstate(all="ignore"):
        return function(*args)


def check_close(found, wanted):
    for a, b in zip(plain.arrays(found), plain.arrays(wanted), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        scale = np.abs(np.where(np.isfinite(b), b, 0)).max(initial=0) if b.dtype.kind == "f" else 0
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6 * scale)


def segments(f, *args):
    """How many runs of calls the machine does, and how many lines Python."""
    lines = f.plan(*args).text.split("\n")
    return sum(line.startswith("m") for line in lines), len(lines)


@pytest.mark.parametrize("cls", OPS, ids=lambda cls: cls.name)
@pytest.mark.parametrize("seed", range(3))
def test_every_op_in_single_precision(cls, seed):
    """Between ops that the machine knows, so that it is part of a run where it is known."""
    op, args = cls.sample(Draw.seeded(seed))
    single = [
        a.astype(np.float32) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a
        for a in (a if isinstance(a, int | float) else np.asarray(a) for a in args)
    ]
    last = len(cls.vjps) - 1
    places = [
        i
        for i, a in enumerate(single)
        if isinstance(a, np.ndarray) and a.dtype.kind == "f" and cls.vjps[min(i, last)] is not None
    ]
    if not places:
        return

    def function(*xs):
        values = list(single)
        for i, x in zip(places, xs, strict=True):
            values[i] = x * 1.0
        out = op(*values)
        return [o * 1.0 if o.dtype.kind == "f" else o for o in (out if cls.outputs > 1 else [out])]

    def slopes(*xs):
        return gg.vjp(function, *xs)[1](
            *(np.cos(np.arange(o.size, dtype=o.dtype)).reshape(o.shape) for o in wanted)
        )

    xs = [gg.Tensor(single[i]) for i in places]
    with np.errstate(all="ignore"):
        wanted = by_numpy(function, *xs)
        check_close(gg.compile(function)(*xs), wanted)
        check_close(gg.compile(slopes)(*xs), by_numpy(slopes, *xs))


@pytest.mark.parametrize(
    "kind",
    [
        *({"optimizer": name} for name in plain.OPTIMIZERS),
        {"norm": True},
        {"dropout": True},
        {"clip": 0.5},
        {"norm": True, "dropout": True, "clip": 0.1, "optimizer": "momentum", "schedule": True},
    ],
    ids=str,
)
def test_a_training_step(kind):
    told, net, opt = plain.training(True, **kind)
    wanted, net_, opt_ = by_numpy(lambda: plain.training(False, **kind))
    np.testing.assert_allclose(told, wanted, rtol=2e-5)
    for found, expected in ((net, net_), (opt, opt_)):
        for name in expected:
            if name != "kind":
                np.testing.assert_allclose(
                    found[name], expected[name], rtol=1e-4, atol=1e-5, err_msg=name
                )


def step_of(nesterov=False, decay=0.0, momentum=0.9):
    """A whole training step of a small net, its parameters and its optimiser."""
    net = plain.small_net()
    opt = optim.SGD(
        net.parameters(), lr=0.1, momentum=momentum, nesterov=nesterov, weight_decay=decay
    )

    def step(x, y):
        opt.zero_grad()
        loss = gg.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
        return loss

    return net, opt, step


def batch():
    return next(iter(plain.batches(1)))


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_step_is_one_line(nesterov, decay, momentum):
    if nesterov and not momentum:
        return
    net, _, step = step_of(nesterov, decay, momentum)
    other, _, again = step_of(nesterov, decay, momentum)
    run, (x, y) = gg.compile(step), batch()
    for _ in range(4):
        run(x, y)
        by_numpy(again, x, y)
    assert segments(run, x, y) == (1, 1)
    for a, b in zip(net.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(a.grad.data, b.grad.data, rtol=1e-5, atol=1e-6)


def test_the_rate_is_read_before_every_step():
    net, opt, step = step_of(momentum=0.0)
    run, (x, y) = gg.compile(step), batch()
    run(x, y)
    before = net.state_dict()
    opt.lr = 0.0
    run(x, y)
    for name, a in net.state_dict().items():
        np.testing.assert_array_equal(a, before[name])
    opt.momentum = 0.5  # now there is a velocity, which the plan knows nothing of
    opt.lr = 0.1
    run(x, y)
    assert len(opt.velocity) == len(list(net.parameters()))


def test_a_class_of_ones_own_is_not_taken_for_its_base():
    w = gg.Tensor(np.ones(3, np.float32), requires_grad=True)

    class Backwards(optim.SGD):
        def update(self, i, w, g):
            w += self.lr * g

    opt = Backwards([w], lr=1.0)

    @gg.compile
    def step(x):
        opt.zero_grad()
        (w * x).sum().backward()
        opt.step()

    step(np.ones(3, np.float32))
    assert w.tolist() == [2, 2, 2]


def test_what_was_handed_out_stays():
    """Views of weights, gradients and results of earlier steps."""
    net, _, step = step_of()
    run, (x, y) = gg.compile(step), batch()
    weight = next(net.parameters())
    view, copy = weight.data, weight.numpy()
    first = run(x, y)
    grad, kept = weight.grad, weight.grad.numpy()
    value = first.item()
    run(x, y)
    np.testing.assert_array_equal(view, copy)
    np.testing.assert_array_equal(grad.data, kept)
    assert first.item() == value
    assert weight.version == 2


def test_state_that_is_not_contiguous_or_moves():
    net, _, step = step_of()
    other, _, again = step_of()
    run, (x, y) = gg.compile(step), batch()
    for k in range(4):
        for n in (net, other):
            w = n[4].w
            if k == 1:
                w._data = np.asfortranarray(w._data)
            if k == 2:
                n.load_state_dict(n.state_dict())
        run(x, y)
        by_numpy(again, x, y)
    for a, b in zip(net.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-5, atol=1e-6)


def test_arguments_in_any_layout_and_integer():
    net, _, step = step_of()
    run, (x, y) = gg.compile(step), batch()
    loss = gg.compile(lambda x, y: gg.cross_entropy(net(x), y))
    wanted = by_numpy(lambda: gg.cross_entropy(net(x), y).item())
    for a in (x, x[::-1][::-1], np.asfortranarray(x), np.stack([x, x], -1)[..., 0]):
        for b in (y, y.astype(np.int32), y.astype(np.uint8), np.repeat(y, 2)[::2]):
            np.testing.assert_allclose(loss(a, b).item(), wanted, rtol=1e-5)
    run(x, y)


@pytest.mark.parametrize("wrong", [-1, 5, 2**40])
def test_a_label_that_is_no_class(wrong):
    """The error is that of the op, and nothing was changed."""
    net, _, step = step_of()
    run, (x, y) = gg.compile(step), batch()
    run(x, y)
    before = net.state_dict()
    bad = y.copy()
    bad[2] = wrong
    with pytest.raises(gg.DomainError, match=f"label {wrong} at position 2"):
        run(x, bad)
    for name, a in net.state_dict().items():
        np.testing.assert_array_equal(a, before[name])
    assert np.isfinite(run(x, y).item())


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite(strange):
    """Python does what the machine is not sure of."""
    net, _, _ = step_of()
    x, y = batch()
    x = x.copy()
    x[0, 1, 1, 0] = strange

    def slopes(x):
        loss = gg.cross_entropy(net(x), y, reduction="sum")
        return loss, gg.grad(lambda x: gg.softmax(net(x))[..., 0].sum())(x)

    with np.errstate(all="ignore"):
        check_close(gg.compile(slopes)(x), by_numpy(slopes, x))
        one = x[..., 0]
        f = gg.compile(lambda x: (gg.softmax(x * 1.0), gg.exp(x), gg.tanh(x), gg.maximum(x, 0.5)))
        check_close(f(one), by_numpy(lambda: (gg.softmax(one), np.exp(one), np.tanh(one),
                                              np.maximum(one, np.float32(0.5)))))  # fmt: skip


def test_large_programs_are_left_to_kernels():
    run = gg.compile(lambda x: gg.exp(gg.sin(x) * 2.0) + 1.0)
    x = np.ones((300, 400), np.float32)
    run(x)
    assert segments(run, x)[0] == 0
    with gg.backend("numpy"):
        small = np.ones(4, np.float32)
        run(small)
        assert segments(run, small)[0] == 0


def test_what_the_machine_does_not_know_is_between():
    w = gg.Tensor(np.ones(4, np.float32), requires_grad=True)

    @gg.compile
    def slope(x):
        y = gg.sin(gg.tanh(x * w) + 1.0)  # no sine
        return gg.grad(lambda w: (gg.sin(gg.tanh(x * w) + 1.0) * x).sum())(w), y * 2.0 + 1.0

    x = np.linspace(-1, 1, 4, dtype=np.float32)
    y = np.sin(np.tanh(x * w.data) + 1)
    found = slope(x)
    np.testing.assert_allclose(found[1].data, y * 2 + 1, rtol=1e-6)
    inner = np.tanh(x * w.data)
    np.testing.assert_allclose(
        found[0].data, x * np.cos(inner + 1) * (1 - inner**2) * x, rtol=1e-5, atol=1e-7
    )
    assert segments(slope, x)[0] >= 2


def test_sums_over_any_axes_and_operands_that_broadcast():
    x = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    row, column, middle = x[0, 0], x[:, :1, :1], x[:1, :, :1]

    def f(x, row, column, middle):
        y = (x + row) * column - middle / 2.0
        return [y.sum(axis=a, keepdims=k) * 1.0 for a in (0, 1, 2, (0, 1), (1, 2), (0, 2), None)
                for k in (False, True)] + [y.mean((1, 2)), row * 2 + x[0, :, :1]]  # fmt: skip

    check_close(gg.compile(f)(x, row, column, middle), by_numpy(f, x, row, column, middle))


def test_a_place_in_a_broadcast_operand():
    spec = gg.Spec((2, 3, 4), np.float32)
    for shape in [(), (1,), (4,), (3, 1), (3, 4), (2, 1, 1), (2, 3, 1), (1, 3, 1), (2, 3, 4)]:
        div, mod = native._broadcast(gg.Spec(shape, np.float32), spec)
        index = np.arange(int(np.prod(shape))).reshape(shape)
        expected = np.broadcast_to(index, (2, 3, 4)).ravel()
        assert [(i // div) % mod for i in range(24)] == expected.tolist()
    assert native._broadcast(gg.Spec((2, 1, 4), np.float32), spec) is None


def test_layers_of_signals_and_strides():
    rng = np.random.default_rng(2)
    net = nn.Sequential(
        nn.Conv(2, 3, (3,), stride=2, padding=1, rng=rng), nn.ReLU(), nn.Flatten(),
        nn.Linear(3 * 5, 2, rng=rng),
    )  # fmt: skip
    x = rng.normal(size=(2, 10, 2)).astype(np.float32)

    def slopes(x):
        (net(x) ** 2).sum().backward()
        return [p.grad * 1.0 for p in net.parameters()]

    run = gg.compile(slopes)
    found = run(x)
    net.zero_grad()
    check_close(found, by_numpy(slopes, x))
