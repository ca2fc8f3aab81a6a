"""The metrics store against a plain dict: any appends, commits, crashes and restarts, on a disk that fails."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.doubles import SplitClock
from tests.examples import examples
from tests.store.simfiles import PowerLost, SimFiles

from watchkeeper.model.errors import Refused
from watchkeeper.model.frame import ABSENT, ABSENT_BITS, STALE_BITS, Row
from watchkeeper.model.matchers import Matcher, match_all
from watchkeeper.store.metrics.codec import decode, encode
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.metrics.record import LoggedRow, declare, decode_rows, encode_rows
from watchkeeper.store.settings import MetricSettings

NOW_MS = 1_000_000
ALWAYS = (-(1 << 62), 1 << 62)
BITS = st.one_of(
    st.integers(0, 3).map(lambda number: int(np.float64(number).view(np.uint64))),
    st.sampled_from([STALE_BITS, ABSENT_BITS, 0x7FF8000000000001, 1 << 63]),
    st.integers(0, (1 << 64) - 1),
)


def labels_of(number: int) -> dict[str, str]:
    return {"__name__": f"m{number % 3}", "n": str(number), **({"odd": "yes"} if number % 2 else {})}


REASONS = ("out of order sample", "duplicate sample for timestamp", "out of bounds")
Series = int
Model = dict[Series, dict[int, int]]  # time → bits


class Plain:
    """What the store should hold, said without any cleverness; one source."""

    def __init__(self, floor_ms: int = -(1 << 62)) -> None:
        self.samples: Model = {}
        self.floor_ms = floor_ms  # what is older lies in blocks, and nothing is added to it

    def copy(self) -> "Plain":
        other = Plain(self.floor_ms)
        other.samples = {number: dict(times) for number, times in self.samples.items()}
        return other

    def append(self, series: list[Series], time_ms: int, bits: list[int], whole: bool) -> dict[str, int]:
        counts = {"stored": 0, "duplicates": 0, **dict.fromkeys(REASONS, 0)}
        for number, value in zip(series, bits, strict=True):
            times = self.samples.setdefault(number, {})
            newest = max(times, default=None)
            if value == ABSENT_BITS:
                continue
            if time_ms < self.floor_ms:
                counts["out of bounds"] += 1
            elif newest is not None and time_ms < newest:
                counts["out of order sample"] += 1
            elif newest == time_ms:
                counts["duplicates" if times[time_ms] == value else "duplicate sample for timestamp"] += 1
            else:
                times[time_ms] = value
                counts["stored"] += value != STALE_BITS
        if whole and time_ms >= self.floor_ms:
            for number, times in self.samples.items():
                newest = max(times, default=None)
                if number in series or newest is None or not self.floor_ms <= newest < time_ms:
                    continue
                if times[newest] != STALE_BITS:
                    times[time_ms] = STALE_BITS
        return counts


def read(db: MetricDb, matchers: list[Matcher], start: int, end: int) -> Model:
    found: Model = {}
    for part in db.select(matchers, start, end):
        for labels, row in zip(part.labels.labels(), part.values.view(np.uint64).tolist(), strict=True):
            stamped = zip(part.times.tolist(), row, strict=True)
            assert int(labels["n"]) not in found
            found[int(labels["n"])] = {time_ms: bits for time_ms, bits in stamped if bits != ABSENT_BITS}
    return found


def expected(model: Model, matchers: list[Matcher], start: int, end: int) -> Model:
    out: Model = {}
    for number, times in model.items():
        inside = {time_ms: bits for time_ms, bits in times.items() if start <= time_ms <= end}
        if match_all(matchers, labels_of(number)) and any(bits != STALE_BITS for bits in inside.values()):
            out[number] = inside
    return out


class Store(RuleBasedStateMachine):
    """One source; appends are in time order more often than not."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.files = SimFiles()
        self.time_ms = 1000
        self.now = Plain()
        self.possible = [Plain()]  # what may be there after a power cut, oldest first; the first is acknowledged
        self.open()

    def teardown(self) -> None:
        self.loop.run_until_complete(self.db.stop())
        self.loop.close()

    def open(self) -> None:
        wal = {"segment_bytes": 4096, "sync_interval_ms": 3_600_000}
        self.db = MetricDb(self.files, MetricSettings(chunk_rows=4, block_ms=20, wal=wal), SplitClock(NOW_MS))
        self.loop.run_until_complete(self.db.start())

    @rule(
        series=st.lists(st.integers(0, 11), max_size=8, unique=True),
        steps=st.lists(st.sampled_from([1, 1, 1, 10, 0, -1, -7]), min_size=1, max_size=4),
        whole=st.booleans(),
        data=st.data(),
    )
    def append(self, series: list[int], steps: list[int], whole: bool, data: st.DataObject) -> None:
        self.append_rows(series, steps, whole, data.draw)

    def append_rows(self, series: list[int], steps: list[int], whole: bool, draw: Any) -> None:
        async def go() -> None:
            layout = self.db.layout("source", [labels_of(number) for number in series])
            rows, after = [], self.now.copy()
            totals = dict.fromkeys(("stored", "duplicates", *REASONS), 0)
            for step in steps:
                self.time_ms += step
                bits = draw(st.lists(BITS, min_size=len(series), max_size=len(series)))
                rows.append(Row(layout, self.time_ms, np.array(bits, np.uint64).view(np.float64), whole))
                for reason, number in after.append(series, self.time_ms, bits, whole).items():
                    totals[reason] += number
            try:
                done = self.db.append(rows)
            except Refused:
                return
            self.now = after
            self.possible.append(after)
            refused = {reason: totals[reason] for reason in REASONS if totals[reason]}
            assert (done.stored, done.duplicates, done.refused) == (totals["stored"], totals["duplicates"], refused)

        self.loop.run_until_complete(go())

    @rule()
    def commit(self) -> None:
        async def go() -> None:
            try:
                await self.db.commit()
            except Refused:
                return
            self.possible = [self.now]

        self.loop.run_until_complete(go())

    @precondition(lambda self: not self.files.faults)
    @rule(kind=st.sampled_from(["ENOSPC", "EIO", "short", "lost"]), after=st.integers(1, 6))
    def disk_will_fail(self, kind: str, after: int) -> None:
        self.files.faults = {self.files.calls + after: kind}

    @rule(back=st.integers(0, 30))
    def flush(self, back: int) -> None:
        cutoff_ms = max(self.time_ms - back, self.now.floor_ms)
        if self.loop.run_until_complete(self.db.flush(cutoff_ms)):
            self.now = self.now.copy()
            self.now.floor_ms = self.db._blocks.cutoff_ms
            self.possible = [self.now]

    @rule()
    def upkeep(self) -> None:
        with patch("watchkeeper.store.metrics.frames._RENEW_COLUMNS_MIN", 2):
            self.loop.run_until_complete(self.keep_up())
        self.now.floor_ms = self.db._blocks.cutoff_ms

    async def keep_up(self) -> None:
        await self.db.keep_up()

    @rule(
        back=st.integers(0, 30),
        calls=st.integers(1, 60),
        how=st.sampled_from(["kill", "lost", "prefix", "torn", "some"]),
        seed=st.integers(0, 1 << 30),
    )
    def flush_or_compaction_that_a_crash_ends(self, back: int, calls: int, how: str, seed: int) -> None:
        self.files.faults = {}
        self.files.dies_at = self.files.calls + calls
        with contextlib.suppress(PowerLost):
            self.flush(back)
            self.loop.run_until_complete(self.keep_up())
        if how == "kill":
            self.kill()
        else:
            self.power_cut(how, seed)

    @rule()
    def restart(self) -> None:
        self.files.faults = {}
        self.loop.run_until_complete(self.db.stop())
        self.open()
        self.now.floor_ms = self.db._blocks.cutoff_ms

    @rule()
    def kill(self) -> None:
        self.crash("kill", 0)
        self.now.floor_ms = self.db._blocks.cutoff_ms
        assert read(self.db, [], *ALWAYS) == expected(self.now.samples, [], *ALWAYS)
        self.possible = [self.now]

    @rule(how=st.sampled_from(["lost", "prefix", "torn", "some"]), seed=st.integers(0, 1 << 30))
    def power_cut(self, how: str, seed: int) -> None:
        hit = self.files.hit  # what is written anew after a failed sync may be cut off out of order
        self.crash(how, seed)
        found = read(self.db, [], *ALWAYS)
        acknowledged, latest = self.possible[0].samples, self.now.samples
        for number, times in acknowledged.items():
            if any(bits != STALE_BITS for bits in times.values()):
                assert times.items() <= found.get(number, {}).items()
        for number, times in found.items():
            assert times.items() <= latest[number].items()
        if how != "some" and not hit:  # a prefix of the appends, each whole
            assert any(found == expected(one.samples, [], *ALWAYS) for one in self.possible)
        self.retell()

    def retell(self) -> None:
        """Let the model know staleness markers of series without samples, which `select` leaves out."""
        self.now = Plain(self.db._blocks.cutoff_ms)
        for view in reversed(self.db._views([()], *ALWAYS)):  # blocks and old frames first
            times, values, _ = view.read(np.arange(len(view.table), dtype=np.int32), *ALWAYS)
            for labels, row in zip(view.table.labels(), values.view(np.uint64).tolist(), strict=True):
                stamped = zip(times.tolist(), row, strict=True)
                known = self.now.samples.setdefault(int(labels["n"]), {})
                known.update({time_ms: bits for time_ms, bits in stamped if bits != ABSENT_BITS})
        self.possible = [self.now]

    def crash(self, how: str, seed: int) -> None:
        old, dead, self.files = self.db, self.files, self.files.crash(how, random.Random(seed))
        dead.dies_at = 1 << 60
        self.open()
        with contextlib.suppress(PowerLost):  # what it was at when it died
            self.loop.run_until_complete(old.stop())  # its files are gone from sight; only its thread must end

    @rule(
        matcher=st.sampled_from(["m0", "m1", "m2"]),
        odd=st.booleans(),
        start=st.integers(0, 60),
        span=st.integers(0, 60),
    )
    def select(self, matcher: str, odd: bool, start: int, span: int) -> None:
        matchers = [Matcher("__name__", "=", matcher)] + [Matcher("odd", "!=", "yes")] * (not odd)
        low = 980 + start
        assert read(self.db, matchers, low, low + span) == expected(self.now.samples, matchers, low, low + span)

    @invariant()
    def everything_is_there(self) -> None:
        assert read(self.db, [], *ALWAYS) == expected(self.now.samples, [], *ALWAYS)


TestStore = Store.TestCase
TestStore.settings = settings(
    max_examples=examples(40), stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)


@given(columns=st.integers(1, 9), rows=st.integers(1, 40), data=st.data())
@settings(max_examples=examples(80), deadline=None)
def test_the_codec_keeps_every_bit(columns: int, rows: int, data: st.DataObject) -> None:
    chance = random.Random(data.draw(st.integers(0, 1 << 30)))
    kinds: list[Callable[[], int]] = [
        lambda: chance.getrandbits(64),
        lambda: int(np.float64(chance.randrange(1000)).view(np.uint64)),
        lambda: int(np.float64(chance.randrange(1000) / 10).view(np.uint64)),
        lambda: chance.choice([ABSENT_BITS, STALE_BITS, 0, 1 << 63, 0x7FF0000000000000, 0xFFF8000000000123]),
        lambda: int(np.float64(chance.randrange(100) * 4096).view(np.uint64)),
        lambda: int(np.float64(2.0**53 + chance.randrange(100)).view(np.uint64)),
        lambda: int(np.float64(-(2.0 ** chance.randrange(70))).view(np.uint64)),
    ]
    made = [[chance.choice(kinds[: data.draw(st.integers(1, 6))])() for _ in range(rows)] for _ in range(columns)]
    pure = [[chance.choice([kind, kind, kind, kinds[3]])() for _ in range(rows)] for kind in kinds]
    for bits in (made, pure):
        values = np.array(bits, np.uint64).view(np.float64)
        (group,) = encode(values)
        assert decode(group, len(bits), rows).view(np.uint64).tolist() == bits
        chosen = np.arange(0, len(bits), 2)
        assert decode(group, len(bits), rows, chosen).view(np.uint64).tolist() == bits[::2]
        for at, alone in enumerate(bits):
            assert decode(group, len(bits), rows, np.array([at])).view(np.uint64).tolist() == [alone]


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 2), st.integers(-(1 << 62), 1 << 62), st.booleans()), min_size=1, max_size=6
    ),
    data=st.data(),
)
@settings(max_examples=examples(80), deadline=None)
def test_records_of_rows_keep_every_bit(rows: list[tuple[int, int, bool]], data: st.DataObject) -> None:
    from watchkeeper.model.labels import LabelTable, Symbols

    widths = data.draw(st.lists(st.integers(0, 5), min_size=3, max_size=3))
    symbols = Symbols()
    bases = [np.array([data.draw(BITS) for _ in range(width)], np.uint64) for width in widths]
    tables = [LabelTable.from_labels([labels_of(at) for at in range(width)], symbols) for width in widths]
    numbers = [(1 << 40) + at for at in range(3)]
    told = [
        declare(number, "söurce", table, base.view(np.float64))
        for number, table, base in zip(numbers, tables, bases, strict=True)
    ]
    logged = [
        LoggedRow(numbers[at], time_ms, whole, np.array([data.draw(BITS) for _ in range(widths[at])], np.uint64))
        for at, time_ms, whole in rows
    ]
    declarations, found = decode_rows(encode_rows(told, logged))
    assert [one.base.view(np.uint64).tolist() for one in declarations] == [base.tolist() for base in bases]
    assert [(row.number, row.time_ms, row.whole, row.values.tolist()) for row in found] == [
        (row.number, row.time_ms, row.whole, row.values.tolist()) for row in logged
    ]
    for one, table in zip(declarations, tables, strict=True):
        again = [dict(zip(one.labels, texts, strict=True)) for texts in zip(*one.labels.values(), strict=True)]
        assert [{k: v for k, v in labels.items() if v} for labels in again] == table.labels()


def test_absent_is_absent() -> None:
    assert int(ABSENT.view(np.uint64)) == ABSENT_BITS
