"""A state store with people and keys of every kind, and time that stands still."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from tests.doubles import StillClock
from tests.net.judges.asgi import Client

from watchkeeper.api import audit, keys, login, users
from watchkeeper.api.accounts import Accounts
from watchkeeper.api.audit import AuditTrail
from watchkeeper.api.doorkeeper import StateDoor
from watchkeeper.net.app import build_app
from watchkeeper.net.passwords import Passwords
from watchkeeper.net.routing import Route, Scope
from watchkeeper.net.settings import AuthSettings, NetSettings
from watchkeeper.store.state.audit import AuditLog
from watchkeeper.store.state.db import StateStore

PASSWORD = "correct horse battery"
DAY_MS = 86_400_000


@dataclass
class World:
    """People viewer, editor, admin, all with PASSWORD; keys as asked for."""

    folder: Path
    settings: NetSettings = field(default_factory=NetSettings)

    def __post_init__(self) -> None:
        self.clock = StillClock()
        self.state = StateStore(f"sqlite:///{self.folder / 'state.db'}")
        cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        self.accounts = Accounts(self.state, AuthSettings(), self.clock, cheap)
        self.log = AuditLog(self.state)
        self.trail = AuditTrail(self.log, self.clock)
        self.door = StateDoor(self.accounts)
        for role in ("Viewer", "Editor", "Admin"):
            self.add_user(role.lower(), role)

    def add_user(self, login_name: str, role: str) -> int:
        hashed = self.accounts.passwords.hash_now(PASSWORD)
        user = self.accounts.users.add(login_name, role, hashed, self.clock.now_ms())
        assert user is not None
        return user.id

    def routes(self) -> list[Route]:
        made = (login.routes(self.accounts), keys.routes(self.accounts), users.routes(self.accounts))
        return [route for some in made for route in some] + audit.routes(self.log)

    def app(self, routes: Sequence[Route] | None = None) -> Any:
        chosen = self.routes() if routes is None else routes
        return build_app(chosen, self.door, self.settings, audit=self.trail, clock=self.clock)

    def key(self, *scopes: Scope, name: str = "", life_s: int | None = None) -> str:
        made = self.accounts.make_key(name or "+".join(scopes), scopes, "admin", life_s)
        assert made is not None
        return made[1]

    def session(self, login_name: str, app: Any = None) -> dict[str, str]:
        """Sign in and give the headers of a page that is signed in."""
        client = Client(app or self.app())
        answer = client.call("POST", "/api/login", json={"user": login_name, "password": PASSWORD})
        assert answer.status == 200, answer.body
        return {"cookie": f"wk_session={answer.session}", "x-wk-csrf": "1", "sec-fetch-site": "same-origin"}

    def callers(self) -> Mapping[str, Mapping[str, str]]:
        """Give every kind of caller of the authorisation matrix."""
        found: dict[str, Mapping[str, str]] = {"none": {}, "garbage": {"x-api-key": "wk_nobody-has-this-key"}}
        for person in ("viewer", "editor", "admin"):
            found[person] = self.session(person)
        for scope in Scope:
            found[f"key:{scope.value}"] = {"x-api-key": self.key(scope)}
        found["expired"] = {"authorization": f"Bearer {self.key(Scope.ADMIN, name='old', life_s=1)}"}
        self.clock.pass_s(2)
        made = self.accounts.make_key("taken back", [Scope.ADMIN], "admin")
        assert made is not None and self.accounts.revoke_key(made[0])
        found["revoked"] = {"x-api-key": made[1]}
        ended = self.session("admin")
        token = ended["cookie"].partition("=")[2]
        from watchkeeper.api.accounts import token_hash

        self.accounts.sessions.end(token_hash(token))
        found["ended"] = ended
        return found
