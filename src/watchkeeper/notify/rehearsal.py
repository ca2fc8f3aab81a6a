"""Who would have been told what and when: the routes, groups, inhibition, mute times, silences and the rule of the
notification log that the desk uses, on a clock that jumps from event to event. Nothing is sent, written or counted.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count

from watchkeeper.model.alert import Alert
from watchkeeper.notify.group import FIRING_ENDS_MS, Flush, Groups, fingerprints
from watchkeeper.notify.inhibit import Inhibitor
from watchkeeper.notify.log import reason_to_notify
from watchkeeper.notify.mute import MuteTimes
from watchkeeper.notify.notification import is_firing
from watchkeeper.notify.route import build_routes
from watchkeeper.notify.settings import AlertmanagerConfig
from watchkeeper.notify.sieve import Hold, Sieve
from watchkeeper.notify.silence import Silence, SilenceBook
from watchkeeper.store.state.notifications import LogEntry, LogKey

_GROUPS_MAX = 1_000_000
_RETENTION_MS = 432_000_000  # 120 h, Alertmanager's --data.retention
_STILL_MS = FIRING_ENDS_MS - 1


@dataclass(frozen=True, slots=True)
class Told:
    """One notification that would have gone out.

    way       the integration, such as "webhook[0]"
    labels    what its group has in common
    firing    alerts in it that fired then; resolved: those that were over
    """

    time_ms: int
    receiver: str
    way: str
    group_key: str
    labels: tuple[tuple[str, str], ...]
    reason: str
    firing: tuple[Alert, ...]
    resolved: tuple[Alert, ...]


@dataclass(slots=True)
class Rehearsed:
    """What became of alerts.

    told    in the order of time
    quiet   (fingerprint, start) of each firing of which nobody was told → why
    """

    told: list[Told] = field(default_factory=list)
    quiet: dict[tuple[int, int], str] = field(default_factory=dict)


def rehearse(
    config: AlertmanagerConfig, alerts: Iterable[Alert], end_ms: int, silences: Sequence[Silence] = ()
) -> Rehearsed:
    """Let alerts go through a configuration, from the first one's start to an end.

    alerts  each firing once; ends_at_ms 0 when it still fires at the end
    """
    return _Rehearsal(config, silences).run(list(alerts), end_ms)


class _Rehearsal:
    def __init__(self, config: AlertmanagerConfig, silences: Sequence[Silence]) -> None:
        assert config.route is not None  # read_config saw to it
        self._inhibitor = Inhibitor(config.inhibit_rules)
        self._groups = Groups(build_routes(config.route), _GROUPS_MAX)
        book = SilenceBook(len(silences) + 1, 1 << 20)
        book.take(silences)
        mute_times = MuteTimes((*config.mute_time_intervals, *config.time_intervals))
        self._sieve = Sieve(self._inhibitor, mute_times, book)
        self._ways = {receiver.name: list(receiver.integrations()) for receiver in config.receivers}
        self._log: dict[LogKey, LogEntry] = {}
        self._heard: set[tuple[int, int]] = set()
        self._names: dict[int, str] = {}
        self._done = Rehearsed()

    def run(self, alerts: Sequence[Alert], end_ms: int) -> Rehearsed:
        events = self._events(alerts)
        while True:
            due_s = self._groups.next_due_s()
            due_ms = end_ms + 1 if due_s is None else round(due_s * 1000)
            now_ms = min(due_ms, events[0][0] if events else end_ms + 1)
            if now_ms > end_ms:
                break
            while events and events[0][0] <= now_ms:
                self._insert(heapq.heappop(events)[2], now_ms)
            for flush in self._groups.due(now_ms / 1000, now_ms):
                self._flush(flush)
                self._groups.done(flush, delivered=True)
        for alert in alerts:
            if _place(alert) not in self._heard:
                self._done.quiet.setdefault(_place(alert), "over before its group's turn")
        return self._done

    def _events(self, alerts: Iterable[Alert]) -> list[tuple[int, int, Alert]]:
        """Give what the desk would hear, in the order of time: that an alert fires, and that it is over."""
        turn = count()
        events = []
        for alert in alerts:
            self._names[alert.fingerprint] = alert.labels.get("alertname", "")
            fires = alert.changed(ends_at_ms=_STILL_MS, updated_at_ms=alert.starts_at_ms)
            events.append((alert.starts_at_ms, next(turn), fires))
            if alert.ends_at_ms:
                events.append((alert.ends_at_ms, next(turn), alert))
        heapq.heapify(events)
        return events

    def _insert(self, alert: Alert, now_ms: int) -> None:
        self._inhibitor.learn(alert)
        self._groups.insert(alert, now_ms / 1000, now_ms)

    def _flush(self, flush: Flush) -> None:
        sifted = self._sieve.sift(flush)
        heard = sifted.heard
        for alert in flush.alerts:
            if is_firing(alert) and alert.fingerprint in sifted.held and _place(alert) not in self._heard:
                self._done.quiet[_place(alert)] = self._words(sifted.held[alert.fingerprint])
        ways = self._ways[flush.group.route.options.receiver]
        if heard and not ways:
            for alert in filter(is_firing, heard):
                self._done.quiet[_place(alert)] = "its receiver tells nobody"
        for kind, position, settings in ways if heard else ():
            self._tell(
                flush, heard, LogKey(flush.group.key, flush.group.route.options.receiver, kind, position), settings
            )

    def _words(self, hold: Hold) -> str:
        """Say why an alert is not heard."""
        if hold.kind == "inhibited":
            return f"inhibited by {', '.join(dict.fromkeys(self._names.get(int(one, 16), one) for one in hold.by))}"
        return f"silenced by {', '.join(hold.by)}" if hold.kind == "silenced" else hold.words

    def _tell(self, flush: Flush, alerts: tuple[Alert, ...], key: LogKey, settings: object) -> None:
        firing = tuple(one for one in alerts if is_firing(one))
        resolved = tuple(one for one in alerts if not is_firing(one))
        repeat_ms = flush.group.route.options.repeat_interval_ms
        wants_resolved = bool(getattr(settings, "send_resolved", False))
        reason = reason_to_notify(
            self._known(key, flush.now_ms),
            fingerprints(firing),
            fingerprints(resolved),
            flush.now_ms,
            repeat_ms,
            send_resolved=wants_resolved,
        )
        if reason is None:
            told = self._known(key, flush.now_ms)
            for one in firing:
                if told is not None and one.fingerprint in told.firing and _place(one) not in self._heard:
                    self._done.quiet[_place(one)] = "told of before, and its end was not told yet"
            return
        entry = LogEntry(
            key,
            flush.now_ms,
            flush.now_ms + min(_RETENTION_MS, 2 * repeat_ms),
            fingerprints(firing),
            fingerprints(resolved),
        )
        self._log[key] = entry
        shown = resolved if wants_resolved else ()
        if not firing and not shown:
            return
        for one in firing:
            self._heard.add(_place(one))
            self._done.quiet.pop(_place(one), None)
        labels, way = tuple(sorted(flush.group.labels.items())), f"{key.integration}[{key.position}]"
        news = Told(flush.now_ms, key.receiver, way, key.group_key, labels, str(reason), firing, shown)
        self._done.told.append(news)

    def _known(self, key: LogKey, now_ms: int) -> LogEntry | None:
        entry = self._log.get(key)
        return entry if entry is not None and entry.expires_ms > now_ms else None


def _place(alert: Alert) -> tuple[int, int]:
    return alert.fingerprint, alert.starts_at_ms
