"""The pytest plugin: `pytest --gradgraph-report` prints a table of every gradient check."""

from __future__ import annotations

import os
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
        LISTENERS.append(_keep)


def _keep(report: Any) -> None:
    """Remember a report, with the test that it belongs to if that does not say."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition("::")[2].partition(" ")[0]
    if test and report.name not in test:
        report.name = f"{test}: {report.name}"
    _REPORTS.append(report)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop collecting."""
    report = sys.modules.get("gradgraph.testing.report")
    if report is not None and _keep in report.LISTENERS:
        report.LISTENERS.remove(_keep)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table."""
    if not config.getoption("--gradgraph-report") or config.getoption("collectonly"):
        return
    from .report import table

    terminalreporter.section("gradient checks")
    lines = table(_REPORTS) if _REPORTS else "no gradient was checked"
    terminalreporter.write_line(lines)
