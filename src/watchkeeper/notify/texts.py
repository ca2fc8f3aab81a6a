"""The texts of one notification: what templates see of it, and what they make of it.

source  Alertmanager docs, Notification template reference
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from math import isfinite
from typing import Any, ClassVar

from watchkeeper.model.alert import Alert
from watchkeeper.model.document import typed
from watchkeeper.model.errors import BadInput, NotDelivered
from watchkeeper.model.gotemplate import GoTime, Record, StringMap, format_float
from watchkeeper.notify.notification import Notification, is_firing, status_of
from watchkeeper.notify.payload import common, quote_regex
from watchkeeper.notify.template import ZERO_MS, Templates

_EXPONENT_FROM = 1e21  # Go writes smaller whole numbers without one


class Pairs(list[Record]):
    """Labels in order: alertname first, then by name."""

    go_type: ClassVar[str] = "template.Pairs"
    go_methods: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "Names": lambda self: [pair.fields["Name"] for pair in self],
        "Values": lambda self: [pair.fields["Value"] for pair in self],
        "String": lambda self: ", ".join(f"{pair.fields['Name']}={pair.fields['Value']}" for pair in self),
    }


class KV(StringMap):
    """Labels or annotations."""

    go_type: ClassVar[str] = "template.KV"
    go_methods: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "SortedPairs": lambda self: _pairs(self),  # noqa: PLW0108 — defined below
        "Names": lambda self: [pair.fields["Name"] for pair in _pairs(self)],
        "Values": lambda self: [pair.fields["Value"] for pair in _pairs(self)],
        "Remove": lambda self, names: KV({key: value for key, value in self.items() if key not in names}),
        "String": lambda self: _pairs(self).go_methods["String"](_pairs(self)),
    }


def _pairs(labels: Mapping[str, str]) -> Pairs:
    names = sorted(labels, key=lambda name: (name != "alertname", name))
    return Pairs(Record("template.Pair", {"Name": name, "Value": labels[name]}) for name in names)


class AlertList(list[Record]):
    """The alerts of a notification."""

    go_type: ClassVar[str] = "template.Alerts"
    go_methods: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "Firing": lambda self: AlertList(one for one in self if one.fields["Status"] == "firing"),
        "Resolved": lambda self: AlertList(one for one in self if one.fields["Status"] == "resolved"),
    }


def _alert(alert: Alert) -> Record:
    firing = is_firing(alert)
    return Record(
        "template.Alert",
        {
            "Status": "firing" if firing else "resolved",
            "Labels": KV(alert.labels),
            "Annotations": KV(alert.annotations),
            "StartsAt": GoTime(alert.starts_at_ms),
            "EndsAt": GoTime(ZERO_MS if firing else alert.ends_at_ms),
            "GeneratorURL": alert.generator_url,
            "Fingerprint": f"{alert.fingerprint:016x}",
        },
    )


def data_of(notification: Notification) -> Record:
    """Make what a template sees."""
    alerts = notification.alerts
    return Record(
        "*template.Data",
        {
            "Receiver": quote_regex(notification.receiver),
            "Status": status_of(alerts),
            "Alerts": AlertList(_alert(alert) for alert in alerts),
            "GroupLabels": KV(notification.group_labels),
            "CommonLabels": KV(common(alert.labels for alert in alerts)),
            "CommonAnnotations": KV(common(alert.annotations for alert in alerts)),
            "ExternalURL": notification.external_url,
            "NotificationReason": str(notification.reason),
        },
    )


def _inline(text: str) -> Any:
    """Give what a text says as YAML, and so on with the texts in it; the text itself when that is a text.

    Alertmanager also runs what it finds there as templates once more: a label could then write templates, so we do not.
    """
    try:
        found = typed(text)
    except BadInput:
        return text
    return text if isinstance(found, str) else _within(found)


def _within(value: Any) -> Any:
    """Go on with the texts in a tree; keys of mappings in order, numbers as Go's encoder writes them."""
    if isinstance(value, str):
        return value if "{{" in value else _inline(value)
    if isinstance(value, Mapping):
        return {key: _within(value[key]) for key in sorted(value)}
    if isinstance(value, float):
        if not isfinite(value):
            raise NotDelivered(f"json: unsupported value: {format_float(value)}", permanent=True)
        return int(value) if value.is_integer() and abs(value) < _EXPONENT_FROM else value
    return [_within(one) for one in value] if isinstance(value, list) else value


class NotificationTexts:
    """Makes the texts of one notification."""

    def __init__(self, templates: Templates, notification: Notification) -> None:
        self._templates, self._notification = templates, notification

    @cached_property
    def data(self) -> Record:
        """What templates see."""
        return data_of(self._notification)

    def text(self, template: str) -> str:
        """Give a plain text.

        raises  NotDelivered, permanent, when the template fails
        """
        return self._execute(template, html=False)

    def html(self, template: str) -> str:
        """Give HTML in which every value is escaped by where it stands.

        raises  NotDelivered, permanent, when the template fails
        """
        return self._execute(template, html=True)

    def deep(self, value: Any) -> Any:
        """Give a tree of mappings and lists in which every text is one, or what YAML reads in it: a number, a list."""
        if isinstance(value, str):
            return _inline(self.text(value))
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.deep(one) for key, one in sorted(value.items())}
        return [self.deep(one) for one in value] if isinstance(value, list | tuple) else value

    def _execute(self, template: str, *, html: bool) -> str:
        try:
            return self._templates.execute(template, self.data, html=html)
        except BadInput as error:
            raise NotDelivered(f"failed to execute template: {error}", permanent=True) from None
