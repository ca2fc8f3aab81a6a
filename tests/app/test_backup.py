"""Backups of a data directory in use, put back: every answer as before; damage is seen before anything is written."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from watchkeeper.app import backup
from watchkeeper.app.backup import back_up, restore, verify
from watchkeeper.app.commands import keep
from watchkeeper.model.clock import SystemClock
from watchkeeper.model.errors import BadInput, Damaged, Refused
from watchkeeper.model.frame import Row
from watchkeeper.model.matchers import Matcher
from watchkeeper.store.files import RealFiles
from watchkeeper.store.logs.db import LogDb
from watchkeeper.store.logs.settings import LogSettings
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings
from watchkeeper.store.state.db import StateStore

NOW_S = 1_790_000_000.0


async def opened(data: Path) -> MetricDb:
    db = MetricDb(RealFiles(data), MetricSettings(), SystemClock())
    await db.start()
    return db


def answers(db: MetricDb) -> dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]:
    """Every sample of 200 queries: one a series."""
    found = {}
    for at in range(200):
        for part in db.select([Matcher("at", "=", str(at))], 0, 1 << 60):
            for labels, row in zip(part.labels.labels(), part.values, strict=True):
                found[tuple(labels.items())] = list(zip(part.times.tolist(), row.tolist(), strict=True))
    return found


async def write(db: MetricDb, first: int, rows: int) -> None:
    series = [{"__name__": "m", "at": str(at)} for at in range(200)]
    layout, now_ms = db.layout("write/a/b", series), SystemClock().now_ms()
    for row in range(first, first + rows):
        db.append([Row(layout, now_ms - 10_000_000 + row * 1000, np.arange(200.0) + row)])
    await db.commit()


def test_a_backup_under_load_answers_as_the_directory_did(tmp_path: Path) -> None:
    data, target = tmp_path / "data", tmp_path / "backups"

    async def run() -> None:
        db = await opened(data)
        logs = LogDb(RealFiles(data), LogSettings(), SystemClock())
        await logs.start()
        StateStore(f"sqlite:///{data / 'state.db'}").close()
        await write(db, 0, 500)
        await db.flush(SystemClock().now_ms() - 9_700_000)
        before = answers(db)
        working = asyncio.create_task(keep_writing(db))
        for at in range(3):
            await asyncio.to_thread(back_up, data, target, NOW_S + at)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await logs.stop()
        await db.stop()
        restore(target, tmp_path / "again")
        again = await opened(tmp_path / "again")
        after = answers(again)
        assert again.stats()["damaged_records"] == 0
        await again.stop()
        assert len(before) == 200
        for key, samples in before.items():
            assert after[key][: len(samples)] == samples
        StateStore(f"sqlite:///{tmp_path / 'again' / 'state.db'}").close()

    async def keep_writing(db: MetricDb) -> None:
        row = 500
        while True:
            await write(db, row, 5)
            row += 5
            if row % 50 == 0:
                await db.flush(SystemClock().now_ms() - 9_600_000 + row * 100)
            await asyncio.sleep(0)

    asyncio.run(run())


def test_what_the_last_backup_has_takes_no_space_again(tmp_path: Path) -> None:
    data, target = make(tmp_path)
    first = back_up(data, target, NOW_S)
    second = back_up(data, target, NOW_S + 1)
    assert first.linked_bytes == 0
    assert second.linked_bytes == second.bytes > 0
    blocks = [next((one.path / "metrics/blocks").iterdir()) for one in (first, second)]
    assert blocks[0].stat().st_ino == blocks[1].stat().st_ino
    assert not (data / ".backup").exists()


def make(tmp_path: Path) -> tuple[Path, Path]:
    async def run() -> None:
        db = await opened(tmp_path / "data")
        await write(db, 0, 50)
        await db.flush(SystemClock().now_ms())
        await db.stop()

    asyncio.run(run())
    return tmp_path / "data", tmp_path / "backups"


def test_a_damaged_backup_is_seen_before_anything_is_written(tmp_path: Path) -> None:
    data, target = make(tmp_path)
    copied = back_up(data, target, NOW_S)
    block = next((copied.path / "metrics/blocks").iterdir())
    content = bytearray(block.read_bytes())
    content[100] ^= 1
    block.write_bytes(content)
    with pytest.raises(Damaged, match=f"{block.name} is not as it was"):
        restore(target, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    assert verify(copied.path) == [f"metrics/blocks/{block.name}"]


def test_a_second_backup_at_once_and_a_full_directory_are_refused(tmp_path: Path) -> None:
    data, target = make(tmp_path)
    (data / ".backup").mkdir()
    with pytest.raises(Refused, match="another backup under way"):
        back_up(data, target, NOW_S)
    (data / ".backup").rmdir()
    back_up(data, target, NOW_S)
    with pytest.raises(BadInput, match="not empty"):
        restore(target, data)
    with pytest.raises(BadInput, match=r"no backup.json"):
        restore(tmp_path / "data", tmp_path / "again")
    with pytest.raises(BadInput, match="no data directory"):
        back_up(tmp_path / "nothing", target, NOW_S)


def test_files_that_go_away_meanwhile_begin_it_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, target = make(tmp_path)
    link, failed = backup._link_store, list[Path]()

    def fails_once(store: Path, staged: Path) -> None:
        link(store, staged)
        if not failed:
            failed.append(store)
            raise FileNotFoundError(store)

    monkeypatch.setattr(backup, "_link_store", fails_once)
    assert verify(back_up(data, target, NOW_S).path) == []


def run(command: Callable[..., object], *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, standalone_mode=False)  # type: ignore[arg-type]


def test_the_commands_say_what_they_did(tmp_path: Path) -> None:
    data, target = make(tmp_path)
    told = run(keep.backup, str(target), "--data", str(data))
    assert "new" in told.output, told.exception
    told = run(keep.restore, str(target), "--data", str(tmp_path / "again"))
    assert "files" in told.output, told.exception
    told = run(keep.inspect, "--data", str(tmp_path / "again"), "--verify", "--metrics", "5")
    assert told.return_value == 0, told.exception
    assert "10,000" in told.output
    assert "0 damaged parts in" in told.output
    assert "bytes a value" in told.output


def test_inspect_finds_a_planted_flip(tmp_path: Path) -> None:
    data, _ = make(tmp_path)
    block = next((data / "metrics/blocks").iterdir())
    content = bytearray(block.read_bytes())
    for at in (20, len(content) * 2 // 3, len(content) - 5):
        content[at] ^= 4
        block.write_bytes(content)
        told = run(keep.inspect, "--data", str(data), "--verify")
        content[at] ^= 4
        assert told.return_value == 1, at
        assert "not check out" in told.output
