"""The benchmark of dashboards runs, and every program answers its queries."""

import pytest
from bench.bench_dashboards import LONG_QUERIES, PROGRAMS, QUERIES, Size, run


def test_dashboards_are_asked_of_prometheus_and_of_us(capsys: pytest.CaptureFixture[str]) -> None:
    programs = {name: PROGRAMS[name] for name in ("prometheus", "watchkeeper")}
    run(Size(1, 0.5, 60, 60, QUERIES + LONG_QUERIES), 0.0, programs, each=True)
    told = capsys.readouterr().out
    assert all(f"{title} " in told for title in ("instant, cold", "range, cold", "range, refreshed"))
    assert told.count("x prometheus") == 5
