"""Signing in and out, and one's own account."""

import asyncio

from starlette.responses import Response

from watchkeeper.api.accounts import Accounts
from watchkeeper.net.answers import Fault, json_answer, json_object, secret_field, text_field
from watchkeeper.net.auditing import remark
from watchkeeper.net.auth import Denial, session_cookie, session_token
from watchkeeper.net.routing import OPEN, SELF, Call, Route
from watchkeeper.store.state.users import User

_BODY_BYTES_MAX = 16 << 10


def routes(accounts: Accounts) -> list[Route]:
    """Give the routes of signing in."""

    async def log_in(call: Call) -> Response:
        content = json_object(call.body)
        login, password = text_field(content, "user"), secret_field(content, "password")
        user = _person(await accounts.check_password(login, password, call.address))
        remark(who=user.login)
        before = session_token(call.headers.get("cookie", ""))
        token, life_s = await accounts.start_session(user.id, call.address, before)
        cookie = {"set-cookie": session_cookie(token, life_s)}
        return json_answer({"user": {"login": user.login, "name": user.name, "role": user.role}}, headers=cookie)

    async def log_out(call: Call) -> Response:
        if call.who.session is not None:
            await accounts.end_session(call.who.session)
        return json_answer({"message": "Logged out"}, headers={"set-cookie": session_cookie("", 0)})

    async def show_self(call: Call) -> Response:
        role = call.who.role.name.title() if call.who.role is not None else ""
        user = None
        if call.who.user_id is not None:
            user = await asyncio.to_thread(accounts.users.by_id, call.who.user_id)
        return json_answer(
            {
                "id": user.id if user else 0,
                "login": call.who.name,
                "name": user.name if user else "",
                "email": user.email if user else "",
                "role": role,
                "orgRole": role,
                "isGrafanaAdmin": role == "Admin",
            }
        )

    async def change_password(call: Call) -> Response:
        if call.who.user_id is None:
            raise Fault(400, "cannot change password: got a caller without an account, want a signed-in person")
        content = json_object(call.body)
        old, new = secret_field(content, "oldPassword"), secret_field(content, "newPassword")
        user = _person(await accounts.check_password(call.who.name, old, call.address))
        await accounts.set_password(user.id, new)
        headers = {}
        if call.who.session is not None:
            token, life_s = await accounts.start_session(user.id, call.address)
            headers["set-cookie"] = session_cookie(token, life_s)
        return json_answer({"message": "User password changed"}, headers=headers)

    return [
        Route("/api/login", ("POST",), log_in, OPEN, "Signs a person in.", body_bytes_max=_BODY_BYTES_MAX),
        Route("/api/logout", ("POST",), log_out, SELF, "Signs out.", body_bytes_max=_BODY_BYTES_MAX),
        Route("/api/user", ("GET",), show_self, SELF, "The person signed in."),
        Route(
            "/api/user/password",
            ("PUT",),
            change_password,
            SELF,
            "Changes one's own password and ends all one's sessions.",
            body_bytes_max=_BODY_BYTES_MAX,
        ),
    ]


def _person(verdict: User | Denial) -> User:
    if isinstance(verdict, User):
        return verdict
    if verdict.who:
        remark(who=verdict.who)
    headers = {"retry-after": str(verdict.retry_after_s)} if verdict.retry_after_s else {}
    raise Fault(verdict.status, verdict.text, verdict.reason, headers)
