"""Aggregation groups: alerts of one route with equal group labels, and when they are due.

A pure state machine: it is told the time and says what is to be done; `desk` does it and reports back. Timers count
monotonic seconds, so that a clock set back or forward neither holds up nor repeats a notification; alerts' own times
are Unix milliseconds.

source  github.com/prometheus/alertmanager, dispatch
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from watchkeeper.model.alert import Alert
from watchkeeper.model.labels import fingerprint
from watchkeeper.notify.ordering import label_key, label_set, sorted_alerts
from watchkeeper.notify.route import Route, RouteOptions

FIRING_ENDS_MS = 1 << 62  # the end of an alert that fires at the moment of a flush: it does not resolve during it
_TIMEOUT_MIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Flush:
    """What a group had when it came due.

    alerts     in Alertmanager's order; those that fire then have no end
    resolved   those of them that are over, as they were inserted
    timeout_s  how long delivery may take: until the next flush, but at least ten seconds
    """

    group: "Group"
    now_ms: int
    alerts: tuple[Alert, ...]
    resolved: tuple[Alert, ...]
    timeout_s: float


class Group:
    """Alerts that are sent together.

    route    whose options hold
    labels   what the alerts have in common
    key      names the group in payloads and in the notification log
    muted_by time intervals that muted it at its last flush
    """

    __slots__ = ("_alerts", "busy", "due_s", "key", "labels", "muted_by", "route")

    def __init__(self, route: Route, labels: dict[str, str], due_s: float) -> None:
        self.route, self.labels, self.due_s = route, labels, due_s
        self.key = f"{route.key}:{label_set(labels)}"
        self.busy = False
        self.muted_by: tuple[str, ...] = ()
        self._alerts: dict[int, Alert] = {}

    @property
    def alerts(self) -> list[Alert]:
        """The alerts in it, in Alertmanager's order."""
        return sorted_alerts(self._alerts.values())

    @property
    def is_empty(self) -> bool:
        """Whether no alert is left."""
        return not self._alerts

    def __contains__(self, alert_fingerprint: int) -> bool:
        return alert_fingerprint in self._alerts

    def insert(self, alert: Alert) -> None:
        """Add an alert, or replace what is known of it."""
        self._alerts[alert.fingerprint] = alert

    def flush(self, at_s: float, now_ms: int) -> Flush:
        """Take what is to be sent now, and set the timer for the next flush."""
        options = self.route.options
        interval_s = options.group_interval_ms / 1000
        on_time = at_s < self.due_s + interval_s  # then the next turn counts from this one's due time: no drift
        next_s = (self.due_s if on_time else at_s) + interval_s
        self.due_s, self.busy = _digest_s(options, at_s, now_ms, next_s), True
        alerts = self.alerts
        return Flush(
            group=self,
            now_ms=now_ms,
            alerts=tuple(one if one.resolved(now_ms) else one.changed(ends_at_ms=FIRING_ENDS_MS) for one in alerts),
            resolved=tuple(one for one in alerts if one.resolved(now_ms)),
            timeout_s=max(interval_s, _TIMEOUT_MIN_S),
        )

    def done(self, flush: Flush, *, delivered: bool) -> None:
        """End a flush: resolved alerts leave when it was delivered, unless they were heard of again meanwhile."""
        self.busy = False
        if not delivered:
            return
        for alert in flush.resolved:
            if self._alerts.get(alert.fingerprint) is alert:
                del self._alerts[alert.fingerprint]


class Groups:
    """All groups, and whose turn is next.

    groups_max  beyond it an alert makes no new group; the caller counts and logs
    """

    def __init__(self, root: Route, groups_max: int) -> None:
        self.root = root
        self._groups_max = groups_max
        self._groups: dict[tuple[str, int], Group] = {}
        self._queue: list[tuple[float, int, Group]] = []
        self._turn = count()

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[Group]:
        return iter(list(self._groups.values()))

    def insert(self, alert: Alert, at_s: float, now_ms: int, more: Iterable[Route] = ()) -> int:
        """Put an alert into the group of each route that matches it, and of those it takes besides.

        returns  how many new groups it would have needed beyond the limit
        """
        refused = 0
        for route in (*self.root.match(alert.labels), *more):
            labels = route.options.group_labels(alert.labels)
            place = (route.id, fingerprint(labels))
            group = self._groups.get(place)
            if group is None and len(self._groups) >= self._groups_max:
                refused += 1
                continue
            if group is None:
                wait_ms = route.options.group_wait_ms
                is_old = alert.starts_at_ms + wait_ms < now_ms  # it has waited long enough elsewhere
                due_s = at_s if is_old else at_s + wait_ms / 1000
                group = self._groups[place] = Group(route, labels, _digest_s(route.options, at_s, now_ms, due_s))
                self._enqueue(group)
            group.insert(alert)
        return refused

    def next_due_s(self) -> float | None:
        """Give the moment of the next flush, or None when there is nothing to wait for."""
        self._skip_stale()
        return self._queue[0][0] if self._queue else None

    def due(self, at_s: float, now_ms: int) -> list[Flush]:
        """Take the flushes of all groups whose turn it is; each must be ended by `done`."""
        flushes = []
        while (next_s := self.next_due_s()) is not None and next_s <= at_s:
            group = heapq.heappop(self._queue)[2]
            flushes.append(group.flush(at_s, now_ms))
        return flushes

    def done(self, flush: Flush, *, delivered: bool) -> None:
        """End a flush; the group goes when nothing is left in it."""
        group = flush.group
        group.done(flush, delivered=delivered)
        if group.is_empty:
            place = (group.route.id, fingerprint(group.labels))
            if self._groups.get(place) is group:
                del self._groups[place]
            return
        self._enqueue(group)

    def holds(self, alert: Alert, more: Iterable[Route] = ()) -> bool:
        """Say whether any group still has an alert."""
        for route in (*self.root.match(alert.labels), *more):
            group = self._groups.get((route.id, fingerprint(route.options.group_labels(alert.labels))))
            if group is not None and alert.fingerprint in group:
                return True
        return False

    def shown(self) -> list[Group]:
        """Give the groups in the API's order: by labels, then by receiver."""
        return sorted(self._groups.values(), key=lambda one: (label_key(one.labels), one.route.options.receiver))

    def _enqueue(self, group: Group) -> None:
        heapq.heappush(self._queue, (group.due_s, next(self._turn), group))

    def _skip_stale(self) -> None:
        while self._queue and (self._queue[0][2].busy or self._queue[0][2].is_empty):
            heapq.heappop(self._queue)


def _digest_s(options: RouteOptions, at_s: float, now_ms: int, else_s: float) -> float:
    """Give when a group is due: the next moment of its receiver's digest, or as the timers have it."""
    next_ms = options.digest.next_after(now_ms) if options.digest is not None else None
    return else_s if next_ms is None else at_s + (next_ms - now_ms) / 1000


def fingerprints(alerts: Iterable[Alert]) -> frozenset[int]:
    """Give the alerts' fingerprints."""
    return frozenset(one.fingerprint for one in alerts)
