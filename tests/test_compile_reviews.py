"""What independent testers found in compiled functions: each a program that went wrong."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
import pytest

import gradgraph as gg
from gradgraph import nn, optim


@pytest.fixture(autouse=True, params=["numpy", "numba"])
def backend(request):
    if request.param == "numba":
        pytest.importorskip("numba")
    with gg.backend(request.param):
        yield


def filled(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def parameter(*shape):
    return gg.Tensor(filled(*shape, seed=0), requires_grad=True)


def arrays(value):
    if isinstance(value, tuple | list):
        return [a for item in value for a in arrays(item)]
    return [np.asarray(getattr(value, "_data", value))]


def same(make, *calls, rtol=1e-5):
    """Whether a function does the same compiled, at each call; `make` gives it with new state."""
    plain, replayed = make(), gg.compile(make())
    for args in calls:
        with np.errstate(all="ignore"):
            wanted, found = arrays(plain(*args)), arrays(replayed(*args))
        for a, b in zip(found, wanted, strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-6)


@pytest.mark.parametrize("what", ["loss", "two steps", "two optimisers", "average", "velocity"])
def test_state_that_is_read_after_a_step(what):
    def make():
        w, v = parameter(4, 3), parameter(4, 3)
        first = optim.SGD([w], lr=0.1, momentum=0.9)
        second = optim.SGD([v], lr=0.1)
        mean = gg.Tensor(np.zeros((4, 3), np.float32))

        def step(x):
            first.zero_grad()
            ((x @ w) ** 2).sum().backward()
            first.step()
            if what == "two steps":
                first.zero_grad()
                ((x @ w) ** 2).sum().backward()
                first.step()
            elif what == "two optimisers":
                second.zero_grad()
                ((x @ (v * w.detach())) ** 2).sum().backward()
                second.step()
                return (x @ v).sum()
            elif what == "average":
                mean.assign(mean * 0.9 + w.detach() * 0.1)
                return mean * 1.0
            elif what == "velocity":
                return first.velocity[0] * 1.0
            return (x @ w).sum()

        return step

    same(make, (filled(5, 4),), (filled(5, 4, seed=2),), (filled(5, 4, seed=3),))


@pytest.mark.parametrize("turn", [lambda w: w.T, lambda w: w.reshape(12), lambda w: w * 1.0])
def test_a_view_of_a_parameter_from_before_the_step(turn):
    def make():
        w = parameter(4, 3)
        sgd = optim.SGD([w], lr=0.1)

        def step(x):
            sgd.zero_grad()
            before = turn(w)
            ((x @ w) ** 2).sum().backward()
            sgd.step()
            return (before**2).sum() * 2, before

        return step

    same(make, (filled(5, 4),), (filled(5, 4),))


def test_a_view_that_python_and_the_machine_read():
    def f(x, w):
        t = x.T
        return gg.tanh(t @ w) * 2, gg.sin(t)

    same(lambda: f, (filled(4, 4), filled(4, 4)), (filled(4, 4, seed=3), filled(4, 4)))


def test_what_a_run_reads_is_there_until_its_end():
    """A mask of -∞ makes Python do the run of the machine again."""

    def f(x, m):
        h = gg.exp(x)
        a = gg.tanh(h * gg.cumsum(h, axis=-1))
        return gg.softmax(gg.tanh(a * 2) * 3 + m, axis=-1)

    x, m = np.array([[-1, -2, -3]], np.float32), np.array([[0, -np.inf, 0]], np.float32)
    same(lambda: f, (x, m), (x, np.zeros_like(m)), (x, m))


@pytest.mark.parametrize("late", [False, True])
def test_state_as_a_result(late):
    """The values of that moment, as they are and by way of `.grad`."""

    def make():
        w, v = parameter(4), parameter(4)
        sgd = optim.SGD([w], lr=0.1)

        def step(x):
            sgd.zero_grad()
            (w * x).sum().backward()
            early = w.detach()
            sgd.step()
            v.grad = w.detach() if late else early
            return w.detach() if late else early

        return step

    same(make, (filled(4),), (filled(4),))
    w, v = parameter(4), parameter(4)

    @gg.compile
    def copied(x):
        w.grad = v.detach()
        return v.detach()

    np.testing.assert_array_equal(copied(filled(4)), v.data)
    np.testing.assert_array_equal(w.grad, v.data)
    assert not np.shares_memory(w.grad._data, v._data)


def test_a_tensor_that_is_made_and_assigned_inside():
    def f(x):
        t = gg.Tensor(np.zeros(4, np.float32))
        t.assign(x * 2)
        return t, t + 1

    same(lambda: f, (filled(4),), (filled(4, seed=5),))
    learn = gg.compile(lambda x: optim.SGD([_learned(x)], lr=0.1).step())
    with pytest.raises(gg.GradError, match="Do it outside of the compiled function"):
        learn(filled(4))


def _learned(x):
    t = gg.Tensor(np.ones(4, np.float32), requires_grad=True)
    (t * x).sum().backward()
    return t


def test_numbers_of_numpy_among_the_arguments():
    f = gg.compile(lambda x, c: x / c)
    with np.errstate(all="ignore"):
        assert np.isposinf(f(np.ones(2), np.float32(0.0))).all()
        assert np.isneginf(f(np.ones(2), np.float32(-0.0))).all()
        for _ in range(3):
            f(np.ones(2), np.float32("nan"))
    assert len(f._known) == 3


def test_an_argument_that_the_function_knows_already():
    def make():
        w = parameter(4)
        sgd = optim.SGD([w], lr=0.1)

        def step(p):
            sgd.zero_grad()
            (w * w).sum().backward()
            sgd.step()
            return (p * 1).sum()

        return step, w

    (plain, w), (step, v) = make(), make()
    step = gg.compile(step)
    for _ in range(2):
        for own, other in ((w, v), (gg.Tensor(filled(4)), gg.Tensor(filled(4)))):
            np.testing.assert_allclose(step(other).item(), plain(own).item(), rtol=1e-6)
    which = gg.compile(lambda a, b: a * 2 if a is b else a * 3)
    a, b = gg.Tensor([1.0]), gg.Tensor([1.0])
    assert [which(a, b).item(), which(a, a).item(), which(b, a).item()] == [3, 2, 3]


def test_divisions_by_zero():
    def f(x, y):
        return (x / y) * 2, gg.grad(lambda x: gg.log(x).sum() + gg.sqrt(gg.abs(x)).sum())(x)

    same(lambda: f, (filled(4), np.zeros(4, np.float32)), (np.zeros(4, np.float32), filled(4)))


def test_a_tall_product_of_little_work():
    same(lambda: lambda x, w, b: gg.relu(x @ w + b), (filled(4096, 2), filled(2, 8), filled(8)))


@pytest.mark.parametrize("shape", [(1,), (1, 1), (), (1, 300), (300, 1)])
def test_an_operand_of_one_element_in_a_chain(shape):
    same(lambda: lambda x, y: gg.tanh(x * y) + y, (filled(300, 300), filled(*shape)))


def test_numbers_without_axes():
    def f(x):
        return gg.exp(x) * 2 + 1, gg.sin(x), x.detach(), gg.stack([x, x])

    same(lambda: f, (gg.Tensor(np.float32(2)),), (gg.Tensor(np.float32(3)),))
    same(lambda: lambda x: (gg.exp(x) * 2 + 1, gg.sin(x)), (np.array(2, np.float32),))


class Pair(NamedTuple):
    first: object
    second: object


def test_forms_of_arguments_and_results():
    f = gg.compile(lambda p: OrderedDict(a=p.first * p.second, b=Pair(p.first, 1)))
    pair = Pair(np.ones(2), 2)
    assert f(pair)["a"].tolist() == [2, 2]
    pair.first[:] = 5
    found = f(pair)
    assert found["a"].tolist() == [10, 10]
    assert type(found) is OrderedDict
    assert type(found["b"]) is Pair
    assert len(f._known) == 1
    for hidden in (lambda x: iter([x]), lambda x: {x * 1}, lambda x: lambda: x):
        with pytest.raises(gg.GradError, match="nobody looks for tensors"):
            gg.compile(hidden)(np.ones(2))


def test_arrays_that_are_no_numbers():
    names = np.array(["a", "b"])
    f = gg.compile(lambda x, names: (x * len(names), str(names[0])))
    scaled, first = f(np.ones(2), names)
    assert (scaled.tolist(), first) == ([2, 2], "a")


def test_plans_are_not_kept_for_ever(capsys):
    f = gg.compile(lambda x, k: x * k)
    for k in range(200):
        assert f(np.ones(2), k * 0.5).tolist() == [k * 0.5] * 2
    assert len(f._known) <= 64
    assert "better an array" in capsys.readouterr().err
    g = gg.compile(lambda x, part: x[part])
    for _ in range(3):
        g(np.ones(4), slice(0, 2))
    assert len(g._known) == 1


def _double(x):
    return x * 2


def test_methods_copies_and_attributes():
    class Net:
        factor = 3

        @gg.compile
        def run(self, x):
            return x * self.factor

    assert Net().run(np.ones(2)).tolist() == [3, 3]
    f = gg.compile(_double)
    for twin in (copy.copy(f), copy.deepcopy(f), pickle.loads(pickle.dumps(f))):
        assert twin(np.ones(2)).tolist() == [2, 2]
    net = nn.Sequential(fc=nn.Linear(3, 2, rng=0))
    run = gg.compile(net)
    run.training = False
    assert not net.training
    assert len(list(run.parameters())) == 2


def test_a_compiled_part_of_a_module():
    class Outer(nn.Module):
        def __init__(self):
            self.inner = gg.compile(nn.Linear(3, 2, rng=0))

        def forward(self, x):
            return self.inner(x)

    net = Outer()
    assert [name for name, _ in net.named_parameters()] == ["inner.w", "inner.b"]
    assert net.eval().inner.training is False
    net(filled(4, 3))


def test_a_parameter_that_is_replaced():
    net = nn.Linear(3, 2, rng=0)
    run = gg.compile(net)
    x = filled(4, 3)
    run(x)
    net.w = gg.Tensor(np.zeros((3, 2), np.float32), requires_grad=True)
    assert not run(x).data.any()


def test_a_compiled_layer_in_a_network_that_is_trained_as_it_is():
    """Its weights learn, whichever layer it is; of any order, and of several results."""

    def losses(turn, which):
        rng = np.random.default_rng(0)
        layers = [nn.Linear(4, 8, rng=rng), nn.ReLU(), nn.Linear(8, 2, rng=rng)]
        parameters = [p for layer in layers for p in layer.parameters()]
        net = nn.Sequential(*[turn(x) if i == which else x for i, x in enumerate(layers)])
        sgd = optim.SGD(parameters, lr=0.1)
        told = []
        for k in range(4):
            sgd.zero_grad()
            loss = (net(filled(5, 4, seed=k)) ** 2).mean()
            loss.backward()
            sgd.step()
            told.append(loss.item())
        return told

    for which in (0, 2):
        np.testing.assert_allclose(losses(gg.compile, which), losses(lambda x: x, which), rtol=1e-5)
    w = gg.Tensor([1.0, 2.0], requires_grad=True)
    f = gg.compile(lambda x: ((w * x).sum(), (w**3).sum(), x * 2))
    a, b, c = f(np.array([3.0, 4.0]))
    assert (a.requires_grad, b.requires_grad, isinstance(c, np.ndarray)) == (True, True, True)
    (2 * a + b).backward(create_graph=True)
    assert w.grad.tolist() == [2 * 3 + 3, 2 * 4 + 12]
    first, w.grad = w.grad, None
    first.sum().backward()
    assert w.grad.tolist() == [6, 12]
    w.assign([0.0, 0.0])
    with pytest.raises(gg.MutationError):
        a.backward()
    with gg.no_grad():
        assert not f(np.array([3.0, 4.0]))[0].requires_grad
    drops = gg.compile(lambda x: gg.dropout(w * x, 0.5, rng=np.random.default_rng(0)))
    assert drops(np.ones(2)).op.name == "mask"  # as it is: another draw would be another function


def test_an_infinite_filter_of_one_channel():
    w = np.ones((3, 3, 1, 16), np.float32)
    w[0, 0, 0, 0] = np.inf
    with np.errstate(all="ignore"):
        slope = gg.grad(lambda x: gg.conv(x, w, groups=16).sum())(np.ones((1, 8, 8, 16), "f"))
    assert (np.isnan(slope).sum(), np.isinf(slope).sum()) == (0, 36)
