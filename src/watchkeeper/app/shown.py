"""What the status pages of Prometheus' API show of this program."""

import asyncio
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import yaml
from pydantic import SecretStr

import watchkeeper
from watchkeeper.app.config import Loaded
from watchkeeper.app.machine import Standing
from watchkeeper.app.readings import resident_bytes
from watchkeeper.store.metrics.db import MetricDb

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
        return {str(key): _plain(inner) for key, inner in value.items()}
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


def runtime_info(standing: Standing) -> dict[str, Any]:
    """Give /api/v1/status/runtimeinfo with Prometheus' fields, those that mean something here."""
    return {
        "startTime": _rfc3339(standing.started_ms),
        "CWD": os.getcwd(),  # noqa: PTH109 (a text to show, no path to use)
        "hostname": platform.node(),
        "serverTime": datetime.now(UTC).isoformat(),
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


def tsdb_info(metrics: MetricDb) -> dict[str, Any]:
    """Give /api/v1/status/tsdb: how much there is, and which metric names have most series."""
    stats, now_ms = metrics.stats(), time.time_ns() // 1_000_000
    series = metrics.series([], now_ms - _LOOK_BACK_MS, now_ms)
    return {
        "headStats": {
            "numSeries": stats["live_series"],
            "numLabelPairs": sum(len(np.unique(row)) for row in series.codes),
            "chunkCount": 0,
            "minTime": 0,
            "maxTime": stats["newest_ms"],
        },
        "seriesCountByMetricName": _most(series.values("__name__")),
        "labelValueCountByLabelName": _largest({name: len(set(series.values(name)) - {""}) for name in series.names}),
        "memoryInBytesByLabelName": [],
        "seriesCountByLabelValuePair": [],
    }


def _most(texts: list[str]) -> list[dict[str, Any]]:
    return _largest(Counter(texts))


def _largest(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    top = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_TOP]
    return [{"name": name, "value": count} for name, count in top]


def flags(data: str, listen: str, loaded: Loaded) -> dict[str, str]:
    """Give /api/v1/status/flags by Prometheus' names."""
    return {
        "config.file": loaded.files[0] if loaded.files else "",
        "query.lookback-delta": f"{loaded.own.query.lookback_delta_ms // 1000}s",
        "query.max-samples": str(loaded.own.query.max_samples),
        "query.timeout": f"{loaded.own.query.timeout_ms // 1000}s",
        "storage.tsdb.path": data,
        "storage.tsdb.retention.time": f"{loaded.own.metrics.retention_ms // 86_400_000}d",
        "web.enable-lifecycle": "true",
        "web.enable-remote-write-receiver": "true",
        "web.listen-address": listen,
        "python": sys.version.split()[0],
    }


def _rfc3339(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat().replace("+00:00", "Z")
