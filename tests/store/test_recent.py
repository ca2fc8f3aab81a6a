"""Questions about one moment have the same answers from the newest rows as from a selection."""

import asyncio
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.doubles import SplitClock
from tests.examples import examples
from tests.store.simfiles import SimFiles

from watchkeeper.model.frame import ABSENT, Row
from watchkeeper.model.matchers import Matcher
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.promql.result import Result
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

NOW_MS = 10_000_000
QUERIES = (
    "m",
    'm{n="1"}',
    '{job="a"}',
    '{__name__=~"m|other"}',
    "nothing",
    "timestamp(m)",
    "rate(m[30s])",
    "count_over_time(m[20s])",
    "last_over_time(m[1m])",
    "sum by (job) (increase(m[1m]))",
    "max_over_time(m[40s] offset 10s)",
    "absent(m)",
    "m offset 15s",
)


def _rows_of(result: Result) -> Any:
    labels, order = result.by_labels()
    return [
        (labels[at], result.present[at].tolist(), result.values[at][result.present[at]].view(np.uint64).tolist())
        for at in order.tolist()
    ]


def _append(db: MetricDb, chance: random.Random, source: str, time_ms: int) -> None:
    names = [f"{n}" for n in range(6) if chance.random() < 0.8] or ["0"]
    layout = db.layout(source, [{"__name__": "m", "job": source, "n": name} for name in names])
    values = np.array([ABSENT if chance.random() < 0.1 else float(chance.randrange(50)) for _ in names], np.float64)
    db.append([Row(layout, time_ms, values, whole=chance.random() < 0.5)])


@given(seed=st.integers(0, 1 << 30), flushes=st.booleans(), chunk_rows=st.sampled_from([4, 100]))
@settings(max_examples=examples(40), deadline=None)
def test_answers_are_those_of_a_selection(seed: int, flushes: bool, chunk_rows: int) -> None:
    async def go() -> None:
        chance = random.Random(seed)
        clock = SplitClock(NOW_MS)
        db = MetricDb(SimFiles(), MetricSettings(chunk_rows=chunk_rows, block_ms=60_000), clock)
        await db.start()
        fast, plain = Engine(db, recent=db.recent), Engine(db)
        for step in range(40):
            at_ms = NOW_MS - 400_000 + step * 10_000
            for source in ("a", "b", "c"):
                if chance.random() < 0.9:
                    _append(db, chance, source, at_ms + chance.randrange(3) * 100)
            if flushes and step == 25:
                await db.flush(at_ms - 100_000)
            if chance.random() < 0.4:
                asked_ms = at_ms - chance.choice([0, 0, 5_000, 60_000, -10_000])
                for text in QUERIES:
                    assert _rows_of(fast.instant(text, asked_ms)) == _rows_of(plain.instant(text, asked_ms)), text
        await db.stop()

    asyncio.run(go())


@pytest.fixture
def matchers() -> list[Matcher]:
    return [Matcher("__name__", "=", "m")]


def test_what_is_not_at_hand_is_left_to_a_selection(matchers: list[Matcher]) -> None:
    async def go() -> None:
        db = MetricDb(SimFiles(), MetricSettings(block_ms=60_000), SplitClock(NOW_MS))
        await db.start()
        for step in range(20):
            _append(db, random.Random(step), "a", NOW_MS - 200_000 + step * 10_000)
        now = NOW_MS - 60_000, NOW_MS
        assert db.recent.recent(matchers, *now, newest=True) is not None
        await db.flush(NOW_MS - 100_000)
        assert db.recent.recent(matchers, *now, newest=False) is not None
        assert db.recent.recent(matchers, NOW_MS - 150_000, NOW_MS, newest=False) is None  # lies in a block
        await db.delete_series([matchers], NOW_MS - 5_000, NOW_MS)
        assert db.recent.recent(matchers, *now, newest=False) is None
        await db.stop()

    asyncio.run(go())


def test_a_series_of_two_frames_is_left_to_a_selection(matchers: list[Matcher]) -> None:
    async def go() -> None:
        db = MetricDb(SimFiles(), MetricSettings(), SplitClock(NOW_MS))
        await db.start()
        for source in ("a", "b"):
            db.append([Row(db.layout(source, [{"__name__": "m"}]), NOW_MS, np.ones(1))])
        assert db.recent.recent(matchers, NOW_MS - 1000, NOW_MS, newest=True) is None
        await db.stop()

    asyncio.run(go())
