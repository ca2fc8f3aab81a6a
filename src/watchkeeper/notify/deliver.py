"""From a group that is due to its receivers: mute, leave out what they know, send, try again, write down.

source  github.com/prometheus/alertmanager, notify/notify.go: the stages and their order
"""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from watchkeeper.model.alert import Alert
from watchkeeper.model.clock import Clock
from watchkeeper.model.errors import NotDelivered
from watchkeeper.model.metrics import counter, histogram
from watchkeeper.notify.acks import AckBook
from watchkeeper.notify.escalate import Escalator
from watchkeeper.notify.group import Flush, fingerprints
from watchkeeper.notify.ledger import Attempt, Ledger
from watchkeeper.notify.log import NotificationLog, Reason, reason_to_notify
from watchkeeper.notify.notification import Means, Notification, Send, is_firing
from watchkeeper.notify.receivers import (
    discord,
    email,
    inbox,
    incidentio,
    jira,
    mattermost,
    msteams,
    msteamsv2,
    opsgenie,
    pagerduty,
    pushover,
    rocketchat,
    slack,
    sns,
    telegram,
    victorops,
    webex,
    webhook,
    wechat,
)
from watchkeeper.notify.settings import Receiver
from watchkeeper.notify.sieve import Sieve
from watchkeeper.notify.turns import AloneTurns, Turn, Turns
from watchkeeper.store.state.notifications import LogEntry, LogKey

log = structlog.get_logger(__name__)

_KINDS: Mapping[str, Send] = {
    "discord": discord.send,
    "email": email.send,
    "incidentio": incidentio.send,
    "inbox": inbox.send,
    "jira": jira.send,
    "mattermost": mattermost.send,
    "msteams": msteams.send,
    "msteamsv2": msteamsv2.send,
    "opsgenie": opsgenie.send,
    "pagerduty": pagerduty.send,
    "pushover": pushover.send,
    "rocketchat": rocketchat.send,
    "slack": slack.send,
    "sns": sns.send,
    "telegram": telegram.send,
    "victorops": victorops.send,
    "webex": webex.send,
    "webhook": webhook.send,
    "wechat": wechat.send,
}
_BACKOFF_FIRST_S, _BACKOFF_FACTOR, _BACKOFF_SPREAD, _BACKOFF_MAX_S = 0.5, 1.5, 0.5, 60.0

_notifications = counter("alertmanager_notifications", "The total number of attempted notifications.", ("integration",))
_failed = counter(
    "alertmanager_notifications_failed", "The total number of failed notifications.", ("integration", "reason")
)
_requests = counter(
    "alertmanager_notification_requests", "The total number of attempted notification requests.", ("integration",)
)
_requests_failed = counter(
    "alertmanager_notification_requests_failed", "The total number of failed notification requests.", ("integration",)
)
_latency = histogram(
    "alertmanager_notification_latency_seconds",
    "The latency of notifications in seconds.",
    ("integration",),
    (1, 5, 10, 15, 20),
)
for _kind in _KINDS:
    _notifications.labels(_kind), _requests.labels(_kind), _requests_failed.labels(_kind), _latency.labels(_kind)
    for _why in ("clientError", "serverError", "contextCanceled", "contextDeadlineExceeded", "other"):
        _failed.labels(_kind, _why)


@dataclass(frozen=True, slots=True)
class Integration:
    """One way of one receiver, such as its second webhook.

    position  among those of its kind
    """

    kind: str
    position: int
    config: Any
    send: Send


def integrations_of(receiver: Receiver) -> list[Integration]:
    """List a receiver's ways."""
    return [Integration(kind, at, config, _KINDS[kind]) for kind, at, config in receiver.integrations()]


class Deliverer:
    """Delivers flushes by one configuration.

    spread  seeded in tests; spreads retries so that they do not come in step
    """

    def __init__(
        self,
        receivers: Sequence[Receiver],
        sieve: Sieve,
        entries: NotificationLog,
        ledger: Ledger,
        acks: AckBook,
        escalator: Escalator,
        means: Means,
        clock: Clock,
        external_url: str,
        spread: random.Random,
        turns: Turns | None = None,
    ) -> None:
        self._turns = turns or AloneTurns()
        self._ways = {receiver.name: integrations_of(receiver) for receiver in receivers}
        self._sieve, self._log, self._ledger, self._acks, self._escalator = sieve, entries, ledger, acks, escalator
        self.means, self._clock = means, clock
        self._external_url, self._spread = external_url, spread

    async def deliver(self, flush: Flush) -> bool:
        """Tell a group's receiver what it does not know yet.

        returns  whether every integration that had to be told was told; muted is as good as told
        """
        sifted = self._sieve.sift(flush)
        sifted.count()
        self._ledger.judged(flush, sifted)
        alerts = sifted.heard
        if not alerts:
            return True
        ways = self._ways[flush.group.route.options.receiver]
        told = await asyncio.gather(*(self._tell(way, flush, alerts) for way in ways), return_exceptions=True)
        for way, outcome in zip(ways, told, strict=True):
            if isinstance(outcome, Exception):  # a bug in one receiver must not keep the others from their news
                log.error("notify_broke", integration=way.kind, group_key=flush.group.key, exc_info=outcome)
        return all(outcome is True for outcome in told)

    async def _tell(self, way: Integration, flush: Flush, alerts: tuple[Alert, ...]) -> bool:
        """Tell an integration what it does not know yet, when it is our turn."""
        options, group = flush.group.route.options, flush.group
        key = LogKey(group.key, options.receiver, way.kind, way.position)
        known = self._log.find(key, flush.now_ms)
        if self._reason(way, flush, alerts, known) is None:
            if known is not None:
                self._escalator.told(group.route, filter(is_firing, alerts), known.sent_ms)
            return True
        async with self._turns.turn(key, known, options.group_interval_ms, flush.timeout_s) as turn:
            if turn is None:
                return False
            if turn.entry is not known and turn.entry is not None:
                self._log.heard([turn.entry])
            entry = self._log.find(key, flush.now_ms)
            reason = self._reason(way, flush, alerts, entry)
            if reason is None:
                return True
            early_ms = 0 if entry is None else options.group_interval_ms * 9 // 10 - (flush.now_ms - entry.sent_ms)
            if self._log.is_others(key) and early_ms > 0:
                return False  # whoever told last has the next turn; if that process is gone, we have it after this one
            if reason is Reason.REPEAT and self._acks.cover(fingerprints(filter(is_firing, alerts))):
                await self._log.prolong(key, self._clock.now_ms(), options.repeat_interval_ms)
                return True
            kept = {} if entry is None or reason is Reason.FIRST else dict(entry.kept)
            return await self._tell_now(way, flush, alerts, key, reason, turn, kept)

    @staticmethod
    def _reason(way: Integration, flush: Flush, alerts: tuple[Alert, ...], entry: LogEntry | None) -> Reason | None:
        return reason_to_notify(
            entry,
            fingerprints(one for one in alerts if is_firing(one)),
            fingerprints(one for one in alerts if not is_firing(one)),
            flush.now_ms,
            flush.group.route.options.repeat_interval_ms,
            send_resolved=way.config.send_resolved,
        )

    async def _tell_now(
        self,
        way: Integration,
        flush: Flush,
        alerts: tuple[Alert, ...],
        key: LogKey,
        reason: Reason,
        turn: Turn,
        kept: dict[str, str],
    ) -> bool:
        options = flush.group.route.options
        wanted = alerts if way.config.send_resolved else tuple(one for one in alerts if is_firing(one))
        notification = Notification(
            receiver=options.receiver,
            group_key=flush.group.key,
            group_labels=flush.group.labels,
            alerts=wanted,
            reason=reason,
            now_ms=flush.now_ms,
            external_url=self._external_url,
            timeout_s=flush.timeout_s,
            kept=kept,
        )
        _notifications.labels(way.kind).inc()
        where = {
            "group_key": flush.group.key,
            "receiver": options.receiver,
            "integration": f"{way.kind}[{way.position}]",
            "reason": str(reason),
        }
        attempts: list[Attempt] = []
        if wanted and not await self._send(way, notification, attempts, turn):
            self._ledger.failed(wanted, where, attempts)
            return False
        told, firing = self._ledger.told(wanted, where, attempts), [one for one in alerts if is_firing(one)]
        now_ms, resolved = self._clock.now_ms(), fingerprints(one for one in alerts if not is_firing(one))
        await self._log.record(key, now_ms, fingerprints(firing), resolved, options.repeat_interval_ms, told, kept)
        self._escalator.told(flush.group.route, firing, now_ms)
        return True

    async def _send(self, way: Integration, notification: Notification, attempts: list[Attempt], turn: Turn) -> bool:
        """Try until it works, cannot work, or time is up; notes each attempt."""
        ends_s = self._clock.monotonic_s() + notification.timeout_s
        pause_s = _BACKOFF_FIRST_S
        while True:
            began_ms, began_s = self._clock.now_ms(), time.monotonic()
            failure = await self._attempt(way, notification)
            took_ms = round((time.monotonic() - began_s) * 1000)
            attempts.append(Attempt(began_ms, took_ms, "" if failure is None else str(failure)[:500]))
            if failure is None:
                return True
            wait_s = pause_s * self._spread.uniform(1 - _BACKOFF_SPREAD, 1 + _BACKOFF_SPREAD)
            time_is_up = self._clock.monotonic_s() + wait_s >= ends_s
            if failure.permanent or time_is_up or not turn.is_held:
                _failed.labels(way.kind, "clientError" if failure.permanent else "contextDeadlineExceeded").inc()
                log.error(
                    "notify_failed",
                    receiver=notification.receiver,
                    integration=f"{way.kind}[{way.position}]",
                    group_key=notification.group_key,
                    alerts=len(notification.alerts),
                    attempts=len(attempts),
                    error=str(failure),
                )
                return False
            await asyncio.sleep(wait_s)
            pause_s = min(pause_s * _BACKOFF_FACTOR, _BACKOFF_MAX_S)

    async def _attempt(self, way: Integration, notification: Notification) -> NotDelivered | None:
        started_s = time.monotonic()
        _requests.labels(way.kind).inc()
        try:
            async with asyncio.timeout(notification.timeout_s):
                await way.send(notification, way.config, self.means)
        except NotDelivered as error:
            failure = error
        except TimeoutError:
            failure = NotDelivered(f"got no answer in {notification.timeout_s:g} s", permanent=False)
        else:
            return None
        finally:
            _latency.labels(way.kind).observe(time.monotonic() - started_s)
        _requests_failed.labels(way.kind).inc()
        return failure
