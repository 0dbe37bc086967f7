"""The ledger of the tour is complete: every test of the chapter is in it, every link leads on."""

from __future__ import annotations

import re
from pathlib import Path

from . import test_chapter as chapter

TOUR = Path(__file__).parent.parent / "docs" / "tour"
LEDGER = (TOUR / "ledger.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| `(test_\w+)` \| \[[\d.]+\]\((\S+?)\) \|$", LEDGER, re.M)


def prose(page):
    """A page without its code and its outputs."""
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_test_of_the_chapter_stands_for_a_statement():
    tests = {name for name in vars(chapter) if name.startswith("test_")}
    assert tests == {test for _, test, _ in ROWS}
    assert len(ROWS) == LEDGER.count("| `test_")


def test_all_six_study_questions():
    assert re.findall(r"study question (\d)", LEDGER) == list("123456")


def test_every_place_in_the_tour_exists():
    for _, _, place in ROWS:
        page, _, anchor = place.partition("#")
        assert (TOUR / page).exists()
        assert not anchor or anchor in anchors(TOUR / page), place


def test_every_figure_and_page_of_the_tour_exists_and_is_used():
    pages = list(TOUR.glob("*.md"))
    used = set()
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)", prose(page)):
            assert (TOUR / target).exists(), f"{page.name}: {target}"
            used.add(target)
    drawn = {f"figures/{path.name}" for path in (TOUR / "figures").iterdir()}
    assert drawn <= used
