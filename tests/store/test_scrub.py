"""Silent rot: a planted flip in a block is found by reading, counted, and found again after a restart."""

import asyncio

import numpy as np
from tests.doubles import SplitClock
from tests.store.simfiles import SimFiles

from watchkeeper.model.frame import Row
from watchkeeper.model.labels import Symbols
from watchkeeper.store.metrics import scrub
from watchkeeper.store.metrics.blocks import Blocks
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.metrics.scrub import Scrub
from watchkeeper.store.settings import MetricSettings

NOW_MS = 1_790_000_000_000
WEEK_S = 7 * 86_400


def made(files: SimFiles, clock: SplitClock, blocks: int) -> Blocks:
    async def run() -> None:
        db = MetricDb(files, MetricSettings(), clock)
        await db.start()
        layout = db.layout("write/a/b", [{"__name__": "m", "at": str(at)} for at in range(30)])
        for turn in range(blocks):
            for row in range(20):
                db.append([Row(layout, NOW_MS + turn * 7_200_000 + row * 1000, np.arange(30.0) + row)])
            clock.pass_s(7200)
            await db.flush(clock.now_ms())
        await db.stop()

    asyncio.run(run())
    found = Blocks(files, "metrics/blocks", Symbols())
    found.load()
    return found


def flip(files: SimFiles, path: str) -> None:
    fd = files.open(path)
    at = files.size(fd) // 3
    files.pwrite(fd, bytes([files.pread(fd, 1, at)[0] ^ 8]), at)
    files.close(fd)


def turns(blocks: Blocks, files: SimFiles, clock: SplitClock) -> int:
    """Read all that is due; how many blocks that were."""

    async def run() -> int:
        one = Scrub(files, blocks, clock, WEEK_S, 1.0, "metrics/scrubbed")
        count = 0
        while await one.once():
            count += 1
        return count

    return asyncio.run(run())


def test_each_block_is_read_once_a_week_and_a_flip_is_found() -> None:
    files, clock = SimFiles(), SplitClock(NOW_MS)
    blocks = made(files, clock, 3)
    number = len(blocks.all())
    assert turns(blocks, files, clock) == 0  # they were written just now
    flip(files, blocks.all()[1].file.path)

    async def run() -> None:
        one = Scrub(files, blocks, clock, WEEK_S, 1.0, "metrics/scrubbed")
        assert not await one.once()
        clock.pass_s(WEEK_S + 1)
        assert [await one.once() for _ in range(number + 1)] == [True] * number + [False]
        assert scrub.FAULTS._value.get() == 1
        assert scrub.OLDEST._value.get() == 0

    asyncio.run(run())


def test_a_restart_goes_on_where_it_was() -> None:
    files, clock = SimFiles(), SplitClock(NOW_MS)
    blocks = made(files, clock, 3)
    number = len(blocks.all())

    async def first() -> None:
        one = Scrub(files, blocks, clock, WEEK_S, 1.0, "metrics/scrubbed")
        await one.once()
        clock.pass_s(WEEK_S + 1)
        assert await one.once()

    asyncio.run(first())
    assert turns(blocks, files, clock) == number - 1
    clock.pass_s(60)
    assert turns(blocks, files, clock) == 0
