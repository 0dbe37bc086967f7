"""The architecture drawn as cuboids."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

import gradgraph as gg
from gradgraph import nn, viz


def lenet():
    return viz.cuboids(nn.LeNet(rng=0), (1, 28, 28, 1))


def test_a_block_for_each_layer_with_its_shape():
    blocks = lenet().blocks
    assert [b.name for b in blocks] == ["input", "conv1", "pool1", "conv2", "pool2", "fc1", "fc2"]
    assert [b.shape[-1] for b in blocks] == [1, 16, 16, 32, 32, 128, 10]
    assert blocks[1].then == ("relu",)
    assert blocks[1].kernel == (5, 5)


def test_it_is_valid_and_tells_what_it_shows():
    root = ElementTree.fromstring(lenet().svg)
    text = " ".join(root.itertext())
    for words in ("conv 5×5 + relu", "24×24×16", "max_pool 2×2", "matmul"):
        assert words in text
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))


def test_the_same_bytes_and_ids_of_its_own():
    other = viz.cuboids(nn.Conv(1, 2, 3, rng=0), (1, 8, 8, 1))
    assert lenet().svg == lenet().svg
    assert set(ids(lenet())).isdisjoint(ids(other))


def test_layers_that_normalise_have_several_results():
    net = nn.Sequential(nn.Conv(1, 8, 3, rng=0), nn.BatchNorm(8), nn.ReLU(), nn.GroupNorm(2, 8))
    for module in (net, net.eval()):
        assert [b.shape for b in viz.cuboids(module, (1, 8, 8, 1)).blocks] == [(8, 8, 1), (6, 6, 8)]
    assert viz.cuboids(nn.LayerNorm(4), (2, 4)).blocks[0].shape == (4,)


def ids(drawing):
    return [e.get("id") for e in ElementTree.fromstring(drawing.svg).iter() if e.get("id")]


@pytest.mark.parametrize("shape", [(1, 9, 2), (1, 5, 6, 7, 2), (3, 4)])
def test_signals_volumes_and_rows(shape):
    w = np.ones((*(3,) * (len(shape) - 2), shape[-1], 4))
    drawing = viz.cuboids(lambda x: gg.conv(x, w) if w.ndim > 2 else x @ w, shape)
    assert drawing.blocks[-1].shape[-1] == 4
    ElementTree.fromstring(drawing.svg)


def test_hostile_names():
    name = "</title><script>&\x00"
    with gg.scope("net"):
        drawing = viz.cuboids(nn.Sequential(**{name: nn.Conv(1, 1, 1, rng=0)}), (1, 2, 2, 1),
                              title=name)  # fmt: skip
    root = ElementTree.fromstring(drawing.svg)
    assert not [e for e in root.iter() if "script" in e.tag]


def test_saving(tmp_path):
    assert lenet().save(tmp_path / "net.svg").read_text(encoding="utf-8") == lenet().svg
    with pytest.raises(gg.DomainError, match=r"net\.pdf"):
        lenet().save(tmp_path / "net.pdf")
    assert lenet()._repr_svg_() == lenet().svg
    assert repr(lenet()).startswith("Cuboids(28×28×1 → 24×24×16")


def test_what_returns_no_tensor():
    with pytest.raises(gg.DTypeError, match="returned NoneType"):
        viz.cuboids(lambda x: None, (1, 2))


def test_a_title_that_is_no_text():
    with pytest.raises(gg.DTypeError, match="title is 3"):
        viz.cuboids(nn.ReLU(), (1, 4), title=3)


def test_an_image_without_pixels():
    root = ElementTree.fromstring(viz.cuboids(nn.ReLU(), (1, 0, 0, 2)).svg)
    assert "0×0×2" in "".join(root.itertext())
