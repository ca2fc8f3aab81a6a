import asyncio
import io
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson
import pytest
import structlog
from sqlalchemy import update
from tests.net.judges.asgi import Client
from tests.net.judges.world import PASSWORD, World

from watchkeeper.model.metrics import exposition
from watchkeeper.net.auditing import AuditEntry
from watchkeeper.net.routing import Scope
from watchkeeper.store.state.audit import Entry
from watchkeeper.store.state.schema import audit

FIELDS = {"id", "time_ms", "who", "address", "action", "route", "status", "detail", "chain"}


def _entries(world: World) -> list[tuple[str, str, int]]:
    return [(row["who"], row["action"], row["status"]) for row in reversed(world.log.page(limit=1000))]


def test_each_change_and_each_sign_in_is_one_entry(tmp_path: Path) -> None:
    world = World(tmp_path)
    app = world.app()
    admin = Client(app, world.session("admin", app))
    calls = [
        ("POST", "/api/auth/keys", {"name": "a", "scopes": ["read"]}, "create_key", 200),
        ("DELETE", "/api/auth/keys/1", None, "revoke_key", 200),
        ("DELETE", "/api/auth/keys/1", None, "revoke_key", 404),
        ("POST", "/api/admin/users", {"login": "bob", "password": "long enough"}, "create_user", 200),
        ("POST", "/api/admin/users", {"login": "bob"}, "create_user", 400),
        ("POST", "/api/admin/users/4/disable", None, "disable_user", 200),
        ("POST", "/api/admin/users/4/enable", None, "enable_user", 200),
        ("POST", "/api/admin/users/4/logout", None, "log_user_out", 200),
        ("PATCH", "/api/org/users/4", {"role": "Editor"}, "change_role", 200),
        ("PUT", "/api/admin/users/4/password", {"password": "long enough 2"}, "reset_password", 200),
        ("DELETE", "/api/admin/users/4", None, "delete_user", 200),
        ("PUT", "/api/user/password", {"oldPassword": "x", "newPassword": "y" * 9}, "change_password", 401),
        ("POST", "/api/logout", None, "log_out", 200),
    ]
    for method, path, body, _, status in calls:
        assert admin.call(method, path, json=body).status == status, path
    want = [("admin", "log_in", 200)] + [("admin", action, status) for *_, action, status in calls]
    assert _entries(world) == want
    last = world.log.page(limit=1)[0]
    assert set(last) == FIELDS and last["address"] == "127.0.0.1" and last["route"] == "/api/logout"
    assert all(row["detail"] for row in world.log.page())
    assert world.log.verify().broken_at is None and world.log.verify().entries == len(want)


def test_each_refusal_is_one_entry(tmp_path: Path) -> None:
    world = World(tmp_path)
    app = world.app()
    viewer = world.session("viewer", app)
    read = world.key(Scope.READ, name="reader")

    def ask(method: str, path: str, headers: Mapping[str, str], json: object = None) -> None:
        Client(app, headers).call(method, path, json=json)

    ask("POST", "/api/login", {}, {"user": "admin", "password": "wrong"})
    ask("POST", "/api/login", {}, {"user": "typed my password here", "password": "wrong"})
    ask("GET", "/api/users", {"x-api-key": "wk_wrong"})
    ask("GET", "/api/users", {"x-api-key": read})
    ask("GET", "/api/users", viewer)
    ask("GET", "/api/users", {"authorization": "Basic YWRtaW46d3Jvbmc="})
    ask("GET", "/api/users", {})  # nobody tried anything: a page that asks who it is
    ask("POST", "/api/auth/keys", {})
    ask("POST", "/api/auth/keys", {**viewer, "x-wk-csrf": ""})
    assert _entries(world)[1:] == [
        ("admin", "log_in", 401),
        ("unknown", "log_in", 401),
        ("unknown key", "authenticate", 401),
        ("key:reader", "authenticate", 403),
        ("viewer", "authenticate", 403),
        ("admin", "authenticate", 401),
        ("anonymous", "create_key", 401),
        ("viewer", "create_key", 403),
    ]


def test_a_flood_of_refusals_does_not_fill_the_disk(tmp_path: Path) -> None:
    world = World(tmp_path)
    client = Client(world.app(), {"x-api-key": "wk_wrong"})
    for _ in range(300):
        client.call("GET", "/api/users")
    assert [action for _, action, _ in _entries(world)] == ["authenticate"] * 100 + ["suppress_refusals"]
    Client(client.app, client.headers, address="10.9.9.9").call("GET", "/api/users")
    assert len(_entries(world)) == 102, "another address is still heard"


@pytest.mark.parametrize("text", ["a\r\nadmin log_in 200", "a\0b", "a\x1b[31mb", "a\u2028b", "\u202eb"])
def test_no_text_starts_a_line_of_its_own(tmp_path: Path, text: str) -> None:
    world = World(tmp_path)
    asyncio.run(world.trail.record(AuditEntry(1, text, text, text, text, 200, {"name": text})))
    (row,) = world.log.page()
    for name in ("who", "address", "action", "route"):
        assert row[name].isprintable(), row[name]
    assert world.log.verify().broken_at is None
    answer = Client(world.app(), {"x-api-key": world.key(Scope.ADMIN)}).call("GET", "/api/audit")
    assert answer.body.isascii() is False or b"\n" not in answer.body
    assert b"\r" not in answer.body and b"\n" not in answer.body and b"\0" not in answer.body


@pytest.mark.parametrize("change", [{"who": "eve"}, {"status": 500}, {"detail": "{}"}, {"time_ms": 5}, {"id": 99}])
def test_a_changed_entry_breaks_the_chain(tmp_path: Path, change: dict[str, object]) -> None:
    world = World(tmp_path)
    for at in range(5):
        asyncio.run(world.trail.record(AuditEntry(at, "bob", "::1", "act", "/x", 200, {"at": at})))
    assert world.log.verify().broken_at is None
    with world.state.write() as connection:
        connection.execute(update(audit).where(audit.c.id == 3).values(**change))
    assert world.log.verify().broken_at in {3, 4}


def test_a_removed_entry_breaks_the_chain(tmp_path: Path) -> None:
    world = World(tmp_path)
    for at in range(5):
        asyncio.run(world.trail.record(AuditEntry(at, "bob", "::1", "act", "/x", 200)))
    with world.state.write() as connection:
        connection.execute(audit.delete().where(audit.c.id == 2))
    assert world.log.verify().broken_at == 3


def test_entries_that_wait_share_a_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    batches = []
    append = world.log.append

    def counted(entries: Sequence[Entry]) -> None:
        batches.append(len(entries))
        append(entries)

    monkeypatch.setattr(world.log, "append", counted)

    async def run() -> None:
        entries = [AuditEntry(at, "bob", "::1", "act", "/x", 200) for at in range(100)]
        await asyncio.gather(*(world.trail.record(entry) for entry in entries))

    asyncio.run(run())
    assert sum(batches) == 100 and len(batches) <= 3
    assert world.log.verify().entries == 100


def test_two_writers_keep_one_chain(tmp_path: Path) -> None:
    world = World(tmp_path)

    def write(name: str) -> None:
        for at in range(20):
            world.log.append([AuditEntry(at, name, "::1", "act", "/x", 200)])

    threads = [threading.Thread(target=write, args=(str(at),)) for at in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdict = world.log.verify()
    assert (verdict.entries, verdict.broken_at) == (60, None)


def test_admins_read_and_check_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    client = Client(world.app(), world.session("admin"))
    for at in range(5):
        asyncio.run(world.trail.record(AuditEntry(at, "bob" if at else "eve", "::1", "act", "/x", 200)))
    page = client.call("GET", "/api/audit?limit=2").json()["entries"]
    assert [row["id"] for row in page] == [6, 5]
    older = client.call("GET", f"/api/audit?limit=2&before={page[-1]['id']}").json()["entries"]
    assert [row["id"] for row in older] == [4, 3]
    assert len(client.call("GET", "/api/audit?who=eve").json()["entries"]) == 1
    assert client.call("GET", "/api/audit?limit=x").status == 400
    verdict = client.call("GET", "/api/audit/verify").json()
    assert verdict["intact"] is True and verdict["entries"] == 6 and verdict["brokenAt"] is None


def test_no_secret_comes_back_anywhere(tmp_path: Path) -> None:
    world = World(tmp_path)
    logged = io.StringIO()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(logged))
    try:
        app = world.app()
        admin = Client(app, world.session("admin", app))
        key = admin.call("POST", "/api/auth/keys", json={"name": "canary", "scopes": ["admin"]}).json()["key"]
        canaries = {PASSWORD, "canary-password", "canary-wrong", key, admin.headers["cookie"].partition("=")[2]}
        admin.call("POST", "/api/admin/users", json={"login": "c", "password": "canary-password"})
        admin.call("POST", "/api/login", json={"user": "c", "password": "canary-wrong"})
        admin.call("POST", "/api/login", json={"user": "c", "password": ["canary-wrong"]})
        admin.call("PUT", "/api/user/password", json={"oldPassword": "canary-wrong", "newPassword": "canary-wrong"})
        admin.call("GET", "/api/users", authorization=f"Bearer {key}x")
        admin.call("GET", "/api/users", authorization="Basic " + "canary-wrong")
        seen = [exposition(), logged.getvalue().encode()]
        callers = (admin, Client(app, {"x-api-key": key}), Client(app))
        paths = [f"{route.path}?includeExpired=1" for route in world.routes() if "GET" in route.methods]
        seen += [caller.call("GET", path).body for caller in callers for path in paths]
        seen.append(orjson.dumps(world.log.page(limit=1000)))
    finally:
        structlog.reset_defaults()
    for canary in canaries:
        assert not [text for text in seen if canary.encode() in text], canary
    assert not any(b"$argon2id$" in text for text in seen)
