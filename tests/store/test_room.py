"""A disk that fills up: writes are refused in time, queries go on, and writing goes on by itself when there is room."""

import asyncio

import numpy as np
import pytest
from tests.doubles import SplitClock
from tests.store.simfiles import SimFiles

from watchkeeper.model.errors import Refused
from watchkeeper.model.frame import Row
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.room import Room
from watchkeeper.store.settings import DiskSettings, MetricSettings

MIB = 1 << 20


def filled(files: SimFiles, free: int) -> None:
    """Leave so much free."""
    fd = files.open("other")
    files.ftruncate(fd, 0)
    files.fallocate(fd, files.free_bytes() - free)
    files.close(fd)


@pytest.mark.parametrize(("disk", "want"), [(256 * MIB, 256 * MIB // 10), (15 << 30, 1 << 30), (100 << 30, 5 << 30)])
def test_how_much_has_to_be_free_follows_the_size_of_the_disk(disk: int, want: int) -> None:
    class Disk(SimFiles):
        left = want

        def free_bytes(self) -> int:
            return self.left

    files, clock = Disk(space=disk), SplitClock(0)
    room = Room(files, DiskSettings(ballast_bytes=0), clock)
    room.check()
    files.left = want - 1
    clock.pass_s(1)
    with pytest.raises(Refused, match=f"got {want - 1} bytes free on the disk, want {want}"):
        room.check()
    files.left = want
    clock.pass_s(1)
    room.check()


def test_the_ballast_is_given_up_at_the_end_and_laid_in_again() -> None:
    files, clock = SimFiles(space=256 * MIB), SplitClock(0)
    room = Room(files, DiskSettings(), clock)
    room.check()
    assert len(files.names["ballast"].now) == 16 * MIB
    filled(files, 20 * MIB)
    clock.pass_s(1)
    with pytest.raises(Refused):
        room.check()
    assert "ballast" in files.names
    filled(files, 5 * MIB)
    clock.pass_s(1)
    with pytest.raises(Refused):
        room.check()
    assert "ballast" not in files.names and files.free_bytes() == 21 * MIB
    files.unlink("other")
    clock.pass_s(1)
    room.check()
    assert "ballast" in files.names


def test_a_store_without_room_answers_queries_and_takes_samples_again_by_itself() -> None:
    async def scenario() -> None:
        files, clock = SimFiles(space=256 * MIB), SplitClock(1_700_000_000_000)
        db = MetricDb(files, MetricSettings(), clock, room=Room(files, DiskSettings(), clock))
        await db.start()
        layout = db.layout("a", [{"__name__": "x"}])

        def append() -> None:
            clock.pass_s(1)
            db.append([Row(layout, clock.ms, np.array([1.0]))])

        append()
        filled(files, 8 * MIB)
        with pytest.raises(Refused) as refused:
            append()
        assert refused.value.retry_after_s > 0
        assert len(db.select([], 0, 1 << 60)) == 1
        files.unlink("other")
        append()
        assert len(db.select([], 0, 1 << 60)[0].times) == 2
        await db.stop()

    asyncio.run(scenario())


def test_the_ballast_lies_there_before_the_store_is_ready() -> None:
    async def scenario() -> None:
        files, clock = SimFiles(space=1 << 30), SplitClock(1_700_000_000_000)
        room = Room(files, DiskSettings(), clock)
        db = MetricDb(files, MetricSettings(), clock, room=room)
        await db.start()
        assert "ballast" in files.listdir("")
        await db.stop()

    asyncio.run(scenario())
