"""Classic histograms become native ones with custom buckets as with the real Prometheus 3.5."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from tests.collect.conftest import BodyServer, make_loop
from tests.store.simfiles import SimFiles
from tests.waiting import wait_until

from watchkeeper.api.histogram_json import histogram_json
from watchkeeper.collect.custom_buckets import CustomBuckets
from watchkeeper.collect.exposition import OPENMETRICS, ExpositionReader
from watchkeeper.collect.fetch import Fetched
from watchkeeper.model.clock import SystemClock
from watchkeeper.query.promql.engine import Engine
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

BODY = b"""# HELP h help
# TYPE h histogram
h_bucket{le="0.1",a="b"} 1
h_bucket{le="1",a="b"} 3
h_bucket{le="+Inf",a="b"} 5
h_sum{a="b"} 7.5
h_count{a="b"} 5
h_bucket{le="1",a="c"} 3
h_bucket{le="0.5",a="c"} 1
h_count{a="c"} 4
# TYPE decreasing histogram
decreasing_bucket{le="1"} 5
decreasing_bucket{le="2"} 3
decreasing_bucket{le="+Inf"} 6
decreasing_count 6
# TYPE without_inf histogram
without_inf_bucket{le="1"} 5
without_inf_bucket{le="2"} 6
without_inf_sum 1
# TYPE only_sum histogram
only_sum_sum 3
only_sum_count 4
# TYPE negative histogram
negative_bucket{le="1"} -1
negative_bucket{le="+Inf"} 2
negative_count 2
# TYPE fractions histogram
fractions_bucket{le="1"} 1.5
fractions_bucket{le="+Inf"} 2.5
fractions_sum 1
fractions_count 2.5
# TYPE other_count histogram
other_count_bucket{le="1"} 1
other_count_bucket{le="+Inf"} 2
other_count_count 9
untyped_bucket{le="1"} 1
untyped_bucket{le="+Inf"} 2
untyped_count 2
# TYPE g gauge
g 4
# TYPE s summary
s{quantile="0.5"} 4
s_sum 4
s_count 5
"""
_CONFIG = """
global: {{scrape_interval: 1s, convert_classic_histograms_to_nhcb: true}}
scrape_configs:
- job_name: native
  static_configs: [{{targets: ['{address}'], labels: {{instance: x}}}}]
- job_name: both
  always_scrape_classic_histograms: true
  static_configs: [{{targets: ['{address}'], labels: {{instance: x}}}}]
- job_name: classic
  convert_classic_histograms_to_nhcb: false
  static_configs: [{{targets: ['{address}'], labels: {{instance: x}}}}]
"""
_OF_TIME = {"scrape_duration_seconds", "scrape_series_added"}
Found = dict[tuple[tuple[str, str], ...], Any]


def _theirs(answer: list[dict[str, Any]]) -> Found:
    return {
        tuple(sorted(one["metric"].items())): float(one["value"][1]) if "value" in one else one["histogram"][1]
        for one in answer
    }


def _ours(job: str, **config: Any) -> Found:
    async def scrape() -> Found:
        db = MetricDb(SimFiles(), MetricSettings(), SystemClock())
        await db.start()

        async def fetch(_: Any) -> Fetched:
            return Fetched(BODY, "text/plain")

        found = {"__address__": "x:1", "instance": "x"}
        loop = make_loop(db, fetch, job_name=job, found=found, convert_classic_histograms_to_nhcb=True, **config)
        for at in (1, 2, 3):  # the second and third time through the remembered layout
            await loop.scrape_once(at * 1000)
        result = Engine(db).instant('{job="' + job + '"}', 3000)
        await db.stop()
        out: Found = {}
        for row, labels in enumerate(result.labels.labels()):
            native = bool(result.native()[row, 0])
            shown = orjson.loads(histogram_json(result.histogram(row, 0))) if native else float(result.values[row, 0])
            out[tuple(sorted(labels.items()))] = shown
        return out

    return asyncio.run(scrape())


@pytest.mark.peer
def test_converts_what_prometheus_converts(server: BodyServer, real_prometheus: Callable[..., Any]) -> None:
    server.answers = {"/metrics": (BODY, "text/plain; version=0.0.4")}
    peer = real_prometheus(_CONFIG.format(address=server.address), "--enable-feature=native-histograms")
    wait_until("all to be scraped", lambda: len(peer.get("/api/v1/query", query="up == 1")["result"]) == 3)
    for job, config in (("native", {}), ("both", {"always_scrape_classic_histograms": True})):
        theirs = _theirs(peer.get("/api/v1/query", query='{job="' + job + '"}')["result"])
        ours = _ours(job, **config)
        assert _lasting(ours) == _lasting(theirs)
        assert any(isinstance(value, dict) for value in theirs.values())


def _lasting(found: Found) -> Found:
    return {key: value for key, value in found.items() if dict(key)["__name__"] not in _OF_TIME}


def test_exemplars_of_buckets_go_with_the_histogram() -> None:
    body = (
        b'# TYPE h histogram\nh_bucket{le="1"} 1 # {trace="a"} 0.5 1\nh_bucket{le="+Inf"} 2 # {trace="b"} 3 1\n'
        b"h_sum 4\nh_count 2\n# EOF\n"
    )
    exposed = ExpositionReader().read(body, OPENMETRICS)
    converted = CustomBuckets(classic=False).convert(exposed)
    assert [dict(labels) for labels in converted.shape.series] == [{"__name__": "h"}]
    assert [(at, dict(one.labels)["trace"]) for at, one in converted.exemplars] == [(0, "a"), (0, "b")]
    both = CustomBuckets(classic=True).convert(exposed)
    assert [at for at, _ in both.exemplars] == [at for at, _ in exposed.exemplars]


def test_a_histogram_that_cannot_be_read_for_once_comes_back() -> None:
    bodies = [
        f'# TYPE h histogram\nh_bucket{{le="1"}} {low}\nh_bucket{{le="+Inf"}} 5\nh_count 5\ng 1\n'.encode()
        for low in (1, 9, 2)
    ]
    reader, convert = ExpositionReader(), CustomBuckets(classic=False)
    found = [convert.convert(reader.read(body)) for body in bodies]
    assert [[labels["__name__"] for labels in one.shape.series] for one in found] == [["g", "h"], ["g"], ["g", "h"]]
    assert [one.samples for one in found] == [2, 1, 2]
    assert found[2].histograms[0].positive.counts.tolist() == [2, 3]
