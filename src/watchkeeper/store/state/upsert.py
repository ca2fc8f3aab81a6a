"""Insert or replace rows, in the dialect of either database."""

import importlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, text


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows by their primary key; each row has a value for every column but written_ms, which is now."""
    if not rows:
        return
    if "written_ms" in table.c:
        now_ms = database_ms(connection)
        rows = [{**row, "written_ms": now_ms} for row in rows]
    dialect = importlib.import_module(f"sqlalchemy.dialects.{connection.dialect.name}")  # the one in use alone: 2 MB
    statement: Any = dialect.insert(table)
    keys = [column.name for column in table.primary_key]
    changed = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), list(rows))


def database_ms(connection: Connection) -> int:
    """Give the time that all processes on this database share, Unix ms."""
    if connection.dialect.name == "sqlite":
        return time.time_ns() // 1_000_000
    return int(connection.execute(text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")).scalar_one())
