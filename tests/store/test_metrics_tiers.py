"""Downsampling tiers: long ranges answer as from the samples, after these are gone as far as is documented."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from tests.doubles import SplitClock
from tests.store.simfiles import PowerLost, SimFiles

from watchkeeper.model.frame import ABSENT_BITS, STALE_BITS, Floats, FrameSlice, Row, Times, histogram_cells
from watchkeeper.model.labels import LabelTable
from watchkeeper.model.matchers import Matcher
from watchkeeper.query.promql.engine import Engine, Result
from watchkeeper.query.promql.trace import Trace
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.metrics.thin import thin
from watchkeeper.store.settings import Keep, MetricSettings, TierSettings

DAY_MS, HOUR_MS, MINUTE_MS = 86_400_000, 3_600_000, 60_000
START_MS = 19_700 * DAY_MS
TIERS = (TierSettings(every="5m", after="1d", keep="30d"), TierSettings(every="1h", after="1d", keep="300d"))
DAYS = 4


def make(files: SimFiles, clock: SplitClock, keeps: tuple[Keep, ...] = (), **settings: Any) -> MetricDb:
    settings.setdefault("downsample", TIERS)
    settings.setdefault("scrub_ms", 0)
    settings.setdefault("compaction_share", 1.0)
    return MetricDb(files, MetricSettings(**settings), clock, keeps)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60))


def rows(series: int, times: Times, seed: int) -> Floats:
    """Counters that restart, gauges, a series with gaps, one that ends and comes back."""
    chance = np.random.default_rng(seed)
    values = np.cumsum(chance.poisson(3, (series, len(times))), axis=1).astype(np.float64)
    for at in range(0, series, 4):
        values[at] = np.round(np.sin(times / 5e6 + at) * 50 + chance.random(len(times)), 2)
    for at in range(1, series, 4):
        for reset in chance.integers(1, len(times), 3):
            values[at, reset:] -= values[at, reset] - 1
    holes = chance.random(values.shape) < 0.3
    values[2, holes[2]] = np.uint64(ABSENT_BITS).view(np.float64)
    values[3, len(times) // 3] = np.uint64(STALE_BITS).view(np.float64)
    values[3, len(times) // 3 + 1 : len(times) // 2] = np.uint64(ABSENT_BITS).view(np.float64)
    return values


async def fill(db: MetricDb, days: int = DAYS, series: int = 8) -> None:
    labels = [{"__name__": f"m{at % 4}", "n": str(at)} for at in range(series)]
    for day in range(days):
        jitter = np.random.default_rng(day).integers(0, 9, 24 * 60)
        times = START_MS + day * DAY_MS + 3_000 + np.arange(24 * 60) * MINUTE_MS + jitter
        if day == 1:
            times[60] = START_MS + DAY_MS + HOUR_MS  # at the border between two stretches
        table = LabelTable.from_labels(labels, db.symbols)
        await db.write_block([("a", FrameSlice(table, times, rows(series, times, day), gaps=True))])
    layout = db.layout("a", labels)
    db.append([Row(layout, START_MS + days * DAY_MS + at * MINUTE_MS, np.full(series, float(at))) for at in range(30)])
    await db.flush(START_MS + days * DAY_MS + 10 * MINUTE_MS)


QUERIES = [
    "rate({n=~'.+'}[1h])", "increase({n=~'.+'}[2h])", "delta({n=~'.+'}[1h])", "avg_over_time({n=~'.+'}[1h])",
    "sum_over_time({n=~'.+'}[1h])", "min_over_time({n=~'.+'}[1h])", "max_over_time({n=~'.+'}[1h])",
    "count_over_time({n=~'.+'}[1h])", "last_over_time({n=~'.+'}[1h])", "first_over_time({n=~'.+'}[1h])",
    "present_over_time({n=~'.+'}[1h])", "{n=~'.+'}", "timestamp({n=~'.+'})",
    "sum by (n) (rate({n=~'.+'}[6h] offset 1h))",
]  # fmt: skip


def ask(db: MetricDb, expr: str, *, thinned: bool, start: int, end: int, step: int = HOUR_MS) -> tuple[Result, str]:
    engine = Engine(db, thinned=db.thinning if thinned else None)
    terms = engine.terms()
    terms.trace = Trace(expr)
    result = engine.range(expr, start, end, step, terms)
    return result, str(terms.trace.whole.told())


def known(result: Result) -> dict[tuple[tuple[str, str], ...], Floats]:
    values = np.where(result.present, result.values, np.nan)
    return {tuple(sorted(one.items())): row for one, row in zip(result.labels.labels(), values, strict=True)}


def assert_same(left: Result, right: Result) -> None:
    one, other = known(left), known(right)
    assert one.keys() == other.keys() and one
    for key, row in one.items():
        np.testing.assert_allclose(row, other[key], rtol=1e-12, atol=1e-12, err_msg=str(key))


def test_aligned_windows_answer_as_from_the_samples() -> None:
    async def scenario() -> None:
        clock = SplitClock(START_MS + DAYS * DAY_MS + HOUR_MS)
        db = make(SimFiles(), clock)
        await db.start()
        await fill(db)
        await db.keep_up()
        assert all(len(tier.blocks.all()) and tier.until_ms == START_MS + 3 * DAY_MS for tier in db._upkeep.tiers)
        between = {"start": START_MS + 12 * HOUR_MS, "end": START_MS + DAYS * DAY_MS}
        for expr in QUERIES:
            from_tier, told = ask(db, expr, thinned=True, **between)
            assert "'tier': '1h'" in told, expr
            assert_same(from_tier, ask(db, expr, thinned=False, **between)[0])
        fine, told = ask(db, QUERIES[0], thinned=True, step=5 * MINUTE_MS, **between)
        assert "'tier': '5m'" in told
        assert_same(fine, ask(db, QUERIES[0], thinned=False, step=5 * MINUTE_MS, **between)[0])
        for unfit in ("rate(m0[61m])", "quantile_over_time(0.5, m0[1h])", "m0 offset 1m"):
            assert "'tier'" not in ask(db, unfit, thinned=True, **between)[1], unfit
        await db.stop()

    run(scenario)


def test_histograms_are_left_out_of_tiers() -> None:
    times, values = np.arange(1, 5) * MINUTE_MS, np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]])
    values[0, 1:3] = histogram_cells(np.array([0, 1]))
    found = thin(times, values, 5 * MINUTE_MS)
    assert found.values["count"].tolist() == [[2], [4]]
    assert found.values["sum"].tolist() == [[5], [10]]
    assert found.values["lost"].tolist() == [[0], [0]]


def test_what_is_gone_as_samples_is_answered_from_a_tier() -> None:
    async def scenario() -> None:
        files, clock = SimFiles(), SplitClock(START_MS + DAYS * DAY_MS + HOUR_MS)
        db = make(files, clock, retention_ms=3 * DAY_MS)
        await db.start()
        await fill(db)
        whole = {"start": START_MS + 12 * HOUR_MS, "end": START_MS + 2 * DAY_MS}
        expected = [ask(db, expr, thinned=False, **whole)[0] for expr in QUERIES]
        shifted = {"start": whole["start"] + 70_000, "end": whole["end"]}
        rate = ask(db, "sum(rate(m1[65m]))", thinned=False, **shifted)[0]
        await db.keep_up()
        clock.pass_s(2 * 86_400)
        await db.keep_up()
        await db.stop()
        again = make(files, clock, retention_ms=3 * DAY_MS)
        await again.start()
        assert again.select([Matcher("n", "=~", ".+")], START_MS, whole["end"]) == []
        assert again.label_values("n", [], START_MS, whole["end"]) == [str(at) for at in range(8)]
        for expr, result in zip(QUERIES, expected, strict=True):
            assert_same(ask(again, expr, thinned=True, **whole)[0], result)
        near, told = ask(again, "sum(rate(m1[65m]))", thinned=True, **shifted)
        assert "'tier': '5m'" in told
        np.testing.assert_allclose(near.values, rate.values, rtol=0.15)
        lost, _ = ask(again, "quantile_over_time(0.5, m0[1h])", thinned=True, **whole)
        assert not len(lost.labels) and "kept downsampled alone" in str(lost.warnings)
        await again.stop()

    run(scenario)


def test_each_tier_goes_after_its_own_time_and_series_of_short_keep_have_none() -> None:
    async def scenario() -> None:
        clock = SplitClock(START_MS + DAYS * DAY_MS + HOUR_MS)
        db = make(SimFiles(), clock, (Keep((Matcher("n", "=", "5"),), DAY_MS),), retention_ms=3 * DAY_MS)
        await db.start()
        await fill(db)
        await db.keep_up()
        names = {view.source for tier in db._upkeep.tiers for block in tier.blocks.all() for view in block.views}
        assert "lost/a" in names
        for tier in db._upkeep.tiers:
            assert all("5" not in view.table.values("n") for block in tier.blocks.all() for view in block.views)
        clock.pass_s(40 * 86_400)
        await db.keep_up()
        fine, coarse = (len(tier.blocks.all()) for tier in db._upkeep.tiers)
        assert fine == 0 and coarse > 0
        await db.stop()

    run(scenario)


def test_samples_that_come_late_or_are_deleted_change_the_tier() -> None:
    async def scenario() -> None:
        clock = SplitClock(START_MS + DAYS * DAY_MS + HOUR_MS)
        db = make(SimFiles(), clock)
        await db.start()
        await fill(db)
        await db.keep_up()
        between = {"start": START_MS + 12 * HOUR_MS, "end": START_MS + DAYS * DAY_MS}
        table = LabelTable.from_labels([{"__name__": "m0", "n": "late"}], db.symbols)
        times = START_MS + DAY_MS + np.arange(300) * MINUTE_MS
        await db.write_block([("b", FrameSlice(table, times, np.arange(300.0)[None, :], gaps=False))])
        await db.delete_series([[Matcher("n", "=", "1")]], START_MS + 30 * HOUR_MS, START_MS + 31 * HOUR_MS)
        for expr in ("rate(m0[1h])", "avg_over_time(m1[1h])"):  # the samples are read until the tier knows
            found, told = ask(db, expr, thinned=True, **between)
            assert "'tier'" not in told
            assert_same(found, ask(db, expr, thinned=False, **between)[0])
        await db.keep_up()
        await db.clean_tombstones()
        for expr in ("rate(m0[1h])", "count_over_time(m1[1h])"):
            found, told = ask(db, expr, thinned=True, **between)
            assert "'tier': '1h'" in told
            expected = ask(db, expr, thinned=False, **between)[0]
            assert len(found.labels) == len(expected.labels)
        assert_same(
            ask(db, "rate(m0[1h])", thinned=True, **between)[0], ask(db, "rate(m0[1h])", thinned=False, **between)[0]
        )
        await db.stop()

    run(scenario)


@pytest.mark.parametrize("how", ["kill", "lost", "torn"])
def test_the_power_may_go_at_any_point_while_tiers_are_written(how: str) -> None:
    async def scenario() -> None:
        between = {"start": START_MS + 12 * HOUR_MS, "end": START_MS + 2 * DAY_MS}
        expr, clock = "rate({n=~'.+'}[1h])", SplitClock(START_MS + DAYS * DAY_MS + HOUR_MS)
        files = SimFiles()
        db = make(files, clock)
        await db.start()
        await fill(db)
        expected = ask(db, expr, thinned=False, **between)[0]
        begun = files.calls
        await db.stop()
        ready = files.crash("kill", random.Random(0))
        lives = 0
        while not lives or lives < files.calls:
            files = ready.crash("kill", random.Random(0))
            db = make(files, clock)
            await db.start()
            lives += max(1, begun // 12)
            files.dies_at = files.calls + lives
            with contextlib.suppress(PowerLost):
                await db.keep_up()
            again = make(files.crash(how, random.Random(lives)), clock)
            await again.start()
            assert_same(ask(again, expr, thinned=True, **between)[0], expected)
            await again.keep_up()
            found, told = ask(again, expr, thinned=True, **between)
            assert "'tier': '1h'" in told
            assert_same(found, expected)
            await again.stop()
            if files.calls < files.dies_at:
                return

    run(scenario)


@pytest.mark.parametrize("kind", ["EIO", "ENOSPC", "short", "lost"])
def test_a_disk_that_fails_leaves_no_half_of_a_tier(kind: str) -> None:
    async def scenario() -> None:
        between = {"start": START_MS + 12 * HOUR_MS, "end": START_MS + 2 * DAY_MS}
        expr, clock = "increase({n=~'.+'}[1h])", SplitClock(START_MS + DAYS * DAY_MS + HOUR_MS)
        files = SimFiles()
        db = make(files, clock)
        await db.start()
        await fill(db)
        expected = ask(db, expr, thinned=False, **between)[0]
        for number in range(1, 60, 4):
            files.faults = {files.calls + number: kind}
            await db.keep_up()
            files.faults = {}
            assert_same(ask(db, expr, thinned=True, **between)[0], expected)
        await db.keep_up()
        found, told = ask(db, expr, thinned=True, **between)
        assert "'tier': '1h'" in told
        assert_same(found, expected)
        await db.stop()

    run(scenario)


def test_a_damaged_block_of_a_tier_is_not_read_while_there_are_samples() -> None:
    async def scenario() -> None:
        between = {"start": START_MS + 12 * HOUR_MS, "end": START_MS + DAYS * DAY_MS}
        files, clock = SimFiles(), SplitClock(START_MS + DAYS * DAY_MS + HOUR_MS)
        db = make(files, clock)
        await db.start()
        await fill(db)
        await db.keep_up()
        await db.stop()
        name = next(name for name in files.names if "tier-1h" in name and name.endswith(".block"))
        files.names[name].now[-100:] = bytes(100)
        files.names[name].now[:60] = bytes(60)
        again = make(files, clock)
        await again.start()
        found, told = ask(again, "rate(m1[1h])", thinned=True, **between)
        assert "'tier': '1h'" not in told
        assert_same(found, ask(again, "rate(m1[1h])", thinned=False, **between)[0])
        await again.stop()

    run(scenario)
