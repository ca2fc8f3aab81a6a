"""Why was I (not) paged? Puts together what the ledger kept, what the desk knows now, and where the rule stands."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from watchkeeper.notify.desk import Desk
from watchkeeper.notify.gotext import rfc3339
from watchkeeper.notify.ledger import Ledger
from watchkeeper.notify.matcher import Matchers, match_all, shown
from watchkeeper.notify.shown import ShownAlert
from watchkeeper.notify.silence import UnknownSilence
from watchkeeper.notify.story import answer, latest_episode, sentence
from watchkeeper.store.state.acks import Ack
from watchkeeper.store.state.ledger import Event, Subject

_SUBJECTS_MAX = 10_000
_ACCOUNTS_MAX = 20


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one alert of a rule stands, or the rule itself when it has none.

    labels    of the alert; empty for the rule itself
    state     inactive, pending or firing
    since_ms  when the condition began to hold; 0 when it does not
    hold_ms   for how long it must hold until the alert fires
    """

    labels: Mapping[str, str]
    state: str
    since_ms: int
    hold_ms: int
    query: str
    last_error: str
    evaluated_ms: int


Standings = Callable[[str], Sequence[Standing]]


def ack_json(ack: Ack) -> dict[str, Any]:
    """Give an acknowledgement as the API shows it."""
    times = {"made": rfc3339(ack.made_ms), "until": rfc3339(ack.until_ms)}
    return {"fingerprint": f"{ack.fingerprint:016x}", "by": ack.by, "comment": ack.comment, **times}


class Why:
    """Answers about alerts.

    standings  where the rules of an alert name stand
    """

    def __init__(self, desk: Desk, ledger: Ledger, standings: Standings) -> None:
        self._desk, self._ledger, self._standings = desk, ledger, standings

    async def history(self, fingerprint: int, limit: int) -> dict[str, Any] | None:
        """Give an alert's whole way, or None when it is not known."""
        subject = await self._ledger.subject(fingerprint)
        return None if subject is None else await self._account(subject, limit)

    async def why(self, alertname: str, matchers: Matchers, limit: int) -> dict[str, Any]:
        """Answer for the alerts of a name that satisfy matchers: the latest first, and what the rule says."""
        subjects = await self._ledger.subjects(alertname, _SUBJECTS_MAX)
        found = [one for one in subjects if match_all(matchers, one.labels)]
        accounts = [await self._account(one, limit) for one in found[:_ACCOUNTS_MAX]]
        standings = [one for one in self._standings(alertname) if not one.labels or match_all(matchers, one.labels)]
        known = {frozenset(one.labels.items()) for one in found}
        rules = [self._rule_words(alertname, one) for one in standings if frozenset(one.labels.items()) not in known]
        if not accounts and not rules:
            rules = [f"No: no alert {alertname} was seen, and no rule here has that name."]
        elif not accounts and not found:
            rules = [f"No: {words}" for words in rules]
        return {"alertname": alertname, "alerts": accounts, "more": len(found) - len(accounts), "rules": rules}

    async def incident(self, fingerprint: int, limit: int) -> list[dict[str, Any]]:
        """Give an alert's way, and those of the alerts that were grouped with it while it fired; empty when unknown."""
        subject = await self._ledger.subject(fingerprint)
        if subject is None:
            return []
        main = await self._account(subject, limit, latest=True)
        keys = {step["detail"].get("group_key") for step in main["events"]} - {None}
        began = min((step["time_ms"] for step in main["events"]), default=0)
        ended = max((step["time_ms"] for step in main["events"]), default=0)
        others: list[dict[str, Any]] = []
        for other in await self._ledger.company(keys, began, ended):
            if other != fingerprint and len(others) < _ACCOUNTS_MAX:
                found = await self._ledger.subject(other)
                others += [await self._account(found, limit, latest=True)] if found is not None else []
        return [main, *others]

    async def note(self, fingerprint: int, by: str, comment: str) -> bool:
        """Write a person's words into an alert's way; False when the alert is not known."""
        if await self._ledger.subject(fingerprint) is None:
            return False
        self._ledger.add(Event(self._desk.now_ms(), fingerprint, "noted", {"by": by, "comment": comment}))
        await self._ledger.flush()
        return True

    async def recent(self, limit: int) -> list[dict[str, Any]]:
        """Give the alerts that something happened to, latest first, without their steps."""
        return [
            {
                "fingerprint": f"{one.fingerprint:016x}",
                "labels": one.labels,
                "annotations": one.annotations,
                "seen": rfc3339(one.seen_ms),
            }
            for one in await self._ledger.subjects(None, limit)
        ]

    async def _account(self, subject: Subject, limit: int, *, latest: bool = False) -> dict[str, Any]:
        events = await self._ledger.events(subject.fingerprint, limit)
        if latest:
            events = latest_episode(events)
        known, now_ms = self._desk.known(subject.fingerprint), self._desk.now_ms()
        firing = known is not None and not known.alert.resolved(now_ms)
        hold = self._hold(known) if known is not None and firing else ""
        return {
            "fingerprint": f"{subject.fingerprint:016x}",
            "labels": subject.labels,
            "annotations": subject.annotations if known is None else known.alert.annotations,
            "state": "firing" if firing else "resolved",
            "ack": self._ack(subject.fingerprint),
            "answer": answer(firing, events, hold, self._waits(subject, events)),
            "routes": [
                {"route": shown(way.matchers), "receiver": way.options.receiver}
                for way in self._desk.ways(subject.labels)
            ],
            "events": [self._step(one) for one in events],
        }

    def _ack(self, fingerprint: int) -> dict[str, Any] | None:
        ack = self._desk.acks.find(fingerprint)
        return None if ack is None else ack_json(ack)

    def _step(self, event: Event) -> dict[str, Any]:
        words = sentence(event, self._silence_words, self._alert_words)
        head = {"time": rfc3339(event.time_ms), "time_ms": event.time_ms, "kind": event.kind, "text": words}
        return {**head, "detail": event.detail}

    def _hold(self, known: ShownAlert) -> str:
        if known.inhibited_by:
            return f"inhibited by {', '.join(map(self._alert_words, known.inhibited_by[:5]))}"
        if known.silenced_by:
            return f"silenced by {', '.join(map(self._silence_words, known.silenced_by[:5]))}"
        if muting := self._desk.muting(known.alert.labels):
            return muting
        return ""

    def _waits(self, subject: Subject, events: Sequence[Event]) -> str:
        fired = [one for one in events if one.kind == "fired"]
        ways = self._desk.ways(subject.labels)
        if not fired or not ways:
            return ""
        wait_ms = min(way.options.group_wait_ms for way in ways)
        receivers = ", ".join(dict.fromkeys(way.options.receiver for way in ways))
        due = rfc3339(fired[-1].time_ms + wait_ms)
        return f"{receivers} is due when its group has waited, about {due}, or at the group's next interval"

    def _silence_words(self, silence_id: str) -> str:
        try:
            silence = self._desk.silence(silence_id)
        except UnknownSilence:
            return silence_id
        return f"{silence_id} ({silence.created_by}: {silence.comment}) until {rfc3339(silence.ends_at_ms)}"

    def _alert_words(self, fingerprint: str) -> str:
        known = self._desk.known(int(fingerprint, 16))
        if known is None:
            return fingerprint
        labels = dict(known.alert.labels)
        name = labels.pop("alertname", "")
        return name + "{" + ", ".join(f'{key}="{value}"' for key, value in sorted(labels.items())) + "}"

    def _rule_words(self, alertname: str, one: Standing) -> str:
        if one.last_error:
            return f"the rule {alertname} could not be evaluated at {rfc3339(one.evaluated_ms)}: {one.last_error}"
        if one.state == "pending":
            fires = rfc3339(one.since_ms + one.hold_ms)
            return f"it is pending since {rfc3339(one.since_ms)} and fires at {fires} if that goes on ({one.query})"
        if one.state == "firing":
            return f"it fires, but has not come to notification ({one.query})"
        when = f"at {rfc3339(one.evaluated_ms)}" if one.evaluated_ms else "so far"
        return f"the rule {alertname} is inactive: {one.query} found nothing {when}"
