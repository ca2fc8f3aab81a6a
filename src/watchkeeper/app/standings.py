"""Where rules stand, for questions about an alert: since when it was pending, and why it does not fire."""

from collections.abc import Iterator, Sequence

from watchkeeper.model.alert import Alert
from watchkeeper.model.clock import Clock
from watchkeeper.model.labels import Labels, label_pairs
from watchkeeper.notify.why import Standing
from watchkeeper.rules.alerting import ALERT_NAME, AlertingRule, State
from watchkeeper.rules.runner import RuleRunner


class RuleStandings:
    """Looks at the runner's rules.

    external_labels  what sending adds to an alert's own labels; set at each reload
    """

    def __init__(self) -> None:
        self.external_labels: Labels = {}
        self._runner: RuleRunner | None = None
        self._since_ms = 0

    def look_at(self, runner: RuleRunner, now_ms: int) -> None:
        """Take the runner, which is made after those who ask."""
        self._runner, self._since_ms = runner, now_ms

    def stalled(self, now_ms: int) -> str:
        """Name a group that has not been evaluated for three of its intervals, or ""."""
        for group in self._runner.groups() if self._runner is not None else ():
            late_ms = now_ms - max(group.last_evaluation_ms, self._since_ms)
            if late_ms > 3 * group.interval_ms + 10_000:
                return f"rule group {group.name} was not evaluated for {late_ms // 1000} s"
        return ""

    def pending_since(self, alert: Alert) -> int | None:
        """Give when a rule first found an alert, Unix ms."""
        own = {name: value for name, value in alert.labels.items() if name not in self.external_labels}
        for labels in (alert.labels, own):
            key = label_pairs(labels)
            for rule in self._rules(alert.labels.get(ALERT_NAME, "")):
                if (active := rule.active.get(key)) is not None:
                    return active.active_at_ms
        return None

    def standings(self, alertname: str) -> Sequence[Standing]:
        """Give where the rules of a name stand: one for each alert, or one for the rule when it has none."""
        return [one for rule in self._rules(alertname) for one in self._of_rule(rule)]

    def _of_rule(self, rule: AlertingRule) -> Iterator[Standing]:
        health = rule.health
        more = (rule.hold_ms, rule.query, health.last_error, health.last_evaluation_ms)
        active = rule.shown()
        for alert in active:
            yield Standing({**self.external_labels, **dict(alert.labels)}, alert.state.word, alert.active_at_ms, *more)
        if not active:
            yield Standing({}, State.INACTIVE.word, 0, *more)

    def _rules(self, alertname: str) -> Iterator[AlertingRule]:
        groups = self._runner.groups() if self._runner is not None else ()
        for group in groups:
            for rule in group.rules:
                if isinstance(rule, AlertingRule) and rule.name == alertname:
                    yield rule


def standstill(is_sending: bool, standings: RuleStandings, clock: Clock, *, rules: bool) -> str:
    """Say what of rules and notifications stands still, or ""."""
    if not is_sending:
        return "notifications do not go out"
    return standings.stalled(clock.now_ms()) if rules else ""
