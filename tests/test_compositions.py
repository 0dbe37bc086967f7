"""Blocks that are composed of ops: against plain numpy, their gradients, and counts by hand."""

from __future__ import annotations

import attention
import inception
import lstm
import numpy as np
import pytest
import residual
import separable
import unet
from numpy.testing import assert_allclose, assert_array_equal

import gradgraph as gg
from gradgraph import viz
from gradgraph.testing import check

# The same blocks in plain numpy, written from their definitions.


def np_relu(x):
    return np.where(x > 0, x, 0.0)


def np_sigmoid(x):
    return 1 / (1 + np.exp(-x))


def np_conv(x, w, b=0.0):
    """Each pixel: its window (zeros around the image) times the filters."""
    k = w.shape[0]
    padded = np.pad(x, [(0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)])
    out = np.empty((*x.shape[:3], w.shape[-1]))
    for i, j in np.ndindex(x.shape[1:3]):
        out[:, i, j] = np.tensordot(padded[:, i : i + k, j : j + k], w, 3) + b
    return out


def np_pool(x, size, stride, padding=0):
    sides = [(0, 0), (padding, padding), (padding, padding), (0, 0)]
    padded = np.pad(x, sides, constant_values=-np.inf)
    rows = range(0, padded.shape[1] - size + 1, stride)
    columns = range(0, padded.shape[2] - size + 1, stride)
    windows = [[padded[:, i : i + size, j : j + size].max((1, 2)) for j in columns] for i in rows]
    return np.moveaxis(np.array(windows), 2, 0)


def np_attention(x, p, heads=2):
    out = np.zeros_like(x)
    d = x.shape[2] // heads
    for n in range(len(x)):
        told = []
        for h in range(heads):
            q, k, v = ((x[n] @ p[w])[:, h * d : (h + 1) * d] for w in ("query", "key", "value"))
            rows = []
            for i in range(len(q)):  # a token sees itself and those before
                e = np.exp([q[i] @ k[j] / np.sqrt(d) for j in range(i + 1)])
                rows.append((e / e.sum()) @ v[: i + 1])
            told.append(rows)
        out[n] = np.concatenate(told, axis=-1) @ p["out"]
    return out


def np_lstm(xs, p):
    h = c = np.zeros((len(xs[0]), p["b"].size // 4))
    for x in xs:
        i, f, o, g = np.split(np.hstack([x, h]) @ p["w"] + p["b"], 4, axis=1)
        c = np_sigmoid(f) * c + np_sigmoid(i) * np.tanh(g)
        h = np_sigmoid(o) * np.tanh(c)
    return h


def np_block(x, p):
    y = np_conv(np_relu(np_conv(x, p["w1"], p["b1"])), p["w2"], p["b2"])
    return np_relu(x + y)


def np_inception(x, p):
    def conv(x, name):
        return np_relu(np_conv(x, p[f"{name}.w"], p[f"{name}.b"]))

    branches = [
        conv(x, "conv1"),
        conv(conv(x, "reduce3"), "conv3"),
        conv(conv(x, "reduce5"), "conv5"),
        conv(np_pool(x, 3, 1, padding=1), "project"),
    ]
    return np.concatenate(branches, axis=-1)


def np_separable(x, p):
    each = [np_conv(x[..., c : c + 1], p["depthwise"][..., c : c + 1]) for c in range(x.shape[-1])]
    return np_relu(np.concatenate(each, axis=-1) @ p["pointwise"][0, 0])


def np_unet(x, p):
    def conv(x, name):
        return np_conv(x, p[f"{name}.w"], p[f"{name}.b"])

    def up(x):
        return x.repeat(2, axis=1).repeat(2, axis=2)

    fine = np_relu(conv(x, "down1"))
    coarse = np_relu(conv(np_pool(fine, 2, 2), "down2"))
    deep = np_relu(conv(np_pool(coarse, 2, 2), "bottom"))
    coarse = np_relu(conv(np.concatenate([coarse, up(deep)], -1), "up2"))
    fine = np_relu(conv(np.concatenate([fine, up(coarse)], -1), "up1"))
    return np_sigmoid(conv(fine, "out"))


RNG = np.random.default_rng(1)
START = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def _from_the_start():
    """Every test has the same numbers, whichever tests ran before."""
    RNG.bit_generator.state = START


def normal(*shape):
    return RNG.normal(size=shape)


def random(p):
    """Parameters of the same names and shapes; no bias is zero, so that no relu is on its kink."""
    return {k: gg.Tensor(RNG.normal(0, 0.5, w.shape), requires_grad=True) for k, w in p.items()}


CASES = {  # the block, the same in numpy, its input, its parameters
    "attention": (
        attention.attention,
        np_attention,
        normal(2, 3, 4),
        random(attention.parameters(4, RNG)),
    ),
    "lstm": (
        lstm.lstm,
        np_lstm,
        [normal(2, 3) for _ in range(3)],
        random(lstm.parameters(3, 2, RNG)),
    ),
    "residual": (residual.block, np_block, normal(1, 4, 3, 2), random(residual.parameters(2, RNG))),
    "inception": (
        inception.inception,
        np_inception,
        normal(1, 4, 5, 3),
        random(inception.parameters(3, RNG)),
    ),
    "separable": (
        separable.separable,
        np_separable,
        normal(2, 4, 3, 3),
        {k: w for k, w in random(separable.parameters(3, 4, RNG)).items() if k != "plain"},
    ),
    "unet": (unet.unet, np_unet, normal(1, 4, 8, 2), random(unet.parameters(2, 2, 2, RNG))),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def arrays(p):
    return {k: w.data for k, w in p.items()}


def test_a_block_computes_what_numpy_computes(case):
    block, plain, x, p = case
    assert_allclose(block(x, p).data, plain(x, arrays(p)), rtol=1e-12, atol=1e-14)


def test_a_block_keeps_float32(case):
    block, _, x, p = case
    small = {k: gg.Tensor(w.data.astype(np.float32)) for k, w in p.items()}
    x32 = [part.astype(np.float32) for part in x] if isinstance(x, list) else x.astype(np.float32)
    found = block(x32, small).data
    assert found.dtype == np.float32
    assert_allclose(found, block(x, p).data, rtol=1e-4, atol=1e-5)


def test_the_gradient_of_a_block_is_right(case):
    block, _, x, p = case
    report = check(block, x, p)
    assert report.verdict == "passed"
    assert not report.notes


def test_the_gradient_is_the_slope_of_the_numpy_block(case):
    """Along one direction of all inputs and parameters, by differences of plain numpy."""
    block, plain, x, p = case
    many = isinstance(x, list)
    xs = [gg.Tensor(part, requires_grad=True) for part in (x if many else [x])]
    out = block(xs if many else xs[0], p)
    u = np.random.default_rng(2).normal(size=out.shape)
    found = gg.Graph.of((out * u).sum())
    leaves = [found.vertices[i] for i in found.inputs]
    assert set(leaves) == {*xs, *p.values()}
    for leaf in leaves:
        leaf.grad = None
    (out * u).sum().backward()
    steps = {leaf: np.random.default_rng(3).normal(size=leaf.shape) for leaf in leaves}
    slope = sum(float((leaf.grad.data * steps[leaf]).sum()) for leaf in leaves)

    def along(h):
        moved = [t.data + h * steps[t] for t in xs]
        return (
            plain(moved if many else moved[0], {k: w.data + h * steps[w] for k, w in p.items()}) * u
        ).sum()

    h = 1e-6
    assert slope == pytest.approx((along(h) - along(-h)) / (2 * h), rel=1e-6)


@pytest.mark.parametrize(("batch", "tokens", "channels", "heads"), [(1, 1, 2, 1), (3, 5, 12, 4)])
def test_flops_of_attention(batch, tokens, channels, heads):
    p = attention.parameters(channels, RNG)
    graph = gg.trace(lambda x: attention.attention(x, p, heads), (batch, tokens, channels))
    assert graph.flops() == attention.flops(batch, tokens, channels, heads)
    assert graph.parameters() == 4 * channels**2


@pytest.mark.parametrize(("batch", "steps", "channels", "units"), [(1, 1, 1, 1), (3, 4, 2, 5)])
def test_flops_of_the_lstm(batch, steps, channels, units):
    p = lstm.parameters(channels, units, RNG)
    graph = gg.trace(lambda *xs: lstm.lstm(xs, p), *[(batch, channels)] * steps)
    assert graph.flops() == lstm.flops(batch, steps, channels, units)
    assert graph.parameters() == 4 * units * (channels + units + 1)  # for any number of steps


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 5, 4, 2)])
def test_flops_of_the_residual_block(shape):
    p = residual.parameters(shape[-1], RNG)
    for skip in (True, False):
        graph = gg.trace(lambda x, skip=skip: residual.block(x, p, skip), shape)
        assert graph.flops() == residual.flops(shape, skip)


@pytest.mark.parametrize("shape", [(1, 2, 2, 1), (3, 5, 4, 6)])
def test_flops_of_inception(shape):
    p = inception.parameters(shape[-1], RNG)
    graph = gg.trace(lambda x: inception.inception(x, p), shape)
    assert graph.flops() == inception.flops(shape)
    assert graph.specs[graph.outputs[0]].shape == (*shape[:3], 4 + 4 + 2 + 2)


def test_flops_and_weights_of_the_separable_block():
    shape, filters = (2, 5, 4, 6), 10
    p = separable.parameters(6, filters, RNG)
    apart, plain = (
        gg.trace(lambda x, f=f: f(x, p), shape) for f in (separable.separable, separable.plain)
    )
    assert (apart.flops(), plain.flops()) == separable.flops(shape, filters)
    share = 1 / filters + 1 / 9
    assert apart.parameters() == pytest.approx(share * plain.parameters())
    relu = 2 * 5 * 4 * filters
    assert apart.flops() - relu == pytest.approx(share * (plain.flops() - relu))


@pytest.mark.parametrize(("levels", "width"), [(1, 1), (2, 3), (3, 2)])
def test_flops_of_the_unet(levels, width):
    p = unet.parameters(2, width, levels, RNG)
    graph = gg.trace(lambda x: unet.unet(x, p, levels), (2, 16, 8, 2))
    assert graph.flops() == unet.flops((2, 16, 8, 2), width, levels)
    assert graph.specs[graph.outputs[0]].shape == (2, 16, 8, 1)


def test_attention_sees_no_future():
    """The Jacobian of token i by token j is zero exactly where j comes after i."""
    _, _, x, p = CASES["attention"]
    jacobian = gg.jacobian(lambda x: attention.attention(x, p))(x[:1])
    reached = np.abs(jacobian[0, :, :, 0]).max(axis=(1, 3)) > 0
    assert_array_equal(reached, np.tri(3, dtype=bool))


def test_attention_of_equal_keys_is_the_mean_of_the_past():
    one = np.eye(2)
    p = {"query": one, "key": 0 * one, "value": one, "out": one}
    x = np.array([[[3.0, 0.0], [1.0, 2.0], [2.0, 4.0]]])
    found = attention.attention(x, {k: gg.Tensor(w) for k, w in p.items()}, heads=2)
    assert_allclose(found.data, [[[3.0, 0.0], [2.0, 1.0], [2.0, 2.0]]])


def test_an_lstm_that_forgets_nothing_and_takes_nothing_in_keeps_its_memory():
    p = lstm.parameters(1, 1, RNG)
    p["w"].assign(np.zeros((2, 4), np.float32))
    p["b"].assign(np.array([-200, 200, 200, 1], np.float32))  # i = 0, f = 1, o = 1
    h, c = lstm.cell(np.ones((1, 1)), np.ones((1, 1)), np.array([[0.5]]), p)
    assert c.item() == 0.5
    assert h.item() == pytest.approx(np.tanh(0.5))


def test_the_gradient_of_the_shared_weight_is_the_sum_over_the_steps():
    _, _, xs, p = CASES["lstm"]
    copies = [{k: gg.Tensor(w.data, requires_grad=True) for k, w in p.items()} for _ in xs]
    h = c = np.zeros((2, 2))
    for x, own in zip(xs, copies, strict=True):
        h, c = lstm.cell(x, h, c, own)
    h.sum().backward()
    shared = gg.Tensor(p["w"].data, requires_grad=True)
    lstm.lstm(xs, {**p, "w": shared}).sum().backward()
    each = [own["w"].grad.data for own in copies]
    assert all(np.abs(g).max() > 1e-6 for g in each)
    assert_allclose(shared.grad.data, sum(each), rtol=1e-12)


def test_the_skip_carries_the_whole_gradient():
    """Of what arrives at the addition the skip sends back all, the convolutions 3 % or so."""
    x = gg.Tensor(normal(1, 4, 4, 2), requires_grad=True)
    p = residual.parameters(2, RNG, small=0.1)
    out = residual.block(x, p)
    seen = viz.flow(out.sum())
    (add,) = (v for v in gg.Graph.of(out).vertices if v.scope == "skip")
    back = {r.scope: norm for (r, i), norm in seen.edges.items() if r.inputs[i] is x}
    assert back["skip"] == seen.norms[add]
    assert 0 < back["conv1"] < 0.2 * back["skip"]


def test_without_weights_only_the_skip_is_left():
    p = {k: gg.Tensor(w.data * 0) for k, w in residual.parameters(2, RNG).items()}
    x = normal(1, 3, 3, 2)
    assert_array_equal(residual.block(x, p).data, np_relu(x))
    assert_array_equal(residual.block(x, p, skip=False).data, 0 * x)


def test_a_separable_block_is_a_convolution_whose_filters_are_products():
    _, _, x, p = CASES["separable"]
    product = p["depthwise"].data[:, :, 0, :, None] * p["pointwise"].data[0, 0]
    same = separable.plain(x, {"plain": gg.Tensor(product)})
    assert_allclose(separable.separable(x, p).data, same.data, rtol=1e-12, atol=1e-14)


def test_up_sampling_repeats_pixels_and_sums_gradients():
    x = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 2, 2, 1)
    assert unet.doubled(gg.Tensor(x)).data[0, :, :, 0].tolist() == [
        [1, 1, 2, 2],
        [1, 1, 2, 2],
        [3, 3, 4, 4],
        [3, 3, 4, 4],
    ]
    u = np.arange(16.0).reshape(1, 4, 4, 1)
    back = gg.vjp(unet.doubled, x)[1](u)
    assert back[0, :, :, 0].tolist() == [[0 + 1 + 4 + 5, 18], [42, 10 + 11 + 14 + 15]]


def test_inception_concatenates_its_branches_in_order():
    _, _, x, p = CASES["inception"]
    whole = inception.inception(x, p).data
    start = 0
    for last in ("conv1", "conv3", "conv5", "project"):
        width = p[f"{last}.b"].shape[0]
        off = {k: gg.Tensor(w.data * (not k.startswith(last))) for k, w in p.items()}
        changed = (inception.inception(x, off).data != whole).any(axis=(0, 1, 2))
        assert np.flatnonzero(changed).min() >= start
        assert np.flatnonzero(changed).max() < start + width
        start += width
    assert start == whole.shape[-1]
