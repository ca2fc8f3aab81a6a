"""Acknowledgements in the state store: who has taken an alert on, until when."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.ledger import Event, add_events
from watchkeeper.store.state.schema import acks
from watchkeeper.store.state.upsert import upsert


@dataclass(frozen=True, slots=True)
class Ack:
    """One acknowledgement.

    fingerprint  of the alert
    until_ms     when it ends by itself, Unix ms; the alert's end ends it, too
    """

    fingerprint: int
    by: str
    comment: str
    made_ms: int
    until_ms: int


def load_acks(state: StateStore) -> list[Ack]:
    """Give all acknowledgements that were kept."""
    with state.read() as connection:
        return list(acks_of(connection))


def acks_of(connection: Connection) -> tuple[Ack, ...]:
    """Give all acknowledgements, inside a transaction that is open."""
    return tuple(
        Ack(int(row.fingerprint, 16), row.made_by, row.comment, row.made_ms, row.until_ms)
        for row in connection.execute(select(acks))
    )


def save_acks(state: StateStore, made: Sequence[Ack], events: Sequence[Event]) -> None:
    """Write acknowledgements and the ledger's steps that say so, all or none; on the disk when it returns."""
    rows = [
        {
            "fingerprint": f"{one.fingerprint:016x}",
            "made_by": one.by,
            "comment": one.comment,
            "made_ms": one.made_ms,
            "until_ms": one.until_ms,
        }
        for one in made
    ]
    with state.write() as connection:
        upsert(connection, acks, rows)
        add_events(connection, events)


def drop_acks(state: StateStore, fingerprints: Sequence[int], events: Sequence[Event] = ()) -> None:
    """Remove acknowledgements, and write the ledger's steps that say so."""
    keys = [f"{one:016x}" for one in fingerprints]
    with state.write() as connection:
        for start in range(0, len(keys), 500):
            connection.execute(delete(acks).where(acks.c.fingerprint.in_(keys[start : start + 500])))
        add_events(connection, events)
