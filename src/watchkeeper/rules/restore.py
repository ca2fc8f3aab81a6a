"""Alerts that were there before a restart, found again in ALERTS_FOR_STATE.

As in Prometheus, with two differences. An alert that was firing goes on firing, whatever its rule's `for` (Prometheus
makes it wait anew where `for` is shorter than the grace period). An alert that was pending keeps the time it had
waited; only the time we were down does not count.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from watchkeeper.model.doors import MetricReader
from watchkeeper.model.frame import ABSENT, FrameSlice, is_absent, is_stale
from watchkeeper.model.labels import METRIC_NAME, LabelPairs, label_pairs
from watchkeeper.model.matchers import Matcher
from watchkeeper.rules.alerting import ALERT_NAME, ALERTS_FOR_STATE, ActiveAlert, AlertingRule, State
from watchkeeper.rules.order import evaluation_time
from watchkeeper.rules.recording import Series
from watchkeeper.rules.settings import RuleSettings

EVALUATIONS = 2  # in the first, not everything may have been scraped yet


@dataclass(frozen=True, slots=True)
class Remembered:
    """An alert before the restart.

    active_at_ms  since when its expression gave a result
    seen_ms       when that was last so
    """

    active_at_ms: int
    seen_ms: int


Memory = Mapping[LabelPairs, Remembered]


def remember(reader: MetricReader, now_ms: int, tolerance_ms: int) -> dict[LabelPairs, Remembered]:
    """Find the alerts that were pending or firing when samples were last written; runs in a worker thread."""
    found: dict[LabelPairs, Remembered] = {}
    for part in reader.select([Matcher(METRIC_NAME, "=", ALERTS_FOR_STATE)], now_ms - tolerance_ms, now_ms):
        found |= _last_samples(part)
    return found


def _last_samples(part: FrameSlice) -> dict[LabelPairs, Remembered]:
    out = {}
    written = ~is_absent(part.values)
    last = written.shape[1] - 1 - np.argmax(written[:, ::-1], axis=1)
    rows = np.arange(len(part.labels))
    alive = written.any(axis=1) & ~is_stale(np.ascontiguousarray(part.values[rows, last]))
    for at, labels in enumerate(part.labels.labels()):
        if alive[at]:
            del labels[METRIC_NAME]
            seconds = float(part.values[at, last[at]])
            out[label_pairs(labels)] = Remembered(int(seconds * 1000), int(part.times[last[at]]))
    return out


def by_alert_name(memory: Memory) -> dict[str, dict[LabelPairs, Remembered]]:
    """Sort what is remembered by the name of the alert."""
    out: dict[str, dict[LabelPairs, Remembered]] = {}
    for labels, before in memory.items():
        out.setdefault(dict(labels).get(ALERT_NAME, ""), {})[labels] = before
    return out


def sharpened(memory: Memory, interval_ms: int, spread_ms: int) -> dict[LabelPairs, Remembered]:
    """Find the milliseconds again: samples say in whole seconds since when; it was at an evaluation of the group."""
    out = {}
    for labels, before in memory.items():
        evaluated_ms = evaluation_time(before.active_at_ms + 999, interval_ms, spread_ms)
        out[labels] = Remembered(max(before.active_at_ms, evaluated_ms), before.seen_ms)
    return out


def fired_at(active_at_ms: int, hold_ms: int, interval_ms: int) -> int:
    """Give the first evaluation at which an alert that was active since then had waited long enough."""
    return active_at_ms - (-hold_ms // interval_ms) * interval_ms


def resume(
    alert: ActiveAlert, memory: Memory, hold_ms: int, at_ms: int, interval_ms: int, settings: RuleSettings
) -> None:
    """Give a new alert the time that it had before the restart."""
    before = memory.get(alert.labels)
    if before is None:
        return
    remaining_ms = hold_ms - (before.seen_ms - before.active_at_ms)
    if remaining_ms <= 0:
        alert.active_at_ms = before.active_at_ms
        alert.state, alert.fired_at_ms = State.FIRING, fired_at(before.active_at_ms, hold_ms, interval_ms)
    elif hold_ms >= settings.for_grace_period_ms > remaining_ms:
        alert.active_at_ms = at_ms + settings.for_grace_period_ms - hold_ms
    else:
        alert.active_at_ms = before.active_at_ms + (at_ms - before.seen_ms)


def kept_firing(rule: AlertingRule, memory: Memory, present: set[LabelPairs], interval_ms: int) -> list[ActiveAlert]:
    """Give the alerts that were firing, and may keep firing although the expression gives them no more."""
    if not rule.keep_firing_ms:
        return []
    out = []
    for labels, before in memory.items():
        fired = before.seen_ms - before.active_at_ms >= rule.hold_ms
        if fired and labels not in present and (ALERT_NAME, rule.name) in labels:
            alert = ActiveAlert(labels, {}, float("nan"), before.active_at_ms, State.FIRING)
            alert.fired_at_ms = fired_at(before.active_at_ms, rule.hold_ms, interval_ms)
            out.append(alert)
    return out


def held_open(rule: AlertingRule, memory: Memory) -> Series:
    """Give the remembered series of a rule as absent samples, so that they do not end while they may be resumed."""
    return {
        label_pairs({**dict(labels), METRIC_NAME: ALERTS_FOR_STATE}): float(ABSENT)
        for labels in memory
        if (ALERT_NAME, rule.name) in labels
    }
