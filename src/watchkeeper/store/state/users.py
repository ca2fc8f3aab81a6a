"""People who may sign in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Delete, Update, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.schema import users

ROLES = ("Viewer", "Editor", "Admin")

_ADMINS = select(func.count()).where(users.c.role == "Admin", users.c.disabled.is_(False))


class _NoAdminLeft(Exception):
    """Takes a transaction back."""


@dataclass(frozen=True, slots=True)
class User:
    """A person.

    login          lower case, unique
    role           Viewer, Editor or Admin
    password_hash  Argon2id, in PHC's string format
    """

    id: int
    login: str
    name: str
    email: str
    role: str
    password_hash: str = field(repr=False)
    disabled: bool
    created_ms: int
    password_changed_ms: int


class Users:
    """Adds, finds and changes people. At least one enabled admin always remains."""

    def __init__(self, state: StateStore) -> None:
        self._state = state

    def by_login(self, login: str) -> User | None:
        """Find a person by login, whatever its case."""
        return self._one(users.c.login == login.strip().lower())

    def by_id(self, user_id: int) -> User | None:
        """Find a person by number."""
        return self._one(users.c.id == user_id)

    def all(self) -> list[User]:
        """Give everybody, by login."""
        with self._state.read() as connection:
            rows = connection.execute(select(users).order_by(users.c.login)).mappings()
            return [User(**row) for row in rows]

    def count(self) -> int:
        """Count everybody."""
        with self._state.read() as connection:
            return connection.execute(select(func.count()).select_from(users)).scalar_one()

    def add(
        self, login: str, role: str, password_hash: str, now_ms: int, *, name: str = "", email: str = ""
    ) -> User | None:
        """Add a person; None when the login is taken."""
        assert role in ROLES
        fields: dict[str, Any] = {
            "login": login.strip().lower(),
            "name": name,
            "email": email,
            "role": role,
            "password_hash": password_hash,
            "disabled": False,
            "created_ms": now_ms,
            "password_changed_ms": now_ms,
        }
        try:
            with self._state.write() as connection:
                made = connection.execute(insert(users).values(fields))
                assert made.inserted_primary_key is not None
                return User(id=made.inserted_primary_key[0], **fields)
        except IntegrityError:
            return None

    def set_password(self, user_id: int, password_hash: str, now_ms: int) -> bool:
        """Change a password's hash; False when there is no such person."""
        return self._change(user_id, {"password_hash": password_hash, "password_changed_ms": now_ms})

    def renew_hash(self, user_id: int, password_hash: str) -> bool:
        """Keep the same password under newer parameters."""
        return self._change(user_id, {"password_hash": password_hash})

    def set_role(self, user_id: int, role: str) -> bool:
        """Change a role; False when there is no such person, or no admin would be left."""
        assert role in ROLES
        return self._change(user_id, {"role": role})

    def set_disabled(self, user_id: int, disabled: bool) -> bool:
        """Lock a person out, or let them in again; False as for `set_role`."""
        return self._change(user_id, {"disabled": disabled})

    def remove(self, user_id: int) -> bool:
        """Forget a person and their sessions; False as for `set_role`."""
        return self._do(delete(users).where(users.c.id == user_id))

    def _change(self, user_id: int, fields: Mapping[str, Any]) -> bool:
        return self._do(update(users).where(users.c.id == user_id).values(**fields))

    def _do(self, change: Update | Delete) -> bool:
        """Run a change, and take it back when it would leave no admin where there was one."""
        try:
            with self._state.write() as connection:
                before = connection.execute(_ADMINS).scalar_one()
                changed: int = connection.execute(change).rowcount
                if before and not connection.execute(_ADMINS).scalar_one():
                    raise _NoAdminLeft
                return changed > 0
        except _NoAdminLeft:
            return False

    def _one(self, condition: Any) -> User | None:
        with self._state.read() as connection:
            row = connection.execute(select(users).where(condition)).mappings().first()
            return None if row is None else User(**row)
