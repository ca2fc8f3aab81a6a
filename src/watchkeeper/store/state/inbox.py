"""The inbox in the state store: notifications kept for people to read in the UI."""

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


def add_message(state: StateStore, received_ms: int, receiver: str, status: str, message: str, keep: int) -> None:
    """Write a notification and drop the oldest beyond `keep`; on the disk when it returns."""
    with state.write() as connection:
        row = {"received_ms": received_ms, "receiver": receiver, "status": status, "message": message}
        newest = connection.execute(insert(inbox).values(row).returning(inbox.c.id)).scalar_one()
        if newest % 16 == 0:  # ids count up by one, so this bounds the table at little cost
            last = connection.execute(select(inbox.c.id).order_by(desc(inbox.c.id)).offset(keep).limit(1)).scalar()
            if last is not None:
                connection.execute(delete(inbox).where(inbox.c.id <= last))


def load_messages(state: StateStore, limit: int) -> list[InboxMessage]:
    """Give the newest notifications, newest first."""
    with state.read() as connection:
        rows = connection.execute(select(inbox).order_by(desc(inbox.c.id)).limit(limit))
        return [InboxMessage(row.id, row.received_ms, row.receiver, row.status, row.message) for row in rows]
