from pathlib import Path

import pytest
from tests.net.judges.asgi import Client
from tests.net.judges.world import PASSWORD, World

NEW = {"login": "Bob@Example.org", "name": "Bob", "email": "bob@example.org", "password": "long enough"}


def _admin(world: World) -> Client:
    app = world.app()
    return Client(app, world.session("admin", app))


def _sign_in(admin: Client, user: str, password: str) -> int:
    return Client(admin.app).call("POST", "/api/login", json={"user": user, "password": password}).status


def test_a_person_is_added_as_a_viewer(tmp_path: Path) -> None:
    admin = _admin(World(tmp_path))
    made = admin.call("POST", "/api/admin/users", json=NEW).json()
    assert made == {"id": 4, "message": "User created"}
    assert _sign_in(admin, "bob@example.org", "long enough") == 200
    (bob,) = [user for user in admin.call("GET", "/api/admin/users").json() if user["login"] == "bob@example.org"]
    assert (bob["role"], bob["isAdmin"], bob["isDisabled"]) == ("Viewer", False, False)
    assert "argon2" not in str(bob)
    assert admin.call("POST", "/api/admin/users", json=NEW).status == 412


def test_a_role_change_holds_at_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    admin = _admin(world)
    viewer = Client(admin.app, world.session("viewer", admin.app))
    assert viewer.call("GET", "/api/users").status == 403
    assert admin.call("PATCH", "/api/org/users/1", json={"role": "Admin"}).status == 200
    assert viewer.call("GET", "/api/users").status == 200
    assert admin.call("PATCH", "/api/org/users/1", json={"role": "Viewer"}).status == 200
    assert viewer.call("GET", "/api/users").status == 403


def test_a_reset_password_ends_sessions(tmp_path: Path) -> None:
    world = World(tmp_path)
    admin = _admin(world)
    viewer = Client(admin.app, world.session("viewer", admin.app))
    assert admin.call("PUT", "/api/admin/users/1/password", json={"password": "reset by admin"}).status == 200
    assert viewer.call("GET", "/api/user").status == 401
    assert _sign_in(admin, "viewer", PASSWORD) == 401
    assert _sign_in(admin, "viewer", "reset by admin") == 200


def test_a_person_is_signed_out_or_removed(tmp_path: Path) -> None:
    world = World(tmp_path)
    admin = _admin(world)
    viewer = Client(admin.app, world.session("viewer", admin.app))
    assert admin.call("POST", "/api/admin/users/1/logout").status == 200
    assert viewer.call("GET", "/api/user").status == 401
    viewer = Client(admin.app, world.session("viewer", admin.app))
    assert admin.call("DELETE", "/api/admin/users/1").status == 200
    assert viewer.call("GET", "/api/user").status == 401
    assert admin.call("DELETE", "/api/admin/users/1").status == 404


def test_one_admin_always_remains(tmp_path: Path) -> None:
    admin = _admin(World(tmp_path))
    for method, path, body in [
        ("DELETE", "/api/admin/users/3", None),
        ("POST", "/api/admin/users/3/disable", None),
        ("PATCH", "/api/org/users/3", {"role": "Editor"}),
    ]:
        assert admin.call(method, path, json=body).status == 400
    assert admin.call("GET", "/api/user").json()["role"] == "Admin"
    assert admin.call("PATCH", "/api/org/users/2", json={"role": "Admin"}).status == 200
    assert admin.call("PATCH", "/api/org/users/3", json={"role": "Editor"}).status == 200
    assert admin.call("GET", "/api/users").status == 403


@pytest.mark.parametrize(
    "change",
    [
        {"login": ""}, {"login": "a:b"}, {"login": 5}, {"login": "a\nb"}, {"login": "x" * 200}, {"password": "short"},
        {"password": ""}, {"password": None}, {"password": ["long enough"]}, {"role": "Root"}, {"role": ["Admin"]},
        {"name": "a\r\nb"}, {"email": {"a": 1}},
    ],
)  # fmt: skip
def test_what_is_no_person_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    answer = _admin(World(tmp_path)).call("POST", "/api/admin/users", json={**NEW, **change})
    assert answer.status == 400 and b"long enough" not in answer.body
