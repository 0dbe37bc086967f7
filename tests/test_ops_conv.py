"""Convolutions, windows and pools: against their definitions in plain numpy, and by hand."""

from __future__ import annotations

from itertools import product
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import gradgraph as gg
from gradgraph import nn
from gradgraph.testing import check

rng = np.random.default_rng(0)


def signal(*values, dtype=float):
    return np.array(values, dtype).reshape(1, -1, 1)


def flops(f, *args):
    leaves = [
        gg.Tensor(np.ones(a), requires_grad=True) if isinstance(a, tuple) else a for a in args
    ]
    return gg.Graph.of(f(*leaves)).flops()


def scattered(x, w, stride, before, after, more, dilation):
    """The definition of a transposed convolution of signals: every product at its place."""
    (n, p, _), (k, c_out, _) = x.shape, w.shape
    size = (p - 1) * stride - before - after + dilation * (k - 1) + 1 + more
    out = np.zeros((n, size, c_out))
    for i, j in product(range(p), range(k)):
        at = i * stride + j * dilation - before
        if 0 <= at < size:
            out[:, at] += np.einsum("no,co->nc", x[:, i], w[j])
    return out


class TestConvTranspose:
    @given(
        p=st.integers(1, 4),
        k=st.integers(1, 3),
        stride=st.integers(1, 3),
        before=st.integers(0, 2),
        after=st.integers(0, 2),
        more=st.integers(0, 2),
        dilation=st.integers(1, 2),
        groups=st.sampled_from([1, 2]),
    )
    def test_is_its_definition(self, p, k, stride, before, after, more, dilation, groups):
        x, w = rng.normal(size=(2, p, 2 * groups)), rng.normal(size=(k, 3, 2 * groups))
        b = rng.normal(size=3 * groups)
        options = {"padding": (before, after), "output_padding": more, "groups": groups}

        def ours():
            return gg.conv_transpose(x, w, b, stride=stride, dilation=dilation, **options)

        size = (p - 1) * stride - before - after + dilation * (k - 1) + 1 + more
        if more >= stride:
            with pytest.raises(gg.DomainError, match="output_padding"):
                ours()
        elif size < 1:
            with pytest.raises(gg.ShapeError, match="would have size"):
                ours()
        else:
            each = [
                scattered(
                    x[..., 2 * i : 2 * i + 2],
                    w[..., 2 * i : 2 * i + 2],
                    *(stride, before, after, more, dilation),
                )
                for i in range(groups)
            ]
            assert ours().shape == (2, size, 3 * groups)
            assert_allclose(ours(), np.concatenate(each, -1) + b, atol=1e-12)

    @pytest.mark.parametrize(
        "options",
        [
            {"stride": 2, "padding": 1},
            {"stride": (1, 3), "padding": ((1, 0), (0, 2))},
            {"dilation": 2, "padding": (2, 1)},
            {"groups": 2},
            {"padding": "same"},
            {"stride": (2, 3), "padding": "same"},
        ],
        ids=str,
    )
    def test_is_the_transpose_of_conv(self, options):
        """⟨conv(z), x⟩ = ⟨z, conv_transpose(x)⟩, and it is conv's gradient in the image."""
        groups = options.get("groups", 1)
        z, w = rng.normal(size=(2, 6, 6, 4)), rng.normal(size=(2, 3, 4 // groups, 6))
        y, pull = gg.vjp(lambda z: gg.conv(z, w, **options), z)
        x = rng.normal(size=y.shape)
        same = options.get("padding") == "same"
        small = gg.conv_transpose(x, w, **options).shape
        more = 0 if same else tuple(a - b for a, b in zip(z.shape, small, strict=True))[1:-1]
        back = gg.conv_transpose(x, w, output_padding=more, **options)
        assert_allclose(back, pull(x), atol=1e-12)
        assert_allclose((y * x).sum(), (z * back).sum())

    def test_sizes(self):
        """As in torch's documentation: down by 2, and up again to the same size."""
        down = gg.conv(np.ones((1, 12, 12, 16)), np.ones((3, 3, 16, 16)), stride=2, padding=1)
        assert down.shape == (1, 6, 6, 16)
        w = np.ones((3, 3, 16, 16))
        up = gg.conv_transpose(down, w, stride=2, padding=1, output_padding=1)
        assert up.shape == (1, 12, 12, 16)
        assert gg.conv_transpose(down, w, stride=2, padding=1).shape == (1, 11, 11, 16)
        for stride, k in product((1, 2, 3), (1, 2, 3, 4)):
            x, w = np.ones((1, 5, 1)), np.ones((k, 1, 1))
            assert gg.conv_transpose(x, w, stride=stride, padding="same").shape[1] == 5 * stride

    def test_by_hand(self):
        w = signal(1, 2, 3).reshape(3, 1, 1)
        assert gg.conv_transpose(signal(1, 10), w, stride=2).ravel().tolist() == [1, 2, 13, 20, 30]
        with_bias = gg.conv_transpose(signal(1, 10), w, [0.5], padding=(1, 0))
        assert with_bias.ravel().tolist() == [12.5, 23.5, 30.5]
        spread = gg.conv_transpose(signal(1, 10), w, dilation=2)
        assert spread.ravel().tolist() == [1, 10, 2, 20, 3, 30]

    def test_volumes_and_no_images(self):
        w = np.ones((2, 2, 2, 3, 1))
        assert gg.conv_transpose(np.ones((1, 2, 3, 4, 1)), w, stride=2).shape == (1, 4, 6, 8, 3)
        assert gg.conv_transpose(np.ones((0, 2, 3, 4, 1)), w).shape == (0, 3, 4, 5, 3)

    def test_gradient_and_dtype(self):
        x, w, b = rng.normal(size=(2, 3, 2, 4)), rng.normal(size=(3, 2, 3, 4)), np.ones(6)

        def f(x, w, b):
            return gg.conv_transpose(
                x, w, b, stride=(2, 1), padding=(1, 0), output_padding=(1, 0), groups=2
            )

        assert check(f, x, w, b, examples=20).verdict == "passed"
        assert f(*(a.astype(np.float32) for a in (x, w, b))).dtype == np.float32

    def test_mistakes(self):
        x, w = np.ones((1, 4, 4, 3)), np.ones((3, 3, 8, 3))
        with pytest.raises(gg.ShapeError, match="x has 4 channels but w expects 3"):
            gg.conv_transpose(np.ones((1, 3, 4, 4)), w)
        with pytest.raises(gg.ShapeError, match="2 groups cannot share"):
            gg.conv_transpose(x, w, groups=2)
        with pytest.raises(gg.ShapeError, match="as many as x"):
            gg.conv_transpose(x[0], w)
        with pytest.raises(gg.ShapeError, match="one bias for each of 8 filters"):
            gg.conv_transpose(x, w, np.ones(3))
        with pytest.raises(gg.DomainError, match="decides the size"):
            gg.conv_transpose(x, w, stride=2, padding="same", output_padding=1)
        with pytest.raises(gg.DomainError, match="padding 'full' is unknown"):
            gg.conv_transpose(x, w, padding="full")
        with pytest.raises(gg.ShapeError, match="would have size"):
            gg.conv_transpose(x[:, :0], w)

    def test_flops(self):
        """Every pixel of x, 5·5·3, meets 3·3·8 weights: a multiply-add each; then the bias."""
        work = flops(lambda x, w: gg.conv_transpose(x, w, stride=2), (1, 5, 5, 3), (3, 3, 8, 3))
        assert work == 2 * 75 * 72 == 10800
        both = flops(
            lambda x, w, b: gg.conv_transpose(x, w, b, stride=2), (1, 5, 5, 3), (3, 3, 8, 3), (8,)
        )
        assert both == 10800 + 11 * 11 * 8

    def test_summary(self):
        w = gg.Tensor(np.ones((3, 3, 8, 3), np.float32), requires_grad=True)
        b = gg.Tensor(np.ones(8, np.float32), requires_grad=True)
        (row,) = nn.summary(lambda x: gg.conv_transpose(x, w, b, stride=2), (1, 5, 5, 3)).rows
        assert (row.n_in, row.n_out, row.m_in, row.m_out) == ((5, 5), (11, 11), 3, 8)
        assert (row.k, row.s, row.weights, row.field) == ((3, 3), (2, 2), 3 * 3 * 8 * 3 + 8, ())


class TestDepthwise:
    @pytest.mark.parametrize("multiplier", [1, 2])
    @pytest.mark.parametrize(
        "options", [{}, {"stride": 2, "padding": 1}, {"dilation": (1, 2), "padding": ((2, 0), 1)}]
    )
    def test_each_channel_by_itself(self, multiplier, options):
        x, w = rng.normal(size=(2, 6, 7, 3)), rng.normal(size=(3, 2, 3, multiplier))
        b = rng.normal(size=3 * multiplier)
        each = [gg.conv(x[..., c : c + 1], w[:, :, c : c + 1], **options) for c in range(3)]
        found = gg.depthwise_conv(x, w, b, **options)
        assert_allclose(found, np.concatenate(each, -1) + b, atol=1e-12)
        f = gg.depthwise_conv
        report = check(lambda x, w, b: f(x, w, b, **options), x, w, b, examples=4)
        assert report.verdict == "passed"
        assert f(*(a.astype(np.float32) for a in (x, w, b)), **options).dtype == np.float32

    def test_signals_and_volumes(self):
        w = np.array([[1.0, 2.0], [-1.0, 0.5]]).reshape(2, 2, 1)
        found = gg.depthwise_conv(np.array([[1.0, 2.0], [3.0, 4.0]])[None], w)
        assert found.tolist() == [[[1 - 3, 4 + 2]]]
        assert gg.depthwise_conv(np.ones((1, 3, 3, 3, 2)), np.ones((2, 2, 2, 2, 2))).shape == (
            *(1, 2, 2, 2),
            4,
        )

    def test_nothing_there(self):
        assert gg.depthwise_conv(np.ones((0, 4, 2)), np.ones((3, 2, 1))).shape == (0, 2, 2)
        assert gg.depthwise_conv(np.ones((1, 4, 0)), np.ones((3, 0, 2))).shape == (1, 2, 0)

    def test_infinity_stays_in_its_channel(self):
        x = np.ones((1, 4, 2))
        x[0, 1, 0] = np.inf
        found = gg.depthwise_conv(x, np.ones((2, 2, 1)))
        assert found[0, :, 0].tolist() == [np.inf, np.inf, 2]
        assert (found[..., 1] == 2).all()

    def test_summary(self):
        w = gg.Tensor(np.ones((3, 3, 2, 4)), requires_grad=True)
        found = nn.summary(lambda x: gg.depthwise_conv(x, w), (1, 5, 5, 2))
        (row,) = found.rows
        assert (row.m_out, row.k, row.weights, row.field) == (8, (3, 3), 72, (3, 3))
        assert found.weights == 72

    def test_flops(self):
        """4·4·6 results, each of 3·3 products."""
        assert flops(gg.depthwise_conv, (1, 6, 6, 3), (3, 3, 3, 2)) == 2 * 96 * 9 == 1728

    def test_mistakes(self):
        x = np.ones((1, 4, 4, 3))
        with pytest.raises(gg.ShapeError, match=r"swapaxes\(-1, -2\)"):
            gg.depthwise_conv(x, np.ones((3, 3, 1, 3)))
        with pytest.raises(gg.ShapeError, match="x is 1×4×4×3 and w is 3×3×5×1"):
            gg.depthwise_conv(x, np.ones((3, 3, 5, 1)))
        with pytest.raises(gg.ShapeError, match=r"^depthwise_conv: b is \(3,\)"):
            gg.depthwise_conv(x, np.ones((3, 3, 3, 2)), np.ones(3))


class TestUnfold:
    @pytest.mark.parametrize(
        "options", [{}, {"stride": 2, "padding": ((1, 0), 2)}, {"dilation": 2, "padding": "same"}]
    )
    def test_a_convolution_is_a_product_with_the_windows(self, options):
        x, w = rng.normal(size=(2, 5, 6, 3)), rng.normal(size=(2, 3, 3, 4))
        rows = gg.unfold(x, (2, 3), **options)
        assert_allclose(rows @ w.reshape(-1, 4), gg.conv(x, w, **options), atol=1e-12)

    def test_columns_by_hand(self):
        x = np.arange(8.0).reshape(1, 2, 2, 2)  # channels 0 and 1 of the first pixel, …
        assert gg.unfold(x, 2).ravel().tolist() == list(range(8))
        assert gg.unfold(x, (1, 2), stride=2, padding=((0, 0), (1, 0)))[0, 0].tolist() == [
            [0, 0, 0, 1]
        ]

    def test_fold_adds_what_overlaps(self):
        x = rng.normal(size=(2, 5, 4, 3))
        options = {"stride": (2, 1), "padding": 1}
        counts = gg.fold(gg.unfold(np.ones_like(x), 3, **options), (5, 4), 3, **options)
        assert counts.min() >= 1
        again = gg.fold(gg.unfold(x, 3, **options), (5, 4), 3, **options)
        assert_allclose(again / counts, x)
        assert gg.fold(signal(1, 2, 3).reshape(1, 3, 1), 3, 1).ravel().tolist() == [1, 2, 3]

    def test_they_are_each_others_transpose(self):
        x = rng.normal(size=(1, 5, 7, 2))
        rows, pull = gg.vjp(lambda x: gg.unfold(x, (3, 2), stride=2, dilation=(1, 2)), x)
        g = rng.normal(size=rows.shape)
        folded = gg.fold(g, (5, 7), (3, 2), stride=2, dilation=(1, 2))
        assert_allclose(pull(g), folded, atol=1e-12)
        assert_allclose((rows * g).sum(), (x * folded).sum())

    def test_the_result_is_an_array_of_its_own(self):
        x = np.ones((1, 3, 1))
        gg.unfold(x, 1)[:] = 7.0
        assert (x == 1).all()

    def test_integers_and_no_images(self):
        assert gg.unfold(np.ones((0, 4, 2), np.int8), 3).shape == (0, 2, 6)
        assert gg.unfold(np.ones((1, 4, 2), np.int8), 3).dtype == np.int8
        assert gg.fold(np.ones((0, 2, 6)), 4, 3).shape == (0, 4, 2)

    def test_mistakes(self):
        with pytest.raises(gg.ShapeError, match="the kernel is 3×3 but the image is 2×2"):
            gg.unfold(np.ones((1, 2, 2, 1)), 3)
        with pytest.raises(gg.ShapeError, match=r"needs the axes batch×image×channels"):
            gg.unfold(np.ones((4, 4)), 2)
        with pytest.raises(gg.ShapeError, match=r"has 2×2 windows of 9 taps: N×2×2×9·C"):
            gg.fold(np.ones((1, 2, 3, 9)), 4, 3)
        with pytest.raises(gg.ShapeError, match="windows of 9 taps"):
            gg.fold(np.ones((1, 2, 2, 10)), 4, 3)

    def test_flops(self):
        assert flops(lambda x: gg.unfold(x, 3), (1, 5, 5, 2)) == 0
        assert flops(lambda c: gg.fold(c, 5, 3), (1, 3, 3, 18)) == 9 * 18


def torch_size(n, k, stride, before, after, dilation, ceil_mode):
    """The size in torch's documentation, with its correction for windows beyond the image."""
    count = (n + before + after - dilation * (k - 1) - 1) / stride
    size = (ceil(count) if ceil_mode else int(count)) + 1
    return size - 1 if ceil_mode and (size - 1) * stride >= n + before else size


def windows_of(n, k, stride, before, dilation, positions):
    """For each position the pixels of the window, some outside of the image."""
    return [[p * stride + t * dilation - before for t in range(k)] for p in range(positions)]


@st.composite
def signal_pools(draw):
    """(n, k, stride, before, after) such that the window fits and every one holds a pixel."""
    k, stride = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    before, after = draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))
    return draw(st.integers(max(k - before - after, 1), 9)), k, stride, before, after


class TestMaxPool:
    @given(case=signal_pools(), dilation=st.integers(1, 3), ceil_mode=st.booleans())
    def test_is_its_definition(self, case, dilation, ceil_mode):
        n, k, stride, before, after = case
        n += (dilation - 1) * k
        x = rng.normal(size=(2, n, 2)) - 3.0
        options = {"stride": stride, "padding": (before, after), "dilation": dilation}
        y, where = gg.max_pool(x, k, ceil_mode=ceil_mode, return_indices=True, **options)
        size = torch_size(n, k, stride, before, after, dilation, ceil_mode)
        assert y.shape == where.shape == (2, size, 2)
        for p, window in enumerate(windows_of(n, k, stride, before, dilation, size)):
            inside = [i for i in window if 0 <= i < n]
            assert_array_equal(y[:, p], x[:, inside].max(1))
            assert_array_equal(where[:, p], np.array(inside)[x[:, inside].argmax(1)])
        assert_array_equal(np.take_along_axis(x, where, 1), y)

    def test_indices_count_pixels_in_reading_order_without_padding(self):
        x = np.zeros((1, 3, 4, 2))
        x[0, 1, 2, 0] = x[0, 2, 3, 1] = 5.0
        y, where = gg.max_pool(x, 3, stride=1, padding=(1, 0), return_indices=True)
        assert y[0, :, :, 1].tolist() == [[0, 0], [0, 5], [0, 5]]
        assert where[0, :, :, 0].tolist() == [[6, 6], [6, 6], [6, 6]]
        assert where[0, :, :, 1].tolist() == [[0, 1], [0, 11], [4, 11]]
        assert where.dtype == np.int64

    def test_indices_of_ties_nan_and_the_smallest(self):
        def indices(*values, dtype=float):
            x = signal(*values, dtype=dtype)
            return gg.max_pool(x, 2, padding=1, return_indices=True)[1].ravel().tolist()

        assert indices(1, 1, 1, 1) == [0, 1, 3]
        assert indices(-np.inf, -np.inf, np.nan, 1) == [0, 2, 3]
        assert indices(-128, -128, -128, -128, dtype=np.int8) == [0, 1, 3]
        assert indices(0, 0, 0, 0, dtype=np.uint8) == [0, 1, 3]

    def test_indices_of_a_tensor_are_asked_again_in_a_replay(self):
        x = gg.Tensor(signal(1, 2, 4, 3), requires_grad=True)
        with gg.capture():
            y, where = gg.max_pool(x, 2, return_indices=True)
        assert where.numpy().ravel().tolist() == [1, 2]
        assert not where.requires_grad
        graph = gg.Graph.of((y, where), inputs=x)
        _, again = graph.replay(signal(9, 2, 3, 4))
        assert again.ravel().tolist() == [0, 3]

    def test_gradient(self):
        x = rng.permutation(150).reshape(1, 15, 5, 2) * 0.1

        def f(x):
            return gg.max_pool(x, (3, 2), stride=2, padding=1, dilation=(2, 1), ceil_mode=True)

        assert f(x).shape == (1, 7, 3, 2)
        assert check(f, x, examples=20).verdict == "passed"
        tie = gg.grad(lambda x: gg.max_pool(x, 2, dilation=2, stride=1).sum())(signal(3, 0, 3, 1))
        assert tie.ravel().tolist() == [1, 0, 0, 1]

    def test_ceil_mode_by_hand(self):
        x = signal(1, 2, 3, 4, 5)
        assert gg.max_pool(x, 2, ceil_mode=True).ravel().tolist() == [2, 4, 5]
        assert gg.max_pool(x, 2, padding=1, ceil_mode=True).ravel().tolist() == [1, 3, 5]
        assert gg.max_pool(x, 3, stride=4, ceil_mode=True).ravel().tolist() == [3, 5]
        # the third window would start at pixel 6, in the padding after: it does not count
        assert gg.max_pool(x, 2, stride=3, padding=(0, 1), ceil_mode=True).size == 2

    def test_mistakes(self):
        x = np.ones((1, 4, 4, 1))
        with pytest.raises(gg.ShapeError, match=r"it spans 5 pixels\) but the image is 4×4"):
            gg.max_pool(x, 3, dilation=2)
        with pytest.raises(gg.ShapeError, match="not smaller than the window"):
            gg.max_pool(x, 2, padding=2)
        with pytest.raises(gg.ShapeError, match="has 4 pixels and the taps of a window are 5"):
            gg.max_pool(x, 2, dilation=5, padding=1)
        with pytest.raises(gg.ShapeError, match="so some windows would hold no pixel"):
            gg.max_pool(x[:, :0], 2, padding=1)
        with pytest.raises(gg.DomainError, match="dilation is 0"):
            gg.max_pool(x, 2, dilation=0)
        assert gg.max_pool(x, 5, ceil_mode=True).shape == (1, 1, 1, 1)
        with pytest.raises(gg.ShapeError, match="has only 4 pixels"):
            gg.max_pool(x, 5, stride=1, ceil_mode=True)

    def test_flops(self):
        assert flops(lambda x: gg.max_pool(x, 2), (1, 6, 6, 3)) == 27 * 4
        assert flops(lambda x: gg.max_pool(x, (3, 2), stride=1, dilation=2), (1, 6, 6, 3)) == (
            2 * 4 * 3 * 6
        )

    def test_summary(self):
        def net(x):
            return gg.max_pool(gg.max_pool(x, 3, dilation=2, stride=1), 2, ceil_mode=True)

        first, second = nn.summary(net, (1, 9, 9, 1)).rows
        assert (first.n_out, first.field, first.note) == ((5, 5), (5, 5), "")
        assert (second.n_out, second.field, second.note) == ((3, 3), (6, 6), "")
        (gaps,) = nn.summary(lambda x: gg.max_pool(x, 2, dilation=2), (1, 9, 9, 1)).rows
        assert "never looked at" in gaps.note
        (rest,) = nn.summary(lambda x: gg.max_pool(x, 2, dilation=3), (1, 9, 9, 1)).rows
        assert rest.note == "the last 1×1 rows or columns of pixels are in no window"


class TestAvgPool:
    @given(case=signal_pools(), ceil_mode=st.booleans(), include=st.booleans())
    def test_forward_and_backward_divide_by_torchs_count(self, case, ceil_mode, include):
        n, k, stride, before, after = case
        x = rng.normal(size=(2, n, 2))
        size = torch_size(n, k, stride, before, after, 1, ceil_mode)

        def f(x):
            return gg.avg_pool(
                x,
                k,
                stride=stride,
                padding=(before, after),
                ceil_mode=ceil_mode,
                count_include_pad=include,
            )

        y, pull = gg.vjp(f, x)
        assert y.shape == (2, size, 2)
        g, back = rng.normal(size=y.shape), np.zeros_like(x)
        for p, window in enumerate(windows_of(n, k, stride, before, 1, size)):
            inside = [i for i in window if 0 <= i < n]
            counted = sum(i < n + after for i in window) if include else len(inside)
            assert_allclose(y[:, p], x[:, inside].sum(1) / counted, atol=1e-12)
            back[:, inside] += g[:, p, None] / counted
        assert_allclose(pull(g), back, atol=1e-12)

    def test_ceil_mode_by_hand(self):
        x = signal(2, 4, 6, 8, 10)
        mean = gg.avg_pool
        assert mean(x, 2, ceil_mode=True).ravel().tolist() == [3, 7, 10]
        padded = {"stride": 3, "padding": 1, "ceil_mode": True}
        assert mean(x, 4, **padded).ravel().tolist() == [12 / 4, 24 / 4]
        assert mean(x, 4, **padded, count_include_pad=False).ravel().tolist() == [4, 8]
        # 10, the padding, and one pixel beyond it that counts for nothing
        assert mean(x, 3, stride=4, padding=(0, 1), ceil_mode=True).ravel().tolist() == [4, 5]

    def test_numbers_of_public_reports(self):
        """What torch gives where coremltools#2844, tract#2851 and pytorch#45357 differed."""
        x = np.arange(49.0).reshape(1, 7, 7, 1)
        mean = gg.avg_pool(x, 2, stride=3, ceil_mode=True)[0, ..., 0]
        assert mean.tolist() == [[4.0, 7.0, 9.5], [25.0, 28.0, 30.5], [42.5, 45.5, 48.0]]
        five = gg.avg_pool(signal(1, 2, 3, 4, 5), 2, ceil_mode=True)
        assert five.ravel().tolist() == [1.5, 3.5, 5.0]
        one = {"stride": 2, "ceil_mode": True}
        assert gg.max_pool(np.ones((1, 6, 7, 1)), 1, **one).shape == (1, 3, 4, 1)

    @pytest.mark.parametrize("include", [True, False])
    def test_gradient_and_dtype(self, include):
        x = rng.normal(size=(2, 6, 5, 2))

        def f(x):
            return gg.avg_pool(
                x, (3, 2), stride=2, padding=1, ceil_mode=True, count_include_pad=include
            )

        assert check(f, x, examples=20).verdict == "passed"
        assert f(x.astype(np.float32)).dtype == np.float32
        assert f(np.ones((1, 6, 5, 2), int)).dtype == np.float64

    def test_flops(self):
        assert flops(lambda x: gg.avg_pool(x, 3, stride=2), (2, 7, 7, 1)) == 18 * 9


class TestGlobal:
    def test_mean_and_maximum_over_the_image(self):
        x = rng.normal(size=(2, 3, 4, 5))
        assert_allclose(gg.global_avg_pool(x), x.mean((1, 2)))
        assert_array_equal(gg.global_max_pool(x), x.max((1, 2)))
        assert gg.global_avg_pool(x, keepdims=True).shape == (2, 1, 1, 5)
        assert gg.global_max_pool(x[:, 0]).shape == (2, 5)
        assert gg.global_avg_pool(x.astype(np.float32)).dtype == np.float32
        assert gg.global_avg_pool(np.ones((2, 3, 3, 3, 1), int)).dtype == np.float64

    def test_ties(self):
        """They share, as in max; a window as large as the image gives everything to the first."""
        x = signal(3, 1, 3)
        assert gg.grad(lambda x: gg.global_max_pool(x).sum())(x).ravel().tolist() == [0.5, 0, 0.5]
        assert gg.grad(lambda x: gg.max_pool(x, 3).sum())(x).ravel().tolist() == [1, 0, 0]

    def test_gradients(self):
        x = rng.permutation(24).reshape(1, 3, 4, 2) * 0.1
        assert check(gg.global_avg_pool, x, examples=20).verdict == "passed"
        assert check(gg.global_max_pool, x, examples=20).verdict == "passed"

    def test_mistakes(self):
        with pytest.raises(gg.ShapeError, match=r"global_avg_pool: x is 3×3"):
            gg.global_avg_pool(np.ones((3, 3)))
        with pytest.raises(gg.ShapeError, match="no elements"):
            gg.global_max_pool(np.ones((1, 0, 3)))


class TestAdaptive:
    @given(n=st.integers(1, 12), m=st.integers(1, 8))
    def test_the_bins_are_torchs(self, n, m):
        x = rng.normal(size=(2, n, 3))
        bins = [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
        each = [x[:, start:end].mean(1) for start, end in bins]
        assert_allclose(gg.adaptive_avg_pool(x, m), np.stack(each, 1), rtol=1e-12, atol=1e-12)

    def test_several_axes(self):
        x = rng.normal(size=(2, 5, 7, 3))
        found = gg.adaptive_avg_pool(x, (2, 3))
        assert found.shape == (2, 2, 3, 3)
        assert_allclose(found[:, 1, 1], x[:, 2:5, 2:5].mean((1, 2)))
        assert_allclose(gg.adaptive_avg_pool(x, 1)[:, 0, 0], gg.global_avg_pool(x))
        assert_allclose(gg.adaptive_avg_pool(x[:, :4, :6], (2, 3)), gg.avg_pool(x[:, :4, :6], 2))
        assert_array_equal(gg.adaptive_avg_pool(x, (5, 7)), x)
        assert gg.adaptive_avg_pool(np.ones((1, 3, 4, 5, 1)), 2).shape == (1, 2, 2, 2, 1)

    def test_infinity_stays_in_its_bins(self):
        x = signal(1, 2, np.inf, 4, 5, np.nan)
        assert_array_equal(gg.adaptive_avg_pool(x, 3).ravel(), [1.5, np.inf, np.nan])

    def test_half_precision_is_summed_in_single(self):
        image = np.full((1, 64, 64, 1), 1000, np.float16)
        mean = gg.adaptive_avg_pool(image, 1)
        assert mean.dtype == np.float16
        assert mean.item() == 1000

    def test_gradient_and_dtype(self):
        x = rng.normal(size=(1, 5, 4, 2))
        assert check(lambda x: gg.adaptive_avg_pool(x, 3), x, examples=20).verdict == "passed"
        assert gg.adaptive_avg_pool(x.astype(np.float32), 3).dtype == np.float32
        assert gg.adaptive_avg_pool(np.ones((1, 4, 1), int), 3).dtype == np.float64
        assert gg.adaptive_avg_pool(x[:0], 3).shape == (0, 3, 3, 2)

    def test_mistakes(self):
        with pytest.raises(gg.DomainError, match="size is 0"):
            gg.adaptive_avg_pool(np.ones((1, 4, 1)), 0)
        with pytest.raises(gg.ShapeError, match="no pixels"):
            gg.adaptive_avg_pool(np.ones((1, 0, 1)), 2)
        with pytest.raises(gg.ShapeError, match=r"adaptive_avg_pool: x is 4×1"):
            gg.adaptive_avg_pool(np.ones((4, 1)), 2)

    def test_flops(self):
        """Five pixels in two bins of three; seven in three bins of three."""
        assert flops(lambda x: gg.adaptive_avg_pool(x, (2, 3)), (2, 5, 7, 4)) == 2 * 6 * 9 * 4
