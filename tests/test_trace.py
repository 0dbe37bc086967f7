"""gg.trace: graphs from shapes alone; what it may not know, it says."""

from __future__ import annotations

import copy
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import gradgraph as gg
from gradgraph import nn
from gradgraph.draw import Draw
from gradgraph.spec import Spec

OPS = [cls for name, cls in sorted(gg.Op.registry.items()) if name != "part"]


@pytest.mark.parametrize("cls", OPS, ids=lambda cls: cls.name)
def test_every_op_traces_as_it_computes(cls):
    """Shapes and dtypes of a traced op are those of the real one, and its replay computes it."""
    for seed in range(5):
        op, args = cls.sample(Draw.seeded(seed))
        real = op(*args)
        if any(np.asarray(a).dtype == bool for a in args) and cls.name in ("getitem", "scatter"):
            continue  # how many places a mask holds is not known from its shape
        graph = gg.trace(op, *map(np.asarray, args))
        found = [graph.specs[i] for i in graph.outputs]
        wanted = real if isinstance(real, tuple) else (real,)
        assert found == [Spec.of(np.asarray(a)) for a in wanted]
        again = graph.replay(*args)
        for a, b in zip(again if isinstance(again, tuple) else (again,), wanted, strict=True):
            assert_array_equal(a, b)


def test_a_network_is_traced_without_computing():
    net = nn.LeNet(rng=0)
    tracemalloc.start()
    graph = gg.trace(net, (10_000, 28, 28, 1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert graph.specs[graph.outputs[0]].shape == (10_000, 10)
    assert graph.parameters() == 80_202
    one = gg.trace(net, (1, 28, 28, 1))
    assert graph.flops() == 10_000 * one.flops()
    assert sum(graph.memory()) > 1e9  # so much would be held
    assert peak < 500e6  # the winners of pooling are of bytes, and are computed


def test_memory_counts_arrays_and_what_was_saved():
    graph = gg.trace(lambda x: gg.max_pool(x, 2), (1, 4, 4, 3))
    assert graph.memory() == (4 * 48, 4 * 12 + 12)


def test_backward_passes_are_traced():
    net = nn.LeNet(rng=0)
    labels = np.array([3, 1])

    def loss(x):
        return gg.cross_entropy(net(x), labels)

    graph = gg.trace(gg.grad(loss), (2, 28, 28, 1))
    x = np.random.default_rng(0).normal(size=(2, 28, 28, 1)).astype(np.float32)
    assert_allclose(graph.replay(x), gg.grad(loss)(x).data, rtol=1e-6)
    assert any(step.origin for step in graph.steps)


def test_hessians_are_traced():
    def f(x):
        return (gg.tanh(x) ** 3).sum()

    graph = gg.trace(gg.hessian(f), Spec((4,), np.dtype(float)))
    x = np.linspace(-1, 1, 4)
    assert_allclose(graph.replay(x), gg.hessian(f)(x), rtol=1e-12)


def test_a_choice_by_value_is_made_when_it_runs():
    graph = gg.trace(lambda x: gg.where(x > 0, x, -2 * x), (2,))
    assert graph.replay(np.array([3.0, -3.0])).tolist() == [3.0, 6.0]
    graph = gg.trace(lambda x: gg.where(x >= 0, 1.0, 2.0), (2,))
    assert graph.replay(np.array([3.0, -3.0])).tolist() == [1.0, 2.0]
    graph = gg.trace(lambda x: gg.where(np.less(x, np.zeros(2)), 1.0, 2.0), (2,))
    assert graph.replay(np.array([3.0, -3.0])).tolist() == [2.0, 1.0]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x * float(x.sum()),
        lambda x: x * int(x.sum()),
        lambda x: x * x.sum().item(),
        lambda x: x * x.numpy(),
        lambda x: x * x.data,
        lambda x: x * np.asarray(x.detach()),
        lambda x: x * gg.Tensor(x),
        lambda x: x * np.array(x.tolist()),
        lambda x: x.sum().backward(),
    ],
)
def test_values_are_not_known(f):
    with pytest.raises(gg.GradError, match="are not known"):
        gg.trace(f, (2, 3))


def test_a_mask_has_no_known_number_of_elements():
    with pytest.raises(gg.IndexingError, match="how many"):
        gg.trace(lambda x: x[x > 0], (3,))


@pytest.mark.parametrize(
    "index",
    [
        np.array([True, False, True]),
        (slice(None, None, -1), np.array([False, True, True])),
        (True, np.array([False, True, False])),
        (False, ...),
        (np.eye(3, dtype=bool),),
        (None, np.array([0, 2]), np.array([True, False, True])),
    ],
)
def test_a_known_mask_has_a_known_number_of_elements(index):
    x = np.arange(9.0).reshape(3, 3)
    graph = gg.trace(lambda x: x[index] * x[index].size, x)
    assert graph.specs[graph.outputs[0]].shape == x[index].shape
    assert_array_equal(graph.replay(x + 1), (x + 1)[index] * x[index].size)
    batch = np.stack([x, x + 1])
    assert_array_equal(
        gg.vmap(lambda x: x[index].sum() / 2)(batch), [x[index].sum() / 2 for x in batch]
    )


def test_a_cast_to_integers_is_made_when_it_runs():
    for dtype in (int, bool):
        graph = gg.trace(lambda x, dtype=dtype: x.astype(dtype), (2,))
        assert_array_equal(graph.replay([0.5, 3.5]), np.array([0.5, 3.5]).astype(dtype))
        found = gg.vmap(lambda x, dtype=dtype: x.astype(dtype) * 2)(np.array([0.5, 3.5]))
        assert_array_equal(found, np.array([0.5, 3.5]).astype(dtype) * 2)
    slopes = gg.trace(gg.grad(lambda x: (x * x.astype(int)).sum()), (2,)).replay([1.5, 3.5])
    assert slopes.tolist() == [1.0, 3.0]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: gg.max_pool(x, 2),
        lambda x: gg.max_pool(x, 2, return_indices=True),
        lambda x: x[:, np.arange(999)],
        lambda x: x[:, np.arange(1000) > 0],
    ],
)
def test_nothing_is_allocated(f):
    tracemalloc.start()
    gg.trace(f, (8, 1000, 1000, 16))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1_000_000


def test_a_winner_of_a_pool_is_traced_as_it_is():
    for size in (16, 17):  # a tap's number fits a byte, or it does not
        x = np.zeros((1, 20, 20, 1))
        with gg.capture():
            real = gg.max_pool(gg.Tensor(x), size)
        graph = gg.trace(lambda x, size=size: gg.max_pool(x, size), x)
        (traced,) = graph.vertices[graph.outputs[0]].saved
        assert (traced.shape, traced.dtype) == (real.saved[0].shape, real.saved[0].dtype)


def test_labels_that_are_not_known_are_not_judged():
    loss = gg.trace(gg.hinge_loss, (2,), (2,))
    assert loss.replay([0.5, 0.5], [1.0, -1.0]) == 1.0
    gg.trace(lambda high: gg.uniform(1.0, high, rng=0), (2,))


def test_a_copy_would_know_values():
    with pytest.raises(gg.GradError, match="are not known"):
        gg.trace(lambda x: copy.deepcopy(x) + x, (2,))


def test_a_detached_value_is_that_of_the_run():
    graph = gg.trace(gg.grad(lambda x: (x * x.detach()).sum()), Spec((2,), np.dtype(float)))
    assert graph.replay([3.0, 4.0]).tolist() == [3.0, 4.0]
    with gg.no_grad():
        graph = gg.trace(lambda x: x * 2, (2,))
    assert graph.replay([3.0, 4.0]).tolist() == [6.0, 8.0]


def test_gradients_inside_no_grad_are_traced():
    def f(x):
        with gg.no_grad():
            return gg.grad(lambda y: (y * y).sum())(x)

    assert gg.trace(f, (2,)).replay([3.0, 4.0]).tolist() == [6.0, 8.0]


def test_state_does_not_change():
    count = gg.Tensor(np.zeros(2, np.float32))

    def f(x):
        count.assign(count + x)
        return x * count

    gg.trace(f, (2,))
    assert count.tolist() == [0.0, 0.0]
    assert count.version == 0


def test_a_traced_tensor_says_what_it_is():
    kept = []
    gg.trace(lambda x: kept.append(x) or x * 1, (2, 3))
    assert repr(kept[0]) == "Traced(2×3 float32)"
    assert (kept[0].shape, kept[0].dtype, kept[0].size, len(kept[0])) == ((2, 3), np.float32, 6, 2)
    assert repr(kept[0] * 2) == "Traced(2×3 float32)"


def test_inputs_that_are_not_used_stay_inputs():
    graph = gg.trace(lambda x, y: x * 2, (2,), (3,))
    assert graph.replay(np.ones(2), np.ones(3)).tolist() == [2.0, 2.0]


def test_specs_may_be_given_in_any_form():
    wanted = Spec((2, 3), np.dtype(float))
    for given in (wanted, np.zeros((2, 3)), gg.Tensor(np.zeros((2, 3)))):
        assert gg.trace(lambda x: x, given).specs[0] == wanted
    for dtype in (float, np.float64, "float64"):
        assert gg.trace(lambda x: x, Spec((2, 3), dtype)).specs[0] == wanted
    assert gg.trace(lambda x: x, (np.int64(2), 3)).specs[0] == Spec((2, 3), np.dtype("float32"))
    with pytest.raises(gg.ShapeError, match="no shape"):
        gg.trace(lambda x: x, (-1,))
    for wrong in ("abc", [[1], [1, 2]], (2, None), None):
        with pytest.raises(gg.DTypeError, match="not an array of numbers"):
            gg.trace(lambda x: x, wrong)
    with pytest.raises(gg.ShapeError, match="matmul"):
        gg.trace(lambda x, y: x @ y, (2, 3), (2, 3))
    with pytest.raises(gg.GradError, match="returned NoneType"):
        gg.trace(lambda x: None, (2,))


def test_several_results():
    graph = gg.trace(lambda x: (x * 2, x.sum()), (3,))
    doubled, total = graph.replay(np.ones(3))
    assert (doubled.tolist(), total) == ([2.0, 2.0, 2.0], 3.0)


def test_of_an_array_it_is_the_matrix_trace():
    assert gg.trace(np.eye(3)) == 3.0
    assert gg.grad(gg.trace)(np.zeros((2, 2))).tolist() == [[1.0, 0.0], [0.0, 1.0]]


class TestValuesThatAreNotKnown:
    """What reads values for a check or a conversion must not take the stand-ins for them."""

    X = np.array([1.5, -2.0, 3.0])

    @pytest.mark.parametrize("dtype", [int, bool, np.uint8])
    def test_a_cast_to_integers(self, dtype):
        def f(x):
            return gg.cast(x * x, dtype) * x

        traced = gg.trace(f, np.zeros(3))
        assert_array_equal(traced.replay(self.X), (self.X**2).astype(dtype) * self.X)
        assert_array_equal(
            gg.trace(gg.grad(lambda x: f(x).sum()), np.zeros(3)).replay(self.X),
            (self.X**2).astype(dtype).astype(float),
        )
        assert not gg.cast(gg.Tensor(self.X, requires_grad=True), dtype).requires_grad

    def test_truths_of_a_hinge(self):
        truth = np.array([1.0, -1.0, 1.0])
        graph = gg.trace(gg.hinge_loss, np.zeros(3), np.zeros(3))
        assert graph.replay(self.X, truth) == gg.hinge_loss(self.X, truth)

    def test_ends_of_a_range(self):
        graph = gg.trace(lambda low: gg.uniform(low, -5.0, rng=0), np.zeros(3))
        assert_array_equal(graph.replay(self.X - 9), gg.uniform(self.X - 9, -5.0, rng=0))

    def test_checkpoints(self):
        def f(x):
            return gg.tanh(x * x).sum() * x

        block = gg.checkpoint(f)
        graph = gg.trace(block, np.zeros(3))
        assert_array_equal(graph.replay(self.X), f(self.X))
        for g in (gg.grad(lambda x: f(x).sum()), gg.grad(lambda x: block(x).sum())):
            graph = gg.trace(g, np.zeros(3))
            assert_allclose(graph.replay(self.X), gg.grad(lambda x: f(x).sum())(self.X))
        with pytest.raises(gg.GradError, match="are not known"):
            gg.trace(lambda x: float(block(x).sum()), np.zeros(3))


def test_running_statistics_are_left_alone():
    running = gg.Tensor(np.zeros(3))

    def norm(x):
        y, mean, _ = gg.batch_norm(x, None, None, return_stats=True)
        running.assign(0.9 * running + 0.1 * mean)
        return y

    gg.trace(norm, (2, 3))
    assert running.tolist() == [0.0, 0.0, 0.0]
    norm(gg.Tensor(np.ones((2, 3))))
    assert_allclose(running.data, 0.1)
