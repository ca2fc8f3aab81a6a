"""A store in memory for rules on trial: input series given whole, rule results appended as they come."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from watchkeeper.model.frame import ABSENT, STALE, Appended, Floats, FrameSlice, Layout, MetricMetadata, Row, is_absent
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.labels import METRIC_NAME, LabelPairs, Labels, LabelTable, label_pairs
from watchkeeper.model.matchers import Matcher, match_table
from watchkeeper.query.promql.histogram_table import renumbered
from watchkeeper.query.promql.memory import MemoryReader


class StillClock:
    """Tells the time that the rehearsal has come to."""

    def __init__(self) -> None:
        self.time_ms = 0

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_s(self) -> float:
        return self.time_ms / 1000


class RehearsalStore:
    """A MetricReader and MetricWriter for one process and one thread at a time.

    given  the input series; nothing is added to them once rules run
    """

    def __init__(self) -> None:
        self.given = MemoryReader()
        self.symbols = self.given.symbols
        self._frames: dict[str, _Frame] = {}
        self._given_names: set[str] | None = None
        self._recorded: set[str] = set()

    def has_any(self, names: frozenset[str]) -> bool:
        """Say whether any series has had one of these metric names so far."""
        if self._given_names is None:
            self._given_names = self.given.names()
        return not (names.isdisjoint(self._recorded) and names.isdisjoint(self._given_names))

    # MetricWriter

    def layout(self, source: str, series: Sequence[Labels]) -> Layout:
        frame = self._frames.setdefault(source, _Frame())
        self._recorded.update(labels.get(METRIC_NAME, "") for labels in series)
        return Layout(0, source, frame.columns([label_pairs(labels) for labels in series]))

    def append(self, rows: Sequence[Row]) -> Appended:
        for row in rows:
            self._frames[row.layout.source].append(row)
        return Appended(sum(len(row.values) for row in rows), 0, 0, {}, ())

    async def commit(self) -> None:
        return None

    def describe(self, families: Mapping[str, MetricMetadata]) -> None:
        del families

    # MetricReader

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[FrameSlice]:
        found = self.given.select(matchers, start_ms, end_ms)
        for frame in self._frames.values():
            found += frame.select(self._table(frame), matchers, start_ms, end_ms)
        return found

    def series(self, selectors: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int) -> LabelTable:
        parts = [part.labels for matchers in selectors for part in self.select(matchers, start_ms, end_ms)]
        return LabelTable.join(parts, self.symbols)

    def label_names(self, selectors: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int) -> list[str]:
        return sorted(self.series(selectors, start_ms, end_ms).names)

    def label_values(self, name: str, selectors: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int) -> list[str]:
        return sorted(set(self.series(selectors, start_ms, end_ms).values(name)) - {""})

    def metadata(self) -> Mapping[str, Sequence[MetricMetadata]]:
        return {}

    def _table(self, frame: "_Frame") -> LabelTable:
        if frame.table is None:
            frame.table = LabelTable.from_labels([dict(labels) for labels in frame.rows], self.symbols)
        return frame.table


class _Frame:
    """Rows of one source: float64[series, capacity], doubled when full."""

    def __init__(self) -> None:
        self.rows: dict[LabelPairs, int] = {}
        self.table: LabelTable | None = None
        self._times = np.zeros(64, np.int64)
        self._values: Floats = np.full((0, 64), ABSENT)
        self._held: list[Histogram] = []
        self._count = 0
        self._alive = np.zeros(0, np.bool_)

    def columns(self, series: Iterable[LabelPairs]) -> "np.ndarray[tuple[int], np.dtype[np.int32]]":
        found = [self.rows.setdefault(labels, len(self.rows)) for labels in series]
        new = len(self.rows) - len(self._values)
        if new:
            self.table = None
            self._values = np.vstack([self._values, np.full((new, self._values.shape[1]), ABSENT)])
            self._alive = np.append(self._alive, np.zeros(new, np.bool_))
        return np.array(found, np.int32)

    def append(self, row: Row) -> None:
        if self._count == len(self._times):
            self._times = np.append(self._times, np.zeros_like(self._times))
            self._values = np.hstack([self._values, np.full_like(self._values, ABSENT)])
        now = np.full(len(self._values), ABSENT)
        gone = self._alive.copy()
        gone[row.layout.columns] = False
        now[gone] = STALE
        now[row.layout.columns] = renumbered(row.values, len(self._held))
        self._held += row.histograms
        self._alive[:] = False
        self._alive[row.layout.columns] = True
        self._times[self._count], self._values[:, self._count] = row.time_ms, now
        self._count += 1

    def select(self, table: LabelTable, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[FrameSlice]:
        times = self._times[: self._count]
        here = slice(*np.searchsorted(times, [start_ms, end_ms + 1]).tolist())
        chosen = match_table(list(matchers), table)
        values = self._values[:, : self._count][chosen, here]
        values = np.ascontiguousarray(values)
        some = ~is_absent(values).all(axis=1)
        if not some.any():
            return []
        labels = table.take(np.nonzero(chosen)[0][some])
        return [FrameSlice(labels, times[here].copy(), values[some], gaps=True, histograms=self._held)]
