"""What the gateway learns of a service, over the real engines and stores."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from tests.net.judges.world import StillClock

from watchkeeper.app.service_facts import ServiceFacts
from watchkeeper.model.frame import Row
from watchkeeper.model.logs import Entries
from watchkeeper.query.logql.engine import Engine as LogEngine
from watchkeeper.query.logql.settings import LogQuerySettings
from watchkeeper.query.promql.engine import Engine
from watchkeeper.store.files import RealFiles
from watchkeeper.store.logs.db import LogDb
from watchkeeper.store.logs.settings import LogSettings
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings


async def _asked(folder: Path, jobs: list[str]) -> list[tuple[float | None, int | None]]:
    clock = StillClock()
    metrics, logs = MetricDb(RealFiles(folder), MetricSettings(), clock), LogDb(RealFiles(folder), LogSettings(), clock)
    await metrics.start()
    await logs.start()
    good = {"__name__": "http_requests_total", "job": 'a"b', "status": "200"}
    layout = metrics.layout("test", [good, {**good, "status": "503"}])
    for at in range(5):
        metrics.append([Row(layout, clock.ms - (4 - at) * 60_000, np.array([at * 90.0, at * 10.0]))])
    level = {"job": 'a"b', "level": "error"}
    logs.append(
        [Entries(level, [clock.ms * 1_000_000 - 5], [b"no"]), Entries({"job": 'a"b'}, [clock.ms * 10**6], [b"x"])]
    )
    facts = ServiceFacts(Engine(metrics), LogEngine(logs, LogQuerySettings()), clock)
    found = [(await facts.error_ratio(job), await facts.error_lines(job)) for job in jobs]
    await logs.stop()
    await metrics.stop()
    return found


def test_failed_requests_and_error_lines_of_a_job_are_counted(tmp_path: Path) -> None:
    known, unknown = asyncio.run(_asked(tmp_path, ['a"b', "nobody"]))
    assert known == (pytest.approx(0.1), 1)
    assert unknown == (None, 0)
