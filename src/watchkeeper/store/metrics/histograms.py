"""Where native histograms lie: frames, log and blocks hold cells that stand for them, files of their own hold them.

file   metrics/histograms/<number, 5 digits>-<made, Unix ms>.hist: groups one after the other, each at a multiple of 16
group  magic "wkH1", u32 CRC-32C of all that follows, u32 payload length, u16 histograms, u16 zero, payload
cell   number of the file (16 bits), place of the group / 16 (22 bits), place in the group (10 bits)

A histogram that did not change since it was last stored is stored once. A file is never changed once the next is begun,
and goes when no sample is older than that. docs/formats/histograms.md says more.
"""

import re
import struct
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import google_crc32c
import numpy as np
import numpy.typing as npt
import structlog

from watchkeeper.model.clock import Clock
from watchkeeper.model.errors import Damaged, Refused
from watchkeeper.model.frame import (
    ABSENT_BITS,
    Floats,
    FrameSlice,
    Row,
    Selection,
    histogram_cells,
    histogram_numbers,
    is_absent,
    is_histogram,
)
from watchkeeper.model.histogram import Hint, Histogram
from watchkeeper.model.histogram_sum import goes_on
from watchkeeper.model.labels import Ints
from watchkeeper.model.metrics import counter, gauge
from watchkeeper.store.files import Files, write_whole
from watchkeeper.store.metrics.frame import same_bits
from watchkeeper.store.metrics.histogram_codec import decode, encode

log = structlog.get_logger(__name__)

_MAGIC = b"wkH1"
_HEADER = struct.Struct("<4sIIHH")
_NAME = re.compile(r"(\d{5})-(\d{13,15})\.hist")
_GROUP_MAX = 1 << 10
_ALIGN = 16
_FILE_BYTES_MAX = 63 << 20  # 22 bits of places
_FILES_MAX = (1 << 16) - 1
_KNOWN_MAX = 16_384  # histograms remembered by what they are
_GROUPS_KEPT = 256
_NOWHERE = 1 << 62

KEPT = counter("watchkeeper_metrics_histograms_kept", "Native histograms written to the disk.")
BYTES = gauge("watchkeeper_metrics_histograms_bytes", "Files of native histograms.")
DAMAGED = counter("watchkeeper_metrics_histograms_damaged", "Reads of native histograms that did not check out.")

_Known = dict[tuple[Histogram, Hint], int]


@dataclass(slots=True)
class _File:
    number: int
    made_ms: int
    path: str
    fd: int
    size: int
    began_s: float


class HistogramFiles:
    """Keeps histograms and gives them back. `settle`, `drop_before` and `roll` are called on the event loop alone.

    durable  whether `sync` has anything to do
    """

    def __init__(self, files: Files, directory: str, clock: Clock, age_ms: int, *, durable: bool) -> None:
        self._files, self._directory, self._clock = files, directory, clock
        self._age_s, self._durable = age_ms / 1000, durable
        self._all: dict[int, _File] = {}  # oldest first
        self._current: _File | None = None
        self._known: tuple[_Known, _Known] = ({}, {})  # the newer and the older ones, all in the current file
        self._groups: OrderedDict[tuple[int, int], list[Histogram]] = OrderedDict()
        self._unsynced: list[tuple[int, int, bytes]] = []
        self._names_changed = self._in_doubt = False
        self._reading, self._writing = threading.Lock(), threading.Lock()

    def __bool__(self) -> bool:
        """Say whether any histogram is stored."""
        return bool(self._all)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(one.size for one in self._all.values())

    def load(self) -> None:
        """Find the files; none of them is written to again."""
        for name in self._files.listdir(self._directory):
            found = _NAME.fullmatch(name)
            if found is not None:
                path = f"{self._directory}/{name}"
                fd = self._files.open(path)
                self._all[int(found[1])] = _File(int(found[1]), int(found[2]), path, fd, self._files.size(fd), 0.0)
        BYTES.set(self.size_bytes)

    def close(self) -> None:
        """Let go of all files."""
        for one in self._all.values():
            self._files.close(one.fd)
        self._all.clear()
        self._current = None

    # -- writing

    def settle(self, row: Row) -> Row:
        """Keep the histograms of a row; gives it with cells that stand for them for good.

        raises  Refused when the disk does not take them
        """
        if not is_histogram(row.values).any():
            return row
        values = self.settled(row.values, row.histograms, row.time_ms)
        return Row(row.layout, row.time_ms, values, row.whole)

    def settled(self, values: Floats, histograms: Sequence[Histogram], time_ms: int) -> Floats:
        """Keep the histograms that cells stand for; gives a copy with cells that stand for them for good.

        time_ms  of the newest of them
        raises   Refused when the disk does not take them
        """
        there = is_histogram(values)
        numbers = histogram_numbers(values[there])
        own, places = np.unique(numbers, return_inverse=True)
        kept = self._keep([histograms[at] for at in own.tolist()], time_ms)
        values = values.copy()
        values.view(np.uint64)[there] = histogram_cells(kept[places]).view(np.uint64)
        return values

    def _keep(self, histograms: Sequence[Histogram], time_ms: int) -> Ints:
        current = self._writable(time_ms)
        fresh, older = self._known
        found = [fresh.get((one, one.hint), older.get((one, one.hint), -1)) for one in histograms]
        missing = [at for at, number in enumerate(found) if number < 0]
        for first in range(0, len(missing), _GROUP_MAX):
            group = missing[first : first + _GROUP_MAX]
            number = self._write(current, [histograms[at] for at in group])
            for place, at in enumerate(group):
                found[at] = fresh[histograms[at], histograms[at].hint] = number + place
        if len(fresh) > _KNOWN_MAX:
            self._known = ({}, fresh)
        KEPT.inc(len(missing))
        return np.array(found, np.int64)

    def _write(self, file: _File, histograms: list[Histogram]) -> int:
        payload = encode(histograms)
        head = _HEADER.pack(_MAGIC, 0, len(payload), len(histograms), 0)
        crc = google_crc32c.extend(google_crc32c.value(head[8:]), payload)
        data = b"".join((_MAGIC, crc.to_bytes(4, "little"), head[8:], payload))
        data += bytes(-len(data) % _ALIGN)
        at = file.size
        try:
            write_whole(self._files, file.fd, data, at)
        except OSError as error:  # the next group is written over what came of this one
            raise Refused(f"cannot write {file.path}: {error.strerror or error}") from error
        file.size += len(data)
        if self._durable:
            with self._writing:
                self._unsynced.append((file.fd, at, data))
        BYTES.inc(len(data))
        return file.number << 32 | at // _ALIGN << 10

    def _writable(self, time_ms: int) -> _File:
        current = self._current
        if current is not None and (
            current.size >= _FILE_BYTES_MAX or self._clock.monotonic_s() - current.began_s >= self._age_s
        ):
            self.roll()
        if self._current is None:
            self._begin(time_ms)
        assert self._current is not None
        return self._current

    def roll(self) -> None:
        """Write no more to the current file."""
        self._current, self._known = None, ({}, {})

    def _begin(self, time_ms: int) -> None:
        number = max(self._all, default=0) + 1
        if number > _FILES_MAX:
            raise Refused(f"cannot store native histograms: got {number} files, want at most {_FILES_MAX}")
        made_ms = max(self._clock.now_ms(), time_ms, *(one.made_ms for one in self._all.values()), 0)
        path = f"{self._directory}/{number:05d}-{made_ms:013d}.hist"
        try:
            self._files.makedirs(self._directory)
            fd = self._files.open(path)
        except OSError as error:
            raise Refused(f"cannot open {path}: {error.strerror or error}") from error
        self._current = self._all[number] = _File(number, made_ms, path, fd, 0, self._clock.monotonic_s())
        self._names_changed = True

    def sync(self) -> None:
        """Return when all that was kept is on the disk; before the log's cells that stand for it are.

        raises  OSError; all that was not synced is written again the next time
        """
        with self._writing:
            batch, self._unsynced = self._unsynced, []
        if not batch:
            return
        try:
            if self._in_doubt:
                for fd, at, data in batch:
                    write_whole(self._files, fd, data, at)
            for fd in {fd for fd, _, _ in batch}:
                self._files.fdatasync(fd)
            if self._names_changed:
                self._files.fsync_dir(self._directory)
                self._files.fsync_dir(self._directory.rpartition("/")[0])
                self._names_changed = False
            self._in_doubt = False
        except OSError:
            with self._writing:
                self._unsynced = batch + self._unsynced
            self._in_doubt = True
            raise

    def closed_files(self) -> list[str]:
        """Give the files that are not written to any more, after `roll` all of them."""
        return [one.path for one in self._all.values() if one is not self._current]

    def drop_before(self, time_ms: int) -> None:
        """Drop the files that hold only histograms of samples older than this."""
        numbers = list(self._all)
        for number, after in pairwise(numbers):
            if self._all[after].made_ms >= time_ms:
                return
            with self._reading:
                gone = self._all.pop(number)
                self._files.close(gone.fd)
            try:
                self._files.unlink(gone.path)
            except OSError as error:  # found again at the next start
                log.warning("histograms_not_removed", path=gone.path, error=str(error))
            BYTES.set(self.size_bytes)

    # -- reading

    def restore(self, found: Selection) -> Selection:
        """Give a selection with the histograms that its cells stand for; what cannot be read is left out, and said."""
        warnings = list(found.warnings)
        slices = [self._restore(one, warnings) for one in found]
        return Selection(slices, list(dict.fromkeys(warnings)))

    def same(self, left: Floats, right: Floats) -> npt.NDArray[np.bool_]:
        """Say which cells stand for the same: one histogram may have been stored in two files."""
        same = same_bits(left, right)
        both = ~same & is_histogram(left) & is_histogram(right)
        for at in np.flatnonzero(both).tolist():
            pair = histogram_numbers(np.array([left[at : at + 1], right[at : at + 1]]).reshape(-1))
            found = list(self._read(pair, []).values())
            same[at] = len(found) == 2 and found[0] == found[1]
        return same

    def _restore(self, one: FrameSlice, warnings: list[str]) -> FrameSlice:
        if not is_histogram(one.values).any():
            return one
        there = ~is_absent(one.values)
        series = np.nonzero(there)[0]
        cells = one.values[there]
        native = is_histogram(cells)
        numbers = np.where(native, histogram_numbers(cells), -1)
        before = np.concatenate(([-1], np.where(series[1:] == series[:-1], numbers[:-1], -1)))
        pairs, places = np.unique(np.stack((before[native], numbers[native])), axis=1, return_inverse=True)
        stored = self._read(np.unique(pairs[pairs >= 0]), warnings)
        held = [_hinted(stored.get(now), stored.get(last)) for last, now in pairs.T.tolist()]
        lost = np.array([one is None for one in held], np.bool_)
        values = one.values.copy()
        bits = np.where(lost, np.uint64(ABSENT_BITS), histogram_cells(np.arange(len(held))).view(np.uint64))
        values.view(np.uint64)[is_histogram(values)] = bits[places.reshape(-1)]
        whole = [Histogram(0.0, 0.0) if each is None else each for each in held]
        return FrameSlice(one.labels, one.times, values, one.gaps or bool(lost.any()), whole)

    def _read(self, numbers: Ints, warnings: list[str]) -> dict[int, Histogram]:
        out: dict[int, Histogram] = {}
        for number in numbers.tolist():
            try:
                out[number] = self._group(number >> 32, number >> 10 & (1 << 22) - 1)[number & _GROUP_MAX - 1]
            except (Damaged, OSError, IndexError) as error:
                DAMAGED.inc()
                said = f"native histograms are left out: {error}"
                if said not in warnings:
                    log.warning("histogram_not_read", error=str(error))
                    warnings.append(said)
        return out

    def _group(self, number: int, place: int) -> list[Histogram]:
        with self._reading:
            known = self._groups.get((number, place))
            if known is not None:
                self._groups.move_to_end((number, place))
                return known
            file = self._all.get(number)
            if file is None:
                raise Damaged(f"cannot read file {number}: it is not there")
            payload, count, _ = _read(self._files, file.fd, place * _ALIGN)
            if payload is None:
                at = place * _ALIGN
                raise Damaged(f"cannot read {file.path}: got no histograms at {at}, want a group that checks out")
            group = decode(payload, count)
            self._groups[number, place] = group
            if len(self._groups) > _GROUPS_KEPT:
                self._groups.popitem(last=False)
            return group


def find_faults(files: Files, path: str) -> list[str]:
    """Say which groups of a file do not check out; one that a crash cut off at the end is none."""
    fd, at, faults = files.open(path), 0, list[str]()
    try:
        size = files.size(fd)
        while at < size:
            payload, _, end = _read(files, fd, at)
            if payload is None:
                after = next((place for place in range(at + _ALIGN, size, _ALIGN) if _read(files, fd, place)[0]), None)
                if after is None and end > size:
                    break
                faults.append(f"histograms from {at} to {after or size} do not check out")
                end = after or size
            at = end
    finally:
        files.close(fd)
    return faults


def _read(files: Files, fd: int, at: int) -> tuple[bytes | None, int, int]:
    """Give a group's payload, None when it does not check out, its number of histograms, and where it says it ends."""
    head = files.pread(fd, _HEADER.size, at)
    if len(head) < _HEADER.size or not head.startswith(_MAGIC):
        return None, 0, _NOWHERE
    _, crc, length, count, _ = _HEADER.unpack(head)
    end = at + (_HEADER.size + length + _ALIGN - 1) // _ALIGN * _ALIGN
    payload = files.pread(fd, length, at + len(head)) if length <= _FILE_BYTES_MAX else b""
    good = google_crc32c.extend(google_crc32c.value(head[8:]), payload) == crc
    return payload if good else None, count, end


def _hinted(now: Histogram | None, before: Histogram | None) -> Histogram | None:
    """Give a histogram with what is known of a reset since the one before, as Prometheus' chunks tell it."""
    if now is None or now.hint is Hint.GAUGE:
        return now
    known = before is not None and goes_on(now, before)
    return replace(now, hint=Hint.NO_RESET if known else Hint.UNKNOWN)
