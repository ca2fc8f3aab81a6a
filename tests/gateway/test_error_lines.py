import asyncio
from collections.abc import Mapping
from pathlib import Path

from tests.doubles import StillClock

from watchkeeper.gateway.errors import error_lines
from watchkeeper.model.logs import Entries
from watchkeeper.query.logql.engine import Engine
from watchkeeper.query.logql.settings import LogQuerySettings
from watchkeeper.store.files import RealFiles
from watchkeeper.store.logs.db import LogDb
from watchkeeper.store.logs.settings import LogSettings


async def _counted(folder: Path) -> Mapping[str, int]:
    clock = StillClock()
    logs = LogDb(RealFiles(folder), LogSettings(), clock)
    await logs.start()
    now_ns = clock.ms * 1_000_000
    minute_ns = 60_000_000_000
    streams = (
        ({"job": "api", "level": "error"}, [now_ns - 20 * minute_ns, now_ns - minute_ns, now_ns - 5]),
        ({"job": "api", "level": "info"}, [now_ns - 5]),
        ({"job": "worker", "level": "critical"}, [now_ns - 5]),
        ({"level": "error"}, [now_ns - 5]),
    )
    logs.append([Entries(labels, times, [b"line"] * len(times)) for labels, times in streams])
    found = await error_lines(Engine(logs, LogQuerySettings()), clock)()
    await logs.stop()
    return found


def test_lines_of_level_error_or_worse_are_counted_by_job_over_fifteen_minutes(tmp_path: Path) -> None:
    assert asyncio.run(_counted(tmp_path)) == {"api": 2, "worker": 1}
