"""A notification as data: the webhook's version 4, which templates see, too.

source  Alertmanager docs, Configuration, webhook_config; Notification template reference
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from watchkeeper.model.alert import Alert
from watchkeeper.notify.gotext import ZERO_TIME, rfc3339
from watchkeeper.notify.notification import Notification, is_firing, status_of

_REGEX_CHARACTERS = re.compile(r"[\\.+*?()|\[\]{}^$]")


def webhook_payload(notification: Notification, alerts_max: int = 0) -> dict[str, Any]:
    """Make the message, fields in Alertmanager's order.

    alerts_max  alerts beyond it are counted in truncatedAlerts only; 0 is all
    """
    alerts = notification.alerts[:alerts_max] if alerts_max else notification.alerts
    return {
        "receiver": quote_regex(notification.receiver),
        "status": status_of(alerts),
        "alerts": [_alert(alert) for alert in alerts],
        "notification_reason": str(notification.reason),
        "groupLabels": _sorted(notification.group_labels),
        "commonLabels": common(alert.labels for alert in alerts),
        "commonAnnotations": common(alert.annotations for alert in alerts),
        "externalURL": notification.external_url,
        "version": "4",
        "groupKey": notification.group_key,
        "truncatedAlerts": len(notification.alerts) - len(alerts),
    }


def _alert(alert: Alert) -> dict[str, Any]:
    firing = is_firing(alert)
    return {
        "status": "firing" if firing else "resolved",
        "labels": _sorted(alert.labels),
        "annotations": _sorted(alert.annotations),
        "startsAt": rfc3339(alert.starts_at_ms),
        "endsAt": ZERO_TIME if firing else rfc3339(alert.ends_at_ms),
        "generatorURL": alert.generator_url,
        "fingerprint": f"{alert.fingerprint:016x}",
    }


def _sorted(labels: Mapping[str, str]) -> dict[str, str]:
    return dict(sorted(labels.items()))


def quote_regex(text: str) -> str:
    """Write a receiver's name as Alertmanager's messages do: quoted for regular expressions."""
    return _REGEX_CHARACTERS.sub(r"\\\g<0>", text)


def common(label_sets: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Give the labels that all sets have with the same value, sorted."""
    shared: set[tuple[str, str]] | None = None
    for labels in label_sets:
        shared = set(labels.items()) if shared is None else shared & labels.items()
    return dict(sorted(shared or ()))
