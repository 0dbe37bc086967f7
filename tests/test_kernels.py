"""Kernels: what they compute does not depend on how they cut the work into blocks."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradgraph as gg
from gradgraph.draw import Draw
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
