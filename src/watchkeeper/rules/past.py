"""Rules over the past: what they would have recorded, and which alerts would have fired from when to when.

Each expression is evaluated over many steps at once, as a matrix; the history is gone through in stretches, rule after
rule within a stretch, so that what is decoded for one rule serves the next. What recording rules give is laid over the
stored series of the same name (`Overlay`), so that rules read what these rules, not those of that time, recorded.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from watchkeeper.model.doors import AlertSample, MetricReader
from watchkeeper.model.errors import BadInput, OverLimit, WatchkeeperError
from watchkeeper.model.frame import is_histogram
from watchkeeper.model.labels import Ints, LabelPairs
from watchkeeper.query.promql.ast import Duration, Expr, MatrixSelector, Subquery, VectorSelector
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.promql.matrix import Mask
from watchkeeper.query.promql.parser import parse
from watchkeeper.query.promql.result import Result
from watchkeeper.query.settings import QuerySettings
from watchkeeper.rules.alerting import AlertingRule
from watchkeeper.rules.files import GroupConfig, RuleConfig, RuleFile
from watchkeeper.rules.language import PROMQL
from watchkeeper.rules.order import reads
from watchkeeper.rules.overlay import Overlay
from watchkeeper.rules.template import Surroundings

_STRETCH_STEPS = 2880
_WARM_UP_MAX_MS = 86_400_000


@dataclass(slots=True)
class Firing:
    """One time that an alert fired. Unix milliseconds.

    active_ms    since when its expression gave a result
    resolved_ms  0 when it still fired at the end
    """

    file: str
    group: str
    labels: LabelPairs
    annotations: dict[str, str]
    value: float
    active_ms: int
    fired_ms: int
    resolved_ms: int = 0


@dataclass(slots=True)
class History:
    """What rules would have done.

    errors  rule → what went wrong; such a rule gave nothing for the stretch it failed in
    """

    firings: list[Firing] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    rules: int = 0
    evaluations: int = 0


def replay_rules(
    reader: MetricReader,
    files: Sequence[RuleFile],
    start_ms: int,
    end_ms: int,
    *,
    interval_ms: int = 60_000,
    settings: QuerySettings | None = None,
    around: Callable[[Engine], Surroundings] | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> History:
    """Evaluate rules over stored history.

    start_ms     alerts that were pending or firing then are found, too: evaluation begins as much earlier as the
                 longest `for` and the recordings need, a day at most
    interval_ms  of groups that name none
    progress     is told the part that is done, 0 to 1
    raises       BadInput when the range is empty
    """
    if end_ms <= start_ms:
        raise BadInput(f"cannot replay: got an end {end_ms} not after the start {start_ms}, want one that is")
    run = _Run(reader, files, interval_ms, settings or QuerySettings(points_max=1_000_000), around)
    begin_ms = start_ms - min(_WARM_UP_MAX_MS, run.warm_up_ms)
    at_ms = begin_ms
    while at_ms <= end_ms:
        until_ms = min(end_ms, at_ms + run.stretch_ms - 1)
        run.stretch(at_ms, until_ms)
        at_ms = until_ms + 1
        progress((at_ms - begin_ms) / (end_ms + 1 - begin_ms))
    return run.history(start_ms, end_ms)


class _Run:
    def __init__(
        self,
        reader: MetricReader,
        files: Sequence[RuleFile],
        interval_ms: int,
        settings: QuerySettings,
        around: Callable[[Engine], Surroundings] | None,
    ) -> None:
        planned = [
            _Planned(file.path, group, rule, group.interval_ms or interval_ms)
            for file in files
            if file.language is PROMQL
            for group in file.groups
            for rule in group.rules
        ]
        self._rules = _in_order(planned)
        reach_ms = max((_reach_ms(parse(one.rule.expr)) for one in planned), default=0) + settings.lookback_delta_ms
        recorded = {one.rule.record for one in planned if one.rule.record}
        self._overlay = Overlay(reader, recorded, reach_ms)
        engine = Engine(self._overlay, settings)
        self._engine = engine
        self._around = around(engine) if around else Surroundings(engine.ask, {}, "")
        self._history = History(rules=len(planned))
        longest_ms = max((one.rule.for_ms + one.rule.keep_firing_for_ms for one in planned), default=0)
        self.warm_up_ms = longest_ms + (reach_ms if recorded else 0) + max((p.interval_ms for p in planned), default=0)
        self.stretch_ms = _STRETCH_STEPS * min((one.interval_ms for one in planned), default=60_000)

    def stretch(self, start_ms: int, end_ms: int) -> None:
        """Evaluate every rule at its own steps within a stretch of time."""
        self._overlay.forget(start_ms)
        for one in self._rules:
            first = -(-start_ms // one.interval_ms) * one.interval_ms
            if first > end_ms:
                continue
            try:
                for result in self._ask(one, first, end_ms):
                    self._take(one, result)
            except WatchkeeperError as error:
                self._history.errors.setdefault(f"{one.group.name}: {one.rule.name}", str(error))

    def _ask(self, one: "_Planned", start_ms: int, end_ms: int) -> Iterator[Result]:
        """Evaluate over a stretch; in halves where it is too much at once."""
        offset_ms = one.group.query_offset_ms or 0
        try:
            found = self._engine.range(one.rule.expr, start_ms - offset_ms, end_ms - offset_ms, one.interval_ms)
        except OverLimit:
            steps = (end_ms - start_ms) // one.interval_ms + 1
            if steps < 2:  # nothing left to halve
                raise
            middle = start_ms + steps // 2 * one.interval_ms
            yield from self._ask(one, start_ms, middle - one.interval_ms)
            yield from self._ask(one, middle, end_ms)
        else:
            self._history.evaluations += len(found.times)
            yield found

    def _take(self, one: "_Planned", result: Result) -> None:
        if one.rule.record:
            labels = {**one.group.labels, **one.rule.labels}
            self._overlay.record(one.rule.record, one.number, labels, result)
            return
        one.spans.add(result, one, self._around, one.group.query_offset_ms or 0)

    def history(self, start_ms: int, end_ms: int) -> History:
        """Make firings of the stretches in which expressions gave results; those over before the start are left out."""
        for one in self._rules:
            if one.alerting is None:
                continue
            for labels, spans in one.spans.by_labels.items():
                firings = _firings(one, labels, spans, self._around, end_ms)
                self._history.firings += [f for f in firings if not f.resolved_ms or f.resolved_ms > start_ms]
        self._history.firings.sort(key=lambda firing: (firing.fired_ms, firing.labels))
        return self._history


@dataclass(slots=True, eq=False)
class _Planned:
    """A rule on its way through the past."""

    file: str
    group: GroupConfig
    rule: RuleConfig
    interval_ms: int
    number: int = 0
    alerting: AlertingRule | None = None
    spans: "_Spans" = field(init=False)

    def __post_init__(self) -> None:
        self.spans = _Spans()
        if self.rule.alert:
            self.alerting = AlertingRule(
                self.rule.alert,
                self.rule.expr,
                hold_ms=self.rule.for_ms,
                keep_firing_ms=self.rule.keep_firing_for_ms,
                labels={**self.group.labels, **self.rule.labels},
                annotations=self.rule.annotations,
            )


@dataclass(slots=True)
class _Span:
    """Steps one after the other at which an alert's expression gave a result; the end is the first without."""

    start_ms: int
    end_ms: int
    sample: AlertSample


class _Spans:
    """When each alert of a rule was active."""

    def __init__(self) -> None:
        self.by_labels: dict[LabelPairs, list[_Span]] = {}

    def add(self, result: Result, one: _Planned, around: Surroundings, offset_ms: int) -> None:
        """Add what a stretch gave; a span that touches the one before is one with it."""
        assert one.alerting is not None
        rows, starts, ends = _runs(result.present)
        if not len(rows):
            return
        seen, times = np.unique(rows), result.times + offset_ms
        every = dict(zip(seen.tolist(), result.labels.take(seen).labels(), strict=True))
        hold = -(-one.rule.for_ms // one.interval_ms)
        pieces = _cells(rows, starts, ends) if one.alerting.labels_vary else zip(rows, starts, ends, strict=True)
        for row, start, end in pieces:
            cell = result.values[row, min(start + hold, end - 1)]
            value = 0.0 if result.histograms and is_histogram(cell.reshape(1))[0] else float(cell)
            sample = AlertSample(every[int(row)], value)
            labels = one.alerting.labels_for(sample, int(times[start]), around)
            span = _Span(int(times[start]), int(times[end - 1]) + one.interval_ms, sample)
            known = self.by_labels.setdefault(labels, [])
            if known and known[-1].end_ms >= span.start_ms:
                known[-1].end_ms = max(known[-1].end_ms, span.end_ms)
            else:
                known.append(span)


def _runs(present: Mask) -> tuple[Ints, Ints, Ints]:
    """Find the runs of True in each row: row, first, one after the last; in the rows' order."""
    edges = np.diff(np.pad(present, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    return rows, starts, np.nonzero(edges == -1)[1]


def _cells(rows: Ints, starts: Ints, ends: Ints) -> Iterator[tuple[int, int, int]]:
    """Cut runs into single steps: a label that shows the value makes another alert at each."""
    for row, start, end in zip(rows, starts, ends, strict=True):
        for step in range(int(start), int(end)):
            yield int(row), step, step + 1


def _firings(
    one: _Planned, labels: LabelPairs, spans: Sequence[_Span], around: Surroundings, end_ms: int
) -> list[Firing]:
    """Let an alert go through pending, firing and over; `for` and `keep_firing_for` count in whole steps."""
    assert one.alerting is not None
    hold_ms = -(-one.rule.for_ms // one.interval_ms) * one.interval_ms
    keep_ms = -(-one.rule.keep_firing_for_ms // one.interval_ms) * one.interval_ms
    out: list[Firing] = []
    for span in spans:
        if out and out[-1].resolved_ms >= span.start_ms:  # it was kept firing until now
            out[-1].resolved_ms = max(out[-1].resolved_ms, span.end_ms + keep_ms)
            continue
        fired_ms = span.start_ms + hold_ms
        if fired_ms >= span.end_ms:
            continue
        annotations = one.alerting.expand_annotations(span.sample, fired_ms, around)
        out.append(
            Firing(
                one.file,
                one.group.name,
                labels,
                annotations,
                span.sample.value,
                span.start_ms,
                fired_ms,
                span.end_ms + keep_ms,
            )
        )
    if out and out[-1].resolved_ms > end_ms:
        out[-1].resolved_ms = 0
    return out


def _in_order(planned: list[_Planned]) -> list[_Planned]:
    """Put recordings before the rules that read them, whatever group they are in; else keep the files' order."""
    for number, one in enumerate(planned):
        one.number = number
    writers: dict[str, list[_Planned]] = {}
    for one in planned:
        if one.rule.record:
            writers.setdefault(one.rule.record, []).append(one)
    out: list[_Planned] = []
    state: dict[int, bool] = {}

    def visit(one: _Planned) -> None:
        if one.number in state:  # done, or a circle: then the files' order decides
            return
        state[one.number] = True
        for name in reads(one.rule.expr, writers):
            for writer in writers[name]:
                visit(writer)
        out.append(one)

    for one in planned:
        visit(one)
    return out


def _reach_ms(expr: Expr) -> int:
    """Give how far back an expression looks, at most."""
    below = max((_reach_ms(child) for child in expr.children), default=0)
    if isinstance(expr, MatrixSelector):
        return below + _known_ms(expr.range_ms)
    if isinstance(expr, Subquery):
        return below + _known_ms(expr.range_ms) + max(0, _known_ms(expr.offset_ms))
    if isinstance(expr, VectorSelector):
        return below + max(0, _known_ms(expr.offset_ms))
    return below


def _known_ms(duration: int | Duration) -> int:
    """Give a duration; of what depends on the query, step and range, nothing is left when a rule asks for a moment."""
    return duration if isinstance(duration, int) else 0
