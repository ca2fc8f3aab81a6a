"""The write-ahead log, for samples and log lines alike: what is acknowledged is here first, and on the disk.

    log = Wal(files, "metrics/wal", settings, clock)
    for kind, payload in log.replay(): ...      # always first, to its end
    log.append(KIND, payload)                   # in the operating system's hands: survives kill -9
    await log.commit()                          # on the disk: survives a power cut; one fdatasync for all that wait

A log is a directory of segments (segment.py). Writing always begins a new segment, which stands alone: whoever refers
to an earlier record (a layout, say) repeats it when `segment` has changed; `listeners` are told. What a failed
fdatasync leaves in doubt is written again to a new segment with the same sequence numbers, because a sender's second
try may be answered from memory ("duplicate, ignored") and must not be acknowledged on the strength of lost bytes.
"""

import asyncio
import errno
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from watchkeeper.model.clock import Clock
from watchkeeper.model.errors import OverLimit, Refused
from watchkeeper.model.metrics import counter, gauge, histogram
from watchkeeper.store.files import Files
from watchkeeper.store.segment import HEADER_BYTES, Gap, Record, Seen, SegmentName, encode, read_segment
from watchkeeper.store.settings import WalSettings

log = structlog.get_logger(__name__)

_SEGMENT_BYTES_MIN = 1 << 16
_ASIDE_BYTES_MAX = 64 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

BYTES = gauge("watchkeeper_wal_bytes", "Bytes of records in the write-ahead log.", ("wal",))
SEGMENTS = gauge("watchkeeper_wal_segments", "Segments of the write-ahead log.", ("wal",))
RECORDS = counter("watchkeeper_wal_records", "Records written to the write-ahead log.", ("wal",))
FSYNC_SECONDS = histogram("watchkeeper_wal_fsync_seconds", "How long fdatasync of the log took.", ("wal",))
WRITE_FAILURES = counter("watchkeeper_wal_write_failures", "Appends that the disk did not take.", ("wal",))
SYNC_FAILURES = counter("watchkeeper_wal_sync_failures", "Failed calls of fdatasync; each seals a segment.", ("wal",))
DAMAGED = counter("watchkeeper_wal_damaged", "Damaged places found in the log; the rest was read on.", ("wal",))
CORRUPTIONS = counter("prometheus_tsdb_wal_corruptions", "Total number of WAL corruptions.")
MISSING = counter("watchkeeper_wal_missing_records", "Records lost to damage, by their sequence numbers.", ("wal",))


@dataclass(slots=True)
class _Segment:
    """A segment that is on the disk; `fd` while it is written or waits to be synced."""

    name: SegmentName
    size: int = 0
    newest_ms: int = 0
    opened_s: float = 0.0
    fd: int = -1


class Wal:
    """See the module. Used from one thread (the event loop's); `commit` syncs in a thread of its own.

    segment    number of the segment that the next append goes to, once `roll_if_full` was called; 0 before the first;
               during `replay`, of the segment that the record came from
    listeners  called with the new number whenever a segment begins
    before_sync  puts on the disk what records refer to, in the thread that syncs
    """

    def __init__(self, files: Files, directory: str, settings: WalSettings, clock: Clock) -> None:
        self._files, self._directory, self._settings, self._clock = files, directory, settings, clock
        self.listeners: list[Callable[[int], None]] = []
        self.before_sync: Callable[[], None] = lambda: None
        self.segment = 0
        self.damaged = 0
        self._name = directory.split("/", 1)[0]
        self._kept: list[_Segment] = []  # read-only segments, oldest first
        self._retired: list[_Segment] = []  # written to their end, not yet synced; also in _kept
        self._current: _Segment | None = None
        self._sequence = self._synced = 0  # of the last record written, and of the last that is on the disk
        self._unsynced: list[tuple[int, int, int, bytes]] = []  # kind, sequence, time, payload
        self._unsynced_bytes = 0
        self._names_changed = False
        self._replayed = self._closed = False
        self._in_doubt = False  # whether what is unsynced has to be written again
        self._syncing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"{self._name}-wal")

    @property
    def first(self) -> int:
        """Number of the oldest segment that is there, 0 when none is."""
        return min((segment.name.number for segment in self._kept), default=self.segment)

    @property
    def last(self) -> int:
        """Number of the newest segment that is there, 0 when none is."""
        return max((segment.name.number for segment in self._kept), default=self.segment)

    @property
    def size_bytes(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for segment in self._kept) + (self._current.size if self._current else 0)

    # -- writing

    def append(self, kind: int, payload: bytes, time_ms: int | None = None, *, stay: bool = False) -> None:
        """Hand one record to the operating system; it is replayed whole or not at all.

        stay     write to the current segment, full or not: the record refers to what was declared in it
        time_ms  the newest time in it (Unix ms), by which `drop_before` judges; now when not given
        raises   Refused when the disk does not take it: nothing is kept of it then
                 OverLimit when it is larger than a record may be
        """
        if len(payload) > self._settings.record_bytes_max:
            raise OverLimit("wal.record_bytes_max", len(payload), self._settings.record_bytes_max)
        if self._closed:
            raise Refused(f"cannot append to {self._directory}: it is closed")
        if self._unsynced_bytes > self._settings.unsynced_bytes_max:
            raise Refused(f"cannot append to {self._directory}: got {self._unsynced_bytes} bytes waiting for the disk")
        if self._current is None or not stay:
            self.roll_if_full()
        newest = self._clock.now_ms() if time_ms is None else time_ms
        self._write(kind, self._sequence + 1, newest, payload)
        self._sequence += 1
        if self._settings.durability == "fsync":
            self._unsynced.append((kind, self._sequence, newest, payload))
            self._unsynced_bytes += len(payload)
            self._sync_later()
        RECORDS.labels(self._name).inc()

    def roll_if_full(self) -> None:
        """Begin a new segment when the current one is full or old, or there is none.

        raises  Refused when none can be opened
        """
        segment = self._current
        if segment is not None:
            age_ms = (self._clock.monotonic_s() - segment.opened_s) * 1000
            if segment.size < self._settings.segment_bytes and age_ms < self._settings.segment_age_ms:
                return
        self.begin_segment()

    def begin_segment(self) -> None:
        """Begin a new segment: what is appended from now on has its number, or a later one.

        raises  Refused when none can be opened
        """
        if self._current is not None:
            self._retire()
        self._open()

    def _write(self, kind: int, sequence: int, time_ms: int, payload: bytes) -> None:
        segment = self._current
        assert segment is not None
        record = encode(kind, payload, sequence, segment.name.ident, time_ms)
        try:
            self._write_whole(segment, record)
        except OSError as error:
            WRITE_FAILURES.labels(self._name).inc()
            self._undo(segment, error)
            raise Refused(f"cannot write {self._directory}/{segment.name}: {error.strerror or error}") from error
        segment.size += len(record)
        segment.newest_ms = max(segment.newest_ms, time_ms)

    def _write_whole(self, segment: _Segment, record: bytes) -> None:
        done = self._files.pwrite(segment.fd, record, segment.size)
        while done < len(record):  # a short write: the next call says why
            more = self._files.pwrite(segment.fd, record[done:], segment.size + done)
            if more <= 0:
                raise OSError(errno.ENOSPC, "short write")
            done += more

    def _undo(self, segment: _Segment, error: OSError) -> None:
        """Cut the segment back to its last good record; seal it when that fails or the disk itself does."""
        try:
            self._files.ftruncate(segment.fd, segment.size)
            if error.errno in _FULL:
                return
        except OSError as second:
            log.warning("wal_truncate_failed", segment=str(segment.name), error=str(second))
        log.error("wal_segment_sealed", segment=str(segment.name), error=str(error))
        self._retire()

    # -- segments

    def _open(self) -> None:
        assert self._replayed, "replay first"
        name = SegmentName(self.segment + 1, secrets.randbits(64))
        path = f"{self._directory}/{name}"
        fd = -1
        try:
            fd = self._files.open(path)
            self._reserve(fd)
        except OSError as error:
            WRITE_FAILURES.labels(self._name).inc()
            if fd >= 0:
                self._discard(fd, path)
            raise Refused(f"cannot open {path}: {error.strerror or error}") from error
        self.segment = name.number
        self._names_changed = True
        self._current = _Segment(name, 0, 0, self._clock.monotonic_s(), fd)
        SEGMENTS.labels(self._name).set(len(self._kept) + 1)
        for listener in self.listeners:
            listener(name.number)
        self._write_again()

    def _reserve(self, fd: int) -> None:
        """Reserve the segment's space, less where the disk is small; without any when it is nearly full."""
        size = min(self._settings.segment_bytes, self._files.free_bytes() // 64)
        while size >= _SEGMENT_BYTES_MIN:
            try:
                self._files.fallocate(fd, size)
                return
            except OSError as error:
                if error.errno == errno.EIO:
                    raise
                size //= 4
        self._files.ftruncate(fd, 0)

    def _discard(self, fd: int, path: str) -> None:
        try:
            self._files.close(fd)
            self._files.unlink(path)
        except OSError as error:
            log.warning("wal_segment_not_removed", segment=path, error=str(error))

    def _write_again(self) -> None:
        """Put what is in doubt since a failed sync into the new segment."""
        segment = self._current
        if not self._in_doubt or segment is None:
            return
        try:
            for kind, sequence, time_ms, payload in self._unsynced:
                self._write(kind, sequence, time_ms, payload)
        except Refused:
            self._current = None
            if segment in self._kept:
                self._kept.remove(segment)
                self._retired.remove(segment)
            self._discard(segment.fd, f"{self._directory}/{segment.name}")
            raise
        self._in_doubt = False

    def _retire(self) -> None:
        segment, self._current = self._current, None
        assert segment is not None
        self._kept.append(segment)
        self._retired.append(segment)
        self._sync_later()

    # -- syncing

    async def commit(self) -> None:
        """Return when all that was appended so far is on the disk.

        raises  Refused when the disk failed; what was appended is then in doubt until a later commit succeeds
        """
        if self._settings.durability == "os":
            return
        target = self._sequence
        while self._synced < target:
            # A sync may be done and its callback still to come; awaiting it would not let the loop go on.
            if self._syncing is None or self._syncing.done():
                self._begin_sync()
            assert self._syncing is not None
            await asyncio.shield(self._syncing)

    async def settle(self) -> None:
        """Return when all that was appended, and the end of every segment but the current one, is on the disk.

        raises  Refused when the disk failed
        """
        await self.commit()
        while self._retired:
            if self._syncing is None or self._syncing.done():
                self._begin_sync()
            assert self._syncing is not None
            await asyncio.shield(self._syncing)

    async def close(self) -> None:
        """Sync and let go of everything; never raises."""
        self._closed = True
        try:
            await self.commit()
            if self._syncing is not None:
                await asyncio.shield(self._syncing)
            if self._current is not None:
                self._retire()
            if self._retired:
                await self._sync()
        except (Refused, OSError) as error:
            log.warning("wal_not_synced", wal=self._name, error=str(error))
        if self._timer is not None:
            self._timer.cancel()
        self._worker.shutdown(wait=True)

    def _sync_later(self) -> None:
        """See to it that what nobody waits for is synced soon."""
        if self._timer is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:  # outside a loop (replay, tests): the next commit syncs
                return
            self._timer = loop.call_later(self._settings.sync_interval_ms / 1000, self._sync_now)

    def _sync_now(self) -> None:
        self._timer = None
        if (self._syncing is None or self._syncing.done()) and (self._unsynced or self._retired):
            self._begin_sync()
        elif self._unsynced or self._retired:
            self._sync_later()

    def _begin_sync(self) -> None:
        self._syncing = asyncio.get_running_loop().create_task(self._sync(), name=f"{self._name}-wal-sync")
        self._syncing.add_done_callback(self._sync_ended)

    def _sync_ended(self, task: asyncio.Task[None]) -> None:
        if self._syncing is task:
            self._syncing = None
        if not task.cancelled() and task.exception() is not None and self._unsynced:
            self._sync_later()

    async def _sync(self) -> None:
        if self._in_doubt and self._current is None:
            self._open()
        target, batch, self._unsynced = self._sequence, self._unsynced, []
        retired, current, names_changed = list(self._retired), self._current, self._names_changed
        began = time.perf_counter()
        try:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._worker, self._sync_files, retired, current, names_changed)
        except OSError as error:
            self._unsynced = batch + self._unsynced
            self._fail(error)
            raise Refused(f"cannot sync {self._directory}: {error.strerror or error}") from error
        FSYNC_SECONDS.labels(self._name).observe(time.perf_counter() - began)
        self._synced = max(self._synced, target)
        self._unsynced_bytes = sum(len(record[3]) for record in self._unsynced)
        self._names_changed = self._names_changed and current is not self._current
        self._let_go(retired)

    def _sync_files(self, retired: list[_Segment], current: _Segment | None, names_changed: bool) -> None:
        self.before_sync()
        for segment in retired:
            self._files.ftruncate(segment.fd, segment.size)
            self._files.fdatasync(segment.fd)
        if current is not None:
            self._files.fdatasync(current.fd)
        if names_changed:
            self._files.fsync_dir(self._directory)

    def _fail(self, error: OSError) -> None:
        """A sync failed: nothing written since the last good one can be trusted to reach the disk."""
        SYNC_FAILURES.labels(self._name).inc()
        log.error("wal_sync_failed", wal=self._name, error=str(error))
        if self._current is not None:
            self._retire()
        self._in_doubt = True
        self._let_go(list(self._retired))

    def _let_go(self, segments: list[_Segment]) -> None:
        for segment in segments:
            self._retired.remove(segment)
            try:
                self._files.close(segment.fd)
            except OSError as error:
                log.warning("wal_close_failed", segment=str(segment.name), error=str(error))
            segment.fd = -1
        BYTES.labels(self._name).set(self.size_bytes)

    # -- reading

    def replay(self, at_least: int = 0) -> Iterator[tuple[int, bytes]]:
        """Give kind and payload of every record that checks out, each once, in the order of writing (but what a
        failed sync left in doubt may come after later records).

        Damage costs the records it touches: its bytes are copied aside (`<segment>.damaged-<offset>`), counted and
        logged, and reading goes on behind it. A log must be replayed to its end before anything is appended.

        at_least  segments up to this number are gone, or may be: theirs are not given again
        """
        self._files.makedirs(self._directory)
        seen = Seen()
        names = [SegmentName.parse(name) for name in self._files.listdir(self._directory)]
        for name in sorted((name for name in names if name), key=lambda name: name.number):
            self.segment = max(self.segment, name.number)
            yield from self._replay_segment(name, seen)
        self.segment = max(self.segment, at_least)
        self._sequence = self._synced = seen.highest
        self._replayed = True
        missing = seen.missing()
        MISSING.labels(self._name).inc(missing)
        BYTES.labels(self._name).set(self.size_bytes)
        SEGMENTS.labels(self._name).set(len(self._kept))
        if missing:
            log.error("wal_records_missing", wal=self._name, records=missing)

    def _replay_segment(self, name: SegmentName, seen: Seen) -> Iterator[tuple[int, bytes]]:
        path = f"{self._directory}/{name}"
        segment = _Segment(name)
        try:
            fd = self._files.open(path)
        except OSError as error:
            self._count_damage(name, 0, 0, str(error))
            return
        clean = True
        try:
            for found in read_segment(self._files, fd, name.ident):
                if isinstance(found, Gap):
                    clean = self._pass_gap(fd, name, found) and clean
                    continue
                segment.size, segment.newest_ms = found.end, max(segment.newest_ms, found.time_ms)
                if seen.add(found.sequence):
                    yield found.kind, found.payload
            self._tidy(fd, segment, clean)
        finally:
            self._files.close(fd)

    def _pass_gap(self, fd: int, name: SegmentName, gap: Gap) -> bool:
        """Keep a gap's bytes aside unless they are the zeros reserved at a segment's end; say whether they were."""
        offset, aside, damage = gap.start, b"", False
        while offset < gap.end and len(aside) < _ASIDE_BYTES_MAX:
            try:
                piece = self._files.pread(fd, min(1 << 20, gap.end - offset), offset)
            except OSError:
                piece, damage = bytes(min(4096, gap.end - offset)), True
            if not piece:
                break
            if gap.last and not aside and not any_set(piece):
                offset += len(piece)
                continue
            aside += piece
            offset += len(piece)
        if gap.last and not aside and not damage:
            return True
        self._count_damage(name, gap.start, gap.end - gap.start, "tail" if gap.last else "middle")
        self._keep_aside(f"{self._directory}/{name}.damaged-{gap.start}", aside.rstrip(b"\0") if gap.last else aside)
        return False

    def _keep_aside(self, path: str, data: bytes) -> None:
        try:
            fd = self._files.open(path)
            try:
                if self._files.size(fd) < len(data):
                    self._files.pwrite(fd, data, 0)
            finally:
                self._files.close(fd)
        except OSError as error:
            log.warning("wal_damage_not_kept", file=path, error=str(error))

    def _count_damage(self, name: SegmentName, offset: int, length: int, where: str) -> None:
        self.damaged += 1
        DAMAGED.labels(self._name).inc()
        CORRUPTIONS.inc(self._name == "metrics")
        log.error("wal_damaged", segment=str(name), offset=offset, bytes=length, where=where)

    def _tidy(self, fd: int, segment: _Segment, clean: bool) -> None:
        """Give back what a segment had reserved; remove it when there is nothing in it."""
        try:
            if clean and not segment.size:
                self._files.unlink(f"{self._directory}/{segment.name}")
                return
            if clean and self._files.size(fd) > segment.size:
                self._files.ftruncate(fd, segment.size)
        except OSError as error:
            log.warning("wal_segment_not_tidied", segment=str(segment.name), error=str(error))
        self._kept.append(segment)

    def drop_before(self, time_ms: int) -> int:
        """Remove the oldest segments while all in them is older than a moment; gives how many went."""
        return self._drop(lambda segment: segment.newest_ms < time_ms)

    def drop_flushed(self, number: int, time_ms: int) -> int:
        """Remove the oldest segments before one while all in them is older than a moment; gives how many went."""
        return self._drop(lambda segment: segment.name.number < number and segment.newest_ms < time_ms)

    def closed_files(self) -> list[str]:
        """Give the paths of the segments that are written no more and whole on the disk, oldest first."""
        return [f"{self._directory}/{segment.name}" for segment in self._kept if segment.fd < 0]

    def _drop(self, old: Callable[[_Segment], bool]) -> int:
        dropped = 0
        while self._kept and self._kept[0].fd < 0 and old(self._kept[0]):
            try:
                self._files.unlink(f"{self._directory}/{self._kept[0].name}")
            except OSError as error:
                log.warning("wal_segment_not_removed", segment=str(self._kept[0].name), error=str(error))
                break
            del self._kept[0]
            dropped += 1
        if dropped:
            BYTES.labels(self._name).set(self.size_bytes)
        return dropped


def any_set(data: bytes) -> bool:
    """Say whether any byte is not zero."""
    return data != bytes(len(data))


__all__ = ["HEADER_BYTES", "Record", "Wal"]
