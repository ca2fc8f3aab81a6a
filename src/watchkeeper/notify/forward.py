"""Alerts to the Alertmanagers that prometheus.yml names, as Prometheus sends them.

source  Prometheus 3.5, notifier/
"""

import asyncio
import posixpath
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import structlog

from watchkeeper.collect.discovery_settings import check_address
from watchkeeper.collect.finding import Finder
from watchkeeper.collect.relabel import Relabel
from watchkeeper.model.alert import Alert
from watchkeeper.model.errors import NotDelivered
from watchkeeper.model.labels import Labels
from watchkeeper.model.metrics import counter, gauge, summary
from watchkeeper.net.client import Client, RequestOptions
from watchkeeper.net.http_config import current_options
from watchkeeper.notify.alerting_settings import AlertingConfig, AlertmanagersConfig, ForwardSettings
from watchkeeper.notify.aws import Signer
from watchkeeper.notify.gotext import json_bytes, rfc3339_ms

log = structlog.get_logger(__name__)

_LOOK_AT_FILES_S = 5.0
_DRAIN_S = 10.0
_HEADERS = {"Content-Type": "application/json"}

_sent = counter("prometheus_notifications_sent", "Total number of alerts sent.", ("alertmanager",))
_errors = counter(
    "prometheus_notifications_errors", "Total number of sent alerts affected by errors.", ("alertmanager",)
)
_latency = summary(
    "prometheus_notifications_latency_seconds",
    "Latency quantiles for sending alert notifications.",
    ("alertmanager",),
    quantiles=(0.5, 0.9, 0.99),
)
_dropped = counter(
    "prometheus_notifications_dropped", "Total number of alerts dropped due to errors when sending to Alertmanager."
)
_queue_length = gauge("prometheus_notifications_queue_length", "The number of alert notifications in the queue.")
_queue_capacity = gauge("prometheus_notifications_queue_capacity", "The capacity of the alert notifications queue.")
_discovered = gauge(
    "prometheus_notifications_alertmanagers_discovered", "The number of alertmanagers discovered and active."
)


@dataclass(slots=True)
class _Set:
    """One entry of `alertmanagers`.

    urls     where each active one takes alerts, each once
    dropped  where those would take them that a rule dropped
    """

    config: AlertmanagersConfig
    finder: Finder
    urls: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    signer: Signer | None = field(init=False)

    def __post_init__(self) -> None:
        self.signer = None if self.config.sigv4 is None else Signer(self.config.sigv4)

    def find(self) -> None:
        """Take in what the discoveries find now."""
        relabel = Relabel.of(self.config.relabel_configs)
        active: dict[str, None] = {}
        self.dropped = []
        for found in self.finder.find():
            path = posixpath.normpath(f"/{self.config.path_prefix}/api/v2/alerts".replace("//", "/"))
            labels = {**found, "__scheme__": self.config.scheme, "__alerts_path__": path}
            kept = relabel.apply(labels)
            if kept is None:
                self.dropped.append(_url(labels))
                continue
            try:
                check_address(kept.get("__address__", ""))
            except ValueError as error:
                log.warning("alertmanager_refused", error=str(error))
                continue
            active[_url(kept)] = None
        self.urls = list(active)
        for url in self.urls:  # counted from 0, so that rates are right from the first alert
            _sent.labels(url)
            _errors.labels(url)


class Forwarder:
    """Keeps a queue of alerts and sends it, batch by batch, to every Alertmanager there is.

    A batch is tried once: whoever made the alerts says them again. Nothing is sent until `start`.
    """

    def __init__(self, settings: ForwardSettings, client: Client) -> None:
        self._settings, self._client = settings, client
        self._sets: list[_Set] = []
        self._relabel = Relabel(())
        self._queue: deque[Alert] = deque()
        self._more, self._sending = asyncio.Event(), asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        _queue_capacity.set(settings.notification_queue_capacity)
        _queue_length.set_function(lambda: len(self._queue))
        _discovered.set_function(lambda: sum(len(one.urls) for one in self._sets))

    async def apply(self, config: AlertingConfig, root: Path | None) -> None:
        """Take a new configuration; what waits in the queue goes to the new Alertmanagers.

        root  what relative paths start from
        """
        sets = [_Set(one, Finder(one, root or Path())) for one in config.alertmanagers]
        for one in sets:
            await asyncio.to_thread(one.finder.refresh)
            one.find()
        self._sets, self._relabel = sets, Relabel.of(config.alert_relabel_configs)

    async def start(self) -> None:
        """Begin to send."""
        self._tasks = [asyncio.create_task(self._send_on(), name="forward alerts")]
        self._tasks.append(asyncio.create_task(self._watch_files(), name="find alertmanagers"))

    async def stop(self) -> None:
        """Send what waits, if that is wanted, and end."""
        if self._tasks and self._settings.drain_notification_queue_on_shutdown:
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_S):
                    while self._queue:
                        await self._send_batch()
                    async with self._sending:  # what is under way arrives, too
                        pass
        if self._queue:
            log.warning("alerts_dropped", count=len(self._queue), error="the process ends")
            _dropped.inc(len(self._queue))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def receive(self, alerts: Sequence[Alert]) -> None:
        """Put alerts in the queue; the oldest make room when it is full."""
        if not self._sets:
            return
        for alert in alerts:
            labels = self._relabel.apply(alert.labels) if self._relabel else alert.labels
            if labels is not None:
                self._queue.append(alert if labels is alert.labels else alert.changed(labels=labels))
        over = len(self._queue) - self._settings.notification_queue_capacity
        if over > 0:
            log.warning("alerts_dropped", count=over, error="the queue is full")
            _dropped.inc(over)
            for _ in range(over):
                self._queue.popleft()
        self._more.set()

    def alertmanagers_json(self) -> dict[str, Any]:
        """Give the data of /api/v1/alertmanagers."""
        return {
            "activeAlertmanagers": [{"url": url} for one in self._sets for url in one.urls],
            "droppedAlertmanagers": [{"url": url} for one in self._sets for url in one.dropped],
        }

    async def _send_on(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._queue:
                try:
                    await self._send_batch()
                except Exception:  # a fault of ours must not end all sending
                    log.exception("alerts_not_sent")

    async def _send_batch(self) -> None:
        """Take a batch and send it to all; it counts as dropped when a whole set of Alertmanagers did not take it."""
        async with self._sending:
            batch = list(islice(self._queue, self._settings.notification_batch_size))
            for _ in batch:
                self._queue.popleft()
            sets = [one for one in self._sets if one.urls]
            taken = await asyncio.gather(*(self._send_to_set(one, batch) for one in sets))
            if not all(taken):
                _dropped.inc(len(batch))

    async def _send_to_set(self, to: _Set, batch: Sequence[Alert]) -> bool:
        alerts = _relabelled(batch, to.config)
        if not alerts:
            return True
        body = json_bytes([_postable(alert) for alert in alerts])
        try:
            options = await current_options(to.config, to.config.timeout / 1000)
        except NotDelivered as failure:
            taken = [self._failed(url, len(alerts), str(failure)) for url in to.urls]
        else:
            ways = (self._send_to_one(to.signer, url, body, len(alerts), options) for url in to.urls)
            taken = await asyncio.gather(*ways)
        return any(taken)

    async def _send_to_one(
        self, signer: Signer | None, url: str, body: bytes, count: int, options: RequestOptions
    ) -> bool:
        began_s, headers = time.monotonic(), _HEADERS
        try:
            if signer is not None:
                headers = await signer.headers(self._client, url, body, "aps", _HEADERS["Content-Type"], options)
            reply = await self._client.send("POST", url, body, headers, options)
        except NotDelivered as failure:
            return self._failed(url, count, str(failure))
        _latency.labels(url).observe(time.monotonic() - began_s)
        _sent.labels(url).inc(count)
        if not 200 <= reply.status < 300:
            return self._failed(url, count, f"bad response status {reply.status}")
        return True

    def _failed(self, url: str, count: int, error: str) -> bool:
        log.error("alerts_not_sent", alertmanager=url, count=count, error=error)
        _errors.labels(url).inc(count)
        return False

    async def _watch_files(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_AT_FILES_S)
            for one in [one for one in self._sets if one.finder.changes]:
                try:
                    if await asyncio.to_thread(one.finder.refresh):
                        one.find()
                except Exception:  # one odd file system must not end discovery
                    log.exception("discovery_broke")


def _relabelled(alerts: Sequence[Alert], config: AlertmanagersConfig) -> Sequence[Alert]:
    if not config.alert_relabel_configs:
        return alerts
    relabel = Relabel.of(config.alert_relabel_configs)
    pairs = [(alert, relabel.apply(alert.labels)) for alert in alerts]
    return [alert.changed(labels=labels) for alert, labels in pairs if labels is not None]


def _postable(alert: Alert) -> dict[str, Any]:
    """Give one alert in the words of Alertmanager's API v2, its fields in Prometheus' order."""
    return {
        "annotations": _sorted(alert.annotations),
        "endsAt": rfc3339_ms(alert.ends_at_ms),
        "startsAt": rfc3339_ms(alert.starts_at_ms),
        "generatorURL": alert.generator_url,
        "labels": _sorted(alert.labels),
    }


def _sorted(labels: Labels) -> Mapping[str, str]:
    return dict(sorted(labels.items()))


def _url(labels: Labels) -> str:
    return f"{labels.get('__scheme__', '')}://{labels.get('__address__', '')}{labels.get('__alerts_path__', '')}"
