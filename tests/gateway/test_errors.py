import asyncio
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from tests.doubles import SplitClock

from watchkeeper.gateway.errors import error_ratios
from watchkeeper.model.doors import AlertSample
from watchkeeper.model.errors import OverLimit
from watchkeeper.model.frame import Row
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.settings import QuerySettings
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

MINUTE_MS = 60_000
NOW_MS = 1_800_000_000_000
# name, labels, requests a minute
COUNTERS = [
    ("http_requests_total", {"job": "shop", "status": "200"}, 90),
    ("http_requests_total", {"job": "shop", "status": "503"}, 10),
    ("http_requests_total", {"job": "well", "status_code": "200"}, 5),
    ("http_request_duration_seconds_count", {"job": "shop", "code": "500"}, 7),
    ("http_request_duration_seconds_count", {"job": "other", "code": "500"}, 1),
    ("http_request_duration_seconds_count", {"job": "other", "code": "404"}, 3),
    ("http_requests_total", {"job": "idle", "status": "500"}, 0),
    ("jobs_total", {"job": "worker", "status": "500"}, 4),
]


def test_ratios_by_job_from_whichever_counter_there_is(tmp_path: Path) -> None:
    async def run() -> dict[str, float]:
        clock = SplitClock(NOW_MS)
        metrics = MetricDb(RealFiles(tmp_path), MetricSettings(), clock)
        await metrics.start()
        series = [{"__name__": name, **more} for name, more, _ in COUNTERS]
        layout = metrics.layout("test", series)
        for minute in range(-6, 1):
            values = np.array([float(rate * (minute + 10)) for *_, rate in COUNTERS])
            metrics.append([Row(layout, NOW_MS + minute * MINUTE_MS, values)])
        found = await error_ratios(Engine(metrics, QuerySettings()).ask, clock)()
        await metrics.stop()
        return dict(found)

    got = asyncio.run(run())
    assert got == {"shop": pytest.approx(0.1), "well": 0.0, "other": pytest.approx(0.25)}


def test_what_cannot_be_told_now_is_left_out() -> None:
    def ask(_expr: str, _time_ms: int) -> list[AlertSample]:
        raise OverLimit("samples_max", 2, 1)

    async def run() -> Mapping[str, float]:
        return await error_ratios(ask, SplitClock(NOW_MS))()

    assert asyncio.run(run()) == {}
