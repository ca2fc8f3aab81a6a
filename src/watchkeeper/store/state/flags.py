"""Small facts that outlive a restart."""

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.schema import flags


class Flags:
    """Names with a text each."""

    def __init__(self, state: StateStore) -> None:
        self._state = state

    def get(self, name: str) -> str | None:
        """Give a flag's text."""
        with self._state.read() as connection:
            return connection.execute(select(flags.c.value).where(flags.c.name == name)).scalar()

    def put(self, name: str, value: str) -> None:
        """Set a flag."""
        if not self.claim(name, value):
            with self._state.write() as connection:
                connection.execute(update(flags).where(flags.c.name == name).values(value=value))

    def claim(self, name: str, value: str) -> bool:
        """Set a flag that nobody set yet; False when somebody did."""
        try:
            with self._state.write() as connection:
                connection.execute(insert(flags).values(name=name, value=value))
                return True
        except IntegrityError:
            return False
