"""People, in the shapes of Grafana's admin API."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response

from watchkeeper.api.accounts import Accounts
from watchkeeper.api.times import rfc3339
from watchkeeper.net.answers import Fault, json_answer, json_object, secret_field, text_field
from watchkeeper.net.auditing import remark
from watchkeeper.net.routing import ADMIN, Call, Route
from watchkeeper.store.state.users import ROLES, User


def routes(accounts: Accounts) -> list[Route]:
    """Give the routes that list, add and change people."""
    desk = _Desk(accounts)
    one = "/api/admin/users/{id}"
    return [
        Route("/api/admin/users", ("GET",), desk.list_users, ADMIN, "Everybody who may sign in."),
        Route("/api/users", ("GET",), desk.list_users, ADMIN, "The same, at Grafana's path."),
        Route("/api/admin/users", ("POST",), desk.create_user, ADMIN, "Adds a person."),
        Route(one, ("DELETE",), desk.delete_user, ADMIN, "Removes a person."),
        Route(f"{one}/password", ("PUT",), desk.reset_password, ADMIN, "Sets a person's password."),
        Route(f"{one}/disable", ("POST",), desk.disable_user, ADMIN, "Locks a person out."),
        Route(f"{one}/enable", ("POST",), desk.enable_user, ADMIN, "Lets a person in again."),
        Route(f"{one}/logout", ("POST",), desk.log_user_out, ADMIN, "Ends a person's sessions."),
        Route("/api/org/users/{id}", ("PATCH",), desk.change_role, ADMIN, "Changes a person's role."),
    ]


class _Desk:
    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._users = accounts.users

    async def list_users(self, _call: Call) -> Response:
        return json_answer([_shown(user) for user in await asyncio.to_thread(self._users.all)])

    async def create_user(self, call: Call) -> Response:
        content = json_object(call.body)
        name, email = text_field(content, "name", default=""), text_field(content, "email", default="")
        login = text_field(content, "login", default=email).strip().lower()
        if not login or ":" in login:
            raise Fault(400, "cannot add user: got no usable login, want one without colons")
        role, password = _role(content, default="Viewer"), secret_field(content, "password")
        self._accounts.check_new_password(password)
        remark(login=login, role=role)
        hashed = await self._accounts.passwords.hash(password)
        now_ms = self._accounts.clock.now_ms()
        user = await asyncio.to_thread(self._users.add, login, role, hashed, now_ms, name=name, email=email)
        if user is None:
            raise Fault(412, f"User with email '{email}' or username '{login}' already exists")
        return json_answer({"id": user.id, "message": "User created"})

    async def reset_password(self, call: Call) -> Response:
        user = await self._user(call)
        await self._accounts.set_password(user.id, secret_field(json_object(call.body), "password"))
        return json_answer({"message": "User password updated"})

    async def change_role(self, call: Call) -> Response:
        user, role = await self._user(call), _role(json_object(call.body))
        remark(role=role)
        await self._change(user, lambda: self._users.set_role(user.id, role))
        return json_answer({"message": "Organization user updated"})

    async def disable_user(self, call: Call) -> Response:
        user = await self._user(call)
        await self._change(user, lambda: self._users.set_disabled(user.id, disabled=True))
        await self._accounts.end_sessions(user.id)
        return json_answer({"message": "User disabled"})

    async def enable_user(self, call: Call) -> Response:
        user = await self._user(call)
        await self._change(user, lambda: self._users.set_disabled(user.id, disabled=False))
        return json_answer({"message": "User enabled"})

    async def log_user_out(self, call: Call) -> Response:
        user = await self._user(call)
        await self._accounts.end_sessions(user.id)
        return json_answer({"message": "User logged out"})

    async def delete_user(self, call: Call) -> Response:
        user = await self._user(call)
        await self._change(user, lambda: self._users.remove(user.id))
        return json_answer({"message": "User deleted"})

    async def _user(self, call: Call) -> User:
        number = call.path["id"]
        if not number.isdecimal() or len(number) > 18:
            raise Fault(400, "id is invalid")
        user = await asyncio.to_thread(self._users.by_id, int(number))
        if user is None:
            raise Fault(404, "user not found")
        remark(login=user.login)
        return user

    async def _change(self, user: User, change: Callable[[], bool]) -> None:
        done = await asyncio.to_thread(change)
        self._accounts.changes += 1
        if not done:
            raise Fault(400, f"cannot change {user.login}: got the last admin, want one to remain")


def _role(content: Mapping[str, Any], default: str | None = None) -> str:
    role = content.get("role", default)
    if role not in ROLES:
        raise Fault(400, f"cannot set role: got {str(role)[:40]!r}, want {', '.join(ROLES)}")
    return str(role)


def _shown(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "login": user.login,
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "isAdmin": user.role == "Admin",
        "isDisabled": user.disabled,
        "created": rfc3339(user.created_ms),
    }
