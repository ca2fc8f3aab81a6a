"""What the desk shows of its alerts and groups: who receives them, and what mutes them."""

from dataclasses import replace

from watchkeeper.model.alert import Alert
from watchkeeper.model.clock import Clock
from watchkeeper.model.labels import Labels
from watchkeeper.notify.alert_book import AlertBook
from watchkeeper.notify.group import Group, Groups
from watchkeeper.notify.inhibit import Inhibitor
from watchkeeper.notify.route import Route
from watchkeeper.notify.shown import AlertFilter, ShownAlert, ShownGroup
from watchkeeper.notify.sieve import Sieve
from watchkeeper.notify.silence import SilenceBook


class Showing:
    """Reads what one configuration makes of the alerts; changes nothing."""

    def __init__(
        self,
        book: AlertBook,
        route: Route,
        groups: Groups,
        inhibitor: Inhibitor,
        silences: SilenceBook,
        sieve: Sieve,
        clock: Clock,
    ) -> None:
        self._book, self._route, self._groups, self._inhibitor = book, route, groups, inhibitor
        self._silences, self._sieve, self._clock = silences, sieve, clock

    def alerts(self, wanted: AlertFilter) -> list[ShownAlert]:
        """Give the alerts that are not over and pass a filter, by fingerprint."""
        now_ms, found = self._clock.now_ms(), []
        for alert in self._book:
            if alert.ends_at_ms < now_ms:
                continue
            receivers = self._receivers(alert)
            shown = self.show(alert, receivers, now_ms)
            if wanted.wants_receiver(receivers) and wanted.wants(shown):
                found.append(shown)
        return sorted(found, key=lambda shown: shown.alert.fingerprint)

    def groups(self, wanted: AlertFilter) -> list[ShownGroup]:
        """Give the groups that have alerts which pass a filter, in the API's order."""
        now_ms, found = self._clock.now_ms(), []
        receivers: dict[int, list[str]] = {}
        for group in self._groups.shown():
            receiver = group.route.options.receiver
            if not wanted.wants_receiver((receiver,)):
                continue
            alerts = [shown for shown in self._shown_of(group, now_ms) if wanted.wants(shown)]
            for shown in alerts:
                receivers.setdefault(shown.alert.fingerprint, []).append(receiver)
            if alerts and (wanted.muted or not group.muted_by):
                found.append(ShownGroup(group.labels, receiver, tuple(alerts)))
        return [replace(group, alerts=tuple(_received(one, receivers) for one in group.alerts)) for group in found]

    def known(self, alert_fingerprint: int) -> ShownAlert | None:
        """Give what is known of an alert, over or not."""
        alert = self._book.get(alert_fingerprint)
        return None if alert is None else self.show(alert, self._receivers(alert), self._clock.now_ms())

    def muting(self, labels: Labels) -> str:
        """Say which time intervals mute the groups of an alert with these labels; "" when a route lets it through."""
        holds = [self._sieve.muting_of(way.options, self._clock.now_ms()) for way in self._route.match(labels)]
        return "; ".join(hold.words for hold in holds if hold is not None) if holds and all(holds) else ""

    def show(self, alert: Alert, receivers: tuple[str, ...], now_ms: int) -> ShownAlert:
        """Give an alert with its status."""
        return ShownAlert(
            alert=alert,
            receivers=receivers,
            silenced_by=tuple(self._silences.muted_by(alert.fingerprint, alert.labels, now_ms)),
            inhibited_by=tuple(self._inhibitor.muted_by(alert.labels, now_ms)),
        )

    def _receivers(self, alert: Alert) -> tuple[str, ...]:
        return tuple(route.options.receiver for route in self._route.match(alert.labels))

    def _shown_of(self, group: Group, now_ms: int) -> list[ShownAlert]:
        held = [alert for alert in group.alerts if alert.ends_at_ms >= now_ms]
        return [replace(self.show(alert, (), now_ms), muted_by=group.muted_by) for alert in held]


def _received(shown: ShownAlert, receivers: dict[int, list[str]]) -> ShownAlert:
    return replace(shown, receivers=tuple(sorted(receivers.get(shown.alert.fingerprint, ()))))
