"""From the engine's SVG to one that is safe, can be read aloud, and follows dark surroundings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from xml.etree import ElementTree

from . import theme
from .compose import together
from .dot import Picture
from .png import data_uri
from .thumbs import Strip, enlarged

SVG = "http://www.w3.org/2000/svg"
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
_FORBIDDEN = {"script", "foreignObject", "iframe", "style", "image", "use"}
_LINKS = ("#", "http://", "https://")
_ROLES = {light: role for role, (light, _) in theme.COLOURS.items()}


def finish(parts: Sequence[str], picture: Picture) -> str:
    """The final SVG text.

    Every id gets a prefix made from the picture, so that several can stand on one page; nothing
    that could run or load is kept; colours become classes with a dark variant; the whole, the
    cards, the links and the clusters get their words.

    Args:
        parts: SVG texts of the engine: of the whole, or of the heading and of each column.
        picture: the DOT text that it was made from, and its words.
    """
    drawn = [ElementTree.fromstring(part) for part in parts]
    prefix = "gg" + sha256(picture.dot.encode()).hexdigest()[:8]
    for part in drawn:
        _sanitise(part)
    root = drawn[0] if len(drawn) == 1 else together(drawn, picture)
    _place_images(root, picture.images)
    for element in root.iter():
        _paint(element)
    _trim(root)
    _name(root, prefix, picture.words)
    _raise_titles(root)
    root.set("id", prefix)
    root.set("xmlns", SVG)
    root.set("role", "graphics-document")
    root.set("aria-labelledby", f"{prefix}-title {prefix}-desc")
    root.set("preserveAspectRatio", "xMidYMin meet")
    root.set("style", "max-width:100%;height:auto")
    head = [
        _element("title", picture.title, id=f"{prefix}-title"),
        _element("desc", picture.description or picture.title, id=f"{prefix}-desc"),
        _element("style", _sheet(prefix)),
    ]
    for i, element in enumerate(head):
        root.insert(i, element)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _sanitise(root: ElementTree.Element) -> None:
    """Drop namespaces, what could run or load, and every title that the engine made up."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for name in list(element.attrib):
            value = element.attrib.pop(name)
            local = name.rpartition("}")[2]
            if name == _SPACE:
                element.set("xml:space", value)
            elif not local.startswith("on") and (
                local != "href" or value.strip().lower().startswith(_LINKS)
            ):
                element.set(local, value)
        for child in list(element):
            if child.tag.rpartition("}")[2] in _FORBIDDEN | {"title"}:
                element.remove(child)


def _place_images(root: ElementTree.Element, images: Mapping[str, Strip]) -> None:
    """The images take the place of the cells that were kept free for them."""
    for group in list(root.iter("g")):
        for i, polygon in enumerate(list(group)):
            strip = images.get(polygon.get("fill", ""))
            if polygon.tag != "polygon" or strip is None:
                continue
            points = [p.split(",") for p in polygon.get("points", "").split()]
            xs, ys = ([float(p[k]) for p in points] for k in (0, 1))
            box = {
                "x": min(xs), "y": min(ys), "width": max(xs) - min(xs), "height": max(ys) - min(ys)
            }  # fmt: skip
            image = ElementTree.Element("image", {k: f"{v:.2f}" for k, v in box.items()})
            image.set("href", data_uri(enlarged(strip.images[0], strip.size)))
            image.set("preserveAspectRatio", "none")
            image.set("class", "pixels")
            group[i] = image


def _paint(element: ElementTree.Element) -> None:
    """Classes for the colours that the theme knows; the attributes stay for old readers."""
    classes = []
    for paint in ("fill", "stroke"):
        role = _ROLES.get(element.get(paint, ""))
        if role:
            classes.append(f"{paint[0]}-{role}")
    if element.tag == "text":
        if element.get("fill") is None:
            classes.append("f-ink")
        element.set("font-family", theme.FAMILY)
        if (element.text or "").strip(" \u00a0") != element.text:
            element.set("xml:space", "preserve")
    if classes:
        element.set("class", " ".join(classes))


def _trim(root: ElementTree.Element) -> None:
    """No seams between the cells of a card; arrowheads that keep to their size."""
    for group in root.iter("g"):
        for polygon in group.findall("polygon"):
            if group.get("class") == "edge":
                polygon.set("stroke-width", "1")
            elif polygon.get("stroke") in (None, "none", "transparent"):
                polygon.set("shape-rendering", "crispEdges")


def _name(root: ElementTree.Element, prefix: str, words: Mapping[str, str]) -> None:
    """Prefixed ids; words for everything that has some."""
    for element in root.iter("g"):
        mine = element.attrib.pop("id", None)
        if mine is None:
            continue
        element.set("id", f"{prefix}-{mine}")
        if mine in words:
            element.insert(0, _element("title", words[mine]))
            if mine[0] in "nbc":
                element.set("role", "group" if mine[0] == "c" else "img")
                element.set("aria-label", words[mine])
            if mine[0] in "nb":
                element.set("tabindex", "0")


def _raise_titles(root: ElementTree.Element) -> None:
    """Move the clusters' names to the end, above the links that run through them."""
    for graph in root.iter("g"):
        clusters = [g for g in graph if g.get("class") == "cluster"]
        for cluster in clusters:
            for text in cluster.findall("text"):
                cluster.remove(text)
                text.set("class", f"{text.get('class', '')} halo".strip())
                graph.append(text)


def _sheet(prefix: str) -> str:
    """The style sheet: focus, halo, and the dark colours; it touches this drawing only."""
    dark = "".join(
        f"#{prefix} .f-{role}{{fill:{dark}}}#{prefix} .s-{role}{{stroke:{dark}}}"
        for role, (_, dark) in theme.COLOURS.items()
    )
    light_halo, dark_halo = (
        f"#{prefix} .halo{{paint-order:stroke;stroke:{colour};stroke-width:4px}}"
        for colour in theme.COLOURS["cluster"]
    )
    focus = f"#{prefix} .node:focus{{outline:2px solid #4493f8;outline-offset:2px}}"
    pixels = f"#{prefix} .pixels{{image-rendering:pixelated}}"
    return f"{focus}{pixels}{light_halo}@media (prefers-color-scheme:dark){{{dark}{dark_halo}}}"


def _element(tag: str, text: str, **attributes: str) -> ElementTree.Element:
    element = ElementTree.Element(tag, attributes)
    element.text = text
    return element
