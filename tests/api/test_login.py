import asyncio
import re
import resource
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from tests.net.judges.asgi import Answer, Client
from tests.net.judges.world import DAY_MS, PASSWORD, World

from watchkeeper.api.accounts import Accounts
from watchkeeper.model.errors import BadInput
from watchkeeper.net.passwords import Passwords
from watchkeeper.net.routing import Scope
from watchkeeper.net.settings import AuthSettings


def _sign_in(client: Client, user: str = "admin", password: str = PASSWORD, cookie: str = "") -> Answer:
    whom = {"user": user, "password": password}
    if cookie:
        return client.call("POST", "/api/login", json=whom, cookie=cookie)
    return client.call("POST", "/api/login", json=whom)


def _page(answer: Answer) -> dict[str, str]:
    return {"cookie": f"wk_session={answer.session}", "x-wk-csrf": "1"}


def _knows(world: World, app: object, headers: dict[str, str]) -> bool:
    return Client(app, headers).call("GET", "/api/user").status == 200


def test_a_person_signs_in_and_out(tmp_path: Path) -> None:
    world = World(tmp_path)
    app = world.app()
    answer = _sign_in(Client(app), " Editor ")
    assert answer.status == 200 and answer.json() == {"user": {"login": "editor", "name": "", "role": "Editor"}}
    page = Client(app, _page(answer))
    assert page.call("GET", "/api/user").json() == {
        "id": 2, "login": "editor", "name": "", "email": "", "role": "Editor", "orgRole": "Editor",
        "isGrafanaAdmin": False,
    }  # fmt: skip
    out = page.call("POST", "/api/logout")
    assert out.status == 200 and "Max-Age=0" in out.headers["set-cookie"]
    assert page.call("GET", "/api/user").status == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(tmp_path: Path) -> None:
    answer = _sign_in(Client(World(tmp_path).app()))
    cookie = answer.headers["set-cookie"]
    assert re.fullmatch(r"wk_session=[\w-]{43}; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000", cookie)


def test_tokens_are_new_each_time_and_the_old_one_ends(tmp_path: Path) -> None:
    world = World(tmp_path)
    app = world.app()
    first = _sign_in(Client(app))
    second = _sign_in(Client(app), cookie=f"wk_session={first.session}")
    assert first.session != second.session
    assert not _knows(world, app, _page(first)) and _knows(world, app, _page(second))
    planted = _sign_in(Client(app), cookie="wk_session=chosen-by-somebody-else")
    assert planted.session != "chosen-by-somebody-else"


def test_a_session_ends_when_unused_and_in_any_case(tmp_path: Path) -> None:
    world = World(tmp_path)
    app = world.app()
    page = _page(_sign_in(Client(app)))
    for _ in range(4):
        world.clock.ms += 6 * DAY_MS
        assert _knows(world, app, page), "used within seven days"
    idle = _page(_sign_in(Client(app)))
    world.clock.ms += 6 * DAY_MS
    assert not _knows(world, app, page), "thirty days in all"
    assert _knows(world, app, idle)
    world.clock.ms += 7 * DAY_MS
    assert not _knows(world, app, idle)


def test_sessions_end_within_a_second_when_another_process_ends_them(tmp_path: Path) -> None:
    world = World(tmp_path)
    app = world.app()
    page, key = _page(_sign_in(Client(app))), world.key(Scope.ADMIN)
    assert _knows(world, app, page)
    assert Client(app).call("GET", "/api/users", x_api_key=key).status == 200
    world.accounts.sessions.end_all(3)  # as the command line does, past the accounts in this process
    world.accounts.keys.revoke(1, world.clock.now_ms())
    world.clock.pass_s(1)
    assert not _knows(world, app, page)
    assert Client(app).call("GET", "/api/users", x_api_key=key).status == 401


def test_a_locked_out_person_is_out_at_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    app = world.app()
    admin, editor = Client(app, world.session("admin", app)), _page(_sign_in(Client(app), "editor"))
    basic = {"authorization": "Basic ZWRpdG9yOmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ=="}
    assert _knows(world, app, editor) and _knows(world, app, basic)
    assert admin.call("POST", "/api/admin/users/2/disable").status == 200
    assert not _knows(world, app, editor) and not _knows(world, app, basic)
    assert _sign_in(Client(app), "editor").status == 401
    assert admin.call("POST", "/api/admin/users/2/enable").status == 200
    assert _sign_in(Client(app), "editor").status == 200


def test_a_new_password_ends_the_other_sessions(tmp_path: Path) -> None:
    world = World(tmp_path)
    app = world.app()
    here, there = _page(_sign_in(Client(app))), _page(_sign_in(Client(app)))
    change = {"oldPassword": PASSWORD, "newPassword": "another long one"}
    answer = Client(app, here).call("PUT", "/api/user/password", json=change)
    assert answer.status == 200
    assert not _knows(world, app, here) and not _knows(world, app, there)
    assert _knows(world, app, _page(answer)), "the page that asked stays signed in, under a new token"
    assert _sign_in(Client(app)).status == 401
    assert _sign_in(Client(app), password="another long one").status == 200


def test_a_password_change_needs_the_old_one_and_a_good_new_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    app = world.app()
    page = Client(app, world.session("viewer", app))
    wrong = page.call("PUT", "/api/user/password", json={"oldPassword": "wrong", "newPassword": "another long one"})
    short = page.call("PUT", "/api/user/password", json={"oldPassword": PASSWORD, "newPassword": "short"})
    assert (wrong.status, short.status) == (401, 400)
    assert b"short" not in short.body.replace(b"cannot", b"")


def test_the_sixth_guess_waits(tmp_path: Path) -> None:
    world = World(tmp_path)
    app = world.app()
    statuses = [_sign_in(Client(app), password=f"guess {at}").status for at in range(6)]
    assert statuses == [401] * 5 + [429]
    assert int(_sign_in(Client(app)).headers["retry-after"]) > 200, "not even the right one"
    assert _sign_in(Client(app, address="10.1.1.1")).status == 200, "from elsewhere"
    assert _sign_in(Client(app), "editor").status == 200, "somebody else"
    world.clock.pass_s(300)
    assert _sign_in(Client(app)).status == 200


def test_basic_auth_is_braked_the_same(tmp_path: Path) -> None:
    app = World(tmp_path).app()
    wrong = {"authorization": "Basic YWRtaW46d3Jvbmc="}
    assert [Client(app, wrong).call("GET", "/api/user").status for _ in range(6)] == [401] * 5 + [429]
    assert Client(app, wrong).call("GET", "/api/user").headers["retry-after"]


def test_one_address_may_not_try_everybody(tmp_path: Path) -> None:
    app = World(tmp_path).app()
    statuses = [_sign_in(Client(app), f"user{at}", "guess").status for at in range(60)]
    assert statuses == [401] * 50 + [429] * 10


def test_ten_thousand_guesses_leave_memory_flat(tmp_path: Path) -> None:
    world = World(tmp_path)
    client = Client(world.app(), address="10.0.0.1")

    async def guess(count: int) -> None:
        for at in range(count):
            await client.ask("POST", "/api/login", json={"user": f"u{at % 70}", "password": "x" * 20})

    asyncio.run(guess(1000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    asyncio.run(guess(10_000))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 << 10, "KiB"


def test_an_unknown_person_and_a_wrong_password_look_the_same(tmp_path: Path) -> None:
    app = World(tmp_path).app()
    unknown, wrong = _sign_in(Client(app), "nobody"), _sign_in(Client(app), password="wrong")
    assert (unknown.status, unknown.body) == (wrong.status, wrong.body) == (401, wrong.body)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{", b'{"user":1,"password":"x"}', b'{"user":"a"}', b'{"user":"a","password":""}',
     b'{"user":"a\\nb","password":"x"}', b'{"user":"a","password":"' + b"x" * 2000 + b'"}', b"[" * 10_000],
)  # fmt: skip
def test_what_is_no_sign_in_is_refused(tmp_path: Path, body: bytes) -> None:
    answer = Client(World(tmp_path).app()).call("POST", "/api/login", body=body)
    assert answer.status == 400 and "set-cookie" not in answer.headers


def test_keys_come_by_every_door(tmp_path: Path) -> None:
    import base64

    world = World(tmp_path)
    key = world.key(Scope.ADMIN)
    basic = base64.b64encode(f"whoever:{key}".encode()).decode()
    for headers in ({"x-api-key": key}, {"authorization": f"Bearer {key}"}, {"authorization": f"basic {basic}"}):
        assert Client(world.app(), headers).call("GET", "/api/users").status == 200, headers
    for headers in (
        {"x-api-key": key + "x"},
        {"authorization": f"Bearer {PASSWORD}"},
        {"authorization": "Basic %%%"},
        {"authorization": "Basic"},
        {"authorization": f"Digest {key}"},
        {"cookie": f"wk_session={key}"},
        {"x-api-key": world.session("admin")["cookie"].partition("=")[2]},
    ):
        assert Client(world.app(), headers).call("GET", "/api/users").status == 401, headers


def test_a_password_is_hashed_once_for_many_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    checks = []
    verify = world.accounts.passwords._verify

    def counted(stored: str, password: str) -> bool:
        checks.append(stored)
        return verify(stored, password)

    monkeypatch.setattr(world.accounts.passwords, "_verify", counted)
    app = world.app()
    basic = {"authorization": "Basic YWRtaW46Y29ycmVjdCBob3JzZSBiYXR0ZXJ5"}
    for _ in range(20):
        assert Client(app, basic).call("GET", "/api/user").status == 200
        world.clock.pass_s(0.7)
    assert len(checks) == 1
    world.accounts.users.set_password(3, world.accounts.passwords.hash_now("changed elsewhere"), 0)
    world.clock.pass_s(1)
    assert Client(app, basic).call("GET", "/api/user").status == 401


def test_a_hash_of_old_parameters_is_renewed_at_sign_in(tmp_path: Path) -> None:
    world = World(tmp_path)
    user = world.accounts.users.by_login("admin")
    assert user is not None
    world.accounts.users.renew_hash(user.id, PasswordHasher(time_cost=2, memory_cost=64, parallelism=1).hash(PASSWORD))
    assert _sign_in(Client(world.app())).status == 200
    renewed = world.accounts.users.by_login("admin")
    assert renewed is not None and "t=1" in renewed.password_hash


def test_the_first_start_makes_an_admin_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    for user in world.accounts.users.all()[1:]:
        world.accounts.users.remove(user.id)
    from sqlalchemy import delete

    from watchkeeper.store.state.schema import users

    with world.state.write() as connection:
        connection.execute(delete(users))
    password = world.accounts.first_admin({})
    assert password is not None and len(password) >= 20
    assert _sign_in(Client(world.app()), password=password).status == 200
    assert world.accounts.first_admin({}) is None
    with world.state.write() as connection:
        connection.execute(delete(users))
    assert world.accounts.first_admin({}) is None, "never again, even when everybody is gone"


@pytest.mark.parametrize("by_file", [True, False])
def test_the_first_password_may_be_given(tmp_path: Path, by_file: bool) -> None:
    world = World(tmp_path)
    accounts = _empty_accounts(tmp_path, world)
    (tmp_path / "secret").write_text("given password\n")
    given = {"WATCHKEEPER_ADMIN_PASSWORD": "given password"}
    file = {"WATCHKEEPER_ADMIN_PASSWORD_FILE": str(tmp_path / "secret")}
    assert accounts.first_admin(file if by_file else given) is None
    user = accounts.users.by_login("admin")
    assert user is not None and PasswordHasher().verify(user.password_hash, "given password")


def test_a_first_password_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    accounts = _empty_accounts(tmp_path, World(tmp_path))
    with pytest.raises(BadInput, match="at least 8"):
        accounts.first_admin({"WATCHKEEPER_ADMIN_PASSWORD": "short"})
    with pytest.raises(BadInput, match="No such file"):
        accounts.first_admin({"WATCHKEEPER_ADMIN_PASSWORD_FILE": str(tmp_path / "nowhere")})


def _empty_accounts(tmp_path: Path, world: World) -> Accounts:
    from watchkeeper.store.state.db import StateStore

    state = StateStore(f"sqlite:///{tmp_path / 'empty.db'}")
    cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    return Accounts(state, AuthSettings(), world.clock, cheap)
