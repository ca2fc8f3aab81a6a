import asyncio
import random
import struct
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from tests.doubles import SplitClock
from tests.store.simfiles import SimFiles

from watchkeeper.model.errors import BadInput, Damaged, OverLimit, Refused
from watchkeeper.model.frame import ABSENT, ABSENT_BITS, STALE, STALE_BITS, Floats, MetricMetadata, Row
from watchkeeper.model.matchers import Matcher
from watchkeeper.store.files import Files, RealFiles
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

ALWAYS = (-(1 << 62), 1 << 62)
NOW_MS = 1_700_000_000_000
Samples = dict[tuple[tuple[str, str], ...], dict[int, int]]  # labels → time → bits


def make(files: Files | None = None, clock: SplitClock | None = None, **settings: Any) -> MetricDb:
    settings.setdefault("chunk_rows", 10)
    settings.setdefault("wal", {"segment_bytes": 1 << 16})
    return MetricDb(files or SimFiles(), MetricSettings(**settings), clock or SplitClock(NOW_MS))


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60))


def cpu(*instances: str) -> list[dict[str, str]]:
    return [{"__name__": "cpu", "instance": one} for one in instances]


def samples(db: MetricDb, *matchers: Matcher, start: int = ALWAYS[0], end: int = ALWAYS[1]) -> Samples:
    """Every sample as bits, by series and time; staleness included."""
    found: Samples = {}
    for part in db.select(list(matchers), start, end):
        assert part.values.flags.c_contiguous and part.values.shape == (len(part.labels), len(part.times))
        assert (np.diff(part.times) > 0).all()
        bits = part.values.view(np.uint64)
        assert part.gaps == bool(((bits == ABSENT_BITS) | (bits == STALE_BITS)).any())
        for labels, row in zip(part.labels.labels(), bits.tolist(), strict=True):
            key = tuple(labels.items())
            assert key not in found, "a series twice"
            found[key] = {t: b for t, b in zip(part.times.tolist(), row, strict=True) if b != ABSENT_BITS}
    return found


def bits(value: float) -> int:
    return int(np.float64(value).view(np.uint64))


def values(*numbers: float) -> Floats:
    return np.array(numbers, np.float64)


def test_the_same_list_of_series_is_the_same_layout() -> None:
    async def scenario() -> None:
        db = make()
        await db.start()
        first = db.layout("a", cpu("1", "2"))
        assert db.layout("a", cpu("1", "2")) is first
        longer = db.layout("a", cpu("2", "1", "3"))
        assert longer.columns.tolist() == [1, 0, 2] and longer is not first
        assert db.layout("b", cpu("1", "2")).number != first.number
        await db.stop()

    run(scenario)


def test_an_empty_label_is_no_label() -> None:
    async def scenario() -> None:
        db = make()
        await db.start()
        plain = db.layout("a", [{"__name__": "x"}])
        assert db.layout("a", [{"__name__": "x", "empty": ""}]) is plain
        await db.stop()

    run(scenario)


def test_order_rules_are_those_of_prometheus() -> None:
    async def scenario() -> None:
        db = make()
        await db.start()
        layout = db.layout("a", cpu("1", "2"))
        assert db.append([Row(layout, 1000, values(1, 2))]).stored == 2
        again = db.append([Row(layout, 1000, values(1, 2))])
        assert (again.stored, again.duplicates, again.refused) == (0, 2, {})
        other = db.append([Row(layout, 1000, values(1, 3))])
        assert (other.duplicates, other.refused) == (1, {"duplicate sample for timestamp": 1})
        assert other.examples[0].labels == {"__name__": "cpu", "instance": "2"}
        assert db.append([Row(layout, 999, values(1, ABSENT))]).refused == {"out of order sample": 1}
        assert db.append([Row(layout, NOW_MS + 600_001, values(1, 2))]).refused == {"out of bounds": 2}
        assert db.append([Row(layout, -(1 << 70), values(1, 2))]).refused == {"out of bounds": 2}
        assert db.append([Row(layout, NOW_MS + 600_000, values(1, 2))]).stored == 2
        await db.stop()

    run(scenario)


def test_rows_of_one_append_are_judged_one_after_the_other() -> None:
    async def scenario() -> None:
        db = make()
        await db.start()
        layout = db.layout("a", cpu("1"))
        rows = [
            Row(layout, time_ms, values(value)) for time_ms, value in ((1, 1), (2, 2), (2, 2), (2, 3), (1, 1), (3, 3))
        ]
        done = db.append(rows)
        assert (done.stored, done.duplicates) == (3, 1)
        assert done.refused == {"duplicate sample for timestamp": 1, "out of order sample": 1}
        await db.stop()

    run(scenario)


def test_shards_of_one_source_share_rows() -> None:
    """Two senders of one source send different series with times that lie between each other's."""

    async def scenario() -> None:
        db = make()
        await db.start()
        left, right = db.layout("w", cpu("1")), db.layout("w", cpu("2"))
        for step in range(100):
            assert db.append([Row(left, step * 1000, values(step))]).stored == 1
        for step in range(200):  # 100 rows late: behind what was sealed
            assert db.append([Row(right, step * 500, values(-step))]).stored == 1
        found = samples(db)
        one, two = found[(("__name__", "cpu"), ("instance", "1"))], found[(("__name__", "cpu"), ("instance", "2"))]
        assert one == {step * 1000: bits(step) for step in range(100)}
        assert two == {step * 500: bits(-step) for step in range(200)}
        await db.stop()

    run(scenario)


def test_out_of_order_samples_are_taken_within_the_window() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files, out_of_order_window_ms=50_000)
        await db.start()
        layout = db.layout("a", cpu("1"))
        for time_ms in (100_000, 60_000, 80_000):
            assert db.append([Row(layout, time_ms, values(time_ms))]).stored == 1
        assert db.append([Row(layout, 60_000, values(60_000))]).duplicates == 1
        assert db.append([Row(layout, 60_000, values(1))]).refused == {"duplicate sample for timestamp": 1}
        assert db.append([Row(layout, 49_999, values(1))]).refused == {"out of order sample": 1}
        before = samples(db)
        assert sorted(next(iter(before.values()))) == [60_000, 80_000, 100_000]
        await db.stop()
        again = make(files)
        await again.start()
        assert samples(again) == before
        await again.stop()

    run(scenario)


def test_a_whole_row_ends_the_series_it_does_not_name() -> None:
    async def scenario() -> None:
        db = make()
        await db.start()
        both, first = db.layout("a", cpu("1", "2")), db.layout("a", cpu("1"))
        assert db.append([Row(both, 1000, values(1, 2), whole=True)]).added == 2
        done = db.append([Row(first, 2000, values(1), whole=True)])
        assert (done.stored, done.added) == (1, 0)
        assert db.append([Row(first, 3000, values(1), whole=True)]).stored == 1
        assert db.append([Row(both, 4000, values(1, 2), whole=True)]).added == 1
        two = samples(db)[(("__name__", "cpu"), ("instance", "2"))]
        assert two == {1000: bits(2), 2000: STALE_BITS, 4000: bits(2)}
        await db.stop()

    run(scenario)


def test_a_row_without_layout_columns_ends_everything() -> None:
    async def scenario() -> None:
        db = make()
        await db.start()
        layout, nothing = db.layout("a", cpu("1", "2")), db.layout("a", [])
        db.append([Row(layout, 1000, values(1, 2), whole=True)])
        assert db.append([Row(nothing, 2000, values(), whole=True)]).stored == 0
        assert [sorted(times) for times in samples(db).values()] == [[1000, 2000]] * 2
        await db.stop()

    run(scenario)


def test_every_bit_of_a_value_survives_sealing_and_a_restart() -> None:
    strange = [
        0x7FF8000000000001,
        0xFFF8000000000000,
        0x7FF0000000000001,
        0xFFFFFFFFFFFFFFFF,
        1 << 63,
        1,
        0x7FF0000000000000,
        0xFFF0000000000000,
        STALE_BITS,
        0x7FEFFFFFFFFFFFFF,
        bits(0.1),
        bits(1e300),
    ]

    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        layout = db.layout("a", cpu(*map(str, range(40))))
        chance = random.Random(3)
        expected: Samples = {}
        for step in range(50):
            row = [chance.choice([*strange, bits(step), bits(chance.random())]) for _ in range(40)]
            db.append([Row(layout, step * 1000, np.array(row, np.uint64).view(np.float64))])
            for at, pattern in enumerate(row):
                expected.setdefault((("__name__", "cpu"), ("instance", str(at))), {})[step * 1000] = pattern
        assert samples(db) == expected
        await db.stop()
        again = make(files)
        await again.start()
        assert samples(again) == expected
        await again.stop()

    run(scenario)


def test_a_refused_append_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        layout = db.layout("a", cpu("1", "2"))
        db.append([Row(layout, 1000, values(1, 2))])
        before = samples(db)
        files.faults = {files.calls + 1: "ENOSPC"}
        with pytest.raises(Refused):
            db.append([Row(layout, 2000, values(1, 2)), Row(layout, 3000, values(1, 2), whole=True)])
        assert samples(db) == before
        assert db.append([Row(layout, 2000, values(5, 6))]).stored == 2
        await db.stop()

    run(scenario)


def test_limits_refuse_new_series_and_leave_the_old_ones_good() -> None:
    async def scenario() -> None:
        db = make(series_max_per_source=3, series_max=5)
        await db.start()
        layout = db.layout("a", cpu("1", "2", "3"))
        strings = len(db.symbols)
        with pytest.raises(OverLimit, match="series_max_per_source: got 4, want at most 3"):
            db.layout("a", cpu("3", "4"))
        assert len(db.symbols) == strings
        assert db.layout("a", cpu("3", "2")).columns.tolist() == [2, 1]
        db.layout("b", cpu("1", "2"))
        with pytest.raises(OverLimit, match="series_max:"):
            db.layout("c", cpu("1"))
        assert db.append([Row(layout, 1000, values(1, 2, 3))]).stored == 3
        await db.stop()

    run(scenario)


def test_a_label_that_is_no_text_is_refused() -> None:
    async def scenario() -> None:
        db = make()
        await db.start()
        with pytest.raises(BadInput, match="surrogate"):
            db.layout("a", [{"__name__": "x", "bad": "\ud800"}])
        await db.stop()

    run(scenario)


def test_a_series_of_two_sources_is_one_series() -> None:
    async def scenario() -> None:
        db = make()
        await db.start()
        one, two = db.layout("one", cpu("1", "x")), db.layout("two", [*cpu("y"), *cpu("1")])
        db.append([Row(one, 1000, values(1, 7)), Row(two, 1500, values(8, 2)), Row(two, 3000, values(8, 4))])
        db.append([Row(one, 3000, values(3, 7))])
        found = samples(db)
        assert len(found) == 3
        assert found[(("__name__", "cpu"), ("instance", "1"))] == {1000: bits(1), 1500: bits(2), 3000: bits(3)}
        assert len(db.series([], *ALWAYS)) == 3
        await db.stop()

    run(scenario)


def test_a_series_listed_twice_has_its_first_value() -> None:
    async def scenario() -> None:
        db = make()
        await db.start()
        layout = db.layout("a", cpu("1", "2", "1", "1"))
        done = db.append([Row(layout, 1000, values(1, 2, 1, 5))])
        assert (done.stored, done.duplicates, done.refused) == (2, 1, {"duplicate sample for timestamp": 1})
        done = db.append([Row(layout, 2000, values(ABSENT, 2, 9, ABSENT))])
        assert samples(db)[(("__name__", "cpu"), ("instance", "1"))] == {1000: bits(1), 2000: bits(9)}
        await db.stop()

    run(scenario)


def test_names_and_values_come_from_series_with_samples_in_the_range() -> None:
    async def scenario() -> None:
        db = make()
        await db.start()
        old = db.layout("a", [{"__name__": "old", "job": "x"}])
        new = db.layout("b", [{"__name__": "new", "job": "y", "zone": "z"}])
        db.layout("c", [{"__name__": "never", "nothing": "n"}])
        db.append([Row(old, 1000, values(1)), Row(new, 9000, values(1))])
        assert db.label_names([], *ALWAYS) == ["__name__", "job", "zone"]
        assert db.label_names([], 0, 2000) == ["__name__", "job"]
        assert db.label_names([[Matcher("__name__", "=", "new")]], *ALWAYS) == ["__name__", "job", "zone"]
        assert db.label_values("job", [], *ALWAYS) == ["x", "y"]
        assert db.label_values("job", [[Matcher("job", "=~", "x|z")], [Matcher("zone", "=", "z")]], 5000, 9000) == ["y"]
        assert db.label_values("none", [], *ALWAYS) == []
        assert db.series([[Matcher("job", "!=", "")]], 0, 1000).labels() == [{"__name__": "old", "job": "x"}]
        assert db.select([Matcher("__name__", "=", "unheard of")], *ALWAYS) == []
        await db.stop()

    run(scenario)


def test_metadata_is_there_after_a_restart() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        db.describe({"cpu": MetricMetadata("counter", "Time spent.", "seconds")})
        db.describe({"cpu": MetricMetadata("counter", "Time spent.", "seconds")})
        db.describe({"cpu": MetricMetadata("gauge", "Another opinion.")})
        await db.commit()
        again = make(files.crash("lost", random.Random(1)))
        await again.start()
        assert list(again.metadata()["cpu"]) == [
            MetricMetadata("gauge", "Another opinion."),
            MetricMetadata("counter", "Time spent.", "seconds"),
        ]
        await db.stop()
        await again.stop()

    run(scenario)


def test_old_samples_go_with_the_retention_and_the_log_with_them() -> None:
    async def scenario() -> None:
        files, clock = SimFiles(), SplitClock(NOW_MS)
        db = make(files, clock, retention_ms=100_000, wal={"segment_bytes": 4096})
        await db.start()
        layout = db.layout("a", cpu("1", "2"))
        for step in range(200):
            clock.ms = NOW_MS + step * 1000
            db.append([Row(layout, clock.ms, values(step, random.random()))])
        await db.commit()
        before = db.stats()["bytes"]
        await db.keep_up()
        times = sorted(next(iter(samples(db).values())))
        assert NOW_MS + 70_000 < times[0] <= NOW_MS + 100_000 and times[-1] == clock.ms
        assert db.stats()["bytes"] < before
        assert db.label_names([], 0, NOW_MS + 50_000) == []
        await db.stop()

    run(scenario)


def test_a_jump_of_the_clock_drops_nothing() -> None:
    async def scenario() -> None:
        clock = SplitClock(NOW_MS)
        db = make(SimFiles(), clock)
        await db.start()
        layout = db.layout("a", cpu("1"))
        for step in range(50):
            db.append([Row(layout, NOW_MS + step, values(step))])
        clock.ms += 10 * 365 * 86_400_000
        await db.keep_up()
        assert len(next(iter(samples(db).values()))) == 50
        clock.ms = NOW_MS
        assert db.append([Row(layout, NOW_MS + 1000, values(1))]).stored == 1
        await db.stop()

    run(scenario)


def fill_memory(db: MetricDb) -> None:
    layout = db.layout("a", cpu(*map(str, range(200))))
    chance = np.random.default_rng(1)
    for step in range(1200):
        db.append([Row(layout, NOW_MS - 10_000_000 + step * 1000, chance.random(200))])


def test_what_memory_has_no_room_for_moves_into_blocks() -> None:
    async def scenario() -> None:
        db = make(memory_bytes_max=1 << 20)
        await db.start()
        fill_memory(db)
        before = samples(db)
        await db.keep_up()
        assert db.stats()["memory_bytes"] < 1 << 20 and db.stats()["blocks"] == 1
        assert samples(db) == before
        await db.stop()

    run(scenario)


def test_the_memory_bound_drops_the_oldest_when_the_disk_takes_no_block() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files, memory_bytes_max=1 << 20)
        await db.start()
        fill_memory(db)
        files.space = files.used() + 200_000
        await db.keep_up()
        times = sorted(next(iter(samples(db).values())))
        assert 100 < len(times) < 1200 and times[-1] == NOW_MS - 10_000_000 + 1199_000
        assert db.stats()["blocks"] == 0
        await db.stop()

    run(scenario)


def test_a_quiet_source_is_compressed_and_can_speak_again() -> None:
    async def scenario() -> None:
        clock = SplitClock(NOW_MS)
        db = make(SimFiles(), clock)
        await db.start()
        layout = db.layout("a", cpu("1", "2"))
        db.append([Row(layout, NOW_MS, values(1, 2))])
        before = samples(db)
        clock.ms += 3_600_000
        clock.s += 3600
        await db.keep_up()
        assert samples(db) == before
        assert db.append([Row(layout, clock.ms, values(1, 2))]).stored == 2
        assert all(len(times) == 2 for times in samples(db).values())
        await db.stop()

    run(scenario)


def test_before_the_start_and_after_the_stop_samples_are_refused() -> None:
    async def scenario() -> None:
        db = make()
        layout = db.layout("a", cpu("1"))
        with pytest.raises(Refused):
            db.append([Row(layout, 1000, values(1))])
        await db.start()
        db.append([Row(layout, 1000, values(1))])
        await db.stop()
        with pytest.raises(Refused):
            db.append([Row(layout, 2000, values(1))])

    run(scenario)


def test_two_stores_cannot_open_one_directory(tmp_path: Path) -> None:
    async def scenario() -> None:
        db = make(RealFiles(tmp_path))
        await db.start()
        with pytest.raises(Refused, match="cannot lock data directory"):
            await make(RealFiles(tmp_path)).start()
        await db.stop()
        again = make(RealFiles(tmp_path))
        await again.start()
        await again.stop()

    run(scenario)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        db = make(RealFiles(tmp_path))
        await db.start()
        await db.stop()
        (tmp_path / "metrics" / "FORMAT").write_text("watchkeeper metrics 99\n")
        with pytest.raises(Damaged, match="99"):
            await make(RealFiles(tmp_path)).start()

    run(scenario)


def test_damage_to_the_log_costs_the_rows_it_touches() -> None:
    """Also where a layout was declared: a declaration is there twice."""

    async def scenario() -> None:
        files = SimFiles()
        db = make(files, wal={"segment_bytes": 6000})
        await db.start()
        layouts = [db.layout(source, cpu(*map(str, range(width)))) for source, width in (("a", 8), ("b", 3))]
        rows = 0
        for step in range(120):
            done = db.append(
                [
                    Row(layout, step * 1000, (np.arange(len(layout)) * 0.1 + step).astype(np.float64))
                    for layout in layouts
                ]
            )
            rows += done.stored > 0
        await db.stop()
        everything = samples_of_sources(files)
        for name in [name for name in files.listdir("metrics/wal") if name.endswith(".wal")]:
            content = bytes(files.names[f"metrics/wal/{name}"].now)
            at, starts = 0, []
            while at < len(content):
                starts.append(at)
                at += 40 + struct.unpack_from("<I", content, at + 8)[0]
            for start in starts[:4] + starts[-2:]:
                hurt = files.crash("kill", random.Random(1))
                hurt.names[f"metrics/wal/{name}"].now[start + 45] ^= 4
                found = samples_of_sources(hurt)
                lost = everything - found
                assert found <= everything and len(lost) == 11 and len({time_ms for _, time_ms, _ in lost}) == 1

    run(scenario)


def samples_of_sources(files: SimFiles) -> set[tuple[tuple[str, int], int, int]]:
    async def read() -> set[tuple[tuple[str, int], int, int]]:
        db = make(files)
        await db.start()
        found = set()
        for source, frame in db._frames._current.items():
            times, numbers, _ = frame.view.read(np.arange(frame.width, dtype=np.int32), *ALWAYS)
            for column, row in enumerate(numbers.view(np.uint64).tolist()):
                stamped = zip(times.tolist(), row, strict=True)
                found |= {((source, column), time_ms, value) for time_ms, value in stamped if value != ABSENT_BITS}
        await db.stop()
        return found

    with ThreadPoolExecutor(1) as pool:  # the caller is inside a loop of its own
        return pool.submit(asyncio.run, read()).result()


def test_readers_in_other_threads_see_whole_rows_that_never_go_back() -> None:
    async def scenario() -> None:
        db = make(chunk_rows=20)
        await db.start()
        width, faults, stop = 30, [], threading.Event()

        def read() -> None:
            last = 0
            while not stop.is_set():
                try:
                    for part in db.select([Matcher("__name__", "=", "cpu")], *ALWAYS):
                        assert not part.gaps and part.values.shape[0] == width
                        assert (part.values == np.arange(1, part.values.shape[1] + 1)).all()
                        assert part.values.shape[1] >= last
                        last = part.values.shape[1]
                except Exception as error:  # noqa: BLE001 told to the main thread
                    faults.append(error)
                    return

        layout = db.layout("a", cpu(*map(str, range(width))))
        db.append([Row(layout, 1, np.full(width, 1.0))])
        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        for step in range(2, 1500):
            db.append([Row(layout, step, np.full(width, float(step)))])
            if step % 100 == 0:
                db.layout("a", [{"__name__": "other", "n": str(step)}])  # the frame grows wider meanwhile
                await asyncio.sleep(0)
        stop.set()
        for reader in readers:
            reader.join(20)
        assert not faults, faults[0]
        await db.stop()

    run(scenario)


def test_staleness_sent_by_a_writer_is_kept() -> None:
    async def scenario() -> None:
        db = make()
        await db.start()
        layout = db.layout("w", cpu("1"))
        done = db.append([Row(layout, 1000, values(1)), Row(layout, 2000, values(STALE)), Row(layout, 3000, values(2))])
        assert (done.stored, done.added) == (2, 2)
        assert list(next(iter(samples(db).values())).values()) == [bits(1), STALE_BITS, bits(2)]
        await db.stop()

    run(scenario)


def test_a_source_whose_series_come_and_go_gets_its_columns_back() -> None:
    async def scenario() -> None:
        files, clock = SimFiles(), SplitClock(NOW_MS)
        db = make(files, clock, series_max_per_source=1200)
        await db.start()
        expected: Samples = {}
        stays = {"__name__": "stays"}
        held = db.layout("pods", [stays])
        for generation in range(10):
            clock.ms = NOW_MS + generation * 600_000
            pods = [{"__name__": "pod", "n": f"{generation}-{number}"} for number in range(400)]
            layout = db.layout("pods", [stays, *pods])
            for step in range(12):
                row = (np.arange(401) + step).astype(np.float64)
                assert db.append([Row(layout, clock.ms + step, row, whole=True)]).stored == 401
                for labels, bit in zip([stays, *pods], row.view(np.uint64).tolist(), strict=True):
                    expected.setdefault(tuple(labels.items()), {})[clock.ms + step] = bit
                if generation and not step:
                    for number in range(400):
                        key = (("__name__", "pod"), ("n", f"{generation - 1}-{number}"))
                        expected[key][clock.ms] = STALE_BITS
            await db.keep_up()
        assert samples(db) == expected
        assert db.stats()["series"] < 1200
        assert db.append([Row(held, clock.ms + 100, values(1))]).stored == 1
        assert db.append([Row(held, clock.ms + 99, values(1))]).refused == {"out of order sample": 1}
        expected[(("__name__", "stays"),)][clock.ms + 100] = bits(1)
        assert samples(db) == expected
        assert len(db.series([[Matcher("__name__", "=", "pod")]], *ALWAYS)) == 4000
        await db.stop()
        again = make(files, clock, series_max_per_source=1200)
        await again.start()
        assert samples(again) == expected
        await again.keep_up()
        assert samples(again) == expected
        assert again.stats()["series"] < 1200
        await again.stop()

    run(scenario)


def test_a_source_that_is_gone_is_forgotten_after_the_retention() -> None:
    async def scenario() -> None:
        clock = SplitClock(NOW_MS)
        db = make(SimFiles(), clock, retention_ms=1_000_000)
        await db.start()
        layout = db.layout("a", cpu("1", "2"))
        db.append([Row(layout, NOW_MS, values(1, 2))])
        for _ in range(3):
            clock.ms += 3_000_000
            clock.s += 3000
            await db.keep_up()
        assert db.stats()["series"] == 0 and samples(db) == {}
        assert db.append([Row(layout, clock.ms, values(3, 4))]).added == 2
        assert [list(times) for times in samples(db, Matcher("__name__", "=", "cpu")).values()] == [[clock.ms]] * 2
        await db.stop()

    run(scenario)


def test_a_writer_may_use_its_array_again() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        layout, buffer = db.layout("a", cpu("1")), values(0)
        for step in range(50):
            buffer[0] = step
            db.append([Row(layout, step, buffer)])
        before = samples(db)
        assert list(next(iter(before.values())).values()) == [bits(step) for step in range(50)]
        await db.stop()
        again = make(files)
        await again.start()
        assert samples(again) == before
        await again.stop()

    run(scenario)


def test_a_full_disk_does_not_prevent_a_start() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        layout = db.layout("a", cpu("1"))
        db.append([Row(layout, 1000, values(1))])
        await db.stop()
        files.space = files.used()
        again = make(files)
        await again.start()
        assert len(samples(again)) == 1
        with pytest.raises(Refused):
            again.append([Row(again.layout("a", cpu("1")), 2000, values(1))])
        files.space += 1 << 20
        assert again.append([Row(again.layout("a", cpu("1")), 2000, values(1))]).stored == 1
        await again.commit()
        await again.stop()

    run(scenario)


def test_many_series_of_many_sources_are_merged_each_with_its_own() -> None:
    async def scenario() -> None:
        db = make(chunk_rows=100)
        await db.start()
        chance = random.Random(4)
        expected: Samples = {}
        for source in range(5):
            chosen = chance.sample(range(300), 200)
            layout = db.layout(f"source {source}", cpu(*map(str, chosen)))
            for step in range(3):
                row = np.array([number * 10.0 + source for number in chosen])
                db.append([Row(layout, step * 1000 + source, row)])
                for number, bit in zip(chosen, row.view(np.uint64).tolist(), strict=True):
                    key = (("__name__", "cpu"), ("instance", str(number)))
                    expected.setdefault(key, {})[step * 1000 + source] = bit
        assert samples(db) == expected
        await db.stop()

    run(scenario)


def test_series_cannot_be_registered_while_the_log_is_read() -> None:
    async def scenario() -> None:
        files, reading, go_on = SimFiles(), threading.Event(), threading.Event()
        first = make(files)
        await first.start()
        first.append([Row(first.layout("a", cpu("1")), 1000, values(1))])
        await first.stop()

        class Slow(SimFiles):
            def pread(self, fd: int, length: int, offset: int) -> bytes:
                if length > 1000:
                    reading.set()
                    assert go_on.wait(10)
                return super().pread(fd, length, offset)

        slow = Slow()
        slow.names = files.names
        db = make(slow)
        starting = asyncio.create_task(db.start())
        await asyncio.to_thread(reading.wait, 10)
        with pytest.raises(Refused, match="reading its log"):
            db.layout("a", cpu("2"))
        go_on.set()
        await starting
        assert db.append([Row(db.layout("a", cpu("2")), 2000, values(1))]).stored == 1
        await db.stop()

    run(scenario)


def test_a_series_that_comes_again_takes_nothing_from_before_its_end() -> None:
    async def scenario() -> None:
        db = make()
        await db.start()
        every, one = db.layout("a", cpu("1", "2", "3")), db.layout("a", cpu("1"))
        db.append([Row(every, NOW_MS, values(1, 1, 1))])
        db.append([Row(one, NOW_MS + 10, values(2), whole=True)])
        db.append([Row(one, NOW_MS + 20, values(3), whole=True)])
        with patch("watchkeeper.store.metrics.frames._RENEW_COLUMNS_MIN", 2):
            await db.keep_up()
        assert [frame.width for frame in db._frames.all() if not frame.retired] == [1]
        again = db.layout("a", cpu("2"))
        for time_ms, reason in ((NOW_MS + 5, "out of order sample"), (NOW_MS + 10, "duplicate sample for timestamp")):
            assert db.append([Row(again, time_ms, values(7))]).refused == {reason: 1}
        assert db.append([Row(again, NOW_MS + 11, values(8))]).stored == 1
        await db.stop()

    run(scenario)
