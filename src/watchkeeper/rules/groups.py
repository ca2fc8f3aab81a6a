"""A group: rules evaluated one after the other at one moment, their series stored as rows of the group's frames."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import structlog

from watchkeeper.model.alert import Alert
from watchkeeper.model.clock import Clock
from watchkeeper.model.doors import AlertSample, MetricWriter, SendAlerts
from watchkeeper.model.errors import BadInput, WatchkeeperError
from watchkeeper.model.frame import ABSENT, Layout, Row, cells_of
from watchkeeper.model.labels import LabelPairs
from watchkeeper.rules import metrics, restore
from watchkeeper.rules.alerting import ActiveAlert, AlertingRule
from watchkeeper.rules.files import GroupConfig, RuleConfig
from watchkeeper.rules.language import PROMQL, Language
from watchkeeper.rules.order import evaluation_time, spread_ms, stages
from watchkeeper.rules.recording import RecordingRule, Series
from watchkeeper.rules.settings import RuleSettings
from watchkeeper.rules.template import Surroundings, link

log = structlog.get_logger(__name__)
Rule = RecordingRule | AlertingRule


@dataclass(frozen=True, slots=True)
class GroupContext:
    """What a group works with, besides its rules.

    send             hands alerts to notify
    threads          where expressions are evaluated
    interval_ms      for groups that name none
    query_offset_ms  for groups that name none
    """

    around: Surroundings
    writer: MetricWriter
    send: SendAlerts
    clock: Clock
    threads: Executor
    settings: RuleSettings
    interval_ms: int
    query_offset_ms: int


@dataclass(slots=True)
class Stage:
    """Rules that do not read each other; one row an evaluation.

    source  the frame's name in the store
    """

    source: str
    rules: tuple[Rule, ...]
    layout: Layout | None = None
    listed: list[LabelPairs] = field(default_factory=list)

    def row(self, writer: MetricWriter, series: Series, time_ms: int) -> Row:
        """Make the row of an evaluation; a series of an earlier one that is not in it ends."""
        listed = list(series)
        if self.layout is None or listed != self.listed:
            self.layout = writer.layout(self.source, [dict(labels) for labels in listed])
            self.listed = listed
        values, histograms = cells_of(series.values())
        return Row(self.layout, time_ms, values, whole=True, histograms=histograms)


class Group:
    """Rules with a common clock. Used on the event loop's thread alone."""

    def __init__(self, file: str, config: GroupConfig, context: GroupContext, language: Language = PROMQL) -> None:
        self.file, self.config, self.context, self.language = file, config, context, language
        self.name, self.limit = config.name, config.limit
        self.interval_ms = config.interval_ms or context.interval_ms
        offset = config.query_offset_ms
        self.query_offset_ms = context.query_offset_ms if offset is None else offset
        self.spread_ms = spread_ms(self.name, file, self.interval_ms)
        self.rules: tuple[Rule, ...] = tuple(_make(rule, config.labels, language) for rule in config.rules)
        self.stages = self._cut()
        self.memory: restore.Memory = {}
        self.evaluation_time_s = 0.0
        self.last_evaluation_ms = 0
        self.samples = 0
        self._evaluations_to_restore = 0
        self._kept: list[tuple[AlertingRule, ActiveAlert]] = []
        metrics.describe_group(self.key, len(self.rules), self.interval_ms)

    @property
    def key(self) -> str:
        """File and name, as Prometheus writes the two in its metrics."""
        return f"{self.file};{self.name}"

    def _cut(self) -> list[Stage]:
        out = []
        cut = stages(self.rules) if self.language.reads_metrics else [list(range(len(self.rules)))]
        for number, positions in enumerate(cut):
            source = f"rules/{self.key}" + (f";{number}" if number else "")
            out.append(Stage(source, tuple(self.rules[at] for at in positions)))
        return out

    def due(self, now_ms: int) -> int:
        """Give when the group is due first."""
        return evaluation_time(now_ms, self.interval_ms, self.spread_ms) + self.interval_ms

    def same_as(self, config: GroupConfig, context: GroupContext, language: Language) -> bool:
        """Say whether a reload leaves this group as it is."""
        return self.config == config and self.context == context and self.language is language

    def remember(self, by_name: Mapping[str, restore.Memory]) -> None:
        """Hand over the alerts before a restart, by their names, for the first evaluations."""
        started_s = self.context.clock.monotonic_s()
        names = {rule.name for rule in self.rules if isinstance(rule, AlertingRule)}
        own = {labels: before for name in names for labels, before in by_name.get(name, {}).items()}
        self.memory = restore.sharpened(own, self.interval_ms, self.spread_ms)
        self._evaluations_to_restore = restore.EVALUATIONS if own else 0
        metrics.count_restoration(self.key, self.context.clock.monotonic_s() - started_s)

    def continue_from(self, old: "Group") -> None:
        """Take over the state of the rules that are still there, by name and labels."""
        left: dict[object, list[Rule]] = {}
        for rule in old.rules:
            left.setdefault((type(rule), rule.identity), []).append(rule)
        for rule in self.rules:
            candidates = left.get((type(rule), rule.identity))
            if candidates:
                rule.continue_from(candidates.pop(0))  # type: ignore[arg-type]
        self.memory, self._evaluations_to_restore = old.memory, old._evaluations_to_restore  # noqa: SLF001  # its twin
        self.evaluation_time_s, self.last_evaluation_ms = old.evaluation_time_s, old.last_evaluation_ms

    # evaluation

    async def evaluate(self, at_ms: int) -> None:
        """Evaluate every rule as of a moment: store the series, send the alerts. Rule errors are kept in the rules."""
        started_ms, started_s = self.context.clock.now_ms(), self.context.clock.monotonic_s()
        self.samples = 0
        for stage in self.stages:
            loop = asyncio.get_running_loop()
            answers = await loop.run_in_executor(self.context.threads, self._ask, stage, at_ms)
            series: Series = {}
            for rule, answer in zip(stage.rules, answers, strict=True):
                self._join(series, rule, self._take(rule, answer, at_ms))
            await self._send(stage, at_ms)
            self._store(stage, series, at_ms - self.query_offset_ms)
        self._evaluations_to_restore = max(0, self._evaluations_to_restore - 1)
        self._kept = []
        if not self._evaluations_to_restore:
            self.memory = {}
        self.last_evaluation_ms = started_ms
        self.evaluation_time_s = self.context.clock.monotonic_s() - started_s
        of_rules_s = sum(rule.health.evaluation_time_s for rule in self.rules)
        metrics.count_iteration(self.key, at_ms, self.evaluation_time_s, self.samples, of_rules_s)

    def _ask(self, stage: Stage, at_ms: int) -> list[Any]:
        """Evaluate the rules of a stage; runs in a worker thread. An error takes the place of a result."""
        out: list[Any] = []
        clock, around = self.context.clock, self.context.around
        for rule in stage.rules:
            health, started_s = rule.health, clock.monotonic_s()
            health.last_evaluation_ms = clock.now_ms()
            answer: Any
            try:
                answer = rule.ask(at_ms, at_ms - self.query_offset_ms, around, self.limit)
                self._check_size(answer)
                self._keep_firing(rule, answer, at_ms)
            except WatchkeeperError as error:
                answer = error
            except Exception as error:  # one rule's fault must not stop the others
                answer = BadInput(f"cannot evaluate rule: {type(error).__name__}: {error}")
                if health.last_error != str(answer):  # the whole story once, not at every evaluation
                    log.exception("rule_crashed", group=self.key, rule=rule.name)
            health.evaluation_time_s = clock.monotonic_s() - started_s
            out.append(answer)
        return out

    def _keep_firing(self, rule: Rule, made: Sequence[Any], at_ms: int) -> None:
        """In the first evaluation after a restart, bring back the alerts that fire without their expression."""
        if not isinstance(rule, AlertingRule) or self._evaluations_to_restore != restore.EVALUATIONS:
            return
        present = {alert.labels for alert in made} | rule.active.keys()
        for alert in restore.kept_firing(rule, self.memory, present, self.interval_ms):
            sample = AlertSample(dict(alert.labels), alert.value)
            alert.annotations = rule.expand_annotations(sample, at_ms, self.context.around)
            self._kept.append((rule, alert))

    def _check_size(self, answer: Sequence[Any] | Series) -> None:
        if len(answer) > self.context.settings.results_max:
            raise BadInput(f"exceeded limit of {self.context.settings.results_max} with {len(answer)} series")

    def _take(self, rule: Rule, answer: Any, at_ms: int) -> Series | None:
        """Move a rule on by its answer; gives its series, or None when it failed."""
        metrics.count_evaluation(self.key, rule.health.evaluation_time_s)
        try:
            if isinstance(answer, WatchkeeperError):
                raise answer
            series = self._advance(rule, answer, at_ms) if isinstance(rule, AlertingRule) else answer
        except WatchkeeperError as error:
            self._failed(rule, error)
            return None
        rule.health.state, rule.health.last_error = "ok", ""
        return series

    def _advance(self, rule: AlertingRule, made: Sequence[ActiveAlert], at_ms: int) -> Series:
        if self.memory:
            for alert in made:
                if alert.labels not in rule.active:
                    restore.resume(alert, self.memory, rule.hold_ms, at_ms, self.interval_ms, self.context.settings)
            for owner, alert in self._kept:
                if owner is rule:
                    rule.active[alert.labels] = alert
        rule.advance(made, at_ms, self.limit)
        return rule.series()

    def _failed(self, rule: Rule, error: WatchkeeperError) -> None:
        rule.health.state, rule.health.last_error = "err", str(error)
        metrics.count_failure(self.key)
        log.warning("rule_evaluation_failed", group=self.key, rule=rule.name, error=str(error)[:500])

    def _join(self, into: Series, rule: Rule, series: Series | None) -> None:
        """Add a rule's series to the stage's; those of a rule that failed neither end nor get a sample."""
        if series is None:
            series = dict.fromkeys(rule.stored, float(ABSENT))
        else:
            rule.stored = tuple(series)
            self.samples += len(series)
            if isinstance(rule, AlertingRule) and self._evaluations_to_restore > 1:
                series = restore.held_open(rule, self.memory) | series
        doubled = [labels for labels in into.keys() & series.keys() if into[labels] != series[labels]]
        if doubled and rule.health.state == "ok":
            rule.health.state, rule.health.last_error = "err", "duplicate sample for timestamp"
            log.warning("rule_series_doubled", group=self.key, rule=rule.name, count=len(doubled))
        for labels, value in series.items():
            into.setdefault(labels, value)

    # what comes of it

    async def _send(self, stage: Stage, at_ms: int) -> None:
        due = [
            self._outgoing(rule, alert, at_ms)
            for rule in stage.rules
            if isinstance(rule, AlertingRule) and rule.health.state == "ok"
            for alert in rule.to_send(at_ms, self.context.settings.resend_delay_ms, self.interval_ms)
        ]
        if not due:
            return
        try:
            await self.context.send(due)
        except Exception as error:  # noqa: BLE001  # sent again after the resend delay; samples are stored all the same
            metrics.SENDING_FAILURES.inc()
            log.warning("alerts_not_sent", group=self.key, count=len(due), error=str(error)[:500])

    def _outgoing(self, rule: AlertingRule, alert: ActiveAlert, at_ms: int) -> Alert:
        around = self.context.around
        return Alert(
            labels={**around.external_labels, **dict(alert.labels)},
            annotations=dict(alert.annotations),
            starts_at_ms=alert.fired_at_ms,
            ends_at_ms=alert.resolved_at_ms or alert.valid_until_ms,
            updated_at_ms=at_ms,
            generator_url=around.external_url + link(rule.query, 1),
        )

    def _store(self, stage: Stage, series: Series, time_ms: int) -> None:
        try:
            appended = self.context.writer.append([stage.row(self.context.writer, series, time_ms)])
        except WatchkeeperError as error:
            for rule in stage.rules:
                self._failed(rule, error)
            return
        for reason, count in appended.refused.items():
            metrics.SAMPLES_REFUSED.labels(reason).inc(count)
            log.warning("rule_samples_refused", group=self.key, reason=reason, count=count)


def end_series(writer: MetricWriter, source: str, time_ms: int) -> None:
    """End the series of a frame that no group writes any more."""
    try:
        writer.append([Row(writer.layout(source, []), time_ms, np.empty(0), whole=True)])
    except WatchkeeperError as error:
        log.warning("rule_series_not_ended", source=source, error=str(error))


def _make(config: RuleConfig, group_labels: Mapping[str, str], language: Language) -> Rule:
    labels = {**group_labels, **config.labels}
    if config.record:
        return RecordingRule(config.record, config.expr, labels, language)
    return AlertingRule(
        config.alert,
        config.expr,
        hold_ms=config.for_ms,
        keep_firing_ms=config.keep_firing_for_ms,
        labels=labels,
        annotations=config.annotations,
        language=language,
    )
