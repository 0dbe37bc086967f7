"""Layers: what they compute, keep, and refuse."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import gradgraph as gg
from gradgraph import models, nn, optim, viz
from gradgraph.testing import check

RNG = np.random.default_rng(0)
X43 = np.zeros((4, 3), np.float32)


def images(*shape, dtype=np.float32):
    return RNG.normal(size=shape).astype(dtype)


LAYERS = {
    "Conv": (lambda: nn.Conv(2, 4, 3, padding=1, rng=0), (2, 5, 5, 2), (2, 5, 5, 4)),
    "Conv, grouped": (lambda: nn.Conv(4, 4, 3, groups=2, rng=0), (2, 5, 5, 4), (2, 3, 3, 4)),
    "Conv 1-d": (lambda: nn.Conv(2, 3, (3,), rng=0), (2, 5, 2), (2, 3, 3)),
    "Conv 3-d": (lambda: nn.Conv(1, 2, (2, 2, 2), rng=0), (1, 3, 3, 3, 1), (1, 2, 2, 2, 2)),
    "DepthwiseConv": (
        lambda: nn.DepthwiseConv(3, 3, multiplier=2, stride=2, padding=1, rng=0),
        (2, 5, 5, 3),
        (2, 3, 3, 6),
    ),
    "ConvTranspose": (
        lambda: nn.ConvTranspose(4, 2, 3, stride=2, padding=1, output_padding=1, rng=0),
        (2, 3, 3, 4),
        (2, 6, 6, 2),
    ),
    "ConvTranspose, grouped": (
        lambda: nn.ConvTranspose(4, 6, 2, groups=2, bias=False, rng=0),
        (1, 2, 2, 4),
        (1, 3, 3, 6),
    ),
    "Linear": (lambda: nn.Linear(3, 2, rng=0), (4, 3), (4, 2)),
    "BatchNorm": (lambda: nn.BatchNorm(3), (4, 2, 2, 3), (4, 2, 2, 3)),
    "LayerNorm": (lambda: nn.LayerNorm(3), (4, 3), (4, 3)),
    "LayerNorm of two axes": (lambda: nn.LayerNorm((2, 3)), (4, 2, 3), (4, 2, 3)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (2, 3, 3, 4), (2, 3, 3, 4)),
    "GlobalAvgPool": (lambda: nn.GlobalAvgPool(), (2, 3, 3, 4), (2, 4)),
    "AvgPool": (lambda: nn.AvgPool(2), (2, 4, 4, 3), (2, 2, 2, 3)),
    "Residual": (
        lambda: nn.Residual(nn.Linear(3, 5, rng=0), nn.Linear(3, 5, bias=False, rng=1)),
        (4, 3),
        (4, 5),
    ),
    "MultiHeadAttention": (lambda: nn.MultiHeadAttention(4, 2, rng=0), (2, 3, 4), (2, 3, 4)),
    "PReLU": (lambda: nn.PReLU(3), (4, 3), (4, 3)),
    "ELU": (lambda: nn.ELU(), (4, 3), (4, 3)),
    "GELU": (lambda: nn.GELU(), (4, 3), (4, 3)),
    "SiLU": (lambda: nn.SiLU(), (4, 3), (4, 3)),
    "Softplus": (lambda: nn.Softplus(), (4, 3), (4, 3)),
    "Softmax": (lambda: nn.Softmax(), (4, 3), (4, 3)),
    "ReLU": (lambda: nn.ReLU(), (4, 3), (4, 3)),
    "ReLU6": (lambda: nn.ReLU6(), (4, 3), (4, 3)),
    "LeakyReLU": (lambda: nn.LeakyReLU(), (4, 3), (4, 3)),
    "HardSwish": (lambda: nn.HardSwish(), (4, 3), (4, 3)),
    "Tanh": (lambda: nn.Tanh(), (4, 3), (4, 3)),
    "Sigmoid": (lambda: nn.Sigmoid(), (4, 3), (4, 3)),
    "Flatten": (lambda: nn.Flatten(), (4, 3, 2), (4, 6)),
    "MaxPool": (lambda: nn.MaxPool(2), (2, 4, 4, 3), (2, 2, 2, 3)),
    "MaxBlurPool": (lambda: nn.MaxBlurPool(2), (2, 4, 4, 3), (2, 2, 2, 3)),
    "Sequential": (lambda: nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh()), (4, 3), (4, 2)),
}
# Those that take something else, or draw chance: they have tests of their own.
OTHERS = {
    *("Dropout", "ChannelDropout", "Embedding", "LSTMCell", "LeNet", "Module", "ModuleList"),
    *("Summary", "summary", "init"),
}


def test_every_layer_is_among_these():
    named = {name.partition(",")[0].partition(" ")[0] for name in LAYERS}
    assert named | OTHERS == set(nn.__all__)


@pytest.mark.parametrize(("make", "given", "result"), LAYERS.values(), ids=LAYERS.keys())
class TestEvery:
    def test_shapes_and_dtypes(self, make, given, result):
        layer = make()
        y = layer(images(*given))
        assert y.shape == result
        assert np.asarray(getattr(y, "data", y)).dtype == np.float32
        assert all(p.dtype == np.float32 for p in layer.parameters())
        assert all(p.name for p in layer.parameters())

    def test_gradients(self, make, given, result):
        def double(layer):
            for module in layer.modules():
                for name, value in list(vars(module).items()):
                    if isinstance(value, gg.Tensor):
                        wide = value.data.astype(float)
                        setattr(module, name, gg.Tensor(wide, value.requires_grad, value.name))
            return layer

        assert check(double(make()), images(*given, dtype=float)).verdict == "passed"

    def test_traced_it_has_the_same_shape_and_keeps_its_state(self, make, given, result):
        layer = make()
        before = layer.state_dict()
        graph = gg.trace(layer, gg.Spec(given, np.dtype(np.float32)))
        assert graph.specs[graph.outputs[0]].shape == result
        assert str(nn.summary(layer, given))
        after = layer.state_dict()
        assert all(np.array_equal(before[k], after[k]) for k in before)

    def test_state_goes_to_a_copy(self, make, given, result):
        first, second = make(), make()
        x = images(*given)
        first(x)
        second.load_state_dict(first.state_dict())
        third = copy.deepcopy(first)
        ys = [np.asarray(layer.eval()(gg.Tensor(x)).data) for layer in (first, second, third)]
        assert np.array_equal(ys[0], ys[1])
        assert np.array_equal(ys[0], ys[2])

    def test_says_what_it_is(self, make, given, result):
        layer = make()
        count = sum(p.size for p in layer.parameters())
        assert type(layer).__name__ in repr(layer)
        assert not count or f"{count:,} parameter" in repr(layer)


class TestBatchNorm:
    def test_running_statistics_approach_those_of_the_data(self):
        layer = nn.BatchNorm(2, momentum=0.5)
        x = RNG.normal([3.0, -1.0], [2.0, 0.5], (64, 4, 4, 2)).astype(np.float32)
        for _ in range(20):
            layer(x)
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2), ddof=1)
        np.testing.assert_allclose(layer.mean.data, mean, rtol=1e-4)
        np.testing.assert_allclose(layer.var.data, var, rtol=1e-4)
        y = layer.eval()(x[:1])
        expected = (x[:1] - mean) / np.sqrt(var + 1e-5)
        np.testing.assert_allclose(y.data, expected, atol=1e-4)

    def test_in_use_nothing_changes_and_each_item_stands_alone(self):
        layer = nn.BatchNorm(3)
        x = images(4, 3)
        layer(x)
        layer.eval()
        before = layer.state_dict()
        together = layer(x).data
        alone = np.concatenate([layer(x[i : i + 1]).data for i in range(4)])
        np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)
        after = layer.state_dict()
        assert all(np.array_equal(before[k], after[k]) for k in before)

    def test_buffers_are_no_parameters(self):
        layer = nn.BatchNorm(3)
        assert [name for name, _ in layer.named_parameters()] == ["gamma", "beta"]
        assert list(layer.state_dict()) == ["gamma", "beta", "mean", "var"]

    def test_the_running_statistics_are_no_part_of_the_graph(self):
        layer = nn.BatchNorm(3)
        first = layer(images(4, 3)).sum()
        layer(images(4, 3))
        first.backward()
        assert layer.mean.op is None

    def test_one_value_in_a_channel(self):
        layer = nn.BatchNorm(2)
        assert layer(np.ones((1, 2), np.float32)).tolist() == [[0.0, 0.0]]
        assert np.isfinite(layer.var.data).all()

    def test_no_grad(self):
        layer = nn.BatchNorm(2)
        with gg.no_grad():
            layer(images(8, 2))
        assert not layer.mean.requires_grad
        assert layer.mean.data.any()


class TestDropout:
    def test_training_drops_and_use_does_not(self):
        layer = nn.Dropout(0.25, rng=0)
        x = np.ones((100, 100))
        y = layer(x)
        assert set(np.unique(y)) == {0.0, 1 / 0.75}
        assert abs((y == 0).mean() - 0.25) < 0.02
        assert np.array_equal(layer.eval()(x), x)

    def test_each_step_drops_others(self):
        layer = nn.Dropout(rng=0)
        assert not np.array_equal(layer(np.ones(100)), layer(np.ones(100)))

    def test_whole_channels(self):
        y = nn.ChannelDropout(0.5, rng=0)(np.ones((8, 4, 4, 8)))
        per_channel = y.reshape(8, 16, 8)
        assert np.array_equal(per_channel.min(1), per_channel.max(1))


class TestContainers:
    def test_a_list_of_modules(self):
        class Net(nn.Module):
            def __init__(self):
                self.layers = nn.ModuleList(nn.Linear(2, 2, rng=i) for i in range(3))

            def forward(self, x):
                for layer in self.layers:
                    x = layer(x)
                return x

        net = Net()
        y = net(np.ones((1, 2), np.float32))
        assert y.scope == "net.layers.2"
        assert len(list(net.parameters())) == 6
        assert isinstance(net.layers[1:], nn.ModuleList)
        assert net.layers[-1] is net.layers[2]
        assert [name for name, _ in net.named_modules()][1:] == [
            "layers",
            "layers.0",
            "layers.1",
            "layers.2",
        ]

    def test_a_residual_block_whose_ways_differ(self):
        block = nn.Residual(nn.Linear(3, 4, rng=0))
        with pytest.raises(gg.ShapeError, match="body gives 2×4, the other way 2×3"):
            block(np.ones((2, 3), np.float32))

    def test_residual_scopes(self):
        block = nn.Residual(nn.Linear(3, 3, rng=0))
        assert block(np.ones((2, 3), np.float32)).scope == "residual"


class TestAttention:
    def test_causal_items_see_nothing_later(self):
        layer = nn.MultiHeadAttention(4, 2, rng=0)
        x = images(1, 5, 4)
        y = layer(x, causal=True).data
        x2 = x.copy()
        x2[:, 3:] = 9.0
        np.testing.assert_allclose(layer(x2, causal=True).data[:, :3], y[:, :3], rtol=1e-5)

    def test_a_mask_for_each_item_of_the_batch(self):
        layer = nn.MultiHeadAttention(4, 2, rng=0)
        x, at = images(2, 3, 4), images(2, 5, 4)
        mask = np.ones((2, 3, 5), bool)
        mask[1, :, 3:] = False
        y = layer(x, at, mask=mask).data
        np.testing.assert_allclose(y[1], layer(x[1:], at[1:, :3]).data[0], rtol=1e-4, atol=1e-6)


class TestLSTM:
    def test_without_a_state_it_starts_from_zeros(self):
        cell = nn.LSTMCell(3, 4, rng=0)
        x, zeros = images(2, 3), np.zeros((2, 4), np.float32)
        for a, b in zip(cell(x), cell(x, (zeros, zeros)), strict=True):
            np.testing.assert_allclose(a.data, b.data, rtol=1e-6)

    def test_gradients_through_time(self):
        cell = nn.LSTMCell(2, 3, rng=0)
        xs = images(4, 2, 2)

        def loss(x):
            state = None
            for t in range(4):
                state = cell(x[t], state)
            return (state[0] * state[0]).sum()

        assert check(loss, xs.astype(float)).verdict == "passed"


class TestFreezing:
    def test_frozen_parameters_get_no_gradient_and_come_back(self):
        net = nn.Sequential(a=nn.Linear(2, 2, rng=0), n=nn.BatchNorm(2), b=nn.Linear(2, 1, rng=1))
        names = [name for name, _ in net.named_parameters()]
        assert net.a.freeze() is net.a
        net(np.ones((3, 2), np.float32)).sum().backward()
        assert net.a.w.grad is None
        assert net.b.w.grad is not None
        net.freeze()
        assert list(net.parameters()) == []
        assert len(net.state_dict()) == 8
        with pytest.raises(gg.DomainError, match="no parameters"):
            optim.SGD(net.parameters(), lr=0.1)
        net.freeze(False)
        assert [name for name, _ in net.named_parameters()] == names

    def test_a_part_of_what_is_frozen_comes_back(self):
        net = nn.Sequential(body=nn.Linear(2, 3, rng=0), head=nn.Linear(3, 1, rng=1))
        net.freeze().head.freeze(False)
        assert [name for name, _ in net.named_parameters()] == ["head.w", "head.b"]
        copied = copy.deepcopy(net.body).freeze(False)
        assert [name for name, _ in copied.named_parameters()] == ["w", "b"]
        assert len(list(net.parameters())) == 2

    @pytest.mark.parametrize("make", [optim.Adam, lambda p: optim.SGD(p, 0.1, momentum=0.9)])
    def test_an_optimiser_that_has_them_leaves_them_alone(self, make):
        layer = nn.Linear(2, 2, rng=0)
        optimizer = make(layer.parameters())
        layer(np.ones((1, 2), np.float32)).sum().backward()
        before = layer.state_dict()
        layer.freeze()
        assert layer.w.grad is None
        assert optim.clip_grad_norm(optimizer.parameters, 1.0) == 0.0
        optimizer.step()
        after = layer.state_dict()
        assert all(np.array_equal(before[k], after[k]) for k in before)


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: nn.BatchNorm(0), gg.GradgraphError, "channels"),
        (lambda: nn.BatchNorm(3, momentum=2), gg.DomainError, "momentum is 2"),
        (lambda: nn.LayerNorm(-1), gg.GradgraphError, "features"),
        (lambda: nn.GroupNorm(3, 4), gg.DomainError, "3 groups cannot share 4"),
        (lambda: nn.Dropout(1.5, rng=0), gg.GradgraphError, "1.5"),
        (lambda: nn.Dropout(0.5, rng="a"), gg.DTypeError, "rng is 'a'"),
        (lambda: nn.Embedding(0, 3, rng=0), gg.GradgraphError, "count"),
        (lambda: nn.MultiHeadAttention(5, 2, rng=0), gg.DomainError, "2 heads cannot share 5"),
        (lambda: nn.ConvTranspose(3, 4, 3, groups=2, rng=0), gg.DomainError, "2 groups cannot"),
        (lambda: nn.DepthwiseConv(3, (3, 3, 3, 3), rng=0), gg.DomainError, "has 4 axes"),
        (lambda: nn.ModuleList([nn.ReLU]), gg.DTypeError, "item 0 is ReLU, not a module"),
        (lambda: nn.BatchNorm(3, momentum="a"), gg.DTypeError, "momentum is 'a'"),
        (lambda: nn.BatchNorm(3, eps=0), gg.DomainError, "eps is 0"),
        (lambda: nn.LayerNorm(3, eps=-1), gg.DomainError, "eps is -1"),
        (lambda: nn.LayerNorm(()), gg.DomainError, "of no axis"),
        (lambda: nn.GroupNorm(1, 4, eps=0), gg.DomainError, "eps is 0"),
        (lambda: nn.PReLU(0), gg.DomainError, "channels is 0"),
        (lambda: nn.PReLU(slope=float("nan")), gg.DomainError, "slope is nan"),
        (lambda: nn.LeakyReLU("a"), gg.DTypeError, "slope is 'a'"),
        (lambda: nn.ELU(0), gg.DomainError, "alpha is 0"),
        (lambda: nn.GELU("tanh"), gg.DTypeError, "approximate is 'tanh'"),
        (lambda: nn.Softmax("a"), gg.ShapeError, "axis is 'a'"),
        (lambda: nn.Linear(2, 2, bias="no", rng=0), gg.DTypeError, "bias is 'no'"),
        (lambda: nn.Conv(1, 1, 3, rng="a"), gg.DTypeError, "Conv: rng is 'a'"),
        (lambda: nn.ConvTranspose(1, 1, 3, output_padding=-1, rng=0), gg.DomainError, "output_p"),
        (lambda: nn.MaxBlurPool(2, blur=0), gg.DomainError, "blur is 0"),
        (lambda: nn.MaxPool(()), gg.DomainError, "size is"),
        (lambda: nn.Residual(nn.ReLU), gg.DTypeError, "body is the class ReLU"),
        (lambda: nn.Residual(nn.ReLU(), 3), gg.DTypeError, "shortcut is int"),
        (lambda: nn.LSTMCell(3, 2, rng=0)(X43, X43), gg.DTypeError, "state is ndarray"),
        (
            lambda: nn.LSTMCell(3, 2, rng=0)(X43, (X43[:, :2], np.zeros((7, 1, 1)))),
            gg.ShapeError,
            "c is 7×1×1, and for this x it must be 4×2",
        ),
        (lambda: nn.Embedding(3, 2, rng=0)([5]), gg.DomainError, "embedding.*names no row"),
    ],
)
def test_errors_teach(make, kind, words):
    with pytest.raises(kind, match=words):
        make()


def test_a_small_network_of_everything_learns():
    rng = np.random.default_rng(0)
    net = nn.Sequential(
        nn.Conv(1, 8, 3, padding=1, rng=rng),
        nn.BatchNorm(8),
        nn.SiLU(),
        nn.Residual(nn.Sequential(nn.DepthwiseConv(8, 3, padding=1, rng=rng), nn.GroupNorm(2, 8))),
        nn.GlobalAvgPool(),
        nn.LayerNorm(8),
        nn.Dropout(0.1, rng=rng),
        nn.Linear(8, 2, rng=rng),
    )
    x = rng.normal(size=(32, 6, 6, 1)).astype(np.float32)
    labels = (x[:, :, :3].mean((1, 2, 3)) > x[:, :, 3:].mean((1, 2, 3))).astype(int)
    x[labels == 1] *= 3
    optimizer = optim.AdamW(net.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        loss = gg.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
    guesses = net.eval()(x).data.argmax(-1)
    assert (guesses == labels).mean() > 0.9


class TestLooking:
    """Whoever looks at a network leaves it as it is."""

    @pytest.mark.parametrize(
        "look",
        [
            lambda net, x: nn.summary(net, x.shape),
            lambda net, x: nn.summary(net, x),
            lambda net, x: gg.draw(net, x.shape),
            lambda net, x: gg.draw(net, x),
            lambda net, x: gg.cuboids(net, x),
            lambda net, x: viz.saliency(net, x),
            lambda net, x: viz.occlusion(net, x, size=3),
        ],
    )
    def test_nothing_changes(self, look):
        rng = np.random.default_rng(0)
        net = nn.Sequential(
            nn.Conv(1, 3, 3, rng=rng),
            nn.BatchNorm(3),
            nn.Dropout(0.5, rng=rng),
            nn.Flatten(),
            nn.Linear(3 * 4 * 4, 2, rng=rng),
        )
        net[1].eval()
        before = net.state_dict(), rng.bit_generator.state, [m.training for m in net.modules()]
        look(net, images(2, 6, 6, 1))
        after = net.state_dict(), rng.bit_generator.state, [m.training for m in net.modules()]
        assert before[1:] == after[1:]
        assert all(np.array_equal(before[0][k], after[0][k]) for k in before[0])

    def test_a_graph_that_was_made_before_can_still_be_swept(self):
        net = nn.BatchNorm(2).eval()
        x = gg.Tensor(images(4, 2), requires_grad=True)
        loss = net(x).sum()
        viz.draw(net.train(), images(4, 2))
        loss.backward()
        assert x.grad is not None

    def test_a_method_of_a_network(self):
        net = nn.BatchNorm(2)
        viz.draw(net.forward, images(4, 2))
        assert net.mean.tolist() == [0.0, 0.0]


def test_generators_in_lists_are_found_and_shared_ones_once():
    class Noise(nn.Module):
        def __init__(self):
            self.rngs = [np.random.default_rng(0), np.random.default_rng(1)]
            self.again = self.rngs[0]
            self._hidden = np.random.default_rng(2)

    assert [name for name, _ in Noise().named_generators()] == ["rngs.0", "rngs.1"]


@pytest.mark.parametrize(
    ("make", "x"),
    [
        (lambda: nn.MultiHeadAttention(4, 2, rng=0), (0, 2, 4)),
        (lambda: models.LeNet5(rng=0), (0, 28, 28, 1)),
        (lambda: models.SignalCNN(10, rng=0), (0, 10, 1)),
    ],
)
def test_empty_batches(make, x):
    assert make()(np.zeros(x, np.float32)).shape[0] == 0


def test_slices_of_a_sequential_keep_every_layer():
    net = nn.Sequential(nn.ReLU(), nn.Tanh(), layer0=nn.Sigmoid())
    assert len(net[:]) == 3
    assert net[1:][0] is net[1]
