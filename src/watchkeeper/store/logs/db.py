"""The door of the log store: lines in, blocks of lines out.

An append is one record of the write-ahead log, then lines in open heads. A head of a megabyte is sealed (compressed)
by a thread; when the log has grown enough it is cut: sealed blocks are written to a file, what is open and small is
logged again, and the segments before are dropped.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import structlog

from watchkeeper.model.clock import Clock
from watchkeeper.model.doors import Matchers
from watchkeeper.model.errors import Damaged, Refused
from watchkeeper.model.labels import LabelPairs, Labels, Symbols, label_pairs
from watchkeeper.model.logs import Entries, LineBlock, LogsAppended, LogVolume
from watchkeeper.model.metrics import counter, gauge
from watchkeeper.store.files import Files
from watchkeeper.store.logs import record
from watchkeeper.store.logs.blockfile import Index
from watchkeeper.store.logs.columns import Columns, without
from watchkeeper.store.logs.disk import BlockFile, Disk, StoredBlock, placed
from watchkeeper.store.logs.head import Head, SealedBlock, Stream, seal
from watchkeeper.store.logs.limits import Verdict, stream_fault, stream_text, within_limits
from watchkeeper.store.logs.roster import Roster
from watchkeeper.store.logs.settings import LogSettings
from watchkeeper.store.room import Room
from watchkeeper.store.wal import Wal

log = structlog.get_logger(__name__)

_LINES = counter("loki_distributor_lines_received", "Log lines received.")
_BYTES = counter("loki_distributor_bytes_received", "Bytes of log lines received.")
_DISCARDED = counter("loki_discarded_samples", "Log lines that were not stored, by reason.", ("reason",))
_DISCARDED_BYTES = counter("loki_discarded_bytes", "Bytes of log lines that were not stored, by reason.", ("reason",))
_STREAMS = gauge("watchkeeper_log_streams", "Streams of the log store.")
_SEALED = counter("watchkeeper_log_blocks_sealed", "Blocks of lines compressed.")
_FILE_BYTES = gauge("watchkeeper_log_file_bytes", "Bytes of the log store's block files.")
_OPEN_BYTES = gauge("watchkeeper_log_open_bytes", "Bytes of lines in memory that are not compressed.")
_CUT_FAILURES = counter("watchkeeper_log_cut_failures", "Times that sealed blocks could not be written to a file.")
_DAMAGED_RECORDS = counter("watchkeeper_log_damaged_records", "Records of the log that could not be understood.")

_MS = 1_000_000
_CARRIED_HEAD_SHARE = 4  # a head of a quarter block or more is worth a block of its own
_IDLE_MS = 3_600_000  # lines of streams this long silent are sealed at the next cut, however few


class LogDb:
    """The embedded log store: LogReader, LogWriter and Part. Files lie in `<directory>/wal` and `<directory>/blocks`.

    Writing happens in one thread (the event loop's); reading in any.

    room  looked at before every write
    """

    def __init__(
        self, files: Files, settings: LogSettings, clock: Clock, directory: str = "logs", room: Room | None = None
    ) -> None:
        self._files, self._settings, self._clock, self._room = files, settings, clock, room
        self.symbols = Symbols()
        self._roster = Roster(self.symbols)
        self._streams: list[Stream] = []
        self._numbers: dict[LabelPairs, int] = {}
        self._block_files: list[BlockFile] = []
        self._disk = Disk(files, f"{directory}/blocks")
        self._wal = Wal(files, f"{directory}/wal", settings.wal, clock)
        self._positions: dict[str, bytes] = {}
        self._lock = threading.Lock()  # held while streams, their heads or the list of files change or are listed
        self._mark = 0
        self._logged_bytes = 0  # since the last cut
        self._open_bytes = 0  # of lines that are not compressed
        self._tasks: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._rate = _Rate(clock)
        self._opened = False
        self._directory, self._held = directory, -1

    # -- life

    async def start(self) -> None:
        """Load what is there and begin to look after it."""
        await asyncio.to_thread(self.load)
        self._tasks = [asyncio.create_task(self._look_after(), name="logs-maintenance")]

    async def stop(self) -> None:
        """Sync the log and let go; open lines stay in it for the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._wal.close()
        self._disk.close()
        if self._held >= 0:
            self._files.close(self._held)

    def load(self) -> None:
        """Read the files' indexes and the log; damage costs what it touches.

        raises  Refused when another process has the store open
        """
        if self._opened:
            return
        self._opened = True
        self._held = self._files.lock(f"{self._directory}/lock")
        for number, path, size, index in self._disk.load():
            self._place(number, path, size, index)
        self._replay(max((file.index.mark for file in self._block_files), default=0))
        self._update_gauges()

    def _replay(self, written: int) -> None:
        """Read the log. What stands before the mark of the newest file is in files, or follows again: it is let go.

        Should the mark itself be damaged, all is taken, and what files hold already is found out line by line.
        """
        self._mark = written
        waiting: list[record.Lines] | None = [] if written else None
        for kind, payload in self._wal.replay():
            self._logged_bytes += len(payload)
            try:
                if kind == record.MARK:
                    mark = record.decode_mark(payload)
                    self._mark = max(self._mark, mark)
                    waiting = None if mark == written else waiting
                elif kind == record.LINES and waiting is not None:
                    waiting.append(record.decode_lines(payload))
                elif kind == record.LINES:
                    self._take_again(record.decode_lines(payload))
            except Damaged as error:
                _DAMAGED_RECORDS.inc()
                log.warning("log_record_damaged", error=str(error))
        for lines in waiting or ():
            self._take_again(lines)

    def _take_again(self, lines: record.Lines) -> None:
        self._keep_positions(lines.positions)
        for labels, columns in lines.streams:
            stream = self._stream(labels)
            self._insert(stream, columns)
            self._seal_in_place(stream)

    def _seal_in_place(self, stream: Stream) -> None:
        for head in stream.full:
            stream.sealed.append(seal(stream, head))
            self._open_bytes -= head.added_bytes
        stream.full.clear()

    # -- writing

    def append(self, entries: Sequence[Entries], positions: Mapping[str, bytes] | None = None) -> LogsAppended:
        if self._room is not None:
            self._room.check()
        verdict = Verdict()
        now_ms = self._clock.now_ms()
        fresh: dict[LabelPairs, Labels] = {}
        good: list[tuple[Labels, Columns]] = []
        for each in entries:
            labels = self._admitted(each, verdict, fresh)
            lines = within_limits(each, self._settings, now_ms, verdict) if labels is not None and each.lines else None
            if labels is not None and lines is not None:
                good.append((labels, lines))
        self._write(good, positions or {})
        stored, size = sum(len(lines) for _, lines in good), sum(lines.size_bytes for _, lines in good)
        with self._lock:
            for labels, lines in good:
                stream = self._stream(labels)
                stream.touched_ms = now_ms
                self._insert(stream, lines)
        self._keep_positions(positions or {})
        self._count(stored, size, verdict)
        return LogsAppended(stored, verdict.lines, verdict.message)

    async def commit(self) -> None:
        await self._wal.commit()

    def positions(self) -> Mapping[str, bytes]:
        return dict(self._positions)

    def _admitted(self, entries: Entries, verdict: Verdict, fresh: dict[LabelPairs, Labels]) -> Labels | None:
        """Give a stream's labels in order when it may have lines."""
        pairs = label_pairs(entries.labels)
        number = self._numbers.get(pairs)
        if number is not None:
            return self._streams[number].labels
        labels = dict(pairs)
        fault = stream_fault(labels, self._settings)
        if fault is None and len(self._streams) + len(fresh) >= self._settings.max_streams and pairs not in fresh:
            text = f"Maximum active stream limit exceeded when trying to create stream {stream_text(labels)}, reduce "
            text += "the number of active streams (reduce labels or reduce label values), or contact your Loki "
            fault = "stream_limit", text + "administrator to see if the limit can be increased, user: 'fake'"
        if fault is not None:
            verdict.refuse(fault[0], len(entries.lines), sum(map(len, entries.lines)), fault[1])
            return None
        fresh[pairs] = labels
        return labels

    def _write(self, good: Sequence[tuple[Labels, Columns]], positions: Mapping[str, bytes]) -> None:
        if not good and not positions:
            return
        if self._open_bytes > self._settings.unsealed_bytes_max:
            raise Refused(f"cannot store lines: got {self._open_bytes} bytes waiting to be compressed")
        payload = record.encode_lines(record.Lines(good, positions))
        self._wal.append(record.LINES, payload, self._mark)
        self._logged_bytes += len(payload)
        if self._logged_bytes > self._settings.wal_cut_bytes:
            self._wake.set()

    def _insert(self, stream: Stream, lines: Columns) -> None:
        if int(lines.times.min()) <= stream.settled_ns:
            lines = self._unknown(stream, lines)
        if len(lines):
            stream.open.add(lines)
            self._open_bytes += lines.size_bytes
            if stream.open.size_bytes >= self._settings.block_bytes:
                stream.close_head()
                self._wake.set()

    def _unknown(self, stream: Stream, lines: Columns) -> Columns:
        """Give the lines that are not stored yet: a sender repeats what it did not hear an answer to."""
        first, last = int(lines.times.min()), int(lines.times.max())
        known: list[Columns] = []
        for block in (*self._stored({stream.number}, first, last), *stream.blocks(first, last)):
            try:
                times = block.times()
                if np.isin(lines.times, times).any():
                    known.append(Columns(times, block.starts(), block.text()))
            except Damaged as error:
                log.warning("log_block_damaged", error=str(error))
        return without(lines, known) if known else lines

    def _stream(self, labels: Labels) -> Stream:
        pairs = label_pairs(labels)
        number = self._numbers.get(pairs)
        if number is None:
            number = self._numbers[pairs] = self._roster.add(dict(pairs))
            self._streams.append(Stream(number, dict(pairs)))
        return self._streams[number]

    def _keep_positions(self, positions: Mapping[str, bytes]) -> None:
        for path, kept in positions.items():
            if kept:
                self._positions[path] = kept
            else:
                self._positions.pop(path, None)

    def _count(self, stored: int, size: int, verdict: Verdict) -> None:
        self._rate.add(stored)
        _LINES.inc(stored)
        _BYTES.inc(size)
        for reason, lines in verdict.lines.items():
            _DISCARDED.labels(reason).inc(lines)
            _DISCARDED_BYTES.labels(reason).inc(verdict.bytes[reason])

    # -- looking after

    async def _look_after(self) -> None:
        interval_s = self._settings.maintenance_interval_ms / 1000
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), interval_s)
            self._wake.clear()
            try:
                await self.maintain()
            except Exception as error:  # noqa: BLE001 without this task no line would ever be sealed again
                _CUT_FAILURES.inc()
                log.warning("log_cut_failed", error=str(error))
                await asyncio.sleep(interval_s)

    async def maintain(self) -> None:
        """Seal what is full, cut the log when it has grown, remove what is too old."""
        await self._seal([(stream, head) for stream in self._streams for head in stream.full])
        if self._logged_bytes > self._settings.wal_cut_bytes:
            await self.cut()
        await asyncio.to_thread(self._expire)
        self._update_gauges()

    async def cut(self, *, everything: bool = False) -> None:
        """Write sealed blocks to a file and drop the log before.

        everything  seal small open lines, too, instead of logging them again
        """
        self._mark += 1
        self._wal.append(record.MARK, record.encode_mark(self._mark), self._mark)
        self._logged_bytes = 0
        with self._lock:
            waiting = self._close_heads(everything)
            self._carry()
        await self._wal.commit()
        await self._seal(waiting)
        batch = [(stream, block) for stream in self._streams for block in stream.sealed]
        if batch:
            self._logged_bytes += self._settings.wal_cut_bytes // 2  # should it fail, try again half way
            written = await asyncio.to_thread(self._disk.write, self._mark, [block.data for _, block in batch])
            with self._lock:
                self._place(*written)
                for stream, block in batch:
                    stream.sealed.remove(block)
            self._logged_bytes -= self._settings.wal_cut_bytes // 2
        self._wal.drop_before(self._mark)

    def _close_heads(self, everything: bool) -> list[tuple[Stream, Head]]:
        """Close the heads that are worth a block; the others may not exceed what a cut may carry."""
        threshold = 0 if everything else self._settings.block_bytes // _CARRIED_HEAD_SHARE
        idle_since = self._clock.now_ms() - _IDLE_MS
        rest = 0
        for stream in sorted(self._streams, key=lambda each: each.open.size_bytes):
            size = stream.open.size_bytes
            if size >= threshold or stream.touched_ms < idle_since or rest + size > self._settings.carry_bytes_max:
                stream.close_head()
            else:
                rest += size
        return [(stream, head) for stream in self._streams for head in stream.full]

    def _carry(self) -> None:
        """Log what stays open again, behind the mark."""
        carried = [(stream.labels, stream.open.columns()) for stream in self._streams if stream.open.line_count]
        payload = record.encode_lines(record.Lines(carried, self._positions))
        self._wal.append(record.LINES, payload, self._mark)

    async def _seal(self, waiting: Sequence[tuple[Stream, Head]]) -> None:
        for stream, head in waiting:
            block = await asyncio.to_thread(seal, stream, head)
            _SEALED.inc()
            with self._lock:
                stream.full.remove(head)
                stream.sealed.append(block)
                self._open_bytes -= head.added_bytes

    def _place(self, number: int, path: str, size: int, index: Index) -> None:
        numbers = np.array([self._stream(labels).number for labels in index.labels], np.int64)
        file = placed(number, path, size, index, numbers)
        self._block_files.append(file)
        for stream, last in zip(file.streams.tolist(), index.columns["last"].tolist(), strict=True):
            self._streams[stream].settled_ns = max(self._streams[stream].settled_ns, last)

    def _expire(self) -> None:
        oldest = self._oldest_ns()
        for file in [file for file in self._block_files if file.last_ns < oldest]:
            with self._lock:
                self._block_files.remove(file)
            try:
                self._disk.remove(file)
                log.info("log_file_expired", path=file.path)
            except OSError as error:
                log.warning("log_file_not_removed", path=file.path, error=str(error))

    # -- reading

    def select(self, matchers: Matchers, start_ns: int, end_ns: int) -> list[LineBlock]:
        start_ns = max(start_ns, self._oldest_ns())
        with self._lock:
            numbers = set(self._roster.match([matchers]).tolist())
            blocks: list[LineBlock] = list(self._stored(numbers, start_ns, end_ns))
            for number in numbers:
                blocks.extend(self._streams[number].blocks(start_ns, end_ns))
        return blocks

    def streams(self, selectors: Sequence[Matchers], start_ns: int, end_ns: int) -> list[Labels]:
        start_ns = max(start_ns, self._oldest_ns())
        with self._lock:
            chosen = self._roster.match(selectors)
            alive = set(self._alive(start_ns, end_ns))
            return [self._streams[number].labels for number in chosen.tolist() if number in alive]

    def volume(self, matchers: Matchers, start_ns: int, end_ns: int) -> LogVolume:
        blocks = self.select(matchers, start_ns, end_ns)
        return LogVolume(
            len({block.stream for block in blocks}),
            len(blocks),
            sum(block.line_count for block in blocks),
            sum(block.size_bytes for block in blocks),
        )

    def _stored(self, numbers: set[int], start_ns: int, end_ns: int) -> Iterable[StoredBlock]:
        wanted = np.fromiter(numbers, np.int64, len(numbers))
        found: list[StoredBlock] = []
        for file in self._block_files:
            if file.first_ns > end_ns or file.last_ns < start_ns:
                continue
            columns = file.index.columns
            mask = (columns["first"] <= end_ns) & (columns["last"] >= start_ns) & np.isin(file.streams, wanted)
            found += [
                StoredBlock(self._disk, file, row, self._streams[int(file.streams[row])].labels)
                for row in np.flatnonzero(mask).tolist()
            ]
        return found

    def _alive(self, start_ns: int, end_ns: int) -> Iterable[int]:
        for file in self._block_files:
            columns = file.index.columns
            mask = (columns["first"] <= end_ns) & (columns["last"] >= start_ns)
            yield from np.unique(file.streams[mask]).tolist()
        for stream in self._streams:
            if stream.blocks(start_ns, end_ns):
                yield stream.number

    def _oldest_ns(self) -> int:
        return (self._clock.now_ms() - self._settings.retention_ms) * _MS

    # -- figures

    def stats(self) -> dict[str, float]:
        """Give streams, lines, bytes (of lines), disk_bytes (of files and log) and lines_per_s."""
        with self._lock:
            loose: list[Head | SealedBlock] = []
            for stream in self._streams:
                loose += [stream.open, *stream.full, *stream.sealed]
            files = list(self._block_files)
        return {
            "streams": len(self._streams),
            "lines": sum(each.line_count for each in loose) + sum(int(f.index.columns["lines"].sum()) for f in files),
            "bytes": sum(each.size_bytes for each in loose) + sum(int(f.index.columns["bytes"].sum()) for f in files),
            "disk_bytes": sum(file.file_bytes for file in files) + self._wal.size_bytes,
            "lines_per_s": self._rate.per_s(),
        }

    def _update_gauges(self) -> None:
        _STREAMS.set(len(self._streams))
        _OPEN_BYTES.set(self._open_bytes)
        _FILE_BYTES.set(sum(file.file_bytes for file in self._block_files))


class _Rate:
    """Lines a second over the last ten seconds or so."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since_s, self._count, self._last = clock.monotonic_s(), 0, 0.0

    def add(self, count: int) -> None:
        self._turn()
        self._count += count

    def per_s(self) -> float:
        self._turn()
        return self._last

    def _turn(self) -> None:
        elapsed_s = self._clock.monotonic_s() - self._since_s
        if elapsed_s >= 10:
            self._last = self._count / elapsed_s
            self._since_s, self._count = self._clock.monotonic_s(), 0
