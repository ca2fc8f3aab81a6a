"""The audit log: entries are only ever added, each chained to the one before by SHA-256.

    chain = SHA-256(chain before ‖ JSON [id, time_ms, who, address, action, route, status, detail]), 32 zero bytes first

Whoever changes or removes an entry must rewrite all after it; who keeps a copy of a late chain value sees that.
"""

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from watchkeeper.model.errors import Refused
from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.schema import audit

_START = bytes(32)
_ATTEMPTS = 5
_PAGE = 1_000


class Entry(Protocol):
    """What is written down of a call."""

    @property
    def time_ms(self) -> int: ...
    @property
    def who(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def route(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def detail(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check of the chain found.

    broken_at  the first entry that does not fit, None when all do
    chain      the last entry's, in hex: keep it elsewhere to prove later that nothing before it changed
    """

    entries: int
    broken_at: int | None
    chain: str


class AuditLog:
    """Appends entries, reads them back, checks the chain."""

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self._turn = threading.Lock()

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries in one transaction; they are on the disk when this returns.

        raises  Refused when other processes kept writing in between
        """
        for _ in range(_ATTEMPTS):
            try:
                with self._turn, self._state.write() as connection:  # threads here wait; only processes collide
                    self._add(connection, entries)
                return
            except IntegrityError:  # another process took the number: chain to its entry instead
                continue
        raise Refused("cannot write audit log: got other writers each time, want a turn")

    def page(self, *, before_id: int | None = None, limit: int = 100, who: str = "") -> list[dict[str, Any]]:
        """Give entries, the latest first."""
        query = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if before_id is not None:
            query = query.where(audit.c.id < before_id)
        if who:
            query = query.where(audit.c.who == who)
        with self._state.read() as connection:
            rows = [{str(name): value for name, value in row.items()} for row in connection.execute(query).mappings()]
        for row in rows:
            row["detail"] = orjson.loads(row["detail"])
            row["chain"] = row["chain"].hex()
        return rows

    def verify(self) -> Verdict:
        """Check every entry against the one before."""
        chain, count = _START, 0
        for row in self._rows():
            count += 1
            chain = _chained(chain, row)
            if row["id"] != count or row["chain"] != chain:
                return Verdict(count, row["id"], chain.hex())
        return Verdict(count, None, chain.hex())

    def _add(self, connection: Connection, entries: Sequence[Entry]) -> None:
        last = connection.execute(select(audit.c.id, audit.c.chain).order_by(audit.c.id.desc()).limit(1)).first()
        at, chain = (0, _START) if last is None else (last.id, last.chain)
        rows = []
        for entry in entries:
            at += 1
            row = {
                "id": at,
                "time_ms": entry.time_ms,
                "who": _one_line(entry.who, 190),
                "address": _one_line(entry.address, 64),
                "action": _one_line(entry.action, 64),
                "route": _one_line(entry.route, 255),
                "status": entry.status,
                "detail": orjson.dumps(dict(entry.detail), default=str, option=orjson.OPT_SORT_KEYS).decode(),
            }
            chain = _chained(chain, row)
            rows.append({**row, "chain": chain})
        connection.execute(insert(audit), rows)

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        after = 0
        while True:
            query = select(audit).where(audit.c.id > after).order_by(audit.c.id).limit(_PAGE)
            with self._state.read() as connection:
                rows = [dict(row) for row in connection.execute(query).mappings()]
            if not rows:
                return
            yield from rows
            after = rows[-1]["id"]


def _chained(before: bytes, row: Mapping[str, Any]) -> bytes:
    names = ("id", "time_ms", "who", "address", "action", "route", "status", "detail")
    return hashlib.sha256(before + orjson.dumps([row[name] for name in names])).digest()


def _one_line(text: str, length_max: int) -> str:
    """Make control characters visible, so that no value starts a line of its own anywhere it is shown."""
    safe = text if text.isprintable() else "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
    return safe[:length_max]
