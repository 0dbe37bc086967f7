"""The page of all ops: it names every one, shows what is there, and is made from the code."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import gradgraph as gg
from gradgraph import viz
from gradgraph.viz import engine

DOCS = Path(__file__).resolve().parents[1] / "docs"
SPACE = "{http://www.w3.org/2000/svg}"
TEXT = (DOCS / "ops.md").read_text(encoding="utf-8")


def _generator():
    spec = importlib.util.spec_from_file_location("ops_run", DOCS / "ops" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


run = _generator()
choose, compact, recorded = run.choose, run.compact, run.recorded
needs_port = pytest.mark.skipif(
    not engine._port(), reason="the drawings are made by graphviz-pure, of the extra `viz`"
)


def names(graph):
    return [step.op.name for step in graph.steps]


def test_the_page_names_every_op_and_every_public_function():
    assert run.missing(TEXT) == []


def test_what_the_page_lacks_is_found():
    assert run.missing(TEXT.replace("### `relu`", "### relu").replace("### `stack`", "")) == [
        "relu",
        "stack",
    ]


def test_images_and_files_belong_together():
    shown = set(re.findall(r'<img src="ops/(\w+\.svg)"', TEXT))
    assert shown == {path.name for path in (DOCS / "ops").glob("*.svg")}
    assert {f"{cls.name}.svg" for cls in run.ops() if choose.shown(cls)} <= shown


def test_no_name_has_two_headings():
    headings = re.findall(r"^### `(\w+)`", TEXT, re.M)
    assert len(headings) == len(set(headings))


def test_names_from_elsewhere_lead_to_what_exists():
    for here in run.NAMES.values():
        for name in re.findall(r"gg\.(\w+)", here):
            assert hasattr(gg, name)
        for name in re.findall(r"\bx\.(\w+)", here):
            assert hasattr(gg.Tensor, name)


def test_what_numpy_does_otherwise_is_not_said_to_be_the_same():
    assert run.numpys("sum")
    assert run.numpys("hypot")
    assert run.numpys("isnan")
    assert not run.numpys("put")
    assert not run.numpys("relu")


def test_long_parameters_are_cut():
    assert run.shown((1, 2)) == "(1, 2)"
    assert run.shown(tuple(range(50))) == "tuple(…)"


def test_links_lead_to_headings():
    anchors = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", TEXT, re.M)
    }
    assert set(re.findall(r"\(#([\w-]+)\)", TEXT)) <= anchors


@pytest.mark.parametrize("cls", run.ops(), ids=lambda cls: cls.name)
def test_a_sample_that_is_shown_has_elements_and_the_same_ones_each_time(cls):
    sample, again = choose.shown(cls), choose.shown(cls)
    if sample is None:
        assert cls.name == "part"  # its argument is a tuple
        return
    assert all(np.size(a) for a in sample.args)
    assert sample.specs == again.specs
    for a, b in zip(sample.args, again.args, strict=True):
        np.testing.assert_array_equal(a, b)


def test_scalars_show_what_is_shared_and_stay_few():
    graph = choose.unfolded(gg.Op.registry["conv"])
    assert len(graph.vertices) <= choose.LIKED
    readers = [i for step in graph.steps for i in step.inputs if graph.names[i]]
    assert len(readers) > len(set(readers))  # some element is read twice
    assert choose.unfolded(gg.Op.registry["greater"]) is None
    assert choose.unfolded(gg.Op.registry["reshape"]) is None


def test_what_a_function_records_is_read_off_its_example():
    assert names(recorded(gg.stack)) == ["reshape", "reshape", "concatenate"]
    assert names(recorded(gg.mse_loss)) == ["squared_error"]
    assert names(recorded(gg.conv)) == ["conv"]


def squared(x):
    """Its example has integers only.

    >>> squared(np.array([1, 2]))
    array([1, 4])
    """
    return x * x


def silent(x):
    """No example."""
    return x


def test_examples_of_integers_and_functions_without_one(monkeypatch):
    monkeypatch.setattr(gg, "squared", squared, raising=False)
    monkeypatch.setattr(gg, "silent", silent, raising=False)
    assert names(recorded(squared)) == ["multiply"]
    assert recorded(silent) is None


def test_the_rules_of_an_op_are_shown_without_types_and_docstrings():
    assert run.rules(gg.Op.registry["multiply"]).splitlines() == [
        "def vjp_x(self, g, out, x, y):",
        "    return g * y",
        "# jvp_x: linear, the op itself",
        "def vjp_y(self, g, out, x, y):",
        "    return g * x",
        "# jvp_y: linear, the op itself",
    ]
    tanh, where, part = (gg.Op.registry[n] for n in ("tanh", "where", "part"))
    assert "# jvp_x: diagonal, the same as vjp_x" in run.rules(tanh)
    assert run.rules(where).startswith("# condition: no derivative\n")
    assert '"""' not in run.rules(part)


def test_a_signature_has_no_types():
    assert run.signature(gg.squared_loss) == "squared_loss(guess, actual, *, reduction='sum')"


def test_a_sample_in_words():
    sample = choose._recorded(gg.Op.registry["sum"].of((-1,), False), (np.ones((2, 3)),))
    assert run.described(sample) == (
        "Sample: `sum(axis=(-1,), keepdims=False)` of x float64 2×3 → float64 2; 6 FLOPs."
    )


@needs_port
def test_a_compact_drawing_shows_the_same_texts_and_shapes():
    svg = viz.draw(gg.relu, np.ones((2, 3)), engine=engine._port()).svg
    small = compact(svg)
    assert len(small) < len(svg) / 2
    before, after = map(ElementTree.fromstring, (svg, small))

    def seen(root, kind):
        found = [e for e in root.iter(SPACE + kind) if kind != "text" or (e.text or "").strip()]
        kept = ("points", "d", "fill", "stroke", "class", "x", "y", "font-weight")
        return [(e.text, *(e.get(k) for k in kept)) for e in found]

    for kind in ("text", "polygon", "path"):
        assert seen(before, kind) == seen(after, kind)
    for text in after.iter(SPACE + "text"):
        for attribute in ("font-family", "font-size"):
            assert text.get(attribute) or after.get(attribute)
    (style,) = after.iter(SPACE + "style")
    assert {"f-paper", "f-ink", "s-activation"} <= set(re.findall(r"\.([\w-]+)\{", style.text))
    assert "prefers-color-scheme:dark" in style.text
    assert "ramp" not in style.text


@needs_port
def test_the_check_names_what_is_stale(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "HERE", tmp_path)
    monkeypatch.setattr(run, "PAGE", tmp_path / "ops.md")
    monkeypatch.setattr(run, "ops", lambda: [gg.Op.registry["sin"]])
    monkeypatch.setattr(run, "functions", lambda: {"sin": gg.sin})
    files = run.everything()
    files.write()
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".svg"]
    assert files.stale() == []
    (tmp_path / "sin.svg").write_text("old")
    (tmp_path / "gone.svg").write_text("of an op that was removed")
    assert [p.name for p in files.stale()] == ["gone.svg", "sin.svg"]
    monkeypatch.setattr(sys, "argv", ["run.py", "--check"])
    monkeypatch.setattr(run, "everything", lambda: files)
    monkeypatch.setattr(run, "HERE", tmp_path)
    with pytest.raises(SystemExit, match=r"these differ: .*gone.svg.*sin.svg"):
        run.main()
    files.write()
    assert files.stale() == []
    assert not (tmp_path / "gone.svg").exists()
