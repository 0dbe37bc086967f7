"""The pytest plugin: `pytest --gradgraph-report` prints a table of every gradient check."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

_REPORTS: list[Any] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("gradgraph").addoption(
        "--gradgraph-report",
        action="store_true",
        help="print what every gradient check tried, and how well the laws held",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect reports if they are asked for."""
    if config.getoption("--gradgraph-report"):
        from .report import LISTENERS

        _REPORTS.clear()
        LISTENERS.append(_REPORTS.append)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop collecting."""
    report = sys.modules.get("gradgraph.testing.report")
    if report is not None and _REPORTS.append in report.LISTENERS:
        report.LISTENERS.remove(_REPORTS.append)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table."""
    if not config.getoption("--gradgraph-report"):
        return
    from .report import table

    terminalreporter.section("gradient checks")
    lines = table(_REPORTS) if _REPORTS else "no gradient was checked"
    terminalreporter.write_line(lines)
