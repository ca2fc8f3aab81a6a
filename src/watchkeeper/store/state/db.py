"""The door of the state store: one engine, opened, migrated, checked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError

from watchkeeper.model.errors import BadInput, Damaged, Refused
from watchkeeper.store.state.schema import metadata

_HERE = Path(__file__).parent
_MIGRATION_LOCK = 7_357_001  # of PostgreSQL's advisory locks: any number that no other program here takes
_REVISION_TABLE = (  # as Alembic makes it
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,"
    " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)
_POSTGRES_CONNECT = {  # a server that is cut off is noticed within seconds, not after the kernel's quarter of an hour
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
    "application_name": "watchkeeper",
}


class StateStore:
    """Users, sessions, keys, dashboards, silences and the rest, in SQLite or PostgreSQL.

    Each statement block is one transaction; it is on the disk when `write` returns (SQLite: WAL with synchronous
    FULL). Blocks are short and may run in any thread.

    url     SQLAlchemy's or libpq's, such as sqlite:////var/lib/watchkeeper/state.db or postgresql://user@host/name
    raises  Damaged when SQLite's own check finds a fault; Refused when PostgreSQL does not answer
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self.is_shared = self._engine.dialect.name != "sqlite"
        if not self.is_shared:
            event.listen(self._engine, "connect", _make_durable)
            self._check()
            self._migrate()
            return
        try:
            self._migrate()
        except OperationalError as error:
            where = self._engine.url.render_as_string(hide_password=True)
            raise Refused(f"cannot open state store {where}: {str(error.orig).strip()}") from None

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
        if self._revision() == newest or self._is_made(newest):
            return
        from alembic import command  # noqa: PLC0415 (9 MB, of use at the first start of a later release alone)
        from alembic.config import Config  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(_HERE))
        with self._engine.begin() as connection:
            self._take_turn(connection)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def _is_made(self, newest: str) -> bool:
        """Make all tables where there are none; says whether it did. What migrations make is the same (a test)."""
        with self._engine.begin() as connection:
            self._take_turn(connection)
            if inspect(connection).get_table_names():
                return False
            metadata.create_all(connection)
            connection.execute(text(_REVISION_TABLE))
            connection.execute(text("INSERT INTO alembic_version VALUES (:number)"), {"number": newest})
        return True

    def _take_turn(self, connection: Connection) -> None:
        """Let processes that start together on one database take turns; the second finds nothing left to do."""
        if self.is_shared:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))

    def _revision(self) -> str | None:
        """Give the migration that the tables stand at, None before the first."""
        with self._engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _engine(url: str) -> Engine:
    try:
        parts = make_url(url)
        if parts.drivername in ("postgres", "postgresql"):
            parts = parts.set(drivername="postgresql+psycopg")
        options: dict[str, Any] = {"pool_pre_ping": True}
        if parts.drivername.startswith("postgresql"):
            given = {name: value for name, value in _POSTGRES_CONNECT.items() if name not in parts.query}
            options |= {"pool_timeout": 10, "connect_args": given}
        return create_engine(parts, **options)
    except (ArgumentError, ImportError) as error:  # without its text: the URL may hold a password
        raise BadInput(
            f"cannot use state.url: got {type(error).__name__}, want sqlite:///… or postgresql://…"
        ) from None


def _make_durable(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
