"""Playback: its numbers are the engine's, its equations come out, no name breaks its pictures."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import sys
from functools import reduce
from html.parser import HTMLParser
from itertools import pairwise
from operator import add
from xml.etree import ElementTree

import numpy as np
import pytest
from gradgraph.viz.stepping.captions import wrapped
from gradgraph.viz.stepping.recorded import MOST, playback
from gradgraph.viz.stepping.rows import arrange
from gradgraph.viz.stepping.symbols import constant, is_short, named, product, short
from step_through import pooled, run, simple

import gradgraph as gg
from gradgraph import nn
from gradgraph.draw import Draw
from gradgraph.errors import DomainError, DTypeError, GradError, IndexingError, MutationError
from gradgraph.op import Op
from gradgraph.viz import theme

SVG = "{http://www.w3.org/2000/svg}"


def chapter():
    return run(simple, [1.0, -2, 0.5, 1, 2], "simple")


def with_pool():
    return run(pooled, [1.0, 0.5], "pooled")


def step_named(play, title):
    (step,) = [step for step in play.steps if step.title == title]
    return step


def lines(play, title):
    return [str(equation) for equation in step_named(play, title).equations]


def texts(svg, kind):
    root = ElementTree.fromstring(svg)
    return [t.text for t in root.iter(f"{SVG}text") if kind in (t.get("class") or "").split()]


def evaluated(text):
    """The value of the numbers in an equation, by Python's own arithmetic."""
    high = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"
    text = re.sub(
        f"[{high}]+", lambda m: "**" + "".join("0123456789-"[high.index(c)] for c in m[0]), text
    )
    for sign, meant in (("·", "*"), ("−", "-"), ("√", "sqrt"), ("^", "**"), ("ln", "log")):
        text = text.replace(sign, meant)
    names = {"σ": lambda x: 1 / (1 + math.exp(-x)), "max": lambda *v: max(v)}
    names |= {n: getattr(math, n) for n in ("exp", "log", "sqrt", "sin", "cos", "tanh", "erf")}
    names["arctan"] = math.atan
    return eval(text, {"__builtins__": {}}, names)


# The chapter's network


def test_the_chapters_net_forward():
    play = chapter()
    assert [step.title for step in play.steps] == [
        *(f"forward through {op}" for op in ("conv", "relu", "matmul", "squared_error")),
        "backward starts",
        *(f"backward through {op}" for op in ("squared_error", "matmul", "relu", "conv")),
    ]
    assert lines(play, "forward through conv") == [
        "Z¹₀ = X₀·W¹₁ + X₁·W¹₂ = 1·(−1) + 2·1 = 1",
        "Z¹₁ = X₀·W¹₀ + X₁·W¹₁ + X₂·W¹₂ = 1·0.5 + 2·(−1) + (−1)·1 = −2.5",
        "Z¹₂ = X₁·W¹₀ + X₂·W¹₁ + X₃·W¹₂ = 2·0.5 + (−1)·(−1) + 0.5·1 = 2.5",
        "Z¹₃ = X₂·W¹₀ + X₃·W¹₁ + X₄·W¹₂ = (−1)·0.5 + 0.5·(−1) + 1·1 = 0",
        "Z¹₄ = X₃·W¹₀ + X₄·W¹₁ = 0.5·0.5 + 1·(−1) = −0.75",
    ]
    assert lines(play, "forward through relu")[1] == "A¹₁ = max(Z¹₁, 0) = max(−2.5, 0) = 0"
    assert lines(play, "forward through squared_error") == [
        "loss = (A² − y)² = (2.25 − 1)² = 1.5625"
    ]


def test_the_chapters_net_backward():
    play = chapter()
    assert lines(play, "backward starts") == ["∂loss/∂loss = 1"]
    assert lines(play, "backward through squared_error") == [
        "∂loss/∂A² = ∂loss/∂loss·2·(A² − y) = 1·2·(2.25 − 1) = 2.5"
    ]
    assert lines(play, "backward through matmul")[1] == (
        "∂loss/∂A¹₁ = ∂loss/∂A²·W²₁ = 2.5·(−2) = −5"
    )
    relu = step_named(play, "backward through relu")
    assert relu.law == "∂loss/∂Z¹ᵢ = ∂loss/∂A¹ᵢ if Z¹ᵢ > 0, else 0"
    assert str(relu.equations[1]) == "∂loss/∂Z¹₁ = ∂loss/∂A¹₁·0 = (−5)·0 = 0"
    assert relu.notes == (
        "blocked (grey): Z¹₁, Z¹₃ and Z¹₄ are not above 0",
        "at exactly 0 (Z¹₃): slope 0",
    )
    conv = step_named(play, "backward through conv")
    assert conv.law == "∂loss/∂W¹ⱼ = Σᵢ ∂loss/∂Z¹ᵢ · X[i + j − 1]"
    assert str(conv.equations[2]) == (
        "∂loss/∂W¹₂ = ∂loss/∂Z¹₀·X₁ + ∂loss/∂Z¹₁·X₂ + ∂loss/∂Z¹₂·X₃ + ∂loss/∂Z¹₃·X₄"
        " = 2.5·2 + 0·(−1) + 1.25·0.5 + 0·1 = 5.625"
    )
    assert [e.value for e in conv.equations] == [2.5, 1.25, 5.625]


def test_the_winners_of_a_pool():
    play = with_pool()
    assert lines(play, "forward through max_pool")[0] == "P₀ = max(A¹₀, A¹₁) = max(1, 0) = 1"
    assert lines(play, "backward through max_pool") == [
        "∂loss/∂A¹₀ = ∂loss/∂P₀ = 2.5",
        "∂loss/∂A¹₁ = ∂loss/∂P₀·0 = 2.5·0 = 0",
        "∂loss/∂A¹₂ = ∂loss/∂P₁ = 1.25",
        "∂loss/∂A¹₃ = ∂loss/∂P₁·0 = 1.25·0 = 0",
        "∂loss/∂A¹₄ = 0",
    ]
    assert step_named(play, "backward through max_pool").notes == (
        "nothing reads A¹₄ here",
        "winners (ringed): A¹₀ and A¹₂",
    )
    assert texts(play.frame(1), "winner") == []
    assert texts(play.frame(2), "winner") == ["1", "2.5"]
    assert texts(play.frame(-1), "blocked") == ["−2.5", "0", "−0.75"]


def test_ties_are_said_by_the_ops_convention():
    play = playback(lambda x: gg.max_pool(x.reshape(1, 4, 1), 2).sum(), [2.0, 2.0, 1.0, 5.0])
    note = "a tie, x₀ = x₁ in p₀: everything to the first in reading order"
    assert note in step_named(play, "forward through max_pool").notes
    assert "winners (ringed): x₀ and x₃" in step_named(play, "backward through max_pool").notes
    assert texts(play.frame(-1), "winner") == ["2", "5"]

    play = playback(lambda x: gg.maximum(x, 2.0).sum(), [1.0, 2.0])
    assert "a tie, x₁ = 2 in u₁: half to each" in step_named(play, "forward through maximum").notes
    assert lines(play, "backward through maximum")[1] == "∂L/∂x₁ = ∂L/∂u₁ / 2 = 1 / 2 = 0.5"

    play = playback(lambda x: gg.max(x) * 6.0, [3.0, 1.0, 3.0, 3.0])
    assert lines(play, "backward through max")[:2] == [
        "∂L/∂x₀ = ∂L/∂s / 3 = 6 / 3 = 2",
        "∂L/∂x₁ = ∂L/∂s·0 = 6·0 = 0",
    ]


# Its numbers are the engine's


def small_nets():
    rng = np.random.default_rng(0)
    net = nn.Sequential(
        conv=nn.Conv(1, 2, 2, rng=0), act=nn.ReLU(), pool=nn.MaxPool(2), flat=nn.Flatten(),
        fc=nn.Linear(8, 3, rng=1),
    )  # fmt: skip
    image, x = rng.normal(size=(1, 5, 5, 1)), rng.normal(size=3)
    w, b = rng.normal(size=(3, 4)), rng.normal(size=4).astype("float32")

    def shared(x, w, b):
        h = gg.tanh(x @ w + b)
        return ((h + gg.exp(-h) * h) ** 2).mean() + gg.maximum(h, 0.1).max() + x[[0, 0, 2]].sum()

    yield "image", lambda image: gg.cross_entropy(net(image), [2]), (image,), list(net.parameters())
    yield "shared", shared, (x, w, b), []
    yield "softmax", lambda x: -gg.log(gg.softmax(x))[1], (x,), []
    yield "mixed", lambda x: (gg.sqrt(gg.absolute(x)) / gg.sigmoid(x) * gg.sin(x)).sum(), (x,), []


NETS = [pytest.param(f, args, more, id=name) for name, f, args, more in small_nets()]


@pytest.mark.parametrize(("f", "args", "more"), NETS)
def test_gradients_are_exactly_those_of_backward(f, args, more):
    leaves = [gg.Tensor(a, requires_grad=True, name=f"leaf{i}") for i, a in enumerate(args)]
    play = playback(f, *leaves)
    assert all(t.grad is None for t in (*leaves, *more))
    f(*leaves).backward()
    recording = play._recording
    wanted = {tuple(map(float, t.data.ravel())): t.grad.numpy() for t in (*leaves, *more)}
    seen = 0
    for i, card in enumerate(recording.cards):
        if card.op is None and card.wants:
            _, last = recording.gradients[i][-1]
            assert list(last) == wanted[card.values].ravel().tolist()
            seen += 1
    assert seen == len(leaves) + len(more)
    for t in more:
        t.grad = None


@pytest.mark.parametrize(("f", "args", "more"), NETS)
def test_equations_come_out(f, args, more):
    play = playback(f, *args)
    checked = 0
    for step in play.steps:
        for equation in step.equations:
            if "…" in equation.numbers or "slope" in equation.symbols:
                continue
            assert equation.relation in "=≈"
            exact = equation.relation == "="
            off = abs(evaluated(equation.numbers) - equation.value)
            assert off <= (1e-9 if exact else 5e-3) * max(1, abs(equation.value)), str(equation)
            checked += 1
    assert checked > len(play) // 2


OURS = sorted(
    name for name, op in Op.registry.items() if op.trusted and any(op.vjps) and name != "part"
)


@pytest.mark.parametrize("name", OURS)
def test_every_op_explains_itself(name):
    told = 0
    for seed in range(6):
        draw = Draw.seeded(seed)
        draw.ties = seed % 2 == 1
        op, args = Op.registry[name].sample(draw)

        def loss(*args, op=op):
            out = op(*args)
            parts = out if isinstance(out, tuple) else (out,)
            return reduce(add, [(part * 1.5).sum() for part in parts])

        play = playback(loss, *args)
        ElementTree.fromstring(play.frame(-1))
        for step in play.steps:
            assert not any("cannot" in note or "disagrees" in note for note in step.notes)
            for equation in step.equations:
                told += 1
                assert equation.relation in "=≈", str(equation)
                if "…" not in equation.numbers and "slope" not in equation.symbols:
                    off = abs(evaluated(equation.numbers) - equation.value)
                    assert off <= 0.02 * max(1, abs(equation.value)), str(equation)
    assert told > 20


def test_what_is_shown_is_what_was_computed():
    play = chapter()
    assert texts(play.frame(0), "new") == ["1", "−2.5", "2.5", "0", "−0.75"]
    assert texts(play.frame(-1), "gnew") == ["2.5", "1.25", "5.625"]
    cells = texts(play.frame(-1), "n")
    for number in ("2.25", "1.5625", "6.25", "−5"):
        assert number in cells
    assert texts(play.frame(0), "g") == []  # no gradient before the backward sweep
    assert texts(play.frame(4), "gnew") == ["1"]


def test_a_gradient_that_arrives_twice_adds_up():
    play = playback(lambda x: (x * x * x).sum(), [2.0])
    first, second = [s for s in play.steps if s.title == "backward through multiply"]
    assert [str(e) for e in first.equations] == [
        "∂L/∂u1 = ∂L/∂u2·x = 1·2 = 2",
        "∂L/∂x = ∂L/∂u2·u1 = 1·4 = 4",
    ]
    assert str(second.equations[0]) == ("∂L/∂x = (∂L/∂x so far) + ∂L/∂u1·2·x = 4 + 2·2·2 = 12")
    assert texts(play.frame(-2), "gnew") == ["4", "2"]
    assert texts(play.frame(-1), "gnew") == ["12"]


def test_what_only_reshapes_has_no_card_unless_the_other_shape_is_read_too():
    alone = playback(lambda x: (x.reshape(1, 2, 1) * 3.0).sum(), [1.0, 2.0])
    assert [step.title for step in alone.steps[:2]] == [
        "forward through multiply",
        "forward through sum",
    ]
    shared = playback(lambda x: (x.reshape(1, 2, 1) * 3.0).sum() + x.sum(), [1.0, 2.0])
    assert shared.steps[0].title == "forward through reshape"
    assert texts(shared.frame(-1), "gnew") == ["4", "4"]


def test_a_wrong_rule_is_not_made_to_look_right():
    cube = gg.custom(lambda x: x * x * x, vjp=lambda g, out, x: 2 * x * x * g, name="cube")
    play = playback(lambda x: cube(x).sum(), [3.0])
    (equation,) = step_named(play, "backward through cube").equations
    assert (equation.relation, equation.value) == ("≠", 18.0)
    assert step_named(play, "backward through cube").notes == (
        "∂L/∂x: the engine's rule of cube disagrees with the op's definition",
    )


def test_no_equation_where_the_definition_overflows():
    play = playback(lambda x: gg.softmax(x)[0], [1000.0, 0.0])
    step = step_named(play, "forward through softmax")
    assert step.notes == ("no equation where the definition of softmax overflows or meets NaN",)
    assert texts(play.frame(0), "new") == ["1", "0"]
    play = playback(lambda x: gg.maximum(x, 0.0).sum(), [math.nan, 1.0])
    assert [e.relation for s in play.steps for e in s.equations].count("≠") == 0


def test_a_definition_that_cannot_be_run_on_symbols_is_said():
    odd = gg.custom(lambda x: np.fft.fft(x).real, vjp=lambda g, out, x: np.fft.fft(g).real)
    play = playback(lambda x: odd(x).sum(), [1.0, 2.0])
    assert play.steps[0].equations == ()
    assert play.steps[0].notes == ("the definition of custom cannot be written in symbols",)
    assert texts(play.frame(0), "new") == ["3", "−1"]


def test_several_results_at_once():
    class Halves(Op):
        outputs = 2
        linear = ("x",)

        def forward(self, x):
            return x[:1] * 2, x[1:] * 3

        def vjp_x(self, g, out, x):
            return np.concatenate([g[0] * 2, g[1] * 3])

        def spec(self, x):
            return x.with_shape((1,)), x.with_shape((1,))

        def reference(self, x):
            return x[:1] * 2, x[1:] * 3

        @classmethod
        def sample(cls, draw):
            return cls(), (draw.normal((2,)),)

    try:
        play = playback(lambda x: (Halves()(x)[0] * Halves()(x)[1]).sum(), [1.0, 2.0])
    finally:
        Op.registry = {k: v for k, v in Op.registry.items() if v is not Halves}
    assert texts(play.frame(-1), "gnew") == ["12", "6"]


# Algebra


def test_short_numbers():
    assert [short(v) for v in (0.0, -0.0, 1e6, 123456.7, 1234.5, 0.00012345, 2.0000001)] == [
        "0", "0", "1e6", "123457", "1234.5", "1.234e−4", "2",
    ]  # fmt: skip
    assert [short(v) for v in (math.nan, math.inf, -math.inf)] == ["NaN", "∞", "−∞"]
    assert is_short(2.5)
    assert not is_short(2 / 3)


def test_brackets_where_they_are_needed():
    x, y = named("x", 2.0), named("y", -3.0)
    assert (x - (y - x)).text == "x − (y − x)"
    assert (x / (y / x)).text == "x / (y / x)"
    assert (-(x + y)).text == "−(x + y)"
    assert ((x + y) * y).written(True) == "(2 + (−3))·(−3)"
    assert (y**2).written(True) == "(−3)²"
    assert named("A²", 2.0).__pow__(2).text == "(A²)²"
    assert product(constant(-0.5), x, y).text == "−x·y / 2"


@pytest.mark.parametrize(
    ("make", "slope"),
    [
        (lambda x: x.tanh(), "1 − tanh(x)²"),
        (lambda x: x.exp() / x, "exp(x) / x − exp(x) / x²"),
        (lambda x: x**3, "3·x²"),
        (lambda x: 2.0**x, "2^(x)·ln(2)"),
        (lambda x: 1.0 / (1.0 + (-x).exp()), "exp(−x) / (1 + exp(−x))²"),
        (lambda x: (x.sin() + x.cos()) * 0.25, "(cos(x) − sin(x)) / 4"),
        (lambda x: x.sqrt() + x.log(), "1 / (2·√(x)) + 1 / x"),
    ],
)
def test_slopes(make, slope):
    found = make(named("x", 0.7)).slope("x")
    assert found.text == slope
    h = 1e-6
    high, low = (float(make(named("x", 0.7 + d))) for d in (h, -h))
    assert float(found) == pytest.approx((high - low) / (2 * h), rel=1e-6)


# Pictures


def hostile():
    names = ['</title><script>alert(1)</script>\x00"&', "שלום", "a:b <i>", "\ud800\u202e😀"]
    leaves = [gg.Tensor([1.0, 2.0], requires_grad=True, name=n) for n in names]
    product_of_all = leaves[0] * leaves[1] * leaves[2] * leaves[3]
    product_of_all.name = "]]>"
    return playback(product_of_all.sum(), title="<script>\x07 & \u202e")


@pytest.mark.parametrize("make", [chapter, with_pool, hostile])
def test_frames_are_xml_that_names_itself(make):
    play = make()
    for i in range(len(play)):
        root = ElementTree.fromstring(play.frame(i))
        ids = [e.get("id") for e in root.iter() if e.get("id")]
        assert len(ids) == len(set(ids)) == 3
        assert root.get("role") == "img"
        assert root.get("aria-labelledby").split() == ids[1:]
        described = root.find(f"{SVG}desc").text
        assert described.startswith(f"Step {i + 1} of {len(play)} · {play.steps[i].title}.")
        assert not [e for e in root.iter() if e.tag.endswith("script")]
        assert "prefers-color-scheme:dark" in root.find(f"{SVG}style").text
    assert len({ElementTree.fromstring(play.frame(i)).get("id") for i in range(len(play))}) == len(
        play
    )


def test_a_name_is_never_taken_for_an_element_of_another():
    w = gg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    other = gg.Tensor(5.0, requires_grad=True, name="w₁")
    assert lines(playback((w * other).sum()), "backward through multiply") == [
        "∂L/∂w₀ = ∂L/∂u₀·v = 1·5 = 5",
        "∂L/∂w₁ = ∂L/∂u₁·v = 1·5 = 5",
        "∂L/∂v = ∂L/∂u₀·w₀ + ∂L/∂u₁·w₁ = 1·1 + 1·2 = 3",
    ]
    twice = playback((w * gg.Tensor([3.0, 4.0], requires_grad=True, name="w")).sum())
    assert lines(twice, "forward through multiply")[1] == "u₁ = w1₁·w2₁ = 2·4 = 8"


def test_hostile_names_stay_on_their_cards():
    play = hostile()
    assert "<script" not in play.frame(-1)
    assert play.html.count("<script") == 1
    heads = texts(play.frame(-1), "head")
    assert "</title><scrip…" in heads
    assert "שלום" in heads
    told = " ".join(str(e) for s in play.steps for e in s.equations)
    assert re.fullmatch(r"[A-Za-z0-9₀-₉∂/=≈·+−() ]+", told)


def test_nothing_lies_on_anything_else():
    reads = [(), (), (0, 1), (2,), (), (3, 4, 0), (5, 2), (6, 6), (7, 3)]
    reads = [tuple(dict.fromkeys(r)) for r in reads]
    sizes = [(100.0 + 60 * (i % 3), 40.0 + 20 * (i % 4)) for i in range(len(reads))]
    plan = arrange(sizes, reads)
    boxes = [(x, y, x + w, y + h) for (x, y), (w, h) in zip(plan.cards, sizes, strict=True)]
    for i, a in enumerate(boxes):
        assert a[0] >= 0
        assert a[2] <= plan.width
        for b in boxes[:i]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    assert set(plan.edges) == {(a, b) for b, sources in enumerate(reads) for a in sources}
    for (source, reader), corners in plan.edges.items():
        assert corners[0][1] == boxes[source][3]
        assert corners[-1][1] == boxes[reader][1]
        for (x0, y0), (x1, y1) in pairwise(corners):
            assert x0 == x1 or y0 == y1
            for box in boxes:
                inside_x = min(x0, x1) < box[2] and max(x0, x1) > box[0]
                assert not (inside_x and min(y0, y1) < box[3] and max(y0, y1) > box[1])


def test_large_arrays_are_shown_partly_and_say_so():
    play = playback(lambda x: (x * 2.0).sum(), np.arange(400.0).reshape(20, 20))
    assert texts(play.frame(-1), "small") == ["64 of 400 numbers"] * 2
    assert "399 more numbers of u are made in the same way" in play.steps[0].notes
    assert len(play.frame(-1)) < 60_000
    play = playback(lambda x: gg.max_pool(x, 2).sum(), np.zeros((2, 12, 12, 8)))
    shown = texts(play.frame(-1), "small")
    assert shown[:4] == [f"item 0 · channel {i}" for i in range(4)]
    assert "64 of 2,304 numbers" in shown


def test_an_op_with_too_many_products_has_no_equations_but_all_numbers():
    rng = np.random.default_rng(0)
    x = gg.Tensor(rng.normal(size=(1, 40, 40, 1)))
    w = gg.Tensor(rng.normal(size=(5, 5, 1, 1)), requires_grad=True, name="w")
    play = playback(lambda x: gg.conv(x, w).sum(), x)
    assert play.steps[0].notes == ("too many products to write an equation",)
    gradient = gg.grad(lambda w: gg.conv(x, w).sum())(w.numpy())
    assert texts(play.frame(-1), "gnew") == [short(v) for v in gradient.ravel()]


def test_arrows_turn_with_the_sweep():
    play = chapter()

    def lines_of(step):
        root = ElementTree.fromstring(play.frame(step))
        found = [g.get("class") for g in root.iter(f"{SVG}g") if g.get("class")]
        return sorted(c.removeprefix("line ") for c in found if c.startswith("line"))

    assert lines_of(0) == ["down"] * 2 + ["wait"] * 5
    assert lines_of(4) == ["data"] * 7
    assert lines_of(6) == ["back"] + ["data"] * 4 + ["up"] * 2
    assert lines_of(8) == ["back"] * 4 + ["data"] * 2 + ["up"]


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [0, 1])
def test_words_can_be_read(dark):
    colours = {role: pair[dark] for role, pair in theme.COLOURS.items()}
    channels = [
        [int(colours[role][i : i + 2], 16) for i in (1, 3, 5)] for role in ("card", "ramp3")
    ]
    mixed = [round(0.88 * back + 0.12 * over) for back, over in zip(*channels, strict=True)]
    tinted = "#{:02x}{:02x}{:02x}".format(*mixed)
    pairs = [
        ("ink", "paper"), ("muted", "paper"), ("ink", "card"), ("muted", "card"),
        ("muted", "foot"), ("ink", "foot"), ("ramp3", "card"),
    ]  # fmt: skip
    for text, back in pairs:
        assert contrast(colours[text], colours[back]) >= 4.5, (text, back)
    assert contrast(colours["ink"], tinted) >= 4.5
    light, _, night = playback(lambda x: x * 1.0, 1.0).frame(0).partition("@media")
    assert f".label.gradient{{fill:{colours['ramp3']}}}" in (night if dark else light)
    for style in (*theme.STYLES, "leaf"):
        assert contrast(colours["on-header"], colours[style]) >= 4.5, style


def test_the_same_bytes_on_every_run():
    code = (
        "from step_through import pooled, run;"
        "play = run(pooled, [1.0, 0.5], 'pooled');"
        "import hashlib;"
        "print(hashlib.sha256((play.html + play.frame(-1)).encode()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "examples", "PATH": ""},
            cwd=gg.__path__[0] + "/..",
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_lines_are_wrapped_between_words():
    assert wrapped(["aa", "bb", "c" * 20], 6) == ["aa bb", "c" * 20]
    longest = max(len(t) for i in range(9) for t in texts(chapter().frame(i), "equation"))
    assert longest <= 62


# Files and bad input


def test_save(tmp_path):
    play = chapter()
    assert play.save(tmp_path / "a.svg").read_text(encoding="utf-8") == play.frame(8)
    assert play.save(tmp_path / "b.SVG", step=2).read_text(encoding="utf-8") == play.frame(2)
    assert play.save(tmp_path / "c.html").read_text(encoding="utf-8") == play.html
    assert 'value="3"' in play.save(tmp_path / "d.html", step=3).read_text(encoding="utf-8")
    assert play._repr_svg_() == play.frame(-1)
    with pytest.raises(DomainError, match=r'"\.html" or "\.svg"'):
        play.save(tmp_path / "e.png")
    with pytest.raises(IndexingError, match="step is 9, but there are 9 steps"):
        play.save(tmp_path / "f.svg", step=9)
    with pytest.raises(DTypeError, match=r"step is 1\.5, not an integer"):
        play.frame(1.5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.svg", "b.SVG", "c.html", "d.html"]


def test_bad_input_is_an_error_that_says_what_to_do():
    w = gg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    with pytest.raises(GradError, match=r"the result is \(2,\).*\.sum\(\)"):
        playback(lambda x: x * 2, [1.0, 2.0])
    with pytest.raises(GradError, match="returned float, not a tensor"):
        playback(lambda x: 1.0, [1.0])
    with pytest.raises(GradError, match="nothing that the result depends on requires grad"):
        playback(lambda i: i.sum(), [1, 2])
    with pytest.raises(DTypeError, match="int is neither a function nor a tensor"):
        playback(3)
    with pytest.raises(DTypeError, match="takes no arguments"):
        playback(w.sum(), [1.0])
    with pytest.raises(DTypeError, match="title is 3"):
        playback(w.sum(), title=3)

    def deep(x):
        for _ in range(MOST + 1):
            x = x + 1.0
        return x

    with pytest.raises(DomainError, match=r"61 ops.*viz\.draw\(loss, flow=True\)"):
        playback(deep, 1.0)
    loss = (w * w).sum()
    w.assign([2.0, 3.0])
    with pytest.raises(MutationError, match="was changed by assign"):
        playback(loss)


def test_edges_of_what_can_be_played():
    alone = playback(gg.Tensor(3.0, requires_grad=True, name="w"))
    assert repr(alone) == "Playback(0 steps forward, 1 backward)"
    empty = playback(lambda x: x.sum(), np.zeros((0, 3)))
    assert texts(empty.frame(0), "new") == ["0"]
    with gg.no_grad():
        assert len(playback(lambda x: (x * x).sum(), [1.0])) == 5
    longest = playback(lambda x: [x := x + 1.0 for _ in range(MOST)][-1], 1.0)
    assert len(longest) == 2 * MOST + 1
    assert len(longest.html) < 300_000


# The page


class Page(HTMLParser):
    """What a page asks a browser for."""

    def __init__(self, text):
        super().__init__()
        self.asks, self.policy, self.inline = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.asks += [v for k, v in attrs.items() if k in ("src", "href", "style") or k[:2] == "on"]
        if attrs.get("http-equiv") == "Content-Security-Policy":
            self.policy = attrs["content"]


def test_the_page_needs_nothing_and_allows_nothing_else():
    page = Page(chapter().html)
    assert page.asks == []
    assert page.policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in page.policy
    assert page.policy.count("'sha256-") == 3


def test_the_page_is_smaller_than_its_frames():
    play = with_pool()
    assert len(play.html) < sum(len(play.frame(i)) for i in range(len(play))) / 2


def test_without_a_script_the_page_shows_the_last_step():
    play = chapter()
    picture = play.html[play.html.index("<svg") : play.html.index("</svg>") + 6]
    root = ElementTree.fromstring(picture)
    seen = [g for g in root.iter(f"{SVG}g") if g.get("data-on") and g.get("class") != "off"]
    assert [t.text for g in seen for t in g.iter(f"{SVG}text") if t.get("class") == "title"] == [
        "Step 9 of 9 · backward through conv"
    ]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium")
    if not program:
        pytest.skip("no chromium here")
    with playwright.sync_playwright() as api:
        chromium = api.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, tmp_path):
    opened = []

    def open_(play, **options):
        page = browser.new_page(**options)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda message: page.errors.append(message.text))
        page.clock.install()
        page.goto(play.save(tmp_path / "play.html").as_uri())
        opened.append(page)
        return page

    yield open_
    for page in opened:
        assert page.errors == []
        page.close()


def visible_title(page):
    (title,) = page.locator("svg text.title:visible").all_text_contents()
    assert page.locator("#said").inner_text() == title
    return title


def test_slider_buttons_and_keys(open_page):
    play = with_pool()
    page = open_page(play)
    said = [f"Step {i + 1} of 11 · {s.title}" for i, s in enumerate(play.steps)]
    assert visible_title(page) == said[0]
    assert page.locator("#back").is_disabled()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert visible_title(page) == said[2]
    page.keyboard.press("ArrowLeft")
    assert visible_title(page) == said[1]
    page.keyboard.press("End")
    assert visible_title(page) == said[10]
    assert page.locator("#next").is_disabled()
    page.keyboard.press("ArrowRight")
    assert visible_title(page) == said[10]
    page.keyboard.press("Home")
    assert visible_title(page) == said[0]
    page.locator("#next").click()
    assert visible_title(page) == said[1]
    page.locator("#last").click()
    page.locator("#back").click()
    assert visible_title(page) == said[9]
    page.locator("#step").fill("8")
    assert visible_title(page) == said[8]
    page.locator("#step").focus()
    page.keyboard.press("ArrowRight")  # one step, not one of the slider and one of the page
    assert visible_title(page) == said[9]
    assert page.locator("#aloud").text_content().startswith(said[9])
    assert page.locator("#step").get_attribute("aria-valuetext") == said[9]


def test_the_page_shows_what_the_frames_show(open_page):
    play = chapter()
    page = open_page(play)
    for i in range(len(play)):
        for kind in ("new", "gnew", "blocked", "equation", "n"):
            shown = page.locator(f"svg text.{kind}:visible").all_text_contents()
            assert sorted(shown) == sorted(texts(play.frame(i), kind))
        page.keyboard.press("ArrowRight")


def test_play_runs_to_the_end_and_can_be_stopped(open_page):
    page = open_page(chapter())
    play = page.locator("#play")
    play.click()
    assert play.inner_text() == "Pause"
    page.clock.run_for(4100)
    assert visible_title(page).startswith("Step 3 of 9")
    play.click()
    assert play.inner_text() == "Play"
    page.clock.run_for(4100)
    assert visible_title(page).startswith("Step 3 of 9")
    page.locator("body").press(" ")
    page.clock.run_for(60_000)
    assert visible_title(page).startswith("Step 9 of 9")
    assert play.inner_text() == "Play"
    play.click()
    assert visible_title(page).startswith("Step 1 of 9")
    page.keyboard.press("End")  # a key takes over
    assert play.inner_text() == "Play"


def test_hostile_names_do_not_run(open_page):
    page = open_page(hostile(), color_scheme="dark")
    page.on("dialog", lambda dialog: page.errors.append("a script ran"))
    page.keyboard.press("End")
    assert visible_title(page).startswith("Step")
    dark = theme.COLOURS["paper"][1]
    wanted = "rgb({}, {}, {})".format(*(int(dark[i : i + 2], 16) for i in (1, 3, 5)))
    fill = "getComputedStyle(document.querySelector('rect.paper')).fill"
    assert page.evaluate(fill) == wanted


# Operands that are on no card, or that are the same


@pytest.mark.parametrize(
    ("f", "law"),
    [
        (lambda x: gg.conv(x, np.full((1, 1, 1), 2.0)).sum(), "every product x·2 passes"),
        (lambda x: gg.conv(x, x.reshape(3, 1, 1), padding=1).sum(), ""),
    ],
)
def test_a_convolution_whose_filter_has_no_card(f, law):
    x = np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1)
    play = gg.playback(f, x)
    assert any(step.law.startswith(law) for step in play.steps if step.phase == "backward")
    assert "∂2" not in play.frame(-1)


def test_a_tensor_that_is_read_twice_is_named_twice():
    play = gg.playback(lambda x: (x @ x).sum(), np.eye(2))
    assert any("every product x·x passes" in step.law for step in play.steps)


def test_an_op_with_too_many_names_says_so():
    play = gg.playback(lambda x: gg.softmax(x)[0], np.linspace(0.0, 1.0, 400))
    (step,) = [s for s in play.steps if s.phase == "forward" and "softmax" in s.title]
    assert not step.equations
    assert "too many products to write an equation" in step.notes
    few = gg.playback(lambda x: gg.softmax(x)[0], np.linspace(0.0, 1.0, 4))
    assert any(s.equations for s in few.steps if s.phase == "forward" and "softmax" in s.title)


def test_nan_is_not_told_as_blocked():
    with np.errstate(all="ignore"):
        play = gg.playback(lambda x: gg.relu(x).sum(), np.array([np.nan, 1.0, -1.0]))
    (step,) = [s for s in play.steps if s.phase == "forward" and "relu" in s.title]
    assert "blocked (grey): x₂ is not above 0" in step.notes
    assert "NaN passes on, with slope 0: x₀" in step.notes
