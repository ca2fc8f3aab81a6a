"""Unit tests of rules, in promtool's file format: series in, alerts and samples out.

source  Prometheus docs, Unit testing for rules; promtool test rules
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar
from xml.etree import ElementTree as ET

from pydantic import BeforeValidator

from watchkeeper.model.document import Settings, parse, setting
from watchkeeper.model.doors import AlertSample
from watchkeeper.model.duration import format_duration
from watchkeeper.model.errors import BadConfig, BadInput, WatchkeeperError
from watchkeeper.model.gotemplate import format_float
from watchkeeper.model.gotemplate.lexer import quote
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.labels import LabelPairs, Labels, label_pairs
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.promql.literal import read_histogram, write_histogram
from watchkeeper.query.promql.notation import Sample, as_stored, read_metric, read_samples
from watchkeeper.query.promql.script import nearly_equal
from watchkeeper.rules.alerting import ALERT_NAME, AlertingRule, State
from watchkeeper.rules.files import Duration, LabelTexts, RuleFile, Text, check_rules
from watchkeeper.rules.order import steady_names
from watchkeeper.rules.rehearsal import RehearsalStore, StillClock
from watchkeeper.rules.runner import RuleRunner

_EVALUATIONS_MAX = 1_000_000
_EXACT = 1e-13  # what the order of additions may change
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
class TestOutcome:
    """What became of one test; its failures are texts for a person."""

    __test__ = False

    name: str
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file of tests.

    tests     those that ran
    fault     why the file cannot be run at all
    warnings  patterns that no rule file matches
    """

    path: str
    tests: tuple[TestOutcome, ...] = ()
    fault: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """Texts for a person; empty when all passed."""
        found = [
            f"    name: {test.name},\n{failure}" if test.name else failure
            for test in self.tests
            for failure in test.failures
        ]
        return (self.fault, *found) if self.fault else tuple(found)


def run_unit_tests(paths: Sequence[Path], only: Callable[[str], bool] = lambda _: True) -> list[Outcome]:
    """Run files of rule unit tests, one after the other.

    only  says by a test's name whether to run it
    """
    return [_run_file(path, only) for path in paths]


def _run_file(path: Path, only: Callable[[str], bool]) -> Outcome:
    warnings: list[str] = []
    try:
        config, files = _read(path, warnings)
    except (BadInput, OSError) as error:
        return Outcome(str(path), fault=str(error), warnings=tuple(warnings))
    return Outcome(str(path), tuple(_run_tests(config, files, only)), warnings=tuple(warnings))


def _run_tests(config: UnitTestFile, files: Sequence[RuleFile], only: Callable[[str], bool]) -> Iterator[TestOutcome]:
    for group in config.tests:
        if only(group.name):
            try:
                failures = asyncio.run(_Trial(config, group, files).run())
            except WatchkeeperError as error:
                failures = [str(error)]
            yield TestOutcome(group.name, tuple(failures))


def _read(path: Path, warnings: list[str]) -> tuple[UnitTestFile, list[RuleFile]]:
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
    return config, check_rules(found)


class _Trial:
    """One test: a world of its own, from its first evaluation to its last."""

    def __init__(self, config: UnitTestFile, group: TestGroup, files: Sequence[RuleFile]) -> None:
        self._config, self._group = config, group
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
        return failures

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
        head = f"    alertname: {case.alertname}, time: {format_duration(case.eval_time)},"
        return _difference(head, *([_shown_alert(*one) for one in sorted(side)] for side in (wanted, got)))

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
        got.sort(key=lambda one: _shown_sample(*one))
        wanted.sort(key=lambda one: _shown_sample(*one))
        if [labels for labels, _ in got] == [labels for labels, _ in wanted]:
            pairs = zip(got, wanted, strict=True)
            if all(self._equal(ours, theirs) for (_, ours), (_, theirs) in pairs):
                return ""
        return _difference(head, *([_shown_sample(*one) for one in side] for side in (wanted, got)))

    def _equal(self, got: Sample, wanted: Sample) -> bool:
        if isinstance(got, Histogram) or isinstance(wanted, Histogram):
            return _written(got) == _written(wanted)  # as promtool does: hints count
        if got == wanted or (got != got and wanted != wanted):  # noqa: PLR0124  # NaN
            return True
        if self._config.fuzzy_compare:
            return nearly_equal(got, wanted)
        return abs(got - wanted) <= _EXACT * abs(wanted)


def junit(outcomes: Sequence[Outcome]) -> bytes:
    """Write outcomes as JUnit's XML, a suite a file, as promtool does."""
    suites = ET.Element("testsuites")
    for outcome in outcomes:
        failed = sum(bool(test.failures) for test in outcome.tests)
        counts = {
            "tests": len(outcome.tests) or 1,
            "failures": failed,
            "errors": int(bool(outcome.fault)),
            "skipped": 0,
        }
        numbers = {name: str(count) for name, count in counts.items()}
        suite = ET.SubElement(suites, "testsuite", {"name": outcome.path, **numbers, "timestamp": ""})
        if outcome.fault:
            case = ET.SubElement(suite, "testcase", {"name": "unknown"})
            ET.SubElement(case, "error").text = outcome.fault
        for test in outcome.tests:
            case = ET.SubElement(suite, "testcase", {"name": test.name})
            for failure in test.failures:
                ET.SubElement(case, "failure").text = failure
    return ET.tostring(suites, "utf-8")


def _difference(head: str, wanted: list[str], got: list[str]) -> str:
    return f"{head}\n        exp:[{_lines(wanted)}],\n        got:[{_lines(got)}]"


def _lines(items: list[str]) -> str:
    return "".join(f"\n            {item}" for item in items)


def _shown_alert(labels: Sequence[tuple[str, str]], annotations: Sequence[tuple[str, str]]) -> str:
    return f"Labels:{_braced(dict(labels))} Annotations:{_braced(dict(annotations))}"


def _shown_sample(labels: Sequence[tuple[str, str]], value: Sample) -> str:
    named = dict(labels)
    return f"{named.pop('__name__', '')}{_braced(named)} {_written(value)}"


def _written(value: Sample) -> str:
    return write_histogram(value) if isinstance(value, Histogram) else format_float(value)


def _braced(labels: Labels) -> str:
    return "{" + ", ".join(f"{name}={quote(text)}" for name, text in labels.items()) + "}"
