"""Data directories that earlier versions of the program wrote open, and answer what they answered then."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson
import pytest
from tests.golden.data.make import HOURS, START_MS, Clock, told, told_lines

from watchkeeper.query.promql.engine import Engine
from watchkeeper.store.files import RealFiles
from watchkeeper.store.logs.db import LogDb
from watchkeeper.store.logs.settings import LogSettings
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

GOLDEN = Path(__file__).parents[1] / "golden" / "data"
YEARS_MS = 3650 * 86_400_000


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60))


def copy_of(name: str, folder: Path) -> tuple[RealFiles, object]:
    shutil.copytree(GOLDEN / name / "data", folder / name)
    return RealFiles(folder / name), orjson.loads((GOLDEN / name / "answers.json").read_bytes())


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("metrics-*")))
def test_samples_of_every_format_answer_as_they_did(name: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        files, expected = copy_of(name, tmp_path)
        settings = MetricSettings.model_validate({"retention_ms": YEARS_MS, "scrub_ms": 0})
        for _ in range(2):  # as it was, and as it was left
            db = MetricDb(files, settings, Clock())
            await db.start()
            assert told(db) == expected
            await db.keep_up()
            assert told(db) == expected
            await db.stop()

    run(scenario)


def test_a_tier_of_every_format_answers_as_the_samples(tmp_path: Path) -> None:
    async def scenario() -> None:
        files, _ = copy_of("metrics-2", tmp_path)
        tier = {"every": "1h", "after": "1d", "keep": "3650d"}
        settings = MetricSettings.model_validate({"retention_ms": YEARS_MS, "scrub_ms": 0, "downsample": [tier]})
        db = MetricDb(files, settings, Clock())
        await db.start()
        start_ms, end_ms = START_MS + 6 * 3_600_000, START_MS + HOURS * 3_600_000
        sums = [
            Engine(db, thinned=thinned).range("sum(rate(m0[2h]))", start_ms, end_ms, 3_600_000).values[0].tolist()
            for thinned in (None, db.thinning)
        ]
        assert db.tier_list()[0].blocks and sums[0] == pytest.approx(sums[1])
        await db.stop()

    run(scenario)


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("logs-*")))
def test_lines_of_every_format_answer_as_they_did(name: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        files, expected = copy_of(name, tmp_path)
        for _ in range(2):
            db = LogDb(files, LogSettings(), Clock())
            await db.start()
            assert told_lines(db) == expected
            await db.cut(everything=True)
            assert told_lines(db) == expected
            await db.stop()

    run(scenario)
