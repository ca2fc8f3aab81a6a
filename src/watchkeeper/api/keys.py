"""Keys of programs and agents, in the shapes of Grafana's API keys, with our scopes."""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from watchkeeper.api.accounts import Accounts
from watchkeeper.api.times import rfc3339
from watchkeeper.net.answers import Fault, json_answer, json_object, text_field
from watchkeeper.net.auditing import remark
from watchkeeper.net.routing import ADMIN, Call, Route, Scope
from watchkeeper.store.state.keys import Key

_LIFE_S_MAX = 10 * 366 * 86400
_ROLES = {"Viewer": [Scope.READ], "Admin": [Scope.ADMIN]}  # Grafana's, where they mean one of our scopes


def routes(accounts: Accounts) -> list[Route]:
    """Give the routes that list, make and revoke keys."""

    async def list_keys(call: Call) -> Response:
        every = call.first("includeExpired") in {"1", "true"}
        now_ms = accounts.clock.now_ms()
        keys = await asyncio.to_thread(accounts.keys.all)
        return json_answer([_shown(key, now_ms) for key in keys if every or key.is_good(now_ms)])

    async def create_key(call: Call) -> Response:
        content = json_object(call.body)
        name = text_field(content, "name", length_max=150).strip()
        if not name:
            raise Fault(400, "cannot make key: got no name, want one")
        scopes, life_s = _scopes(content), _life_s(content)
        remark(name=name, scopes=[scope.value for scope in scopes], life_s=life_s)
        made = await asyncio.to_thread(accounts.make_key, name, scopes, call.who.name, life_s)
        if made is None:
            raise Fault(409, "API key, organization ID and name must be unique")
        return json_answer({"id": made[0], "name": name, "key": made[1], "scopes": scopes})

    async def revoke_key(call: Call) -> Response:
        number = call.path["id"]
        if not number.isdecimal() or len(number) > 18:
            raise Fault(400, "id is invalid")
        if not await asyncio.to_thread(accounts.revoke_key, int(number)):
            raise Fault(404, "API key not found")
        return json_answer({"message": "API key deleted"})

    return [
        Route("/api/auth/keys", ("GET",), list_keys, ADMIN, "Keys, without themselves."),
        Route("/api/auth/keys", ("POST",), create_key, ADMIN, "Makes a key and shows it once."),
        Route("/api/auth/keys/{id}", ("DELETE",), revoke_key, ADMIN, "Revokes a key."),
    ]


def _shown(key: Key, now_ms: int) -> dict[str, Any]:
    state = "good" if key.is_good(now_ms) else "expired" if key.revoked_ms is None else "revoked"
    return {
        "id": key.id,
        "name": key.name,
        "hint": key.hint,
        "scopes": key.scopes,
        "role": "Admin" if Scope.ADMIN.value in key.scopes else "Viewer" if Scope.READ.value in key.scopes else "None",
        "state": state,
        "created": rfc3339(key.created_ms),
        "createdBy": key.created_by,
        "expiration": None if key.expires_ms is None else rfc3339(key.expires_ms),
        "lastUsedAt": None if key.used_ms is None else rfc3339(key.used_ms),
    }


def _scopes(content: Mapping[str, Any]) -> list[Scope]:
    wanted, role = content.get("scopes"), content.get("role")
    if wanted is None and isinstance(role, str) and role in _ROLES:
        return _ROLES[role]
    names = [scope.value for scope in Scope]
    if not isinstance(wanted, list) or not wanted or not all(scope in names for scope in wanted):
        raise Fault(400, f"cannot make key: got no known scopes, want a list of {', '.join(names)}")
    return sorted({Scope(scope) for scope in wanted})


def _life_s(content: Mapping[str, Any]) -> int | None:
    life_s = content.get("secondsToLive")
    if life_s is None or life_s == 0:
        return None
    if not isinstance(life_s, int) or isinstance(life_s, bool) or not 0 < life_s <= _LIFE_S_MAX:
        raise Fault(400, f"cannot make key: got secondsToLive {life_s!r:.40}, want 1 to {_LIFE_S_MAX}, or none")
    return life_s
