"""The delivery ledger in the state store: what happened to each alert, one row a step, and what the alert was."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection, delete, func, insert, select

from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.schema import ledger, ledger_alerts
from watchkeeper.store.state.upsert import upsert

_RANK = {"pending": -4, "fired": -3, "resolved": -2, "grouped": -1, "told": 1, "failed": 1}  # within a millisecond
_CHUNK = 500  # rows a transaction: SQLite has one writer, and whoever writes what must be durable waits for it


@dataclass(frozen=True, slots=True)
class Event:
    """One step on an alert's way.

    kind    pending, fired, resolved, grouped, heard, inhibited, silenced, muted, told, failed, acknowledged, …
    detail  what the kind needs to be told as a sentence; JSON
    """

    time_ms: int
    fingerprint: int
    kind: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """An alert that the ledger knows.

    seen_ms  when something last happened to it
    """

    fingerprint: int
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    seen_ms: int


def add_events(connection: Connection, events: Sequence[Event]) -> None:
    """Write events inside a transaction that is open."""
    rows = [
        {
            "time_ms": one.time_ms,
            "fingerprint": f"{one.fingerprint:016x}",
            "kind": one.kind,
            "detail": orjson.dumps(one.detail).decode(),
        }
        for one in events
    ]
    if rows:
        connection.execute(insert(ledger), rows)


def save_events(state: StateStore, events: Sequence[Event]) -> None:
    """Write events in short transactions."""
    for start in range(0, len(events), _CHUNK):
        with state.write() as connection:
            add_events(connection, events[start : start + _CHUNK])


def save_subjects(state: StateStore, subjects: Sequence[Subject]) -> None:
    """Write what alerts are, in short transactions."""
    for start in range(0, len(subjects), _CHUNK):
        rows = [
            {
                "fingerprint": f"{one.fingerprint:016x}",
                "alertname": one.labels.get("alertname", ""),
                "labels": orjson.dumps(dict(one.labels)).decode(),
                "annotations": orjson.dumps(dict(one.annotations)).decode(),
                "seen_ms": one.seen_ms,
            }
            for one in subjects[start : start + _CHUNK]
        ]
        with state.write() as connection:
            upsert(connection, ledger_alerts, rows)


def find_subject(state: StateStore, fingerprint: int) -> Subject | None:
    """Give an alert by its fingerprint."""
    with state.read() as connection:
        wanted = select(ledger_alerts).where(ledger_alerts.c.fingerprint == f"{fingerprint:016x}")
        row = connection.execute(wanted).first()
        return None if row is None else _subject(row)


def find_subjects(state: StateStore, alertname: str | None, limit: int) -> list[Subject]:
    """Give alerts, those of one name when it is given, latest first."""
    query = select(ledger_alerts).order_by(ledger_alerts.c.seen_ms.desc()).limit(limit)
    if alertname is not None:
        query = query.where(ledger_alerts.c.alertname == alertname)
    with state.read() as connection:
        return [_subject(row) for row in connection.execute(query)]


def find_events(state: StateStore, fingerprint: int, limit: int) -> list[Event]:
    """Give the latest events of an alert, oldest first."""
    query = select(ledger).where(ledger.c.fingerprint == f"{fingerprint:016x}")
    with state.read() as connection:
        rows = connection.execute(query.order_by(ledger.c.id.desc()).limit(limit)).all()
    return sorted(map(_event, reversed(rows)), key=lambda one: (one.time_ms, _RANK.get(one.kind, 0)))


def find_company(state: StateStore, group_keys: Collection[str], from_ms: int, to_ms: int) -> list[int]:
    """Give the alerts that were put into groups of these keys between two moments, each once."""
    query = select(ledger.c.fingerprint, ledger.c.detail).where(
        ledger.c.kind == "grouped", ledger.c.time_ms >= from_ms, ledger.c.time_ms <= to_ms
    )
    with state.read() as connection:
        rows = connection.execute(query.order_by(ledger.c.id)).all()
    found = (int(row.fingerprint, 16) for row in rows if orjson.loads(row.detail)["group_key"] in group_keys)
    return list(dict.fromkeys(found))


def find_tellings(state: StateStore, since_ms: int) -> list[Event]:
    """Give the steps of all alerts that say who was told, what was escalated, and what is over, oldest first."""
    kinds = ("told", "escalated", "resolved")
    query = select(ledger).where(ledger.c.kind.in_(kinds), ledger.c.time_ms >= since_ms).order_by(ledger.c.id)
    with state.read() as connection:
        return [_event(row) for row in connection.execute(query)]


def drop_old_events(state: StateStore, before_ms: int, keep: int) -> int:
    """Remove what is older than a moment, and the oldest beyond a number; gives how many events went."""
    gone = 0
    with state.read() as connection:
        last = connection.execute(select(func.max(ledger.c.id))).scalar() or 0
    while True:
        old = select(ledger.c.id).where((ledger.c.time_ms < before_ms) | (ledger.c.id <= last - keep)).limit(_CHUNK)
        with state.write() as connection:
            removed = connection.execute(delete(ledger).where(ledger.c.id.in_(old))).rowcount
        gone += removed
        if removed < _CHUNK:
            break
    with state.write() as connection:
        connection.execute(delete(ledger_alerts).where(ledger_alerts.c.seen_ms < before_ms))
    return gone


def _subject(row: Any) -> Subject:
    return Subject(int(row.fingerprint, 16), orjson.loads(row.labels), orjson.loads(row.annotations), row.seen_ms)


def _event(row: Any) -> Event:
    return Event(row.time_ms, int(row.fingerprint, 16), row.kind, orjson.loads(row.detail))
