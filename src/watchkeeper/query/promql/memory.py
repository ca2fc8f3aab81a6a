"""Samples in memory behind the store's reading door: for scripts, unit tests of rules, and our own tests."""

from collections.abc import Mapping, Sequence

import numpy as np

from watchkeeper.model.frame import ABSENT, FrameSlice, MetricMetadata, Times, cells_of, is_absent
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.labels import METRIC_NAME, Labels, LabelTable, Symbols, label_pairs
from watchkeeper.model.matchers import Matcher, match_table
from watchkeeper.query.promql.histogram_table import renumbered

Samples = Sequence[tuple[int, float | Histogram]]


class MemoryReader:
    """A MetricReader over series that are added whole; they share one time grid."""

    def __init__(self) -> None:
        self._symbols = Symbols()
        self._series: dict[tuple[tuple[str, str], ...], dict[int, float | Histogram]] = {}
        self._starts: dict[tuple[tuple[str, str], ...], dict[int, int]] = {}
        self._frame: FrameSlice | None = None

    @property
    def symbols(self) -> Symbols:
        return self._symbols

    def add(self, labels: Labels, samples: Samples) -> None:
        """Add samples to a series; a later sample of the same time replaces the earlier."""
        self._series.setdefault(label_pairs(labels), {}).update(samples)
        self._frame = None

    def add_starts(self, labels: Labels, starts: Mapping[int, int]) -> None:
        """Say since when the counter of samples counts, by the times of these."""
        self._starts.setdefault(label_pairs(labels), {}).update(starts)
        self._frame = None

    def names(self) -> set[str]:
        """Give the metric names there are."""
        return {text for labels in self._series for name, text in labels if name == METRIC_NAME}

    def _whole(self) -> FrameSlice:
        if self._frame is None:
            times = np.unique(np.array([at for points in self._series.values() for at in points], np.int64))
            values = np.full((len(self._series), len(times)), ABSENT)
            held: list[Histogram] = []
            for row, points in enumerate(self._series.values()):
                at = np.searchsorted(times, np.fromiter(points, np.int64, len(points)))
                cells, histograms = cells_of(points.values())
                values[row, at] = renumbered(cells, len(held))
                held += histograms
            labels = LabelTable.from_labels([dict(pairs) for pairs in self._series], self._symbols)
            self._frame = FrameSlice(labels, times, values, True, held, self._started(times))
        return self._frame

    def _started(self, times: Times) -> Times | None:
        if not self._starts:
            return None
        starts = np.zeros((len(self._series), len(times)), np.int64)
        for row, pairs in enumerate(self._series):
            known = {at: start for at, start in self._starts.get(pairs, {}).items() if at in self._series[pairs]}
            starts[row, np.searchsorted(times, list(known))] = list(known.values())
        return starts

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[FrameSlice]:
        """Give the samples of the matching series in a range of time."""
        frame = self._whole()
        chosen = match_table(list(matchers), frame.labels)
        here = slice(*np.searchsorted(frame.times, [start_ms, end_ms + 1]).tolist())
        values = frame.values[chosen, here]
        some = ~np.asarray(is_absent(values).all(axis=1)) if values.size else np.zeros(len(values), np.bool_)
        labels = frame.labels.take(np.nonzero(chosen)[0][some])
        if not some.any():
            return []
        values = np.ascontiguousarray(values[some])
        starts = None if frame.starts is None else frame.starts[chosen, here][some]
        return [FrameSlice(labels, frame.times[here], values, True, frame.histograms, starts)]

    def series(self, selectors: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int) -> LabelTable:
        """Give the labels of the series that match any selector."""
        tables = [part.labels for one in selectors for part in self.select(one, start_ms, end_ms)]
        joined = LabelTable.join(tables, self._symbols)
        return joined.take(joined.group_ids()[1])

    def label_names(self, selectors: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int) -> list[str]:
        """Give the names of labels."""
        table = self.series(selectors or [()], start_ms, end_ms)
        return [name for name in table.names if table.column(name).any()]

    def label_values(self, name: str, selectors: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int) -> list[str]:
        """Give the values of a label."""
        return sorted(set(self.series(selectors or [()], start_ms, end_ms).values(name)) - {""})

    def metadata(self) -> Mapping[str, Sequence[MetricMetadata]]:
        """Give nothing: series are added without."""
        return {}
