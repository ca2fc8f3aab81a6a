"""A Prometheus' data directory as histories of sources, a bounded number of samples at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from watchkeeper.collect.tsdb.block import FLOAT_HISTOGRAM, HISTOGRAM, XOR, Block, IndexedSeries
from watchkeeper.collect.tsdb.wal import WalReader
from watchkeeper.model.frame import STALE_BITS, Floats, Times, clear_reserved, histogram_cells, is_histogram
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.history import History
from watchkeeper.model.labels import Ints, Labels
from watchkeeper.model.matchers import Matcher, match_all
from watchkeeper.net.histogram_chunk import read_chunk
from watchkeeper.net.xor import CHUNK_SAMPLES, decode

_BATCH_SAMPLES = 4_000_000


@dataclass(slots=True)
class Found:
    """What was read so far, and what was left out."""

    series: int = 0
    samples: int = 0
    histograms: int = 0
    damaged: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """What is wanted: samples of a closed range of the series that match all of `matchers`."""

    start_ms: int = -(1 << 62)
    end_ms: int = 1 << 62
    matchers: tuple[Matcher, ...] = ()


EVER = Span()


def source_of(labels: Labels) -> str:
    """Say what a series' samples arrived with: those of one job and instance, as for remote write."""
    return f"write/{labels.get('job', '')}/{labels.get('instance', '')}"


def read_block(block: Block, span: Span, found: Found) -> Iterator[tuple[str, History]]:
    """Give a block's series, source by source, at most some millions of samples at once.

    raises  BadInput when the block is damaged
    """
    by_source: dict[str, list[IndexedSeries]] = {}
    for one in block.series():
        if match_all(span.matchers, one.labels):
            by_source.setdefault(source_of(one.labels), []).append(one)
    deleted = block.tombstones()
    batch: list[IndexedSeries] = []
    sizes: list[tuple[str, int]] = []  # sources in the batch, and how many series of each
    samples = 0
    for source, series in sorted(by_source.items()):
        for one in series:
            if not sizes or sizes[-1][0] != source:
                sizes.append((source, 0))
            batch.append(one)
            sizes[-1] = source, sizes[-1][1] + 1
            samples += len(one.refs) * CHUNK_SAMPLES
            if samples > _BATCH_SAMPLES:
                yield from _parted(_read_chunks(block, batch, span, deleted, found), sizes)
                batch, sizes, samples = [], [], 0
    if batch:
        yield from _parted(_read_chunks(block, batch, span, deleted, found), sizes)


def _parted(history: History, sizes: Sequence[tuple[str, int]]) -> Iterator[tuple[str, History]]:
    """Part series that were read together by their source."""
    ends = np.cumsum(history.counts)
    first = at = 0
    for source, count in sizes:
        last = first + count
        end = int(ends[last - 1])
        series, counts = history.series[first:last], history.counts[first:last]
        yield source, History(series, counts, history.times[at:end], history.values[at:end], history.histograms)
        first, at = last, end


def _read_chunks(
    block: Block, series: Sequence[IndexedSeries], span: Span, deleted: dict[int, list[tuple[int, int]]], found: Found
) -> History:
    chunks, owners = list[bytes](), list[int]()
    native = _Natives()
    for place, one in enumerate(series):
        inside = (one.end_ms >= span.start_ms) & (one.start_ms <= span.end_ms)
        for ref in one.refs[inside].tolist():
            encoding, data = block.chunk(ref)
            if encoding == XOR:
                chunks.append(data)
                owners.append(place)
            elif encoding in (HISTOGRAM, FLOAT_HISTOGRAM):
                native.add(place, read_chunk(data, floats=encoding == FLOAT_HISTOGRAM))
    counts, times, values = decode(chunks)
    of_sample = np.repeat(np.array(owners, np.int64), counts)
    clear_reserved(values)
    of_sample, times, values = native.among(of_sample, times, values)
    kept = (times >= span.start_ms) & (times <= span.end_ms)
    for place, one in enumerate(series):
        for start_ms, end_ms in deleted.get(one.number, ()):
            kept &= ~((of_sample == place) & (times >= start_ms) & (times <= end_ms))
    per_series = np.bincount(of_sample, minlength=len(series))
    history = History([one.labels for one in series], per_series, times, values, native.held).only(kept)
    found.series += len(series)
    found.samples += len(history.times)
    found.histograms += int(is_histogram(history.values).sum())
    return history


class _Natives:
    """Native histograms of many series, to be put among the floats of the same."""

    def __init__(self) -> None:
        self.held: list[Histogram] = []
        self._owners: list[int] = []
        self._times: list[int] = []
        self._numbers: list[int] = []  # of `held`; -1: the series ended

    def add(self, owner: int, samples: Iterable[tuple[int, Histogram | None]]) -> None:
        for time_ms, one in samples:
            self._owners.append(owner)
            self._times.append(time_ms)
            self._numbers.append(-1 if one is None else len(self.held))
            if one is not None:
                self.held.append(one)

    def among(self, owners: Ints, times: Times, values: Floats) -> tuple[Ints, Times, Floats]:
        """Give all samples by series and time."""
        if not self._owners:
            return owners, times, values
        numbers = np.array(self._numbers, np.int64)
        cells = np.where(numbers < 0, np.uint64(STALE_BITS), histogram_cells(numbers).view(np.uint64))
        owners = np.concatenate([owners, np.array(self._owners, np.int64)])
        times = np.concatenate([times, np.array(self._times, np.int64)])
        bits = np.concatenate([values.view(np.uint64), cells])
        order = np.lexsort((times, owners))
        return owners[order], times[order], bits[order].view(np.float64)


def read_log(folder: Path, span: Span, found: Found) -> Iterator[tuple[str, History]]:
    """Give what a log holds, a bounded number of samples at a time."""
    reader = WalReader(folder)
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    size = 0
    for segment in reader.segments():
        for part in reader.samples(segment):
            parts.append(part)
            size += len(part[0])
            if size > _BATCH_SAMPLES:
                yield from _by_source(reader, parts, span, found)
                parts, size = [], 0
                reader.histograms = []  # those of before belong to what was given
    if parts:
        yield from _by_source(reader, parts, span, found)
    found.damaged += reader.damaged


def _by_source(
    reader: WalReader, parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], span: Span, found: Found
) -> Iterator[tuple[str, History]]:
    refs, times = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    values = np.concatenate([part[2] for part in parts])
    kept = (times >= span.start_ms) & (times <= span.end_ms)
    for ref, start_ms, end_ms in reader.deleted:
        kept &= ~((refs == ref) & (times >= start_ms) & (times <= end_ms))
    refs, times, values = refs[kept], times[kept], values.view(np.uint64)[kept].view(np.float64)
    sources: dict[str, list[tuple[Labels, int]]] = {}
    numbers: dict[tuple[tuple[str, str], ...], int] = {}  # a series may have had several references
    distinct = np.unique(refs)
    number_of = np.full(len(distinct), -1, np.int64)
    for place, ref in enumerate(distinct.tolist()):
        labels = reader.series.get(ref)
        if labels is None or not match_all(span.matchers, labels):
            continue
        pairs = tuple(sorted(labels.items()))
        if pairs not in numbers:
            numbers[pairs] = len(numbers)
            sources.setdefault(source_of(labels), []).append((labels, numbers[pairs]))
        number_of[place] = numbers[pairs]
    owners = number_of[np.searchsorted(distinct, refs)]
    order = np.lexsort((times, owners))
    owners, times, values = owners[order], times[order], values.view(np.uint64)[order].view(np.float64)
    first = np.concatenate([[True], (np.diff(owners) != 0) | (np.diff(times) != 0)]) & (owners >= 0)
    owners, times, values = owners[first], times[first], values.view(np.uint64)[first].view(np.float64)
    starts = np.searchsorted(owners, np.arange(len(numbers)))
    stops = np.searchsorted(owners, np.arange(len(numbers)), side="right")
    for source, series in sorted(sources.items()):
        where = np.array([number for _, number in series], np.int64)
        take = np.concatenate([np.arange(starts[at], stops[at]) for at in where])
        found.samples += len(take)
        labels_of = [labels for labels, _ in series]
        bits = values.view(np.uint64)[take]  # a float move may quieten NaNs
        found.histograms += int(is_histogram(bits.view(np.float64)).sum())
        yield source, History(labels_of, (stops - starts)[where], times[take], bits.view(np.float64), reader.histograms)
