"""Pixels of a picture, by a rasteriser that is an optional extra."""

from __future__ import annotations

from xml.etree import ElementTree

from gradgraph.errors import GradgraphError, MissingExtraError

from .svg import SVG

SCALE = 2  # pixels for each point
LATIN = 0x24F  # the last letter that every font has
COMMON = frozenset("–—‘’“”•…−×÷·∂√∞≈≤≥←↑→↓▲▼")  # signs that Arial and its kin have, too
# For text with signs like ‖: where a font lacks one, the rasteriser would take some other
# font for all of the text; this one has them, and letters as wide as Arial's.
SIGNS = "font-family:'DejaVu Sans',Arial,sans-serif;font-stretch:condensed"


class RasterError(GradgraphError, RuntimeError):
    """A picture could not be turned into pixels."""


def png(svg: str, scale: float = SCALE) -> bytes:
    """A PNG of an SVG text, in its light colours.

    Raises:
        MissingExtraError: if there is no rasteriser.
        RasterError: if it failed.
    """
    try:
        import resvg_py
    except ImportError:
        raise MissingExtraError(
            "viz",
            "PNG needs the package resvg-py, which is not installed",
            'Run pip install "gradgraph-engine[png]", or save as .svg or .html.',
        ) from None
    root = ElementTree.fromstring(svg)
    root.attrib.pop("style", None)  # "height:auto" is for browsers
    for text in root.iter(f"{{{SVG}}}text"):
        if any(ord(c) > LATIN and c not in COMMON for c in text.text or ""):
            text.set("style", f"{SIGNS};{text.get('style', '')}")  # before that of a class
    plain = ElementTree.tostring(root, encoding="unicode")
    try:
        return bytes(resvg_py.svg_to_bytes(svg_string=plain, zoom=scale, dpi=72))
    except Exception as error:
        raise RasterError("viz", f"the rasteriser failed: {error}", "Save as .svg.") from error
