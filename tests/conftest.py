"""Options and hypothesis profiles of the test suite."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--examples",
        type=int,
        default=50,
        help="hypothesis examples per op and law (default 50)",
    )
    parser.addoption(
        "--random",
        action="store_true",
        help="draw new random examples instead of the fixed ones of CI",
    )


def pytest_configure(config: pytest.Config) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    settings.register_profile(
        "gradgraph",
        max_examples=config.getoption("--examples"),
        derandomize=not config.getoption("--random"),
        database=None,
        deadline=None,  # a slow machine is not a wrong rule
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("gradgraph")
