"""What the site has besides the pages of docs/: the README as its first page, measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add index.md, the README with links that count from docs/, and the measurements."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("](docs/", "](")
    files.append(File.generated(config, "index.md", content=text))
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "benchmarks/RESULTS.md", content=results))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links from docs/ to the measurements beside it: on the site they are inside."""
    return markdown.replace("](../benchmarks/", "](benchmarks/")
