"""The notification log in the state store: what each integration was last told about each group."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import delete, select

from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.ledger import Event, add_events
from watchkeeper.store.state.schema import notification_log
from watchkeeper.store.state.upsert import upsert


@dataclass(frozen=True, slots=True)
class LogKey:
    """Who was told about what: a group, and an integration by its receiver, kind and place."""

    group_key: str
    receiver: str
    integration: str
    position: int

    @property
    def digest(self) -> bytes:
        """SHA-256 of the four, as a JSON list: what the row is found by."""
        parts = [self.group_key, self.receiver, self.integration, self.position]
        return hashlib.sha256(orjson.dumps(parts)).digest()


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What was last told, and when. Fingerprints of the alerts that fired and of those that were over.

    kept  what the integration keeps of its message, for the next to the same group
    """

    key: LogKey
    sent_ms: int
    expires_ms: int
    firing: frozenset[int]
    resolved: frozenset[int]
    kept: Mapping[str, str] = field(default_factory=dict, hash=False)


def load_notifications(state: StateStore) -> list[LogEntry]:
    """Give the whole log."""
    with state.read() as connection:
        return [entry_of(row) for row in connection.execute(select(notification_log))]


def save_notifications(state: StateStore, entries: Sequence[LogEntry], events: Sequence[Event] = ()) -> None:
    """Write entries, and the ledger's steps that say the same, all or none; on the disk when it returns."""
    with state.write() as connection:
        upsert(connection, notification_log, [_row(entry) for entry in entries])
        add_events(connection, events)


def drop_notifications(state: StateStore, expired_before_ms: int) -> None:
    """Remove entries that no longer count."""
    with state.write() as connection:
        connection.execute(delete(notification_log).where(notification_log.c.expires_ms < expired_before_ms))


def _row(entry: LogEntry) -> dict[str, Any]:
    return {
        "key_hash": entry.key.digest,
        "group_key": entry.key.group_key,
        "receiver": entry.key.receiver,
        "integration": entry.key.integration,
        "position": entry.key.position,
        "sent_ms": entry.sent_ms,
        "expires_ms": entry.expires_ms,
        "firing": _packed(entry.firing),
        "resolved": _packed(entry.resolved),
        "kept": orjson.dumps(dict(entry.kept)).decode(),
    }


def entry_of(row: Any) -> LogEntry:
    """Give the entry that a row keeps."""
    return LogEntry(
        key=LogKey(row.group_key, row.receiver, row.integration, row.position),
        sent_ms=row.sent_ms,
        expires_ms=row.expires_ms,
        firing=_unpacked(row.firing),
        resolved=_unpacked(row.resolved),
        kept=orjson.loads(row.kept),
    )


def _packed(fingerprints: frozenset[int]) -> str:
    return orjson.dumps([f"{one:016x}" for one in sorted(fingerprints)]).decode()


def _unpacked(text: str) -> frozenset[int]:
    return frozenset(int(one, 16) for one in orjson.loads(text))
