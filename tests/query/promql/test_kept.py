"""Range queries that use their last answer again give what evaluating them anew gives, whatever happened meanwhile."""

import asyncio
import random
from collections.abc import Callable

import numpy as np
import orjson
import pytest
from tests.doubles import SplitClock
from tests.store.simfiles import SimFiles

from watchkeeper.api.matrix_json import data_of
from watchkeeper.model import metrics
from watchkeeper.model.frame import ABSENT, STALE, Row
from watchkeeper.model.labels import Symbols
from watchkeeper.model.matchers import Matcher
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.promql.parser import parse
from watchkeeper.query.promql.reach import reach_of
from watchkeeper.query.settings import QuerySettings
from watchkeeper.store.metrics.changes import EVERYTHING_MS, UNCHANGED_MS, Changes
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.metrics.frame import Frame
from watchkeeper.store.settings import MetricSettings

START_MS = 1_700_000_000_000
STEP_MS = 15_000
EXPRESSIONS = (
    "a_total",
    "rate(a_total[1m])",
    "sum by (host) (increase(a_total[2m]))",
    "a_total offset 2m",
    "a_total offset -1m",
    "a_total offset -1m - a_total offset 5m",
    "a_total - a_total @ 1700000600",
    "max_over_time(b[3m]) > 2",
    "b and a_total",
    "avg_over_time(sum(b)[3m:30s])",
    "max_over_time((b offset -30s)[2m:20s] offset 1m)",
    'label_replace(b, "host", "made-$1", "host", "(.*)")',
    'count_values("value", b)',
    "absent(b)",
    "topk(1, a_total)",
    '{__name__=~"a_.+|b"}',
    "time() - timestamp(b)",
    "vector(time())",
)


class Story:
    """A store to which random things happen, and the same queries asked with and without a memory."""

    def __init__(self, db: MetricDb, chance: random.Random) -> None:
        self.db, self.chance, self.now_ms = db, chance, START_MS
        self.kept, self.plain = Engine(db, None, db), Engine(db)
        self.hosts = 3

    def append(self, time_ms: int, share: float = 1.0) -> None:
        host = self.chance.randrange(self.hosts)
        labels = [{"__name__": name, "host": str(host), "n": str(n)} for name in ("a_total", "b") for n in range(3)]
        layout = self.db.layout(f"source/{host}", labels)
        values = np.array(
            [self.chance.randrange(6) + (host * 3 + at % 3) / 256 for at in range(len(labels))]
        )  # no ties
        for at in range(len(values)):
            if self.chance.random() > share:
                values[at] = ABSENT if self.chance.random() < 0.7 else STALE
        self.db.append([Row(layout, time_ms, values)])

    async def happen(self) -> None:
        self.now_ms += self.chance.choice((1000, 15_000, 60_000))
        what = self.chance.random()
        if what < 0.75:
            self.append(self.now_ms, self.chance.choice((1.0, 0.7)))
        elif what < 0.9:
            self.append(self.now_ms - self.chance.randrange(1, 400_000), 0.8)
        elif what < 0.93:
            self.hosts += 1
        elif what < 0.96:
            start_ms = self.now_ms - self.chance.randrange(600_000)
            await self.db.delete_series([[Matcher("host", "=", "1")]], start_ms, start_ms + 60_000)
        else:
            await self.db.flush(self.now_ms - 300_000)

    def compare(self, text: str) -> None:
        end_ms = self.now_ms // STEP_MS * STEP_MS + self.chance.choice((0, 0, 0, STEP_MS * 4))
        start_ms = end_ms - STEP_MS * self.chance.choice((100, 100, 100, 140, 20))
        found = _points(data_of(self.kept.range(text, start_ms, end_ms, STEP_MS)))
        wanted = _points(data_of(self.plain.range(text, start_ms, end_ms, STEP_MS)))
        assert found.keys() == wanted.keys(), text
        for labels, values in wanted.items():
            assert [time for time, _ in found[labels]] == [time for time, _ in values], (text, labels)
            ours, theirs = ([float(value) for _, value in points] for points in (found[labels], values))
            assert np.allclose(ours, theirs, rtol=1e-13, atol=1e-13), (text, labels)


def _points(data: bytes) -> dict[str, list[tuple[float, str]]]:
    return {str(one["metric"]): [(at, text) for at, text in one["values"]] for one in orjson.loads(data)["result"]}


def _tell(story: Callable[[Story], None], seed: int) -> None:
    async def run() -> None:
        settings = MetricSettings(out_of_order_window_ms=600_000)
        db = MetricDb(SimFiles(), settings, SplitClock(START_MS + 86_400_000))
        await db.start()
        try:
            told = Story(db, random.Random(seed))
            for _ in range(120):
                await told.happen()
                story(told)
        finally:
            await db.stop()

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(2))
def test_kept_answers_equal_fresh_ones(seed: int) -> None:
    before = metrics.REGISTRY.get_sample_value("watchkeeper_query_range_steps_total", {"from": "kept"}) or 0

    def ask(story: Story) -> None:
        for text in story.chance.sample(EXPRESSIONS, 6):
            story.compare(text)

    _tell(ask, seed)
    after = metrics.REGISTRY.get_sample_value("watchkeeper_query_range_steps_total", {"from": "kept"}) or 0
    assert after - before > 10_000


def test_what_is_kept_is_bounded() -> None:
    async def run() -> None:
        db = MetricDb(SimFiles(), MetricSettings(), SplitClock(START_MS + 86_400_000))
        await db.start()
        engine = Engine(db, QuerySettings(kept_bytes_max=100_000), db)
        story = Story(db, random.Random(1))
        story.append(START_MS)
        for number in range(40):
            engine.range(f"b + {number}", START_MS, START_MS + 60 * STEP_MS, STEP_MS)
        await db.stop()

    asyncio.run(run())
    kept = metrics.REGISTRY.get_sample_value("watchkeeper_query_kept_bytes")
    assert kept is not None and 10_000 < kept <= 100_000


@pytest.mark.parametrize(
    ("text", "forward_ms", "fixed_ms"),
    [
        ("a", 0, None),
        ("a offset 1m", -60_000, None),
        ("a offset 1m + rate(b[5m] offset -2m)", 120_000, None),
        ("sum_over_time((a offset -1m)[5m:1m] offset 3m)", -120_000, None),
        ("a @ 100 offset 10s", None, 90_000),
        ("sum_over_time((a offset 5s)[5m:1m] @ 100)", None, 95_000),
        ("sum_over_time((a @ 7)[5m:1m] offset 3m)", None, 7000),
        ("1", None, None),
    ],
)
def test_what_a_step_reads_is_known(text: str, forward_ms: int | None, fixed_ms: int | None) -> None:
    reach = reach_of(text, parse(text))
    never = -(1 << 62)
    assert reach is not None
    assert (reach.forward_ms, reach.fixed_ms) == (
        never if forward_ms is None else forward_ms,
        never if fixed_ms is None else fixed_ms,
    )


@pytest.mark.parametrize("text", ["a @ start()", "rate(a[5m] @ end())", "limitk(2, a)"])
def test_what_depends_on_the_whole_range_is_not_kept(text: str) -> None:
    assert reach_of(text, parse(text)) is None


def test_changes_are_told_apart_by_number_and_never_too_late() -> None:
    chance = random.Random(4)
    for _ in range(20):
        changes, frame, history = Changes(), Frame("a", Symbols(), 120, 7_200_000), []
        for at in range(200):
            time_ms = at * 10 if chance.random() < 0.8 else chance.randrange(at * 10 + 1)
            changes.note({frame: time_ms})
            history.append(time_ms)
            asked = chance.randrange(changes.version + 1)
            truth = min(history[asked:], default=UNCHANGED_MS)
            assert changes.since_ms(asked, [frame]) <= truth
            assert changes.since_ms(changes.version - 1, [frame]) == time_ms
        assert changes.since_ms(changes.version, [frame]) == UNCHANGED_MS
        changes.everything()
        assert changes.since_ms(changes.version - 1, [frame]) == EVERYTHING_MS
