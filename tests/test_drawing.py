"""Drawings: columns, images in cards, the way back, what changed, and the formats."""

from __future__ import annotations

import base64
import errno
import io
import math
import os
import re
import shutil
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from gradgraph.viz.dot import write
from gradgraph.viz.lanes import changed
from gradgraph.viz.text import number
from gradgraph.viz.view import View

import gradgraph as gg
from gradgraph import nn, viz
from gradgraph.errors import DomainError, DTypeError, GradError, MissingExtraError
from gradgraph.viz import columns, engine, facts, raster, theme, thumbs, transform

SPACE = "{http://www.w3.org/2000/svg}"

try:
    engine.find()
    HAS_ENGINE = True
except MissingExtraError:
    HAS_ENGINE = False
drawn = pytest.mark.skipif(not HAS_ENGINE, reason="no layout engine here")


def chain(depth=12, width=4, act=gg.tanh, scale=1.0):
    """A chain of layers; its loss."""
    rng = np.random.default_rng(0)
    h = gg.Tensor(rng.normal(size=(3, width)), name="x")
    for i in range(depth):
        w = gg.Tensor(rng.normal(size=(width, width)) * scale, requires_grad=True, name=f"{i}.w")
        with gg.scope(f"layer{i}"):
            h = gg.matmul(h, w)
        h = act(h)
    return (h * h).sum()


def images(pixels=8, channels=1):
    return gg.Tensor(np.random.default_rng(1).normal(size=(2, pixels, pixels, channels)), name="x")


def small_net():
    net = nn.Sequential(
        nn.Conv(1, 10, 3, rng=0), nn.ReLU(), nn.MaxPool(2), nn.Flatten(), nn.Linear(90, 4, rng=0)
    )
    return gg.cross_entropy(net(images()), np.array([1, 3]))


def view_of(tensor, closed=()):
    return transform.readable(View.of(gg.Graph.of(tensor)), closed=closed)


def card_named(view, title):
    (card,) = [card for card in view.cards if card.title == title]
    return card


def known(tensor, **options):
    view = view_of(tensor)
    found = facts.gather(view, viz.flow(tensor), **options)
    return {card.title: found[card.id] for card in view.cards}


# Columns


def test_a_long_chain_stands_in_columns_of_equal_height():
    view = view_of(chain(24))
    found = columns.columns(view, {c.id: 100.0 for c in view.cards}, 300.0)
    heights = [list(found.values()).count(k) for k in range(max(found.values()) + 1)]
    assert len(heights) > 2
    assert max(heights) - min(heights) <= 3
    order = [found[card.id] for card in view.cards if card.computes]
    assert order == sorted(order)


def test_a_short_chain_stands_in_one():
    view = view_of(chain(2))
    assert set(columns.columns(view, {c.id: 60.0 for c in view.cards}, 300.0).values()) == {0}


def test_columns_end_between_scopes():
    h = gg.Tensor(0.5, requires_grad=True, name="x")
    for block in ("first", "second"):
        with gg.scope(block):
            for _ in range(10):
                h = gg.sin(h)
    view = view_of(h)
    found = columns.columns(view, {c.id: 60.0 for c in view.cards}, 700.0)
    first = {found[c.id] for c in view.cards if c.scope == "first"}
    second = {found[c.id] for c in view.cards if c.scope == "second"}
    assert (first, second) == ({0}, {1})


@drawn
def test_a_picture_of_many_layers_has_the_shape_of_a_screen():
    root = ElementTree.fromstring(viz.draw(chain(30), flow=True).svg)
    _, _, wide, tall = map(float, root.get("viewBox").split())
    assert 0.7 < wide / tall < 3


@drawn
def test_columns_stand_in_order_from_left_to_right():
    loss = chain(24)
    root = ElementTree.fromstring(viz.draw(loss, flow=True).svg)
    at = {}
    for g in root.iter(f"{SPACE}g"):
        if g.get("class") == "node":
            label = g.get("aria-label").split(",")[0]
            at[label] = min(
                float(p.split(",")[0]) for q in g.iter(f"{SPACE}polygon")
                for p in q.get("points").split()
            )  # fmt: skip
    order = [at[f"layer{i}"] for i in range(24)]
    assert order == sorted(order)
    assert len({round(x, -2) for x in order}) > 2


# Facts


def test_the_gradient_of_a_parameter_is_compared_with_it():
    w = gg.Tensor([[3.0], [4.0]], requires_grad=True, name="fc.w")
    x = gg.Tensor([[1.0, 0.0]], name="x")
    with gg.scope("fc"):
        y = gg.matmul(x, w)
    (parameter,) = known(y.sum())["fc"].parameters
    assert (parameter.norm, parameter.share) == (1.0, 0.2)
    assert "= 0.2 ‖w‖" in viz.draw(y.sum(), flow=True).dot


def test_mean_slope_of_an_activation():
    x = gg.Tensor([0.0, 0.0], requires_grad=True, name="x")
    assert known(gg.sigmoid(x).sum())["sigmoid"].slope == 0.25
    x = gg.Tensor([3.0, 3.0], requires_grad=True, name="x")
    assert known(gg.tanh(x).sum())["tanh"].slope == pytest.approx(1 / math.cosh(3) ** 2)


def test_winners_and_ties_of_a_pool():
    image = np.array([[1.0, 2, 0, 0], [3, 0, 0, 0], [5, 5, 1, 2], [0, 0, 3, 4]])
    x = gg.Tensor(image[None, ..., None], requires_grad=True, name="x")
    told = known(gg.max_pool(x, 2).sum())["max_pool"].winners
    assert told == facts.Winners(share=4 / 16, ties=2 / 4)
    assert known(gg.max_pool(x, 2, padding=1).sum())["max_pool"].winners.ties is None


def test_what_cancels_at_a_fan_out():
    x = gg.Tensor([1.0, 1.0], requires_grad=True, name="x")
    y = gg.exp(x)
    told = known((y * 3.0 - y * 2.0).sum())["exp"]
    assert told.cancels == pytest.approx(1 - 1 / math.sqrt(13))  # 3 and -2
    assert "lost in the sum" in viz.draw((y * 3.0 - y * 2.0).sum(), flow=True).dot


def test_the_layer_where_the_gradient_vanishes_is_named():
    told = known(chain(8, act=gg.sigmoid, scale=0.3))
    layers = [f for title, f in told.items() if f.parameters]
    names = [title for title, f in told.items() if f.parameters]
    last = layers[-1].norm
    for facts_, title in zip(layers, names, strict=True):
        small = facts_.norm <= last / 100
        assert any("▼ 1/" in a for a in facts_.alarms) == small, title
    assert any("▼ 1/" in a for f in layers for a in f.alarms)


def test_thresholds_can_be_set():
    x = gg.Tensor([[1.0, -1.0], [1.0, -1.0]], requires_grad=True, name="x")
    loss = gg.relu(x * 0.5).sum()
    assert known(loss)["relu"].alarms == ("1 of 2 units dead in this batch",)
    lax = viz.Thresholds(dead=0.5)
    assert known(loss, limits=lax)["relu"].alarms == ()
    strict = viz.Thresholds(vanishing=10.0)
    assert known(loss, limits=strict)["multiply"].alarms == ("▼ vanishing gradient",)
    assert "▼ vanishing gradient" in viz.draw(loss, flow=True, thresholds=strict).dot


# Images


def decoded(uri):
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    wide, tall, _, kind = struct.unpack(">IIBB", data[16:26])
    channels = {0: 1, 2: 3, 6: 4}[kind]
    at = data.index(b"IDAT")
    size = struct.unpack(">I", data[at - 4 : at])[0]
    lines = np.frombuffer(zlib.decompress(data[at + 4 : at + 4 + size]), np.uint8)
    return lines.reshape(tall, 1 + wide * channels)[:, 1:].reshape(tall, wide, channels)


@drawn
def test_images_stand_in_the_cards_that_they_belong_to():
    root = ElementTree.fromstring(viz.draw(small_net(), flow=True, thumbnails=True).svg)
    counts = {
        g.get("aria-label").split(",")[0]: len(list(g.iter(f"{SPACE}image")))
        for g in root.iter(f"{SPACE}g")
        if g.get("class") == "node"
    }
    assert {k: n for k, n in counts.items() if n} == {
        "x": 1, "0 · conv": 8, "1 · relu": 8, "2 · max_pool": 1
    }  # fmt: skip
    assert "#01" not in "".join(p.get("fill") or "" for p in root.iter(f"{SPACE}polygon"))


def test_filters_share_one_scale_orange_and_blue():
    w = np.zeros((2, 2, 1, 2))
    w[0, 0, 0, 0], w[1, 1, 0, 1] = 2.0, -1.0
    (strip,) = thumbs._filters(w)
    first, second = strip.images
    assert tuple(first[0, 0]) == (194, 65, 12)
    assert tuple(first[1, 1]) == (255, 255, 255)
    assert tuple(second[1, 1]) == (142, 166, 236)  # half of the way from white to blue
    assert strip.caption == "filters, orange + blue −"


def test_many_channels_are_told_not_shown():
    x = gg.relu(gg.Tensor(np.ones((1, 4, 4, 64)), requires_grad=True))
    (strip,) = thumbs._maps(x.data)
    assert len(strip.images) == 8
    assert strip.caption == "feature maps, +56 more"


def test_the_winners_are_those_that_get_the_gradient():
    x = images(4)
    x.requires_grad = True
    y = gg.max_pool(x, 2)
    y.sum().backward()
    (strip,) = thumbs._winners(y)
    assert ((strip.images[0][..., 0] < 255) == (x.grad.data[0, ..., 0] != 0)).all()


@drawn
def test_pixels_are_those_of_the_input():
    x = gg.Tensor(np.arange(16.0).reshape(1, 4, 4, 1), requires_grad=True, name="x")
    root = ElementTree.fromstring(viz.draw(gg.exp(x).sum(), thumbnails=True).svg)
    (image,) = root.iter(f"{SPACE}image")
    pixels = decoded(image.get("href"))
    factor = len(pixels) // 4
    assert tuple(pixels[0, 0]) == (255, 255, 255)
    assert tuple(pixels[-1, -1]) == (27, 36, 48)
    assert (pixels[:factor, :factor] == pixels[0, 0]).all()


def test_probabilities_of_the_classes():
    logits = gg.Tensor([[0.0, math.log(3.0)]], requires_grad=True, name="logits")
    dot = viz.draw(gg.cross_entropy(logits, np.array([1])), thumbnails=True).dot
    assert "whose label is 1" in dot
    heights = [int(h) for h in re.findall(r'HEIGHT="(\d+)" WIDTH="14"', dot)]
    assert sorted(heights) == [8, 8, 26, 26]  # a quarter and three quarters of 34


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_no_image_of_what_is_not_finite(bad):
    x = gg.Tensor(np.full((1, 4, 4, 1), bad), requires_grad=True, name="x")
    assert viz.draw(gg.relu(x).sum(), thumbnails=True)._picture.images == {}


# Detail, scopes, modules


def test_an_overview_has_names_shapes_norms_and_alarms_only():
    full = viz.draw(small_net(), flow=True).dot
    short = viz.draw(small_net(), flow=True, detail="overview").dot
    assert "backward gain" in full
    assert "backward gain" not in short
    assert "2×6×6×10" in short
    assert short.count("‖∂y‖") == full.count("‖∂y‖ ")
    assert len(short) < 0.75 * len(full)


def test_collapsed_scopes_are_single_cards_with_all_their_parameters():
    rng = np.random.default_rng(0)
    net = nn.LeNet(rng=rng)
    loss = gg.cross_entropy(net(np.zeros((1, 28, 28, 1), np.float32)), np.array([0]))
    view = view_of(loss, ("lenet.features",))
    card = card_named(view, "features")
    assert (card.kind, card.scope) == ("fold", "lenet")
    assert view.weigh([card]) == 5 * 5 * 16 + 16 + 5 * 5 * 16 * 32 + 32
    assert view.weigh(view.cards) == 80_202
    nested = view_of(loss, ("lenet", "lenet.features"))
    assert [c.title for c in nested.cards if c.kind == "fold"] == ["lenet"]
    slots = sorted(s for c in view.cards for s in c.slots)
    assert slots == list(range(len(view.graph.vertices)))
    assert "conv1" not in viz.draw(loss, collapse="lenet.features").dot


def test_a_module_is_run_on_a_shape_and_nothing_is_said_of_its_values():
    net = nn.Sequential(nn.Linear(3, 2, rng=0), nn.ReLU())
    drawing = viz.draw(net, (5, 3))
    assert "5×2" in drawing.dot
    assert "dead" not in drawing.dot
    assert "dead" in viz.draw(net, np.zeros((5, 3))).dot
    (weight,) = (p for p in net.parameters() if p.ndim == 2)
    assert viz.draw(net, (5, 3), marks={weight: "look here"}).dot.count("look here") == 2
    spec = gg.Spec((5, 3), np.dtype("float32"))
    assert viz.draw(net, spec).dot == drawing.dot
    assert viz.draw(net, (np.int64(5), np.int64(3))).dot == drawing.dot
    assert repr(viz.cuboids(net, spec)) == repr(viz.cuboids(net, (5, 3)))


def test_functions_and_several_inputs():
    drawing = viz.draw(lambda a, b: a * b + 1.0, np.ones(3), gg.Tensor(np.ones(3), name="bee"))
    assert repr(drawing) == "Drawing(2 ops)"
    assert ">a<" in drawing.dot
    assert ">bee<" in drawing.dot


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"detail": "tiny"}, DomainError, "full"),
        ({"collapse": "nowhere"}, DomainError, "no scope is called 'nowhere'"),
        ({"collapse": [3]}, DTypeError, "collapse"),
        ({"thresholds": 3}, DTypeError, "Thresholds"),
        ({"budget": "many"}, DTypeError, "budget"),
    ],
)
def test_wrong_options(options, error, words):
    with pytest.raises(error, match=words):
        viz.draw(small_net(), **options)


def test_what_cannot_be_run():
    with pytest.raises(DTypeError, match="there is no input"):
        viz.draw(nn.ReLU())
    with pytest.raises(DTypeError, match="inputs were given"):
        viz.draw(small_net(), np.ones(3))
    with pytest.raises(DTypeError, match="returned int"):
        viz.draw(lambda x: 3, np.ones(3))


# The way back


@drawn
def test_each_op_that_a_gradient_reached_has_a_card_for_the_way_back():
    loss = small_net()
    drawing = viz.draw(loss, backward=True)
    root = ElementTree.fromstring(drawing.svg)
    ids = [g.get("id").rpartition("-")[2] for g in root.iter(f"{SPACE}g") if g.get("id")]
    cards = [card.id for card in drawing._view.cards if card.computes]
    assert sorted(i for i in ids if i[0] == "b") == sorted(f"b{n}" for n in cards)
    assert sorted(i for i in ids if i[0] == "t" and i[1:].isdigit()) == sorted(
        f"t{n}" for n in cards
    )


def test_rules_say_to_whom_they_send_how_much():
    loss = small_net()
    seen = viz.flow(loss)
    dot = viz.draw(loss, flow=seen, backward=True).dot
    assert "vjp_logits → 4 · matmul" in dot
    assert "vjp_w → w" in dot
    view = view_of(loss)
    conv = card_named(view, "0 · conv")
    from gradgraph.viz.backward import holds, pulls

    sent = {p.to: p.norm for p in pulls(view, conv, seen)}
    w, b = (v for v in view.graph.vertices if v.op is None and v.shape in ((3, 3, 1, 10), (10,)))
    assert sent == {"w": seen.norms[w], "b": seen.norms[b]}
    pool = card_named(view, "2 · max_pool")
    size, saved = holds(view, pool)
    assert size == view.graph.vertices[pool.main].data.nbytes == 2 * 3 * 3 * 10 * 8
    assert saved == view.graph.vertices[pool.main].saved[0].nbytes > 0


# What changed


def test_a_diff_shows_both_norms_and_their_ratio():
    before = viz.draw(chain(2, scale=1.0), flow=True, title="large")
    after = viz.draw(chain(2, scale=0.1), flow=True, title="small")
    dot = before.diff(after).dot
    assert "large → small" in dot
    losses = [chain(2, scale=s) for s in (1.0, 0.1)]
    norms = [viz.flow(loss).norms[loss.inputs[0]] for loss in losses]  # of the product
    last = [viz.flow(loss).norms[loss.inputs[0].inputs[0]] for loss in losses]
    assert norms[0] == norms[1]
    old, new = map(number, last)
    assert f"{old} → {new}" in dot
    assert changed(last[1] / last[0]) in dot


def test_a_diff_names_the_ops_that_changed():
    before, after = (viz.draw(chain(2, act=a), flow=True) for a in (gg.tanh, gg.sigmoid))
    assert "changed: tanh became sigmoid" in before.diff(after).dot
    assert "changed" not in before.diff(before).dot


def test_a_diff_of_equal_drawings_is_grey():
    drawing = viz.draw(chain(3), flow=True)
    dot = drawing.diff(drawing).dot
    lines = [line for line in dot.splitlines() if " -> " in line and "dir=back" in line]
    assert lines
    assert all(theme.RATIOS[3][0] in line for line in lines)


@pytest.mark.parametrize(
    ("quotient", "step", "words"),
    [
        (1.0, 3, "="),
        (1.4, 3, "× 1.4"),
        (2.0, 4, "× 2"),
        (0.5, 2, "÷ 2"),
        (10.0, 5, "× 10"),
        (0.1, 1, "÷ 10"),
        (100.0, 6, "× 100"),
        (0.01, 0, "÷ 100"),
        (0.0, 0, "gone"),
        (math.inf, 6, "× ∞"),
        (math.nan, 6, "NaN"),
    ],
)
def test_steps_of_a_ratio(quotient, step, words):
    assert theme.ratio_step(quotient) == step
    assert changed(quotient) == words


def test_what_cannot_be_compared():
    drawing = viz.draw(chain(2), flow=True)
    with pytest.raises(GradError, match="has no gradient"):
        drawing.diff(viz.draw(chain(2)))
    with pytest.raises(GradError, match=r"has 6 ops and the other 8"):
        drawing.diff(viz.draw(chain(3), flow=True))
    with pytest.raises(GradError, match="gives"):
        drawing.diff(viz.draw(chain(2, width=5), flow=True))
    a, b = (gg.Tensor([1.0], requires_grad=True, name=n) for n in "ab")
    with pytest.raises(GradError, match="1 tensors and 2"):
        viz.draw(a, flow=True).diff(viz.draw([a, b], flow=viz.flow(a)))
    with pytest.raises(DTypeError, match="drawing"):
        drawing.diff("other")


# Formats


@drawn
def test_png_has_the_size_of_the_picture(tmp_path):
    pytest.importorskip("resvg_py", reason="resvg-py is not installed")
    drawing = viz.draw(small_net(), flow=True)
    data = drawing.save(tmp_path / "x.png").read_bytes()
    wide, tall = struct.unpack(">II", data[16:24])
    root = ElementTree.fromstring(drawing.svg)
    _, _, w, t = map(float, root.get("viewBox").split())
    assert (wide, tall) == (raster.SCALE * w, raster.SCALE * t)


@drawn
def test_png_without_a_rasteriser(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "resvg_py", None)
    with pytest.raises(MissingExtraError, match=r"gradgraph-engine\[png\]"):
        viz.draw(small_net()).save(tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


def test_look_by_default_has_no_flow():
    view = view_of(small_net())
    picture = write(view)
    assert "‖∂" not in picture.dot


# Links between columns


@drawn
@pytest.mark.parametrize("options", [{"flow": True}, {"backward": True}, {}])
def test_every_link_is_drawn_once_in_columns_too(options):
    drawing = viz.draw(chain(30), **options)
    assert len(drawing._picture.parts) > 2
    root = ElementTree.fromstring(drawing.svg)
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    drawn_ids = {i.rpartition("-")[2] for i in ids}
    links = range(len(drawing._view.links))
    assert {f"e{i}" for i in links} <= drawn_ids
    if options:
        lanes = [i for i in links if f"g{i}" in drawing._picture.words]
        assert {f"g{i}" for i in lanes} <= drawn_ids
        assert len(lanes) > 30


@drawn
def test_links_between_columns_join_their_cards():
    drawing = viz.draw(chain(30), flow=True)
    root = ElementTree.fromstring(drawing.svg)
    groups = {g.get("id", "").rpartition("-")[2]: g for g in root.iter(f"{SPACE}g")}

    def box(name):
        numbers = [
            tuple(map(float, p.split(",")))
            for polygon in groups[name].iter(f"{SPACE}polygon")
            for p in polygon.get("points").split()
        ]
        xs, ys = zip(*numbers, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    assert len(drawing._picture.crossings) > 2
    for crossing in drawing._picture.crossings:
        (path,) = groups[crossing.id].iter(f"{SPACE}path")
        numbers = [float(n) for n in re.findall(r"-?\d+\.\d+", path.get("d"))]
        ends = [tuple(numbers[:2]), tuple(numbers[-2:])]
        source, target = ends if crossing.lane is None else ends[::-1]
        left, top, right, bottom = box(crossing.source)
        assert abs(source[0] - right) < 20
        assert top - 20 < source[1] < bottom + 20
        left, top, right, bottom = box(crossing.target)
        assert abs(target[0] - left) < 20
        assert top - 20 < target[1] < bottom + 20


@drawn
def test_no_card_lies_on_another():
    for loss in (chain(30), small_net()):
        drawing = viz.draw(loss, flow=True, thumbnails=True)
        root = ElementTree.fromstring(drawing.svg)
        boxes = []
        for g in root.iter(f"{SPACE}g"):
            if g.get("class") == "node":
                points = [
                    tuple(map(float, p.split(",")))
                    for polygon in g.iter(f"{SPACE}polygon")
                    for p in polygon.get("points").split()
                ]
                xs, ys = zip(*points, strict=True)
                boxes.append((min(xs), min(ys), max(xs), max(ys)))
        assert len(boxes) == len(drawing._view.cards)
        for i, a in enumerate(boxes):
            for b in boxes[i + 1 :]:
                apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
                assert apart


@drawn
def test_a_link_goes_around_the_card_beside_its_own():
    from gradgraph.viz.compose import Box, _way
    from gradgraph.viz.dot import Crossing

    boxes = {
        "n1": Box(0, 0, 100, 50, 0),
        "n2": Box(150, 0, 250, 50, 0),  # between n1 and the gap
        "n3": Box(400, 200, 500, 250, 1),
    }
    way = _way(Crossing("e0", "n1", "n3", None), boxes, (20, 30))
    assert way.out == ((20, 50), (20, 57))
    assert way.into == ((400, 212),)
    assert _way(Crossing("e0", "n2", "n3", None), boxes, (20, 30)).out == ((250, 12),)


@drawn
def test_scopes_that_go_on_in_the_next_column_say_so():
    h = gg.Tensor(0.5, requires_grad=True, name="x")
    with gg.scope("long"):
        for _ in range(60):
            h = gg.sin(h)
    root = ElementTree.fromstring(viz.draw(h).svg)
    labels = [g.get("aria-label") for g in root.iter(f"{SPACE}g") if g.get("class") == "cluster"]
    assert labels[0] == "scope long, 60 FLOP"
    assert set(labels[1:]) == {"scope long, 60 FLOP, continued"}
    assert len(labels) > 1


# Corners


def test_marks_and_names_are_cleaned_everywhere(tmp_path):
    w = gg.Tensor(np.ones((3, 2)), requires_grad=True, name="net.w\x01\ufffe")
    y = (gg.Tensor(np.zeros((2, 3))) @ w).sum()
    picture = viz.draw(y, flow=True, marks={y: "x\x01\ud800"})._picture
    told = "".join([picture.dot, picture.description, *picture.words.values()])
    assert not set("\x01\ufffe\ud800") & set(told)


def test_independent_contributions_lose_nothing():
    x = gg.Tensor(np.ones((4, 6)), requires_grad=True, name="x")
    y = gg.exp(x)
    assert known(sum(y[:, i].sum() for i in range(6)))["exp"].cancels == 0


def test_a_share_is_that_of_the_weights_when_the_gradient_flowed():
    w = gg.Tensor([3.0, 4.0], requires_grad=True, name="fc.w")
    before = viz.draw((w * w).sum(), flow=True)
    w.assign([300.0, 400.0])
    assert "= 2 ‖w‖" in before.dot
    assert "= 2 ‖w‖" in before.diff(before).dot


def test_a_gradient_that_is_nan_is_told_where_it_is():
    n = gg.Tensor([1.0], requires_grad=True, name="n")
    with np.errstate(all="ignore"):
        loss = (gg.power(gg.tanh(n * 0.0), 0.5) * 0.0).sum()
        assert "the gradient is 1 at sum and NaN at multiply" in viz.draw(loss, flow=True).dot


def test_collapsing_keeps_the_data_outside():
    x = gg.Tensor(np.ones((4, 6)), requires_grad=True, name="x")
    with gg.scope("net"):
        y = gg.relu(gg.tanh(x))
    view = view_of(y.sum(), ("net",))
    assert card_named(view, "x").kind == "input"
    assert view.weigh(view.cards) == 0


def test_the_gain_is_that_of_the_data():
    w = gg.Tensor(np.ones((2, 2)), requires_grad=True, name="net.w")
    a, c = (gg.Tensor(np.ones((3, 2)), name=n) for n in "ac")
    loss = (a @ w + c @ w).sum()
    view = view_of(loss)
    found = facts.gather(view, viz.flow(loss))
    products = [f for i, f in found.items() if view.owner[i].title == "matmul"]
    assert [f.norm for f in products] == [math.sqrt(6), math.sqrt(6)]
    assert [f.gain for f in products] == [None, None]


def test_a_gradient_needs_data():
    with pytest.raises(GradError, match="a gradient needs data"):
        viz.draw(lambda x: gg.relu(x).sum(), (2, 3), flow=True)


def test_the_flow_of_another_graph_with_the_same_leaf():
    x = gg.Tensor([1.0], requires_grad=True, name="x")
    with pytest.raises(GradError, match="another graph"):
        viz.draw(gg.sin(x).sum(), flow=viz.flow(gg.tanh(x).sum()))


def test_a_folded_card_that_is_entered_again_stays_in_one_column():
    y = gg.Tensor([1.0], requires_grad=True, name="x")

    def some(y, n):
        for _ in range(n):
            y = gg.tanh(y) * 1.5
        return y

    y = some(y, 12)
    for n in (20, 12):
        with gg.scope("a"):
            y = gg.sin(gg.cos(y))
        y = some(y, n)
    view = view_of(y.sum(), ("a",))
    found = columns.columns(view, {c.id: 60.0 for c in view.cards}, 300.0)
    assert all(found[link.source] <= found[link.target] for link in view.links)


@pytest.mark.parametrize(
    "options",
    [
        {"budget": math.nan},
        {"budget": math.inf},
        {"budget": 2.9},
        {"detail": []},
        {"collapse": None},
        {"collapse": ""},
        {"timeout": "1"},
    ],
)
def test_options_of_a_wrong_type_teach(options):
    with pytest.raises((DTypeError, DomainError)):
        viz.draw(small_net(), **options)
    assert viz.draw(small_net(), budget=np.int64(5)).dot


@pytest.mark.parametrize("limits", [{"vanishing": "x"}, {"dead": math.nan}, {"falls": -1}])
def test_thresholds_are_numbers(limits):
    with pytest.raises(DTypeError, match=next(iter(limits))):
        viz.Thresholds(**limits)


def test_nothing_to_draw_is_an_empty_picture():
    assert viz.draw([]).dot.startswith("digraph")


@pytest.mark.skipif(__import__("os").name != "posix", reason="a script as an engine")
@pytest.mark.parametrize("printed", ["<svg><g></svg>", "\\377<svg/>", "<svg", "<svg>" * 5000])
def test_an_engine_that_writes_nonsense(printed, tmp_path):
    script = tmp_path / "engine"
    script.write_text(f"#!/bin/sh\ncat > /dev/null\nprintf '{printed}'\n")
    script.chmod(0o755)
    drawing = viz.draw(small_net(), engine=str(script))
    with pytest.raises(viz.EngineError):
        _ = drawing.svg
    assert drawing._repr_svg_() is None


@drawn
@pytest.mark.parametrize("act", [nn.ReLU, nn.Sigmoid])
def test_the_overview_of_a_lenet_fits_a_screen(act):
    """1440×900 pixels, of which a point is 4/3."""
    rng = np.random.default_rng(0)
    features = nn.Sequential(
        conv1=nn.Conv(1, 6, 5, padding=2, rng=rng), act1=act(), pool1=nn.MaxPool(2),
        conv2=nn.Conv(6, 16, 5, rng=rng), act2=act(), pool2=nn.MaxPool(2),
    )  # fmt: skip
    classifier = nn.Sequential(
        flatten=nn.Flatten(), fc1=nn.Linear(400, 120, rng=rng), act3=act(),
        fc2=nn.Linear(120, 84, rng=rng), act4=act(), fc3=nn.Linear(84, 10, rng=rng),
    )  # fmt: skip
    net = nn.Sequential(features=features, classifier=classifier)
    x = gg.Tensor(rng.normal(size=(4, 28, 28, 1)), name="digits")
    loss = gg.cross_entropy(net(x), np.arange(4))
    for program in filter(None, (shutil.which("dot"), engine._port())):
        drawing = viz.draw(loss, flow=True, detail="overview", engine=program)
        root = ElementTree.fromstring(drawing.svg)
        _, _, wide, tall = map(float, root.get("viewBox").split())
        assert wide * 4 / 3 <= 1440
        assert tall * 4 / 3 <= 900


def test_a_page_without_an_engine_is_a_table(tmp_path, monkeypatch):
    monkeypatch.setattr(engine.shutil, "which", lambda name: None)
    monkeypatch.setattr(engine, "_port", lambda: None)
    hostile = "</td><script>alert(1)</script>"
    loss = small_net()
    drawing = viz.draw(loss, flow=True, marks={loss: hostile})
    page = drawing.save(tmp_path / "x.html").read_text(encoding="utf-8")
    assert page.count("<tr>") == 1 + len(drawing._view.cards)
    assert "pip install" in page
    assert "<script" not in page
    norm = viz.flow(loss).norms[loss.inputs[0]]
    assert f"<td>{number(norm)}</td>" in page
    with pytest.raises(MissingExtraError):
        drawing.save(tmp_path / "x.svg")
    assert [p.name for p in tmp_path.iterdir()] == ["x.html"]


# Scopes that are entered again, and weights that everybody reads


def unrolled(times):
    """A recurrent network; its loss."""
    rng = np.random.default_rng(0)
    w, u = (
        gg.Tensor(rng.normal(size=(4, 4)) / 2, requires_grad=True, name=f"cell.{n}") for n in "wu"
    )
    h = gg.Tensor(np.zeros((2, 4)), name="h0")
    for t in range(times):
        x = gg.Tensor(rng.normal(size=(2, 4)), name=f"x{t}")
        with gg.scope("cell"):
            h = gg.tanh(gg.matmul(x, w) + gg.matmul(h, u))
    return (h * h).sum()


def test_a_scope_is_a_frame_for_each_time_that_it_is_entered():
    view = view_of(unrolled(3))
    scopes = list(dict.fromkeys(card.scope for card in view.cards if card.scope))
    assert scopes == ["cell", "cell (2)", "cell (3)"]
    assert [c.title for c in view_of(unrolled(3), ("cell",)).cards if c.kind == "fold"] == scopes
    net = nn.Sequential(nn.Linear(3, 3, rng=0), nn.ReLU())
    x = gg.Tensor(np.ones((2, 3)), requires_grad=True, name="x")
    twice = view_of((net(x) - net(x * 2.0)).sum())
    assert {c.scope for c in twice.cards if c.scope} == {"sequential", "sequential (2)"}


def test_under_debug_a_scope_stays_one_frame():
    with gg.debug():
        loss = unrolled(1)
    assert {c.scope for c in view_of(loss).cards if c.scope} == {"cell"}


def test_weights_of_an_unrolled_network_lose_their_links_and_the_heading_says_so():
    few, many = unrolled(4), unrolled(20)
    assert not view_of(few).crowded
    view = view_of(many)
    assert {view.graph.names[s] for s in view.crowded} == {"cell.w", "cell.u"}
    g = x = gg.Tensor([1.0], requires_grad=True, name="x")
    for _ in range(20):
        g = gg.tanh(g * x)
    assert known(g.sum())["multiply"].gain is None  # x is no weight: its links stay
    read = {view.owner[link.source].title for link in view.links}
    assert "cell.w" not in read
    assert "x3" in read
    dot = viz.draw(many, flow=True).dot
    assert "not drawn: the links from cell.w to 20 cards, cell.u to 20 cards" in dot
    assert "‖∂w‖" in dot


@drawn
def test_an_unrolled_network_has_the_shape_of_a_screen():
    root = ElementTree.fromstring(viz.draw(unrolled(40), flow=True).svg)
    _, _, wide, tall = map(float, root.get("viewBox").split())
    assert 0.7 < wide / tall < 3


# Bad input


@drawn
@pytest.mark.parametrize("suffix", [".svg", ".html", ".dot"])
def test_a_full_disk_leaves_the_old_file_and_no_part(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"x{suffix}"
    path.write_text("old")
    drawing = viz.draw(small_net(), flow=True)

    class Full(io.FileIO):
        def write(self, data):
            super().write(data[:10])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.name))

    real = Path.open

    def opened(path, mode="r", **options):
        return Full(path, mode) if "x" in mode else real(path, mode, **options)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(OSError, match="No space left") as caught:
        drawing.save(path)
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@drawn
def test_a_tensor_without_history_is_one_card():
    root = ElementTree.fromstring(viz.draw(gg.Tensor([1.0, 2.0], name="alone")).svg)
    (card,) = [g for g in root.iter(f"{SPACE}g") if g.get("class") == "node"]
    assert card.get("aria-label").startswith("alone, input, 2")
    with pytest.raises(GradError, match="requires grad"):
        viz.draw(gg.Tensor(1.0), flow=True)


@drawn
def test_tensors_without_elements():
    x = gg.Tensor(np.zeros((0, 4, 4, 1)), requires_grad=True, name="x")
    loss = gg.relu(gg.max_pool(x, 2)).sum()
    drawing = viz.draw(loss, flow=True, thumbnails=True, backward=True)
    ElementTree.fromstring(drawing.svg)
    assert "0×2×2×1" in drawing.dot
    assert "NaN" not in drawing.dot


@drawn
def test_gradients_that_are_not_numbers():
    x = gg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    with np.errstate(all="ignore"):
        loss = (gg.sin(x) * math.nan).sum()
        drawing = viz.draw(loss, flow=True)
    ElementTree.fromstring(drawing.svg)
    assert "gradient is not finite" in drawing.dot
    assert "‖∂‖ NaN" in drawing.dot


@drawn
def test_a_name_of_ten_thousand_characters():
    name = "name" * 2500
    with gg.scope(name):
        w = gg.Tensor(np.ones((2, 2)), requires_grad=True, name=f"{name}.w")
        y = gg.relu(gg.Tensor(np.ones((2, 2)), name=name) @ w)
    y.name = name
    drawing = viz.draw(y.sum(), flow=True, title=name, marks={y: name})
    ElementTree.fromstring(drawing.svg)
    assert len(drawing.svg) < 60_000
