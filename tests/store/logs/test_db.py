import asyncio
import contextlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.doubles import StillClock
from tests.store.simfiles import SimFiles

from watchkeeper.model.errors import Damaged, Refused
from watchkeeper.model.logs import Entries, LineBlock
from watchkeeper.model.matchers import Matcher
from watchkeeper.store.files import Files, RealFiles
from watchkeeper.store.logs.db import LogDb
from watchkeeper.store.logs.settings import LogSettings
from watchkeeper.store.settings import WalSettings

NOW_MS = 1_700_000_000_000
NOW = NOW_MS * 1_000_000
ALL = [Matcher("app", "=~", ".+")]


def small(**more: object) -> LogSettings:
    fields = {
        "block_bytes": 2000,
        "wal_cut_bytes": 6000,
        "carry_bytes_max": 1500,
        "wal": WalSettings(segment_bytes=4096),
    }
    return LogSettings(**{**fields, **more})


def entries(app: str, first: int, count: int, text: str = "line") -> Entries:
    return Entries(
        {"app": app}, [NOW - 10**12 + at * 1000 for at in range(first, first + count)],
        [f"{text} {app} {at}".encode() for at in range(first, first + count)],
    )  # fmt: skip


def lines_of(blocks: Sequence[LineBlock]) -> list[tuple[str, int, bytes]]:
    out = []
    for block in blocks:
        times, starts, text = block.times(), block.starts(), block.text()
        assert (np.diff(times) >= 0).all()
        out += [
            (block.labels["app"], int(times[at]), text[starts[at] : starts[at + 1] - 1]) for at in range(len(times))
        ]
    return sorted(out)


def stored(db: LogDb) -> list[tuple[str, int, bytes]]:
    return lines_of(db.select(ALL, 0, 1 << 62))


def expected(*pushed: Entries) -> list[tuple[str, int, bytes]]:
    return sorted({(e.labels["app"], t, line) for e in pushed for t, line in zip(e.times_ns, e.lines, strict=True)})


def opened(files: Files, settings: LogSettings | None = None, clock: StillClock | None = None) -> LogDb:
    db = LogDb(files, settings or small(), clock or StillClock(NOW_MS))
    db.load()
    return db


def test_lines_are_found_at_once_after_sealing_after_a_cut_and_after_a_restart() -> None:
    async def run() -> None:
        files = SimFiles()
        db = opened(files)
        pushed = []
        for at in range(40):
            pushed += [entries("a", at * 20, 20), entries("b", at * 3, 3)]
            db.append(pushed[-2:])
            await db.commit()
            assert stored(db) == expected(*pushed)
            if at % 7 == 3:
                await db.maintain()
                assert stored(db) == expected(*pushed)
        assert [name for name in files.listdir("logs/blocks") if name.endswith(".logs")]
        await db.stop()
        again = opened(files)
        assert stored(again) == expected(*pushed)
        await again.cut(everything=True)
        assert stored(again) == expected(*pushed)
        assert again._open_bytes == 0
        await again.stop()

    asyncio.run(run())


def test_late_lines_are_taken_and_exact_duplicates_stored_once_wherever_the_first_lies() -> None:
    async def run() -> None:
        db = opened(SimFiles())
        pushed = [entries("a", at * 20, 20) for at in range(20)]
        for each in pushed:
            db.append([each])
        await db.maintain()
        late = Entries({"app": "a"}, [NOW - 10**12 + 500, NOW - 10**12], [b"late", b"same time, other text"])
        for each in (*random.Random(3).sample(pushed, 20), late, late):
            db.append([each])
        await db.maintain()
        await db.cut(everything=True)
        for each in pushed:
            db.append([each])
        assert stored(db) == expected(*pushed, late)
        assert len(stored(db)) == 402
        await db.stop()

    asyncio.run(run())


def test_selection_is_by_labels_and_time() -> None:
    db = opened(SimFiles())
    db.append([entries("a", 0, 10), entries("b", 100, 10)])
    first = NOW - 10**12
    assert {block.labels["app"] for block in db.select([Matcher("app", "=", "a")], 0, 1 << 62)} == {"a"}
    assert db.select([Matcher("app", "=", "none")], 0, 1 << 62) == []
    assert [b.labels["app"] for b in db.select(ALL, first + 50_000, 1 << 62)] == ["b"]
    assert db.streams([], 0, 1 << 62) == [{"app": "a"}, {"app": "b"}]
    assert db.streams([[Matcher("app", "=", "b")]], 0, 1 << 62) == [{"app": "b"}]
    assert db.streams([], 0, first + 1) == [{"app": "a"}]
    volume = db.volume(ALL, 0, 1 << 62)
    assert (volume.streams, volume.entries) == (2, 20)


def test_positions_are_kept_with_the_lines_through_a_cut_and_a_restart() -> None:
    async def run() -> None:
        files = SimFiles()
        db = opened(files)
        db.append([entries("a", 0, 5)], {"/x": b"1", "/y": b"2"})
        db.append([], {"/x": b"3", "/y": b""})
        await db.cut(everything=True)
        assert db.positions() == {"/x": b"3"}
        await db.stop()
        again = opened(files)
        assert again.positions() == {"/x": b"3"}
        await again.stop()

    asyncio.run(run())


def test_what_is_over_a_limit_is_refused_in_lokis_words_and_the_rest_kept() -> None:
    db = opened(SimFiles(), small(max_line_size_bytes=10, max_label_names_per_series=2, max_streams=2))
    got = db.append(
        [
            Entries({"app": "a"}, [NOW, NOW + 1, NOW + 2], [b"good", b"x" * 11, b"good too"]),
            Entries({"app": "b"}, [NOW - 8 * 86_400 * 10**9, NOW + 11 * 60 * 10**9, NOW], [b"old", b"new", b"fine"]),
            Entries({"app": "c"}, [NOW], [b"third stream"]),
            Entries({"app": "a", "b": "1", "c": "2"}, [NOW], [b"labels"]),
            Entries({}, [NOW], [b"none"]),
        ]
    )
    assert got.stored == 3
    assert got.refused == {
        "line_too_long": 1, "greater_than_max_sample_age": 1, "too_far_in_future": 1, "stream_limit": 1,
        "max_label_names_per_series": 1, "missing_labels": 1,
    }  # fmt: skip
    want = "Max entry size '10' bytes exceeded for stream '{app=\"a\"}' while adding an entry with length '11' bytes"
    assert got.message == want
    assert sorted(line for _, _, line in stored(db)) == [b"fine", b"good", b"good too"]


def test_old_files_go_and_old_lines_are_not_shown() -> None:
    async def run() -> None:
        files, clock = SimFiles(), StillClock(NOW_MS)
        db = opened(files, small(retention_ms=86_400_000), clock)
        db.append([entries("a", 0, 50)])
        await db.cut(everything=True)
        clock.ms += 2 * 86_400_000
        assert stored(db) == []
        await db.maintain()
        assert [name for name in files.listdir("logs/blocks") if name.endswith(".logs")] == []
        await db.stop()

    asyncio.run(run())


def test_a_damaged_block_costs_its_lines_alone() -> None:
    async def run() -> None:
        files = SimFiles()
        db = opened(files)
        db.append([entries("a", 0, 50), entries("b", 0, 50)])
        await db.cut(everything=True)
        await db.stop()
        (name,) = [n for n in files.names if n.endswith(".logs")]
        content = bytearray(files.names[name].now)
        content[len(content) // 4] ^= 0xFF
        files.names[name].now = content
        again = opened(files)
        found = []
        for block in again.select(ALL, 0, 1 << 62):
            with contextlib.suppress(Damaged):
                found += lines_of([block])
        assert set(found) < set(expected(entries("a", 0, 50), entries("b", 0, 50)))
        assert found
        await again.stop()

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(12))
def test_after_any_power_cut_all_that_was_acknowledged_is_there_and_nothing_else(seed: int) -> None:
    chance = random.Random(seed)
    files = SimFiles()
    acknowledged: list[Entries] = []
    in_doubt: list[Entries] = []

    async def write(files: SimFiles, stop_after: int) -> None:
        db = opened(files, small(wal_cut_bytes=3000))
        count = 0
        while count < stop_after:
            push = [entries(chance.choice("abc"), chance.randrange(0, 4000), chance.randrange(1, 30))]
            in_doubt.extend(push)
            db.append(push)
            if chance.random() < 0.8:
                await db.commit()
                acknowledged.extend(in_doubt)
                in_doubt.clear()
            if chance.random() < 0.3:
                await db.maintain()
            if chance.random() < 0.05:
                await db.cut(everything=True)
            count += 1
        # no stop: the power goes

    for _ in range(4):
        asyncio.run(write(files, chance.randrange(3, 25)))
        files = files.crash(chance.choice(["kill", "lost", "prefix", "torn", "some"]), chance)
        db = opened(files)
        found = set(stored(db))
        assert set(expected(*acknowledged)) <= found
        assert found <= set(expected(*acknowledged, *in_doubt))
        acknowledged.extend(e for e in in_doubt if set(expected(e)) <= found)  # decided: it is there, and stays
        assert all(
            set(expected(e)) <= found or not set(expected(e)) - set(expected(*acknowledged)) & found for e in in_doubt
        )
        in_doubt.clear()
        asyncio.run(db.stop())


def test_a_full_disk_refuses_keeps_answering_and_takes_lines_again_when_there_is_space() -> None:
    async def run() -> None:
        files = SimFiles()
        db = opened(files)
        db.append([entries("a", 0, 10)])
        await db.commit()
        files.space = files.used()
        refused = 0
        for at in range(200):
            try:
                db.append([entries("a", 1000 + at * 10, 10)])
                await db.commit()
            except Refused:
                refused += 1
        assert refused
        assert len(stored(db)) >= 10
        files.space = 1 << 40
        db.append([entries("b", 0, 10)])
        await db.commit()
        assert {app for app, _, _ in stored(db)} == {"a", "b"}
        await db.stop()

    asyncio.run(run())


def test_a_second_process_cannot_open_the_same_store(tmp_path: Path) -> None:
    async def run() -> None:
        db = opened(RealFiles(tmp_path))
        with pytest.raises(Refused):
            opened(RealFiles(tmp_path))
        await db.stop()

    asyncio.run(run())


WRITER = """
import asyncio, sys, time
from watchkeeper.model.clock import SystemClock
from watchkeeper.model.logs import Entries
from watchkeeper.store.files import RealFiles
from watchkeeper.store.logs.db import LogDb
from watchkeeper.store.logs.settings import LogSettings
from watchkeeper.store.settings import WalSettings

async def main(number):
    settings = LogSettings(block_bytes=20_000, wal_cut_bytes=60_000, maintenance_interval_ms=5,
                           wal=WalSettings(segment_bytes=1 << 16))
    db = LogDb(RealFiles(sys.argv[1]), settings, SystemClock())
    await db.start()
    while True:
        now = time.time_ns()
        db.append([Entries({"app": str(number % 5)}, [now + at for at in range(20)],
                           [b"%d" % (number + at) for at in range(20)])])
        await db.commit()
        number += 20
        print(number, flush=True)

asyncio.run(main(int(sys.argv[2])))
"""


def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    begun, spans = 0, []
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(begun)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline(), "the writer did not start"
        deadline = time.monotonic() + 0.4
        done = begun
        while time.monotonic() < deadline:
            done = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest, _ = child.communicate()
        done = max([done, *(int(line) for line in rest.split("\n")[:-1])])
        spans.append((begun, done))
        db = LogDb(RealFiles(tmp_path), LogSettings(), StillClock(time.time_ns() // 1_000_000))
        db.load()
        found = [int(line) for _, _, line in stored(db)]
        asyncio.run(db.stop())
        assert len(found) == len(set(found))
        assert all(set(range(*span)) <= set(found) for span in spans)
        begun = max(found) + 1001 - max(found) % 20
