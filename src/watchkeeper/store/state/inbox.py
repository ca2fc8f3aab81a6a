"""The inbox in the state store: notifications kept for people to read in the UI."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, desc, insert, select

from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.schema import inbox


@dataclass(frozen=True, slots=True)
class InboxMessage:
    """One notification; `message` is the webhook payload as JSON."""

    id: int
    received_ms: int
    receiver: str
    status: str
    message: str


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A notification on its way into the inbox."""

    received_ms: int
    receiver: str
    status: str
    message: str


def add_messages(state: StateStore, messages: Sequence[NewMessage], keep: int) -> None:
    """Write notifications, all or none, and drop the oldest beyond `keep`; on the disk when it returns."""
    rows = [
        {"received_ms": one.received_ms, "receiver": one.receiver, "status": one.status, "message": one.message}
        for one in messages
    ]
    with state.write() as connection:
        connection.execute(insert(inbox), rows)
        last = connection.execute(select(inbox.c.id).order_by(desc(inbox.c.id)).offset(keep).limit(1)).scalar()
        if last is not None:
            connection.execute(delete(inbox).where(inbox.c.id <= last))


def load_messages(state: StateStore, limit: int) -> list[InboxMessage]:
    """Give the newest notifications, newest first."""
    with state.read() as connection:
        rows = connection.execute(select(inbox).order_by(desc(inbox.c.id)).limit(limit))
        return [InboxMessage(row.id, row.received_ms, row.receiver, row.status, row.message) for row in rows]
