"""The door of the state store: one engine, opened, migrated, checked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, inspect, text

from watchkeeper.model.errors import Damaged

_HERE = Path(__file__).parent


class StateStore:
    """Users, sessions, keys, dashboards, silences and the rest, in SQLite or PostgreSQL.

    Each statement block is one transaction; it is on the disk when `write` returns (SQLite: WAL with synchronous
    FULL). Blocks are short and may run in any thread.

    url     SQLAlchemy's, such as sqlite:////var/lib/watchkeeper/state.db or postgresql+psycopg://…
    raises  Damaged when SQLite's own check finds a fault
    """

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, pool_pre_ping=True)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _make_durable)
            self._check()
        self._migrate()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection to read with."""
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection whose changes are committed, and durable, when the block ends; all or none."""
        with self._engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    def _check(self) -> None:
        with self._engine.connect() as connection:
            verdict = connection.execute(text("PRAGMA quick_check")).scalar_one()
        if verdict != "ok":
            raise Damaged(f"cannot open state store {self._engine.url.database}: {verdict}")

    def _migrate(self) -> None:
        newest = max(path.name.partition("_")[0] for path in (_HERE / "versions").glob("[0-9]*_*.py"))
        if self._revision() == newest:
            return
        from alembic import command  # noqa: PLC0415 (9 MB, of use at the first start of each release alone)
        from alembic.config import Config  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(_HERE))
        with self._engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _revision(self) -> str | None:
        """Give the migration that the tables stand at, None before the first."""
        with self._engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _make_durable(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
