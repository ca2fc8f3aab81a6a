"""Silences in the state store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import delete, select

from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.schema import silences
from watchkeeper.store.state.upsert import upsert


@dataclass(frozen=True, slots=True)
class SilenceRow:
    """A silence as it is kept; `matchers` are name, value, isRegex, isEqual."""

    id: str
    matchers: Sequence[Mapping[str, Any]]
    starts_ms: int
    ends_ms: int
    updated_ms: int
    created_by: str
    comment: str
    annotations: Mapping[str, str] = field(default_factory=dict)


def load_silences(state: StateStore) -> list[SilenceRow]:
    """Give all silences that were kept."""
    with state.read() as connection:
        return [silence_row_of(row) for row in connection.execute(select(silences))]


def save_silences(state: StateStore, rows: Sequence[SilenceRow]) -> None:
    """Write silences, all or none; on the disk when it returns."""
    with state.write() as connection:
        upsert(connection, silences, [_values(row) for row in rows])


def drop_silences(state: StateStore, ids: Sequence[str]) -> None:
    """Remove silences."""
    with state.write() as connection:
        for start in range(0, len(ids), 500):
            connection.execute(delete(silences).where(silences.c.id.in_(ids[start : start + 500])))


def _values(row: SilenceRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "matchers": orjson.dumps([dict(one) for one in row.matchers]).decode(),
        "starts_ms": row.starts_ms,
        "ends_ms": row.ends_ms,
        "updated_ms": row.updated_ms,
        "created_by": row.created_by,
        "comment": row.comment,
        "annotations": orjson.dumps(dict(row.annotations)).decode(),
    }


def silence_row_of(row: Any) -> SilenceRow:
    """Give the silence that a row keeps."""
    return SilenceRow(
        id=row.id,
        matchers=orjson.loads(row.matchers),
        starts_ms=row.starts_ms,
        ends_ms=row.ends_ms,
        updated_ms=row.updated_ms,
        created_by=row.created_by,
        comment=row.comment,
        annotations=orjson.loads(row.annotations),
    )
