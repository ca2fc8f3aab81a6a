"""The HTTP API beside a real Prometheus: the same requests get the same status and the same body."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import cramjam
import orjson
import pytest
from tests.net.judges.asgi import Client
from tests.peers import PEERS, RealPrometheus
from tests.system.remote_write import write_request

from watchkeeper.api import exemplars, federate, prometheus
from watchkeeper.api.queries import queries_of
from watchkeeper.collect.remote_write import RemoteWrite
from watchkeeper.model.clock import SystemClock
from watchkeeper.net.app import build_app
from watchkeeper.net.auth import OpenDoor
from watchkeeper.net.settings import NetSettings
from watchkeeper.query.promql.engine import Engine
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

NOW_S = int(time.time()) // 15 * 15 - 15
RANGE = {"start": NOW_S - 300, "end": NOW_S, "step": 15}
GO_MIN_S, GO_MAX_S = "-292273086-05-16T16:47:06Z", "292277025-08-18T07:12:54.999999999Z"

PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"

Params = dict[str, Any]


@dataclass(frozen=True)
class Both:
    """The same samples behind both."""

    real: RealPrometheus
    ours: Client

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[tuple[int, Any], tuple[int, Any]]:
        connection = HTTPConnection("127.0.0.1", self.real.port, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            theirs = answer.status, _read(answer.read())
        finally:
            connection.close()
        found = self.ours.call(method, path, body=body, **headers)
        return (found.status, _read(found.body)), theirs


def _read(body: bytes) -> Any:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    data = content.get("data")
    if "error" in content:  # of many series any two may be named
        content["error"] = content["error"].partition(": [")[0]
    if isinstance(data, dict) and data.get("resultType") == "vector":  # Prometheus gives these in no order
        data["result"].sort(key=lambda one: sorted(one["metric"].items()))
    if isinstance(data, list) and data and isinstance(data[0], dict):
        content["data"] = len(data) if "warnings" in content else sorted(data, key=lambda one: sorted(one.items()))
    return content


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    if not (PEERS / "prometheus").exists():
        pytest.skip(f"no Prometheus in {PEERS}")
    times = [(NOW_S - 600 + at * 15) * 1000 for at in range(41)]
    series = [
        (
            {"__name__": name, "job": job, "instance": f"host{n}:80"},
            [(at, float(n * 1000 + k)) for k, at in enumerate(times)],
        )
        for name in ("work_total", "memory_bytes")
        for job in ("api", "db")
        for n in range(3)
    ]
    series.append(({"__name__": "odd", "über": 'a"b\\c'}, [(times[-1], 1.5e-7)]))
    series.append(({"__name__": "with space"}, [(times[-1], 12345678.0)]))
    body = write_request(series)
    db = MetricDb(RealFiles(tmp_path_factory.mktemp("ours")), MetricSettings(), SystemClock())

    async def load() -> None:
        await db.start()
        await RemoteWrite(db).receive(bytes(cramjam.snappy.decompress_raw(body)))
        await db.stop()

    asyncio.run(load())
    engine, clock = Engine(db, None, db), SystemClock()
    external = {"zone": "z1"}
    routes = [
        *prometheus.routes(queries_of(engine), db),
        *exemplars.routes(engine, db.exemplars),
        *federate.routes(db, clock, 300_000, lambda: external),
    ]
    app = build_app(routes, OpenDoor("127.0.0.1:0"), NetSettings())
    folder = tmp_path_factory.mktemp("prometheus")
    config = "global:\n  external_labels:\n    zone: z1\n"
    real = RealPrometheus(folder, config, "--web.enable-remote-write-receiver", "--log.level=warn")
    try:
        _write(real, body)
        yield Both(real, Client(app))
    finally:
        real.stop()


def _write(real: RealPrometheus, body: bytes) -> None:
    connection = HTTPConnection("127.0.0.1", real.port, timeout=20)
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    connection.request("POST", "/api/v1/write", body, headers)
    assert connection.getresponse().status < 300
    connection.close()


QUERY: list[Params] = [
    {"query": "work_total"},
    {"query": "sum by (job) (rate(work_total[1m]))"},
    {"query": "work_total[1m]"},
    {"query": "1"},
    {"query": '"text"'},
    {"query": "odd"},
    {"query": "nothing"},
    {"query": "work_total", "limit": 100},
    {"query": "sum("},
    {"query": "work_total * on() work_total"},
    {"query": "rate(work_total)"},
    {"query": "a b"},
    {"query": "1", "time": "x"},
    {"query": "time()", "time": "2024-01-01T00:00:00Z"},
    {"query": "time()", "time": "1e3"},
    {"query": "time()", "time": "2024-01-01T00:00:00.123Z"},
    {"query": "time()", "time": "-1.5"},
    {"query": "1", "time": "0x1"},
    {"query": "1", "timeout": "x"},
    {"query": "1", "limit": "x"},
    {"query": "1", "limit": "-1"},
    {"query": "1", "timeout": "9s"},
    {"query": "work_total", "lookback_delta": "x"},
    {"query": "work_total", "lookback_delta": "1m"},
    {"query": "work_total", "lookback_delta": "-1"},
    {"query": "work_total", "lookback_delta": "0"},
    {"query": "sort_desc(work_total)"},
    {"query": "-odd"},
    {"query": "rate(memory_bytes[1m])"},
]
QUERY_RANGE: list[Params] = [
    {"query": "work_total", **RANGE},
    {"query": "1", **RANGE},
    {"query": "work_total", "limit": 2, **RANGE},
    {},
    {"query": "nothing", **RANGE},
    {"query": "work_total[1m]", **RANGE},
    {"query": '"x"', **RANGE},
    {"query": "sum(", **RANGE},
    {"query": "1", "start": 5, "end": 4, "step": 1},
    {"query": "1", "start": 1, "end": 4, "step": 0},
    {"query": "1", "start": 1, "end": 4},
    {"query": "1", "start": 1, "end": 4, "step": "x"},
    {"query": "1", "start": "x"},
    {"query": "1", "start": 1, "end": "x", "step": 1},
    {"query": "1", "start": 1, "end": 2, "step": "-1s"},
    {"query": "time()", "start": 1, "end": 2, "step": "0.25"},
    {"query": "time()", "start": 1, "end": 2, "step": "250ms"},
    {"query": "1", "start": 0, "end": 1e9, "step": 1},
    {"query": "1", "start": 1, "end": 2, "step": "1e300"},
    {"query": "work_total * on() work_total", **RANGE},
    {"query": "rate(memory_bytes[1m])", **RANGE},
]
SELECTED: list[Params] = [
    {},
    {"match[]": "work_total"},
    {"match[]": ["work_total", 'memory_bytes{job="api"}']},
    {"match[]": "{"},
    {"match[]": "{}"},
    {"match[]": '{job=~".*"}'},
    {"match[]": "work_total", "limit": 1},
    {"match[]": "work_total", "limit": "x"},
    {"limit": "-1"},
    {"match[]": "work_total", "start": "x"},
    {"match[]": "work_total", "end": "x"},
    {"match[]": "work_total[5m]"},
    {"match[]": "work_total", "start": NOW_S - 60, "end": NOW_S},
    {"match[]": "work_total offset 5m"},
    {"match[]": "rate(a[5m])"},
    {"match[]": "work_total", "start": GO_MIN_S, "end": GO_MAX_S},
    {"match[]": '{"with space"}'},
]
EXPRESSIONS = [
    "sum by(a)(b)#c",
    "foo{x='1'}+rate(a[5m])",
    "sum(",
    " up ",
    "-1 ^ 2 * 3",
    'a{"ü"=~"x|y"} offset -5m @ end()',
]
CASES: list[tuple[str, Params]] = [
    *(("query", {"time": NOW_S, **params}) for params in QUERY),
    *(("query_range", params) for params in QUERY_RANGE),
    *(
        (path, params)
        for path in ("labels", "label/job/values", "label/__name__/values", "series")
        for params in SELECTED
    ),
    *((path, {"query": text}) for path in ("format_query", "parse_query") for text in EXPRESSIONS),
    *(("metadata", params) for params in ({}, {"limit": "x"}, {"limit_per_metric": "x"}, {"metric": "x", "limit": 1})),
    *(("targets/metadata", params) for params in ({}, {"limit": "x"}, {"match_target": "{"}, {"metric": "x"})),
    *(
        ("targets", params)
        for params in ({}, {"state": "active"}, {"state": "dropped"}, {"state": "x"}, {"scrapePool": "x"})
    ),
    *(
        ("query_exemplars", params)
        for params in ({"query": "up"}, {"query": "sum("}, {"query": "1"}, {"query": "up", "start": "x"})
    ),
    ("rules", {}),
    ("alerts", {}),
    ("alertmanagers", {}),
    ("scrape_pools", {}),
    ("notifications", {}),
    ("label/nothing/values", {}),
    ("label/U__with_20_space/values", {}),
]


@pytest.mark.parametrize(("path", "params"), CASES)
def test_the_answer_is_prometheus(both: Both, path: str, params: Params) -> None:
    ours, theirs = both.ask("GET", f"/api/v1/{path}?{urlencode(params, doseq=True)}")
    assert ours == theirs


@pytest.mark.parametrize("path", ["query", "query_range", "labels", "series", "format_query", "parse_query"])
def test_a_form_is_as_good_as_a_query_string(both: Both, path: str) -> None:
    form = urlencode({"query": "work_total", "match[]": "work_total", "time": NOW_S, **RANGE}).encode()
    ours, theirs = both.ask("POST", f"/api/v1/{path}", form, content_type="application/x-www-form-urlencoded")
    assert ours == theirs
    assert ours[0] == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "query"), ("DELETE", "labels"), ("POST", "metadata"), ("POST", "rules"), ("POST", "label/job/values")],
)
def test_other_methods_are_405(both: Both, method: str, path: str) -> None:
    ours, theirs = both.ask(method, f"/api/v1/{path}")
    assert ours == theirs


@pytest.mark.parametrize(
    "params",
    [
        {"match[]": "work_total"},
        {"match[]": ["odd", 'memory_bytes{job="api",instance="host0:80"}']},
        {},
        {"match[]": "{"},
    ],
)
@pytest.mark.parametrize(
    "accept",
    ["text/plain", PROTOBUF, PROTOBUF + ";escaping=allow-utf-8", "text/plain;version=1.0.0;escaping=allow-utf-8"],
)
def test_federation_gives_the_same_bytes(both: Both, params: Params, accept: str) -> None:
    ours, theirs = both.ask("GET", f"/federate?{urlencode(params, doseq=True)}", accept=accept)
    assert ours == theirs


def test_statistics_have_the_same_fields_and_counts(both: Both) -> None:
    for path, params in (("query", {"time": NOW_S}), ("query_range", RANGE)):
        text = urlencode({"query": "sum(rate(work_total[1m])) + scalar(odd)", "stats": "1", **params})
        ours, theirs = both.ask("GET", f"/api/v1/{path}?{text}")
        found, wanted = ours[1]["data"]["stats"], theirs[1]["data"]["stats"]
        assert found["timings"].keys() == wanted["timings"].keys()
        assert found["samples"]["totalQueryableSamples"] == wanted["samples"]["totalQueryableSamples"]
        assert found["samples"].keys() == wanted["samples"].keys()
