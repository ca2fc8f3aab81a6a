"""The delivery ledger: every alert's whole way, written down as it goes: why was I (not) paged?

Steps are put into a queue and written by a task of their own in short transactions, so that no delivery waits for them.
What was told is the exception: those rows share the transaction of the notification log's entry, and so are there
exactly when the notification counts as sent.

A step is written when it changes something: an alert that stays silenced over a hundred flushes is silenced once.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from watchkeeper.model.alert import Alert
from watchkeeper.model.clock import Clock
from watchkeeper.model.document import Settings, setting
from watchkeeper.model.metrics import counter, gauge
from watchkeeper.notify.group import Flush
from watchkeeper.notify.matcher import shown
from watchkeeper.notify.sieve import Hold, Sifted
from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.ledger import (
    Event,
    Subject,
    drop_old_events,
    find_company,
    find_events,
    find_subject,
    find_subjects,
    save_events,
    save_subjects,
)

log = structlog.get_logger(__name__)

_WRITE_EVERY_S = 0.5
_STOP_S = 3.0
_written = counter("watchkeeper_ledger_events", "Steps of alerts that were written to the delivery ledger.")
_dropped = counter(
    "watchkeeper_ledger_events_dropped", "Steps of alerts that found the ledger's queue full, or its disk."
)
_queued = gauge("watchkeeper_ledger_queue_events", "Steps of alerts that wait to be written.")

PendingSince = Callable[[Alert], int | None]


class LedgerSettings(Settings):
    """The delivery ledger."""

    retention_ms: int = setting(2_592_000_000, "Steps of alerts are kept so long (30 days).", unit="ms", ge=60_000)
    events_max: int = setting(2_000_000, "At most so many steps are kept.", unit="events", ge=1000)
    queue_max: int = setting(
        200_000, "Steps that wait to be written; beyond it they are lost, and counted.", unit="events"
    )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver.

    answer  "" when it was taken, else why not
    """

    time_ms: int
    took_ms: int
    answer: str


class Ledger:
    """Watches the desk and writes down what it sees. Methods are called on the event loop's thread.

    pending_since  when an alert's rule first found it, Unix ms; None when no rule here did
    """

    def __init__(
        self, settings: LedgerSettings, state: StateStore, clock: Clock, pending_since: PendingSince | None = None
    ) -> None:
        self._settings, self._state, self._clock = settings, state, clock
        self._pending_since = pending_since or (lambda _alert: None)
        self._queue: deque[Event] = deque()
        self._subjects: dict[int, Subject] = {}
        self._firing: dict[int, bool] = {}
        self._last: dict[tuple[int, str], Hold | None] = {}
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        _queued.set_function(lambda: len(self._queue))

    # ---- life ----

    def restore(self, alerts: Iterable[Alert], now_ms: int) -> None:
        """Know the alerts that a restart brought back, without writing that they fired again."""
        for alert in alerts:
            self._firing[alert.fingerprint] = not alert.resolved(now_ms)
            self._note_subject(alert, now_ms)

    def start(self) -> None:
        """Begin to write."""
        self._writer = asyncio.create_task(self._write(), name="ledger")

    async def stop(self) -> None:
        """Write what waits."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
            self._writer = None
        await self.flush()

    async def flush(self) -> None:
        """Write everything that waits; what cannot be written is dropped and counted."""
        events, subjects = list(self._queue), list(self._subjects.values())
        self._queue.clear()
        self._subjects = {}
        if not events and not subjects:
            return
        try:
            await asyncio.to_thread(_save, self._state, subjects, events)
        except (SQLAlchemyError, OSError) as error:
            _dropped.inc(len(events))
            log.error("ledger_not_written", events=len(events), error=str(error)[:200])  # noqa: TRY400 — no trace wanted
        else:
            _written.inc(len(events))

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(_WRITE_EVERY_S)  # gathers a batch
            self._wake.clear()
            await self.flush()

    async def maintain(self, now_ms: int) -> None:
        """Let go of what is past its retention."""
        before = now_ms - self._settings.retention_ms
        await asyncio.to_thread(drop_old_events, self._state, before, self._settings.events_max)

    # ---- what happens ----

    def add(self, event: Event) -> None:
        """Put a step into the queue."""
        if len(self._queue) >= self._settings.queue_max:
            _dropped.inc()
            return
        self._queue.append(event)
        self._wake.set()

    def took(self, alert: Alert, now_ms: int) -> None:
        """Note that news of an alert came in."""
        firing, was = not alert.resolved(now_ms), self._firing.get(alert.fingerprint)
        if firing == was or (was is None and not firing):
            return
        self._firing[alert.fingerprint] = firing
        self._note_subject(alert, now_ms)
        if not firing:
            self.add(Event(min(alert.ends_at_ms, now_ms), alert.fingerprint, "resolved"))
            return
        if (since_ms := self._pending_since(alert)) is not None and since_ms < alert.starts_at_ms:
            self.add(Event(since_ms, alert.fingerprint, "pending"))
        self.add(
            Event(now_ms, alert.fingerprint, "fired", {"starts_ms": alert.starts_at_ms, "url": alert.generator_url})
        )

    def _note_subject(self, alert: Alert, now_ms: int) -> None:
        self._subjects[alert.fingerprint] = Subject(alert.fingerprint, alert.labels, alert.annotations, now_ms)
        self._wake.set()

    def judged(self, flush: Flush, sifted: Sifted) -> None:
        """Note which alerts of a group are heard and which are held back, where that has changed."""
        group = flush.group
        for alert in flush.resolved:
            self.took(alert, flush.now_ms)
        for alert in flush.alerts:
            place, hold = (alert.fingerprint, group.route.id + group.key), sifted.held.get(alert.fingerprint)
            if place in self._last and self._last[place] == hold:
                continue
            is_new = place not in self._last
            self._last[place] = hold
            where = {"group_key": group.key, "receiver": group.route.options.receiver}
            if is_new:
                route = shown(group.route.matchers)
                more = {"route": route, "labels": group.labels, "alerts": len(flush.alerts)}
                self.add(Event(flush.now_ms, alert.fingerprint, "grouped", {**where, **more}))
            if hold is not None:
                self.add(Event(flush.now_ms, alert.fingerprint, hold.kind, {**where, "by": list(hold.by)}))
            elif not is_new:
                self.add(Event(flush.now_ms, alert.fingerprint, "heard", where))

    def told(self, alerts: Sequence[Alert], where: Mapping[str, Any], attempts: Sequence[Attempt]) -> list[Event]:
        """Give the rows that say that a notification was taken; the notification log writes them with its entry."""
        detail = {**where, "attempts": [_attempt(one) for one in attempts], "alerts": len(alerts)}
        time_ms = attempts[-1].time_ms if attempts else self._clock.now_ms()
        return [Event(time_ms, one.fingerprint, "told", detail) for one in alerts]

    def failed(self, alerts: Sequence[Alert], where: Mapping[str, Any], attempts: Sequence[Attempt]) -> None:
        """Note that a notification was given up."""
        detail = {**where, "attempts": [_attempt(one) for one in attempts], "alerts": len(alerts)}
        for one in alerts:
            self.add(Event(self._clock.now_ms(), one.fingerprint, "failed", detail))

    def forget(self, alert: Alert) -> None:
        """Let go of what is remembered about an alert that is over."""
        self._firing.pop(alert.fingerprint, None)

    def forget_places(self, live: set[int]) -> None:
        """Let go of what is remembered about alerts that are no longer known."""
        self._last = {place: hold for place, hold in self._last.items() if place[0] in live}

    # ---- what happened ----

    async def events(self, fingerprint: int, limit: int) -> list[Event]:
        """Give an alert's latest steps, oldest first; those that wait are written first."""
        await self.flush()
        return list(without_echoes(await asyncio.to_thread(find_events, self._state, fingerprint, limit)))

    async def subject(self, fingerprint: int) -> Subject | None:
        """Give what an alert is."""
        await self.flush()
        return await asyncio.to_thread(find_subject, self._state, fingerprint)

    async def company(self, group_keys: set[str], from_ms: int, to_ms: int) -> list[int]:
        """Give the alerts that were put into any of these groups between two moments, or in the hour before."""
        return await asyncio.to_thread(find_company, self._state, group_keys, from_ms - 3_600_000, to_ms)

    async def subjects(self, alertname: str | None, limit: int) -> list[Subject]:
        """Give the alerts of a name, or all, latest first."""
        await self.flush()
        return await asyncio.to_thread(find_subjects, self._state, alertname, limit)


def without_echoes(events: Iterable[Event]) -> Iterator[Event]:
    """Leave out what several processes of a cluster saw each: what fires cannot fire, nor what is over end."""
    last, groups = "", set[str]()
    for event in events:
        if event.kind in ("fired", "resolved"):
            if event.kind == last:
                continue
            last = event.kind
            groups.clear()
        elif event.kind == "pending" and last == "fired":
            continue
        elif event.kind == "grouped":
            if event.detail["group_key"] in groups:
                continue
            groups.add(event.detail["group_key"])
        yield event


def _save(state: StateStore, subjects: Sequence[Subject], events: Sequence[Event]) -> None:
    save_subjects(state, subjects)
    save_events(state, events)


def _attempt(one: Attempt) -> dict[str, Any]:
    return {"time_ms": one.time_ms, "took_ms": one.took_ms, "answer": one.answer}
