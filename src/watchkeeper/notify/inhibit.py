"""Inhibition: while one alert fires, others are muted.

source  Alertmanager docs, Configuration, Inhibition-related settings; inhibit/inhibit.go
"""

from collections.abc import Iterable

from watchkeeper.model.alert import Alert
from watchkeeper.model.labels import Labels
from watchkeeper.notify.matcher import LabelMatcher, match_all
from watchkeeper.notify.settings import InhibitRule


class _Rule:
    """One rule, with the alerts that match its source by the values that must be equal."""

    def __init__(self, config: InhibitRule) -> None:
        self._source = _matchers(config.source_match, config.source_match_re, config.source_matchers)
        self._target = _matchers(config.target_match, config.target_match_re, config.target_matchers)
        self._equal = config.equal
        self._sources: dict[tuple[str, ...], dict[int, Alert]] = {}

    def learn(self, alert: Alert) -> None:
        if match_all(self._source, alert.labels):
            self._sources.setdefault(self._values(alert.labels), {})[alert.fingerprint] = alert

    def forget(self, now_ms: int) -> None:
        for values, alerts in list(self._sources.items()):
            kept = {one: alert for one, alert in alerts.items() if not alert.resolved(now_ms)}
            if kept:
                self._sources[values] = kept
            else:
                del self._sources[values]

    def muted_by(self, labels: Labels, now_ms: int) -> list[int]:
        if not match_all(self._target, labels):
            return []
        sources = self._sources.get(self._values(labels))
        if not sources:
            return []
        two_sided = match_all(self._source, labels)  # such an alert is not muted by others of its kind
        return [
            one
            for one, alert in sources.items()
            if not alert.resolved(now_ms) and not (two_sided and match_all(self._target, alert.labels))
        ]

    def _values(self, labels: Labels) -> tuple[str, ...]:
        return tuple(labels.get(name, "") for name in self._equal)


class Inhibitor:
    """All inhibition rules."""

    def __init__(self, rules: Iterable[InhibitRule]) -> None:
        self._rules = [_Rule(rule) for rule in rules]

    def learn(self, alert: Alert) -> None:
        """Note what is new about an alert."""
        for rule in self._rules:
            rule.learn(alert)

    def forget(self, now_ms: int) -> None:
        """Let go of alerts that are over."""
        for rule in self._rules:
            rule.forget(now_ms)

    def muted_by(self, labels: Labels, now_ms: int) -> list[str]:
        """Give the fingerprints of the alerts that mute a label set; empty when it is not muted."""
        found = dict.fromkeys(one for rule in self._rules for one in rule.muted_by(labels, now_ms))
        return sorted(f"{one:016x}" for one in found)


def _matchers(
    equals: dict[str, str], regexes: dict[str, str], matchers: tuple[LabelMatcher, ...]
) -> tuple[LabelMatcher, ...]:
    old = [LabelMatcher(name, "=", value) for name, value in equals.items()]
    old += [LabelMatcher(name, "=~", value) for name, value in regexes.items()]
    return (*old, *matchers)
