"""Our docstrings as the site's generator wants them.

Examples stand without a heading, so they are fenced; what a Raises section says of errors that
another function describes becomes a paragraph of its own.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"(?m)^>>> [\s\S]*?(?=\n\s*\n|\Z)")
_ELSEWHERE = re.compile(r"(?m)^ {4}((?:Also|As) [\s\S]*?\.)(?=\n {4}\w|\n\s*\n|\Z)")


_SEVERAL = re.compile(r"(?m)^ {4}(\w+(?:, \w+)+): ([\s\S]*?)(?=\n {4}\S|\n\s*\n|\n\S|\Z)")


def _each(match: re.Match[str]) -> str:
    """What is said of several arguments at once, said of each."""
    return "\n".join(f"    {name}: {match[2]}" for name in match[1].split(", "))


class Docstrings(griffe.Extension):
    """Rewrites each docstring before it is parsed."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Fence the examples, and take sentences out of the list of errors."""
        if obj.docstring is None:
            return
        text = obj.docstring.value
        text = _ELSEWHERE.sub(lambda m: "\n" + re.sub(r"\s+", " ", m[1]) + "\n", text)
        text = _SEVERAL.sub(_each, text)
        obj.docstring.value = _EXAMPLE.sub(lambda m: f"\n```pycon\n{m[0]}\n```\n", text)
