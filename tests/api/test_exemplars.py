"""GET /api/v1/query_exemplars, beside the real Prometheus: both scrape the same page."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from tests.api.test_ingest import PAGE
from tests.collect.conftest import (  # noqa: F401 # fixtures
    BodyServer,
    RecordingWriter,
    make_loop,
    real_prometheus,
    server,
)
from tests.net.judges.asgi import Answer, Client

from watchkeeper.api import exemplars
from watchkeeper.collect.exposition import OPENMETRICS
from watchkeeper.collect.fetch import Fetched
from watchkeeper.collect.targets import Target
from watchkeeper.net.app import build_app
from watchkeeper.net.auth import OpenDoor
from watchkeeper.net.settings import NetSettings
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.promql.memory import MemoryReader
from watchkeeper.store.metrics.exemplars import ExemplarRing

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs: [{{job_name: test, static_configs: [{{targets: ["{target}"], labels: {{instance: "host:80"}}}}]}}]
"""
QUERIES = ('a_total{n=~"1."}', 'sum(rate(h_bucket[5m])) / a_total{n="3"}', "b", "1", "a_total{")


def scraped(body: bytes, times: int = 12) -> ExemplarRing:
    """What the scraper hands on, more often than it takes to forget what a quiet target's series are called."""
    ring = ExemplarRing(100_000, lambda _: None)

    async def fetch(_: Target) -> Fetched:
        return Fetched(body, OPENMETRICS)

    async def run() -> None:
        loop = make_loop(RecordingWriter(), fetch, exemplars=ring)
        for turn in range(times):
            await loop.scrape_once(1_700_000_000_000 + turn * 1000)

    asyncio.run(run())
    return ring


def ask(ring: ExemplarRing, **params: str) -> Answer:
    routes = exemplars.routes(Engine(MemoryReader()), ring)
    app = build_app(routes, OpenDoor("127.0.0.1:9090"), NetSettings())
    return Client(app).call("GET", f"/api/v1/query_exemplars?{urlencode(params)}")


def test_an_exemplar_without_a_time_has_that_of_the_scrape_which_first_told_it() -> None:
    answer = ask(scraped(PAGE), query='a_total{n="7"}')
    assert orjson.loads(answer.body)["data"] == [
        {
            "seriesLabels": {"__name__": "a_total", "instance": "host:80", "job": "test", "n": "7"},
            "exemplars": [{"labels": {"trace_id": "t7"}, "value": "0.5", "timestamp": 1_700_000_000}],
        }
    ]


def test_the_end_is_not_before_the_start() -> None:
    answer = ask(ExemplarRing(1, lambda _: None), query="a", start="2", end="1")
    assert (answer.status, orjson.loads(answer.body)["error"]) == (
        400,
        "end timestamp must not be before start timestamp",
    )


@pytest.mark.peer
def test_the_answers_are_those_of_the_real_prometheus(
    server: BodyServer,  # noqa: F811 # the fixture
    real_prometheus: Callable[..., Any],  # noqa: F811 # the fixture
) -> None:
    page = PAGE.replace(b"} 0.5\n", b"} 0.5 1700000000.25\n")
    server.answers["/metrics"] = (page, "application/openmetrics-text; version=1.0.0")
    peer = real_prometheus(CONFIG.format(target=server.address), "--enable-feature=exemplar-storage")
    peer.wait_for(lambda: bool(peer.get("/api/v1/query_exemplars", query="h_bucket", start="0", end="9000000000")))
    ring = scraped(page, 1)
    for query in QUERIES:
        status, theirs = peer.ask("/api/v1/query_exemplars", query=query, start="0", end="9000000000")
        ours = ask(ring, query=query, start="0", end="9000000000")
        assert (ours.status, orjson.loads(ours.body or b"0")) == (status, orjson.loads(theirs or b"0")), query
