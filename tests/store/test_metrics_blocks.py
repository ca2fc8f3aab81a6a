"""Samples move from memory into blocks and blocks into larger ones; no answer changes by it, whatever happens."""

import asyncio
import errno
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.doubles import SplitClock
from tests.store.simfiles import Inode, SimFiles

from watchkeeper.model.errors import Damaged, Refused
from watchkeeper.model.frame import ABSENT_BITS, STALE_BITS, Floats, FrameSlice, Row, Selection
from watchkeeper.model.labels import LabelTable, Symbols
from watchkeeper.model.matchers import Matcher
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.block import pack_table
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import Keep, MetricSettings

ALWAYS = (-(1 << 62), 1 << 62)
HOUR_MS = 3_600_000
START_MS = 1_700_006_400_000  # at a border of two hours
STEP_MS = 60_000
Samples = dict[tuple[tuple[str, str], ...], dict[int, int]]  # labels → time → bits


def make(files: SimFiles, clock: SplitClock | None = None, keeps: tuple[Keep, ...] = (), **settings: Any) -> MetricDb:
    settings.setdefault("chunk_rows", 16)
    settings.setdefault("wal", {"segment_bytes": 1 << 14})
    settings.setdefault("compaction_share", 1.0)
    return MetricDb(files, MetricSettings(**settings), clock or SplitClock(START_MS + 24 * HOUR_MS), keeps)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60))


def series(number: int, target: str = "a") -> list[dict[str, str]]:
    return [{"__name__": f"m{at % 3}", "n": str(at), "target": target} for at in range(number)]


def values_at(moment: int, number: int) -> Floats:
    chance = np.random.default_rng(moment)
    values = np.round(np.arange(number) * 1000.0 + moment + chance.random(number), 2)
    values[chance.random(number) < 0.1] = np.uint64(ABSENT_BITS).view(np.float64)
    return np.asarray(values, np.float64)


def fill(db: MetricDb, hours: tuple[int, int], number: int = 20, target: str = "a", whole: bool = False) -> None:
    layout = db.layout(target, series(number, target))
    for moment in range(hours[0] * 60, hours[1] * 60):
        db.append([Row(layout, START_MS + moment * STEP_MS, values_at(moment, number), whole)])


def samples(db: MetricDb, *matchers: Matcher, start: int = ALWAYS[0], end: int = ALWAYS[1]) -> Samples:
    found: Samples = {}
    for part in db.select(list(matchers), start, end):
        bits = part.values.view(np.uint64)
        assert (np.diff(part.times) > 0).all() and part.values.flags.c_contiguous
        assert part.gaps or not ((bits == ABSENT_BITS) | (bits == STALE_BITS)).any()
        for labels, row in zip(part.labels.labels(), bits.tolist(), strict=True):
            key = tuple(labels.items())
            assert key not in found, "a series twice"
            found[key] = {t: b for t, b in zip(part.times.tolist(), row, strict=True) if b != ABSENT_BITS}
    return found


def answers(db: MetricDb) -> list[Any]:
    one = Matcher("__name__", "=", "m1")
    middle = (START_MS + 5 * HOUR_MS // 2, START_MS + 9 * HOUR_MS // 2)
    return [
        samples(db),
        samples(db, one, start=middle[0], end=middle[1]),
        sorted(map(str, db.series([[one]], *ALWAYS).labels())),
        db.label_names([], *ALWAYS),
        db.label_values("n", [[Matcher("target", "=~", "a|b")]], *ALWAYS),
    ]


def test_samples_answer_the_same_from_blocks() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files, SplitClock(START_MS + 8 * HOUR_MS))
        await db.start()
        fill(db, (0, 8))
        fill(db, (1, 7), 7, "b", whole=True)
        before, logged = answers(db), db._wal.size_bytes
        await db.flush(START_MS + 6 * HOUR_MS)
        assert [block.last_ms - block.first_ms for block in db._blocks.all()] == [2 * HOUR_MS - STEP_MS] * 3
        assert answers(db) == before
        await db.keep_up()
        assert len(db._blocks.all()) == 1
        assert db._blocks.cutoff_ms == START_MS + 6 * HOUR_MS
        assert min(frame.oldest_ms for frame in db._frames.all()) == START_MS + 6 * HOUR_MS
        assert answers(db) == before
        assert db._wal.size_bytes < 0.6 * logged
        await db.stop()
        again = make(files, SplitClock(START_MS + 8 * HOUR_MS))
        await again.start()
        assert answers(again) == before
        fill(again, (8, 9))
        assert len(samples(again)) == len(before[0])
        await again.stop()

    run(scenario)


@pytest.mark.parametrize("jump_ms", [24 * HOUR_MS, 10 * 365 * 24 * HOUR_MS, -2 * HOUR_MS, 2 * HOUR_MS])
def test_the_log_keeps_its_bound_after_the_clock_jumped(jump_ms: int) -> None:
    async def scenario() -> None:
        files, clock = SimFiles(), SplitClock(START_MS)
        bound = 3 << 14
        db = make(files, clock, wal_bytes_max=bound, retention_ms=6 * HOUR_MS)
        await db.start()
        layout = db.layout("a", series(20))

        async def live(minutes: int) -> int:
            stored, worst = 0, 0
            for minute in range(minutes):
                clock.pass_s(60)
                stored += db.append([Row(layout, clock.ms, values_at(clock.ms // STEP_MS, 20))]).stored
                if minute % 10 == 0:
                    await db.keep_up()
                    worst = max(worst, db._wal.size_bytes)
            assert worst <= bound + 2 * (1 << 14), worst
            return stored

        stored = await live(120)
        clock.ms += jump_ms
        stored += await live(1200)
        before = samples(db)
        assert sum(map(len, before.values())) == stored, "nothing goes for a day, however old it seems to be"
        await db.stop()
        again = make(files, clock, wal_bytes_max=bound, retention_ms=6 * HOUR_MS)
        await again.start()
        assert samples(again) == before
        await again.stop()

    run(scenario)


def test_blocks_of_a_stretch_become_one() -> None:
    async def scenario() -> None:
        files, clock = SimFiles(), SplitClock(START_MS, 7200.0)
        db = make(files, clock)
        await db.start()
        for hour in range(0, 20, 2):
            clock.ms, clock.s = START_MS + (hour + 2) * HOUR_MS, clock.s + 7200
            fill(db, (hour, hour + 2), 20 + hour % 4)
            await db.keep_up()
        before = answers(db)
        spans = [(block.first_ms, block.last_ms) for block in db._blocks.all()]
        assert len(spans) < 6 and max(last - first for first, last in spans) > 5 * HOUR_MS
        assert sum(block.samples for block in db._blocks.all()) < sum(map(len, before[0].values()))
        await db.stop()
        again = make(files, clock)
        await again.start()
        assert answers(again) == before
        await again.stop()

    run(scenario)


def test_what_a_compaction_replaced_is_not_read_again_after_a_crash() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        fill(db, (0, 6))
        await db.flush(START_MS + 2 * HOUR_MS)
        await db.flush(START_MS + 6 * HOUR_MS)
        old = {name: bytes(inode.now) for name, inode in files.names.items() if name.endswith(".block")}
        before = answers(db)
        await db.keep_up()
        assert len(db._blocks.all()) == 1
        await db.stop()
        for name, content in old.items():  # as if the removal had not reached the disk
            files.names[name] = Inode(content)
        again = make(files)
        await again.start()
        assert len(again._blocks.all()) == 1 and answers(again) == before
        await again.stop()

    run(scenario)


def test_a_series_that_comes_and_goes_is_one_series() -> None:
    async def scenario() -> None:
        db = make(SimFiles())
        await db.start()
        for hour in range(0, 8, 2):
            layout = db.layout("a", [*series(3), {"__name__": "pod", "name": f"p{hour}"}][hour // 2 % 2 :])
            for moment in range(hour * 60, hour * 60 + 120):
                db.append([Row(layout, START_MS + moment * STEP_MS, values_at(moment, len(layout)), True)])
        before = answers(db)
        await db.flush(START_MS + 7 * HOUR_MS)
        assert answers(db) == before
        await db.keep_up()
        assert answers(db) == before
        await db.stop()

    run(scenario)


def test_late_samples_lie_beside_the_block_of_their_time_until_they_are_united() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files, out_of_order_window_ms=24 * HOUR_MS)
        await db.start()
        fill(db, (0, 6), 5)
        late = db.layout("a", series(5))
        await db.flush(START_MS + 4 * HOUR_MS)
        for moment in range(100):
            done = db.append([Row(late, START_MS + moment * STEP_MS + 7, values_at(moment, 5))])
            assert not done.refused
        before = answers(db)
        await db.stop()
        again = make(files, out_of_order_window_ms=24 * HOUR_MS)
        await again.start()
        assert answers(again) == before
        await again.flush(START_MS + 6 * HOUR_MS)
        assert answers(again) == before
        await again.keep_up()
        assert answers(again) == before and len(again._blocks.all()) == 1
        await again.stop()

    run(scenario)


def test_samples_older_than_the_newest_block_are_out_of_bounds() -> None:
    async def scenario() -> None:
        db = make(SimFiles())
        await db.start()
        fill(db, (0, 6), 2)
        await db.flush(START_MS + 4 * HOUR_MS)
        other = db.layout("late", [{"__name__": "x"}])
        old = db.append([Row(other, START_MS + 4 * HOUR_MS - 1, np.array([1.0]))])
        assert old.refused == {"out of bounds": 1}
        assert db.append([Row(other, START_MS + 4 * HOUR_MS, np.array([1.0]))]).stored == 1
        await db.stop()

    run(scenario)


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


def test_damage_to_a_block_costs_what_it_touches_and_is_told() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        fill(db, (0, 2), 40)
        fill(db, (0, 2), 5, "b")
        await db.flush(START_MS + 2 * HOUR_MS)
        whole = samples(db)
        await db.stop()
        (name,) = (name for name in files.names if name.endswith(".block"))
        content, chance, lost = bytes(files.names[name].now), random.Random(7), 0
        for _ in range(120):
            hurt = files.crash("kill", chance)
            hurt.names[name] = Inode(flipped(content, chance.randrange(len(content))))
            again = make(hurt)
            await again.start()
            found = again.select([], *ALWAYS)
            left = samples(again)
            assert all(times.items() <= whole[key].items() for key, times in left.items())
            if left != whole:
                lost += 1
                blocks = again._blocks.all()
                assert isinstance(found, Selection)
                assert blocks and found.warnings
                assert not blocks[0].views or len(left) >= 5  # the frame that is not hurt
            await again.stop()
        assert lost > 60

    run(scenario)


def test_a_block_that_cannot_be_read_at_all_is_set_aside() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        fill(db, (0, 3), 4)
        await db.flush(START_MS + 2 * HOUR_MS)
        await db.stop()
        (name,) = (name for name in files.names if name.endswith(".block"))
        files.names[name] = Inode(bytes(files.names[name].now)[:100])
        again = make(files)
        await again.start()
        assert again.stats()["blocks"] == 0 and name + ".damaged" in files.names
        assert len(samples(again)) == 4  # from the log
        assert len(again.select([], *ALWAYS).warnings) == 1
        assert not again.select([], START_MS + 2 * HOUR_MS, START_MS + 3 * HOUR_MS).warnings
        await again.stop()
        once_more = make(files)
        await once_more.start()
        assert len(once_more.select([], *ALWAYS).warnings) == 1
        await once_more.stop()

    run(scenario)


@pytest.mark.parametrize("kind", ["EIO", "ENOSPC", "short", "lost"])
def test_a_disk_that_fails_anywhere_in_a_flush_or_compaction_loses_nothing(kind: str) -> None:
    async def scenario() -> None:
        number = 0
        while True:
            number += 1
            files = SimFiles()
            db = make(files)
            await db.start()
            fill(db, (0, 2), 3)
            await db.flush(START_MS + HOUR_MS)
            fill(db, (2, 3), 4)
            await db.commit()
            before = samples(db)
            files.faults, files.hit = {files.calls + number: kind}, 0
            await db.flush(START_MS + 2 * HOUR_MS)
            await db.keep_up()
            assert samples(db) == before
            hit, files.faults = files.hit, {}
            crashed = make(files.crash("lost", random.Random(number)))
            await crashed.start()
            assert samples(crashed) == before
            await crashed.stop()
            await db.stop()
            if not hit:
                return

    run(scenario)


def test_a_late_sample_survives_restarts_that_leave_no_log() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files, out_of_order_window_ms=4 * HOUR_MS)
        await db.start()
        for stretch in range(3):
            fill(db, (stretch, stretch + 1), 4)
            await db.flush(START_MS + (stretch + 1) * HOUR_MS)
        await db.stop()
        for _ in range(2):
            db = make(files, out_of_order_window_ms=4 * HOUR_MS)
            await db.start()
            await db.stop()
        db = make(files, out_of_order_window_ms=4 * HOUR_MS)
        await db.start()
        layout = db.layout("late", series(1, "late"))
        db.append([Row(layout, START_MS + HOUR_MS, np.array([7.0]))])
        await db.stop()
        again = make(files)
        await again.start()
        assert len(samples(again, Matcher("target", "=", "late"))) == 1
        await again.stop()

    run(scenario)


def test_old_samples_are_written_as_a_block_and_read_with_the_rest() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        fill(db, (20, 22), 6)
        await db.flush(START_MS + 21 * HOUR_MS)
        expected = samples(db)
        table = LabelTable.from_labels(series(6), db.symbols)
        times = START_MS + np.arange(0, 2 * HOUR_MS, STEP_MS)
        values = np.arange(6 * len(times), dtype=np.float64).reshape(6, -1)
        assert await db.write_block([("a", FrameSlice(table, times, values, gaps=False))]) == values.size
        for labels, row in zip(table.labels(), values.view(np.uint64).tolist(), strict=True):
            expected[tuple(labels.items())].update(zip(times.tolist(), row, strict=True))
        assert samples(db) == expected
        assert await db.write_block([]) == 0
        files.faults = {files.calls + 3: "ENOSPC"}
        with pytest.raises(Refused):
            await db.write_block([("b", FrameSlice(table, times, values, gaps=False))])
        assert samples(db) == expected
        await db.stop()
        again = make(files)
        await again.start()
        assert samples(again) == expected
        await again.stop()

    run(scenario)


@pytest.mark.parametrize("links", [True, False])
def test_a_snapshot_is_a_data_directory(tmp_path: Path, links: bool) -> None:
    class NoLinks(RealFiles):
        def link(self, old: str, new: str) -> None:
            raise OSError(errno.EXDEV, f"{old} {new}")

    async def scenario() -> None:
        files = RealFiles(tmp_path) if links else NoLinks(tmp_path)
        db = MetricDb(files, MetricSettings(), SplitClock(START_MS + 24 * HOUR_MS))
        await db.start()
        fill(db, (0, 3), 5)
        await db.flush(START_MS + 2 * HOUR_MS)
        await db.delete_series([[Matcher("n", "=", "1")]], *ALWAYS)
        before = samples(db)
        await db.snapshot("snapshots/one")
        fill(db, (3, 4), 5)
        await db.flush(START_MS + 4 * HOUR_MS)
        await db.stop()
        copied = tmp_path / "snapshots" / "one"
        copy = MetricDb(RealFiles(copied), MetricSettings(), SplitClock(START_MS + 24 * HOUR_MS))
        await copy.start()
        assert samples(copy) == before and len(before) == 4
        await copy.stop()

    run(scenario)


def test_what_is_deleted_to_the_end_of_time_may_speak_again() -> None:
    async def scenario() -> None:
        db = make(SimFiles())
        await db.start()
        fill(db, (0, 1), 2)
        await db.delete_series([[Matcher("n", "=", "1")]], *ALWAYS)
        assert len(samples(db)) == 1
        fill(db, (1, 2), 2)
        assert len(samples(db)) == 2
        await db.stop()

    run(scenario)


def test_deleted_samples_are_gone_at_once_and_for_good() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        fill(db, (0, 4), 9)
        await db.flush(START_MS + 2 * HOUR_MS)
        before = samples(db)
        low, high = START_MS + HOUR_MS, START_MS + 3 * HOUR_MS
        await db.delete_series([[Matcher("__name__", "=", "m1")], [Matcher("n", "=", "3")]], low, high)
        expected = {
            key: {t: b for t, b in times.items() if not (gone(dict(key)) and low <= t <= high)}
            for key, times in before.items()
        }
        assert samples(db) == expected
        await db.stop()
        again = make(files)
        await again.start()
        assert samples(again) == expected
        size = again._blocks.size_bytes
        await again.clean_tombstones()
        assert again._blocks.size_bytes < size and samples(again) == expected
        await again.flush(START_MS + 4 * HOUR_MS)
        await again.clean_tombstones()
        assert samples(again) == expected and again._tombstones.all() == ()
        await again.stop()

    run(scenario)


def gone(labels: dict[str, str]) -> bool:
    return labels["__name__"] == "m1" or labels["n"] == "3"


def test_a_series_that_was_deleted_whole_leaves_no_labels_after_cleaning() -> None:
    async def scenario() -> None:
        db = make(SimFiles())
        await db.start()
        fill(db, (0, 2), 4)
        await db.flush(START_MS + 2 * HOUR_MS)
        await db.delete_series([[Matcher("n", "=", "3")]], *ALWAYS)
        await db.clean_tombstones()
        assert db.label_values("n", [], *ALWAYS) == ["0", "1", "2"]
        await db.stop()

    run(scenario)


def test_blocks_go_with_the_retention() -> None:
    async def scenario() -> None:
        clock = SplitClock(START_MS + 9 * HOUR_MS)
        db = make(SimFiles(), clock, retention_ms=6 * HOUR_MS)
        await db.start()
        fill(db, (0, 9), 3)
        await db.keep_up()
        oldest = min(min(times) for times in samples(db).values())
        assert START_MS + 2 * HOUR_MS <= oldest <= START_MS + 3 * HOUR_MS
        await db.stop()

    run(scenario)


def test_blocks_go_when_all_take_too_much_room() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files, retention_bytes=30_000)
        await db.start()
        fill(db, (0, 12), 30)
        await db.flush(START_MS + 12 * HOUR_MS)
        await db.keep_up()
        assert db._blocks.size_bytes + db._wal.size_bytes <= 30_000 or not db._blocks.all()
        assert max(max(times) for times in samples(db).values()) > START_MS + 11 * HOUR_MS
        await db.stop()

    run(scenario)


def test_some_series_are_kept_shorter_or_longer() -> None:
    async def scenario() -> None:
        clock = SplitClock(START_MS + 10 * HOUR_MS)
        keeps = (
            Keep((Matcher("__name__", "=", "m0"),), 4 * HOUR_MS),
            Keep((Matcher("__name__", "=", "m1"),), 100 * HOUR_MS),
        )
        db = make(SimFiles(), clock, keeps, retention_ms=7 * HOUR_MS)
        await db.start()
        fill(db, (0, 10), 3)
        await db.keep_up()
        oldest = {dict(key)["__name__"]: (min(times) - START_MS) // HOUR_MS for key, times in samples(db).items()}
        assert oldest["m1"] == 0 and oldest["m0"] >= 4 and 2 <= oldest["m2"] <= 4
        await db.stop()

    run(scenario)


def test_a_directory_of_a_newer_format_is_refused_and_an_older_one_is_taken() -> None:
    async def scenario() -> None:
        files = SimFiles()
        files.names["metrics/FORMAT"] = Inode(b"watchkeeper metrics 3\n")
        with pytest.raises(Damaged):
            await make(files).start()
        files = SimFiles()
        files.names["metrics/FORMAT"] = Inode(b"watchkeeper metrics 1\n")
        db = make(files)
        await db.start()
        assert bytes(files.names["metrics/FORMAT"].now) == b"watchkeeper metrics 2\n"
        await db.stop()

    run(scenario)


def test_a_flush_is_refused_by_a_closed_log() -> None:
    async def scenario() -> None:
        db = make(SimFiles())
        await db.start()
        fill(db, (0, 1), 2)
        await db.stop()
        with pytest.raises(Refused):
            fill(db, (1, 2), 2)

    run(scenario)


def test_equal_label_tables_have_equal_bytes_whatever_their_codes() -> None:
    one, two = Symbols(), Symbols()
    two.code("something else first")
    labels = [{"b": "2", "a": "x"}, {"a": "1"}, {"c": "x"}]
    assert pack_table(LabelTable.from_labels(labels, one)) == pack_table(LabelTable.from_labels(labels, two))
    assert pack_table(LabelTable.from_labels(labels[:2], one)) != pack_table(LabelTable.from_labels(labels, one))


def test_a_flipped_bit_neither_brings_back_what_was_deleted_nor_refuses_a_start() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        fill(db, (0, 1), 6)
        await db.delete_series([[Matcher("n", "=", "3")]], *ALWAYS)
        whole = samples(db)
        await db.stop()
        chance = random.Random(3)
        for name in ("metrics/tombstones", "metrics/FORMAT"):
            for at in chance.sample(range(len(files.names[name].now)), 20):
                hurt = files.crash("kill", chance)
                hurt.names[name] = Inode(flipped(bytes(files.names[name].now), at))
                again = make(hurt)
                await again.start()
                assert samples(again) == whole
                await again.stop()

    run(scenario)
