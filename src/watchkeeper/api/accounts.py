"""People, their sessions and the keys of programs: what signing in, the command line and the management API do.

A secret leaves this module once, to the one it was made for; what is kept are hashes. Database calls that a request
waits for run in threads.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from watchkeeper.model.clock import Clock
from watchkeeper.model.errors import BadInput
from watchkeeper.model.metrics import counter
from watchkeeper.net.auth import KEY_PREFIX, Denial
from watchkeeper.net.passwords import Passwords
from watchkeeper.net.routing import Scope
from watchkeeper.net.settings import AuthSettings
from watchkeeper.net.throttle import Throttle, neighbourhood
from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.flags import Flags
from watchkeeper.store.state.keys import Keys
from watchkeeper.store.state.sessions import Sessions
from watchkeeper.store.state.users import User, Users

_sign_ins = counter("watchkeeper_sign_ins", "Passwords checked, by outcome.", ("outcome",))

_DAY_MS = 86_400_000
_FIRST_ADMIN = "first_admin"


def token_hash(token: str) -> bytes:
    """Give what is kept of a session's token or a key: they are random enough for a plain hash."""
    return hashlib.sha256(token.encode()).digest()


class Accounts:
    """Everything that makes or ends a way in.

    changes  grows whenever something that is remembered elsewhere may no longer hold
    """

    def __init__(
        self, state: StateStore, settings: AuthSettings, clock: Clock, passwords: Passwords | None = None
    ) -> None:
        self.users, self.sessions, self.keys = Users(state), Sessions(state), Keys(state)
        self.passwords = passwords or Passwords()
        self.settings, self.clock = settings, clock
        self.changes = 0
        self._flags = Flags(state)
        self._by_user = Throttle(settings.tries_max, settings.tries_window_s, clock)
        self._by_address = Throttle(settings.address_tries_max, settings.tries_window_s, clock)

    def first_admin(self, environ: Mapping[str, str]) -> str | None:
        """Make the first admin at the first start, and never again.

        environ  WATCHKEEPER_ADMIN_PASSWORD, or the file that WATCHKEEPER_ADMIN_PASSWORD_FILE names, set the password
        returns  the random password to show once; None when it was given, or this is not the first start
        raises   BadInput when the given password is too short, or its file cannot be read
        """
        if self._flags.get(_FIRST_ADMIN) is not None or self.users.count():
            return None
        given = _given_password(environ)
        password = given or secrets.token_urlsafe(15)
        self.check_new_password(password)
        now_ms = self.clock.now_ms()
        made = self.users.add("admin", "Admin", self.passwords.hash_now(password), now_ms, name="Admin")
        self._flags.put(_FIRST_ADMIN, str(now_ms))
        return password if made is not None and not given else None

    async def check_password(self, login: str, password: str, address: str) -> User | Denial:
        """Give the person whose password it is.

        An unknown login costs the caller the same time and gets the same answer as a wrong password.
        """
        login, place = login.strip().lower()[:190], neighbourhood(address)
        wait_s = self._by_address.enter(place) or self._by_user.enter(login, place)
        if wait_s:
            _sign_ins.labels("throttled").inc()
            return Denial(429, "Too many wrong passwords, try again later", "throttled", retry_after_s=wait_s)
        user = await asyncio.to_thread(self.users.by_login, login)
        right = await self.passwords.check(password, user.password_hash if user else None)
        if user is None or not right or user.disabled:
            _sign_ins.labels("wrong").inc()
            return Denial(401, "Invalid username or password", "credentials", who=user.login if user else "unknown")
        _sign_ins.labels("right").inc()
        self._by_user.forgive(login, place)
        self._by_address.undo(place)
        if self.passwords.is_outdated(user.password_hash):
            renewed = await self.passwords.hash(password)
            await asyncio.to_thread(self.users.renew_hash, user.id, renewed)
        return user

    async def start_session(self, user_id: int, address: str, instead_of: str = "") -> tuple[str, int]:
        """Start a session under a new token.

        instead_of  the token that the browser had before, which ends
        returns     the token and its longest life in seconds
        """
        token, now_ms = secrets.token_urlsafe(32), self.clock.now_ms()
        life_ms = int(self.settings.session_days * _DAY_MS)
        if instead_of:
            await asyncio.to_thread(self.sessions.end, token_hash(instead_of))
        await asyncio.to_thread(
            self.sessions.start, token_hash(token), user_id, now_ms, now_ms + life_ms, neighbourhood(address)
        )
        self.changes += 1
        return token, life_ms // 1000

    async def end_session(self, session: str) -> None:
        """End a session, given its token's hash in hex."""
        await asyncio.to_thread(self.sessions.end, bytes.fromhex(session))
        self.changes += 1

    async def end_sessions(self, user_id: int) -> None:
        """End all sessions of a person."""
        await asyncio.to_thread(self.sessions.end_all, user_id)
        self.changes += 1

    async def set_password(self, user_id: int, password: str) -> bool:
        """Give a person a new password and end their sessions; False when there is no such person."""
        self.check_new_password(password)
        hashed = await self.passwords.hash(password)
        done = await asyncio.to_thread(self.users.set_password, user_id, hashed, self.clock.now_ms())
        await self.end_sessions(user_id)
        return done

    def check_new_password(self, password: str) -> None:
        """Refuse a password that is too short.

        raises  BadInput
        """
        length_min = self.settings.password_length_min
        if len(password) < length_min:
            raise BadInput(f"cannot use password: got {len(password)} characters, want at least {length_min}")

    def make_key(
        self, name: str, scopes: Sequence[Scope], created_by: str, life_s: int | None = None
    ) -> tuple[int, str] | None:
        """Make a key.

        returns  its number and the key itself, which is not kept; None when a good key has the name
        """
        token, now_ms = KEY_PREFIX + secrets.token_urlsafe(32), self.clock.now_ms()
        number = self.keys.add(
            name,
            token_hash(token),
            token[:7],
            tuple(scope.value for scope in scopes),
            created_by=created_by,
            now_ms=now_ms,
            expires_ms=None if life_s is None else now_ms + life_s * 1000,
        )
        return None if number is None else (number, token)

    def revoke_key(self, number: int) -> bool:
        """Revoke a key; False when there is no such good key."""
        done = self.keys.revoke(number, self.clock.now_ms())
        self.changes += 1
        return done


def _given_password(environ: Mapping[str, str]) -> str:
    file = environ.get("WATCHKEEPER_ADMIN_PASSWORD_FILE", "")
    if not file:
        return environ.get("WATCHKEEPER_ADMIN_PASSWORD", "")
    try:
        return Path(file).read_text("utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "bytes that are no UTF-8"
        raise BadInput(f"cannot read WATCHKEEPER_ADMIN_PASSWORD_FILE: got {reason}, want a readable file") from error
