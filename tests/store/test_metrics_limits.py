"""One metric that explodes is refused and named; every other series goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from tests.doubles import SplitClock
from tests.store.simfiles import SimFiles

from watchkeeper.model.errors import Refused
from watchkeeper.model.frame import ABSENT, Row
from watchkeeper.model.labels import Labels
from watchkeeper.model.matchers import Matcher
from watchkeeper.model.metrics import REGISTRY
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

NOW_MS = 1_700_000_000_000
ALWAYS = (-(1 << 62), 1 << 62)


def make(clock: SplitClock, **settings: Any) -> MetricDb:
    return MetricDb(SimFiles(), MetricSettings(**settings), clock)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60))


def scrape(db: MetricDb, clock: SplitClock, series: list[Labels]) -> dict[str, int]:
    clock.pass_s(15)
    layout = db.layout("target", series)
    return db.append([Row(layout, clock.ms, np.arange(len(series), dtype=np.float64), whole=True)]).refused


def users(first: int, number: int) -> list[Labels]:
    return [{"__name__": "requests_total", "user": str(at)} for at in range(first, first + number)]


def count(db: MetricDb, name: str) -> int:
    return len(db.series([[Matcher("__name__", "=", name)]], *ALWAYS))


def test_a_label_explosion_is_stopped_at_the_scrape_that_passes_the_bound_and_the_rest_goes_on() -> None:
    async def scenario() -> None:
        clock = SplitClock(NOW_MS)
        db = make(clock, series_max_per_metric=100)
        await db.start()
        rest: list[Labels] = [{"__name__": f"m{at}"} for at in range(90)]
        assert scrape(db, clock, [*rest, *users(0, 60)]) == {}
        strings = len(db.symbols)
        reason = "series_max_per_metric: got 110 series of requests_total, want at most 100"
        for turn in range(1, 4):  # always other users, and the known ones
            refused = scrape(db, clock, [*users(0, 30), *rest, *users(60 + 50 * turn, 50)])
            assert refused == {reason: 50}
        assert len(db.symbols) == strings
        assert count(db, "requests_total") == 60
        by_time = [
            len(part.times) for at in range(90) for part in db.select([Matcher("__name__", "=", f"m{at}")], *ALWAYS)
        ]
        assert by_time == [4] * 90
        assert REGISTRY.get_sample_value("watchkeeper_series_refused_total", {"metric": "requests_total"}) == 150
        await db.stop()

    run(scenario)


def test_series_that_end_do_not_make_room_for_others_within_the_hour() -> None:
    async def scenario() -> None:
        clock = SplitClock(NOW_MS)
        db = make(clock, series_max_per_metric=100)
        await db.start()
        for turn in range(10):  # each scrape has only new users
            scrape(db, clock, users(30 * turn, 30))
            await db.keep_up()
        assert count(db, "requests_total") == 90
        clock.pass_s(3600)
        await db.keep_up()
        assert scrape(db, clock, users(1000, 5)) == {}
        await db.stop()

    run(scenario)


def test_more_samples_a_second_than_allowed_are_refused_and_taken_later() -> None:
    async def scenario() -> None:
        clock = SplitClock(NOW_MS)
        db = make(clock, samples_per_s_max=100)
        await db.start()
        layout = db.layout("a", users(0, 100))
        stored = refused = 0
        for _ in range(300):  # ten times as many as allowed, for thirty seconds
            clock.pass_s(0.1)
            try:
                stored += db.append([Row(layout, clock.ms, np.ones(100))]).stored
            except Refused:
                refused += 1
        assert 4000 <= stored <= 4200 and refused > 250
        clock.pass_s(10)
        assert db.append([Row(layout, clock.ms, np.ones(100))]).stored == 100
        await db.stop()

    run(scenario)


def test_a_series_with_labels_out_of_bounds_is_refused_by_itself() -> None:
    async def scenario() -> None:
        clock = SplitClock(NOW_MS)
        db = make(clock, labels_max=3, label_name_length_max=10, label_value_length_max=20)
        await db.start()
        good: list[Labels] = [{"__name__": "good", "n": str(at)} for at in range(3)]
        many: Labels = {"__name__": "many", "a": "1", "b": "2", "c": "3"}
        bad: list[Labels] = [many, {"__name__": "value", "a": "x" * 21}, {"__name__": "name", "a" * 11: "1"}]
        refused = scrape(db, clock, [good[0], *bad, *good[1:]])
        assert [reason.partition(":")[0] for reason in refused] == [
            "labels_max",
            "label_value_length_max",
            "label_name_length_max",
        ]
        assert db.label_values("__name__", [], *ALWAYS) == ["good"]
        (part,) = db.select([], *ALWAYS)
        assert sorted(part.values[:, 0].tolist()) == [0.0, 4.0, 5.0]
        await db.stop()

    run(scenario)


@pytest.mark.parametrize("value", [1.0, float(ABSENT)])
def test_only_samples_that_are_there_count_as_refused(value: float) -> None:
    async def scenario() -> None:
        clock = SplitClock(NOW_MS)
        db = make(clock, labels_max=2)
        await db.start()
        layout = db.layout("a", [{"__name__": "x"}, {"__name__": "y", "a": "1", "b": "2"}])
        done = db.append([Row(layout, NOW_MS, np.array([1.0, value]))])
        assert done.stored == 1 and sum(done.refused.values()) == (value == 1.0)
        await db.stop()

    run(scenario)
