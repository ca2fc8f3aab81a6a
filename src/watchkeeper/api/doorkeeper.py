"""The doorkeeper over the state store: who a session, a key or a password belongs to.

What the database said is believed for a second, so that a revocation made by another process, too, holds within one.
It stands here because it joins `net`, which knows no store, with `store`, which knows no request.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

from watchkeeper.api.accounts import Accounts, token_hash
from watchkeeper.model.metrics import counter
from watchkeeper.net.auth import KEY_PREFIX, Credentials, Denial, Kind
from watchkeeper.net.routing import ANONYMOUS, Identity, Role, Scope
from watchkeeper.store.state.users import User

_refused = counter("watchkeeper_credentials_refused", "Credentials that let nobody in, by kind.", ("kind",))

EntryT = TypeVar("EntryT")

_BELIEVED_S = 1.0
_REMEMBERED_MAX = 4096
_MINUTE_MS = 60_000
_DAY_MS = 86_400_000
_BAD_KEY = Denial(401, "Invalid API key", "credentials", who="unknown key")
_BAD_SESSION = Denial(401, "Unauthorized", "session")


@dataclass(slots=True)
class _Remembered:
    identity: Identity
    until_s: float
    changes: int


@dataclass(slots=True)
class _RightPassword:
    """A password that was checked: it holds while the person's hash stays the same."""

    user: User
    until_s: float
    changes: int


class StateDoor:
    """Identifies callers by the accounts in the state store."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._passwords: OrderedDict[bytes, _RightPassword] = OrderedDict()
        self._pepper = secrets.token_bytes(32)  # what is remembered of passwords means nothing elsewhere

    async def identify(self, credentials: Credentials) -> Identity | Denial:
        """Give the caller, or why not."""
        match credentials.kind:
            case Kind.NONE:
                return ANONYMOUS
            case Kind.PASSWORD:
                verdict = await self._by_password(credentials)
            case _:
                verdict = await self._by_token(credentials)
        if isinstance(verdict, Denial):
            _refused.labels(credentials.kind.value).inc()
        return verdict

    async def _by_token(self, credentials: Credentials) -> Identity | Denial:
        digest = token_hash(credentials.secret)
        now_s = self._accounts.clock.monotonic_s()
        known = self._remembered.get(digest)
        if known is not None and now_s < known.until_s and known.changes == self._accounts.changes:
            return known.identity
        changes = self._accounts.changes
        find = self._key if credentials.kind is Kind.KEY else self._session
        verdict = await asyncio.to_thread(find, credentials.secret, digest)
        if isinstance(verdict, Denial):
            self._remembered.pop(digest, None)
            return verdict
        _remember(self._remembered, digest, _Remembered(verdict, now_s + _BELIEVED_S, changes))
        return verdict

    def _key(self, secret: str, digest: bytes) -> Identity | Denial:
        if not secret.startswith(KEY_PREFIX):
            return _BAD_KEY
        keys, now_ms = self._accounts.keys, self._accounts.clock.now_ms()
        key = keys.find(digest)
        if key is None:
            return _BAD_KEY
        if not key.is_good(now_ms):
            return Denial(401, "Invalid API key", "credentials", who=f"key:{key.name}")
        if key.used_ms is None or now_ms - key.used_ms >= _MINUTE_MS:
            keys.touch(key.id, now_ms)
        return Identity(f"key:{key.name}", scopes=frozenset(Scope(scope) for scope in key.scopes))

    def _session(self, _secret: str, digest: bytes) -> Identity | Denial:
        sessions, now_ms = self._accounts.sessions, self._accounts.clock.now_ms()
        session = sessions.find(digest)
        if session is None or session.disabled or now_ms >= session.expires_ms:
            return _BAD_SESSION
        if now_ms - session.seen_ms >= self._accounts.settings.session_idle_days * _DAY_MS:
            return _BAD_SESSION
        if now_ms - session.seen_ms >= _MINUTE_MS:
            sessions.touch(digest, now_ms)
        return Identity(session.login, Role[session.role.upper()], user_id=session.user_id, session=digest.hex())

    async def _by_password(self, credentials: Credentials) -> Identity | Denial:
        """Check a password once, then remember it: Argon2 on every call would be the server's own undoing."""
        accounts = self._accounts
        presented = f"{credentials.user}:{credentials.secret}".encode()
        digest = hmac.digest(self._pepper, presented, hashlib.sha256)
        now_s, changes = accounts.clock.monotonic_s(), accounts.changes
        known = self._passwords.get(digest)
        if known is not None and (now_s >= known.until_s or known.changes != changes):
            user = await asyncio.to_thread(accounts.users.by_id, known.user.id)
            if user is None or user.disabled or user.password_hash != known.user.password_hash:
                self._passwords.pop(digest, None)
                known = None
            else:
                known = _RightPassword(user, now_s + _BELIEVED_S, changes)
                _remember(self._passwords, digest, known)
        if known is None:
            verdict = await accounts.check_password(credentials.user, credentials.secret, credentials.address)
            if isinstance(verdict, Denial):
                return verdict
            known = _RightPassword(verdict, now_s + _BELIEVED_S, changes)
            _remember(self._passwords, digest, known)
        return Identity(known.user.login, Role[known.user.role.upper()], user_id=known.user.id)


def _remember(memory: OrderedDict[bytes, EntryT], digest: bytes, entry: EntryT) -> None:
    memory[digest] = entry
    memory.move_to_end(digest)
    if len(memory) > _REMEMBERED_MAX:
        memory.popitem(last=False)
