"""Kernels: what they compute does not depend on how they cut the work into blocks."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradgraph as gg
from gradgraph.draw import Draw
from gradgraph.kernels import blas, dispatch, numpy_, settings, short
from gradgraph.kernels import numpy_ as kernels

CONVOLUTIONS = [gg.Op.registry[name] for name in ("conv", "conv_input", "conv_filter")]


@pytest.mark.parametrize("cls", CONVOLUTIONS, ids=lambda cls: cls.name)
@given(data=st.data(), size=st.sampled_from([1, 100, 300, 1000]))
def test_blocks_change_nothing(cls, data, size):
    op, args = cls.sample(Draw(lambda low, high: data.draw(st.integers(low, high))))
    expected = op(*args)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "ROWS_BYTES", size)
        np.testing.assert_allclose(op(*args), expected, rtol=1e-12, atol=1e-12)


def test_blocks_cover_every_row_once(monkeypatch):
    for size in (1, 7, 24, 25, 60, 1000):
        monkeypatch.setattr(kernels, "ROWS_BYTES", size)
        seen = np.zeros((5, 6), int)
        for part in kernels._blocks(5, 6, row_bytes=4):
            seen[part] += 1
            assert seen[part].size * 4 <= max(size, 4)
        assert (seen == 1).all()


@pytest.mark.parametrize("stride", [1, 2])
def test_a_large_image_needs_little_memory(stride):
    """All windows of the image as rows would take 75 MB (19 MB at stride 2)."""
    rng = np.random.default_rng(0)
    x = gg.Tensor(rng.normal(size=(1, 256, 256, 16)), requires_grad=True)
    w = gg.Tensor(rng.normal(size=(3, 3, 16, 4)), requires_grad=True)
    tracemalloc.start()
    loss = gg.conv(x, w, stride=stride, padding=1).sum()
    forward = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    loss.backward()
    backward = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert forward < 24e6  # the padded image 8.5 MB, the result 2 MB, a block of rows 4 MB
    assert backward < 48e6


@pytest.mark.parametrize("seed", range(12))
def test_short_convolutions_agree_with_double_precision(seed, monkeypatch):
    """Sizes that leave part of a tile, one-sided and negative padding, both gradients."""
    monkeypatch.setattr(dispatch, "TILES_PAY", 0)
    rng = np.random.default_rng(seed)
    n, h, w = rng.integers(1, 5), *rng.integers(3, 20, size=2)
    c, k = 32 + 4 * rng.integers(0, 3, size=2)
    padding = tuple(tuple(map(int, p)) for p in rng.integers(0, 3, size=(2, 2)))
    if seed % 4 == 0 and min(h, w) > 5:
        padding = ((-1, 1), (0, -2))
    one = (1, 1)
    x = rng.normal(size=(n, h, w, c)).astype(np.float32)
    filters = rng.normal(size=(3, 3, c, k)).astype(np.float32)
    y = numpy_.conv(x.astype(float), filters.astype(float), one, padding, one, 1)
    g = rng.normal(size=y.shape).astype(np.float32)
    calls = {
        "conv": (x, filters, one, padding, one, 1),
        "conv_input": (g, filters, (h, w), one, padding, one, 1),
        "conv_filter": (x, g, (3, 3), one, padding, one, 1),
    }
    used = []
    for name in ("conv", "filter_gradient"):
        of = getattr(short, name)
        monkeypatch.setattr(short, name, lambda *a, of=of: used.append(1) or of(*a))
    with settings.backend("numpy"):
        for name, (a, b, *rest) in calls.items():
            found = getattr(dispatch, name)(a, b, *rest)
            exact = getattr(numpy_, name)(a.astype(float), b.astype(float), *rest)
            assert found.dtype == np.float32
            assert np.linalg.norm(found - exact) <= 1e-5 * np.linalg.norm(exact)
        assert used
        with settings.precision("high"):
            exact = dispatch.conv(*calls["conv"])
        np.testing.assert_array_equal(exact, numpy_.conv(*calls["conv"]))


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_short_convolutions_leave_what_is_not_finite_to_others(strange, monkeypatch):
    """In a tile it would spread to results whose window does not hold it."""
    monkeypatch.setattr(dispatch, "TILES_PAY", 0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 9, 9, 32)).astype(np.float32)
    w = rng.normal(size=(3, 3, 32, 32)).astype(np.float32)
    x[1, 4, 4, 0] = strange
    given = (x, w, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    with settings.backend("numpy"), np.errstate(all="ignore"):
        found = dispatch.conv(*given)
    assert np.isfinite(found).sum() == found.size - 9 * 32
    np.testing.assert_allclose(found, numpy_.conv(*given), rtol=1e-3, atol=1e-4)


def test_the_library_gets_its_threads_back():
    """Also when two threads of the user leave in another order than they came."""
    told = blas._functions()
    if told is None:
        pytest.skip("numpy brought no library along that can be told")
    ask, tell = told
    before = ask()
    try:
        tell(2)
        first, second = blas.alone(), blas.alone()
        first.__enter__()
        assert ask() == 1
        second.__enter__()
        first.__exit__(None, None, None)
        assert ask() == 1
        second.__exit__(None, None, None)
        assert ask() == 2
    finally:
        tell(before)
