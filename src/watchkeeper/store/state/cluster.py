"""What processes on one PostgreSQL tell each other: who is there, whose turn it is to notify, what has changed.

Times are the database's, so that the processes' clocks need not agree.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, Table, delete, func, select, text

from watchkeeper.model.alert import Alert
from watchkeeper.store.state.acks import Ack, acks_of
from watchkeeper.store.state.alerts import alert_of
from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.notifications import LogEntry, LogKey, entry_of
from watchkeeper.store.state.schema import acks, alerts, claims, members, notification_log, silences
from watchkeeper.store.state.silences import SilenceRow, silence_row_of
from watchkeeper.store.state.upsert import database_ms, upsert

_LATE_MS = 10_000  # a transaction may become visible so long after its rows were stamped
_TAKE = text(
    "INSERT INTO claims (key_hash, owner, token, until_ms) VALUES (:key, :owner, 1, :until)"
    " ON CONFLICT (key_hash) DO UPDATE SET owner = :owner, token = claims.token + 1, until_ms = :until"
    " WHERE claims.until_ms < :now OR claims.owner = :owner RETURNING token"
)
_RENEW = text("UPDATE claims SET until_ms = :until WHERE key_hash = :key AND owner = :owner AND token = :token")
_FREE = text("DELETE FROM claims WHERE key_hash = :key AND owner = :owner AND token = :token")


@dataclass(frozen=True, slots=True)
class Member:
    """A process of the cluster."""

    id: str
    address: str
    started_ms: int


@dataclass(frozen=True, slots=True)
class News:
    """What others have written lately; `acks` is None when none has changed.

    seen_ms  up to when that was read, the database's time
    """

    seen_ms: int
    peers: tuple[Member, ...]
    alerts: tuple[Alert, ...]
    silences: tuple[SilenceRow, ...]
    entries: tuple[LogEntry, ...]
    acks: tuple[Ack, ...] | None
    acks_mark: tuple[int, int]


def exchange(state: StateStore, own: Member, since_ms: int, acks_mark: tuple[int, int], alive_ms: int) -> News:
    """Say that a member is there, and read what has changed since a moment.

    alive_ms  members that were not seen for so long are not there
    """
    with state.write() as connection:
        now_ms = database_ms(connection)
        row = {"id": own.id, "address": own.address, "started_ms": own.started_ms, "seen_ms": now_ms}
        upsert(connection, members, [row])
        connection.execute(delete(members).where(members.c.seen_ms < now_ms - 100 * alive_ms))
        there = connection.execute(select(members).where(members.c.seen_ms >= now_ms - alive_ms).order_by(members.c.id))
        peers = tuple(Member(row.id, row.address, row.started_ms) for row in there)
    with state.read() as connection:
        mark = connection.execute(select(func.count(), func.coalesce(func.max(acks.c.written_ms), 0)).select_from(acks))
        count, newest = mark.one()
        changed = (count, newest) != acks_mark
        return News(
            seen_ms=now_ms,
            peers=peers,
            alerts=tuple(alert_of(row) for row in _changed(connection, alerts, since_ms)),
            silences=tuple(silence_row_of(row) for row in _changed(connection, silences, since_ms)),
            entries=tuple(entry_of(row) for row in _changed(connection, notification_log, since_ms)),
            acks=acks_of(connection) if changed else None,
            acks_mark=(count, newest),
        )


def _changed(connection: Connection, table: Table, since_ms: int) -> list[object]:
    return list(connection.execute(select(table).where(table.c.written_ms >= since_ms - _LATE_MS)))


def leave(state: StateStore, member_id: str) -> None:
    """Say that a member goes."""
    with state.write() as connection:
        connection.execute(delete(members).where(members.c.id == member_id))


def take_claim(state: StateStore, key: LogKey, owner: str, lasts_ms: int) -> tuple[int, LogEntry | None] | None:
    """Take the turn to tell about a group; None when another member has it.

    returns  the claim's fencing token, and what the notification log says at that moment
    """
    with state.write() as connection:
        now_ms = database_ms(connection)
        values = {"key": key.digest, "owner": owner, "until": now_ms + lasts_ms, "now": now_ms}
        token = connection.execute(_TAKE, values).scalar()
        if token is None:
            return None
        found = connection.execute(select(notification_log).where(notification_log.c.key_hash == key.digest)).first()
        return int(token), None if found is None else entry_of(found)


def renew_claim(state: StateStore, key: LogKey, owner: str, token: int, lasts_ms: int) -> bool:
    """Keep a turn for longer; False when it was lost."""
    with state.write() as connection:
        values = {"key": key.digest, "owner": owner, "token": token, "until": database_ms(connection) + lasts_ms}
        return connection.execute(_RENEW, values).rowcount > 0


def free_claim(state: StateStore, key: LogKey, owner: str, token: int) -> None:
    """Give a turn back."""
    with state.write() as connection:
        connection.execute(_FREE, {"key": key.digest, "owner": owner, "token": token})


def drop_claims(state: StateStore, before_ms: int) -> None:
    """Remove claims that ended long ago."""
    with state.write() as connection:
        connection.execute(delete(claims).where(claims.c.until_ms < before_ms))
