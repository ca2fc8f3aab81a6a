"""What is going on, on one page: for the UI's Overview, and the facts that the gateway answers from."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import watchkeeper
from watchkeeper.collect.scrape import Scraper
from watchkeeper.gateway.services import FiringAlert, TargetHealth
from watchkeeper.model.clock import Clock
from watchkeeper.rules.alerting import AlertingRule, State
from watchkeeper.rules.runner import RuleRunner
from watchkeeper.store.logs.db import LogDb
from watchkeeper.store.metrics.appended import APPENDED
from watchkeeper.store.metrics.db import MetricDb

_RATE_OVER_S = 10.0


class Rate:
    """A rate from a growing total, over the ten seconds or more before it is asked."""

    def __init__(self, total: Callable[[], float], clock: Clock) -> None:
        self._total, self._clock = total, clock
        self._older = self._newer = (clock.monotonic_s(), total())

    def per_s(self) -> float:
        """Give the rate since ten seconds ago or more; 0 at first."""
        now = (self._clock.monotonic_s(), self._total())
        if now[0] - self._newer[0] >= _RATE_OVER_S:
            self._older, self._newer = self._newer, now
        seconds = now[0] - self._older[0]
        return (now[1] - self._older[1]) / seconds if seconds > 0 else 0.0


@dataclass(slots=True)
class Overview:
    """Reads the stages that it is handed; keeps nothing but the beginning of a rate."""

    scraper: Scraper
    rules: RuleRunner
    metrics: MetricDb
    logs: LogDb
    clock: Clock
    started_ms: int
    _samples: Rate = field(init=False)

    def __post_init__(self) -> None:
        self._samples = Rate(lambda: next(iter(APPENDED.collect())).samples[0].value, self.clock)

    def page(self) -> dict[str, Any]:
        """Give the body of GET /api/overview."""
        metrics, logs = self.metrics.stats(), self.logs.stats()
        states = [alert["state"] for alert in self.rules.alerts_json()["alerts"]]
        return {
            "services": self._services(),
            "alerts": {"firing": states.count("firing"), "pending": states.count("pending")},
            "ingest": {
                "samples_per_s": round(self._samples.per_s(), 1),
                "series": metrics["live_series"],
                "lines_per_s": logs["lines_per_s"],
            },
            "storage": {"metrics_bytes": metrics["bytes"], "logs_bytes": logs["disk_bytes"]},
            "version": watchkeeper.__version__,
            "started_ms": self.started_ms,
        }

    def _services(self) -> list[dict[str, Any]]:
        counts: defaultdict[str, dict[str, int]] = defaultdict(lambda: {"up": 0, "down": 0, "targets": 0})
        for target, health in self.scraper.targets():
            count = counts[target.labels.get("job", "")]
            count["targets"] += 1
            if health.state in ("up", "down"):
                count[health.state] += 1
        return [{"job": job, **count} for job, count in sorted(counts.items())]

    def targets(self) -> Iterator[TargetHealth]:
        """Give the targets as the gateway has them."""
        for target, health in self.scraper.targets():
            labels = target.labels
            up = {"up": True, "down": False}.get(health.state)
            job, instance = labels.get("job", ""), labels.get("instance", "")
            yield TargetHealth(job, instance, up, health.error, health.scraped_at_ms, labels)

    def firing(self) -> Iterator[FiringAlert]:
        """Give the firing alerts as the gateway has them."""
        rules = [rule for group in self.rules.groups() for rule in group.rules if isinstance(rule, AlertingRule)]
        for alert in (alert for rule in rules for alert in rule.shown() if alert.state is State.FIRING):
            labels = dict(alert.labels)
            summary = alert.annotations.get("summary", "")
            yield FiringAlert(labels.get("alertname", ""), labels, alert.fired_at_ms, summary)
