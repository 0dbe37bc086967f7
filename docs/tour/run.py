"""Run the tour: every Python block of its pages, in order, with what it printed and drew below.

    pip install -e ".[tour,train,testing,viz]" && python docs/tour/run.py [--check] [page ...]

With `--check` the pages are run but not written: an error or a failing assertion ends it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import sys
import time
import traceback
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BLOCK = re.compile(
    r"```python\n(?P<code>.*?)```\n(?P<output>\n?<!-- output -->\n.*?<!-- end -->\n)?", re.S
)


class Page:
    """One page while it runs."""

    def __init__(self, path: Path, write: bool) -> None:
        self.path = path
        self.write = write
        self.images: list[str] = []
        self.space: dict[str, Any] = {"__name__": "tour", "figure": self.figure}

    def figure(self, picture: Any, name: str, words: str) -> None:
        """Show a drawing (anything with `.svg`) or a matplotlib figure below the block."""
        file = f"figures/{self.path.stem}-{name}.svg"
        if hasattr(picture, "svg"):
            text = picture.svg
        else:
            drawn = io.StringIO()
            picture.savefig(drawn, format="svg", bbox_inches="tight", metadata={"Date": None})
            text = drawn.getvalue()
            sys.modules["matplotlib.pyplot"].close(picture)
        if self.write:
            (HERE / "figures").mkdir(exist_ok=True)
            (HERE / file).write_text(text, encoding="utf-8")
        self.images.append(f"![{words}]({file})")

    def run(self, match: re.Match[str]) -> str:
        """The block with its output, after running it."""
        code = match["code"]
        printed = io.StringIO()
        self.images.clear()
        line = self.path.read_text(encoding="utf-8").count("\n", 0, match.start()) + 1
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile("\n" * line + code, str(self.path), "exec"), self.space)
        except Exception:
            traceback.print_exc()
            sys.exit(f"{self.path.name}: the block at line {line} failed")
        text = printed.getvalue().rstrip()
        output = ([f"```text\n{text}\n```"] if text else []) + self.images
        block = f"```python\n{code}```\n"
        if not output:
            return block
        return block + "\n<!-- output -->\n" + "\n\n".join(output) + "\n<!-- end -->\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", help="e.g. 7_1_filters")
    parser.add_argument("--check", action="store_true", help="run, but write nothing")
    args = parser.parse_args()
    sys.path[:0] = [str(ROOT / "examples"), str(HERE)]
    paths = [HERE / f"{name}.md" for name in args.pages] or sorted(HERE.glob("7_*.md"))
    for path in paths:
        start = time.perf_counter()
        page = Page(path, write=not args.check)
        text = BLOCK.sub(page.run, path.read_text(encoding="utf-8"))
        if page.write:
            path.write_text(text, encoding="utf-8")
        print(f"{path.name}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
