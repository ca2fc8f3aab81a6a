"""Old samples written as blocks, into a data directory, or for the process that has it open (`metrics/incoming`).

Series of a source that share most of their times become one frame; others become frames of their own kind. A sample
that is there already stays as it is: what is in an older block is taken first.
"""

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np

from watchkeeper.model.clock import Clock
from watchkeeper.model.errors import Refused
from watchkeeper.model.frame import ABSENT, ABSENT_BITS, STALE_BITS, Floats, Times, is_histogram
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.history import History
from watchkeeper.model.labels import LabelTable, Symbols
from watchkeeper.store.files import Files
from watchkeeper.store.metrics.block import BlockWriter
from watchkeeper.store.metrics.blocks import Blocks
from watchkeeper.store.metrics.chunk import MERGED_COLUMNS, Chunk, chunk_of
from watchkeeper.store.metrics.codec import encode
from watchkeeper.store.metrics.columns import code_labels
from watchkeeper.store.metrics.directory import DIRECTORY, INCOMING, check_format
from watchkeeper.store.metrics.histograms import HistogramFiles
from watchkeeper.store.metrics.pack import ROWS_MAX
from watchkeeper.store.settings import MetricSettings

_SPREAD = 4  # a grid of more than four places a sample is not shared
_WINDOW_MS_MAX = 54 * 3_600_000
_DONE = f"{DIRECTORY}/imported"


class Backfill:
    """Holds the data directory, or its place for what comes in, from `open_backfill` on.

    handed_over  whether another process has the directory, and takes the blocks in
    samples, oldest_ms  how many were written, and the time of the oldest
    left_out     native histograms that were not: only who has the directory itself can keep them
    """

    def __init__(self, files: Files, settings: MetricSettings, clock: Clock, *, handed_over: bool = False) -> None:
        self._files, self._block_ms = files, settings.block_ms
        self._symbols = Symbols()
        self.handed_over = handed_over
        self._blocks = Blocks(files, INCOMING if handed_over else f"{DIRECTORY}/blocks", self._symbols, told=False)
        if handed_over:
            self._clear()
        else:
            self._blocks.load()
        self._writers: dict[int, BlockWriter] = {}
        self._window_ms = settings.block_ms
        age_ms = settings.wal.segment_age_ms
        self._histograms = HistogramFiles(files, f"{DIRECTORY}/histograms", clock, age_ms, durable=True)
        if not handed_over:
            self._histograms.load()
        self.samples = self.left_out = 0
        self.oldest_ms: int | None = None

    @property
    def bytes(self) -> int:
        """Bytes of all blocks that are there."""
        return self._blocks.size_bytes

    def waiting(self) -> int:
        """Say how many blocks the other process has not taken in yet."""
        return sum(name.endswith(".block") for name in self._files.listdir(INCOMING))

    def _clear(self) -> None:
        """Remove what an import left that was interrupted; its whole blocks wait to be taken in."""
        for name in self._files.listdir(INCOMING):
            stem = name.partition(".")[0]
            if stem.isdigit():
                self._blocks.reserve(int(stem) + 1)
            if name.endswith(".tmp"):
                self._files.unlink(f"{INCOMING}/{name}")

    def is_done(self, name: str) -> bool:
        """Say whether a part of an import was written whole, in this run or an earlier one."""
        return name in self._files.listdir(_DONE)

    def begin(self, span_ms: int) -> None:
        """Begin a part whose samples span so much time: the longer, the longer the blocks."""
        self._window_ms = self._block_ms
        while self._window_ms * 3 <= min(span_ms, _WINDOW_MS_MAX):
            self._window_ms *= 3

    def add(self, source: str, history: History) -> None:
        """Write some series of a source.

        raises  OSError when the disk does not take it; BadInput when a label is not valid Unicode
        """
        table = code_labels(history.series, self._symbols)
        for number, (series, times, values) in enumerate(_grids(history)):
            name = f"{source}#{number}" if number else source
            cuts = np.flatnonzero(np.diff(times // self._window_ms)) + 1
            for low, high in zip([0, *cuts.tolist()], [*cuts.tolist(), len(times)], strict=True):
                own = self._settled(values[:, low:high], history.histograms, int(times[high - 1]))
                self._write(name, table.take(series), times[low:high], own)

    def finish(self, name: str = "") -> None:
        """Give the blocks of this part their names; they are on the disk then.

        name    by which `is_done` knows the part
        raises  OSError
        """
        self._histograms.sync()  # before the blocks whose cells stand for them
        for writer in self._writers.values():
            writer.finish(self._blocks.mark, self._blocks.cutoff_ms)
        self._writers.clear()
        if name:
            self._files.makedirs(_DONE)
            self._files.close(self._files.open(f"{_DONE}/{name}"))
            self._files.fsync_dir(_DONE)
            self._files.fsync_dir(DIRECTORY)

    def abandon(self) -> None:
        """Remove what was written of this part."""
        for writer in self._writers.values():
            writer.abandon()
        self._writers.clear()

    def _settled(self, values: Floats, histograms: Sequence[Histogram], time_ms: int) -> Floats:
        native = is_histogram(values) if histograms else np.zeros(1, np.bool_)
        if not native.any():
            return values
        if self.handed_over:
            self.left_out += int(native.sum())
            return np.where(native, ABSENT, values)
        return self._histograms.settled(values, histograms, time_ms)

    def close(self) -> None:
        """Let go of the files."""
        self.abandon()
        self._histograms.close()

    def _write(self, source: str, table: LabelTable, times: Times, values: Floats) -> None:
        bits = values.view(np.uint64)
        hole = (bits == ABSENT_BITS) | (bits == STALE_BITS)
        present = np.flatnonzero((bits != ABSENT_BITS).any(axis=1))
        if not len(present):
            return
        window = int(times[0] // self._window_ms)
        if window not in self._writers:
            self._writers[window] = self._blocks.writer()[1]
        samples = hole.size - int(np.count_nonzero(hole))
        chunks = [
            _chunk(times[low : low + ROWS_MAX], values[present, low : low + ROWS_MAX])
            for low in range(0, len(times), ROWS_MAX)
        ]
        self._writers[window].add(source, table.take(present), chunks, samples)
        self.samples += samples
        self.oldest_ms = min(int(times[0]), self.oldest_ms or int(times[0]))


@contextlib.contextmanager
def open_backfill(files: Files, settings: MetricSettings, clock: Clock) -> Iterator[Backfill]:
    """Hold a data directory to write old samples into it; where a process has it open, hand them over to that.

    raises  Refused when another import hands over, too
    """
    files.makedirs(DIRECTORY)
    handed_over = False
    try:
        lock = files.lock(f"{DIRECTORY}/lock")
    except Refused:
        handed_over = True
        files.makedirs(INCOMING)
        lock = files.lock(f"{INCOMING}/lock")
    try:
        if not handed_over:
            check_format(files)
        backfill = Backfill(files, settings, clock, handed_over=handed_over)
        try:
            yield backfill
        finally:
            backfill.close()
    finally:
        files.close(lock)


def _chunk(times: Times, values: Floats) -> Chunk:
    bits = values.view(np.uint64)
    gap = ((bits == ABSENT_BITS) | (bits == STALE_BITS)).any(axis=1)
    gaps = np.logical_or.reduceat(gap, np.arange(0, len(values), MERGED_COLUMNS))
    groups = encode(np.ascontiguousarray(values), MERGED_COLUMNS)
    return chunk_of(times, np.arange(len(values), dtype=np.int32), groups, gaps, MERGED_COLUMNS)


def _grids(history: History) -> Iterator[tuple[np.ndarray, Times, Floats]]:
    """Lay series on grids of time: one for all where they share their times, else one for each that has its own.

    returns  which series, int64[n]; times of the rows; float64[n, n_rows], ABSENT where there is no sample
    """
    if not len(history.times):
        return
    every = np.flatnonzero(history.counts)
    grid = np.unique(history.times)
    if len(grid) * len(every) <= _SPREAD * len(history.times):
        yield every, grid, _laid(history, every, grid)
        return
    stops = np.cumsum(history.counts)
    alike: dict[bytes, list[int]] = {}
    for at in every.tolist():
        own = history.times[stops[at] - history.counts[at] : stops[at]]
        alike.setdefault(own.tobytes(), []).append(at)
    for key, series in alike.items():
        which = np.array(series, np.int64)
        times = np.frombuffer(key, np.int64)
        yield which, times, _laid(history, which, times)


def _laid(history: History, which: np.ndarray, grid: Times) -> Floats:
    row_of = np.full(len(history.series), -1, np.int64)
    row_of[which] = np.arange(len(which))
    rows = row_of[history.owners()]
    mine = rows >= 0
    values = np.full((len(which), len(grid)), ABSENT)
    places = np.searchsorted(grid, history.times[mine])
    values.view(np.uint64)[rows[mine], places] = history.values.view(np.uint64)[mine]
    return values
