"""Series that rules record while they go through the past, laid over the stored ones of the same name."""

from collections.abc import Mapping, Sequence

import numpy as np

from watchkeeper.model.doors import MetricReader
from watchkeeper.model.frame import (
    ABSENT,
    STALE,
    Floats,
    FrameSlice,
    MetricMetadata,
    Times,
    is_absent,
    is_histogram,
    is_stale,
)
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.labels import METRIC_NAME, LabelPairs, Labels, LabelTable, Symbols, label_pairs
from watchkeeper.model.matchers import Matcher, match_table
from watchkeeper.query.promql.histogram_table import pruned, renumbered
from watchkeeper.query.promql.result import Result


class Overlay:
    """A MetricReader. What lies under the names that are recorded is not seen.

    recorded  names of the series that rules record
    reach_ms  how far back any rule reads; what is older than that is let go
    """

    def __init__(self, under: MetricReader, recorded: set[str], reach_ms: int) -> None:
        self._under, self._recorded, self._reach_ms = under, recorded, reach_ms
        self._frames: dict[str, dict[int, _Recorded]] = {}
        self._owner: dict[LabelPairs, int] = {}

    @property
    def symbols(self) -> Symbols:
        return self._under.symbols

    def record(self, name: str, rule: int, labels: Mapping[str, str], result: Result) -> None:
        """Add what a rule gave over a stretch; a series that another rule gives already stays that rule's.

        rule  its number, the same at each call
        """
        frame = self._frames.setdefault(name, {}).setdefault(rule, _Recorded(self.symbols))
        found = [label_pairs({**one, METRIC_NAME: name, **labels}) for one in result.labels.labels()]
        own = np.array([self._owner.setdefault(one, rule) == rule for one in found], np.bool_)
        values = np.where(result.present, result.values, ABSENT)
        mine = [one for one, is_own in zip(found, own.tolist(), strict=True) if is_own]
        frame.add(mine, result.times, values[own], result.histograms)

    def forget(self, now_ms: int) -> None:
        """Let go of what no expression reads that is evaluated from a moment on."""
        for frame in (frame for frames in self._frames.values() for frame in frames.values()):
            frame.forget(now_ms - self._reach_ms)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[FrameSlice]:
        names = [one for one in matchers if one.name == METRIC_NAME]
        chosen = [name for name in self._frames if all(one.test(name) for one in names)]
        found = [
            part
            for name in chosen
            for frame in self._frames[name].values()
            for part in frame.select(matchers, start_ms, end_ms)
        ]
        exact = next((one.value for one in names if one.op == "="), None)
        if exact is not None and exact in self._recorded:
            return found
        if exact is None:
            hidden = [Matcher(METRIC_NAME, "!=", name) for name in self._recorded if all(m.test(name) for m in names)]
            matchers = [*matchers, *hidden]
        return [*self._under.select(matchers, start_ms, end_ms), *found]

    def series(self, selectors: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int) -> LabelTable:
        return self._under.series(selectors, start_ms, end_ms)

    def label_names(self, selectors: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int) -> list[str]:
        return self._under.label_names(selectors, start_ms, end_ms)

    def label_values(self, name: str, selectors: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int) -> list[str]:
        return self._under.label_values(name, selectors, start_ms, end_ms)

    def metadata(self) -> Mapping[str, Sequence[MetricMetadata]]:
        return self._under.metadata()


class _Recorded:
    """The series of one rule: float64[series, steps]."""

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols
        self._rows: dict[LabelPairs, int] = {}
        self._table: LabelTable | None = None
        self._times: Times = np.zeros(0, np.int64)
        self._values: Floats = np.zeros((0, 0))
        self._held: list[Histogram] = []

    def add(self, labels: Sequence[LabelPairs], times: Times, values: Floats, histograms: Sequence[Histogram]) -> None:
        known = len(self._rows)
        rows = np.array([self._rows.setdefault(one, len(self._rows)) for one in labels], np.int64)
        if len(self._rows) > known:
            self._table = None
        block = np.full((len(self._rows), len(times)), ABSENT)
        block[rows] = renumbered(values, len(self._held))
        self._held += histograms
        before = np.full((len(self._rows), len(self._times)), ABSENT)
        before[: len(self._values)] = self._values
        since = max(1, len(self._times))
        self._times, self._values = np.concatenate([self._times, times]), np.concatenate([before, block], axis=1)
        self._end_series(since)

    def _end_series(self, since: int) -> None:
        """Mark where a series that was there at one step is not at the next."""
        new = self._values[:, since - 1 :]
        whole = np.ascontiguousarray(new)
        gone = is_absent(whole)
        new[:, 1:][gone[:, 1:] & ~(gone | is_stale(whole))[:, :-1]] = STALE

    def forget(self, before_ms: int) -> None:
        first = int(np.searchsorted(self._times, before_ms))
        if first:
            self._times, self._values = self._times[first:], np.ascontiguousarray(self._values[:, first:])
            if self._held:
                self._values, self._held = pruned(self._values, is_histogram(self._values), self._held)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[FrameSlice]:
        if self._table is None:
            every: list[Labels] = [dict(labels) for labels in self._rows]
            self._table = LabelTable.from_labels(every, self._symbols)
        chosen = match_table(list(matchers), self._table)
        here = slice(*np.searchsorted(self._times, [start_ms, end_ms + 1]).tolist())
        values = np.ascontiguousarray(self._values[chosen, here])
        some = ~is_absent(values).all(axis=1) if values.size else np.zeros(len(values), np.bool_)
        if not some.any():
            return []
        labels = self._table.take(np.nonzero(chosen)[0][some])
        return [FrameSlice(labels, self._times[here].copy(), values[some], gaps=True, histograms=self._held)]
