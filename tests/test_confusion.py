"""Pictures of confusion matrices."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

import gradgraph as gg
from gradgraph import viz


def test_every_number_is_there_and_what_is_right_has_a_colour_of_its_own():
    picture = viz.confusion([[8, 2], [0, 10]], ["cat", "<no> cat"], title="Cats & others")
    root = ET.fromstring(picture.svg)
    texts = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"8", "2", "10", "Cats & others", "<no> cat"} <= set(texts)
    assert "0" not in texts
    kinds = [r.get("class") for r in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert kinds.count("cell") == 4
    assert (kinds.count("right"), kinds.count("wrong")) == (2, 1)  # nothing is on an empty cell
    titles = [t.text for t in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "cat taken for <no> cat: 2 (20%)" in titles
    assert repr(picture) == "Confusion(18 of 20 right)"


def test_it_is_written_and_shown(tmp_path):
    picture = viz.confusion(np.eye(3, dtype=int))
    assert picture.save(tmp_path / "a.svg").read_text(encoding="utf-8") == picture.svg
    assert picture.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert picture._repr_svg_() == picture.svg
    with pytest.raises(gg.DomainError, match="no format"):
        picture.save(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["a\x00b", "a\ud800", "<script>", "x" * 500, "", "\n"])
def test_hostile_names(name, tmp_path):
    path = viz.confusion([[8, 2], [1, 9]], [name, "c"], title=name).save(tmp_path / "a.svg")
    ET.parse(path)


def test_a_class_without_items():
    assert "nan" not in viz.confusion([[0, 0], [0, 3]]).svg


@pytest.mark.parametrize(
    ("matrix", "names", "kind", "words"),
    [
        (np.zeros((2, 3), int), None, gg.ShapeError, "2×3"),
        (np.zeros((0, 0), int), None, gg.ShapeError, "0×0"),
        (np.eye(2), None, gg.DTypeError, "no counts"),
        ([[1, -1], [0, 1]], None, gg.DTypeError, "no counts"),
        (np.eye(2, dtype=int), ["a"], gg.ShapeError, "1 names for 2 classes"),
        (np.eye(2, dtype=int), "ab", gg.DTypeError, "names is 'ab', one text"),
        ([[1, 2], [3]], None, gg.ShapeError, "0×0"),
    ],
)
def test_errors_teach(matrix, names, kind, words):
    with pytest.raises(kind, match=words):
        viz.confusion(matrix, names)
