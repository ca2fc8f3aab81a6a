"""Short chunks become long ones, and what was decoded is kept for a while: neither changes a bit of any answer."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles import SplitClock

from watchkeeper.model.frame import ABSENT, ABSENT_BITS, STALE, STALE_BITS, Floats, Row
from watchkeeper.model.matchers import Matcher
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.chunk import merge, seal
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.metrics.decoded import DecodedChunks
from watchkeeper.store.settings import MetricSettings

ALWAYS = (-(1 << 62), 1 << 62)
NOW_MS = 1_700_000_000_000
ODD = (0.0, -0.0, 1.5, 7.0, 1e300, float("inf"), float("nan"), float(ABSENT), float(STALE))
BITS = st.one_of(
    st.sampled_from([int(np.float64(one).view(np.uint64)) for one in ODD]),
    st.integers(0, 9).map(lambda number: int(np.float64(number).view(np.uint64))),
    st.integers(0, (1 << 64) - 1),
)


def make(folder: Path, **settings: Any) -> MetricDb:
    folder.mkdir(exist_ok=True)
    wal = {"segment_bytes": 1 << 16}
    return MetricDb(RealFiles(folder), MetricSettings(chunk_rows=10, wal=wal, **settings), SplitClock(NOW_MS, 1000.0))


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60))


def fill(db: MetricDb, rows: int, columns: int = 100, first: int = 0) -> None:
    """Add rows of a few kinds of values, a tenth absent; every series ends or begins somewhere."""
    chance = np.random.default_rng(rows)
    labels = [{"__name__": f"m{at % 5}", "n": str(at)} for at in range(columns)]
    layout = db.layout("a", labels)
    for at in range(first, first + rows):
        values = np.where(np.arange(columns) % 3 == 0, at * 2.0, chance.choice(ODD[:7], columns))
        values[chance.random(columns) < 0.1] = ABSENT
        values[at % columns] = STALE
        db.append([Row(layout, NOW_MS - 600_000 + at * 1000, values)])


def everything(db: MetricDb, *matchers: Matcher, start: int = ALWAYS[0], end: int = ALWAYS[1]) -> dict[str, Any]:
    found = {}
    for part in db.select(list(matchers), start, end):
        bits = part.values.view(np.uint64)
        assert part.gaps == bool(((bits == ABSENT_BITS) | (bits == STALE_BITS)).any())
        assert part.values.flags.c_contiguous
        for labels, row in zip(part.labels.labels(), bits.tolist(), strict=True):
            stamped = zip(part.times.tolist(), row, strict=True)
            found[labels["n"]] = {time_ms: one for time_ms, one in stamped if one != ABSENT_BITS}
    return found


def chunks(db: MetricDb) -> list[int]:
    return [chunk.n_rows for frame in db._frames.all() for strip in frame.view.strips for chunk in strip.chunks]


def matrix(bits: list[list[int]]) -> Floats:
    return np.array(bits, np.uint64).view(np.float64)


@given(st.data())
def test_a_merged_chunk_has_every_bit_of_the_short_ones(data: st.DataObject) -> None:
    columns = data.draw(st.integers(1, 90))
    short, wide = [], []
    for number in range(data.draw(st.integers(2, 4))):
        width = data.draw(st.integers(1, columns))
        rows = data.draw(st.integers(1, 6))
        few = data.draw(st.lists(BITS, min_size=1, max_size=8))
        bits = [[few[(row * 7 + column * column) % len(few)] for column in range(width)] for row in range(rows)]
        values = matrix(bits)
        short.append(seal(np.arange(rows, dtype=np.int64) * 10 + number * 1000, values))
        padded = np.full((rows, columns), ABSENT)
        padded[:, :width] = values
        wide.append(padded)
    merged, expected = merge(short), np.concatenate(wide)
    assert merged.times().tolist() == np.concatenate([chunk.times() for chunk in short]).tolist()
    wanted = np.array(sorted(data.draw(st.sets(st.integers(0, columns - 1), min_size=1))), np.int32)
    out = np.empty((len(wanted), len(expected)))
    gaps = merged.read(wanted, 0, len(expected), out)
    assert out.view(np.uint64).tolist() == expected.T[wanted].view(np.uint64).tolist()
    holes = (out.view(np.uint64) == ABSENT_BITS) | (out.view(np.uint64) == STALE_BITS)
    assert gaps or not holes.any()


def test_merging_changes_no_answer_and_takes_less_memory(tmp_path: Path) -> None:
    async def scenario() -> None:
        db = make(tmp_path)
        await db.start()
        fill(db, 230)
        before, memory = everything(db), db.stats()["memory_bytes"]
        part = everything(db, Matcher("__name__", "=", "m1"), start=NOW_MS - 550_000, end=NOW_MS - 500_000)
        assert max(chunks(db)) < 20
        await db.keep_up()
        assert chunks(db)[0] >= 120 and max(chunks(db)[1:]) < 20
        assert everything(db) == before
        assert everything(db, Matcher("__name__", "=", "m1"), start=NOW_MS - 550_000, end=NOW_MS - 500_000) == part
        assert db.stats()["memory_bytes"] < memory
        fill(db, 100, first=230)  # and on
        await db.keep_up()
        assert everything(db, end=NOW_MS - 370_001) == before
        await db.stop()

    run(scenario)


def test_chunks_that_went_while_they_were_merged_stay_gone(tmp_path: Path) -> None:
    async def scenario() -> None:
        db = make(tmp_path)
        await db.start()
        fill(db, 160)
        (frame,) = db._frames.all()
        due = frame.mergeable()
        assert due is not None
        strip, short = due
        strip.drop_before(short[1].end_ms)
        left = strip.chunks
        assert not strip.replace(short, merge(short))
        assert strip.chunks == left
        await db.stop()

    run(scenario)


def test_the_second_query_decodes_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        db = make(tmp_path)
        await db.start()
        fill(db, 130)
        first = db.select([Matcher("__name__", "=", "m1")], *ALWAYS)
        kept = db._decoded.size_bytes
        assert kept > 0
        for part in first:
            part.values[:] = 0.0  # nobody's numbers but the reader's
        again = everything(db, Matcher("__name__", "=", "m1"))
        assert db._decoded.size_bytes == kept
        plain = make(tmp_path / "plain", decoded_bytes_max=0)
        await plain.start()
        fill(plain, 130)
        assert again == everything(plain, Matcher("__name__", "=", "m1"))
        assert plain._decoded.size_bytes == 0
        await db.stop()
        await plain.stop()

    run(scenario)


def test_what_is_kept_is_bounded_and_goes_when_nobody_asks() -> None:
    clock = SplitClock(NOW_MS, 1000.0)
    kept = DecodedChunks(40_000, clock)
    chunk = seal(np.arange(50, dtype=np.int64), np.arange(50 * 40, dtype=np.float64).reshape(50, 40))
    for first in range(30):
        wanted = np.arange(first, first + 8, dtype=np.int32)
        for _ in range(2):
            values, gaps = kept.read(chunk, wanted, 10, 30)
            assert not gaps
            assert values.tolist() == [[row * 40.0 + column for row in range(10, 30)] for column in wanted]
        assert 0 < kept.size_bytes <= 40_000
    clock.s += 200
    kept.drop_idle()
    assert kept.size_bytes > 0
    kept.read(chunk, np.arange(8, dtype=np.int32), 0, 50)
    newest = kept.size_bytes
    clock.s += 200
    kept.drop_idle()
    assert 0 < kept.size_bytes < newest
    clock.s += 400
    kept.drop_idle()
    assert kept.size_bytes == 0


def test_a_query_over_more_than_fits_leaves_what_others_use() -> None:
    clock = SplitClock(NOW_MS, 1000.0)
    kept = DecodedChunks(40_000, clock)
    chunk = seal(np.arange(50, dtype=np.int64), np.arange(50 * 40, dtype=np.float64).reshape(50, 40))

    def ask(first: int) -> bool:
        before = kept.size_bytes
        kept.read(chunk, np.arange(first, first + 8, dtype=np.int32), 0, 50)
        return kept.size_bytes != before

    assert ask(0)
    many = [ask(first) for first in range(1, 31)]
    assert many[0] and not many[-1]
    assert not ask(0), "the first is still there"
    size = kept.size_bytes
    clock.s += 61  # nobody asks for any of it
    kept.read(chunk, np.arange(30, 38, dtype=np.int32), 0, 50)
    assert kept.size_bytes == size
    assert not ask(0) and not ask(30)
