"""In continuous integration nothing is skipped but what reads the folder beside the clone, which not everybody has."""

import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from tests.postgres import Postgres, running_postgres

_NOT_THERE = "shared"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure when CI is set: a check that did not run is no check."""
    report = yield
    reason: Any = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    expected_to_fail = hasattr(report, "wasxfail")
    if os.environ.get("CI") == "true" and report.skipped and not expected_to_fail and _NOT_THERE not in str(reason):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {reason}"
    return report


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server
