"""Unit tests of rules, in promtool's file format: series in, alerts and samples out.

source  Prometheus docs, Unit testing for rules; promtool test rules
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import BeforeValidator

from watchkeeper.model.document import Settings, parse, setting
from watchkeeper.model.doors import AlertSample
from watchkeeper.model.duration import format_duration
from watchkeeper.model.errors import BadConfig, BadInput, WatchkeeperError
from watchkeeper.model.gotemplate import format_float
from watchkeeper.model.gotemplate.lexer import quote
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.labels import LabelPairs, label_pairs
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.promql.literal import read_histogram, write_histogram
from watchkeeper.query.promql.notation import Sample, as_stored, read_metric, read_samples
from watchkeeper.query.promql.script import nearly_equal
from watchkeeper.rules.alerting import ALERT_NAME, AlertingRule, State
from watchkeeper.rules.files import Duration, LabelTexts, RuleFile, Text, check_rules
from watchkeeper.rules.order import steady_names
from watchkeeper.rules.rehearsal import RehearsalStore, StillClock
from watchkeeper.rules.runner import RuleRunner
from watchkeeper.rules.unit_test_report import (
    Outcome,
    Report,
    TestOutcome,
    braced,
    plainly,
    samples_differ,
)

_EVALUATIONS_MAX = 1_000_000
_Item = TypeVar("_Item")
_Listed = Annotated[tuple[_Item, ...], BeforeValidator(lambda value: () if value is None else value)]


def _read_float(value: Any) -> Any:
    return value.strip().lower().replace(".nan", "nan").replace(".inf", "inf") if isinstance(value, str) else value


class InputSeries(Settings):
    """A series of the input."""

    series: str = setting("", "Metric with labels, as in PromQL.")
    values: str = setting("", "Samples an interval apart: 1 2 _ 3+4x5 stale.")


class ExpectedAlert(Settings):
    """A firing alert."""

    exp_labels: LabelTexts = setting(dict, "Its labels but alertname.")
    exp_annotations: LabelTexts = setting(dict, "Its annotations.")


class AlertCase(Settings):
    """Which alerts of a name are firing at a time."""

    eval_time: Duration = setting(0, "Since the start.")
    alertname: Text = setting("", "The alert's name.")
    exp_alerts: _Listed[ExpectedAlert] = setting((), "The firing alerts.")


class ExpectedSample(Settings):
    """An element of a vector."""

    labels: Text = setting("", "Metric with labels.")
    value: Annotated[float, BeforeValidator(_read_float)] = setting(0.0, "Its value.")
    histogram: str = setting("", "A native histogram in place of a value: {{count:4 sum:5 buckets:[1 2 1]}}.")

    def sample(self) -> Sample:
        """Give what is expected.

        raises  BadInput when it is no histogram
        """
        if not self.histogram:
            return self.value
        text = self.histogram.strip()
        if not (text.startswith("{{") and text.endswith("}}")):
            raise BadInput(f"cannot read histogram {text!r}: want {{{{…}}}}")
        return read_histogram(text[2:-2])


class ExprCase(Settings):
    """What an expression gives at a time."""

    expr: Text = setting("", "PromQL.")
    eval_time: Duration = setting(0, "Since the start.")
    exp_samples: _Listed[ExpectedSample] = setting((), "The elements, in any order.")


class TestGroup(Settings):
    """One test."""

    __test__ = False  # for pytest: a class of the product, whatever its name

    name: Text = setting("", "Shown when it fails.")
    interval: Duration = setting(0, "Between samples of the input; evaluation_interval by default.")
    input_series: _Listed[InputSeries] = setting((), "The input.")
    promql_expr_test: _Listed[ExprCase] = setting((), "Expressions to evaluate.")
    alert_rule_test: _Listed[AlertCase] = setting((), "Alerts to expect.")
    external_labels: LabelTexts = setting(dict, "For templates.")
    external_url: Text = setting("", "For templates.")


class UnitTestFile(Settings):
    """A file of tests."""

    rule_files: _Listed[str] = setting((), "Globs of rule files, relative to this file.")
    evaluation_interval: Duration = setting(60_000, "Between evaluations of all groups.")
    group_eval_order: _Listed[str] = setting((), "Groups to evaluate first, in this order.")
    fuzzy_compare: bool = setting(default=False, description="Allow values to differ a little.")
    tests: _Listed[TestGroup] = setting((), "The tests.")


@dataclass(frozen=True, slots=True)
class Options:
    """How to run tests, as promtool's flags say.

    only            says by a test's name whether to run it
    report          how failures are written
    ignore_unknown  whether rule files may have fields that are not known
    debug           is told what goes on, if given: each test's begin and end, and all its samples
    """

    only: Callable[[str], bool] = lambda _: True
    report: Report = plainly
    ignore_unknown: bool = False
    debug: Callable[[str], None] | None = None


def run_unit_tests(paths: Sequence[Path], options: Options | None = None) -> list[Outcome]:
    """Run files of rule unit tests, one after the other."""
    return [_run_file(path, options or Options()) for path in paths]


def _run_file(path: Path, options: Options) -> Outcome:
    warnings: list[str] = []
    try:
        config, files = _read(path, warnings, ignore_unknown=options.ignore_unknown)
    except (BadInput, OSError) as error:
        return Outcome(str(path), fault=str(error), warnings=tuple(warnings))
    return Outcome(str(path), tuple(_run_tests(config, files, options)), warnings=tuple(warnings))


def _run_tests(config: UnitTestFile, files: Sequence[RuleFile], options: Options) -> Iterator[TestOutcome]:
    for group in config.tests:
        if options.only(group.name):
            began_s = time.perf_counter()
            if options.debug is not None:
                options.debug(f"DEBUG: Starting test {group.name}")
            try:
                failures = asyncio.run(_Trial(config, group, files, options).run())
            except WatchkeeperError as error:
                failures = [str(error)]
            if options.debug is not None:
                took_ms = (time.perf_counter() - began_s) * 1000
                options.debug(f"DEBUG: Test {group.name} finished, took {took_ms:.3f}ms")
            yield TestOutcome(group.name, tuple(failures))


def _read(path: Path, warnings: list[str], *, ignore_unknown: bool) -> tuple[UnitTestFile, list[RuleFile]]:
    document = parse(path.read_bytes(), str(path))
    config = document.read_as(UnitTestFile)
    seen: set[str] = set()
    for name in config.group_eval_order:
        if name in seen:
            raise BadConfig(str(path), document.line(("group_eval_order",)), "group_eval_order", name, "each name once")
        seen.add(name)
    found: list[Path] = []
    for pattern in config.rule_files:
        at = Path(pattern)
        base, relative = (Path("/"), str(at.relative_to("/"))) if at.is_absolute() else (path.parent, pattern)
        matching = sorted(base.glob(relative))
        if not matching:
            warnings.append(f"no file match pattern {path.parent / pattern}")
        found += matching
    return config, check_rules(found, ignore_unknown=ignore_unknown)


class _Trial:
    """One test: a world of its own, from its first evaluation to its last."""

    def __init__(self, config: UnitTestFile, group: TestGroup, files: Sequence[RuleFile], options: Options) -> None:
        self._config, self._group, self._options = config, group, options
        self._every_ms = config.evaluation_interval or 60_000
        self._interval_ms = group.interval or self._every_ms
        order = {name: at for at, name in enumerate(config.group_eval_order)}
        alone = [RuleFile(file.path, (one,)) for file in files for one in file.groups]
        self._files = sorted(alone, key=lambda file: order.get(file.groups[0].name, len(order)))
        self._store, self._clock = RehearsalStore(), StillClock()
        self._engine = Engine(self._store)
        self._idle: dict[str, list[AlertSample]] = {}
        self._runner = RuleRunner(
            self._ask, self._store, self._store, self._send, self._clock, external_url=group.external_url
        )

    def _ask(self, expr: str, time_ms: int) -> list[AlertSample]:
        """Evaluate; an expression none of whose metrics is there gives what it gave before.

        Of a large rule file, a test fills the series of a few rules; the others are most of the work.
        """
        names = steady_names(expr)
        idle = names is not None and not self._store.has_any(names)
        if idle and expr in self._idle:
            return self._idle[expr]
        found = self._engine.instant(expr, time_ms).samples()
        if idle:
            self._idle[expr] = found
        return found

    async def _send(self, _: object) -> None:
        return None

    async def run(self) -> list[str]:
        """Give what is not as expected.

        raises  BadInput when the input or an expression cannot be read
        """
        self._load()
        await self._runner.apply(
            self._files, interval_ms=self._interval_ms, external_labels=self._group.external_labels
        )
        try:
            return await self._evaluate()
        finally:
            await self._runner.stop()

    async def _evaluate(self) -> list[str]:
        nameless = next((case for case in self._group.alert_rule_test if not case.alertname), None)
        if nameless is not None:
            return [_nameless(nameless, self._group.name)]
        alerts = sorted(self._group.alert_rule_test, key=lambda case: case.eval_time)
        times = [case.eval_time for case in alerts] + [case.eval_time for case in self._group.promql_expr_test]
        last_ms = max(times, default=0)
        if last_ms // self._every_ms > _EVALUATIONS_MAX:
            raise BadInput(f"cannot run test: got {last_ms // self._every_ms} evaluations, want {_EVALUATIONS_MAX}")
        failures: list[str] = []
        for now_ms in range(0, last_ms + 1, self._every_ms):
            self._clock.time_ms = now_ms
            await self._runner.evaluate_all(now_ms)
            broken = self._broken_rules(now_ms)
            if broken:
                return broken
            here = (case for case in alerts if now_ms <= case.eval_time < now_ms + self._every_ms)
            failures += [failure for case in here if (failure := self._check_alerts(case))]
        failures += [failure for expr in self._group.promql_expr_test if (failure := self._check_expr(expr))]
        if self._options.debug is not None:
            self._options.debug(self._dump(last_ms))
        return failures

    def _dump(self, last_ms: int) -> str:
        """Show all samples, those of the input and those that rules wrote."""
        end_ms = last_ms + 1000  # as promtool, which leaves out time 0
        found = self._engine.instant(f'{{__name__!=""}}[{end_ms}ms]', end_ms)
        lines = [f"DEBUG: Dump of all data (input_series and rules) at {format_duration(end_ms)}:"]
        for row, labels in enumerate(found.labels.labels()):
            lines.append(f"{braced(labels)} =>")
            for step in np.flatnonzero(found.present[row]).tolist():
                held: Sample = float(found.values[row, step])
                if found.histograms and found.native()[row, step]:
                    held = found.histogram(row, step)
                lines.append(f"{_written(held)} @[{found.times[step]}]")
        return "\n".join(lines)

    def _load(self) -> None:
        for one in self._group.input_series:
            labels, rest = read_metric(one.series)
            if rest:
                raise BadInput(f"cannot read series {one.series!r}: got {rest!r} after it")
            on_grid = [
                (at * self._interval_ms, one) for at, one in enumerate(read_samples(one.values)) if one is not None
            ]
            stored = as_stored([sample for _, sample in on_grid])
            self._store.given.add(dict(labels), list(zip((at for at, _ in on_grid), stored, strict=True)))

    def _broken_rules(self, now_ms: int) -> list[str]:
        rules = [rule for group in self._runner.groups() for rule in group.rules if rule.health.state == "err"]
        when = format_duration(now_ms)
        return [f"    rule: {rule.name}, time: {when}, err: {rule.health.last_error}" for rule in rules]

    def _check_alerts(self, case: AlertCase) -> str:
        rules = [rule for group in self._runner.groups() for rule in group.rules if isinstance(rule, AlertingRule)]
        got = [
            (alert.labels, label_pairs(alert.annotations))
            for rule in rules
            if rule.name == case.alertname
            for alert in rule.shown()
            if alert.state is State.FIRING
        ]
        wanted = [
            (label_pairs({**one.exp_labels, ALERT_NAME: case.alertname}), label_pairs(one.exp_annotations))
            for one in case.exp_alerts
        ]
        if sorted(got) == sorted(wanted):
            return ""
        head = f"    alertname: {case.alertname}, time: {format_duration(case.eval_time)}, "
        return self._options.report(head, sorted(wanted), sorted(got))

    def _check_expr(self, case: ExprCase) -> str:
        head = f"    expr: {quote(case.expr)}, time: {format_duration(case.eval_time)},"
        try:
            got: list[tuple[LabelPairs, Sample]] = [
                (label_pairs(one.labels), one.value if one.histogram is None else one.histogram)
                for one in self._ask(case.expr, case.eval_time)
            ]
        except BadInput as error:
            return f"{head} err: {error}"
        wanted = [(read_metric(one.labels or "{}")[0], one.sample()) for one in case.exp_samples]
        got.sort(key=lambda one: one[0])
        wanted.sort(key=lambda one: one[0])
        if [labels for labels, _ in got] == [labels for labels, _ in wanted]:
            pairs = zip(got, wanted, strict=True)
            if all(self._equal(ours, theirs) for (_, ours), (_, theirs) in pairs):
                return ""
        return samples_differ(head, wanted, got)

    def _equal(self, got: Sample, wanted: Sample) -> bool:
        if isinstance(got, Histogram) or isinstance(wanted, Histogram):
            return _written(got) == _written(wanted)  # as promtool does: hints count
        if got == wanted or (got != got and wanted != wanted):  # noqa: PLR0124  # NaN
            return True
        return self._config.fuzzy_compare and nearly_equal(got, wanted)


def _written(value: Sample) -> str:
    return write_histogram(value) if isinstance(value, Histogram) else format_float(value)


def _nameless(case: AlertCase, test: str) -> str:
    when = format_duration(case.eval_time)
    told = f"an item under alert_rule_test misses required attribute alertname at eval_time {when}"
    return f"{told} (in TestGroup {test})" if test else told
