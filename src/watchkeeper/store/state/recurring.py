"""Recurring silences and heartbeats in the state store."""

from typing import Any

import orjson
from sqlalchemy import delete, select

from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.schema import heartbeats, recurring_silences
from watchkeeper.store.state.upsert import upsert


def load_recurring(state: StateStore) -> list[tuple[str, dict[str, Any]]]:
    """Give all recurring silences: id and body."""
    with state.read() as connection:
        return [(row.id, orjson.loads(row.body)) for row in connection.execute(select(recurring_silences))]


def save_recurring(state: StateStore, silence_id: str, body: dict[str, Any], now_ms: int) -> None:
    """Write a recurring silence; on the disk when it returns."""
    with state.write() as connection:
        row = {"id": silence_id, "body": orjson.dumps(body).decode(), "updated_ms": now_ms}
        upsert(connection, recurring_silences, [row])


def drop_recurring(state: StateStore, silence_id: str) -> None:
    """Remove a recurring silence."""
    with state.write() as connection:
        connection.execute(delete(recurring_silences).where(recurring_silences.c.id == silence_id))


def load_heartbeats(state: StateStore) -> dict[str, int]:
    """Give when each heartbeat was last seen, Unix ms."""
    with state.read() as connection:
        return {row.name: row.seen_ms for row in connection.execute(select(heartbeats))}


def save_heartbeat(state: StateStore, name: str, seen_ms: int) -> None:
    """Note that a heartbeat was seen."""
    with state.write() as connection:
        upsert(connection, heartbeats, [{"name": name, "seen_ms": seen_ms}])
