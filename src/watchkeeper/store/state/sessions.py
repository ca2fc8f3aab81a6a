"""Sign-ins to the web UI. Only the SHA-256 of each token is kept, so that a copy of the database opens nothing."""

from dataclasses import dataclass

from sqlalchemy import delete, insert, or_, select, update

from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.schema import sessions, users


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in, and whose it is."""

    token_hash: bytes
    user_id: int
    login: str
    role: str
    disabled: bool
    created_ms: int
    seen_ms: int
    expires_ms: int


class Sessions:
    """Starts, finds and ends sign-ins."""

    def __init__(self, state: StateStore) -> None:
        self._state = state

    def start(self, token_hash: bytes, user_id: int, now_ms: int, expires_ms: int, address: str) -> None:
        """Keep a new sign-in; those that ended long ago are forgotten by the way."""
        with self._state.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.expires_ms < now_ms))
            connection.execute(
                insert(sessions).values(
                    token_hash=token_hash,
                    user_id=user_id,
                    created_ms=now_ms,
                    seen_ms=now_ms,
                    expires_ms=expires_ms,
                    address=address[:64],
                )
            )

    def find(self, token_hash: bytes) -> Session | None:
        """Find a sign-in, with the role its person has now."""
        query = (
            select(
                sessions.c.token_hash,
                sessions.c.user_id,
                users.c.login,
                users.c.role,
                users.c.disabled,
                sessions.c.created_ms,
                sessions.c.seen_ms,
                sessions.c.expires_ms,
            )
            .join(users, users.c.id == sessions.c.user_id)
            .where(sessions.c.token_hash == token_hash)
        )
        with self._state.read() as connection:
            row = connection.execute(query).mappings().first()
            return None if row is None else Session(**row)

    def touch(self, token_hash: bytes, now_ms: int) -> None:
        """Note that a sign-in was used."""
        with self._state.write() as connection:
            connection.execute(update(sessions).where(sessions.c.token_hash == token_hash).values(seen_ms=now_ms))

    def end(self, token_hash: bytes) -> None:
        """End one sign-in."""
        with self._state.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.token_hash == token_hash))

    def end_all(self, user_id: int) -> int:
        """End all of one person's, and say how many there were."""
        with self._state.write() as connection:
            return connection.execute(delete(sessions).where(sessions.c.user_id == user_id)).rowcount

    def forget(self, now_ms: int, idle_ms: int) -> int:
        """Drop those that expired or idled out."""
        over = or_(sessions.c.expires_ms <= now_ms, sessions.c.seen_ms <= now_ms - idle_ms)
        with self._state.write() as connection:
            return connection.execute(delete(sessions).where(over)).rowcount
