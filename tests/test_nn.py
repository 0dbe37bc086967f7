"""Modules, layers and initial weights."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import gradgraph as gg
from gradgraph import nn
from gradgraph.nn import init
from gradgraph.nn.module import parameter

from .extra_ops import _Untested, unregistered


class Net(nn.Module):
    def __init__(self, rng=0):
        rng = np.random.default_rng(rng)
        self.features = nn.Sequential(conv1=nn.Conv(1, 2, 3, rng=rng), act=nn.ReLU())
        self.head = [nn.Linear(8, 4, rng=rng), nn.Linear(4, 3, rng=rng)]
        self.scale = gg.Tensor(2.0, name="scale")
        self._cache = gg.Tensor(1.0, requires_grad=True)

    def forward(self, x):
        self.last = self.features(x)
        y = self.last.reshape(len(x), -1)
        for layer in self.head:
            y = layer(y)
        return y * self.scale


def images(n=2):
    return np.random.default_rng(5).normal(size=(n, 4, 4, 1)).astype(np.float32)


def scopes(loss):
    return [step.scope for step in gg.Graph.of(loss).steps]


class TestModule:
    def test_parameters_have_dotted_names_and_buffers_are_none(self):
        names = [name for name, _ in Net().named_parameters()]
        assert names == [
            "features.conv1.w",
            "features.conv1.b",
            "head.0.w",
            "head.0.b",
            "head.1.w",
            "head.1.b",
        ]
        assert list(Net().state_dict()) == ["scale", *names]

    def test_what_forward_stored_is_no_parameter(self):
        net = Net()
        net(images())
        assert "last" in vars(net)
        assert len(list(net.parameters())) == 6

    def test_a_shared_module_is_found_once(self):
        net = nn.Module()
        net.a = net.b = nn.Linear(2, 2, rng=0)
        assert [name for name, _ in net.named_parameters()] == ["a.w", "a.b"]
        assert [name for name, _ in net.named_modules()] == ["", "a"]

    def test_shared_weights_are_found_once(self):
        net = nn.Module()
        net.a, net.b = nn.Linear(2, 2, rng=0), nn.Linear(2, 2, rng=1)
        net.b.w = net.a.w
        assert [name for name, _ in net.named_parameters()] == ["a.w", "a.b", "b.b"]

    def test_a_module_that_knows_its_parent_ends(self):
        net = nn.Module()
        net.child = nn.Linear(2, 2, rng=0)
        net.child.parent = net
        net.itself = [net]
        net.itself.append(net.itself)
        assert [name for name, _ in net.named_parameters()] == ["child.w", "child.b"]

    def test_scopes_are_attribute_paths(self):
        net = Net()
        assert scopes(net(images())) == [
            "net.features.conv1",
            "net.features.conv1",
            "net.features.act",
            "net",
            "net.head.0",
            "net.head.0",
            "net.head.1",
            "net.head.1",
            "net",
        ]

    def test_scope_of_a_call_past_the_child(self):
        class Skips(Net):
            def forward(self, x):
                return self.features.conv1(x)

        assert set(scopes(Skips()(images()))) == {"skips.features.conv1"}

    def test_scope_follows_the_path_of_the_call(self):
        shared = nn.Linear(4, 4, rng=0)
        left, right = nn.Sequential(shared), nn.Sequential(mine=shared)
        net = nn.Sequential(left=left, right=right)
        assert set(scopes(net(np.ones((1, 4))))) == {
            "sequential.left.0",
            "sequential.right.mine",
        }

    def test_scope_of_a_module_that_nobody_holds(self):
        stranger = nn.Linear(4, 4, rng=0)

        class Calls(nn.Module):
            def forward(self, x):
                return stranger(x)

        with gg.scope("outer"):
            assert set(scopes(Calls()(np.ones((1, 4))))) == {"outer.calls.linear"}

    def test_scope_closes_after_an_error(self):
        net = nn.Linear(4, 4, rng=0)
        with pytest.raises(gg.ShapeError, match=r"matmul \(linear\)"):
            net(np.ones((2, 3)))
        assert (net.w * 1).scope == ""
        assert net(np.ones((1, 4))).scope == "linear"

    def test_zero_grad(self):
        net = Net()
        net(images()).sum().backward()
        assert all(p.grad is not None for p in net.parameters())
        net.zero_grad()
        assert all(p.grad is None for p in net.parameters())

    def test_layers_by_name(self):
        net = nn.Sequential(conv=nn.Conv(1, 2, 3, rng=0), relu=nn.ReLU())
        assert net["conv"] is net.conv is net[0]
        with pytest.raises(gg.IndexingError, match=r"it has no layer 'fc'\. It has conv, relu"):
            net["fc"]

    def test_train_and_eval_reach_every_module(self):
        net = Net()
        assert net.training
        assert net.eval() is net
        assert not any(m.training for m in net.modules())
        net.train()
        assert all(m.training for m in net.modules())

    def test_state_goes_from_one_network_to_another(self):
        one, other = Net(rng=0), Net(rng=1)
        assert not np.array_equal(one(images()).data, other(images()).data)
        other.load_state_dict(one.state_dict())
        assert np.array_equal(one(images()).data, other(images()).data)

    def test_state_is_a_copy(self):
        net = Net()
        before = net.features.conv1.w.numpy()
        net.state_dict()["features.conv1.w"][...] = 7
        assert np.array_equal(net.features.conv1.w.data, before)

    def test_state_that_does_not_fit_changes_nothing(self):
        net, state = Net(), Net(rng=1).state_dict()
        before = net.state_dict()
        state["head.1.b"] = np.zeros(5)
        with pytest.raises(gg.ShapeError, match=r"head\.1\.b is .*5.* in the state, but .*3"):
            net.load_state_dict(state)
        del state["head.1.b"]
        state["tail.w"] = np.zeros(1)
        with pytest.raises(gg.DomainError, match=r"lacks head\.1\.b and has the unknown tail\.w"):
            net.load_state_dict(state)
        after = net.state_dict()
        assert all(np.array_equal(after[name], before[name]) for name in before)

    def test_state_in_part(self):
        net, state = Net(), Net(rng=1).state_dict()
        kept = net.state_dict()["head.1.b"]
        del state["head.1.b"]
        state["tail.w"] = np.zeros(1)
        net.load_state_dict(state, strict=False)
        after = net.state_dict()
        assert np.array_equal(after.pop("head.1.b"), kept)
        assert all(np.array_equal(value, state[name]) for name, value in after.items())
        state["head.1.w"] = np.zeros(5)
        with pytest.raises(gg.ShapeError, match=r"head\.1\.w is \(5,\) in the state"):
            net.load_state_dict(state, strict=False)
        with pytest.raises(gg.DomainError, match=r"has the unknown tail\.w"):
            net.load_state_dict({"tail.w": state["tail.w"]}, strict=False)

    def test_a_deep_copy_is_another_network(self):
        net = Net()
        twin = copy.deepcopy(net)
        assert np.array_equal(net(images()).data, twin(images()).data)
        twin.features.conv1.w.assign(0.0)
        assert net.features.conv1.w.data.any()
        assert twin(images()).scope == "net"

    def test_a_deep_copy_keeps_sharing(self):
        net = nn.Module()
        net.a = net.b = nn.Linear(2, 2, rng=0)
        twin = copy.deepcopy(net)
        assert twin.a is twin.b
        assert twin.a is not net.a

    def test_no_forward(self):
        with pytest.raises(gg.GradError, match=r"has no forward.*def forward"):
            nn.Module()(1)

    def test_repr_shows_shapes_and_counts(self):
        lines = repr(Net()).splitlines()
        assert lines[0] == "Net()  scale scalar  71 parameters"
        assert lines[2] == ("    conv1: Conv(1 → 2, kernel 3×3)  w 3×3×1×2, b 2  20 parameters")
        assert lines[4] == "    0: Linear(8 → 4)  w 8×4, b 4  36 parameters"

    def test_gradients_of_a_network_are_those_of_its_ops(self):
        net, x = Net(), images()
        net(x).sum().backward()

        def by_hand(w):
            y = gg.relu(gg.conv(x, w, net.features.conv1.b)).reshape(len(x), -1)
            for layer in net.head:
                y = y @ layer.w + layer.b
            return (y * 2.0).sum()

        expected = gg.grad(by_hand)(net.features.conv1.w.detach())
        assert np.allclose(net.features.conv1.w.grad.data, expected.data, rtol=1e-5)


class TestLayers:
    @pytest.mark.parametrize(
        ("layer", "shape", "result"),
        [
            (nn.Conv(3, 4, 3, rng=0), (2, 8, 9, 3), (2, 6, 7, 4)),
            (nn.Conv(3, 4, (3,), stride=2, rng=0), (2, 9, 3), (2, 4, 4)),
            (nn.Conv(2, 4, (1, 2, 3), rng=0), (1, 3, 4, 5, 2), (1, 3, 3, 3, 4)),
            (nn.Conv(4, 8, 3, groups=4, padding="same", rng=0), (1, 5, 5, 4), (1, 5, 5, 8)),
            (nn.Conv(1, 1, 3, dilation=2, rng=0), (1, 7, 7, 1), (1, 3, 3, 1)),
            (nn.Linear(3, 5, rng=0), (2, 4, 3), (2, 4, 5)),
            (nn.MaxPool(3, stride=2), (1, 7, 7, 2), (1, 3, 3, 2)),
            (nn.MaxPool((1, 2), padding=(0, 1)), (1, 4, 4, 2), (1, 4, 3, 2)),
            (nn.AvgPool(2), (1, 4, 4, 2), (1, 2, 2, 2)),
            (nn.Flatten(), (0, 2, 3), (0, 6)),
            (nn.Flatten(), (3,), (3, 1)),
        ],
    )
    def test_shapes_and_dtype(self, layer, shape, result):
        y = layer(gg.Tensor(np.ones(shape, np.float32)))
        assert y.shape == result
        assert y.dtype == np.float32

    def test_conv_is_the_op(self):
        x = images()
        layer = nn.Conv(1, 3, 3, stride=(1, 2), padding=((1, 0), (0, 1)), rng=0)
        layer.b.assign([1.0, 2.0, 3.0])
        y = gg.conv(x, layer.w, layer.b, stride=(1, 2), padding=((1, 0), (0, 1)))
        assert np.array_equal(layer(x).data, y.data)

    def test_linear_is_the_product(self):
        layer, x = nn.Linear(3, 2, rng=0), np.ones((4, 3), np.float32)
        layer.b.assign([1.0, -1.0])
        expected = x @ layer.w.data + np.array([1, -1], np.float32)
        assert np.array_equal(layer(x).data, expected)

    def test_activations_and_pools_are_the_ops(self):
        x = gg.Tensor(images())
        assert np.array_equal(nn.ReLU()(x).data, gg.relu(x).data)
        assert np.array_equal(nn.Tanh()(x).data, gg.tanh(x).data)
        assert np.array_equal(nn.Sigmoid()(x).data, gg.sigmoid(x).data)
        assert np.array_equal(nn.MaxPool(2)(x).data, gg.max_pool(x, 2).data)
        pool = nn.AvgPool(2, padding=1, count_include_pad=False)
        expected = gg.avg_pool(x, 2, padding=1, count_include_pad=False)
        assert np.array_equal(pool(x).data, expected.data)

    def test_without_bias(self):
        assert [n for n, _ in nn.Conv(1, 2, 3, bias=False, rng=0).named_parameters()] == ["w"]
        linear = nn.Linear(2, 3, bias=False, rng=0)
        assert linear.b is None
        assert linear(np.ones((1, 2))).shape == (1, 3)

    def test_parameters_are_named_float32_leaves(self):
        conv = nn.Conv(1, 2, 3, rng=0)
        assert (conv.w.name, conv.b.name) == ("w", "b")
        assert conv.w.dtype == conv.b.dtype == np.float32
        assert conv.w.requires_grad
        assert conv.w.op is None

    def test_parameters_are_numbers(self):
        with pytest.raises(gg.DTypeError, match="w is bool"):
            parameter(np.zeros(2, bool), "w")

    def test_the_same_seed_gives_the_same_network(self):
        one, two, other = nn.LeNet(rng=3), nn.LeNet(rng=3), nn.LeNet(rng=4)
        for a, b in zip(one.parameters(), two.parameters(), strict=True):
            assert np.array_equal(a.data, b.data)
        assert not np.array_equal(one.fc1.w.data, other.fc1.w.data)

    def test_a_generator_goes_on(self):
        rng = np.random.default_rng(0)
        one, two = nn.Linear(2, 2, rng=rng), nn.Linear(2, 2, rng=rng)
        assert not np.array_equal(one.w.data, two.w.data)

    def test_sequential_takes_modules_and_functions(self):
        net = nn.Sequential(nn.Linear(2, 2, rng=0), gg.relu, last=nn.Linear(2, 1, rng=1))
        assert len(net) == 3
        assert net[1] is gg.relu
        assert net[-1] is net.last
        assert [n for n, _ in net.named_parameters()] == ["0.w", "0.b", "last.w", "last.b"]
        y = net(np.ones((1, 2)))
        assert scopes(y) == ["sequential.0"] * 2 + ["sequential"] + ["sequential.last"] * 2

    def test_a_layer_of_a_sequential_can_be_replaced(self):
        net = nn.Sequential(body=nn.Linear(2, 2, rng=0), head=nn.Linear(2, 3, rng=0))
        net.head = nn.Linear(2, 7, rng=0)
        assert net(np.ones((1, 2))).shape == (1, 7)

    @pytest.mark.parametrize(
        ("make", "kind", "words"),
        [
            (lambda: nn.Conv(0, 2, 3, rng=0), gg.DomainError, "Conv: c_in is 0"),
            (lambda: nn.Conv(1, 2, 0, rng=0), gg.DomainError, "Conv: kernel is 0"),
            (lambda: nn.Conv(1, 2, (3,) * 4, rng=0), gg.DomainError, "has 4 axes"),
            (lambda: nn.Conv(1, 2, 3, padding="full", rng=0), gg.DomainError, "'full'"),
            (lambda: nn.Conv(3, 4, 3, groups=2, rng=0), gg.DomainError, "2 groups.* 3 input"),
            (lambda: nn.Conv(1, 2, 3, rng=None), gg.DTypeError, "rng is None.*Pass rng=0"),
            (lambda: nn.Linear(2.5, 1, rng=0), gg.DomainError, "Linear: n_in is 2.5"),
            (lambda: nn.Sequential([nn.ReLU()]), gg.DTypeError, r"Sequential\(\*layers\)"),
            (lambda: nn.Sequential(3), gg.DTypeError, "layer 0 is int"),
            (lambda: nn.Sequential(forward=nn.ReLU()), gg.DomainError, "'forward'"),
        ],
    )
    def test_errors_teach(self, make, kind, words):
        with pytest.raises(kind, match=words):
            make()

    def test_an_error_inside_names_the_layer(self):
        with pytest.raises(gg.ShapeError, match=r"conv \(net\.features\.conv1\): x has 3"):
            Net()(np.zeros((1, 4, 4, 3), np.float32))

    def test_lenet(self):
        net = nn.LeNet(rng=0)
        scores = net(np.zeros((2, 28, 28, 1), np.float32))
        assert scores.shape == (2, 10)
        assert scores.dtype == np.float32
        seen = set(scopes(scores))
        assert {"lenet.features.conv1", "lenet.features.pool2", "lenet.fc1", "lenet.fc2"} <= seen


class TestInit:
    @pytest.mark.parametrize(
        ("fill", "variance"),
        [
            (init.kaiming_normal, 2 / 225),
            (init.kaiming_uniform, 2 / 225),
            (init.xavier_normal, 2 / (225 + 450)),
            (init.xavier_uniform, 2 / (225 + 450)),
        ],
    )
    def test_variance(self, fill, variance):
        w = fill((3, 3, 25, 50), rng=0)  # 11,250 numbers: their variance is right to a few percent
        assert w.shape == (3, 3, 25, 50)
        assert w.dtype == np.float32
        assert abs(w.var() / variance - 1) < 0.05
        assert abs(w.mean()) < 4 * np.sqrt(variance / w.size)

    def test_uniform_numbers_stay_within_their_bound(self):
        w = init.kaiming_uniform((100, 100), rng=0)
        bound = np.sqrt(3) * np.sqrt(2 / 100)
        assert 0.99 * bound < np.abs(w).max() <= bound * (1 + 1e-6)

    def test_fan_out_counts_the_filters_of_a_group(self):
        w = nn.Conv(8, 16, 3, groups=4, rng=0).w
        assert init.fans(w.shape, groups=4) == (3 * 3 * 2, 3 * 3 * 4)

    def test_the_signal_keeps_its_size(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(64, 512))
        for _ in range(10):
            x = gg.relu(x @ init.kaiming_normal((512, 512), rng=rng))
        assert 0.5 < (x**2).mean() < 2

    def test_the_global_generator_is_untouched(self):
        before = np.random.get_state()[1].copy()
        init.xavier_normal((4, 4), rng=0)
        nn.LeNet(rng=0)
        assert np.array_equal(np.random.get_state()[1], before)

    @pytest.mark.parametrize("rng", [None, "0", 1.5, -1, True])
    def test_no_hidden_randomness(self, rng):
        with pytest.raises(gg.DTypeError, match="neither a numpy Generator nor a seed"):
            init.kaiming_normal((2, 2), rng=rng)

    def test_vectors_have_no_fans(self):
        with pytest.raises(gg.ShapeError, match="no inputs and outputs"):
            init.fans((3,))
        with pytest.raises(gg.DomainError, match="3 groups"):
            init.fans((3, 3, 2, 4), groups=3)


class TestSummary:
    def test_layers_that_normalise(self):
        """Ops with several outputs: mean and variance are for their rules only."""
        w = gg.Tensor(np.ones((3, 3, 3, 8)), requires_grad=True)
        gamma, beta = (gg.Tensor(np.ones(8), requires_grad=True) for _ in range(2))

        def net(x):
            y = gg.conv(x, w, padding=1)
            return gg.conv(gg.layer_norm(y, gamma, beta), v, padding=1)

        v = gg.Tensor(np.ones((3, 3, 8, 4)), requires_grad=True)
        found = gg.summary(net, (1, 8, 8, 3))
        assert [row.weights for row in found.rows] == [216, 16, 288]
        assert [row.field for row in found.rows] == [(3, 3), (3, 3), (5, 5)]
        found = gg.summary(lambda x: gg.batch_norm(gg.conv(x, w), gamma, beta), (1, 8, 8, 3))
        assert [row.weights for row in found.rows] == [216, 16]
        assert found.rows[-1].field == (3, 3)

    def test_a_norm_is_one_row_with_its_scale_and_shift(self):
        """8 weights; mean, variance, scale and shift of 4·4·4 numbers."""
        net = nn.Sequential(nn.GroupNorm(2, 4), nn.ReLU())
        found = gg.summary(net, (1, 4, 4, 4))
        (row,) = found.rows
        assert (row.name, row.weights, row.shape) == ("sequential.0", 8, (1, 4, 4, 4))
        assert (row.n_in, row.n_out, row.m_in, row.m_out) == ((4, 4), (4, 4), 4, 4)
        shared = gg.Tensor(np.ones(4), requires_grad=True)
        found = gg.summary(lambda x: gg.layer_norm(x) * 2.0 * shared, (1, 4))
        assert [row.weights for row in found.rows] == [0, 4]  # a factor between them

    def test_layers_of_their_own_keep_their_rows(self):
        """What adds or multiplies in another scope is another layer."""

        class Scale(nn.Module):
            def __init__(self):
                self.w = parameter(np.ones(3), "w")

            def forward(self, x):
                return x * self.w

        net = nn.Sequential(nn.Linear(3, 3, rng=0), Scale(), Scale(), nn.LayerNorm(3), Scale())
        rows = gg.summary(net, (2, 3)).rows
        assert [(row.name[-1], row.weights) for row in rows] == [
            *(("0", 12), ("1", 3), ("2", 3), ("3", 6), ("4", 3)),
        ]

    @pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
    def test_a_line_of_numbers_is_one_row(self, shape):
        class Line(nn.Module):
            def __init__(self):
                self.a, self.b = (gg.Tensor(v, requires_grad=True) for v in (2.0, 1.0))

            def forward(self, x):
                return self.a * x + self.b

        (row,) = gg.summary(Line(), shape).rows
        assert (row.weights, row.shape, row.m_out) == (2, shape, shape[-1] if shape else 1)

    def test_a_norm_in_use_is_one_row_too(self):
        net = nn.Sequential(nn.BatchNorm(4), nn.ReLU())
        learning, using = gg.summary(net, (1, 4, 4, 4)), gg.summary(net.eval(), (1, 4, 4, 4))
        assert [row.weights for row in using.rows] == [8]
        assert using.rows[0].flops == using.flops - 64  # the relu
        assert str(learning).endswith("note: run as in training")
        assert str(using).endswith("note: run as in use (eval)")
        assert "note" not in str(gg.summary(nn.Linear(4, 2, rng=0), (1, 4)))

    def test_frozen_weights_are_counted(self):
        net = nn.Sequential(nn.Conv(1, 8, 3, rng=0), nn.GlobalAvgPool(), nn.Linear(8, 2, rng=0))
        before = gg.summary(net, (1, 5, 5, 1))
        net[0].freeze()
        after = gg.summary(net, (1, 5, 5, 1))
        assert after.rows == before.rows
        assert (after.weights, after.frozen, before.frozen) == (98, 80, 0)
        assert "98 weights in all, 80 of them frozen," in str(after)
        assert "18 parameters and 80 frozen" in repr(net)
        assert list(net.frozen()) == [net[0].w, net[0].b]
        net[0].freeze(False)
        assert not list(net.frozen())

    def test_ops_without_a_row_are_counted_together(self):
        net = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.ReLU())
        found = gg.summary(net, (2, 3))
        assert found.others == 2
        others = str(found).splitlines()[2].split()
        assert others == ["others", "2", "ops", f"{found.flops - found.rows[0].flops}"]
        assert "others" not in str(gg.summary(net[0], (2, 3)))

    def test_weights_that_are_transposed(self):
        w = gg.Tensor(np.ones((4, 16)), requires_grad=True)
        (row,) = gg.summary(lambda x: x @ w.T, (2, 16)).rows
        assert (row.weights, row.m_in, row.m_out) == (64, 16, 4)

    def test_weights_of_an_op_with_several_results(self):
        with unregistered():

            class Both(_Untested):
                outputs = 2
                linear = ("x", "w")

                def forward(self, x, w):
                    return x + w, x - w

                def vjp_x(self, g, out, x, w):
                    return g[0] + g[1]

                def vjp_w(self, g, out, x, w):
                    return g[0] - g[1]

                def spec(self, x, w):
                    return x, x

        w = parameter(np.ones((1, 3)), "w")
        (row,) = gg.summary(lambda x: Both()(x, w)[0], (1, 3)).rows
        assert (row.op, row.weights, row.shape) == ("both", 3, (1, 3))


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (3, 3, 2, 5), (1, 3), (0, 2)])
def test_orthogonal_weights(shape):
    w = nn.init.orthogonal(shape, rng=0, gain=2.0)
    assert w.shape == shape
    assert w.dtype == np.float32
    matrix = w.reshape(-1, shape[-1]).astype(float)
    inner = matrix.T @ matrix if len(matrix) >= shape[-1] else matrix @ matrix.T
    np.testing.assert_allclose(inner, 4 * np.eye(len(inner)), atol=1e-5)


def test_orthogonal_weights_prefer_no_direction():
    signs = [np.sign(nn.init.orthogonal((3, 3), rng=seed)) for seed in range(200)]
    assert np.abs(np.mean(signs, 0)).max() < 0.3
