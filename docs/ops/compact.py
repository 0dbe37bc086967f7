"""SVG without what an image on a page has no use for: a page shows hundreds of them."""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree

SVG = "http://www.w3.org/2000/svg"
_RULE = re.compile(r"#[\w-]+ \.([\w-]+)\{[^{}]*\}")


def compact(svg: str) -> str:
    """The same picture, as an image: rules of classes that it has not, what only a pointer or a
    keyboard reaches, blank texts and repeated fonts go.

    >>> small = compact('<svg xmlns="http://www.w3.org/2000/svg"><style>#a .b{c:d}</style></svg>')
    >>> "#a" in small
    False
    """
    ElementTree.register_namespace("", SVG)
    root = ElementTree.fromstring(svg)
    used = {name for e in root.iter() for name in e.get("class", "").split()}
    for style in root.iter(f"{{{SVG}}}style"):
        rules = _RULE.sub(lambda m: m[0] if m[1] in used else "", style.text or "")
        style.text = rules
    for parent in list(root.iter()):
        parent.tail = None
        if not (parent.text or "").strip():
            parent.text = None
        if parent.tag == f"{{{SVG}}}g":
            for attribute in ("id", "role", "tabindex", "aria-label"):
                parent.attrib.pop(attribute, None)
        for child in list(parent):
            blank = not (child.text or "").strip() and not len(child)
            if (child.tag == f"{{{SVG}}}text" and blank) or (
                child.tag == f"{{{SVG}}}title" and parent is not root
            ):
                parent.remove(child)
    texts = list(root.iter(f"{{{SVG}}}text"))
    for attribute in ("font-family", "font-size", "text-anchor"):
        values = Counter(t.get(attribute) for t in texts if t.get(attribute))
        if values and all(t.get(attribute) for t in texts):
            common = values.most_common(1)[0][0]
            root.set(attribute, str(common))
            for text in texts:
                if text.get(attribute) == common:
                    del text.attrib[attribute]
    return ElementTree.tostring(root, encoding="unicode") + "\n"
