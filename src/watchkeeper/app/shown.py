"""What the status pages of Prometheus' API show of this program."""

import asyncio
import os
import platform
import sys
from datetime import UTC, datetime
from typing import Any

import yaml
from pydantic import SecretStr

import watchkeeper
from watchkeeper.app.config import Loaded
from watchkeeper.app.machine import Standing
from watchkeeper.app.readings import resident_bytes
from watchkeeper.net.proxy import redacted

_TOP = 10
_LOOK_BACK_MS = 3_600_000


def config_text(loaded: Loaded) -> str:
    """Give prometheus.yml as it is in use, defaults left out and secrets blanked, as Prometheus does."""
    config = loaded.prometheus.model_dump(by_alias=True, exclude_unset=True)
    return yaml.safe_dump(_plain(config), sort_keys=False, allow_unicode=True, default_flow_style=False)


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "<secret>" if value.get_secret_value() else ""
    if isinstance(value, dict):
        return {str(key): redacted(inner) if key == "proxy_url" else _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def build_info() -> dict[str, str]:
    """Give /api/v1/status/buildinfo; clients look at the version to learn what a server can do."""
    return {
        "version": "3.5.0",  # the Prometheus whose API and PromQL this is
        "revision": f"watchkeeper-{watchkeeper.__version__}",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": f"python{platform.python_version()}",
    }


def notifications(standing: Standing) -> list[dict[str, Any]]:
    """Give /api/v1/notifications, with Prometheus' texts."""
    if standing.reload_good:
        return []
    return [{"text": "Configuration reload has failed.", "date": _rfc3339(standing.reloaded_ms), "active": True}]


def runtime_info(standing: Standing) -> dict[str, Any]:
    """Give /api/v1/status/runtimeinfo with Prometheus' fields, those that mean something here."""
    return {
        "startTime": _rfc3339(standing.started_ms),
        "CWD": os.getcwd(),  # noqa: PTH109 (a text to show, no path to use)
        "hostname": platform.node(),
        "serverTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "reloadConfigSuccess": standing.reload_good,
        "lastConfigTime": _rfc3339(standing.reloaded_ms),
        "corruptionCount": 0,
        "goroutineCount": len(asyncio.all_tasks()),
        "GOMAXPROCS": os.cpu_count() or 1,
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": f"{standing.loaded.own.metrics.retention_ms // 86_400_000}d",
        "residentMemoryBytes": resident_bytes(),
    }


def flags(data: str, listen: str, loaded: Loaded) -> dict[str, str]:
    """Give /api/v1/status/flags by Prometheus' names."""
    return {
        "alertmanager.drain-notification-queue-on-shutdown": str(
            loaded.own.alertmanagers.drain_notification_queue_on_shutdown
        ).lower(),
        "alertmanager.notification-batch-size": str(loaded.own.alertmanagers.notification_batch_size),
        "alertmanager.notification-queue-capacity": str(loaded.own.alertmanagers.notification_queue_capacity),
        "config.file": loaded.files[0] if loaded.files else "",
        "query.lookback-delta": f"{loaded.own.query.lookback_delta_ms // 1000}s",
        "query.max-concurrency": str(loaded.own.query.max_concurrency),
        "query.max-samples": str(loaded.own.query.max_samples),
        "query.timeout": f"{loaded.own.query.timeout_ms // 1000}s",
        "storage.tsdb.path": data,
        "storage.tsdb.retention.time": f"{loaded.own.metrics.retention_ms // 86_400_000}d",
        "web.enable-admin-api": str(loaded.own.admin_api.enabled).lower(),
        "web.enable-lifecycle": "true",
        "web.enable-remote-write-receiver": "true",
        "web.listen-address": listen,
        "python": sys.version.split()[0],
    }


def _rfc3339(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat().replace("+00:00", "Z")
