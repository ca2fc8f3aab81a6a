"""Prometheus' HTTP API: parameters, envelope, numbers letter by letter, status codes, batches."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.responses import Response

from watchkeeper.api import batch, status
from watchkeeper.api.points_json import number_text, number_texts, stamp
from watchkeeper.api.prometheus import routes
from watchkeeper.api.queries import queries_of
from watchkeeper.model.errors import BadInput
from watchkeeper.net.routing import ANONYMOUS, Call, Scope
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.promql.memory import MemoryReader
from watchkeeper.query.settings import QuerySettings

Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def ask() -> Ask:
    return make_ask()


def make_ask(settings: QuerySettings | None = None, sources: status.Sources | None = None) -> Ask:
    reader = MemoryReader()
    for job in ("a", "b"):
        reader.add({"__name__": "work_total", "job": job}, [(at * 15_000, at * 1.5) for at in range(100)])
    reader.add({"__name__": "odd"}, [(0, float("nan")), (15_000, float("inf")), (30_000, -0.0), (45_000, 1e-7)])
    queries = queries_of(Engine(reader, settings))
    handlers = {route.path: route.handler for route in [*routes(queries, reader, sources), *batch.routes(queries)]}

    async def never() -> bool:
        return False

    def ask(
        path: str, body: bytes = b"", name: str = "", accept: str = "", **params: str | list[str]
    ) -> tuple[int, Any]:
        pairs = [
            (key.replace("match", "match[]") if key == "match" else key, one)
            for key, value in params.items()
            for one in (value if isinstance(value, list) else [value])
        ]
        call = Call(
            "GET", path, {"name": name, "id": name}, pairs, Headers({"accept": accept}), body, ANONYMOUS, "", never
        )

        async def answered() -> Response:
            return await handlers[path](call)

        answer = asyncio.run(answered())
        return answer.status_code, orjson.loads(answer.body)

    return ask


def test_instant_query_gives_a_vector(ask: Ask) -> None:
    code, answer = ask("/api/v1/query", query='work_total{job="a"}', time="1000")
    assert code == 200
    assert answer == {
        "status": "success",
        "data": {
            "resultType": "vector",
            "result": [{"metric": {"__name__": "work_total", "job": "a"}, "value": [1000, "99"]}],
        },
    }


def test_range_query_gives_a_matrix(ask: Ask) -> None:
    _, answer = ask("/api/v1/query_range", query="odd", start="0", end="45", step="15")
    values = answer["data"]["result"][0]["values"]
    assert values == [[0, "NaN"], [15, "+Inf"], [30, "-0"], [45, "1e-07"]]


@pytest.mark.parametrize("text", ["600.5", "1970-01-01T00:10:00.5Z", "1970-01-01T01:10:00.500+01:00"])
def test_times_are_seconds_or_rfc3339(ask: Ask, text: str) -> None:
    _, answer = ask("/api/v1/query", query="time()", time=text)
    assert answer["data"]["result"] == [600.5, "600.5"]


@pytest.mark.parametrize(
    ("path", "params", "code", "kind", "text"),
    [
        ("query", {"query": "sum("}, 400, "bad_data", 'invalid parameter "query": 1:5: parse error: unclosed'),
        ("query", {"query": "up", "time": "x"}, 400, "bad_data", "invalid time value for 'time': cannot parse \"x\""),
        ("query", {"query": "up", "timeout": "x"}, 400, "bad_data", 'cannot parse "x" to a valid duration'),
        ("query", {"query": "up", "limit": "-1"}, 400, "bad_data", "limit must be non-negative"),
        ("query", {"query": "work_total * on() work_total"}, 422, "execution", "found duplicate series"),
        ("query_range", {"query": "up", "start": "5", "end": "4", "step": "1"}, 400, "bad_data", "must not be before"),
        ("query_range", {"query": "up", "start": "5", "end": "6", "step": "0"}, 400, "bad_data", "zero or negative"),
        ("query_range", {"query": "up", "start": "5", "end": "6"}, 400, "bad_data", 'invalid parameter "step"'),
        ("query_range", {"query": "up", "start": "0", "end": "99999", "step": "1"}, 400, "bad_data", "11,000 points"),
        ("query_range", {"query": "up[5m]", "start": "0", "end": "9", "step": "1"}, 400, "bad_data", "expression type"),
        ("series", {}, 400, "bad_data", "no match[] parameter provided"),
        ("series", {"match": "rate(up[5m])"}, 400, "bad_data", 'invalid parameter "match[]"'),
    ],
)  # fmt: skip
def test_errors_are_prometheus(ask: Ask, path: str, params: dict[str, str], code: int, kind: str, text: str) -> None:
    params = params if path != "query" or "time" in params else {**params, "time": "1000"}
    got, answer = ask(f"/api/v1/{path}", **params)
    assert (got, answer["status"], answer["errorType"]) == (code, "error", kind)
    assert text in answer["error"]


def test_too_many_samples_is_422() -> None:
    code, answer = make_ask(QuerySettings(max_samples=10))("/api/v1/query", query="work_total[1h]", time="1000")
    assert (code, answer["errorType"]) == (422, "execution")
    assert answer["error"] == "query processing would load too many samples into memory in query execution"


def test_a_timeout_is_503(ask: Ask) -> None:
    code, answer = ask("/api/v1/query", query="work_total", time="1000", timeout="0.000000001")
    assert (code, answer["errorType"]) == (503, "timeout")
    assert answer["error"] == "query timed out in expression evaluation"


def test_infos_come_with_their_position(ask: Ask) -> None:
    _, answer = ask("/api/v1/query", query="rate(odd[1m])", time="45")
    assert answer["infos"] == [
        'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "odd" (1:6)'
    ]


def test_a_limit_cuts_and_says_so(ask: Ask) -> None:
    _, answer = ask("/api/v1/query", query="work_total", time="1000", limit="1")
    assert len(answer["data"]["result"]) == 1
    assert answer["warnings"] == ["results truncated due to limit"]


def test_names_values_and_series(ask: Ask) -> None:
    assert ask("/api/v1/labels")[1]["data"] == ["__name__", "job"]
    assert ask("/api/v1/label/{name}/values", name="job")[1]["data"] == ["a", "b"]
    assert ask("/api/v1/label/{name}/values", name="job", match='{job=~"b|c"}')[1]["data"] == ["b"]
    assert ask("/api/v1/series", match=["odd", 'work_total{job="a"}'])[1]["data"] == [
        {"__name__": "odd"},
        {"__name__": "work_total", "job": "a"},
    ]
    assert ask("/api/v1/metadata")[1]["data"] == {}


def test_queries_are_laid_out(ask: Ask) -> None:
    query = "sum by(job)(rate(work_total{job='a'}[5m]))/on(job)group_left()count(uptime@start() offset -1h)"
    assert ask("/api/v1/format_query", query=query)[1]["data"] == (
        '  sum by (job) (rate(work_total{job="a"}[5m]))\n/ on (job) group_left ()\n  count(uptime @ start() offset -1h)'
    )
    assert ask("/api/v1/parse_query", query="1 + up")[1]["data"]["type"] == "binaryExpr"


def test_targets_are_filtered_and_rules_get_the_parameters() -> None:
    asked: list[Sequence[tuple[str, str]]] = []

    def rules(params: Sequence[tuple[str, str]]) -> dict[str, Any]:
        asked.append(params)
        if params == [("type", "x")]:
            raise BadInput('not supported value "x"')
        return {"groups": []}

    sources = status.Sources(
        targets=lambda: [{"scrapePool": "a"}, {"scrapePool": "b"}],
        dropped=lambda: [{"scrapePool": "b"}],
        dropped_counts=lambda: {"b": 7},
        rules=rules,
    )
    ask = make_ask(sources=sources)
    assert ask("/api/v1/targets")[1]["data"]["droppedTargetCounts"] == {"b": 7}
    assert ask("/api/v1/targets", state="active", scrapePool="a")[1]["data"]["activeTargets"] == [{"scrapePool": "a"}]
    assert ask("/api/v1/scrape_pools")[1]["data"]["scrapePools"] == ["a", "b"]
    assert ask("/api/v1/rules", type="alert")[1]["data"] == {"groups": []}
    assert asked == [[("type", "alert")]]
    with pytest.raises(BadInput):  # the gate turns it into 400
        ask("/api/v1/rules", type="x")


def test_a_batch_answers_in_columns(ask: Ask) -> None:
    queries = [
        {"ref": "A", "expr": "odd", "step": 15_000},
        {"ref": "B", "expr": "sum(", "instant": True},
        {"ref": "C", "kind": "logql", "expr": "{}"},
        {"ref": "D", "expr": "work_total offset 1m", "step": 30_000},
    ]
    code, answer = ask("/api/query/batch", orjson.dumps({"from": 0, "to": 60_000, "queries": queries}))
    results = answer["results"]
    assert code == 200
    assert results["A"]["times"] == [0, 15_000, 30_000, 45_000, 60_000]
    assert results["A"]["series"] == [{"labels": {"__name__": "odd"}, "values": ["NaN", "+Inf", -0.0, 1e-7, 1e-7]}]
    assert (results["B"]["status"], results["B"]["errorType"]) == ("error", "bad_data")
    assert results["C"]["status"] == "error"
    assert results["D"]["series"][0]["values"] == [None, None, 0]


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'{"from":1,"to":0,"queries":[]}', b'{"from":0,"to":1,"queries":[{"expr":1}]}',
     b'{"from":0,"to":1,"queries":[{"ref":"A","expr":"a"},{"ref":"A","expr":"b"}]}',
     b'{"from":1e99,"to":1,"queries":[]}', b'{"from":0,"to":1,"queries":[{"ref":"A","expr":"a","step":"x"}]}'],
)  # fmt: skip
def test_a_bad_batch_is_400(ask: Ask, body: bytes) -> None:
    code, answer = ask("/api/query/batch", body)
    assert (code, answer["errorType"]) == (400, "bad_data")


def test_all_routes_are_for_readers() -> None:
    reader = MemoryReader()
    queries = queries_of(Engine(reader))
    for route in [*routes(queries, reader), *batch.routes(queries)]:
        assert not route.access.open
        assert Scope.READ in route.access.scopes or route.methods == ("DELETE",)


@given(st.lists(st.floats() | st.integers(-(10**18), 10**18).map(float), min_size=1, max_size=30))
def test_numbers_read_back_as_they_were(numbers: list[float]) -> None:
    values = np.array(numbers)
    texts = number_texts(values)
    assert texts == [number_text(float(value)) for value in values]
    back = np.array([float(text) for text in texts])
    assert np.array_equal(back, values, equal_nan=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e21, "1e+21"), (1e20, "100000000000000000000"), (1e-7, "1e-07"), (0.000001, "0.000001"), (-0.0, "-0"),
     (1.5e300, "1.5e+300"), (123456.789, "123456.789"), (5e-324, "5e-324")],
)  # fmt: skip
def test_numbers_are_written_as_go_does(value: float, text: str) -> None:
    assert number_text(value) == text.encode()


@pytest.mark.parametrize(
    ("time_ms", "text"), [(1000, "1"), (1001, "1.001"), (1010, "1.010"), (-1500, "-1.500"), (0, "0")]
)
def test_stamps_are_written_as_go_does(time_ms: int, text: str) -> None:
    assert stamp(time_ms) == text.encode()


def test_statistics_count_samples_as_prometheus_does(ask: Ask) -> None:
    params = {"query": "sum(rate(work_total[1m])) + scalar(work_total{job='a'} @ 30)", "stats": "all"}
    _, answer = ask("/api/v1/query_range", **params, start="60", end="120", step="60")
    assert answer["data"]["stats"]["samples"]["totalQueryableSamplesPerStep"] == [[60, 9], [120, 9]]
    assert answer["data"]["stats"]["samples"]["totalQueryableSamples"] == 18
    assert set(answer["data"]["stats"]["timings"]) >= {"evalTotalTime", "execQueueTime", "execTotalTime"}
    _, answer = ask("/api/v1/query", query="max_over_time(sum(work_total)[1m:15s])", time="120", stats="1")
    assert answer["data"]["stats"]["samples"]["totalQueryableSamples"] == 4


def test_active_queries_are_listed_and_unknown_ones_are_404(ask: Ask) -> None:
    assert ask("/api/v1/status/active_queries") == (200, {"status": "success", "data": []})
    code, answer = ask("/api/v1/status/active_queries/{id}", name="7")
    assert (code, answer["errorType"]) == (404, "not_found")


def test_a_query_is_explained_node_by_node(ask: Ask) -> None:
    code, answer = ask("/api/v1/explain", query="sum(rate(work_total[1m])) + 1", start="60", end="600", step="60")
    plan = answer["data"]["plan"]
    assert code == 200
    assert (plan["node"], plan["series"], plan["steps"]) == ("Binary", 1, 10)
    assert [child["node"] for child in plan["children"]] == ["Aggregate", "NumberLiteral"]
    rate = plan["children"][0]["children"][0]
    assert (rate["expr"], rate["series"]) == ("rate(work_total[1m])", 2)
    assert rate["children"][0]["samples"] == rate["samples"] > 0
    assert plan["seconds"] >= rate["seconds"] > 0


def test_what_stands_twice_in_a_query_is_evaluated_once(ask: Ask) -> None:
    text = "sum(work_total) / (sum(work_total) + 1)"
    _, answer = ask("/api/v1/explain", query=text, time="600")
    twice = answer["data"]["plan"]["children"][1]["children"][0]["children"][0]
    assert (twice["expr"], twice["reused"], twice["children"]) == ("sum(work_total)", True, [])
    _, answer = ask("/api/v1/query", query="work_total - work_total", time="600")
    assert [one["value"][1] for one in answer["data"]["result"]] == ["0", "0"]


def test_an_answer_can_be_had_in_columns(ask: Ask) -> None:
    accept = "application/vnd.watchkeeper.columns+json"
    _, answer = ask("/api/v1/query_range", query="odd", start="0", end="45", step="15", accept=accept)
    assert (answer["type"], answer["times"]) == ("matrix", [0, 15_000, 30_000, 45_000])
    assert answer["series"] == [{"labels": {"__name__": "odd"}, "values": ["NaN", "+Inf", -0.0, 1e-7]}]
