"""Range aggregations: lines counted into windows (t - range, t], one window a step.

Counting needs no line as an object: a block's times are searched for the windows' borders, all at once.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from watchkeeper.model.errors import BadQuery, Damaged, OverLimit
from watchkeeper.model.logs import LineBlock, TimesNs
from watchkeeper.query.logql.fields import DETAILS, ERROR
from watchkeeper.query.logql.lines import count_effort, note_damage, range_of
from watchkeeper.query.logql.pipeline import Line, Pipeline, label_step, number_of, prepare, visible
from watchkeeper.query.logql.result import Effort, Floats, Matrix
from watchkeeper.query.logql.settings import LogQuerySettings
from watchkeeper.query.logql.sweep import Places
from watchkeeper.query.logql.tree import Grouping, RangeAggregation, Unwrap

Key = tuple[tuple[str, str], ...]
Reduce = Callable[[Floats, Places, Places, float], Floats]
_COUNTED = frozenset({"count_over_time", "rate", "bytes_over_time", "bytes_rate", "absent_over_time"})


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Steps of a query and the window before each; int64 ns."""

    times_ns: TimesNs
    range_ns: int
    offset_ns: int

    @property
    def after(self) -> TimesNs:
        """A line of the window is later than this."""
        return self.times_ns - self.offset_ns - self.range_ns

    @property
    def until(self) -> TimesNs:
        """And not later than this."""
        return self.times_ns - self.offset_ns


def aggregate(
    query: RangeAggregation,
    blocks: Sequence[LineBlock],
    windows: Windows,
    keep: Grouping | None,
    settings: LogQuerySettings,
    effort: Effort,
    check_time: Callable[[], None],
) -> Matrix:
    """Evaluate a range aggregation.

    keep    the labels that matter to what stands around it, when it only adds up; None for all
    raises  BadQuery when lines have errors that no filter takes out; OverLimit
    """
    grouping = keep or query.grouping
    wanted = None
    if grouping is not None and not grouping.without:
        wanted = frozenset({*grouping.names, *((query.unwrap.name,) if query.unwrap else ())})
    pipeline = prepare(query.query.stages, wanted)
    gather = _Counting(windows, query.op, settings) if query.unwrap is None else _Gathering(windows, query, settings)
    for block in blocks:
        check_time()
        try:
            low, high = range_of(block, int(windows.after[0]) + 1, int(windows.until[-1]) + 1)
            if low < high:
                count_effort(block, low, high, effort)
                _take_block(block, pipeline, pipeline.chosen(block, low, high), grouping, query.unwrap, gather)
        except Damaged as error:
            note_damage(error, effort)
    if query.op == "absent_over_time":
        return _absent(query, gather.matrix(effort), windows, effort)
    return gather.matrix(effort)


def grouped(labels: Mapping[str, str], grouping: Grouping | None) -> Key:
    """Give what is left of labels by a grouping, in name order."""
    if grouping is None:
        return tuple(sorted((name, value) for name, value in labels.items() if value))
    if grouping.without:
        return tuple(sorted((n, v) for n, v in labels.items() if v and n not in grouping.names))
    return tuple(sorted((name, labels[name]) for name in set(grouping.names) if labels.get(name)))


class _Counting:
    """Counts lines or bytes into windows, without keeping them."""

    def __init__(self, windows: Windows, op: str, settings: LogQuerySettings) -> None:
        self._windows, self._settings = windows, settings
        self.needs_sizes = op.startswith("bytes")
        self._divisor = windows.range_ns / 1e9 if op in ("rate", "bytes_rate") else 1.0
        self._sums: dict[Key, Floats] = {}
        self._counts: dict[Key, Floats] = {}

    def add(self, key: Key, times: TimesNs, values: Floats | None) -> None:
        """Take lines of one series: times ascending; values are their sizes where those are needed."""
        first = np.searchsorted(times, self._windows.after, "right")
        last = np.searchsorted(times, self._windows.until, "right")
        _check_series(len(self._counts) + (key not in self._counts), self._settings)
        counts = self._counts.setdefault(key, np.zeros(len(first)))
        counts += last - first
        if values is not None:
            total = np.concatenate([[0.0], np.cumsum(values)])
            sums = self._sums.setdefault(key, np.zeros(len(first)))
            sums += total[last] - total[first]

    def matrix(self, effort: Effort) -> Matrix:
        """Give what was counted; a window without lines has no value."""
        keys = list(self._counts)
        rows = []
        for key in keys:
            amount = self._sums[key] if self.needs_sizes else self._counts[key]
            rows.append(np.where(self._counts[key] > 0, amount / self._divisor, np.nan))
        return _matrix(keys, rows, self._windows, effort)


class _Gathering:
    """Keeps the unwrapped values of all lines, and reduces each window in the end."""

    needs_sizes = False

    def __init__(self, windows: Windows, query: RangeAggregation, settings: LogQuerySettings) -> None:
        self._windows, self._query, self._settings = windows, query, settings
        self._pieces: dict[Key, list[tuple[TimesNs, Floats]]] = {}
        self._count = 0

    def add(self, key: Key, times: TimesNs, values: Floats | None) -> None:
        """Take values of one series."""
        assert values is not None
        self._count += len(times)
        if self._count > self._settings.max_samples:
            raise OverLimit("max_samples", self._count, self._settings.max_samples)
        _check_series(len(self._pieces) + (key not in self._pieces), self._settings)
        self._pieces.setdefault(key, []).append((times, values))

    def matrix(self, effort: Effort) -> Matrix:
        """Give one value a window."""
        reduce = _REDUCE[self._query.op]
        keys, rows = list(self._pieces), []
        for key in keys:
            times = np.concatenate([piece[0] for piece in self._pieces[key]])
            values = np.concatenate([piece[1] for piece in self._pieces[key]])
            order = np.argsort(times, kind="stable")
            times, values = times[order], values[order]
            first = np.searchsorted(times, self._windows.after, "right")
            last = np.searchsorted(times, self._windows.until, "right")
            parameter = self._windows.range_ns / 1e9 if self._query.op == "rate" else self._query.parameter or 0.0
            rows.append(np.where(last > first, reduce(values, first, last, parameter), np.nan))
        return _matrix(keys, rows, self._windows, effort)


def _take_block(
    block: LineBlock,
    pipeline: Pipeline,
    places: Places,
    grouping: Grouping | None,
    unwrap: Unwrap | None,
    gather: _Counting | _Gathering,
) -> None:
    if not len(places):
        return
    if not pipeline.steps and unwrap is None:
        for key, chosen in _by_metadata(block, places, grouping):
            gather.add(key, block.times()[chosen], _sizes(block, chosen) if gather.needs_sizes else None)
        return
    groups: dict[Key, list[int]] = {}
    values: dict[Key, list[float]] = {}
    keys: dict[Key, Key] = {}  # of all labels of a line → of those that are grouped by
    reader = None if unwrap is None else _Unwrapping(unwrap)
    weighs = gather.needs_sizes or reader is not None
    for place, line in pipeline.run(block, places.tolist()):
        value = float(len(line.text)) if reader is None else reader.value(line)
        if value is None:
            continue
        raw = tuple(line.labels.items())
        if raw not in keys:
            _check_errors(line.labels)
            keys[raw] = grouped(line.labels, grouping)
            groups.setdefault(keys[raw], [])
            values.setdefault(keys[raw], [])
        key = keys[raw]
        groups[key].append(place)
        if weighs:
            values[key].append(value)
    times = block.times()
    for key, members in groups.items():
        amounts = np.array(values[key]) if weighs else None
        gather.add(key, times[np.array(members)], amounts)


def _by_metadata(block: LineBlock, places: Places, grouping: Grouping | None) -> list[tuple[Key, Places]]:
    """Split lines by the labels that structured metadata gives them."""
    metadata = block.metadata()
    if metadata is None:
        return [(grouped(block.labels, grouping), places)]
    split: dict[Key, list[int]] = {}
    codes = metadata.codes[places]
    for code in np.unique(codes).tolist():
        split.setdefault(grouped({**block.labels, **metadata.sets[code]}, grouping), []).append(code)
    return [(key, places[np.isin(codes, members)]) for key, members in split.items()]


def _sizes(block: LineBlock, places: Places) -> Floats:
    starts = block.starts()
    return (starts[places + 1] - starts[places] - 1).astype(np.float64)


class _Unwrapping:
    """Takes a label's value out of a line as a number."""

    def __init__(self, unwrap: Unwrap) -> None:
        self._unwrap = unwrap
        self._filters = [label_step(each) for each in unwrap.filters]

    def value(self, line: Line) -> float | None:
        """Give the number; None when the line has no such label or the filters take it out."""
        text = line.labels.pop(self._unwrap.name, None)
        if text is None:
            return None
        number = number_of(text, self._unwrap.unit)
        if number is None:
            line.labels[ERROR] = "SampleExtractionErr"
            line.labels[DETAILS] = f"cannot read {text[:100]!r}"
            number = 0.0
        return number if all(step(line) for step in self._filters) else None


def _check_errors(labels: Mapping[str, str]) -> None:
    error = labels.get(ERROR)
    if error:
        shown = ", ".join(f'{name}="{value}"' for name, value in visible(labels).items() if name != DETAILS)
        raise BadQuery(
            f"pipeline error: '{error}' for series: '{{{shown}}}'.\n"
            f'Use a label filter to intentionally skip this error. (e.g | __error__!="{error}").\n'
            'To skip all potential errors you can match empty errors.(e.g __error__="")\n'
            'The label filter can also be specified after unwrap. (e.g | unwrap latency | __error__="" )\n'
        )


def _check_series(count: int, settings: LogQuerySettings) -> None:
    if count > settings.max_range_series:
        raise OverLimit("max_range_series", count, settings.max_range_series)


def _matrix(keys: Sequence[Key], rows: Sequence[Floats], windows: Windows, effort: Effort) -> Matrix:
    order = sorted(range(len(keys)), key=keys.__getitem__)
    values = np.array([rows[at] for at in order]).reshape(len(order), len(windows.times_ns))
    return Matrix([dict(keys[at]) for at in order], windows.times_ns, values, effort)


def _absent(query: RangeAggregation, present: Matrix, windows: Windows, effort: Effort) -> Matrix:
    found = (
        np.isfinite(present.values).any(axis=0) if len(present.labels) else np.zeros(len(windows.times_ns), np.bool_)
    )
    labels = {matcher.name: matcher.value for matcher in query.query.matchers if matcher.op == "="}
    if found.all():
        return Matrix([], windows.times_ns, np.zeros((0, len(windows.times_ns))), effort)
    return Matrix([labels], windows.times_ns, np.where(found, np.nan, 1.0)[None, :], effort)


def _summed(values: Floats, first: Places, last: Places, _parameter: float) -> Floats:
    total = np.concatenate([[0.0], np.cumsum(values)])
    return total[last] - total[first]


def _each(function: Callable[[Floats, float], float]) -> Reduce:
    """Reduce window by window, for what has no running form."""

    def reduce(values: Floats, first: Places, last: Places, parameter: float) -> Floats:
        windows = zip(first.tolist(), last.tolist(), strict=True)
        return np.array([function(values[a:b], parameter) if b > a else math.nan for a, b in windows])

    return reduce


_REDUCE: dict[str, Reduce] = {
    "sum_over_time": _summed,
    "rate": lambda values, first, last, seconds: _summed(values, first, last, 0.0) / seconds,
    "avg_over_time": _each(lambda window, _: float(window.mean())),
    "min_over_time": _each(lambda window, _: float(window.min())),
    "max_over_time": _each(lambda window, _: float(window.max())),
    "first_over_time": _each(lambda window, _: float(window[0])),
    "last_over_time": _each(lambda window, _: float(window[-1])),
    "stddev_over_time": _each(lambda window, _: float(window.std())),
    "stdvar_over_time": _each(lambda window, _: float(window.var())),
    "quantile_over_time": _each(
        lambda window, q: float(np.quantile(window, q)) if 0 <= q <= 1 else math.copysign(math.inf, q)
    ),
}
