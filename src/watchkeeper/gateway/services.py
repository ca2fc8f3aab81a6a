"""What the gateway knows of each service, and the verdict on its health."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from watchkeeper.gateway.settings import GatewaySettings, ServiceSettings


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """A scrape target as it was last seen.

    up            None before the first scrape
    last_seen_ms  Unix milliseconds of the last scrape, 0 before the first
    """

    job: str
    instance: str
    up: bool | None
    last_error: str = ""
    last_seen_ms: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """An alert that fires now."""

    name: str
    labels: Mapping[str, str]
    since_ms: int
    summary: str = ""

    @property
    def severity(self) -> str:
        """Give its label of that name, or ""."""
        return self.labels.get("severity", "")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the gateway's facts come from. All but targets and alerts may be left out where they are not known.

    error_ratios  by job, the failed share of its requests over the last 5 minutes, 0…1
    error_lines   by job, log lines of level error or worse in the last 15 minutes
    """

    targets: Callable[[], Iterable[TargetHealth]]
    alerts: Callable[[], Iterable[FiringAlert]]
    error_ratios: Callable[[], Awaitable[Mapping[str, float]]] | None = None
    error_lines: Callable[[], Awaitable[Mapping[str, int]]] | None = None


class Status(IntEnum):
    """How a service, or all of them, are; the worst decides."""

    HEALTHY = 0
    DEGRADED = 1
    UNHEALTHY = 2

    @property
    def word(self) -> str:
        """Give it as answers have it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Service:
    """A service and everything known of it at one moment."""

    name: str
    url: str
    targets: Sequence[TargetHealth]
    alerts: Sequence[FiringAlert]
    error_ratio: float | None
    error_lines: int | None
    status: Status
    reasons: Sequence[str]


class Services:
    """Gathers services from the sources."""

    def __init__(self, settings: GatewaySettings, sources: Sources) -> None:
        self._settings, self._sources = settings, sources

    def names(self) -> list[str]:
        """Give the services there are."""
        if self._settings.services:
            return sorted(self._settings.services)
        return sorted({target.job for target in self._sources.targets()})

    async def gather(self) -> list[Service]:
        """Work out every service."""
        targets, alerts = list(self._sources.targets()), list(self._sources.alerts())
        ratios = {} if self._sources.error_ratios is None else await self._sources.error_ratios()
        lines = {} if self._sources.error_lines is None else await self._sources.error_lines()
        configured = self._settings.services
        names = sorted(configured) if configured else sorted({target.job for target in targets})
        found = []
        for name in names:
            service = configured.get(name, ServiceSettings())
            jobs = service.jobs or (name,)
            its_targets = [target for target in targets if _is_target_of(target, jobs, service.labels)]
            its_alerts = [alert for alert in alerts if _is_alert_of(alert, name, jobs, service.labels)]
            ratio = max((ratios[job] for job in jobs if job in ratios), default=None)
            its_lines = [lines[job] for job in jobs if job in lines]
            count = sum(its_lines) if its_lines else None
            status, reasons = self._judge(its_targets, its_alerts, ratio, count)
            found.append(Service(name, service.url, its_targets, its_alerts, ratio, count, status, reasons))
        return found

    def alerts(self) -> list[FiringAlert]:
        """Give every firing alert, of a service or not, critical ones first."""
        return sorted(self._sources.alerts(), key=lambda alert: (alert.severity != "critical", alert.name))

    def _judge(
        self,
        targets: Sequence[TargetHealth],
        alerts: Sequence[FiringAlert],
        ratio: float | None,
        lines: int | None,
    ) -> tuple[Status, list[str]]:
        status, reasons = _judge_targets(targets)
        for alert in alerts:
            if alert.severity in {"info", "none"}:
                continue
            is_critical = alert.severity == "critical"
            status = max(status, Status.UNHEALTHY if is_critical else Status.DEGRADED)
            reasons.append(f"alert {alert.name} is firing" + (" (critical)" if is_critical else ""))
        if ratio is not None and ratio > self._settings.error_ratio_max:
            status = max(status, Status.DEGRADED)
            reasons.append(f"{ratio:.1%} of requests fail, want at most {self._settings.error_ratio_max:.1%}")
        if lines is not None and 0 < self._settings.error_lines_max < lines:
            status = max(status, Status.DEGRADED)
            reasons.append(f"{lines} error lines in 15 minutes, want at most {self._settings.error_lines_max}")
        return status, reasons[: self._settings.answer_items_max]


def _judge_targets(targets: Sequence[TargetHealth]) -> tuple[Status, list[str]]:
    down = [target for target in targets if target.up is False]
    if not targets:
        return Status.DEGRADED, ["no targets are known"]
    if len(down) == len(targets):
        return Status.UNHEALTHY, [f"all {len(down)} targets are down" if len(down) > 1 else "its target is down"]
    if down:
        return Status.DEGRADED, [f"{len(down)} of {len(targets)} targets are down"]
    if all(target.up is None for target in targets):
        return Status.DEGRADED, ["no target was scraped yet"]
    return Status.HEALTHY, []


def _is_target_of(target: TargetHealth, jobs: Sequence[str], labels: Mapping[str, str]) -> bool:
    return target.job in jobs and all(target.labels.get(name) == value for name, value in labels.items())


def _is_alert_of(alert: FiringAlert, name: str, jobs: Sequence[str], labels: Mapping[str, str]) -> bool:
    if alert.labels.get("service") == name:
        return True
    its_job = alert.labels.get("job") in jobs
    return its_job and all(alert.labels.get(key, value) == value for key, value in labels.items())
