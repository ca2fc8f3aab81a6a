from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import DatabaseError
from tests.postgres import Postgres

from watchkeeper.model.errors import BadInput, Damaged, Refused
from watchkeeper.store.state import db
from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.notifications import LogEntry, LogKey, load_notifications, save_notifications
from watchkeeper.store.state.schema import metadata


def migrate(url: str, revision: str = "head") -> None:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    config = Config()
    config.set_main_option("script_location", str(Path(db.__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


@pytest.mark.parametrize("migrated", [True, False], ids=["migrated", "made anew"])
def test_the_migrations_make_exactly_the_schema(url: str, migrated: bool) -> None:
    if migrated:
        migrate(url)
    state = StateStore(url)
    with state.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "render_as_batch": True})
        assert compare_metadata(context, metadata) == []
    state.close()


def test_every_column_stands_as_the_schema_has_it(tmp_path: Path) -> None:
    url, plain = f"sqlite:///{tmp_path / 'state.db'}", f"sqlite:///{tmp_path / 'plain.db'}"
    migrate(url)
    StateStore(plain).close()

    def shape(where: str) -> dict[str, object]:
        found = inspect(create_engine(where))
        return {
            name: (
                [(column["name"], str(column["type"]), column["nullable"]) for column in found.get_columns(name)],
                sorted(str(index["name"]) for index in found.get_indexes(name)),
                found.get_pk_constraint(name)["constrained_columns"],
                sorted(str(key["options"]) for key in found.get_foreign_keys(name)),
            )
            for name in found.get_table_names()
        }

    assert shape(url) == shape(plain)


def test_a_store_of_the_first_release_keeps_its_notification_log(url: str) -> None:
    migrate(url, "0001")
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        names = "group_key, receiver, integration, position, sent_ms, expires_ms, firing, resolved"
        connection.execute(
            text(
                f"INSERT INTO notification_log ({names})"
                """ VALUES ('{}\\:{}', 'web', 'webhook', 0, 1, 2, '["0f"]', '[]')"""
            )
        )
    engine.dispose()
    state = StateStore(url)
    key = LogKey("{}:{}", "web", "webhook", 0)
    assert load_notifications(state) == [LogEntry(key, 1, 2, frozenset({15}), frozenset())]
    newer = LogEntry(key, 3, 4, frozenset(), frozenset({15}))
    save_notifications(state, [newer])
    assert load_notifications(state) == [newer]
    state.close()


def test_processes_that_start_together_migrate_once(postgres: Postgres) -> None:
    url = postgres.database()
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: StateStore(url), range(4)))
    with stores[0].read() as connection:
        assert connection.execute(text("select count(*) from alembic_version")).scalar_one() == 1
    for store in stores:
        store.close()


def test_a_server_that_is_not_there_is_said_without_the_password() -> None:
    with pytest.raises(Refused, match=r"cannot open state store postgresql\+psycopg://me:\*\*\*@127.0.0.1:1/x"):
        StateStore("postgresql://me:secret@127.0.0.1:1/x")
    with pytest.raises(BadInput, match="want sqlite:///… or postgresql://…"):
        StateStore("nonsense")


def test_an_older_store_is_migrated_and_a_second_start_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    StateStore(url).close()
    before = (tmp_path / "state.db").read_bytes()
    StateStore(url).close()
    with create_engine(url).connect() as connection:
        assert connection.execute(text("select count(*) from alembic_version")).scalar_one() == 1
    assert len((tmp_path / "state.db").read_bytes()) == len(before)


def test_what_is_written_is_durable(tmp_path: Path) -> None:
    state = StateStore(f"sqlite:///{tmp_path / 'state.db'}")
    with state.read() as connection:
        modes = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")]
    assert modes == ["wal", 2]


def test_a_damaged_store_is_not_opened(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    state = StateStore(f"sqlite:///{file}")
    with state.write() as connection:
        for at in range(2000):
            connection.execute(text("insert into flags values (:a, :b)"), {"a": f"k{at}", "b": "x" * 100})
    state.close()
    content = bytearray(file.read_bytes())
    for at in range(20_000, len(content) - 4096, 4096):
        content[at : at + 200] = bytes(200)
    file.write_bytes(content)
    with pytest.raises((Damaged, DatabaseError)):
        StateStore(f"sqlite:///{file}")
