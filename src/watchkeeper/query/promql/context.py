"""What an evaluation knows besides the expression: its steps, its data, its limits and its notes."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from watchkeeper.model.doors import MetricReader
from watchkeeper.model.frame import FrameSlice, Selection, Times
from watchkeeper.model.labels import LabelTable, Symbols
from watchkeeper.model.matchers import Matcher
from watchkeeper.model.stacked import RecentReader
from watchkeeper.model.thinned import ThinnedReader
from watchkeeper.query.limits import Budget
from watchkeeper.query.promql.annotations import Annotations
from watchkeeper.query.promql.ast import Aggregate, At, Binary, Call, Expr, Subquery, VectorSelector
from watchkeeper.query.promql.histogram_table import HistogramTable, told_of_resets
from watchkeeper.query.promql.matrix import Value
from watchkeeper.query.promql.tally import Tally
from watchkeeper.query.promql.trace import Trace
from watchkeeper.query.settings import QuerySettings


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """The moments an expression is evaluated at: start, start + step, … up to end; Unix ms."""

    start_ms: int
    end_ms: int
    step_ms: int
    times: Times

    @classmethod
    def spanning(cls, start_ms: int, end_ms: int, step_ms: int) -> "Steps":
        """Lay out the steps from start to end, both included."""
        return cls(start_ms, end_ms, step_ms, np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.times)

    def first(self) -> "Steps":
        """Give the first step alone."""
        return Steps(self.start_ms, self.start_ms, self.step_ms, self.times[:1])


class Query:
    """The state of one query while it runs, in one thread.

    symbols     an overlay on the store's: strings that the query makes are gone with it
    histograms  what cells of this query's matrices stand for
    """

    def __init__(
        self,
        reader: MetricReader,
        settings: QuerySettings,
        steps: Steps,
        lookback_ms: int,
        budget: Budget,
        text: str,
        thinned: ThinnedReader | None = None,
        recent: RecentReader | None = None,
    ) -> None:
        self.thinned, self.recent = thinned, recent
        self.settings, self.steps, self.lookback_ms, self.budget = settings, steps, lookback_ms, budget
        self.symbols: Symbols = reader.symbols.overlay()
        self.notes = Annotations(text)
        self.histograms = HistogramTable(budget.charge)
        self.is_range = False
        self.tally: Tally | None = None  # where there is one, what is touched counts
        self.trace: Trace | None = None  # where there is one, nodes are timed
        self.text = text
        self.expr: Expr | None = None
        self._summed: frozenset[int] | None = None
        self.evaluated: dict[tuple[str, int, int, int], Value] = {}
        self._reader = reader
        self._read: dict[tuple[Sequence[Matcher], int, int, bool], list[FrameSlice]] = {}

    def repeats(self, expr: Expr) -> bool:
        """Say whether an expression's text stands in the query again, so that its value is worth keeping."""
        if self.tally is not None or not isinstance(expr, Aggregate | Call | Binary | VectorSelector):
            return False
        return self.text.count(self.text[expr.start : expr.end]) > 1

    def select(
        self, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int, *, resets_told: bool = False
    ) -> list[FrameSlice]:
        """Read samples from the store, the same ones once a query only.

        resets_told  whether histograms are to say if a counter was reset before them
        raises       TooManySamples, TimedOut
        """
        key = (matchers, start_ms, end_ms, resets_told)
        found = self._read.get(key)
        if found is None:
            began_s = time.perf_counter()
            found = self._reader.select(matchers, start_ms, end_ms)
            self.budget.selecting_s += time.perf_counter() - began_s
            if isinstance(found, Selection):
                self.notes.pass_on(found.warnings)
            found = [self._adopted(frame, resets_told) for frame in found if len(frame.times) and len(frame.labels)]
            cells = sum(frame.values.size for frame in found)
            self.budget.read_samples += cells
            self.budget.charge(cells)
            self._read[key] = found
        return found

    def _adopted(self, frame: FrameSlice, resets_told: bool) -> FrameSlice:
        if not frame.histograms:
            return frame
        if resets_told:
            frame = told_of_resets(frame)
        return replace(frame, values=self.histograms.adopt(frame.values, frame.histograms), histograms=())

    def wants_sums(self, selector: VectorSelector) -> bool:
        """Say whether no more than count and sum of a selector's histograms are asked for.

        Prometheus reads their buckets for nothing but resets then, and so knows of each whether there was one.
        """
        if self._summed is None:
            asked = self.expr is not None and "histogram_" in self.text
            found = _counted(self.expr, sums_only=False) if asked and self.expr is not None else ()
            self._summed = frozenset(map(id, found))
        return id(selector) in self._summed

    def resolve(self, at: At) -> int | None:
        """Give the moment that an @ modifier names, Unix ms."""
        if at == "start":
            return self.steps.start_ms
        if at == "end":
            return self.steps.end_ms
        return at

    def joined(self, tables: Sequence[LabelTable]) -> LabelTable:
        """Put label tables of this query one after the other."""
        names = tables[0].names
        if all(table.names == names for table in tables):
            return LabelTable(names, np.concatenate([table.codes for table in tables], axis=1), self.symbols)
        return LabelTable.join(tables, self.symbols)


_SUMS = frozenset({"histogram_avg", "histogram_count", "histogram_sum"})
_BUCKETS = frozenset({
    "histogram_fraction", "histogram_quantile", "histogram_quantiles", "histogram_stddev", "histogram_stdvar",
})  # fmt: skip


def _counted(expr: Expr, *, sums_only: bool) -> Iterator[VectorSelector]:
    """Go through the selectors below functions of count and sum.

    source  Prometheus 3.5, promql/engine.go detectHistogramStatsDecoding
    """
    if isinstance(expr, Subquery):
        return
    if isinstance(expr, VectorSelector):
        if sums_only:
            yield expr
        return
    if isinstance(expr, Binary):
        sums_only = False
    elif isinstance(expr, Call) and expr.name in _SUMS | _BUCKETS:
        sums_only = expr.name in _SUMS
    for child in expr.children:
        yield from _counted(child, sums_only=sums_only)
