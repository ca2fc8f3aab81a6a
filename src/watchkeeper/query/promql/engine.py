"""The door to PromQL: an expression and its moments in, a Result out."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from watchkeeper.model import metrics
from watchkeeper.model.checkpoint import looking
from watchkeeper.model.doors import AlertSample, Changing, MetricReader
from watchkeeper.model.errors import BadQuery, OverLimit
from watchkeeper.model.frame import ABSENT
from watchkeeper.model.labels import LabelTable
from watchkeeper.model.stacked import RecentReader
from watchkeeper.model.thinned import ThinnedReader
from watchkeeper.query.limits import Budget, Memory
from watchkeeper.query.promql.ast import Expr, Type
from watchkeeper.query.promql.context import Query, Steps
from watchkeeper.query.promql.durations import settled
from watchkeeper.query.promql.evaluate import evaluate, range_vector
from watchkeeper.query.promql.kept import KeptResults
from watchkeeper.query.promql.matrix import Scalar, Text, Value, ever
from watchkeeper.query.promql.parser import parse
from watchkeeper.query.promql.reach import reach_of
from watchkeeper.query.promql.result import Result
from watchkeeper.query.promql.tally import Tally
from watchkeeper.query.promql.trace import Trace
from watchkeeper.query.promql.windows import RangeVector
from watchkeeper.query.settings import QuerySettings
from watchkeeper.query.timings import EVALUATED, PREPARED, SAMPLES

_DURATION = metrics.histogram(
    "watchkeeper_query_duration_seconds", "How long PromQL queries took.", ("kind",), (0.001, 0.01, 0.1, 1, 10, 100)
)
_SECONDS = {kind: _DURATION.labels(kind) for kind in ("instant", "range")}


@dataclass(slots=True)
class Terms:
    """How a query is to be run, and what became known of it.

    budget       it is closed when the query is over
    lookback_ms  how old a sample may be
    counting     whether `tally` is wanted
    trace        times the nodes, when there is one
    """

    budget: Budget
    lookback_ms: int
    counting: bool = False
    tally: Tally | None = None
    trace: Trace | None = None


class Engine:
    """Evaluates PromQL over a store (or any MetricReader). Methods block; any number of threads may call them.

    changes  of the store: range queries then compute only what is new since they were last asked
    thinned  the store's downsampling tiers
    recent   its newest rows, for questions about one moment
    """

    def __init__(
        self,
        reader: MetricReader,
        settings: QuerySettings | None = None,
        changes: Changing | None = None,
        thinned: ThinnedReader | None = None,
        recent: RecentReader | None = None,
    ) -> None:
        self._thinned, self._recent = thinned, recent
        self._reader, self.settings = reader, settings or QuerySettings()
        self._memory = Memory(self.settings.memory_bytes_max)
        kept_bytes = self.settings.kept_bytes_max
        self._kept = None if changes is None else KeptResults(changes, reader.symbols, kept_bytes)

    def parse(self, expr: str) -> Expr:
        """Parse and type-check.

        raises  BadQuery with line and column; OverLimit when the text is too long
        """
        if len(expr) > self.settings.expression_bytes_max:
            raise OverLimit("query.expression_bytes_max", f"{len(expr)} characters", self.settings.expression_bytes_max)
        return parse(expr, experimental=self.settings.experimental_functions)

    def terms(
        self,
        timeout_s: float | None = None,
        lookback_ms: int | None = None,
        *,
        counting: bool = False,
        samples_max: int | None = None,
    ) -> Terms:
        """Say how a query is to be run.

        timeout_s    shortens the engine's own timeout
        lookback_ms  how old a sample may be; None: the setting
        counting     whether samples are counted by step, as Prometheus' statistics have them
        samples_max  lowers the engine's own limit
        """
        longest_s = self.settings.timeout_ms / 1000
        allowed_s = longest_s if timeout_s is None else min(timeout_s, longest_s)
        most = self.settings.max_samples if samples_max is None else min(samples_max, self.settings.max_samples)
        budget = Budget(most, allowed_s, self._memory)
        return Terms(budget, self.settings.lookback_delta_ms if lookback_ms is None else lookback_ms, counting=counting)

    def instant(self, expr: str, time_ms: int, terms: Terms | None = None) -> Result:
        """Evaluate at one moment.

        time_ms  Unix ms
        raises   BadQuery (parse errors have a position), OverLimit, Refused on timeout, Canceled
        """
        steps = Steps.spanning(time_ms, time_ms, 1)
        with self._running("instant", terms) as chosen:
            return self._run(expr, steps, chosen, instant=True)

    def range(self, expr: str, start_ms: int, end_ms: int, step_ms: int, terms: Terms | None = None) -> Result:
        """Evaluate at every step from start to end.

        raises  BadQuery (parse errors have a position), OverLimit, Refused on timeout, Canceled
        """
        if step_ms <= 0:
            raise BadQuery("zero or negative query resolution step widths are not accepted. Try a positive integer")
        if (end_ms - start_ms) // step_ms + 1 > self.settings.points_max:
            raise TooManyPoints(self.settings.points_max)
        steps = Steps.spanning(start_ms, end_ms, step_ms)
        with self._running("range", terms) as chosen:
            watched = chosen.counting or chosen.trace is not None
            reach = None if self._kept is None or watched else reach_of(expr, self.parse(expr))
            if self._kept is None or reach is None:
                return self._run(expr, steps, chosen, instant=False)
            key = (expr, chosen.lookback_ms)
            return self._kept.answer(key, reach, steps, lambda part: self._run(expr, part, chosen, instant=False))

    @contextmanager
    def _running(self, kind: str, terms: Terms | None) -> Iterator[Terms]:
        chosen, began_s = terms or self.terms(), time.perf_counter()
        try:
            with looking(chosen.budget.check):
                yield chosen
        finally:
            took_s = time.perf_counter() - began_s
            _SECONDS[kind].observe(took_s)
            EVALUATED.observe(took_s)
            SAMPLES.inc(chosen.budget.read_samples)
            chosen.budget.close()

    def ask(self, expr: str, time_ms: int) -> list[AlertSample]:
        """Evaluate at one moment and give the vector's elements: model.doors.Ask."""
        result = self.instant(expr, time_ms)
        if result.kind not in (Type.VECTOR, Type.SCALAR):
            raise BadQuery("rule result is not a vector or scalar")
        return result.samples()

    def _run(self, text: str, steps: Steps, terms: Terms, *, instant: bool) -> Result:
        began_s = time.perf_counter()
        expr = settled(self.parse(text), steps.start_ms, steps.end_ms, 0 if instant else steps.step_ms)
        PREPARED.observe(time.perf_counter() - began_s)
        query = Query(
            self._reader, self.settings, steps, terms.lookback_ms, terms.budget, text, self._thinned, self._recent
        )
        query.is_range = not instant
        query.expr = expr
        query.trace = terms.trace
        if terms.counting:
            query.tally = terms.tally = Tally(len(steps))
        if not instant:
            check_range_type(expr)
        if expr.type is Type.MATRIX:
            return _samples(query, range_vector(query, expr, steps))
        result = _result(query, evaluate(query, expr, steps), steps, instant=instant)
        terms.budget.check()
        return result


class TooManyPoints(OverLimit):
    """A range query with too many steps, in Prometheus' words."""

    def __init__(self, allowed: int) -> None:
        super().__init__("query.points_max", "more", allowed)
        self.args = (
            (
                f"exceeded maximum resolution of {allowed:,} points per timeseries. "
                "Try decreasing the query resolution (?step=XX)"
            ),
        )


def check_range_type(expr: Expr) -> None:
    """Refuse what cannot be asked over a range.

    raises  BadQuery in Prometheus' words
    """
    if expr.type not in (Type.SCALAR, Type.VECTOR):
        got = expr.type.documented
        raise BadQuery(f'invalid expression type "{got}" for range query, must be Scalar or instant Vector')


def _result(query: Query, value: Value, steps: Steps, *, instant: bool) -> Result:
    no_labels = LabelTable((), np.zeros((0, 1), np.int32), query.symbols)
    if isinstance(value, Text):
        return Result(
            Type.STRING,
            no_labels,
            steps.times,
            np.zeros((1, 1)),
            np.ones((1, 1), np.bool_),
            text=value.value,
            warnings=query.notes.warnings,
            infos=query.notes.infos,
        )
    if isinstance(value, Scalar):
        kind = Type.SCALAR if instant else Type.MATRIX
        there = np.ones((1, len(steps)), np.bool_)
        return Result(
            kind,
            no_labels,
            steps.times,
            value.values[None, :],
            there,
            warnings=query.notes.warnings,
            infos=query.notes.infos,
        )
    kind = Type.VECTOR if instant else Type.MATRIX
    if not value.present.all():
        seen = ever(value.present)
        value = value if seen.all() else value.take(seen)
    values, histograms = query.histograms.used(value.values, value.present)
    return Result(
        kind,
        value.labels,
        steps.times,
        values,
        value.present,
        value.ordered and instant,
        warnings=query.notes.warnings,
        infos=query.notes.infos,
        histograms=histograms,
    )


def _samples(query: Query, ranges: RangeVector) -> Result:
    """Give a range vector's own samples at one moment, as a matrix over all their times."""
    found: list[tuple[np.typing.NDArray[np.int64], np.typing.NDArray[np.float64]]] = []
    for block in ranges.blocks:
        lo, hi = block.lo.reshape(-1, 1), block.hi.reshape(-1, 1)
        for series in range(block.shape[0]):  # the samples themselves are the answer, series by series
            window = series if len(lo) == block.shape[0] else 0
            here = slice(int(lo[window, 0]), int(hi[window, 0]))
            found.append((block.times[here], block.values[series if len(block.values) > 1 else 0, here]))
    times = np.unique(np.concatenate([one for one, _ in found])) if found else np.zeros(0, np.int64)
    query.budget.charge(len(found) * len(times))
    values = np.full((len(found), len(times)), ABSENT)
    present = np.zeros(values.shape, np.bool_)
    for series, (at, numbers) in enumerate(found):
        columns = np.searchsorted(times, at)
        values[series, columns], present[series, columns] = numbers, True
    seen = ever(present)
    values, histograms = query.histograms.used(values[seen], present[seen])
    return Result(
        Type.MATRIX,
        ranges.labels.take(seen),
        times,
        values,
        present[seen],
        warnings=query.notes.warnings,
        infos=query.notes.infos,
        histograms=histograms,
    )


__all__ = ["Engine", "Result", "Terms", "TooManyPoints"]
