"""Escalation: when nobody acknowledges an alert within its time, the next receiver is told.

An escalated alert takes one route more, made from the one it was told on: same grouping and timers, another receiver.
So all else holds for it, too: it is in the notification log (kill -9 does not tell twice), muted, repeated, resolved.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from watchkeeper.model.alert import Alert
from watchkeeper.model.document import Settings, setting
from watchkeeper.model.duration import format_duration
from watchkeeper.notify.acks import AckBook
from watchkeeper.notify.field_types import Duration, MatcherLines
from watchkeeper.notify.ledger import Ledger
from watchkeeper.notify.matcher import match_all
from watchkeeper.notify.route import Route
from watchkeeper.store.state.ledger import Event


class Escalation(Settings):
    """One step: who is told when nobody acknowledges in time."""

    matchers: MatcherLines = setting((), "What an alert must satisfy, as in alertmanager.yml; all by default.")
    receiver: str = setting("", "Only alerts that this receiver was told of; any by default.")
    after: Duration = setting(900_000, "How long after it was first told; 15m by default.", ge=1000)
    to: str = setting("", "The receiver that is told then.", min_length=1, validate_default=True)


class Escalator:
    """Watches what was told, and says what is to be told to whom because nobody acknowledged it."""

    def __init__(self, steps: Sequence[Escalation], acks: AckBook, ledger: Ledger) -> None:
        self._steps, self._acks, self._ledger = tuple(steps), acks, ledger
        self._waiting: dict[tuple[int, str, int], tuple[int, Route]] = {}  # alert, route, step → due, route
        self._raised: dict[int, dict[str, Route]] = {}
        self._told: dict[int, int] = {}
        self._noted: set[tuple[int, str]] = set()

    def use(self, steps: Sequence[Escalation], alerts: Iterable[Alert], root: Route) -> None:
        """Take these steps and routes from now on, for the alerts that were told before, too."""
        self._steps = tuple(steps)
        self._waiting.clear()
        self._raised.clear()
        for alert in alerts if steps else ():
            if (told_ms := self._told.get(alert.fingerprint)) is not None:
                for route in root.match(alert.labels):
                    self.told(route, (alert,), told_ms)

    def restore(self, events: Iterable[Event]) -> None:
        """Know who was told, and what was raised, before a restart: told and escalated steps, oldest first."""
        for event in events:
            if event.kind == "told":
                self._told.setdefault(event.fingerprint, event.time_ms)
            elif event.kind == "escalated":
                self._noted.add((event.fingerprint, event.detail["receiver"]))
            else:
                self.forget((event.fingerprint,))

    def told(self, route: Route, alerts: Iterable[Alert], now_ms: int) -> None:
        """Note that a route's receiver was told of alerts that fire."""
        if not self._steps:
            return
        receiver = route.options.receiver
        for alert in alerts:
            first_ms = self._told.setdefault(alert.fingerprint, now_ms)
            for at, step in enumerate(self._steps):
                place = (alert.fingerprint, route.id, at)
                if place in self._waiting or step.to == receiver or step.to in self._raised.get(alert.fingerprint, {}):
                    continue
                if step.receiver in ("", receiver) and match_all(step.matchers, alert.labels):
                    self._waiting[place] = (first_ms + step.after, route)

    def next_due_ms(self) -> int | None:
        """Give when something may have to be raised next."""
        return min((due_ms for due_ms, _ in self._waiting.values()), default=None)

    def due(self, now_ms: int, find: Callable[[int], Alert | None]) -> list[Alert]:
        """Give the alerts that take a route more from now on: they fire still, and nobody has acknowledged them."""
        raised: list[Alert] = []
        for place, (due_ms, route) in list(self._waiting.items()):
            fingerprint, _, at = place
            if due_ms > now_ms:
                continue
            if (ack := self._acks.find(fingerprint)) is not None:
                self._waiting[place] = (ack.until_ms, route)  # it counts again from when the acknowledgement ends
                continue
            del self._waiting[place]
            alert = find(fingerprint)
            if alert is None or alert.resolved(now_ms):
                continue
            step = self._steps[at]
            up = self._raised.setdefault(fingerprint, {})
            if step.to in up:
                continue
            up[step.to] = _raised_route(route, step.to)
            raised.append(alert)
            if (fingerprint, step.to) not in self._noted:
                self._noted.add((fingerprint, step.to))
                detail = {"receiver": step.to, "after": format_duration(step.after)}
                self._ledger.add(Event(now_ms, fingerprint, "escalated", detail))
        return raised

    def routes_of(self, fingerprint: int) -> Iterable[Route]:
        """Give the routes that an alert takes besides its own."""
        return self._raised.get(fingerprint, {}).values()

    def forget(self, fingerprints: Iterable[int]) -> None:
        """Let go of alerts that are over."""
        gone = set(fingerprints)
        if not gone:
            return
        for one in gone:
            self._raised.pop(one, None)
            self._told.pop(one, None)
        self._noted = {one for one in self._noted if one[0] not in gone}
        self._waiting = {place: due for place, due in self._waiting.items() if place[0] not in gone}


def _raised_route(route: Route, receiver: str) -> Route:
    key = f'{route.key}/{{escalated_to="{receiver}"}}'
    options = replace(route.options, receiver=receiver, group_wait_ms=0)
    return Route(options, route.matchers, goes_on=False, key=key, id=f"{route.id}/escalated/{receiver}")
