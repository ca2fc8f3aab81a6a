"""The same native histograms, the same expressions: our answers equal those of a real Prometheus 3.5."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.peers import PEERS
from tests.query.promql.histogram_peer import END_S
from tests.query.promql.promql_peer import Ours, Prometheus
from tests.query.promql.test_differential import difference

from watchkeeper.app.commands.ask import result_lines

pytestmark = pytest.mark.peer

EXPRESSIONS = [
    line
    for line in (Path(__file__).parent / "histogram_expressions.txt").read_text().splitlines()
    if line and line[0] != "#"
]
INSTANTS = [END_S - 1800, END_S - 1234.5, END_S - 400.3, END_S - 20, END_S + 200]
RANGE = {"start": str(END_S - 2300), "end": str(END_S + 400), "step": "37"}


def differences(prometheus: Prometheus, ours: Ours, expr: str) -> list[str]:
    found = []
    asked: list[tuple[str, dict[str, Any]]] = [("/api/v1/query", {"query": expr, "time": str(at)}) for at in INSTANTS]
    if not expr.endswith("]") and "] offset" not in expr:
        asked.append(("/api/v1/query_range", {"query": expr, **RANGE}))
    for path, params in asked:
        both = (prometheus.get(path, **params), ours.get(path, **params))
        found.append((params.get("time", "range"), difference(*both)))
    return [f"{expr} {when}: {text}" for when, text in found if text]


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_answer_is_prometheus_own(prometheus_histograms: Prometheus, our_histograms: Ours, expr: str) -> None:
    assert not differences(prometheus_histograms, our_histograms, expr)


@pytest.mark.parametrize(
    "expr",
    [
        "latency_seconds",
        "sum(custom_seconds)",
        "rate(latency_seconds[2m])",
        "count_over_time(changing[5m])",
        "changing or latency_seconds",
        "max_over_time(sum(queue_size)[5m:1m])",
        "sum_over_time(gappy_seconds[5m:1m])",
    ],
)
def test_samples_count_as_in_prometheus(prometheus_histograms: Prometheus, our_histograms: Ours, expr: str) -> None:
    for path, params in (
        ("/api/v1/query", {"query": expr, "time": str(END_S - 20)}),
        ("/api/v1/query_range", {"query": expr, **RANGE}),
    ):
        both = [
            one.get(path, stats="all", **params)["data"]["stats"] for one in (prometheus_histograms, our_histograms)
        ]
        for name in ("totalQueryableSamples", "totalQueryableSamplesPerStep"):
            assert both[0]["samples"][name] == both[1]["samples"][name], (path, name)


@pytest.mark.parametrize(
    "expr", ['latency_seconds{instance="host0:80"}', 'custom_seconds{instance="host1:80"}', "factor"]
)
def test_the_command_line_shows_them_as_promtool_does(prometheus_histograms: Prometheus, expr: str) -> None:
    url, at = f"http://127.0.0.1:{prometheus_histograms.port}", str(int(END_S) - 20)
    for command, path, params in (
        (["instant", f"--time={at}"], "/api/v1/query", {"time": at}),
        (["range", f"--start={int(at) - 60}", f"--end={at}", "--step=30s"], "/api/v1/query_range", {
            "start": str(int(at) - 60), "end": at, "step": "30",
        }),
    ):  # fmt: skip
        theirs = subprocess.check_output([str(PEERS / "promtool"), "query", *command, url, expr], text=True)
        ours = result_lines(prometheus_histograms.get(path, query=expr, **params)["data"])
        assert sorted("\n".join(ours).split("\n")) == sorted(theirs.rstrip("\n").split("\n"))
