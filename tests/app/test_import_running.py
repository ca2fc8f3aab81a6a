"""What is imported while a server has the data directory is handed over to it."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from tests.doubles import SplitClock
from tests.store.simfiles import PowerLost, SimFiles

from watchkeeper.app.commands.move import import_
from watchkeeper.model.clock import SystemClock
from watchkeeper.model.frame import Floats, Row
from watchkeeper.model.history import History
from watchkeeper.model.matchers import Matcher
from watchkeeper.store.files import Files, RealFiles
from watchkeeper.store.metrics.backfill import open_backfill
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

HOUR_MS = 3_600_000
NOW_MS = 1_800_000_000_000


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60))


def make(files: Files) -> MetricDb:
    return MetricDb(files, MetricSettings(scrub_ms=0), SplitClock(NOW_MS))


def old_values(db: MetricDb) -> list[float]:
    found = db.select([Matcher("__name__", "=", "old")], NOW_MS - 100 * HOUR_MS, NOW_MS)
    return [value for part in found for row in part.values for value in row.tolist()]


def hand_over(files: Files, values: Floats) -> None:
    times = NOW_MS - 40 * HOUR_MS + np.arange(len(values)) * 60_000
    history = History([{"__name__": "old"}], np.array([len(values)]), times, values)
    with open_backfill(files, MetricSettings(), SystemClock()) as backfill:
        assert backfill.handed_over
        backfill.begin(0)
        backfill.add("a", history)
        backfill.finish("part")
        assert backfill.waiting() and backfill.is_done("part")


def test_a_file_is_imported_into_a_running_server(tmp_path: Path) -> None:
    async def scenario() -> None:
        db = make(RealFiles(tmp_path / "data"))
        await db.start()
        db.append([Row(db.layout("now", [{"__name__": "old"}]), NOW_MS, np.array([7.0]))])
        lines = [f"old {number} {NOW_MS // 1000 - 7200 + number * 60}" for number in range(60)]
        (tmp_path / "old.om").write_text("# TYPE old gauge\n" + "\n".join(lines) + "\n# EOF\n")
        args = ["openmetrics", str(tmp_path / "old.om"), "--data", str(tmp_path / "data")]
        importing = asyncio.create_task(asyncio.to_thread(CliRunner().invoke, import_, args))
        while not importing.done():
            await db.keep_up()
            await asyncio.wait([importing], timeout=0.05)
        assert "60 samples read, 60 written" in importing.result().output
        assert sorted(old_values(db)) == sorted([*map(float, range(60)), 7.0])
        assert [name for name in (tmp_path / "data/metrics/incoming").iterdir() if name.suffix == ".block"] == []
        await db.stop()

    run(scenario)


def test_what_was_handed_over_is_there_whenever_the_power_goes() -> None:
    async def scenario() -> None:
        values = np.arange(300.0)
        for calls in range(1, 14):
            files = SimFiles()
            db = make(files)
            await db.start()
            hand_over(files, values)
            files.dies_at = files.calls + calls
            with contextlib.suppress(PowerLost):
                await db.keep_up()
            again = make(files.crash(("lost", "kill")[calls % 2], random.Random(calls)))
            await again.start()
            await again.keep_up()
            assert old_values(again) == values.tolist()
            await again.stop()

    run(scenario)


def test_a_second_import_at_the_same_time_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        db = make(RealFiles(tmp_path))
        await db.start()
        (tmp_path / "old.om").write_text("# EOF\n")
        with open_backfill(RealFiles(tmp_path), MetricSettings(), SystemClock()) as first:
            assert first.handed_over
            said = CliRunner().invoke(import_, ["openmetrics", str(tmp_path / "old.om"), "--data", str(tmp_path)])
            assert "want it free" in str(said.exception)
        await db.stop()

    run(scenario)
