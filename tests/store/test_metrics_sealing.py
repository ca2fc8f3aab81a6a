"""Wide frames are compressed in a thread: readers and the event loop notice nothing of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from tests.doubles import SplitClock
from tests.store.simfiles import SimFiles

from watchkeeper.model.frame import Floats, Row
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.metrics.strip import Strip
from watchkeeper.store.settings import MetricSettings

NOW_MS = 1_700_000_000_000
ALWAYS = (-(1 << 62), 1 << 62)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60))


def make(**settings: Any) -> MetricDb:
    return MetricDb(SimFiles(), MetricSettings(**settings), SplitClock(NOW_MS))


def everything(db: MetricDb) -> dict[int, Floats]:
    return {
        int(labels["n"]): row
        for part in db.select([], *ALWAYS)
        for labels, row in zip(part.labels.labels(), part.values, strict=True)
    }


def test_rows_of_a_wide_frame_are_read_the_same_before_while_and_after_they_are_sealed() -> None:
    async def scenario() -> None:
        db = make(chunk_rows=10)
        await db.start()
        layout = db.layout("a", [{"__name__": "x", "n": str(at)} for at in range(600)])
        late = db.layout("a", [{"__name__": "x", "n": "600"}])
        for at in range(200):
            db.append([Row(layout, NOW_MS - 500_000 + at * 1000, np.arange(600.0) + at)])
            if at == 100:
                db.append([Row(late, NOW_MS - 500_000 + 3000, np.array([7.0]))])
            if at % 7 == 0:
                await asyncio.sleep(0)
            if at % 50 == 49:
                found = everything(db)
                rows = found[5][~np.isnan(found[5])]
                assert rows.tolist() == [5.0 + step for step in range(at + 1)]
        await db._frames.sealer.done()
        assert db.stats()["memory_bytes"] < 600 * 8 * 60
        found = everything(db)
        assert found[599][~np.isnan(found[599])].tolist() == [599.0 + step for step in range(200)]
        assert found[600][~np.isnan(found[600])].tolist() == [7.0]
        await db.flush(NOW_MS)
        assert {number: row.tobytes() for number, row in everything(db).items()} == {
            number: row.tobytes() for number, row in found.items()
        }
        await db.stop()

    run(scenario)


def test_a_wide_frame_is_sealed_in_a_thread() -> None:
    async def scenario() -> None:
        db = make()
        await db.start()
        layout = db.layout("a", [{"__name__": "x", "n": str(at)} for at in range(20_000)])
        chance = np.random.default_rng(1)
        values = np.cumsum(chance.poisson(5, (140, 20_000)), axis=0).astype(np.float64)
        for at in range(140):
            db.append([Row(layout, NOW_MS - 500_000 + at * 1000, values[at])])
            await asyncio.sleep(0)
        sealing = db._frames.sealer._task
        assert sealing is not None
        await db._frames.sealer.done()
        await db.stop()

    run(scenario)


def test_a_strip_that_nobody_seals_in_time_seals_itself() -> None:
    strip = Strip(10, 10, 7_200_000, lambda _strip: True)
    values = np.zeros(600)
    for at in range(100):
        strip.put(at, None, values, 600)
    assert strip.open_rows <= 40 and sum(chunk.n_rows for chunk in strip.chunks) + strip.open_rows == 100


def test_what_was_sealed_meanwhile_is_not_taken_twice() -> None:
    strip = Strip(10, 10, 7_200_000, lambda _strip: True)
    for at in range(30):
        strip.put(at, None, np.full(600, float(at)), 600)
    frozen = strip.frozen()
    assert frozen is not None and not strip.takes(int(frozen[0][-1])) and strip.takes(int(frozen[0][-1]) + 1)
    cut = strip.cut(int(frozen[0][-1]) + 1)
    assert not strip.take_sealed(frozen[0], list(cut))
    assert sum(chunk.n_rows for chunk in strip.chunks) + strip.open_rows == 30
    assert strip.value_at(3, np.array([0], np.int32)).tolist() == [3.0]
