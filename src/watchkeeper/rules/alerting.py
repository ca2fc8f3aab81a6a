"""Alerting rules: inactive → pending → firing → resolved, an alert for each element of the expression's vector.

source  Prometheus docs, Alerting rules; rules/alerting.go of Prometheus 3.5 for what the docs leave open
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from watchkeeper.model.doors import AlertSample
from watchkeeper.model.errors import BadInput
from watchkeeper.model.labels import METRIC_NAME, LabelPairs, label_pairs
from watchkeeper.rules.language import PROMQL, Language
from watchkeeper.rules.recording import Health, Series
from watchkeeper.rules.template import Surroundings, alert_text

ALERTS, ALERTS_FOR_STATE = "ALERTS", "ALERTS_FOR_STATE"
ALERT_NAME, ALERT_STATE = "alertname", "alertstate"
_VARIES = re.compile(r"\$value|\.Value|\bquery\b")  # of a template: what may differ from step to step
RESOLVED_RETENTION_MS = 15 * 60_000  # Alertmanagers that were down meanwhile still hear of the end


class State(IntEnum):
    """Where an alert stands; a rule's state is the highest of its alerts'."""

    INACTIVE = 0
    PENDING = 1
    FIRING = 2

    @property
    def word(self) -> str:
        """As Prometheus writes it."""
        return self.name.lower()


@dataclass(slots=True)
class ActiveAlert:
    """One alert of a rule. Times in Unix milliseconds; 0 means not yet."""

    labels: LabelPairs
    annotations: Mapping[str, str]
    value: float
    active_at_ms: int
    state: State = State.PENDING
    fired_at_ms: int = 0
    resolved_at_ms: int = 0
    keep_firing_since_ms: int = 0
    last_sent_ms: int = 0
    valid_until_ms: int = 0

    def needs_sending(self, at_ms: int, resend_delay_ms: int) -> bool:
        """Say whether notify is to hear of it now."""
        if self.state is State.PENDING:
            return False
        if self.resolved_at_ms > self.last_sent_ms:
            return True
        return self.last_sent_ms + resend_delay_ms < at_ms


class AlertingRule:
    """Keeps the alerts of one rule. `ask` may run in any thread; all else on the event loop's.

    expr   as the file has it
    query  the same as Prometheus would write it
    """

    def __init__(
        self,
        name: str,
        expr: str,
        *,
        hold_ms: int = 0,
        keep_firing_ms: int = 0,
        labels: Mapping[str, str],
        annotations: Mapping[str, str],
        language: Language = PROMQL,
    ) -> None:
        self.name, self.expr, self.hold_ms, self.keep_firing_ms = name, expr, hold_ms, keep_firing_ms
        self.query = language.shown(expr)
        self.labels, self.annotations = dict(labels), dict(annotations)
        self.health = Health()
        self.active: dict[LabelPairs, ActiveAlert] = {}
        self.stored: Sequence[LabelPairs] = ()
        self._label_texts = {key: alert_text(name, words) for key, words in sorted(labels.items())}
        self._annotation_texts = {key: alert_text(name, words) for key, words in sorted(annotations.items())}

    @property
    def writes(self) -> tuple[str, ...]:
        """The metric names this rule may write."""
        return ALERTS, ALERTS_FOR_STATE

    @property
    def identity(self) -> tuple[str, LabelPairs]:
        """What makes it the same rule after a reload."""
        return self.name, label_pairs(self.labels)

    @property
    def state(self) -> State:
        """The highest state of its alerts."""
        return max((alert.state for alert in self.active.values()), default=State.INACTIVE)

    def ask(self, at_ms: int, query_at_ms: int, around: Surroundings, limit: int) -> list[ActiveAlert]:
        """Evaluate the expression and write the texts of the alerts it would make; runs in a worker thread.

        raises  BadInput when the query fails, or two alerts have equal labels
        """
        del limit  # counts pending and firing alerts, which `advance` knows
        made = [self._made(sample, at_ms, around) for sample in around.ask(self.expr, query_at_ms)]
        if len({alert.labels for alert in made}) < len(made):
            raise BadInput("vector contains metrics with the same labelset after applying alert labels")
        return made

    def _made(self, sample: AlertSample, at_ms: int, around: Surroundings) -> ActiveAlert:
        annotations = self.expand_annotations(sample, at_ms, around)
        return ActiveAlert(self.labels_for(sample, at_ms, around), annotations, sample.value, at_ms)

    @property
    def labels_vary(self) -> bool:
        """Whether an alert's labels may depend on more than the labels of the element it is made for."""
        return any("{{" in text and _VARIES.search(text) for text in self.labels.values())

    def labels_for(self, sample: AlertSample, at_ms: int, around: Surroundings) -> LabelPairs:
        """Give the labels of the alert for one element of the vector."""
        labels = dict(sample.labels)
        labels.pop(METRIC_NAME, None)
        for key, words in self._label_texts.items():
            labels[key] = words.expand(sample, at_ms, around)
        labels[ALERT_NAME] = self.name
        return label_pairs(labels)

    def expand_annotations(self, sample: AlertSample, at_ms: int, around: Surroundings) -> dict[str, str]:
        """Write the annotations for one element of the vector."""
        texts = {key: words.expand(sample, at_ms, around) for key, words in self._annotation_texts.items()}
        return {key: words for key, words in texts.items() if words}

    def advance(self, made: Sequence[ActiveAlert], at_ms: int, limit: int) -> None:
        """Move every alert on, given those that the expression asks for now.

        raises  BadInput when there are more than the limit; all alerts of the rule are forgotten then
        """
        present = set()
        for new in made:
            present.add(new.labels)
            known = self.active.get(new.labels)
            if known is not None and known.state is not State.INACTIVE:
                known.value, known.annotations = new.value, new.annotations
            else:
                self.active[new.labels] = new
        for labels, alert in list(self.active.items()):
            if labels in present:
                alert.keep_firing_since_ms = 0
            elif not self._keeps_firing(alert, at_ms):
                self._end(labels, alert, at_ms)
                continue
            if alert.state is State.PENDING and at_ms - alert.active_at_ms >= self.hold_ms:
                alert.state, alert.fired_at_ms = State.FIRING, at_ms
        count = sum(alert.state is not State.INACTIVE for alert in self.active.values())
        if limit and count > limit:
            self.active = {}
            raise BadInput(f"exceeded limit of {limit} with {count} alerts")

    def _keeps_firing(self, alert: ActiveAlert, at_ms: int) -> bool:
        if alert.state is not State.FIRING or not self.keep_firing_ms:
            return False
        alert.keep_firing_since_ms = alert.keep_firing_since_ms or at_ms
        return at_ms - alert.keep_firing_since_ms < self.keep_firing_ms

    def _end(self, labels: LabelPairs, alert: ActiveAlert, at_ms: int) -> None:
        if alert.state is State.PENDING:
            del self.active[labels]
        elif alert.state is State.INACTIVE:
            if at_ms - alert.resolved_at_ms > RESOLVED_RETENTION_MS:
                del self.active[labels]
        else:
            alert.state, alert.resolved_at_ms = State.INACTIVE, at_ms

    def series(self) -> Series:
        """Give ALERTS and ALERTS_FOR_STATE of what is pending or firing."""
        out: Series = {}
        for alert in self._alive():
            labels = dict(alert.labels)
            out[label_pairs({**labels, METRIC_NAME: ALERTS, ALERT_STATE: alert.state.word})] = 1.0
            out[label_pairs({**labels, METRIC_NAME: ALERTS_FOR_STATE})] = float(alert.active_at_ms // 1000)
        return out

    def to_send(self, at_ms: int, resend_delay_ms: int, interval_ms: int) -> list[ActiveAlert]:
        """Give copies of the alerts that notify is to hear of, and remember that it did."""
        due = [alert for alert in self.active.values() if alert.needs_sending(at_ms, resend_delay_ms)]
        for alert in due:
            alert.last_sent_ms = at_ms
            alert.valid_until_ms = at_ms + 4 * max(interval_ms, resend_delay_ms)  # outlives three lost sendings
        return [replace(alert) for alert in due]

    def shown(self) -> list[ActiveAlert]:
        """Give the pending and firing alerts, in the order of their labels."""
        return sorted(self._alive(), key=lambda alert: alert.labels)

    def _alive(self) -> Iterable[ActiveAlert]:
        return [alert for alert in self.active.values() if alert.state is not State.INACTIVE]

    def continue_from(self, old: "AlertingRule") -> None:
        """Take over what a reload must not lose."""
        self.active, self.stored, self.health = old.active, old.stored, old.health
