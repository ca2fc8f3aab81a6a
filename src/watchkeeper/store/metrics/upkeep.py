"""Every half minute: compress, move into blocks, make blocks larger, drop what has expired."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import structlog

from watchkeeper.model.clock import Clock
from watchkeeper.model.doors import Matchers
from watchkeeper.model.errors import Damaged, Refused
from watchkeeper.model.frame import FrameSlice, Selection
from watchkeeper.model.labels import Symbols
from watchkeeper.model.metrics import counter, gauge
from watchkeeper.store.files import Files
from watchkeeper.store.heap import trim
from watchkeeper.store.metrics import copies
from watchkeeper.store.metrics.blocks import Block, Blocks
from watchkeeper.store.metrics.chunk import merge
from watchkeeper.store.metrics.compact import SECONDS, Compactor, Pace, Stopped
from watchkeeper.store.metrics.decoded import DecodedChunks
from watchkeeper.store.metrics.deletion import Tombstone, Tombstones
from watchkeeper.store.metrics.directory import DIRECTORY, INCOMING
from watchkeeper.store.metrics.flush import Flusher
from watchkeeper.store.metrics.frames import SERIES, Frames
from watchkeeper.store.metrics.histograms import HistogramFiles
from watchkeeper.store.metrics.scrub import Scrub
from watchkeeper.store.metrics.thinning import Thinning
from watchkeeper.store.metrics.tiers import FAILED, Tier
from watchkeeper.store.settings import Keep, MetricSettings
from watchkeeper.store.wal import Wal

log = structlog.get_logger(__name__)

_EVERY_S = 30.0
_QUIET_MS = 45 * 60_000
_JUMP_MS = 3_600_000
_DEAD_MS = 2 * 3_600_000  # a series not heard of for so long gives up its column
_DROP_STEP_MS = 60_000
_PRESSED_MS = 10 * 60_000  # what is younger stays in memory even when there is little room
_RETRY_S = 300.0

SEALED_BYTES = gauge("watchkeeper_metrics_sealed_bytes", "Compressed samples in memory.")
OPEN_BYTES = gauge("watchkeeper_metrics_open_bytes", "Rows in memory that are not compressed yet.")
MEMORY_DROPS = counter(
    "watchkeeper_metrics_memory_drops", "Times that samples went before their retention, for memory."
)
MERGED = counter("watchkeeper_metrics_merged_samples", "Samples that were moved from short chunks into long ones.")


class Upkeep:
    """Runs on the event loop; the long work is done in threads, one after the other."""

    def __init__(
        self,
        frames: Frames,
        blocks: Blocks,
        wal: Wal,
        tombstones: Tombstones,
        histograms: HistogramFiles,
        decoded: DecodedChunks,
        symbols: Symbols,
        settings: MetricSettings,
        keeps: Sequence[Keep],
        clock: Clock,
        repeat: Callable[[], None],
        files: Files,
    ) -> None:
        self._files, self._symbols, self._repeat, self._histograms = files, symbols, repeat, histograms
        self._frames, self._blocks, self._wal, self._tombstones = frames, blocks, wal, tombstones
        self._decoded, self._settings, self._clock, self._keeps = decoded, settings, clock, keeps
        self._flusher = Flusher(frames, blocks, wal, tombstones, symbols, settings.block_ms, repeat)
        self._compactor = Compactor(blocks, tombstones, symbols, settings.block_ms, settings.retention_ms, keeps)
        self.tiers = [Tier(files, symbols, tombstones, settings, at, keeps) for at in range(len(settings.downsample))]
        self._pace = Pace(settings.compaction_share)
        self._drift_ms = self._trusted_ms = clock.now_ms() - clock.monotonic_s() * 1000
        self._steady_from_s = self._try_again_s = -1e300
        every_s, share = settings.scrub_ms / 1000, settings.compaction_share
        self._scrub = Scrub(files, blocks, clock, every_s, share, f"{DIRECTORY}/scrubbed")
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to keep up."""
        self._task = asyncio.create_task(self._keep_up(), name="metrics-upkeep")
        self._scrub.start()

    async def stop(self) -> None:
        """Give up what is under way."""
        self._pace.stop()
        await self._scrub.stop()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._frames.sealer.stop()
        async with self._turn:  # a thread may still be writing
            for tier in self.tiers:
                tier.blocks.close()

    def load(self) -> None:
        """Open the blocks of the tiers."""
        for tier in self.tiers:
            tier.blocks.load()
            self._blocks.reserve(tier.blocks.mark)

    def thinning(self, samples: Callable[[Matchers, int, int], Selection]) -> Thinning:
        """Give the reader of the tiers; `samples` reads what is newer than they are."""
        return Thinning(self.tiers, self._blocks, self._tombstones, self._symbols, samples, self.oldest_ms)

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.once()
            except Exception:
                log.exception("upkeep_failed")

    async def once(self) -> None:
        """Do all that is due."""
        now_ms = self._clock.now_ms()
        for frame in self._frames.all():
            if frame.open_rows and now_ms - frame.latest_ms > _QUIET_MS:
                frame.seal_all()
        async with self._turn:
            self._adopt()
        if self._is_steady(now_ms):
            async with self._turn:
                await self._flush_if_due(now_ms)
                if await self._thin(now_ms):  # before blocks become others: those that came late are known by that
                    await self._compact(self._compactor, self._blocks, now_ms)
                for tier in self.tiers:
                    await self._compact(tier.compactor, tier.blocks, now_ms)
                    tier.say()
                self._expire(now_ms)
        elif self._pressed():
            async with self._turn:
                await self._relieve(now_ms)
        self._bound_memory()
        await self._merge()
        self.renew(now_ms)
        SERIES.set(self._frames.series)
        SEALED_BYTES.set(self._sealed_bytes())
        OPEN_BYTES.set(sum(frame.open_bytes for frame in self._frames.all()))
        self._decoded.drop_idle()
        trim()

    def renew(self, now_ms: int) -> None:
        """Give new frames to sources most of whose series ended."""
        self._frames.renew(now_ms - _DEAD_MS)

    # -- memory → blocks

    async def flush(self, cutoff_ms: int) -> bool:
        """Move all samples older than a moment into blocks."""
        async with self._turn:
            return await self._flusher.flush(max(cutoff_ms, self._blocks.cutoff_ms))

    async def _flush_if_due(self, now_ms: int) -> None:
        newest_ms, block_ms = min(self._frames.newest_ms(), now_ms), self._settings.block_ms
        cutoff_ms = (newest_ms - block_ms // 2) // block_ms * block_ms
        if self._pressed():
            cutoff_ms = max(cutoff_ms, newest_ms - _PRESSED_MS)
        cutoff_ms = max(cutoff_ms, self._blocks.cutoff_ms)
        oldest_ms = min((frame.oldest_ms for frame in self._frames.all()), default=cutoff_ms)
        if oldest_ms >= cutoff_ms or self._clock.monotonic_s() < self._try_again_s:
            return
        late_ms = self._settings.out_of_order_window_ms  # few late samples are not worth a block each half minute
        if late_ms and oldest_ms >= self._blocks.cutoff_ms - late_ms and cutoff_ms == self._blocks.cutoff_ms:
            return
        if not await self._flusher.flush(cutoff_ms):
            self._try_again_s = self._clock.monotonic_s() + _RETRY_S

    async def _relieve(self, now_ms: int) -> None:
        """Keep the bounds of log and memory after a jump of the clock, though nothing else is moved then.

        First what is old by the clock as it was: should that be right again soon, samples of its time are still taken.
        """
        trusted_ms = round(self._clock.monotonic_s() * 1000 + self._trusted_ms)
        await self._flush_if_due(min(now_ms, trusted_ms))
        if self._pressed():
            await self._flush_if_due(now_ms)

    def _pressed(self) -> bool:
        settings = self._settings
        return self._wal.size_bytes > settings.wal_bytes_max or self._sealed_bytes() > settings.memory_bytes_max

    def _sealed_bytes(self) -> int:
        return sum(frame.sealed_bytes for frame in self._frames.all())

    def _bound_memory(self) -> None:
        """Drop the oldest chunks while all take more than they may, because no block could be written."""
        before_ms = None
        while self._sealed_bytes() > self._settings.memory_bytes_max:
            before_ms = min(frame.oldest_sealed_ms for frame in self._frames.all()) + _DROP_STEP_MS
            self._frames.drop_before(before_ms)
        if before_ms is not None:
            MEMORY_DROPS.inc()
            limit = self._settings.memory_bytes_max
            log.warning("oldest_samples_dropped", before_ms=before_ms, memory_bytes_max=limit)

    async def _merge(self) -> None:
        """Make long chunks of short ones, in a thread: they take less memory and are read faster."""
        for frame in self._frames.all():
            while (due := frame.mergeable()) is not None:
                strip, chunks = due
                chunk = await asyncio.to_thread(merge, chunks)
                if strip.replace(chunks, chunk):
                    MERGED.inc(chunk.n_rows * len(chunk.columns))
                    frame.publish()

    # -- blocks

    async def _thin(self, now_ms: int) -> bool:
        """Write what is due in the downsampling tiers; False when one could not be written."""
        for tier in self.tiers:
            while jobs := tier.due(self._blocks, now_ms):
                try:
                    numbers = await asyncio.to_thread(tier.make, jobs, self._blocks.next_number, self._pace)
                except Stopped:
                    return False
                except (OSError, Damaged) as error:
                    FAILED.labels(tier.name).inc()
                    log.warning("tier_not_written", tier=tier.name, error=str(error))
                    return False
                added = [block for number in numbers if (block := tier.blocks.open(number)) is not None]
                if len(added) < len(numbers):
                    return False
                tier.blocks.exchange(added, [block for job in jobs for block in job.replaces])
                self._frames.changes.everything()
                log.info("downsampled", tier=tier.name, blocks=len(added), until_ms=tier.until_ms)
        return True

    async def _compact(self, compactor: Compactor, blocks: Blocks, now_ms: int) -> None:
        while due := compactor.due():
            if not await self._rewrite(compactor, blocks, due, now_ms):
                return
        for block in compactor.expired(now_ms)[1]:
            await self._rewrite(compactor, blocks, [block], now_ms)

    async def _rewrite(self, compactor: Compactor, door: Blocks, blocks: Sequence[Block], now_ms: int) -> bool:
        try:
            with SECONDS.time():
                number = await asyncio.to_thread(compactor.write, blocks, now_ms, self._pace)
        except Stopped:
            return False
        block = None if number is None else door.open(number)
        if block is None:
            return False
        door.exchange([block], blocks)
        self._frames.changes.everything()
        log.info("blocks_compacted", blocks=len(blocks), into=block.number, bytes=block.file.size_bytes)
        return True

    def _expire(self, now_ms: int) -> None:
        self._frames.drop_before(now_ms - self._settings.retention_ms)
        self._wal.drop_before(now_ms - self._settings.retention_ms)
        self._blocks.forget_lost(now_ms - self._settings.retention_ms)
        doors = [(self._compactor, self._blocks), *((tier.compactor, tier.blocks) for tier in self.tiers)]
        for compactor, door in doors:
            gone, _ = compactor.expired(now_ms)
            if gone:
                door.exchange((), gone)
                self._frames.changes.everything()
        while self._too_large() and (
            left := [(door.all()[0].first_ms, at) for at, (_, door) in enumerate(doors) if door.all()]
        ):
            door = doors[min(left)[1]][1]
            oldest = door.all()[0]
            log.info("oldest_block_dropped", block=oldest.file.path, retention_bytes=self._settings.retention_bytes)
            door.exchange((), [oldest])
            self._frames.changes.everything()

        self._histograms.drop_before(self._first_ms() - self._settings.future_ms_max)

    def _too_large(self) -> bool:
        limit, tiers = self._settings.retention_bytes, sum(tier.blocks.size_bytes for tier in self.tiers)
        return 0 < limit < self._blocks.size_bytes + tiers + self._wal.size_bytes + self._histograms.size_bytes

    def oldest_ms(self) -> int:
        """Give the time from which on there are samples of all series as they came."""
        limit_ms = self._clock.now_ms() - self._settings.retention_ms
        return max(self._first_ms(), limit_ms) if self._keeps else self._first_ms()

    def _first_ms(self) -> int:
        """Give the time of the oldest sample; far in the future when there is none."""
        times = [block.first_ms for block in self._blocks.all()] + [frame.oldest_ms for frame in self._frames.all()]
        return min(times, default=1 << 62)

    def _is_steady(self, now_ms: int) -> bool:
        """Say whether the clock goes on like the monotonic one; for a day after a jump nothing expires."""
        drift_ms = now_ms - self._clock.monotonic_s() * 1000
        if abs(drift_ms - self._drift_ms) > _JUMP_MS:
            log.warning("clock_jumped", by_ms=round(drift_ms - self._drift_ms))
            if self._clock.monotonic_s() >= self._steady_from_s:
                self._trusted_ms = self._drift_ms
            self._drift_ms, self._steady_from_s = drift_ms, self._clock.monotonic_s() + 86_400
        return self._clock.monotonic_s() >= self._steady_from_s

    # -- in and out

    def _adopt(self) -> None:
        """Take in the blocks that an import wrote beside this process."""
        for name in self._files.listdir(INCOMING):
            if not name.endswith(".block"):
                continue
            try:
                block = self._blocks.adopt(f"{INCOMING}/{name}")
            except OSError as error:  # it is tried again
                log.warning("block_not_adopted", name=name, error=str(error))
                return
            if block is not None:
                self._blocks.exchange([block], ())
                self._frames.changes.everything()
                log.info("block_adopted", block=block.number, samples=block.samples)

    async def write_block(self, frames: Sequence[tuple[str, FrameSlice]]) -> int:
        """Store samples of any age; see MetricDb.write_block."""
        try:
            number = await asyncio.to_thread(copies.write_block, self._blocks, self._symbols, frames)
        except (OSError, Damaged) as error:
            raise Refused(f"cannot write a block: {error}") from error
        if number is None:
            return 0
        block = self._blocks.open(number)
        if block is None:
            raise Refused("cannot write a block: got one that cannot be read again")
        self._blocks.exchange([block], ())
        self._frames.changes.everything()
        return block.samples

    async def snapshot(self, directory: str) -> None:
        """Copy everything; see MetricDb.snapshot."""
        async with self._turn:
            try:
                self._wal.begin_segment()
                self._repeat()
                self._histograms.roll()
                await self._wal.settle()
                doors = [self._blocks, *(tier.blocks for tier in self.tiers)]
                blocks = [block.file.path for door in doors for block in door.all()]
                files = [*blocks, *self._wal.closed_files(), *self._histograms.closed_files()]
                await asyncio.to_thread(copies.snapshot, self._files, files, directory)
            except OSError as error:
                raise Refused(f"cannot make snapshot {directory}: {error.strerror or error}") from error

    # -- deletion

    async def delete(self, selectors: Sequence[Matchers], start_ms: int, end_ms: int) -> None:
        """Note what is deleted; see MetricDb.delete_series."""
        async with self._turn:
            before = self._blocks.next_number
            self._blocks.reserve(before + 1)  # what is thinned from now on is thinned without it
            newest_ms = max([self._frames.newest_ms(), *(block.last_ms for block in self._blocks.all())])
            end_ms = min(end_ms, newest_ms)  # what comes later was not meant
            added = [Tombstone(tuple(matchers), start_ms, end_ms, before) for matchers in selectors]
            await self._set_tombstones([*self._tombstones.all(), *added])

    async def clean_tombstones(self) -> None:
        """Write blocks anew that hold deleted samples."""
        async with self._turn:
            doors = [(self._compactor, self._blocks), *((tier.compactor, tier.blocks) for tier in self.tiers)]
            done = [
                await self._rewrite(compactor, door, [block], self._clock.now_ms())
                for compactor, door in doors
                for block in compactor.deleted_from()
            ]
            oldest_ms = min((frame.oldest_ms for frame in self._frames.all()), default=1 << 62)
            concerned = {one for block in self._compactor.deleted_from() for one in self._concerning(block)}
            left = [one for one in self._tombstones.all() if one in concerned or one.end_ms >= oldest_ms]
            if all(done) and len(left) < len(self._tombstones.all()):
                await self._set_tombstones(left)

    def _concerning(self, block: Block) -> list[Tombstone]:
        return self._tombstones.concerning(block.number, block.first_ms, block.last_ms)

    async def _set_tombstones(self, tombstones: Sequence[Tombstone]) -> None:
        try:
            await asyncio.to_thread(self._tombstones.set, tombstones)
            self._frames.changes.everything()
        except OSError as error:
            raise Refused(f"cannot write tombstones: {error.strerror or error}") from error
