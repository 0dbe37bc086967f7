"""Every checkable statement of the chapter on convolutional networks, one test each.

`docs/tour/ledger.md` lists the statements by section, with the test that holds each of them.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradgraph as gg
from gradgraph import data, nn, optim

rng = np.random.default_rng(7)
START = rng.bit_generator.state


@pytest.fixture(autouse=True)
def _from_the_start():
    """Every test has the same numbers, whichever tests ran before."""
    rng.bit_generator.state = START


IMAGE = np.array([0.0, 1, 1, 1, 0, 1, 0, 0])
F1, F2 = np.array([-1.0, 1]), np.array([-1.0, 1, -1])


def filtered(image, f, bias=None, **options):
    """A 1-d image through one filter, zero padded to the same size."""
    b = None if bias is None else np.array([float(bias)])
    options = {"padding": "same"} | options
    return gg.conv(image.reshape(1, -1, 1), f.reshape(-1, 1, 1), b, **options).ravel()


def photograph():
    pytest.importorskip("skimage", reason="the photographs come with the extra `tour`")
    from skimage.data import chelsea

    return chelsea()


# 7 Introduction


def test_fully_connected_means_every_unit_to_every_unit():
    layer = nn.Linear(5, 3, rng=0)
    jacobian = gg.jacobian(lambda x: layer(x))(rng.normal(size=5).astype(np.float32)).data
    assert jacobian.shape == (3, 5)
    assert (jacobian != 0).all()


def test_an_image_is_rows_of_pixels_of_three_integers():
    cat = photograph()
    assert cat.ndim == 3
    assert cat.shape[-1] == 3
    assert cat.dtype == np.uint8
    assert 0 <= cat.min() < cat.max() <= 255
    edges = gg.conv(cat[None], np.array([-1.0, 1.0]).reshape(1, 2, 1, 1).repeat(3, -2) / 3)
    assert edges.shape == (1, 300, 450, 1)
    by_hand = np.diff(cat.astype(float), axis=1).mean(-1)
    np.testing.assert_allclose(edges[0, :, :, 0], by_hand, atol=1e-9)


def test_locality_an_output_pixel_depends_on_its_neighbourhood_only():
    k, n = 3, 7
    w = rng.normal(size=(k, k, 1, 1))
    jacobian = gg.jacobian(lambda x: gg.conv(x, w, padding="same"))(rng.normal(size=(1, n, n, 1)))
    depends = jacobian.reshape(n, n, n, n) != 0
    for i, j, a, b in product(range(n), repeat=4):
        assert depends[i, j, a, b] == (abs(i - a) <= k // 2 and abs(j - b) <= k // 2)


@given(
    seed=st.integers(0, 2**31),
    k=st.integers(1, 4),
    down=st.integers(-3, 3),
    right=st.integers(-3, 3),
)
def test_translation_shifting_the_input_shifts_the_feature_map(seed, k, down, right):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(k, k, 2, 3))
    image = np.zeros((1, 20, 20, 2))
    image[:, 7:13, 7:13] = rng.normal(size=(1, 6, 6, 2))  # away from the border
    moved = np.roll(image, (down, right), axis=(1, 2))
    before, after = (gg.relu(gg.conv(x, w, padding="same")) for x in (image, moved))
    np.testing.assert_array_equal(after, np.roll(before, (down, right), axis=(1, 2)))


def test_structure_needs_less_data_than_full_connection():
    """100 digits, moved at random; nets of equal size; the mean of three seeds."""
    from data_needed import experiment

    found = experiment(counts=(100,), seeds=(0, 1, 2), shifts=(3,), steps=120)
    cnn, dense = (np.mean(found[kind, 100, 3]) for kind in ("cnn", "dense"))
    assert cnn > dense + 0.1


def test_structure_saves_computation():
    """A filter layer needs fewer operations than a dense one between the same sizes."""
    image = gg.Tensor(np.zeros((1, 12, 12, 1)))
    with gg.capture():
        local = gg.conv(image, np.zeros((3, 3, 1, 4)), padding="same")
        full = image.reshape(1, 144) @ np.zeros((144, 576))
    assert local.size == full.size
    assert gg.Graph.of(local).flops() * 10 < gg.Graph.of(full).flops()


def test_nets_of_equal_size_are_compared():
    from data_needed import nets

    sizes = [sum(p.size for p in net.parameters()) for net in nets(0).values()]
    assert abs(sizes[0] - sizes[1]) < 0.02 * sizes[0]


def test_a_small_network_tells_cat_from_not_cat():
    pytest.importorskip("skimage", reason="the photographs come with the extra `tour`")
    from cat_or_not import experiment, patches

    learn, test = patches(rng=0)
    assert learn.boxes.isdisjoint(test.boxes)
    assert experiment(rng=0, steps=200).accuracy > 0.8


# 7.1 Filters


def test_a_filter_is_a_dot_product_at_each_place():
    """Y_i = F · (X_{i-1}, X_i), with zeros beyond the bounds."""
    x, f = rng.normal(size=9), rng.normal(size=2)
    wide = np.concatenate([[0.0], x])
    by_hand = [f @ (wide[i], wide[i + 1]) for i in range(len(x))]
    np.testing.assert_allclose(filtered(x, f), by_hand)
    np.testing.assert_allclose(filtered(x, f, padding=(1, 0)), by_hand)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_zero_padding_keeps_the_size(k):
    assert filtered(rng.normal(size=11), rng.normal(size=k)).shape == (11,)


def test_example_f1():
    np.testing.assert_array_equal(filtered(IMAGE, F1), [0, 1, 0, 0, -1, 1, -1, 0])


def test_example_f2():
    np.testing.assert_array_equal(filtered(IMAGE, F2), [-1, 0, -1, 0, -2, 1, -1, 0])


def test_example_f2_with_bias():
    expected = [-0.5, 0.5, -0.5, 0.5, -1.5, 1.5, -0.5, 0.5]
    np.testing.assert_array_equal(filtered(IMAGE, F2, bias=0.5), expected)


def test_an_output_pixel_of_f2_has_the_filters_centre():
    for i in range(8):
        impulse = np.zeros(8)
        impulse[i] = 1
        assert filtered(impulse, F2)[i] == F2[1]


def binary_images(n=12):
    return np.array(list(product([0.0, 1.0], repeat=n)))


def test_f1_is_one_exactly_at_left_edges():
    images = binary_images()
    out = gg.conv(images[..., None], F1.reshape(2, 1, 1), padding="same")[..., 0]
    before = np.pad(images, ((0, 0), (1, 0)))[:, :-1]
    np.testing.assert_array_equal(out == 1, (images == 1) & (before == 0))


def test_study_question_f2_detects_isolated_pixels():
    images = binary_images()
    out = gg.conv(images[..., None], F2.reshape(3, 1, 1), padding="same")[..., 0]
    wide = np.pad(images, ((0, 0), (1, 1)))
    alone = (images == 1) & (wide[:, :-2] == 0) & (wide[:, 2:] == 0)
    np.testing.assert_array_equal(out == 1, alone)


def test_the_operation_is_a_correlation():
    x, f = rng.normal(size=12), rng.normal(size=3)
    np.testing.assert_allclose(filtered(x, f), np.correlate(x, f, mode="same"))
    np.testing.assert_allclose(filtered(x, f[::-1]), np.convolve(x, f, mode="same"))


def test_a_network_learns_the_flipped_filter_where_convolution_is_required():
    f = np.array([1.0, -2.0, 0.5])
    x = np.random.default_rng(0).normal(size=(64, 16, 1))
    wanted = np.stack([np.convolve(row, f, mode="same") for row in x[..., 0]])[..., None]
    w = gg.Tensor(np.zeros((3, 1, 1)), requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        gg.mse_loss(gg.conv(x, w, padding="same"), wanted).backward()
        optimizer.step()
    np.testing.assert_allclose(w.data.ravel(), f[::-1], atol=1e-6)


def test_k_filters_give_k_channels_stacked():
    x, filters = rng.normal(size=(1, 6, 6, 1)), rng.normal(size=(3, 3, 1, 5))
    each = [gg.conv(x, filters[..., i : i + 1], padding="same")[..., 0] for i in range(5)]
    bank = gg.conv(x, filters, padding="same")
    assert bank.shape == (1, 6, 6, 5)
    np.testing.assert_allclose(bank, np.stack(each, axis=-1))


def test_the_next_filters_see_all_channels_of_a_part_of_the_image():
    x, w = rng.normal(size=(1, 6, 6, 4)), rng.normal(size=(3, 3, 4, 1))
    out = gg.conv(x, w, padding="same")
    np.testing.assert_allclose(out[0, 2, 3, 0], np.sum(x[0, 1:4, 2:5] * w[..., 0]))


def bars():
    """Filters that look for three pixels in a column, and in a row."""
    bank = np.zeros((3, 3, 1, 2))
    bank[:, 1, 0, 0] = 1
    bank[1, :, 0, 1] = 1
    return bank


def test_two_bar_filters_make_a_tensor():
    n = 8
    image = np.zeros((1, n, n, 1))
    image[0, 1:4, 2] = 1  # a vertical bar around (2, 2)
    image[0, 6, 3:6] = 1  # a horizontal bar around (6, 4)
    maps = gg.conv(image, bars(), padding="same")
    assert maps.shape == (1, n, n, 2)
    assert np.argwhere(maps[0, :, :, 0] == 3).tolist() == [[2, 2]]
    assert np.argwhere(maps[0, :, :, 1] == 3).tolist() == [[6, 4]]


def test_a_tensor_filter_finds_a_combination_of_bars():
    n = 9
    combination = np.zeros((3, 3, 2, 1))
    combination[1, (0, 2), 0] = 1  # vertical bars on the left and on the right
    combination[(0, 2), 1, 1] = 1  # horizontal bars above and below
    ring = np.zeros((1, n, n, 1))
    ring[0, 3:6, (3, 5)] = 1
    ring[0, (3, 5), 3:6] = 1
    out = gg.conv(gg.conv(ring, bars(), padding="same"), combination, padding="same")
    assert out.shape == (1, n, n, 1)
    assert np.unravel_index(out.argmax(), out.shape)[1:3] == (4, 4)
    assert out.max() == 12


def test_a_colour_image_has_three_channels():
    layer = nn.Conv(3, 4, 5, padding="same", rng=0)
    assert layer.w.shape == (5, 5, 3, 4)
    image = rng.random((1, 10, 10, 3)).astype(np.float32)
    assert layer(image).shape == (1, 10, 10, 4)
    slopes = gg.grad(lambda x: layer(x).sum())(image).data
    assert (np.abs(slopes).max(axis=(0, 1, 2)) > 0).all()  # every colour counts


def test_filters_are_weights_that_gradient_descent_trains():
    layer = nn.Conv(2, 3, 3, rng=0)
    assert [name for name, _ in layer.named_parameters()] == ["w", "b"]
    assert layer.b.shape == (3,)  # one bias for each filter
    x, y = rng.normal(size=(4, 6, 6, 2)), rng.normal(size=(4, 4, 4, 3))
    optimizer = optim.SGD(layer.parameters(), lr=0.05)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = gg.mse_loss(layer(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)


def test_weight_sharing_sums_the_gradients_of_all_positions():
    x, w, u = rng.normal(size=(1, 6, 1)), rng.normal(size=(3, 1, 1)), rng.normal(size=(1, 4, 1))
    shared = gg.grad(lambda w: (gg.conv(x, w) * u).sum())(w)
    own = np.stack([w.ravel()] * 4)  # a filter of its own for each position

    def unshared(own):
        terms = [(own[i] * x[0, i : i + 3, 0]).sum() * u[0, i, 0] for i in range(4)]
        return gg.stack(terms).sum()

    np.testing.assert_allclose(gg.grad(unshared)(own).sum(axis=0), shared.ravel())


def test_weight_sharing_is_one_leaf_with_many_edges():
    unfolded = gg.scalars(gg.conv, rng.normal(size=(1, 6, 1)), rng.normal(size=(3, 1, 1)))
    weights = set(unfolded.inputs[1].ravel())
    uses = [v for step in unfolded.graph.steps for v in unfolded.graph.vertices[step.output].inputs]
    counts = [sum(u is w for u in uses) for w in weights]
    assert counts == [4, 4, 4]  # once for each of the 4 positions


layers = st.fixed_dictionaries(
    {
        "n": st.integers(1, 9),
        "k": st.integers(1, 4),
        "p": st.integers(0, 2),
        "s": st.integers(1, 3),
        "m_in": st.integers(1, 3),
        "m": st.integers(1, 3),
    }
).filter(lambda v: v["n"] + 2 * v["p"] >= v["k"])


@given(v=layers)
def test_output_size(v):
    """n = ⌈(n' + 2p - (k - 1)) / s⌉."""
    x = np.zeros((1, v["n"], v["n"], v["m_in"]), np.float32)
    layer = nn.Conv(v["m_in"], v["m"], v["k"], stride=v["s"], padding=v["p"], rng=0)
    n = math.ceil((v["n"] + 2 * v["p"] - (v["k"] - 1)) / v["s"])
    assert layer(x).shape == (1, n, n, v["m"])


def test_ceiling():
    """⌈2.5⌉ = 3 and ⌈3⌉ = 3: five or six places at stride 2."""
    w = np.ones((1, 1, 1))
    assert [gg.conv(np.ones((1, n, 1)), w, stride=2).shape[1] for n in (5, 6)] == [3, 3]


def test_images_and_filters_need_not_be_square():
    x, w = rng.normal(size=(1, 5, 8, 2)), rng.normal(size=(2, 3, 2, 1))
    out = gg.conv(x, w)
    assert out.shape == (1, 4, 6, 1)
    for i, j in np.ndindex(4, 6):
        by_hand = np.sum(x[0, i : i + 2, j : j + 3] * w[..., 0])
        np.testing.assert_allclose(out[0, i, j, 0], by_hand)


def test_a_filter_layer_has_many_fewer_weights():
    for n, k, m_in, m in ((32, 3, 3, 16), (28, 5, 1, 8), (8, 3, 64, 64)):
        row = gg.summary(nn.Conv(m_in, m, k, padding=k // 2, rng=0), (1, n, n, m_in)).rows[0]
        assert row.weights * 100 < row.dense


def test_padding_enlarges_the_input_by_2p():
    n, p = 5, 2
    x, w = rng.normal(size=(1, n, n, 2)), rng.normal(size=(3, 3, 2, 1))
    wide = gg.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    assert wide.shape == (1, n + 2 * p, n + 2 * p, 2)
    np.testing.assert_allclose(gg.conv(x, w, padding=p), gg.conv(wide, w))


@pytest.mark.parametrize("n", [7, 8])
def test_stride_two_is_every_second_place(n):
    """Values and gradients of conv(stride=2) are those of conv(stride=1)[::2]; half the size."""
    x, w = rng.normal(size=(2, n, 3)), rng.normal(size=(3, 3, 2))
    u = rng.normal(size=(2, math.ceil(n / 2), 2))
    skip, pull = gg.vjp(lambda x, w: gg.conv(x, w, padding=1, stride=2), x, w)
    every, pull_every = gg.vjp(lambda x, w: gg.conv(x, w, padding=1)[:, ::2], x, w)
    assert skip.shape == (2, math.ceil(n / 2), 2)
    np.testing.assert_allclose(skip, every)
    for a, b in zip(pull(u), pull_every(u), strict=True):
        np.testing.assert_allclose(a, b)


@given(v=layers)
def test_study_questions_number_of_weights(v):
    """A filter layer has m (k² m' + 1); fully connected it would have n² m (n'² m' + 1)."""
    layer = nn.Conv(v["m_in"], v["m"], v["k"], stride=v["s"], padding=v["p"], rng=0)
    row = gg.summary(layer, (1, v["n"], v["n"], v["m_in"])).rows[0]
    assert row.weights == sum(t.size for t in layer.parameters())
    assert row.weights == v["m"] * (v["k"] ** 2 * v["m_in"] + 1)
    n = row.n_out[0]
    dense = nn.Linear(v["n"] ** 2 * v["m_in"], n**2 * v["m"], rng=0)
    assert row.dense == sum(t.size for t in dense.parameters())
    assert row.dense == n**2 * v["m"] * (v["n"] ** 2 * v["m_in"] + 1)


def test_filter_size_in_the_chapters_symbols():
    row = gg.summary(nn.Conv(3, 8, 5, stride=2, padding=2, rng=0), (1, 32, 32, 3)).rows[0]
    assert (row.k, row.s, row.p) == ((5, 5), (2, 2), ((2, 2), (2, 2)))
    assert (row.n_in, row.n_out, row.m_in, row.m_out) == ((32, 32), (16, 16), 3, 8)


# 7.2 Max pooling


def pyramid():
    return nn.Sequential(
        conv1=nn.Conv(1, 2, 3, padding=1, rng=0),
        pool1=nn.MaxPool(2),
        conv2=nn.Conv(2, 2, 3, padding=1, rng=1),
        pool2=nn.MaxPool(2),
    )


def test_a_pyramid_shrinks_the_image_and_widens_the_view():
    rows = gg.summary(pyramid(), (1, 16, 16, 1)).rows
    assert [row.n_out[0] for row in rows] == [16, 8, 8, 4]
    assert [row.field[0] for row in rows] == [3, 4, 8, 10]


def test_the_receptive_field_is_the_support_of_the_gradient():
    n = 24
    net = nn.Sequential(
        nn.Conv(1, 1, 3, rng=0), nn.AvgPool(2), nn.Conv(1, 1, 3, stride=2, rng=1), nn.AvgPool(2, 1)
    )
    row = gg.summary(net, (1, n, n, 1)).rows[-1]
    x = gg.Tensor(rng.normal(size=(1, n, n, 1)), requires_grad=True)
    out = net(x)
    out[0, 1, 1, 0].backward()
    seen = np.argwhere(x.grad.data[0, :, :, 0] != 0)
    assert tuple(seen.max(0) - seen.min(0) + 1) == row.field


def test_a_stride_does_not_aggregate():
    """A filter of size 1 with stride 2 is smaller than the image, and never sees most of it."""
    x, w = rng.normal(size=(1, 6, 6, 1)), np.ones((1, 1, 1, 1))
    seen = gg.grad(lambda x: gg.conv(x, w, stride=2).sum())(x) != 0
    assert seen.sum() == 9
    pooled = gg.grad(lambda x: gg.avg_pool(x, 2).sum())(x) != 0
    assert pooled.all()


def test_max_pooling_returns_the_maximum_in_its_field():
    x = rng.normal(size=(2, 6, 4, 3))
    out = gg.max_pool(x, 2)
    for n, i, j, c in np.ndindex(out.shape):
        assert out[n, i, j, c] == x[n, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c].max()


def test_max_pooling_has_no_weights_and_no_bias():
    assert list(nn.MaxPool(2).parameters()) == []
    assert gg.summary(nn.MaxPool(2), (1, 64, 64, 3)).weights == 0


def test_pooling_of_a_64_by_64_image():
    assert gg.max_pool(np.zeros((1, 64, 64, 3)), 2, stride=2).shape == (1, 32, 32, 3)


@given(n=st.integers(1, 12), k=st.integers(1, 4), s=st.integers(1, 4))
def test_windows_at_least_as_long_as_the_stride_cover_the_image(n, k, s):
    """Up to where the last window ends, every pixel is looked at if and only if k ≥ stride."""
    if n < k:
        return
    x = np.arange(n, dtype=float).reshape(1, n, 1)
    seen = gg.grad(lambda x: gg.avg_pool(x, k, stride=s).sum())(x).ravel() != 0
    count = (n - k) // s + 1
    covered = seen[: (count - 1) * s + k]
    assert covered.all() == (k >= s or count == 1)
    note = gg.summary(nn.MaxPool(k, s), (1, n, 1)).rows[0].note
    assert ("larger than the window" in note) == (k < s)
    assert bool(note) == (not seen.all() or k < s)


def test_pooling_forgets_the_precise_place():
    """Any place of a pattern inside a window gives the same result."""
    results = []
    for i, j in product(range(2), repeat=2):
        x = np.zeros((1, 8, 8, 1))
        x[0, 2 + i, 4 + j] = 1
        results.append(gg.max_pool(x, 2))
    assert all(np.array_equal(results[0], r) for r in results)


@given(k=st.integers(1, 4), s=st.integers(1, 4), more=st.integers(0, 9), seed=st.integers(0, 99))
def test_study_question_two_poolings_are_one(k, s, more, seed):
    """Size k + (k - 1)s and stride s², for all k ≥ s, in values and in gradients."""
    if k < s:
        return
    size, stride = k + (k - 1) * s, s * s
    values = np.random.default_rng(seed).permutation(size + more).astype(float)
    x = values.reshape(1, -1, 1)
    twice, pull_twice = gg.vjp(lambda x: gg.max_pool(gg.max_pool(x, k, stride=s), k, stride=s), x)
    once, pull_once = gg.vjp(lambda x: gg.max_pool(x, size, stride=stride), x)
    np.testing.assert_array_equal(twice, once)
    u = np.random.default_rng(seed + 1).normal(size=once.shape)
    np.testing.assert_allclose(pull_twice(u), pull_once(u), atol=1e-12)


@pytest.mark.parametrize(("k", "s"), [(2, 3), (2, 4), (3, 4)])
def test_study_question_two_poolings_are_not_one_if_they_leave_gaps(k, s):
    size, stride = k + (k - 1) * s, s * s
    x = np.zeros((1, size, 1))
    x[0, k] = 1.0  # between the first two windows: the first pooling never looks at it
    twice = gg.max_pool(gg.max_pool(x, k, stride=s), k, stride=s)
    assert twice.item() == 0
    assert gg.max_pool(x, size, stride=stride).item() == 1


def test_strided_pooling_changes_abruptly_when_the_image_moves():
    bar = np.array([0.0, 0, 1, 1, 0, 0, 0, 0]).reshape(1, 8, 1)
    moved = np.roll(bar, 1, axis=1)
    before, after = (gg.max_pool(x, 2).ravel() for x in (bar, moved))
    np.testing.assert_array_equal(before, [0, 1, 0, 0])
    np.testing.assert_array_equal(after, [0, 1, 1, 0])  # no shift of what was there before


def test_pooling_over_the_whole_image_does_not_see_a_shift_inside():
    x = np.zeros((1, 9, 9, 1))
    x[0, 3:5, 3:5, 0] = rng.uniform(1, 2, size=(2, 2))
    tops = [gg.max_pool(np.roll(x, (d, r), (1, 2)), 9) for d in range(-3, 4) for r in range(-3, 4)]
    assert {top.item() for top in tops} == {x.max()}


def test_the_remedy_averages_after_a_max_of_stride_one():
    x = rng.normal(size=(2, 8, 8, 3)).astype(np.float32)
    by_hand = gg.blur_pool(gg.max_pool(x, 2, stride=1, padding="same"), 3, stride=2)
    np.testing.assert_array_equal(nn.MaxBlurPool(2)(x), by_hand)
    for n, i, j, c in np.ndindex(2, 4, 4, 3):
        total = weight = 0.0
        for a, b in product((-1, 0, 1), repeat=2):
            p, q = 2 * i + a, 2 * j + b
            if 0 <= p < 8 and 0 <= q < 8:
                share = (2 - abs(a)) * (2 - abs(b))
                top = x[n, max(p - 1, 0) : p + 1, max(q - 1, 0) : q + 1, c].max()
                total, weight = total + share * top, weight + share
        np.testing.assert_allclose(by_hand[n, i, j, c], total / weight, rtol=1e-5)


def test_the_remedy_makes_results_more_stable_under_shifts():
    from shift_consistency import change_under_shift

    images, _ = data.digits_8x8()
    big = images.repeat(3, axis=1).repeat(3, axis=2)[:100]
    filters = np.random.default_rng(0).normal(size=(3, 3, 1, 4)).astype(np.float32)
    strided = change_under_shift(nn.MaxPool(2), big, filters)
    blurred = change_under_shift(nn.MaxBlurPool(2), big, filters)
    assert blurred < 0.8 * strided


# 7.3 Typical architecture


def typical():
    """conv-relu twice, pool, conv-relu, pool, fully connected, softmax."""
    return nn.Sequential(
        conv1=nn.Conv(1, 4, 3, padding=1, rng=0),
        relu1=nn.ReLU(),
        conv2=nn.Conv(4, 8, 3, padding=1, rng=1),
        relu2=nn.ReLU(),
        pool1=nn.MaxPool(2),
        conv3=nn.Conv(8, 16, 3, padding=1, rng=2),
        relu3=nn.ReLU(),
        pool2=nn.MaxPool(2),
        flat=nn.Flatten(),
        fc=nn.Linear(64, 10, rng=3),
        softmax=gg.softmax,
    )


def test_the_typical_architecture_ends_in_probabilities():
    images, _ = data.digits_8x8()
    out = typical()(images[:5])
    assert out.shape == (5, 10)
    np.testing.assert_allclose(out.data.sum(-1), 1, rtol=1e-5)
    ops = [s.op.name for s in gg.Graph.of(out).steps if s.op.name not in ("add", "reshape")]
    conv_relu = ["conv", "relu"]
    assert ops == [*conv_relu * 2, "max_pool", *conv_relu, "max_pool", "matmul", "softmax"]


def test_depth_of_a_cuboid_is_the_number_of_channels():
    from gradgraph.viz import cuboids

    blocks = cuboids(typical(), (1, 8, 8, 1)).blocks
    shapes = {b.name: b.shape for b in blocks}
    assert shapes["conv2"] == (8, 8, 8)
    assert shapes["pool2"] == (2, 2, 16)
    assert shapes["fc"] == (10,)


def test_gradient_descent_decreases_the_loss():
    images, labels = data.digits_8x8()
    net = typical()
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        p = net(images[:200])
        loss = -gg.log(p[np.arange(200), labels[:200]]).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_kinks_have_a_documented_slope():
    """relu at 0 has slope 0; a tied maximum in a pool gives all to the first winner."""
    assert gg.grad(lambda x: gg.relu(x))(0.0) == 0
    x = np.ones((1, 2, 2, 1))
    np.testing.assert_array_equal(
        gg.grad(lambda x: gg.max_pool(x, 2).sum())(x).ravel(), [1, 0, 0, 0]
    )


# 7.4 Back-propagation in a simple CNN


def forward(x, w1, w2):
    """Z¹, A¹ and A² of the network in the text: one filter, no bias, relu, fully connected."""
    k = len(w1)
    z = gg.conv(x.reshape(1, -1, 1), w1.reshape(k, 1, 1), padding=(k - 1) // 2).reshape(-1)
    a1 = gg.relu(z)
    return z, a1, w2 @ a1


def case(seed, n, half):
    rng = np.random.default_rng(seed)
    return rng.normal(size=n), rng.normal(size=2 * half + 1), rng.normal(size=n), rng.normal()


simple = given(seed=st.integers(0, 2**31), n=st.integers(1, 14), half=st.integers(0, 3))


@simple
def test_forward_pass_of_the_simple_network(seed, n, half):
    x, w1, w2, y = case(seed, n, half)
    wide = np.pad(x, half)
    z = np.array([w1 @ wide[i : i + len(w1)] for i in range(n)])
    a1 = np.maximum(z, 0)
    a2 = w2 @ a1
    for mine, by_hand in zip(forward(x, w1, w2), (z, a1, a2), strict=True):
        np.testing.assert_allclose(mine, by_hand, atol=1e-12)
    np.testing.assert_allclose(gg.squared_loss(a2, np.float64(y)), (a2 - y) ** 2)


@given(n=st.integers(1, 12), half=st.integers(0, 4))
def test_study_question_padding(n, half):
    """(k - 1) / 2 zeros at each end keep the size, and no other padding does."""
    k = 2 * half + 1
    x, w = np.ones((1, n, 1)), np.ones((k, 1, 1))
    sizes = {}
    for p in range(k + 1):
        if n + 2 * p >= k:
            sizes[p] = gg.conv(x, w, padding=p).shape[1]
    assert [p for p, size in sizes.items() if size == n] == [(k - 1) // 2]


def test_study_question_the_figure_shows_a_filter_of_three():
    """One zero at each end keeps the size for k = 3 alone."""
    x = np.ones((1, 9, 1))
    kept = [k for k in (1, 3, 5, 7) if gg.conv(x, np.ones((k, 1, 1)), padding=1).shape == x.shape]
    assert kept == [3]


def dz_dw(x, k):
    """∂Z¹_i / ∂W¹_j = X_{i - ⌊k/2⌋ + j - 1}, counted from 1; 0 where there is no such pixel."""
    n = len(x)
    matrix = np.zeros((k, n))
    for i, j in product(range(1, n + 1), range(1, k + 1)):
        place = i - k // 2 + j - 1
        if 1 <= place <= n:
            matrix[j - 1, i - 1] = x[place - 1]
    return matrix


def test_column_10_holds_pixels_8_to_12():
    x = np.arange(1.0, 21)  # X_i = i
    np.testing.assert_array_equal(dz_dw(x, 5)[:, 9], [8, 9, 10, 11, 12])
    w = rng.normal(size=5)
    jacobian = gg.jacobian(lambda w: forward(x, w, x)[0])(w)  # n × k
    np.testing.assert_array_equal(jacobian.T[:, 9], [8, 9, 10, 11, 12])


@simple
def test_the_three_factors_are_the_jacobians_of_the_layers(seed, n, half):
    x, w1, w2, y = case(seed, n, half)
    z, a1, a2 = forward(x, w1, w2)
    first = dz_dw(x, len(w1))
    assert first.shape == (len(w1), n)
    np.testing.assert_allclose(first, gg.jacobian(lambda w: forward(x, w, w2)[0])(w1).T, atol=1e-12)
    second = np.diag((z > 0).astype(float))
    assert second.shape == (n, n)
    np.testing.assert_array_equal(second, gg.jacobian(gg.relu)(z))
    third = (2 * (a2 - y) * w2)[:, None]
    assert third.shape == (n, 1)
    by_engine = gg.grad(lambda a: gg.squared_loss(w2 @ a, np.float64(y)))(a1)
    np.testing.assert_allclose(third[:, 0], by_engine, atol=1e-11)


@simple
def test_their_product_is_the_gradient(seed, n, half):
    x, w1, w2, y = case(seed, n, half)
    z, _, a2 = forward(x, w1, w2)
    product_ = dz_dw(x, len(w1)) @ np.diag(z > 0).astype(float) @ (2 * (a2 - y) * w2)[:, None]
    assert product_.shape == (len(w1), 1)
    by_engine = gg.grad(lambda w: gg.squared_loss(forward(x, w, w2)[2], np.float64(y)))(w1)
    scale = 1 + np.abs(product_).max()
    np.testing.assert_allclose(by_engine, product_[:, 0], atol=1e-12 * scale)


@pytest.mark.parametrize("winner", [0, 1])
def test_the_losing_network_is_untouched(winner):
    nets = [
        nn.Sequential(nn.Linear(3, 4, rng=i), nn.Tanh(), nn.Linear(4, 1, rng=9)) for i in (0, 1)
    ]
    offset = gg.Tensor(np.float32(10.0 if winner == 0 else -10.0))
    x = rng.normal(size=3).astype(np.float32)
    before = [net.state_dict() for net in nets]
    optimizer = optim.SGD([p for net in nets for p in net.parameters()], lr=0.1)
    y = gg.maximum(nets[0](x) + offset, nets[1](x))
    (y * y).sum().backward()
    optimizer.step()
    for i, (net, old) in enumerate(zip(nets, before, strict=True)):
        same = [np.array_equal(old[name], value) for name, value in net.state_dict().items()]
        assert all(same) if i != winner else not any(same)


@pytest.mark.parametrize(
    ("a", "b", "slope"), [(3.0, 1.0, (1, 0)), (1.0, 3.0, (0, 1)), (2.0, 2.0, (0.5, 0.5))]
)
def test_study_question_the_gradient_of_the_maximum(a, b, slope):
    """(1, 0) or (0, 1); at a tie, where there is none, each half."""
    assert gg.grad(gg.maximum, (0, 1))(a, b) == slope
