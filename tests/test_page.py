"""The interactive page of a drawing: safe in itself, and what it does in a real browser."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from gradgraph.viz.details import details, sample
from gradgraph.viz.text import number
from gradgraph.viz.view import View

import gradgraph as gg
from gradgraph import viz
from gradgraph.errors import MissingExtraError
from gradgraph.viz import engine, transform

SPACE = "{http://www.w3.org/2000/svg}"
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\\ \u202e\u0000 ]]> <!--"

try:
    engine.find()
    HAS_ENGINE = True
except MissingExtraError:
    HAS_ENGINE = False
drawn = pytest.mark.skipif(not HAS_ENGINE, reason="no layout engine here")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
in_browser = pytest.mark.skipif(
    not (HAS_ENGINE and CHROMIUM and importlib.util.find_spec("playwright")),
    reason="no playwright, no Chromium, or no layout engine here",
)


def network():
    """Two scopes, one inside the other, an op between them, and a second input."""
    rng = np.random.default_rng(0)
    x = gg.Tensor(rng.normal(size=(3, 4)), name="x")
    w1, w2 = (
        gg.Tensor(rng.normal(size=s), requires_grad=True, name=n)
        for s, n in (((4, 5), "net.first.w"), ((5, 2), "net.second.w"))
    )
    with gg.scope("net"):
        with gg.scope("first"):
            h = gg.relu(gg.matmul(x, w1))
        with gg.scope("second"):
            h = gg.tanh(gg.matmul(h, w2))
    return gg.cross_entropy(h, np.array([0, 1, 1]))


def drawing():
    return viz.draw(network(), flow=True, title="A small net")


def view_of(tensor):
    return transform.readable(View.of(gg.Graph.of(tensor)))


def details_of(tensor, **options):
    return details(view_of(tensor), viz.flow(tensor), **options)


def card_of(told, title):
    (card,) = [card for card in told["cards"] if card["title"] == title]
    return card


def block(html):
    """The data of a page."""
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', html)[1]
    )


# What is known of a card


def test_statistics_are_those_of_the_engine():
    loss = network()
    told = details_of(loss)
    tanh = loss.inputs[0]
    data = tanh.numpy()
    (values,) = card_of(told, "tanh")["values"]
    assert values["facts"] == [
        ["min", number(data.min())],
        ["max", number(data.max())],
        ["mean", number(data.mean())],
        ["std", number(data.std())],
        ["zeros", "0 of 6 (0%)"],
        ["NaN or infinite", "0"],
    ]
    assert values["numbers"] == [[number(v) for v in row] for row in data]


def test_gradients_are_those_of_backward():
    loss = network()
    told = details_of(loss)
    tanh = loss.inputs[0].retain_grad()
    w = tanh.inputs[0].inputs[1]
    loss.backward()
    mine = card_of(told, "tanh")["gradient"]
    assert mine["numbers"] == [[number(v) for v in row] for row in tanh.grad.numpy()]
    assert ["norm ‖∂L/∂y‖", number(np.linalg.norm(tanh.grad.numpy()))] in mine["facts"]
    matmul = next(c for c in told["cards"] if ["module", "net.second"] in c["rows"])
    parameter, gradient = matmul["parameters"]
    assert parameter["facts"][:3] == [
        ["shape", "5×2 (10 numbers)"],
        ["norm ‖w‖", number(np.linalg.norm(w.numpy()))],
        ["norm ‖∂L/∂w‖", number(np.linalg.norm(w.grad.numpy()))],
    ]
    assert gradient["numbers"] == [[number(v) for v in row] for row in w.grad.numpy()]


def test_sample_counts_zeros_and_what_is_not_finite():
    told = sample(np.array([0.0, 0.0, 1.0, np.nan, np.inf, 4.0]))
    assert told["facts"] == [
        ["min", "0"],
        ["max", "4"],
        ["mean", "1.25"],
        ["std", "1.64"],
        ["zeros", "2 of 6 (33%)"],
        ["NaN or infinite", "2"],
    ]
    assert (told["bins"][0], told["bins"][6], told["bins"][23], sum(told["bins"])) == (2, 1, 1, 4)
    assert told["numbers"] == [["0", "0", "1", "NaN", "∞", "4"]]


@pytest.mark.parametrize(
    ("data", "bins", "ends"),
    [
        ([2.0, 2.0], [2], ["2", "2"]),
        ([0.0], [1], ["0", "0"]),
        ([-1.7e308, 1.7e308], [1, *[0] * 22, 1], ["−1.7e308", "1.7e308"]),
        ([0.0, 5e-324], [1, *[0] * 22, 1], ["0", "4.9e−324"]),
        ([1.0, 1.0 + 2e-16], [1, *[0] * 22, 1], ["1", "1"]),
        ([True, False, True], [1, *[0] * 22, 2], ["0", "1"]),
    ],
)
def test_histograms_of_extreme_numbers(data, bins, ends):
    told = sample(np.array(data))
    assert (told["bins"], told["ends"]) == (bins, ends)


def test_samples_that_have_no_statistics():
    assert sample(np.zeros((0, 3)))["note"] == "It has no elements."
    assert sample(np.array([1j]))["note"] == "No statistics of complex128."
    assert "bins" not in sample(np.array([np.nan]))
    assert "numbers" in sample(np.zeros(64))
    assert "numbers" not in sample(np.zeros(65))
    assert sample(3)["numbers"] == [["3"]]


@pytest.mark.parametrize(
    ("many", "seed", "norm"), [(True, [1.0, 3.0], "3.16"), (False, 3, "3"), (False, -1, "1")]
)
def test_a_flow_from_another_cotangent_has_norms_only(many, seed, norm):
    x = gg.Tensor([1.0, 2.0] if many else 1.0, requires_grad=True, name="x")
    y = gg.sin(x)
    told = details(view_of(y), viz.flow(y, seed))
    gradient = card_of(told, "sin")["gradient"]
    assert gradient["facts"][0] == ["norm ‖∂L/∂y‖", norm]
    assert gradient["note"] == "Only the norm of this gradient is known."
    assert "bins" not in gradient


def test_values_that_assign_changed_are_not_shown():
    w = gg.Tensor([1.0, 2.0], requires_grad=True, name="net.w")
    x = gg.Tensor([3.0, 4.0], name="x")
    loss = (x * w).sum()
    flow = viz.flow(loss)
    w.assign([7.0, 8.0])
    told = details(view_of(loss), flow)
    parameter, gradient = card_of(told, "multiply")["parameters"]
    assert "assign() changed it" in parameter["note"]
    assert parameter["facts"] == [["shape", "2 (2 numbers)"], ["norm ‖∂L/∂w‖", "5"]]
    assert gradient["note"] == "Only the norm of this gradient is known."
    assert card_of(told, "x")["values"][0]["numbers"] == [["3", "4"]]


def test_made_up_values_are_not_shown():
    told = details(view_of(network()), None, values=False)
    assert {v["note"] for c in told["cards"] for v in c["values"]} == {
        "Drawn from shapes alone: there are no values."
    }
    (parameter,) = told["cards"][1]["parameters"]
    assert parameter.keys() == {"name", "note", "facts"}


def test_facts_of_a_card():
    told = details_of(network())
    rows = dict(card_of(told, "cross_entropy")["rows"])
    assert rows == {"op": "cross_entropy · reduction 'mean'", "shape": "scalar", "dtype": "float64"}
    assert card_of(told, "relu")["formula"].startswith("max(x, 0)")
    assert dict(card_of(told, "labels")["rows"])["dtype"] == "int64"
    assert ["shape", "3 int64"] in card_of(told, "labels")["rows"]


def test_scopes_and_steps():
    told = details_of(network())
    assert [(s["name"], s["parent"], len(s["cards"])) for s in told["scopes"]] == [
        ("net", -1, 4),
        ("first", 0, 2),
        ("second", 0, 2),
    ]
    assert told["scopes"][0]["told"] == "4 ops, 30 parameters"
    there = [s["text"] for s in told["steps"] if not s["back"]]
    back = [s["text"] for s in told["steps"] if s["back"]]
    assert there[0] == "Forward 1 of 5: matmul gives 3×5"
    assert there[-1] == "Forward 5 of 5: cross_entropy gives scalar"
    assert back[0].startswith("Backward 1 of 5: cross_entropy gets 1 and sends ")
    assert [s["card"] for s in told["steps"][5:]] == [s["card"] for s in told["steps"][4::-1]]
    assert not [s for s in details(view_of(network()), None)["steps"] if s["back"]]


# The file


@drawn
def test_the_policy_names_exactly_what_is_inside():
    html = drawing().html
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)[1]
    assert policy.startswith("default-src 'none'; img-src data:; ")
    (style,) = re.findall(r"<style>(.*?)</style>", html[: html.index("<script")], re.S)
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.S)
    for kind, text in (("style", style), ("script", script)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    assert "unsafe" not in policy
    assert not re.search(r'\sstyle="|\son\w+="', html[html.index("<body>") : html.index("<script")])


@drawn
def test_nothing_is_fetched():
    html = drawing().html.replace('xmlns="http://www.w3.org/2000/svg"', "")
    body = re.sub(r"<script>.*?</script>", "", html, flags=re.S)
    assert "http://" not in body
    assert "https://" not in body
    assert not re.search(r"<(link|iframe|object|base|img)\b|@import|url\(", html)
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|eval|innerHTML)\b", html)


@drawn
def test_a_lenet_is_small():
    images = gg.Tensor(np.random.default_rng(0).normal(size=(4, 28, 28, 1)), name="x")
    loss = gg.cross_entropy(gg.nn.LeNet(rng=0)(images), [0, 1, 2, 3])
    assert len(viz.draw(loss, flow=True, thumbnails=True).html.encode()) < 400_000


@drawn
def test_the_same_bytes_on_every_run():
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1]); import test_page as t;"
        "print(hashlib.sha256(t.drawing().html.encode()).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code, str(Path(__file__).parent)],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(seen) == 1


def hostile():
    x = gg.Tensor([1.0, 2.0], requires_grad=True, name=HOSTILE)
    with gg.scope(HOSTILE), gg.scope("b"):
        y = gg.exp(x)
        y.name = f"y{HOSTILE}"
    return viz.draw(y.sum(), flow=True, title=HOSTILE)


@drawn
def test_no_name_breaks_the_page():
    html = hostile().html
    assert html.count("</script>") == 2
    assert "<img" not in html
    assert "\x00" not in html
    assert "\u202e" not in html
    titles = [card["title"] for card in block(html)["cards"]]
    assert any(title.startswith("y</script><img src=x onerror=alert(1)>") for title in titles)
    start, end = html.index("<svg"), html.index("</svg>") + len("</svg>")
    ElementTree.fromstring(html[start:end])


# In a browser


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM)
        yield started
        started.close()


@pytest.fixture
def show(browser, tmp_path):
    """Opens a drawing; afterwards, nothing may have been complained about."""
    complaints = []
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)

    def opened(picture, **size):
        path = picture.save(tmp_path / "page.html")
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.log(e.violatedDirective))"
        )
        if size:
            page.set_viewport_size(size)
        page.goto(path.as_uri())
        return page

    yield opened
    context.close()
    assert complaints == []


def seen_box(page):
    return [float(v) for v in page.get_attribute("#stage svg", "viewBox").split()]


def card(page, title):
    return page.locator(f'g.node[aria-label^="{title},"]')


def heading(page, name):
    return page.locator(f'g.heading[aria-label="Collapse the scope {name}"]').first


def faded(page):
    """The titles of the cards that stand back."""
    return page.evaluate(
        "data.cards.filter((c) => cards.get(c.id).group.matches('.faded, .missed, .off'))"
        ".map((c) => c.title)"
    )


def picture_of(page):
    """The whole picture as text, without what the pointer and the focus change."""
    return page.evaluate(
        "svg.outerHTML.replace(/ viewBox=\"[^\"]*\"/, '').replace(/ ?faded/g, '')"
        '.replace(/ transform=""| class=""/g, \'\')'
    )


def panel_rows(page, section):
    """The facts of a section of the panel."""
    part = page.locator("#panel section", has=page.locator("h3", has_text=section)).first
    return dict(
        zip(
            part.locator("dt").all_text_contents(),
            part.locator("dd").all_text_contents(),
            strict=True,
        )
    )


@in_browser
def test_zoom_and_pan(show):
    page = show(drawing())
    x, y, width, height = seen_box(page)
    page.keyboard.press("+")
    a, b, narrow, _ = seen_box(page)
    assert narrow == pytest.approx(width / 1.25)
    assert (a, b) == pytest.approx((x + width * 0.1, y + height * 0.1))
    page.keyboard.press("-")
    assert seen_box(page) == pytest.approx([x, y, width, height])
    page.keyboard.press("ArrowRight")
    scale = page.evaluate("view.scale")
    assert seen_box(page)[0] == pytest.approx(x + 60 / scale)
    page.mouse.move(40, 700)
    page.mouse.down()
    page.mouse.move(140, 650, steps=4)
    page.mouse.up()
    assert seen_box(page)[:2] == pytest.approx([x - 40 / scale, y + 50 / scale])
    page.keyboard.press("0")
    assert seen_box(page) == pytest.approx([x, y, width, height])


@in_browser
def test_the_wheel_zooms_around_the_pointer(show):
    page = show(drawing())
    corner = page.evaluate("stage.getBoundingClientRect().toJSON()")

    def under(px, py):
        x, y, *_ = seen_box(page)
        scale = page.evaluate("view.scale")
        return [x + (px - corner["left"]) / scale, y + (py - corner["top"]) / scale]

    before, width = under(300, 400), seen_box(page)[2]
    page.mouse.move(300, 400)
    page.mouse.wheel(0, -200)
    page.wait_for_function(f"Number(svg.getAttribute('viewBox').split(' ')[2]) < {width - 1}")
    assert under(300, 400) == pytest.approx(before)


@in_browser
def test_the_panel_has_the_numbers_of_the_engine(show):
    loss = network()
    page = show(viz.draw(loss, flow=True))
    card(page, "tanh").click()
    data = loss.inputs[0].numpy()
    rows = panel_rows(page, "Values")
    assert rows["min"] == number(data.min())
    assert rows["std"] == number(data.std())
    cells = page.locator("#panel .numbers").first.locator("td").all_text_contents()
    assert cells == [number(v) for v in data.ravel()]
    assert page.locator("#panel h2").inner_text() == "tanh"
    assert page.locator("#panel .formula").inner_text() == "tanh x."
    assert page.locator("#panel .bars").first.locator("rect").count() == 25
    tanh = loss.inputs[0].retain_grad()
    loss.backward()
    norm = number(np.linalg.norm(tanh.grad.numpy()))
    assert panel_rows(page, "Gradient")["norm ‖∂L/∂y‖"] == norm
    page.get_by_role("button", name="cross_entropy", exact=True).click()
    assert page.locator("#panel h2").inner_text() == "cross_entropy"
    page.keyboard.press("Escape")
    assert page.locator("#panel").is_hidden()


@in_browser
@pytest.mark.parametrize("width", [1440, 800])
def test_the_panel_does_not_hide_its_card(show, width):
    page = show(drawing(), width=width, height=900)
    page.evaluate("view.scale = 0.8; look()")
    box = card(page, "tanh").bounding_box()
    page.mouse.move(10, 400)
    page.mouse.down()
    page.mouse.move(10 + width - 20 - box["x"], 400, steps=3)
    page.mouse.up()
    card(page, "tanh").click(position={"x": 5, "y": 5})
    box, panel = card(page, "tanh").bounding_box(), page.locator("#panel").bounding_box()
    assert box["x"] + box["width"] <= panel["x"]


@in_browser
def test_dragging_opens_nothing(show):
    page = show(drawing())
    box = card(page, "tanh").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 40, steps=3)
    page.mouse.up()
    assert page.locator("#panel").is_hidden()


@in_browser
def test_search(show):
    page = show(drawing())
    page.keyboard.press("/")
    page.keyboard.type("NET.second")
    assert page.inner_text("#matches") == "2 of 7"
    assert faded(page) == ["x", "matmul", "relu", "labels", "cross_entropy"]
    page.keyboard.press("Enter")
    assert page.inner_text("#matches") == "1 of 2"
    page.keyboard.press("Enter")
    assert page.locator(".found").get_attribute("aria-label").startswith("tanh,")
    page.keyboard.press("Enter")
    assert page.locator(".found").get_attribute("aria-label").startswith("matmul,")
    page.keyboard.press("Shift+Enter")
    assert page.locator(".found").get_attribute("aria-label").startswith("tanh,")
    page.keyboard.press("Escape")
    assert page.input_value("#search") == ""
    assert not page.locator(".missed").count()
    page.keyboard.press("Enter")
    assert page.locator("#panel h2").inner_text() == "tanh"
    page.fill("#search", "3×5")
    assert page.inner_text("#matches") == "2 of 7"


@in_browser
def test_search_opens_what_hides_a_match(show):
    page = show(drawing())
    page.click("#collapse")
    page.fill("#search", "tanh")
    page.keyboard.press("Enter")
    assert card(page, "tanh").is_visible()
    assert not card(page, "relu").is_visible()


@in_browser
def test_collapse_and_expand(show):
    page = show(drawing())
    before = picture_of(page)
    lower = card(page, "tanh").bounding_box()["y"]
    heading(page, "first").click()
    assert not card(page, "relu").is_visible()
    small = page.locator("g.summary")
    assert small.get_attribute("aria-label").startswith(
        "scope first, collapsed, 2 ops, 20 parameters, ‖∂y‖ "
    )
    assert card(page, "tanh").bounding_box()["y"] < lower - 20
    lanes = page.locator("g.edge.lane:not(.gone) > title").all_text_contents()
    assert len(lanes) == 3
    assert any("relu" in lane for lane in lanes)
    small.click()
    assert picture_of(page) == before
    page.click("#collapse")
    assert page.locator("g.summary").count() == 1
    assert page.locator("g.node:visible").count() == 4
    assert page.locator("g.edge:not(.gone)").count() == 4
    page.click("#expand")
    assert picture_of(page) == before


@in_browser
@pytest.mark.parametrize("closed", [[0], [1], [2], [1, 2], [0, 1]])
def test_nothing_overlaps_when_scopes_are_collapsed(show, closed):
    page = show(drawing())
    page.evaluate(f"for (const i of {closed}) scopes[i].closed = true; layout()")
    boxes = page.evaluate("seen")
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            beside = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
            above = a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"]
            assert beside or above


@in_browser
def test_a_bundle_is_as_wide_as_the_widest_lane(show):
    x = gg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    with gg.scope("net"):
        y, z = gg.sin(x), gg.cos(x)
    loss = (y * 1000.0 + z).sum()
    page = show(viz.draw(loss, flow=True))
    lanes = "g.lane:not(.gone) > path"
    widths = "(paths) => paths.map((path) => Number(path.getAttribute('stroke-width')))"
    before = page.eval_on_selector_all(lanes, widths)
    heading(page, "net").click()
    bundled = page.locator("g.lane:not(.gone)", has_text="2 links").locator("path")
    assert bundled.count() == 1
    assert float(bundled.get_attribute("stroke-width")) == max(before)
    assert "s-ramp7" in bundled.get_attribute("class")


@in_browser
def test_the_way_through_a_card_stands_out(show):
    x = gg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    y = gg.exp(x)
    left, right = gg.sin(y), gg.cos(y)
    page = show(viz.draw((left * right).sum(), flow=True))
    card(page, "sin").hover()
    assert faded(page) == ["cos"]
    page.mouse.move(5, 500)
    assert faded(page) == []
    card(page, "exp").focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert faded(page) == []
    card(page, "cos").hover()
    assert faded(page) == ["sin"]


@in_browser
def test_steps(show):
    page = show(drawing())
    assert page.inner_text("#said") == "The whole graph"
    page.keyboard.press(".")
    assert page.inner_text("#said") == "Forward 1 of 5: matmul gives 3×5"
    assert page.inner_text("#aloud") == "Forward 1 of 5: matmul gives 3×5"
    assert faded(page) == ["relu", "matmul", "tanh", "labels", "cross_entropy"]
    assert page.locator("g.now").get_attribute("aria-label").startswith("matmul,")
    assert page.locator("g.lane:not(.off)").count() == 0
    page.evaluate("find('step').value = 5; find('step').dispatchEvent(new Event('input'))")
    assert faded(page) == []
    page.click("#next")
    assert page.inner_text("#said").startswith("Backward 1 of 5: cross_entropy gets 1")
    assert page.locator("g.lane:not(.off)").count() == 1
    assert page.get_attribute("#step", "aria-valuetext") == page.inner_text("#said")
    page.keyboard.press(",")
    assert page.inner_text("#said").startswith("Forward 5 of 5")
    page.keyboard.press("Escape")
    assert page.input_value("#step") == "0"
    assert page.locator("g.off").count() == 0


@in_browser
def test_a_hidden_step_is_seen_on_what_hides_it(show):
    page = show(drawing())
    page.click("#collapse")
    page.keyboard.press(".")
    assert page.locator("g.now").get_attribute("aria-label").startswith("scope net, collapsed")


@in_browser
def test_play(show):
    page = show(drawing())
    page.clock.install()
    page.click("#play")
    assert page.inner_text("#play") == "Pause"
    assert page.input_value("#step") == "1"
    page.clock.run_for(2500)
    assert page.input_value("#step") == "3"
    page.keyboard.press("p")
    page.clock.run_for(5000)
    assert page.input_value("#step") == "3"
    page.keyboard.press("p")
    page.clock.run_for(20000)
    assert page.input_value("#step") == "10"
    assert page.inner_text("#play") == "Play"


@in_browser
def test_the_gradient_can_be_hidden(show):
    page = show(drawing())
    told = "svg text:visible"
    assert any("‖" in t for t in page.locator(told).all_text_contents())
    page.click("#gradient")
    assert page.get_attribute("#gradient", "aria-pressed") == "false"
    assert page.locator("g.lane:visible").count() == 0
    left = page.locator(told).all_text_contents()
    assert not [t for t in left if "‖" in t or "gain" in t]
    assert "tanh" in left
    assert "3×5" in left
    page.keyboard.press("g")
    assert page.locator("g.lane:visible").count() == 4


@in_browser
def test_without_a_gradient_there_is_nothing_to_hide(show):
    page = show(viz.draw(network()))
    assert page.locator("#gradient").is_hidden()
    assert page.get_attribute("#step", "max") == "5"


@in_browser
def test_dark_light_and_auto(show):
    page = show(drawing())

    def ink():
        return page.evaluate("getComputedStyle(layer.querySelector('.f-ink')).fill")

    light, dark = "rgb(27, 36, 48)", "rgb(230, 237, 243)"
    page.emulate_media(color_scheme="light")
    assert ink() == light
    page.emulate_media(color_scheme="dark")
    assert ink() == dark
    page.click("#look")
    assert (page.inner_text("#look"), ink()) == ("Look: light", light)
    page.keyboard.press("d")
    page.emulate_media(color_scheme="light")
    assert (page.inner_text("#look"), ink()) == ("Look: dark", dark)
    page.keyboard.press("d")
    assert (page.inner_text("#look"), ink()) == ("Look: auto", light)


def saved(page):
    with page.expect_download() as waiting:
        page.keyboard.press("s")
    assert waiting.value.suggested_filename == "A_small_net.svg"
    return Path(waiting.value.path()).read_text(encoding="utf-8")


@in_browser
def test_the_saved_svg_is_what_is_seen(show):
    page = show(drawing())
    root = ElementTree.fromstring(saved(page))
    whole = [g for g in root.iter(f"{SPACE}g") if "node" in (g.get("class") or "").split()]
    assert len(whole) == 7
    page.click("#collapse")
    page.click("#gradient")
    page.keyboard.press(".")
    text = saved(page)
    root = ElementTree.fromstring(text)
    nodes = [g for g in root.iter(f"{SPACE}g") if "node" in (g.get("class") or "").split()]
    assert [g.get("class") for g in nodes if "summary" in g.get("class")] == ["node summary"]
    assert len(nodes) == 4
    assert not [t for t in root.iter(f"{SPACE}text") if "‖" in (t.text or "")]
    assert "@media (prefers-color-scheme:dark)" in text
    shapes = [e for e in root.iter() if e.tag.rpartition("}")[2] in ("rect", "polygon", "path")]
    assert all(shape.get("fill") for shape in shapes)  # light without the style sheet
    *_, width, height = root.get("viewBox").split()
    assert (root.get("width"), root.get("height")) == (f"{width}pt", f"{height}pt")


@in_browser
def test_everything_by_keyboard(show):
    page = show(drawing())
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("g")
    assert page.get_attribute("#gradient", "aria-pressed") == "true"
    page.keyboard.press("Escape")
    assert page.locator("#help").is_hidden()
    reached = set()
    page.locator("#search").focus()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.getAttribute('aria-label')"))
    for name in ("relu,", "Collapse the scope first", "Step", "Zoom in", "labels,"):
        assert any((label or "").startswith(name) for label in reached), name
    card(page, "relu").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "relu"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("relu,")
    page.keyboard.press("c")
    assert not card(page, "relu").is_visible()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith(
        "scope first, collapsed"
    )
    page.keyboard.press("c")
    assert card(page, "relu").is_visible()
    page.keyboard.press(" ")
    assert not card(page, "relu").is_visible()


@in_browser
def test_a_card_that_gets_the_focus_comes_into_view(show):
    page = show(drawing())
    for _ in range(8):
        page.keyboard.press("+")
    for _ in range(40):
        page.keyboard.press("ArrowLeft")
    page.locator("#keys").focus()
    page.keyboard.press("Tab")
    box = page.evaluate("document.activeElement.getBoundingClientRect().toJSON()")
    assert box["right"] > 0
    assert box["left"] < 1440


@in_browser
def test_a_small_window(show):
    page = show(drawing(), width=800, height=600)
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
    card(page, "tanh").click()
    box = page.locator("#panel").bounding_box()
    assert box["x"] + box["width"] <= 800
    assert box["x"] >= 0
    for tool in ("#search", "#keys", "#step", "#play"):
        place = page.locator(tool).bounding_box()
        assert 0 <= place["x"] <= place["x"] + place["width"] <= 800
        assert 0 <= place["y"] <= place["y"] + place["height"] <= 600


@in_browser
def test_hostile_names_in_the_browser(show):
    page = show(hostile())
    page.locator('g.node[aria-label^="y</script>"]').click()
    assert page.locator("#panel h2").inner_text().startswith("y</script><img src=x onerror=")
    page.click("#collapse")
    assert page.locator("g.summary").count() == 1
    assert page.locator("img").count() == 0


@in_browser
@pytest.mark.parametrize(
    "options", [{"backward": True}, {"flow": True, "detail": "overview"}, {"thumbnails": True}]
)
def test_other_kinds_of_drawings(show, options):
    page = show(viz.draw(network(), **options))
    page.click("#collapse")
    page.click("#expand")
    for _ in range(10):
        page.keyboard.press(".")
    card(page, "tanh").click()
    assert page.locator("#panel h2").inner_text() == "tanh"


@in_browser
def test_a_graph_without_ops_or_scopes(show):
    page = show(viz.draw(gg.Tensor([1.0], name="x")))
    assert page.locator("#folding").is_hidden()
    assert page.get_attribute("#step", "max") == "0"
    card(page, "x").click()
    assert panel_rows(page, "Values")["max"] == "1"
