"""Keys for programs and agents. Only the SHA-256 of each is kept; the key itself is shown once, when it is made."""

from dataclasses import dataclass

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.schema import keys

_COLUMNS = [column for column in keys.c if column.name != "token_hash"]


@dataclass(frozen=True, slots=True)
class Key:
    """A key, without itself.

    hint     its first characters, to tell keys apart
    used_ms  when it was last used, to the minute
    """

    id: int
    name: str
    hint: str
    scopes: tuple[str, ...]
    created_ms: int
    created_by: str
    expires_ms: int | None
    used_ms: int | None
    revoked_ms: int | None

    def is_good(self, now_ms: int) -> bool:
        """Say whether it opens anything."""
        return self.revoked_ms is None and (self.expires_ms is None or now_ms < self.expires_ms)


class Keys:
    """Adds, finds and revokes keys."""

    def __init__(self, state: StateStore) -> None:
        self._state = state

    def add(
        self,
        name: str,
        token_hash: bytes,
        hint: str,
        scopes: tuple[str, ...],
        *,
        created_by: str,
        now_ms: int,
        expires_ms: int | None = None,
    ) -> int | None:
        """Keep a new key and give its number; None when a good key has the name."""
        row = {
            "name": name,
            "token_hash": token_hash,
            "hint": hint,
            "scopes": ",".join(scopes),
            "created_ms": now_ms,
            "created_by": created_by,
            "expires_ms": expires_ms,
        }
        try:
            with self._state.write() as connection:
                over = keys.c.revoked_ms.is_not(None) | (keys.c.expires_ms <= now_ms)
                old = connection.execute(select(keys.c.id).where(keys.c.name == name, over)).scalar()
                if old is not None:  # its name is free again, and stays readable in the list
                    renamed = f"{name[:170]} (before #{old})"
                    connection.execute(update(keys).where(keys.c.id == old).values(name=renamed))
                made = connection.execute(insert(keys).values(row))
                assert made.inserted_primary_key is not None
                return int(made.inserted_primary_key[0])
        except IntegrityError:
            return None

    def find(self, token_hash: bytes) -> Key | None:
        """Find a key by its hash, good or not."""
        with self._state.read() as connection:
            row = connection.execute(select(*_COLUMNS).where(keys.c.token_hash == token_hash)).mappings().first()
            return None if row is None else _key(dict(row))

    def all(self) -> list[Key]:
        """Give all, also those revoked, by name."""
        with self._state.read() as connection:
            return [_key(dict(row)) for row in connection.execute(select(*_COLUMNS).order_by(keys.c.name)).mappings()]

    def revoke(self, key_id: int, now_ms: int) -> bool:
        """Make a key useless from now on; False when there is no such key, or it is so already."""
        with self._state.write() as connection:
            found = update(keys).where(keys.c.id == key_id, keys.c.revoked_ms.is_(None))
            return connection.execute(found.values(revoked_ms=now_ms)).rowcount > 0

    def touch(self, key_id: int, now_ms: int) -> None:
        """Note that a key was used."""
        with self._state.write() as connection:
            connection.execute(update(keys).where(keys.c.id == key_id).values(used_ms=now_ms))


def _key(row: dict[str, object]) -> Key:
    row["scopes"] = tuple(str(row["scopes"]).split(","))
    return Key(**row)  # type: ignore[arg-type] # the columns' types are the schema's
