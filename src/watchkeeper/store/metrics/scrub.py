"""Reads every block every few days, so that what rots on the disk is known before it is asked for.

metrics/scrubbed   JSON {file name: Unix seconds of the last reading}, so that a restart does not begin anew
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import orjson
import structlog

from watchkeeper.model.clock import Clock
from watchkeeper.model.errors import Damaged
from watchkeeper.model.metrics import counter, gauge
from watchkeeper.store.files import Files
from watchkeeper.store.metrics.block import BlockFile, parts_of
from watchkeeper.store.metrics.blocks import Block, Blocks
from watchkeeper.store.metrics.compact import Pace, Stopped

log = structlog.get_logger(__name__)

_LOOK_S = 60.0
_NAMED_MAX = 10

BYTES = counter("watchkeeper_scrub_read_bytes", "Bytes of blocks that were read to see whether they are as written.")
FAULTS = gauge("watchkeeper_scrub_damaged_parts", "Parts of blocks that did not check out when last read.")
OLDEST = gauge("watchkeeper_scrub_oldest_seconds", "How long ago the block was read that was not for longest.")


def find_faults(file: BlockFile, pause: Callable[[], None] = lambda: None) -> Iterator[str]:
    """Read a block whole, and give what does not check out, in words.

    pause  called between parts
    """
    for which, readable in (("ahead", file.reads_ahead), ("behind", file.reads_behind)):
        if not readable():
            yield f"the directory {which} of {file.path} does not check out"
    try:
        parts = list(parts_of(file, file.contents()))
    except (Damaged, ValueError, KeyError, IndexError, TypeError) as error:
        yield str(error)
        return
    for what, place in parts:
        try:
            file.part(place)
        except Damaged as error:
            yield f"{what}: {error}"
        pause()


class Scrub:
    """Reads blocks one after the other, in a thread, at its pace.

    every_s  how often each block is read; 0: never
    """

    def __init__(self, files: Files, blocks: Blocks, clock: Clock, every_s: float, share: float, path: str) -> None:
        self._files, self._blocks, self._clock, self._path = files, blocks, clock, path
        self._every_s, self._share = every_s, share
        self._pace = Pace(share)
        self._read: dict[str, float] | None = None
        self._faults: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        if self._every_s:
            self._task = asyncio.create_task(self._run(), name="metrics-scrub")

    async def stop(self) -> None:
        """Give up what is under way."""
        self._pace.stop()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                busy = await self.once()
            except Exception:
                log.exception("scrub_failed")
                busy = False
            if not busy:
                await asyncio.sleep(_LOOK_S)

    async def once(self) -> bool:
        """Read the block that is due; False when none is."""
        read = self._read if self._read is not None else self._load()
        now_s = self._clock.now_ms() / 1000
        blocks = {_name(block): block for block in self._blocks.all()}
        self._read = read = {name: min(at_s, now_s) for name, at_s in read.items() if name in blocks}
        self._faults = {name: count for name, count in self._faults.items() if name in blocks}
        FAULTS.set(sum(self._faults.values()))
        fresh = blocks.keys() - read.keys()  # what was written now is as it should be; it is read in its turn
        if fresh:
            read |= dict.fromkeys(fresh, now_s)
            await asyncio.to_thread(self._save, dict(read))
        due = min(read, key=lambda name: read[name], default=None)
        OLDEST.set(now_s - read[due] if due is not None else 0)
        if due is None or now_s - read[due] < self._every_s:
            return False
        block = blocks[due]
        try:
            faults = await asyncio.to_thread(lambda: list(find_faults(block.file, self._pace)))
        except Stopped:
            return False
        BYTES.inc(block.file.size_bytes)
        for fault in faults[:_NAMED_MAX]:
            log.error("block_damaged", block=due, fault=fault)
        self._faults[due], read[due] = len(faults), now_s
        FAULTS.set(sum(self._faults.values()))
        await asyncio.to_thread(self._save, dict(read))
        return True

    def _load(self) -> dict[str, float]:
        folder, _, name = self._path.rpartition("/")
        if name not in self._files.listdir(folder):
            return {}
        fd = self._files.open(self._path)
        try:
            said = orjson.loads(self._files.pread(fd, self._files.size(fd), 0))
            return {str(name): float(at_s) for name, at_s in said.items()}
        except (OSError, orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
            return {}
        finally:
            self._files.close(fd)

    def _save(self, read: dict[str, float]) -> None:
        content, temporary = orjson.dumps(read), self._path + ".tmp"
        try:
            fd = self._files.open(temporary)
            try:
                self._files.ftruncate(fd, 0)
                self._files.pwrite(fd, content, 0)
                self._files.fdatasync(fd)
            finally:
                self._files.close(fd)
            self._files.rename(temporary, self._path)
            self._files.fsync_dir(self._path.rpartition("/")[0])
        except OSError as error:  # then a restart reads some blocks again
            log.warning("scrub_not_noted", error=str(error))


def _name(block: Block) -> str:
    return block.file.path.rpartition("/")[2]
