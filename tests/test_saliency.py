"""What a network looks at, on nets small enough to see it by hand; and the picture of it."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
from gradgraph.viz.maps import enlarged, maps
from gradgraph.viz.saliency import grad_cam, occlusion, saliency

import gradgraph as gg
from gradgraph import nn


def linear(weights):
    """Scores of a linear net: one column of weights (H, W, C) for each of K scores."""
    columns = np.stack([np.ravel(w) for w in weights], axis=1)
    return lambda x: gg.reshape(x, len(x), len(columns)) @ columns


class Twice(nn.Module):
    """Two filters of one pixel, relu, then the sum of each map: scores that are sums of maps."""

    def __init__(self):
        self.conv = nn.Conv(1, 2, 1, rng=0)
        self.conv.w.assign([[[[2.0, -1.0]]]])
        self.conv.b.assign([0.0, 0.0])

    def forward(self, x):
        return gg.relu(self.conv(x)).sum(axis=(1, 2)) @ np.array([[1.0, 1.0], [1.0, -1.0]])


# The slopes of a score


def test_the_saliency_of_a_linear_score_is_its_weight():
    w = np.array([[1.0, -2.0], [0.0, 0.5]])
    found = saliency(linear([w, -3 * w]), np.zeros((2, 2, 2, 1)), unit=1)
    assert found.tolist() == [[[3, 6], [0, 1.5]]] * 2


def test_the_greatest_of_the_channels_counts():
    w = np.array([[[1.0, -4.0, 2.0]]])
    assert saliency(linear([w]), np.zeros((1, 1, 1, 3))).tolist() == [[[4.0]]]


def test_each_item_has_its_own_unit_and_by_default_its_greatest_score():
    f = linear([[[[1.0]]], [[[-2.0]]]])
    x = np.array([1.0, -1.0]).reshape(2, 1, 1, 1)  # scores (1, -2) and (-1, 2)
    assert saliency(f, x).ravel().tolist() == [1.0, 2.0]
    assert saliency(f, x, [1, 0]).ravel().tolist() == [2.0, 1.0]
    assert saliency(f, x, np.array(1)).ravel().tolist() == [2.0, 2.0]


def test_the_saliency_of_a_lenet_is_what_differences_say():
    net, x = nn.LeNet(rng=0), np.random.default_rng(0).random((1, 28, 28, 1))
    found = saliency(net, x, unit=3)
    for row, column in [(5, 5), (14, 14), (20, 9)]:
        up, down = x.copy(), x.copy()
        up[0, row, column] += 1e-6
        down[0, row, column] -= 1e-6
        slope = (net(gg.Tensor(up)).data[0, 3] - net(gg.Tensor(down)).data[0, 3]) / 2e-6
        assert found[0, row, column] == pytest.approx(abs(slope), rel=1e-4)


def test_signals_have_maps_too():
    w = np.array([[1.0], [-2.0]])
    assert saliency(linear([w]), np.zeros((1, 2, 1))).tolist() == [[1.0, 2.0]]


# Maps weighted by slopes


def test_grad_cam_by_hand():
    x = np.array([[1.0, -1.0], [2.0, 0.0]]).reshape(1, 2, 2, 1)
    # maps after relu: 2x = (2, 0, 4, 0) and -x = (0, 1, 0, 0); score 0 adds them, score 1 subtracts
    # slopes of the maps before relu: (1, 0, 1, 0) and (0, ±1, 0, 0), of means 1/2 and ±1/4
    before = np.array([[2.0, -2.0], [4.0, 0.0]]), np.array([[-1.0, 1.0], [-2.0, 0.0]])
    for unit, sign in ((0, 1.0), (1, -1.0)):
        expected = np.maximum(before[0] / 2 + sign * before[1] / 4, 0)
        assert grad_cam(Twice(), x, "conv", unit)[0] == pytest.approx(expected)
    assert grad_cam(Twice(), x, "conv", 0)[0].tolist() == [[0.75, 0.0], [1.5, 0.0]]


def test_grad_cam_as_a_loop_finds_it():
    net, x = nn.LeNet(rng=0), np.random.default_rng(1).random((2, 28, 28, 1)).astype(np.float32)
    found = grad_cam(net, x, "features.conv2", unit=[3, 4])
    for i, unit in enumerate((3, 4)):
        features = net.features
        a = gg.Tensor(features.conv2(features.pool1(features.relu1(features.conv1(x[[i]])))).data)

        def score(a, unit=unit):
            rest = net.features.pool2(net.features.relu2(a))
            return net.fc2(gg.relu(net.fc1(gg.reshape(rest, 1, 512))))[0, unit]

        slope = gg.grad(score)(a.data).numpy()
        total = np.zeros((8, 8))
        for k in range(32):
            total += slope[0, :, :, k].mean() * a.data[0, :, :, k]
        assert found[i] == pytest.approx(np.maximum(total, 0), rel=1e-3, abs=1e-6)


def test_a_layer_by_the_end_of_its_path_or_picked_from_the_graph():
    net, x = nn.LeNet(rng=0), np.random.default_rng(1).random((1, 28, 28, 1))
    whole = grad_cam(net, x, "lenet.features.relu2")
    assert (grad_cam(net, x, "relu2") == whole).all()

    def second_relu(graph):
        return [graph.vertices[s.output] for s in graph.steps if s.op.name == "relu"][1]

    assert (grad_cam(net, x, second_relu) == whole).all()
    assert grad_cam(net, x, "features").shape == (1, 4, 4)  # what the last layer in it gives


def test_an_unknown_layer_lists_the_known_ones():
    net, x = nn.LeNet(rng=0), np.zeros((1, 28, 28, 1))
    with pytest.raises(gg.DomainError, match=r"'conv3' is the name of no layers.*features\.conv2"):
        grad_cam(net, x, "conv3")
    with pytest.raises(gg.ShapeError, match="the layer gives 1×128"):
        grad_cam(net, x, "fc1")
    with pytest.raises(gg.GradError, match="Tensor does not lie between x and the scores"):
        grad_cam(net, x, lambda graph: net.fc1.w)


def test_a_name_of_two_layers():
    net = nn.Sequential(a=nn.Sequential(c=nn.Conv(1, 1, 1, rng=0)),
                        b=nn.Sequential(c=nn.Conv(1, 1, 1, rng=0)), flat=nn.Flatten())  # fmt: skip
    with pytest.raises(gg.DomainError, match=r"2 layers.*sequential\.a\.c, sequential\.b\.c"):
        grad_cam(net, np.ones((1, 2, 2, 1)), "c")
    assert grad_cam(net, np.ones((1, 2, 2, 1)), "b.c").shape == (1, 2, 2)


# Hidden patches


def test_the_occlusion_of_a_sum_is_what_was_hidden():
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    found = occlusion(linear([np.ones((4, 4, 1))]), x, size=2, stride=2, fill=0)
    # each patch of four pixels takes their sum with it
    assert found[0].tolist() == [[10, 10, 18, 18]] * 2 + [[42, 42, 50, 50]] * 2


def test_overlapping_patches_are_averaged_and_the_last_one_ends_at_the_border():
    x = np.array([1.0, 2.0, 4.0, 8.0]).reshape(1, 4, 1)
    f = linear([np.ones((4, 1))])
    assert occlusion(f, x, size=2, stride=1, fill=0).tolist() == [[3, 4.5, 9, 12]]
    assert occlusion(f, x, size=3, stride=3, fill=0).tolist() == [[7, 10.5, 10.5, 14]]


def test_what_hides():
    x = np.array([[1.0, 10.0], [3.0, 30.0]]).reshape(1, 2, 2)
    f = linear([np.ones((2, 2))])
    assert occlusion(f, x, size=1).tolist() == [[-11, 11]]  # the mean colour is (2, 20)
    assert occlusion(f, x, size=1, fill=[1.0, 10.0]).tolist() == [[0, 22]]
    assert occlusion(f, x, size=1, fill=1.0).tolist() == [[9, 31]]


def test_many_patches_and_items_as_a_loop_finds_them():
    net, x = nn.LeNet(rng=0), np.random.default_rng(2).random((2, 28, 28, 1))
    found = occlusion(net, x, unit=[7, 1], size=6, stride=2, fill=0.5)  # 144 patches, 2 batches
    for i, unit in enumerate((7, 1)):
        lost, seen = np.zeros((28, 28)), np.zeros((28, 28))
        for top in range(0, 23, 2):
            for left in range(0, 23, 2):
                part = x[[i]].copy()
                part[0, top : top + 6, left : left + 6] = 0.5
                drop = net(gg.Tensor(x[[i]])).data[0, unit] - net(gg.Tensor(part)).data[0, unit]
                lost[top : top + 6, left : left + 6] += drop
                seen[top : top + 6, left : left + 6] += 1
        assert found[i] == pytest.approx(lost / seen, rel=1e-6, abs=1e-9)


def test_patches_that_do_not_fit():
    f, x = linear([np.ones((4, 4, 1))]), np.ones((1, 4, 4, 1))
    for wrong in ({"size": 5}, {"size": 0}, {"size": 1.5}, {"size": 2, "stride": 3}):
        with pytest.raises(gg.DomainError, match=r"is .*, not an int from 1 to"):
            occlusion(f, x, **wrong)
    with pytest.raises(gg.ShapeError, match=r"fill is \(2,\), but there are 1 channels"):
        occlusion(f, x, fill=[1.0, 2.0])


# What all of them refuse

ALL = [saliency, occlusion, lambda f, x, unit=None: grad_cam(f, x, "conv", unit)]


@pytest.mark.parametrize("look", ALL)
def test_refusals(look):
    net, x = Twice(), np.ones((2, 2, 2, 1))
    with pytest.raises(gg.ShapeError, match="Add the missing"):
        look(net, x[0])
    with pytest.raises(gg.ShapeError, match=r"x is 2×2, not a batch.*x\[None\]"):
        look(net, x[0, :, :, 0])
    with pytest.raises(gg.DTypeError, match="x is int64, not floats"):
        look(net, x.astype(int))
    for unit in (2, -1, [0, 2]):
        with pytest.raises(gg.DomainError, match=r"but there are 2 scores.*from 0 to 1"):
            look(net, x, unit)
    for unit in (1.0, "cat", [0, 1, 1]):
        with pytest.raises(gg.DTypeError, match="neither an int nor one for each of 2 items"):
            look(net, x, unit)
    with pytest.raises(gg.DTypeError, match="returned ndarray"):
        look(lambda x: net(x).data, x)
    with pytest.raises(gg.ShapeError, match="the scores are scalar for 2 items"):
        look(lambda x: net(x).sum(), x)


@pytest.mark.parametrize("look", ALL)
def test_nothing_is_left_behind(look):
    net, x = Twice(), np.ones((1, 2, 2, 1))
    kept = x.copy()
    plain = look(net, x)
    with gg.no_grad():
        assert (look(net, x) == plain).all()
    assert all(p.grad is None for p in net.parameters())
    assert (x == kept).all()


# The picture


def pixels(uri):
    """What a PNG with three channels shows."""
    file = base64.b64decode(uri.partition(",")[2])
    wide, high = struct.unpack(">II", file[16:24])
    at = file.index(b"IDAT")
    (size,) = struct.unpack(">I", file[at - 4 : at])
    lines = np.frombuffer(zlib.decompress(file[at + 4 : at + 4 + size]), np.uint8)
    return lines.reshape(high, 1 + 3 * wide)[:, 1:].reshape(high, wide, 3).astype(int)


def shown(picture):
    root = ElementTree.fromstring(picture.svg)
    tag = "{http://www.w3.org/2000/svg}image"
    return [pixels(e.get("href")) for e in root.iter(tag)]


def words(picture):
    return " ".join(ElementTree.fromstring(picture.svg).itertext())


def test_the_image_and_its_map():
    x = np.array([[0.0, 1.0], [0.5, 1.0]]).reshape(1, 2, 2, 1)
    image, heat = shown(maps(x, {"loss": np.array([[[0.0, 4.0], [-2.0, 0.0]]])}))
    assert image[..., 0].tolist() == [[0, 255], [128, 255]]
    assert heat[0, 0].tolist() == [60] * 3  # nothing: the grey copy, between 60 and 200
    assert heat[1, 1].tolist() == [200] * 3
    assert heat[0, 1].tolist() == [231, 99, 31]  # the most: 9/10 orange, 1/10 grey
    red, _, blue = heat[1, 0]
    assert blue > red  # half as much against it


def test_bytes_are_shown_as_they_are():
    x = np.array([[[10, 20, 30], [40, 50, 60]]], np.uint8)[None]
    assert shown(maps(x, {"m": np.zeros((1, 1, 2))}))[0].tolist() == x[0].tolist()


def test_a_coarse_map_is_made_finer_between_its_cells():
    fine = enlarged(np.array([[0.0, 4.0], [8.0, 12.0]]), (4, 4))
    assert fine[0].tolist() == [0, 1, 3, 4]
    assert fine[:, 0].tolist() == [0, 2, 6, 8]
    assert fine[1, 1] == 3
    same = np.arange(6.0).reshape(2, 3)
    assert (enlarged(same, (2, 3)) == same).all()


def test_numbers_names_and_captions_are_written():
    x, found = np.ones((2, 2, 2, 3)), np.array([[[0.0, 0.25], [0, 0]], [[-3.0, 1.5], [0, 0]]])
    picture = maps(x, {"slope": found}, captions=["a cat", "none"], title="Cats")
    said = words(picture)
    for part in ("Cats", "slope", "a cat", "none", "0.25", "−3",
                 "slope of image 1: from 0 to 0.25, the most in row 1, column 2",
                 "slope of image 2: from −3 to 1.5"):  # fmt: skip
        assert part in said
    assert "0 everywhere" in words(maps(x, {"slope": 0 * found}))
    assert repr(picture) == "Maps(2 images: slope)"


def test_only_the_first_twelve_are_drawn():
    picture = maps(np.zeros((13, 2, 2, 1)), {"a": np.zeros((13, 2, 2))})
    assert len(shown(picture)) == 24
    assert "the first 12 of 13 images" in words(picture)


def test_large_images_are_thinned_out():
    image, heat = shown(maps(np.zeros((1, 600, 300, 1)), {"a": np.zeros((1, 3, 3))}))
    assert image.shape == heat.shape == (200, 150, 3)


def test_it_is_valid_and_its_ids_are_its_own():
    x = np.zeros((1, 2, 2, 1))
    picture = maps(x, {"</title><script>&\x00": x[..., 0]}, captions=["<x>"], title="a:b")
    root = ElementTree.fromstring(picture.svg)
    assert not [e for e in root.iter() if "script" in e.tag]
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]*)\)", picture.svg)) <= set(ids)
    assert picture.svg == maps(x, {"</title><script>&\x00": x[..., 0]}, captions=["<x>"],
                               title="a:b").svg  # fmt: skip
    other = maps(x, {"b": x[..., 0] + 1}).svg
    assert set(ids).isdisjoint(re.findall(r'id="([^"]*)"', other))
    assert "image-rendering:pixelated" in picture.svg
    assert "@media (prefers-color-scheme:dark)" in picture.svg


def test_saving(tmp_path):
    picture = maps(np.zeros((1, 2, 2, 1)), {"a": np.zeros((1, 2, 2))})
    assert picture.save(tmp_path / "a.svg").read_text(encoding="utf-8") == picture.svg
    assert picture._repr_svg_() == picture.svg
    with pytest.raises(gg.DomainError, match=r"a\.gif"):
        picture.save(tmp_path / "a.gif")


def test_what_cannot_be_drawn():
    x, m = np.zeros((1, 2, 2, 1)), np.zeros((1, 2, 2))
    with pytest.raises(gg.ShapeError, match=r"x is 2×2×1, not a batch of images.*x\[None\]"):
        maps(x[0], {"a": m})
    with pytest.raises(gg.ShapeError, match="x is 1×2×2×2"):
        maps(np.zeros((1, 2, 2, 2)), {"a": m})
    with pytest.raises(gg.ShapeError, match="the map 'a' is 2×2 for 1 images"):
        maps(x, {"a": m[0]})
    with pytest.raises(gg.DTypeError, match="the maps are ndarray"):
        maps(x, m)
    with pytest.raises(gg.DomainError, match="there is no map"):
        maps(x, {})
    with pytest.raises(gg.DomainError, match="the map 'a' has a NaN"):
        maps(x, {"a": m * np.nan})
    with pytest.raises(gg.DomainError, match="x has a NaN"):
        maps(x + np.inf, {"a": m})
    with pytest.raises(gg.DTypeError, match="complex128, not numbers"):
        maps(x, {"a": m + 1j})
    with pytest.raises(gg.ShapeError, match="2 captions for 1 images"):
        maps(x, {"a": m}, captions=["a", "b"])
    with pytest.raises(gg.DTypeError, match=r"Use str\(label\)"):
        maps(x, {"a": m}, captions=[3])


def test_images_near_the_largest_float():
    picture = maps(np.array([[-1e308], [1e308]]).reshape(1, 2, 1, 1), {"m": np.ones((1, 2, 1))})
    shown = picture.rows[0][0].pixels
    assert [int(v) for v in shown[:, 0, 0]] == [0, 255]


def test_a_fill_or_captions_that_are_none():
    x = np.ones((1, 2, 2, 1))
    with pytest.raises(gg.DTypeError, match="fill"):
        occlusion(lambda x: x.reshape(len(x), 4), x, unit=0, fill="mean")
    with pytest.raises(gg.DTypeError, match="a caption is no string"):
        maps(np.ones((2, 2, 2, 1)), {"m": np.ones((2, 2, 2))}, captions="ab")
