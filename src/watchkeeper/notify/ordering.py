"""The orders in which Alertmanager shows alerts and label sets."""

from collections.abc import Iterable
from functools import cmp_to_key

from watchkeeper.model.alert import Alert
from watchkeeper.model.labels import Labels
from watchkeeper.notify.gotext import quoted


def sorted_alerts(alerts: Iterable[Alert]) -> list[Alert]:
    """Sort by `job`, then `instance` (those without last), then by all labels."""
    return sorted(alerts, key=_alert_key)


def _alert_key(alert: Alert) -> tuple[object, ...]:
    labels = alert.labels
    fixed = [(name not in labels, labels.get(name, "")) for name in ("job", "instance")]
    return (*fixed, label_key(labels))


def label_key(labels: Labels) -> object:
    """Give what label sets sort by: fewer labels first; then, name by name, a missing label before a present one."""
    return _LABEL_KEY(labels)


def _compare(one: Labels, other: Labels) -> int:
    if len(one) != len(other):
        return len(one) - len(other)
    for name in sorted(one.keys() | other.keys()):
        mine, theirs = one.get(name), other.get(name)
        if mine == theirs:
            continue
        if mine is None:
            return -1
        return 1 if theirs is None or mine > theirs else -1
    return 0


_LABEL_KEY = cmp_to_key(_compare)


def label_set(labels: Labels) -> str:
    """Write labels as {a="b", c="d"}: how a group key ends.

    source  github.com/prometheus/common, model.LabelSet.String
    """
    return "{" + ", ".join(f"{name}={quoted(labels[name])}" for name in sorted(labels)) + "}"
