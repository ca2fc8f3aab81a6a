"""All alerts that are known: merged as they come in, and which of them the state store must hear of.

A firing alert is written when it is new or when something about it changes, not when its end is put off again: senders
repeat every minute, and after a restart a firing alert gets time (`resolve_timeout`) to be repeated anyway. What marks
a row as over is an end that is not after its last update.

source  github.com/prometheus/alertmanager, provider/mem and alert.Merge
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from watchkeeper.model.alert import Alert


@dataclass(frozen=True, slots=True)
class Incoming:
    """An alert as it arrives.

    timed  its end was made up from `resolve_timeout`, so any given end outranks it
    """

    alert: Alert
    timed: bool = False


class AlertBook:
    """Alerts by fingerprint.

    refresh_ms  how far an end may move until the state store hears of it: others read it there; None: they do not
    """

    def __init__(self, refresh_ms: int | None = None) -> None:
        self._refresh_ms = refresh_ms
        self._alerts: dict[int, Incoming] = {}
        self._stored: dict[int, Alert] = {}

    def __len__(self) -> int:
        return len(self._alerts)

    def __iter__(self) -> Iterator[Alert]:
        return iter([known.alert for known in self._alerts.values()])

    def __contains__(self, alert_fingerprint: int) -> bool:
        return alert_fingerprint in self._alerts

    def get(self, alert_fingerprint: int) -> Alert | None:
        """Give what is known of an alert."""
        known = self._alerts.get(alert_fingerprint)
        return None if known is None else known.alert

    def restore(self, stored: Iterable[Alert], now_ms: int, grace_ms: int) -> None:
        """Take over what the state store had; firing alerts get time to be heard of again."""
        for alert in stored:
            self._stored[alert.fingerprint] = alert
            if alert.fingerprint in self._alerts:
                continue  # what came in meanwhile is newer
            over = alert.ends_at_ms <= alert.updated_at_ms
            ends_ms = alert.ends_at_ms if over else max(alert.ends_at_ms, now_ms + grace_ms)
            self._alerts[alert.fingerprint] = Incoming(alert.changed(ends_at_ms=ends_ms), timed=not over)

    def merged(self, incoming: Iterable[Incoming]) -> list[Incoming]:
        """Merge news with what is known, without taking it over yet."""
        news: dict[int, Incoming] = {}
        for one in incoming:
            print_ = one.alert.fingerprint
            known = news.get(print_) or self._alerts.get(print_)
            news[print_] = one if known is None or not _overlap(known.alert, one.alert) else _merge(known, one)
        return list(news.values())

    def unsaved(self, alerts: Iterable[Alert], now_ms: int) -> list[Alert]:
        """Give the rows that must be written before these alerts count as kept."""
        rows = []
        for alert in alerts:
            row = alert
            if alert.resolved(now_ms) and alert.updated_at_ms < alert.ends_at_ms:
                row = alert.changed(updated_at_ms=alert.ends_at_ms)  # ran out: from now on the row says so
            stored = self._stored.get(row.fingerprint)
            if not _same(stored, row) or self._is_stale(stored, row):
                rows.append(row)
        return rows

    def _is_stale(self, stored: Alert | None, row: Alert) -> bool:
        if self._refresh_ms is None or stored is None:
            return False
        return row.ends_at_ms > stored.ends_at_ms + self._refresh_ms

    def heard(self, rows: Iterable[Alert]) -> list[Alert]:
        """Take over what others have written, and give what of it is news."""
        news = [row for row in rows if _is_newer(row, self._alerts.get(row.fingerprint))]
        for row in news:
            self._stored[row.fingerprint] = row
            self._alerts[row.fingerprint] = Incoming(row)
        return news

    def saved(self, rows: Iterable[Alert]) -> None:
        """Note what the state store has now."""
        self._stored.update((row.fingerprint, row) for row in rows)

    def take(self, merged: Iterable[Incoming]) -> None:
        """Take merged alerts over."""
        self._alerts.update((one.alert.fingerprint, one) for one in merged)

    def forget(self, alert_fingerprints: Iterable[int]) -> list[int]:
        """Drop alerts, and give those of which the state store has a row to drop."""
        gone = list(alert_fingerprints)
        for one in gone:
            self._alerts.pop(one, None)
        return [one for one in gone if self._stored.pop(one, None) is not None]


def _is_newer(row: Alert, known: Incoming | None) -> bool:
    if known is None:
        return True
    old = known.alert
    if row.updated_at_ms <= old.updated_at_ms:
        return False
    return (row.starts_at_ms, row.ends_at_ms, row.annotations) != (old.starts_at_ms, old.ends_at_ms, old.annotations)


def _same(stored: Alert | None, row: Alert) -> bool:
    if stored is None:
        return False
    was_over, is_over = (one.ends_at_ms <= one.updated_at_ms for one in (stored, row))
    return (
        was_over == is_over
        and (not is_over or stored.ends_at_ms == row.ends_at_ms)
        and stored.starts_at_ms == row.starts_at_ms
        and stored.generator_url == row.generator_url
        and stored.annotations == row.annotations
    )


def _overlap(old: Alert, new: Alert) -> bool:
    return (old.starts_at_ms < new.ends_at_ms < old.ends_at_ms) or (
        old.starts_at_ms < new.starts_at_ms < old.ends_at_ms
    )


def _merge(one: Incoming, other: Incoming) -> Incoming:
    old, new = (one, other) if one.alert.updated_at_ms <= other.alert.updated_at_ms else (other, one)
    ends_ms, now_ms = new.alert.ends_at_ms, new.alert.updated_at_ms
    if new.alert.resolved(now_ms):
        if old.alert.resolved(now_ms):
            ends_ms = max(ends_ms, old.alert.ends_at_ms)
    elif not old.timed:
        ends_ms = max(ends_ms, old.alert.ends_at_ms)
    starts_ms = min(old.alert.starts_at_ms, new.alert.starts_at_ms)
    return Incoming(new.alert.changed(starts_at_ms=starts_ms, ends_at_ms=ends_ms), new.timed)
