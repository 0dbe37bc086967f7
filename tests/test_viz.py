"""Pictures: what is on them, that their numbers are the engine's, and that no name breaks them."""

from __future__ import annotations

import importlib
import math
import os
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from gradgraph.viz.view import View
from hypothesis import given
from hypothesis import strategies as st

import gradgraph as gg
from gradgraph import nn, viz
from gradgraph.errors import DomainError, GradError, MissingExtraError, MutationError, ShapeError
from gradgraph.graph import Graph
from gradgraph.viz import dot, engine, facts, story, svg, text, theme, transform

SPACE = "{http://www.w3.org/2000/svg}"


def _engines():
    port, system = engine._port(), shutil.which("dot")
    return [
        pytest.param(
            port, id="port", marks=pytest.mark.skipif(not port, reason="no graphviz-pure here")
        ),
        pytest.param(
            system, id="dot", marks=pytest.mark.skipif(not system, reason="no dot on the PATH")
        ),
    ]


both_engines = pytest.mark.parametrize("program", _engines())
any_engine = pytest.mark.skipif(
    not any(p.values[0] for p in _engines()), reason="no layout engine here"
)


def parameter(rng, name, *shape):
    return gg.Tensor(rng.normal(size=shape) / 3, requires_grad=True, name=name)


def network(act=gg.relu):
    """A small LeNet on random images; its loss and everything in it that has a name."""
    rng = np.random.default_rng(0)
    named = {}

    def new(name, *shape):
        named[name] = parameter(rng, name, *shape)
        return named[name]

    x = gg.Tensor(rng.normal(size=(4, 12, 12, 1)), name="x")
    with gg.scope("features"):
        with gg.scope("conv1"):
            h = gg.conv(x, new("features.conv1.w", 3, 3, 1, 2), new("features.conv1.b", 2))
            named["conv1"] = h
        with gg.scope("relu1"):
            h = act(h)
            named["relu1"] = h
        with gg.scope("pool1"):
            h = gg.max_pool(h, 2)
        with gg.scope("conv2"):
            h = gg.conv(h, new("features.conv2.w", 2, 2, 2, 3), new("features.conv2.b", 3))
    with gg.scope("classifier"):
        h = gg.reshape(h, (4, -1))
        with gg.scope("fc1"):
            h = gg.matmul(h, new("classifier.fc1.w", 48, 5)) + new("classifier.fc1.b", 5)
            named["fc1"] = h
        h = act(h)
        with gg.scope("fc2"):
            h = gg.matmul(h, new("classifier.fc2.w", 5, 3)) + new("classifier.fc2.b", 3)
    loss = gg.cross_entropy(h, np.array([0, 1, 2, 0]))
    named["loss"] = loss
    return loss, named


def view_of(tensor, budget=transform.BUDGET):
    return transform.readable(View.of(Graph.of(tensor)), budget)


def card_named(view, title):
    (card,) = [card for card in view.cards if card.title == title]
    return card


def facts_of(tensor, title):
    view = view_of(tensor)
    return facts.gather(view, viz.flow(tensor))[card_named(view, title).id]


def groups(drawing, kind):
    root = ElementTree.fromstring(drawing.svg)
    return [g for g in root.iter(f"{SPACE}g") if g.get("class") == kind]


def words_in(element):
    return " ".join(t.text or "" for t in element.iter(f"{SPACE}text"))


# The gradient's flow


def test_flow_has_the_norms_that_backward_gives():
    loss, named = network()
    seen = viz.flow(loss)
    inner = [named[n].retain_grad() for n in ("conv1", "relu1", "fc1")]
    leaves = [named[n] for n in named if "." in n]
    loss.backward()
    for t in [*inner, *leaves]:
        assert seen.norms[t] == pytest.approx(np.linalg.norm(t.grad.numpy()), rel=1e-12)
    assert seen.norms[loss] == 1


def test_flow_touches_no_grad():
    loss, named = network()
    viz.flow(loss)
    viz.draw(loss, flow=True)
    assert all(t.grad is None for t in named.values())


def test_contributions_of_a_fan_out_add_up():
    x = gg.Tensor([1.0, 2.0, -3.0], requires_grad=True)
    y = x * 1.0
    a, b = y * 2.0, y * y
    seen = viz.flow(a.sum() + b.sum())
    assert seen.edges[a, 0] == pytest.approx(2 * math.sqrt(3))
    assert seen.edges[b, 0] == seen.edges[b, 1] == pytest.approx(math.sqrt(14))
    assert seen.norms[y] == pytest.approx(np.linalg.norm(2 + 2 * x.numpy()))


def test_flow_through_an_op_with_broadcasting_and_indices():
    x = gg.Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    b = gg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    loss = ((x + b)[:, 1:] * 2.0).sum()
    seen = viz.flow(loss)
    loss.backward()
    assert seen.norms[x] == pytest.approx(np.linalg.norm(x.grad.numpy()))
    assert seen.norms[b] == pytest.approx(np.linalg.norm(b.grad.numpy()))


class _Halves(gg.Op):
    """Two outputs, for the tests of tuples."""

    outputs = 2
    linear = ("x",)

    def forward(self, x):
        return x[: len(x) // 2], x[len(x) // 2 :]

    def vjp_x(self, g, out, x):
        return np.concatenate([np.asarray(p) for p in g])

    def spec(self, x):
        half = x.with_shape((x.shape[0] // 2,))
        return half, half

    def reference(self, x):
        return self.forward(x)

    @classmethod
    def sample(cls, draw):
        return cls(), (draw.normal((4,)),)


gg.Op.registry.pop("_halves", None)


@pytest.mark.parametrize("both", [True, False])
def test_flow_and_card_of_an_op_with_several_outputs(both):
    x = gg.Tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True, name="x")
    first, second = _Halves()(x)
    loss = (first * 3.0).sum() + (second * 4.0).sum() if both else (first * 3.0).sum()
    seen = viz.flow(loss)
    assert seen.norms[x] == pytest.approx(math.sqrt(50) if both else math.sqrt(18))
    view = view_of(loss)
    assert not [card for card in view.cards if card.title == "part"]
    (card,) = [card for card in view.cards if view.graph.vertices[card.main].op == _Halves()]
    assert story.shape(story.result(view, card)).count(",") >= 1
    assert facts.gather(view, seen)[card.id].norm == pytest.approx(seen.norms[x])


def test_one_output_that_is_read_twice():
    x = gg.Tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    first, second = _Halves()(x)
    seen = viz.flow((first * first).sum() + second.sum())
    assert seen.norms[x] == pytest.approx(np.linalg.norm([2, 4, 1, 1]))


def test_flow_from_a_cotangent():
    x = gg.Tensor([3.0, 4.0], requires_grad=True)
    y = x * 2.0
    assert viz.flow(y, [1.0, 0.0]).norms[x] == 2
    assert repr(viz.flow(y, [1.0, 0.0])) == "Flow(2 vertices, 1 edges)"
    with pytest.raises(ShapeError, match="cotangent"):
        viz.flow(y, [1.0])
    with pytest.raises(GradError, match="one number"):
        viz.flow(y)


def test_flow_needs_a_gradient():
    with pytest.raises(GradError, match="requires grad"):
        viz.flow(gg.Tensor(1.0))


def test_flow_after_assign_is_an_error():
    w = gg.Tensor(2.0, requires_grad=True)
    loss = w * w
    w.assign(3.0)
    with pytest.raises(MutationError):
        viz.flow(loss)


def test_the_norm_of_tiny_numbers_is_not_zero():
    norm = importlib.import_module("gradgraph.viz.flow").norm
    assert norm(np.array([3e-200, 4e-200])) == pytest.approx(5e-200)
    assert math.isnan(norm(np.array([1.0, np.nan])))
    assert norm(np.array([np.inf, 1.0])) == math.inf
    assert norm(np.zeros(0)) == 0


# What is on a picture


def test_cards_shapes_and_parameters():
    loss, _ = network()
    view = view_of(loss)
    conv = card_named(view, "conv1")
    assert (conv.scope, conv.style, conv.detail) == ("features", "linear", "conv")
    assert [view.graph.names[s] for s in view.parameters(conv)] == [
        "features.conv1.w",
        "features.conv1.b",
    ]
    assert view.weigh([conv]) == 3 * 3 * 1 * 2 + 2
    titles = [card.title for card in view.cards]
    layers = ["conv1", "relu1", "pool1", "conv2", "reshape", "fc1", "relu", "fc2"]
    assert sorted(titles) == sorted(["x", *layers, "labels", "cross_entropy"])
    text_of = viz.draw(loss).dot
    for shape in ("4×12×12×1", "4×10×10×2", "3×3×1×2", "48×5", "int64"):
        assert shape in text_of
    assert "float64" not in text_of


def test_every_slot_has_exactly_one_card():
    loss, _ = network()
    for budget in (150, 8, 5, 1):
        view = view_of(loss, budget)
        slots = sorted(s for card in view.cards for s in card.slots)
        assert slots == list(range(len(view.graph.vertices)))
        assert len(view.cards) <= budget


@any_engine
def test_scopes_are_clusters_with_their_parameters():
    loss, _ = network()
    drawing = viz.draw(loss)
    labels = [g.get("aria-label") for g in groups(drawing, "cluster")]
    assert labels == [
        "scope features, 47 parameters, 20 kFLOP",
        "scope classifier, 263 parameters, 2.1 kFLOP, 2 of 5 units dead in this batch",
    ]
    assert "features" in words_in(groups(drawing, "graph")[0])


def test_numbers_on_the_picture_are_those_of_the_engine():
    loss, named = network()
    picture = viz.draw(loss, flow=True).dot
    loss.backward()
    for name, t in named.items():
        if "." in name:
            told = f"‖∂{name[-1]}‖ {text.number(np.linalg.norm(t.grad.numpy()))}"
            assert told in picture
    assert f"loss {text.number(loss.item())}" in picture


def test_backward_gain():
    loss, named = network()
    seen = viz.flow(loss)
    told = facts_of(loss, "relu1")
    assert told.gain == pytest.approx(seen.norms[named["conv1"]] / seen.norms[named["relu1"]])


def test_a_fan_out_shows_each_contribution_and_the_sum():
    x = gg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    y = gg.exp(x)
    loss = (gg.sin(y) + gg.cos(y)).sum()
    seen = viz.flow(loss)
    told = facts_of(loss, "exp")
    assert [title for title, _ in told.arrivals] == ["sin", "cos"]
    assert told.norm == seen.norms[y]
    assert viz.draw(loss, flow=seen).dot.count(">from ") == 2


def test_many_readers_are_summed_up():
    y = gg.exp(gg.Tensor([1.0], requires_grad=True, name="x"))
    picture = viz.draw(sum((y * i for i in range(1, 12)), y).sum(), flow=True).dot
    assert "from 6 more" in picture


def test_a_shared_weight_is_a_node_of_its_own():
    w = gg.Tensor(np.eye(2), requires_grad=True, name="net.w")
    x = gg.Tensor(np.ones((2, 2)), name="x")
    with gg.scope("net"):
        loss = gg.matmul(gg.matmul(x, w), w).sum()
    view = view_of(loss)
    card = card_named(view, "net.w")
    assert (card.kind, card.scope) == ("weight", "net")
    assert [view.owner[link.target].title for link in view.links if link.source == card.id] == [
        "matmul",
        "matmul",
    ]
    assert "‖∂w‖" in viz.draw(loss, flow=True).dot


def test_parameters_of_any_layer_lie_in_the_cards_that_read_them():
    """What a module holds, whatever op reads it; not the other operand, and not what is shared."""
    net = nn.Sequential(
        nn.Embedding(5, 4, rng=0), nn.BatchNorm(4), nn.PReLU(4), nn.LSTMCell(4, 3, rng=0)
    )
    y = net(np.arange(4))[0].sum()
    assert {card.title for card in view_of(y).cards if not card.computes} == {"indices"}
    read = sum(p.size for p in net.parameters()) - net[3].wh.size  # there is no state before
    assert f"{read} parameters" in viz.draw(y).dot
    a, b = (gg.Tensor([1.0], requires_grad=True, name=name) for name in "ab")
    with gg.scope("net"):
        y = a * b
    assert {card.title for card in view_of(y).cards} == {"a", "b", "net"}


def test_what_is_passed_to_a_module_is_no_parameter():
    """Not the stand-in for a shape, nor a tensor that requires grad."""

    class Twice(nn.Module):
        def __init__(self):
            self.fc = nn.Linear(4, 4, rng=0)

        def forward(self, x):
            return self.fc(x - 1.0) * x

    x = gg.Tensor(np.ones((2, 4)), requires_grad=True, name="x")
    for passed in ((2, 4), x):
        assert " 20 parameters" in viz.draw(Twice(), passed).text
        assert " 0 parameters" in viz.draw(lambda x: x * gg.relu(x - 1.0), passed).text
    assert "0 parameters" in viz.draw(lambda x, w: x @ w, (4, 3), (3, 2)).text


def test_frozen_parameters_stay_in_their_cards():
    net = nn.Sequential(conv=nn.Conv(1, 8, 3, rng=0), fc=nn.Linear(8, 2, rng=0))
    before = viz.draw(net, (1, 5, 5, 1))
    net.conv.freeze()
    after = viz.draw(net, (1, 5, 5, 1))
    assert after.text == before.text
    assert "72 frozen" in after.dot
    assert "frozen" not in before.dot


def test_the_picture_as_text():
    w = gg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    with gg.scope("net"):
        y = gg.log(gg.relu(w * 1e-9) + 1.0)
    lines = viz.draw(y.sum(), flow=True, title="a title").text.splitlines()
    assert lines[0] == "loss 3.0e−9 · 5 ops · 2 parameters"
    assert lines[-5].split() == ["net.multiply", "2", "1.41", "‖∂w‖", "1.4e−9"]
    assert viz.draw(y.sum()).text == lines[0].replace("loss", "result")
    sink = viz.draw((w * 1e-9).sum(), flow=True, thresholds=viz.Thresholds(vanishing=1e-8))
    assert "w: ▼ vanishing gradient" in sink.text


def test_a_leaf_that_is_data_stays_outside():
    x = gg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    view = view_of((x * 3).sum())
    assert [(c.kind, c.title) for c in view.cards if not c.computes] == [
        ("input", "x"),
        ("constant", "data"),
    ]


def test_names_of_results_are_titles():
    x = gg.Tensor([[1.0, 2.0]], requires_grad=True, name="x")
    w, b = (gg.Tensor(np.ones(s), requires_grad=True) for s in ((2, 2), (2,)))
    y = gg.matmul(x, w) + b
    y.name = "logits"
    view = view_of(y.sum())
    card = card_named(view, "logits")
    known = facts.gather(view, None)[card.id]
    assert [p.name for p in known.parameters] == ["y", "b"]


def test_dead_units():
    x = gg.Tensor([[1.0, -1.0, -2.0], [2.0, -3.0, 1.0]], requires_grad=True, name="x")
    told = facts_of(gg.relu(x).sum(), "relu")
    assert told.zeros == facts.Zeros(share=0.5, dead=1, units=3)
    assert told.alarms == ("1 of 3 units dead in this batch",)


@pytest.mark.parametrize(
    ("factor", "alarm"),
    [
        (1e-9, "▼ vanishing gradient"),
        (1e9, "▲ exploding gradient"),
        (0.0, "gradient is zero"),
        (math.nan, "gradient is not finite"),
    ],
)
def test_alarms_of_the_gradient(factor, alarm):
    x = gg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    assert alarm in facts_of((gg.sin(x) * factor).sum(), "sin").alarms


def test_readers_of_one_name_are_told_apart_by_their_scopes():
    w = gg.Tensor(np.ones((2, 2)), requires_grad=True, name="w")
    h = np.ones((1, 2))
    for i in range(3):
        with gg.scope(f"net.step{i}"), gg.scope("gates"):
            h = gg.tanh(h @ w)
    svg = gg.draw(h.sum(), flow=True).svg
    for i in range(3):
        assert f"from step{i}.matmul" in svg


def test_alarm_where_no_gradient_arrives():
    x = gg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    loss, other = gg.sin(x).sum(), gg.cos(x)
    view = view_of([loss, other])
    known = facts.gather(view, viz.flow(loss))
    assert known[card_named(view, "cos").id].alarms == ("no gradient reached",)
    assert known[card_named(view, "sin").id].alarms == ()


def test_alarm_of_a_parameter_whose_gradient_is_zero():
    x = gg.Tensor([[0.0, 0.0]], name="x")
    w, b = (
        gg.Tensor(np.ones(s), requires_grad=True, name=n) for s, n in (((2, 1), "l.w"), (1, "l.b"))
    )
    assert facts_of((gg.matmul(x, w) + b).sum(), "matmul").alarms == ("∂w is zero",)


def test_where_nan_and_infinity_begin():
    x = gg.Tensor([1.0, -1.0], requires_grad=True, name="x")
    with np.errstate(all="ignore"):
        y = gg.log(x)
        loss = (gg.sin(y) + gg.exp(x * 1e9)).sum()
    view = view_of(loss)
    known = facts.gather(view, None)
    assert known[card_named(view, "log").id].alarms == ("NaN begins here",)
    assert known[card_named(view, "exp").id].alarms == ("infinity begins here",)
    assert known[card_named(view, "sin").id].alarms == ()
    bad = gg.Tensor([math.nan], requires_grad=True, name="x")
    view = view_of(bad * 2)
    assert facts.gather(view, None)[card_named(view, "x").id].alarms == ("NaN in the data",)


def test_the_description_says_how_the_gradient_changes():
    loss, named = network(gg.sigmoid)
    seen = viz.flow(loss)
    line = story.gradient_line(view_of(loss), facts.gather(view_of(loss), seen))
    first = text.number(seen.norms[named["conv1"]])
    assert line.startswith("the gradient falls from ")
    assert f"at fc2 to {first} at conv1" in line
    x = gg.Tensor([1.0], requires_grad=True, name="x")
    for build, verb in ((lambda y: y * 5.0, "grows"), (lambda y: y * 1.0, "is")):
        loss = build(x + 0.0).sum()
        assert f"the gradient {verb} " in viz.draw(loss, flow=True).dot


# Folding


@pytest.mark.slow
def test_a_long_chain_folds_and_says_so():
    y = x = gg.Tensor([0.5, 0.25], requires_grad=True, name="x")
    for i in range(100_000):
        y = gg.sin(y) if i % 2 else y * 1.01
    loss = y.sum()
    view = view_of(loss)
    assert len(view.cards) <= 3
    (card,) = [card for card in view.cards if card.kind == "fold"]
    assert card.title == "100,001 ops"
    assert "multiply ×50,000, sin ×50,000" in card.detail
    flow = viz.flow(loss)
    drawing = viz.draw(loss, flow=flow)
    assert "folded: 50,000 unnamed tensors tucked into cards" in drawing.dot
    assert text.number(flow.norms[x]) in drawing.dot


def test_equal_cards_fold_into_one_with_the_spread_of_their_gradients():
    h = gg.Tensor(np.ones((2, 3)), requires_grad=True, name="x")
    for i in range(6):
        with gg.scope(f"block{i}"):
            w = gg.Tensor(np.eye(3) * 2, requires_grad=True, name=f"block{i}.w")
            h = gg.relu(gg.matmul(h, w))
    loss = h.sum()
    view = view_of(loss, 4)
    card = card_named(view, "block0 … block5")
    assert card.detail.startswith("×6")
    told = facts.gather(view, viz.flow(loss))[card.id]
    assert min(told.inner) < max(told.inner)
    assert text.spread(told.inner) in viz.draw(loss, flow=True, budget=4).dot
    assert "6 scopes at depth 1 collapsed; 6 equal cards in a row folded into 1" in (
        viz.draw(loss, budget=4).dot
    )


def test_the_deepest_scopes_collapse_first():
    loss, _ = network()
    with gg.scope("top"), gg.scope("inner"):
        extra = gg.exp(gg.sin(gg.cos(loss)))
    view = view_of(extra, 12)
    assert card_named(view, "inner").scope == "top"
    assert card_named(view, "conv1").scope == "features"


def test_what_has_no_structure_is_cut_by_the_order_of_computation():
    ys = [gg.Tensor(float(i + 1), requires_grad=True) for i in range(40)]
    for _ in range(3):
        ys = [gg.sin(a) * b for a, b in zip(ys, [*ys[1:], ys[0]], strict=True)]
    total = sum(ys[1:], ys[0])
    view = view_of(total, 30)
    assert len(view.cards) <= 30
    assert "folded by order of computation" in view.notes[-1]
    assert viz.draw(total, flow=True, budget=30).dot


# Safety

HOSTILE = [
    "</title><script>alert(1)</script>",
    "a:b",
    "<x>",
    "\\",
    "\\N \\G \\n \\",
    "x\\",
    "\"quoted\" 'both'",
    "a&b &amp; &#60;",
    "nul\x00 bell\x07 esc\x1b del\x7f",
    "\ud800 half",
    "\ufffe\uffff",
    "שלום עולם",
    "\u202egnp.exe",
    "👩‍🔬🎉",
    "",
    " ",
    "\n\t",
    ".",
    "..a..",
    "x" * 1000,
    "." * 1000,
    "]]><![CDATA[",
    "<!-- -->",
    "<B>bold</B>",
    "javascript:alert(1)",
    "%s {0} {{",
]


def hostile_loss(name):
    x = gg.Tensor(np.ones((2, 2)), requires_grad=True, name=name)
    w = gg.Tensor(np.ones((2, 2)), requires_grad=True, name=f"{name}.{name}")
    with gg.scope(name), gg.scope(name or "inner"):
        y = gg.relu(gg.matmul(x, w))
        y.name = name
        return (y + y).sum()


def check_safe(drawn):
    root = ElementTree.fromstring(drawn)
    assert root.tag == f"{SPACE}svg"
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    for element in root.iter():
        assert element.tag.rpartition("}")[2] in {
            "svg", "g", "title", "desc", "style", "polygon", "path", "text", "polyline", "ellipse",
        }  # fmt: skip
        for key, value in element.attrib.items():
            assert not key.lower().startswith("on")
            assert key in ("aria-label",) or "javascript:" not in value.lower()
    return root


@both_engines
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(program, name):
    drawing = viz.draw(hostile_loss(name), flow=True, title=name, engine=program)
    root = check_safe(drawing.svg)
    nodes = [g for g in root.iter(f"{SPACE}g") if g.get("class") == "node"]
    assert len(nodes) == len(view_of(hostile_loss(name)).cards)
    shown = text.clean(name)
    if len(shown) < 20 and shown and "." not in shown:
        assert any(shown == (t.text or "").strip() for t in root.iter(f"{SPACE}text"))


@any_engine
@given(st.text(max_size=60))
def test_any_name_is_safe(name):
    check_safe(viz.draw(hostile_loss(name), title=name).svg)


@both_engines
def test_both_engines_draw_the_same_cards(program):
    loss, _ = network()
    drawing = viz.draw(loss, flow=True, engine=program)
    root = check_safe(drawing.svg)
    assert len(root.get("viewBox").split()) == 4
    told = [g.get("aria-label") for g in root.iter(f"{SPACE}g") if g.get("class") == "node"]
    assert any(t.startswith("conv1, conv, output 4×10×10×2, 20 parameters") for t in told)
    assert len(drawing.svg) < 200_000


def test_the_finish_removes_what_runs_or_loads():
    raw = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        ' viewBox="0 0 1 1"><script>x</script><g id="n1" onclick="x()">'
        '<a xlink:href="javascript:x" id="a1"><text>t</text></a><a xlink:href=" #there"/>'
        '<foreignObject/><image href="http://x"/></g></svg>'
    )
    done = svg.finish([raw], dot.Picture("digraph {}", "t", "", "", {"n1": "words"}, {}))
    root = ElementTree.fromstring(done)
    assert "script" not in done
    assert "javascript" not in done
    assert "onclick" not in done
    assert not list(root.iter(f"{SPACE}image")) + list(root.iter(f"{SPACE}foreignObject"))
    assert [a.get("href") for a in root.iter(f"{SPACE}a")] == [None, " #there"]


@any_engine
def test_words_for_those_who_do_not_see():
    loss, _ = network()
    drawing = viz.draw(loss, flow=True, title="Tiny LeNet")
    root = ElementTree.fromstring(drawing.svg)
    title, desc = root.find(f"{SPACE}title"), root.find(f"{SPACE}desc")
    assert title.text == "Tiny LeNet"
    assert "the gradient " in desc.text
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert all(g.get("tabindex") == "0" for g in groups(drawing, "node"))
    edges = [g.find(f"{SPACE}title").text for g in groups(drawing, "edge")]
    assert sum(e.startswith("gradient: ") for e in edges) == len(edges) // 2 - 1
    assert "data: conv1 → relu1, 4×10×10×2" in edges
    assert "prefers-color-scheme:dark" in drawing.svg


@any_engine
def test_same_bytes_every_time(tmp_path):
    code = (
        "import numpy as np, gradgraph as gg\n"
        "from gradgraph import viz\n"
        "x = gg.Tensor(np.ones((2, 2)), requires_grad=True, name='x')\n"
        "with gg.scope('a'):\n"
        "    y = gg.relu(gg.matmul(x, gg.Tensor(np.eye(2), requires_grad=True)))\n"
        "loss = (gg.sin(y) + gg.cos(y) * 2).sum()\n"
        "for budget in (150, 3):\n"
        "    print(viz.draw(loss, flow=True, budget=budget).svg)\n"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    ]
    assert b"<svg" in runs[0]
    assert runs[0] == runs[1] == runs[2]


def test_the_picture_does_not_depend_on_what_was_computed_before():
    first = viz.draw(network()[0], flow=True).dot
    gg.Tensor(1.0, requires_grad=True) * 2
    assert viz.draw(network()[0], flow=True).dot == first


# Engine


def test_without_an_engine_the_error_names_both_remedies(monkeypatch, tmp_path):
    monkeypatch.setattr(engine.shutil, "which", lambda name: None)
    monkeypatch.setattr(engine, "_port", lambda: None)
    drawing = viz.draw(network()[0])
    with pytest.raises(MissingExtraError, match=r"gradgraph-engine\[viz\].*Graphviz"):
        drawing.save(tmp_path / "x.svg")
    assert not list(tmp_path.iterdir())
    assert drawing.save(tmp_path / "x.dot").read_text("utf-8").startswith("digraph")
    assert list(drawing._repr_mimebundle_()) == ["text/plain"]


def test_the_port_is_found_where_pip_put_it(monkeypatch, tmp_path):
    program = tmp_path / "graphviz-pure"
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setattr(engine.sys, "executable", str(tmp_path / "python"))
    assert engine._port() == str(program)


def test_the_port_is_found_by_its_package(monkeypatch, tmp_path):
    monkeypatch.setattr(engine.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(engine.sysconfig, "get_path", lambda name: str(tmp_path))
    program = tmp_path / "bin" / "graphviz-pure"
    program.parent.mkdir()
    program.write_text("")
    program.chmod(0o755)

    class File:
        stem = "graphviz-pure"

        def locate(self):
            return program

    monkeypatch.setattr(engine.metadata, "files", lambda name: [File()])
    assert engine._port() == str(program.resolve())

    def missing(name):
        raise engine.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(engine.metadata, "files", missing)
    monkeypatch.setattr(engine.shutil, "which", lambda name: f"/somewhere/{name}")
    assert engine._port() == "/somewhere/graphviz-pure"


@pytest.fixture
def program(tmp_path):
    def write(body):
        path = tmp_path / "fake-dot"
        path.write_text(f"#!{sys.executable}\nimport sys, time\n{body}\n")
        path.chmod(0o755)
        return str(path)

    return write


posix = pytest.mark.skipif(os.name != "posix", reason="the fake engine is a script with #!")


@posix
def test_a_slow_layout_is_drawn_coarser_and_says_so(program):
    slow = program(
        "text = sys.stdin.read()\n"
        "if text.count('shape') and text.count('[label=') > 3: time.sleep(60)\n"
        'print(\'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>\')'
    )
    drawing = viz.draw(network()[0], engine=slow, timeout=2.0, budget=12)
    assert "drawn coarser, because the layout took longer than 2 s" in drawing.svg


@posix
def test_a_layout_that_never_ends_is_an_error(program):
    with pytest.raises(viz.EngineTimeout, match=r"longer than 0\.2 s"):
        viz.draw(network()[0], engine=program("time.sleep(60)"), timeout=0.2).svg


@posix
def test_an_engine_that_fails(program):
    failing = program("sys.stderr.write('no such thing'); sys.exit(1)")
    with pytest.raises(viz.EngineError, match="no such thing"):
        viz.draw(network()[0], engine=failing).svg
    with pytest.raises(viz.EngineError, match="it said nothing"):
        viz.draw(network()[0], engine=program("pass")).svg
    with pytest.raises(viz.EngineError, match="could not be run"):
        viz.draw(network()[0], engine="/no/such/program").svg


# Drawings


@any_engine
def test_a_notebook_shows_the_svg():
    drawing = viz.draw(network()[0])
    assert drawing._repr_svg_() == drawing.svg
    bundle = drawing._repr_mimebundle_()
    assert bundle == {"image/svg+xml": drawing.svg, "text/plain": repr(drawing)}


def test_saving_replaces_the_file_whole_or_not_at_all(monkeypatch, tmp_path):
    path = tmp_path / "net.dot"
    path.write_text("old")
    drawing = viz.draw(network()[0])

    def full(*args):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="disk full"):
            drawing.save(path)
    assert path.read_text() == "old"
    assert drawing.save(str(path)) == path
    assert path.read_text("utf-8") == drawing.dot
    assert [p.name for p in tmp_path.iterdir()] == ["net.dot"]


@pytest.mark.parametrize("name", ["x.pdf", "x", "x.svg.gz"])
def test_an_unknown_format(tmp_path, name):
    with pytest.raises(DomainError, match=r'ends in "\.svg" or "\.html" or'):
        viz.draw(network()[0]).save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_targets():
    loss, _ = network()
    graph = Graph.of(loss)
    assert viz.draw(graph).dot == viz.draw(loss).dot == viz.draw([loss]).dot
    assert viz.draw(graph, flow=True).dot == viz.draw(loss, flow=viz.flow(loss)).dot
    with pytest.raises(GradError, match="2 outputs"):
        viz.draw([loss, loss * 2], flow=True)
    with pytest.raises(GradError, match="another graph"):
        viz.draw(loss, flow=viz.flow(network()[0]))
    with pytest.raises(DomainError, match="positive"):
        viz.draw(loss, budget=0)
    with pytest.raises(GradError):
        viz.draw("loss")


def test_a_single_leaf_can_be_drawn():
    assert "n0" in viz.draw(gg.Tensor([1.0], name="x")).dot
    assert viz.draw(gg.Tensor(2.0)).dot


# Theme


def _luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(a, b):
    low, high = sorted((_luminance(a), _luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_text_can_be_read(mode):
    colours = {role: pair[mode] for role, pair in theme.COLOURS.items()}
    for style in (*theme.STYLES, "leaf"):
        assert _contrast(colours["on-header"], colours[style]) >= 4.5
    for ink in ("ink", "muted"):
        for back in ("paper", "card", "foot", "cluster"):
            assert _contrast(colours[ink], colours[back]) >= 4.5
    assert _contrast(colours["alarm"], colours["alarm-back"]) >= 4.5


def test_every_role_has_its_own_light_colour():
    lights = [light for light, _ in theme.COLOURS.values()]
    assert len(lights) == len(set(lights))


def test_every_style_of_an_op_has_a_colour():
    styles = {op.style for op in gg.Op.registry.values()}
    assert styles <= set(theme.STYLES)


def test_the_ramp_goes_by_decades():
    assert [theme.step(10.0**n) for n in range(-8, 4)] == [0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 7, 7]
    assert theme.step(math.nan) == theme.step(math.inf) == 7
    assert theme.share(math.nan) == theme.share(math.inf) == 1
    assert 0 < theme.share(1e-12) < theme.share(1e-3) < theme.share(1.0) <= 1


@given(st.floats())
def test_printed_numbers_are_close_to_the_number(value):
    shown = text.number(value)
    if math.isnan(value):
        assert shown == "NaN"
    elif math.isinf(value):
        assert shown in ("∞", "−∞")
    else:
        back = Decimal(shown.replace("−", "-").replace(",", ""))  # may lie above the largest float
        assert abs(back - Decimal(value)) <= abs(Decimal(value)) * Decimal("0.051")
        assert len(shown) <= 9


def test_spread_of_numbers_with_nan():
    assert text.spread([1.0, math.nan]) == "NaN"


def test_importing_gradgraph_imports_no_picture():
    code = "import sys, gradgraph; print([m for m in sys.modules if 'viz' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


def test_every_module_and_public_function_is_documented():
    for name in viz.__all__:
        assert getattr(viz, name).__doc__, name
    for file in Path(viz.__file__).parent.glob("*.py"):
        module = "gradgraph.viz" if file.stem == "__init__" else f"gradgraph.viz.{file.stem}"
        assert importlib.import_module(module).__doc__, file


# Marks


def cards_in_red(drawing):
    """The words on the cards whose header is red."""
    return [
        words_in(g)
        for g in groups(drawing, "node")
        if any(p.get("class") == "f-alarm" for p in g.iter(f"{SPACE}polygon"))
    ]


@any_engine
def test_a_marked_card_is_red_and_says_why():
    loss, named = network()
    drawing = viz.draw(loss, marks={named["relu1"]: "too small"})
    assert cards_in_red(viz.draw(loss)) == []
    (words,) = cards_in_red(drawing)
    assert words.startswith("relu1")
    assert "too small" in words
    (card,) = [g for g in groups(drawing, "node") if "too small" in words_in(g)]
    assert "too small" in card.get("aria-label")
    assert "marked: relu1: too small" in drawing.svg
    dark = theme.COLOURS["alarm"][1]
    assert f".f-alarm{{fill:{dark}}}" in drawing.svg
    assert drawing.dot == viz.draw(loss, marks={named["relu1"]: "too small"}).dot
    assert viz.draw(loss, marks={}).dot == viz.draw(loss).dot


@pytest.mark.parametrize("budget", [3, 4, 6, 9, 150])
@pytest.mark.parametrize(
    "which",
    [
        *("conv1", "relu1", "fc1", "loss", "x", "features.conv2.w", "classifier.fc1.b"),
        *("product", "labels"),
    ],
)
def test_a_marked_tensor_keeps_its_card(which, budget):
    loss, named = network()
    named |= {"product": named["fc1"].inputs[0], "labels": loss.inputs[1]}
    graph = Graph.of(loss)
    v = next((u for u in graph.vertices if u.name == which), named.get(which))
    view = transform.readable(View.of(graph, {v: "here"}), budget)
    (card,) = [card for card in view.cards if view.words(card)]
    assert view.graph.vertices[card.main] is v
    assert card.kind != "fold"
    ops = [slot for slot in card.slots if slot in view.steps]
    assert ops == ([card.main] if v.op is not None else [])  # nothing was merged into it
    assert len(view.cards) <= max(budget, 3)
    assert sorted(s for c in view.cards for s in c.slots) == list(range(len(graph.vertices)))


def test_a_marked_op_in_a_long_chain():
    y = gg.Tensor([1.0], requires_grad=True)
    for i in range(300):
        y = gg.tanh(y)
        if i == 150:
            middle = y
    view = transform.readable(View.of(Graph.of(y), {middle: "here"}), 20)
    assert [card.kind for card in view.cards] == ["op", "fold", "op", "fold"]
    assert [bool(view.words(card)) for card in view.cards] == [False, False, True, False]
    assert view.graph.vertices[view.cards[2].main] is middle


def test_a_marked_output_of_several_has_its_card():
    x = gg.Tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    first, second = _Halves()(x)
    view = transform.readable(View.of(Graph.of(first * second), {second: "here"}))
    (card,) = [card for card in view.cards if view.words(card)]
    assert card.slots == (card.main,)
    assert view.graph.vertices[card.main] is second


@any_engine
def test_a_marked_constant_has_room_for_words():
    x = gg.Tensor([1.0], requires_grad=True)
    y = x * 3.0
    (words,) = cards_in_red(viz.draw(y, marks={y.inputs[1]: "why three"}))
    assert "why three" in words


@any_engine
def test_too_many_marks_are_carried_by_the_folded_card():
    y = gg.Tensor([1.0], requires_grad=True)
    marks = {}
    for i in range(30):
        y = gg.tanh(y)
        marks[y] = f"number {i}"
    drawing = viz.draw(y, marks=marks, budget=9)
    red = cards_in_red(drawing)
    assert 1 <= len(red) <= 9
    assert "number 0" in red[0]


@any_engine
def test_marks_survive_a_coarser_drawing(monkeypatch):
    loss, named = network()
    drawing = viz.draw(loss, marks={named["relu1"]: "here"}, budget=40)
    layout, calls = engine.layout, []

    def slow(dot, *args):
        calls.append(dot)
        if len(calls) < 2:
            raise engine.EngineTimeout("viz", "it took too long")
        return layout(dot, *args)

    monkeypatch.setattr(engine, "layout", slow)
    assert "here" in cards_in_red(drawing)[0]
    assert "drawn coarser" in drawing.svg


def test_marks_of_another_graph_are_refused():
    loss, _ = network()
    with pytest.raises(GradError, match="the marked other is not part of the graph"):
        viz.draw(loss, marks={gg.Tensor(1.0, name="other"): "here"})


@pytest.mark.parametrize("marks", ["here", [1], 3])
def test_marks_are_a_mapping_to_words(marks):
    loss, _ = network()
    with pytest.raises(gg.DTypeError, match="marks is"):
        viz.draw(loss, marks=marks)
    with pytest.raises(gg.DTypeError, match="marks is"):
        viz.draw(loss, marks={loss: 3})


class TestMemory:
    """The memory of a compiled plan."""

    def plan(self):
        def chain(x):
            for _ in range(6):
                x = gg.sin(x)
            return x.sum()

        with gg.backend("numpy"):
            return gg.compile(chain).plan(np.ones(5000))

    def test_boxes_that_share_a_place_stand_side_by_side(self):
        memory = viz.memory(self.plan())
        assert len(memory.lots) == 6
        assert memory.arena == 2 * 40_000
        for a in memory.lots:
            for b in memory.lots:
                together = a.first <= b.last and b.first <= a.last
                if a is not b and together:
                    assert a.offset + a.size <= b.offset or b.offset + b.size <= a.offset
        assert repr(memory) == "Memory(78.1 kB for 234 kB)"

    def test_it_is_a_picture(self, tmp_path):
        memory = viz.memory(self.plan(), title="a < b & c")
        tree = ElementTree.fromstring(memory.svg)
        assert "a < b & c" in "".join(tree.itertext())
        assert len(tree.findall(".//{*}g")) == 6
        assert memory.save(tmp_path / "m.svg").read_text(encoding="utf-8") == memory.svg
        assert "prefers-color-scheme:dark" in memory.svg

    def test_a_plan_without_memory(self):
        with gg.backend("numpy"):
            plan = gg.compile(lambda x: x.reshape(-1)).plan(np.ones(3))
        assert "0 B in one arena" in viz.memory(plan).svg

    def test_what_is_no_plan(self):
        with pytest.raises(gg.DTypeError, match="is no plan"):
            viz.memory(gg.compile(gg.sin))
