import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from tests.doubles import SplitClock
from tests.store.simfiles import SimFiles

from watchkeeper.model.errors import Damaged, Refused
from watchkeeper.model.frame import Row, Selection, cells_of, histogram_numbers, is_histogram
from watchkeeper.model.histogram import CUSTOM_BUCKETS, Buckets, Hint, Histogram, buckets
from watchkeeper.store.files import Files
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.metrics.histogram_codec import decode, encode
from watchkeeper.store.metrics.inspect import look_at_histograms
from watchkeeper.store.settings import MetricSettings

NOW_MS = 1_700_000_000_000
STEP_MS = 15_000
FOLDER = "metrics/histograms"
Point = float | Histogram


def make(files: Files, clock: SplitClock | None = None, **settings: Any) -> MetricDb:
    settings.setdefault("wal", {"segment_bytes": 1 << 16})
    return MetricDb(files, MetricSettings(**settings), clock or SplitClock(NOW_MS))


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60))


def grown(count: int, schema: int = 3) -> Histogram:
    side = buckets(np.array([-1, 4, 9]), np.array([1.0, 2.0, 3.0]) * count)
    return Histogram(6.5 * count, 2.25 * count, schema, 0.001, 0.5 * count, side)


def append(db: MetricDb, time_ms: int, *points: Point, name: str = "h") -> Any:
    layout = db.layout("job", [{"__name__": name, "n": str(at)} for at in range(len(points))])
    cells, held = cells_of(points)
    return db.append([Row(layout, time_ms, cells, histograms=held)])


def points(found: Selection) -> dict[str, list[tuple[int, Point]]]:
    out: dict[str, list[tuple[int, Point]]] = {}
    for one in found:
        native, absent = is_histogram(one.values), np.isnan(one.values) & ~is_histogram(one.values)
        for at, labels in enumerate(one.labels.labels()):
            cells = [
                (time_ms, one.histograms[int(histogram_numbers(one.values[at, row : row + 1])[0])] if h else value)
                for row, (time_ms, value, h) in enumerate(
                    zip(one.times.tolist(), one.values[at].tolist(), native[at].tolist(), strict=True)
                )
                if not absent[at, row]
            ]
            out[labels.get("n", "")] = cells
    return out


def everything(db: MetricDb) -> dict[str, list[tuple[int, Point]]]:
    return points(db.select([], -(1 << 62), 1 << 62))


def hists(files: SimFiles) -> list[str]:
    return files.listdir(FOLDER)


_COUNTS = st.floats(allow_nan=False, width=64).filter(bool)
_INDEX = st.lists(st.integers(-(1 << 30), 1 << 30), max_size=6, unique=True).map(sorted)


@st.composite
def _sides(draw: st.DrawFn) -> Buckets:
    index = np.array(draw(_INDEX), np.int64)
    return buckets(index, draw(st_numpy.arrays(np.float64, len(index), elements=_COUNTS)))


@st.composite
def _histograms(draw: st.DrawFn) -> Histogram:
    numbers = [draw(st.floats(width=64)) for _ in range(4)]
    hint = draw(st.sampled_from(Hint))
    if draw(st.booleans()):
        bounds = np.array(sorted(draw(st.sets(st.floats(-1e9, 1e9), max_size=5))), np.float64)
        return Histogram(numbers[0], numbers[1], CUSTOM_BUCKETS, positive=draw(_sides()), bounds=bounds, hint=hint)
    schema = draw(st.integers(-4, 8))
    return Histogram(numbers[0], numbers[1], schema, numbers[2], numbers[3], draw(_sides()), draw(_sides()), hint=hint)


def test_buckets_as_far_apart_as_can_be_are_kept() -> None:
    far = buckets(np.array([-(1 << 31), (1 << 31) - 1], np.int64), np.ones(2))
    made = [Histogram(2.0, 0.0, 0, positive=far, negative=far)]
    assert decode(encode(made), 1) == made


@given(st.lists(_histograms(), min_size=1, max_size=8))
def test_what_is_encoded_is_decoded(made: list[Histogram]) -> None:
    read = decode(encode(made), len(made))
    assert read == made
    assert [one.hint for one in read] == [one.hint for one in made]


@given(st.binary(max_size=200), st.integers(0, 1 << 16))
def test_bytes_that_are_no_histograms_are_damage(data: bytes, count: int) -> None:
    with contextlib.suppress(Damaged):
        assert len(decode(data, count)) == count


def test_histograms_and_numbers_come_back_in_turn_from_log_and_blocks() -> None:
    async def scenario() -> None:
        files = SimFiles()
        clock = SplitClock(NOW_MS)
        db = make(files, clock)
        await db.start()
        want: dict[str, list[tuple[int, Point]]] = {"0": [], "1": []}
        for row in range(100):
            at = NOW_MS - (200 - row) * STEP_MS
            first, second = grown(row + 1), float(row) if row % 10 < 5 else grown(row, 1)
            append(db, at, first, second)
            want["0"].append((at, first))
            want["1"].append((at, second))
        assert everything(db) == want
        await db.commit()
        again = make(files.crash("lost", random.Random(1)), clock)
        await again.start()
        assert everything(again) == want
        assert await again.flush(NOW_MS - 120 * STEP_MS)
        assert everything(again) == want
        await again.keep_up()
        assert everything(again) == want
        await again.snapshot("snapshots/one")
        await again.stop()
        await db.stop()

    run(scenario)


def test_a_counter_that_goes_on_is_said_to_have_had_no_reset() -> None:
    async def scenario() -> None:
        db = make(SimFiles())
        await db.start()
        counts = [3, 5, 2, 2]
        for at, count in enumerate(counts):
            append(db, NOW_MS + at, grown(count), replace(grown(count), hint=Hint.GAUGE))
        found = everything(db)
        hints = {key: [one.hint for _, one in cells if isinstance(one, Histogram)] for key, cells in found.items()}
        assert hints == {
            "0": [Hint.UNKNOWN, Hint.NO_RESET, Hint.UNKNOWN, Hint.NO_RESET],
            "1": [Hint.GAUGE] * 4,
        }
        await db.stop()

    run(scenario)


def test_what_does_not_change_is_kept_once_and_sent_again_is_a_duplicate() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        append(db, NOW_MS, grown(1), grown(2))
        size = files.size(files.open(f"{FOLDER}/{hists(files)[0]}"))
        for row in range(1, 50):
            append(db, NOW_MS + row, grown(1), grown(2))
        assert files.size(files.open(f"{FOLDER}/{hists(files)[0]}")) == size
        again = append(db, NOW_MS + 49, grown(1), grown(2))
        assert (again.stored, again.duplicates, again.refused) == (0, 2, {})
        other = append(db, NOW_MS + 49, grown(1), grown(3))
        assert (other.duplicates, sum(other.refused.values())) == (1, 1)
        await db.stop()

    run(scenario)


@pytest.mark.parametrize("how", ["lost", "kill", "torn"])
def test_what_was_committed_survives_and_nothing_else_is_invented(how: str) -> None:
    async def scenario() -> None:
        for seed in range(5):
            files = SimFiles()
            db = make(files)
            await db.start()
            written = []
            for row in range(20):
                append(db, NOW_MS + row, grown(row + 1))
                written.append((NOW_MS + row, grown(row + 1)))
                if row == 11:
                    await db.commit()
            again = make(files.crash(how, random.Random(seed)))
            await again.start()
            found = everything(again).get("0", [])
            assert found[:12] == written[:12]
            assert set(found) <= set(written)
            append(again, NOW_MS + 100, grown(50))
            assert everything(again)["0"] == [*found, (NOW_MS + 100, grown(50))]
            await again.stop()
            await db.stop()

    run(scenario)


def test_a_sync_that_failed_loses_nothing_that_is_committed_later() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        append(db, NOW_MS, grown(1))
        await db.commit()
        append(db, NOW_MS + 1, grown(2))
        files.faults[files.calls + 1] = "lost"
        with pytest.raises(Refused):
            await db.commit()
        append(db, NOW_MS + 2, grown(3))
        await db.commit()
        again = make(files.crash("lost", random.Random(1)))
        await again.start()
        assert everything(again)["0"] == [(NOW_MS + at, grown(at + 1)) for at in range(3)]
        await again.stop()
        await db.stop()

    run(scenario)


def test_a_full_disk_refuses_the_row_and_keeps_the_rest() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        append(db, NOW_MS, grown(1))
        for kind in ("ENOSPC", "short", "EIO"):
            files.faults[files.calls + 1] = kind
            with pytest.raises(Refused):
                append(db, NOW_MS + 1, grown(2))
        append(db, NOW_MS + 1, grown(3))
        assert everything(db)["0"] == [(NOW_MS, grown(1)), (NOW_MS + 1, grown(3))]
        await db.stop()

    run(scenario)


def test_numbers_beside_a_refused_histogram_are_stored_when_they_are_sent_again() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        layouts = [db.layout(source, [{"__name__": source}]) for source in ("a", "b")]
        cells, held = cells_of([grown(1)])
        rows = [Row(layouts[0], NOW_MS, np.array([1.0])), Row(layouts[1], NOW_MS, cells, histograms=held)]
        await db.commit()
        files.space = files.used()
        with pytest.raises(Refused):
            db.append(rows)
        files.space = 1 << 40
        done = db.append(rows)
        assert (done.stored, done.duplicates) == (2, 0)
        assert sum(len(part.times) for part in db.select([], -(1 << 62), 1 << 62)) == 2
        await db.stop()

    run(scenario)


def test_a_histogram_sent_again_after_a_restart_is_a_duplicate() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        append(db, NOW_MS, grown(1), 2.0, grown(3))
        await db.commit()
        again = make(files.crash("kill", random.Random(1)))
        await again.start()
        done = append(again, NOW_MS, grown(1), 2.0, grown(4))
        assert (done.stored, done.duplicates, done.refused) == (0, 2, {"duplicate sample for timestamp": 1})
        await again.stop()
        await db.stop()

    run(scenario)


def test_damage_costs_the_histograms_it_hits_and_is_said() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        for row in range(3):
            append(db, NOW_MS + row, grown(row + 1), float(row))
        await db.commit()
        await db.stop()
        path = f"{FOLDER}/{hists(files)[0]}"
        fd = files.open(path)
        files.pwrite(fd, b"\xff", 20)
        again = make(files)
        await again.start()
        found = again.select([], -(1 << 62), 1 << 62)
        assert points(found) == {
            "0": [(NOW_MS + 1, grown(2)), (NOW_MS + 2, grown(3))],
            "1": [(NOW_MS + row, float(row)) for row in range(3)],
        }
        assert [text for text in found.warnings if "native histograms are left out" in text and path in text]
        await again.stop()

    run(scenario)


def test_files_go_when_no_sample_is_as_old() -> None:
    async def scenario() -> None:
        files, clock = SimFiles(), SplitClock(NOW_MS)
        db = make(files, clock, retention_ms=3_600_000, block_ms=600_000, wal={"segment_age_ms": 600_000})
        await db.start()
        most = 0
        for _ in range(60):
            clock.pass_s(300)
            now_ms = clock.now_ms()
            append(db, now_ms, grown(now_ms // 300_000 % 1000))
            await db.commit()
            await db.keep_up()
            most = max(most, len(hists(files)))
            held = everything(db)["0"]
            assert all(one == grown(at // 300_000 % 1000) for at, one in held)
        assert 3 <= most < 15
        await db.stop()

    run(scenario)


def test_a_snapshot_has_them() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        for row in range(5):
            append(db, NOW_MS + row, grown(row + 1))
        want = everything(db)
        await db.snapshot("copy")
        append(db, NOW_MS + 9, grown(77))
        await db.stop()
        copied = SimFiles()
        copied.names = {path.removeprefix("copy/"): inode for path, inode in files.names.items() if "copy/" in path}
        copy = make(copied)
        await copy.start()
        assert everything(copy) == want
        await copy.stop()

    run(scenario)


def test_the_example_of_the_format_page_is_true() -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        one = Histogram(3, 4.5, 3, positive=buckets(np.array([4, 7]), np.array([1.0, 2.0])))
        append(db, NOW_MS, one)
        (found,) = db._frames.views(None)
        _, cells, _ = found.read(np.array([0]), NOW_MS, NOW_MS)
        assert cells.view(np.uint64).tolist() == [[0x7FF4_0001_0000_0000]]
        assert hists(files) == [f"00001-{NOW_MS}.hist"]
        await db.stop()

    run(scenario)


@pytest.mark.parametrize("at", [2, 9, 60, -20])
def test_verifying_names_the_group_that_is_damaged(at: int) -> None:
    async def scenario() -> None:
        files = SimFiles()
        db = make(files)
        await db.start()
        for row in range(3):
            append(db, NOW_MS + row, grown(row + 1))
        await db.stop()
        assert look_at_histograms(files) == []
        fd = files.open(f"{FOLDER}/{hists(files)[0]}")
        place = at % files.size(fd)
        files.pwrite(fd, bytes([files.pread(fd, 1, place)[0] ^ 1]), place)
        (fault,) = look_at_histograms(files)
        assert hists(files)[0] in fault and "do not check out" in fault
        files.ftruncate(fd, files.size(fd) - 16)
        assert len(look_at_histograms(files)) == (at >= 0)  # what a crash cut off was never acknowledged

    run(scenario)
