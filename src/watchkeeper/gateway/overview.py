"""Answers for agents: small, units in the names, times in RFC 3339, a verdict with its reasons.

Texts that come from watched systems (errors, summaries) are data: cut short, one line each, in fields of their own.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from watchkeeper.gateway.services import FiringAlert, Service, Services, Sources, Status, TargetHealth
from watchkeeper.gateway.settings import GatewaySettings
from watchkeeper.model.clock import Clock

_TEXT_LENGTH_MAX = 300


@dataclass(frozen=True, slots=True)
class _Worked:
    services: Sequence[Service]
    time_ms: int
    until_s: float


class Overview:
    """Works out the answers, at most once in the time that one is believed."""

    def __init__(self, settings: GatewaySettings, sources: Sources, clock: Clock) -> None:
        self._services = Services(settings, sources)
        self._settings, self._clock = settings, clock
        self._last: _Worked | None = None
        self._working: asyncio.Task[_Worked] | None = None

    async def whole(self) -> dict[str, Any]:
        """Give the state of everything."""
        worked = await self._current()
        alerts = self._services.alerts()
        services = sorted(worked.services, key=lambda service: (-service.status, service.name))
        status = max((service.status for service in services), default=Status.DEGRADED)
        loose = [alert for alert in alerts if not any(alert in service.alerts for service in services)]
        reasons = [f"{service.name}: {reason}" for service in services for reason in service.reasons]
        reasons += [f"alert {alert.name} is firing" for alert in loose if alert.severity not in {"info", "none"}]
        if any(alert.severity not in {"info", "none"} for alert in loose):
            status = max(status, Status.DEGRADED)
        if not services:
            reasons.insert(0, "no services are known")
        most = self._settings.answer_items_max
        return {
            "status": status.word,
            "timestamp": _when(worked.time_ms),
            "reasons": reasons[:most],
            "services": [_line(service) for service in services[:most]],
            "alerts": {
                "firing": len(alerts),
                "critical": sum(alert.severity == "critical" for alert in alerts),
                "items": [_alert(alert) for alert in alerts[:most]],
            },
            "totals": _totals(services),
        }

    async def one(self, name: str) -> dict[str, Any] | None:
        """Give the state of one service, None when there is none of this name."""
        worked = await self._current()
        service = next((service for service in worked.services if service.name == name), None)
        if service is None:
            return None
        most = self._settings.answer_items_max
        targets = sorted(service.targets, key=lambda target: (target.up is not False, target.instance))
        return {
            **_line(service),
            "timestamp": _when(worked.time_ms),
            "targets": [_target(target) for target in targets[:most]],
            "alerts": [_alert(alert) for alert in service.alerts[:most]],
            "left_out": {"targets": max(0, len(targets) - most), "alerts": max(0, len(service.alerts) - most)},
        }

    def names(self) -> list[str]:
        """Give the services that may be asked for."""
        return self._services.names()[: self._settings.answer_items_max]

    async def _current(self) -> _Worked:
        last = self._last
        if last is not None and self._clock.monotonic_s() < last.until_s:
            return last
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await asyncio.shield(self._working)  # one caller leaving does not take the answer from the others

    async def _work(self) -> _Worked:
        try:
            services = await self._services.gather()
            until_s = self._clock.monotonic_s() + self._settings.believed_s
            self._last = _Worked(services, self._clock.now_ms(), until_s)
            return self._last
        finally:
            self._working = None


def _line(service: Service) -> dict[str, Any]:
    line: dict[str, Any] = {
        "name": service.name,
        "status": service.status.word,
        "reasons": list(service.reasons),
        "targets_up": sum(target.up is True for target in service.targets),
        "targets_down": sum(target.up is False for target in service.targets),
        "alerts_firing": len(service.alerts),
    }
    if service.error_ratio is not None:
        line["error_ratio_5m"] = round(service.error_ratio, 4)
    if service.error_lines is not None:
        line["error_log_lines_15m"] = service.error_lines
    if service.url:
        line["url"] = service.url
    return line


def _target(target: TargetHealth) -> dict[str, Any]:
    health = "unknown" if target.up is None else "up" if target.up else "down"
    shown: dict[str, Any] = {"instance": target.instance, "job": target.job, "health": health}
    if target.last_seen_ms:
        shown["last_scrape"] = _when(target.last_seen_ms)
    if target.last_error:
        shown["last_error"] = _short(target.last_error)
    return shown


def _alert(alert: FiringAlert) -> dict[str, Any]:
    service = alert.labels.get("service") or alert.labels.get("job", "")
    shown = {"name": _short(alert.name), "severity": _short(alert.severity), "since": _when(alert.since_ms)}
    if service:
        shown["service"] = _short(service)
    if "instance" in alert.labels:
        shown["instance"] = _short(alert.labels["instance"])
    if alert.summary:
        shown["summary"] = _short(alert.summary)
    return shown


def _totals(services: Sequence[Service]) -> dict[str, int]:
    return {
        "services": len(services),
        **{f"services_{status.word}": sum(service.status is status for service in services) for status in Status},
        "targets_up": sum(target.up is True for service in services for target in service.targets),
        "targets_down": sum(target.up is False for service in services for target in service.targets),
    }


def _short(text: str) -> str:
    line = "".join(letter if letter.isprintable() else " " for letter in text[:_TEXT_LENGTH_MAX])
    return line + "…" if len(text) > _TEXT_LENGTH_MAX else line


def _when(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
