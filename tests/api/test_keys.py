from pathlib import Path

import pytest
from tests.net.judges.asgi import Client
from tests.net.judges.world import World

from watchkeeper.net.routing import Scope


def _admin(world: World) -> Client:
    app = world.app()
    return Client(app, world.session("admin", app))


def test_a_key_is_shown_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    admin = _admin(world)
    made = admin.call("POST", "/api/auth/keys", json={"name": "shipper", "scopes": ["logs:write", "read"]}).json()
    assert made["key"].startswith("wk_") and len(made["key"]) == 46
    assert made["scopes"] == ["logs:write", "read"]
    (shown,) = admin.call("GET", "/api/auth/keys").json()
    assert shown["name"] == "shipper" and shown["hint"] == made["key"][:7] and shown["state"] == "good"
    assert made["key"].encode() not in admin.call("GET", "/api/auth/keys").body


def test_a_revoked_key_opens_nothing_and_frees_its_name(tmp_path: Path) -> None:
    world = World(tmp_path)
    admin = _admin(world)
    made = admin.call("POST", "/api/auth/keys", json={"name": "ci", "role": "Admin"}).json()
    key = Client(admin.app, {"x-api-key": made["key"]})
    assert key.call("GET", "/api/users").status == 200
    assert admin.call("POST", "/api/auth/keys", json={"name": "ci", "role": "Admin"}).status == 409
    assert admin.call("DELETE", f"/api/auth/keys/{made['id']}").status == 200
    assert key.call("GET", "/api/users").status == 401
    assert admin.call("DELETE", f"/api/auth/keys/{made['id']}").status == 404
    assert admin.call("POST", "/api/auth/keys", json={"name": "ci", "role": "Viewer"}).status == 200
    states = {each["name"]: each["state"] for each in admin.call("GET", "/api/auth/keys?includeExpired=true").json()}
    assert states == {"ci": "good", "ci (before #1)": "revoked"}


def test_a_key_expires(tmp_path: Path) -> None:
    world = World(tmp_path)
    admin = _admin(world)
    made = admin.call("POST", "/api/auth/keys", json={"name": "x", "scopes": ["admin"], "secondsToLive": 60}).json()
    key = Client(admin.app, {"authorization": f"Bearer {made['key']}"})
    assert key.call("GET", "/api/users").status == 200
    world.clock.pass_s(60)
    assert key.call("GET", "/api/users").status == 401


def test_last_use_is_known_to_the_minute(tmp_path: Path) -> None:
    world = World(tmp_path)
    app = world.app()
    key = Client(app, {"x-api-key": world.key(Scope.ADMIN, name="k")})
    seen = []
    for _ in range(4):
        seen.append(key.call("GET", "/api/auth/keys").json()[0]["lastUsedAt"])
        world.clock.pass_s(30)
    assert seen[0] == seen[1] != seen[2] == seen[3]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"name": "x"}, {"name": " ", "scopes": ["read"]}, {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["root"]}, {"name": "x", "scopes": "read"}, {"name": "x", "scopes": [["read"]]},
        {"name": "x", "scopes": [None]}, {"name": "x", "role": "Editor"}, {"name": "x" * 151, "scopes": ["read"]},
        {"name": "a\r\nb", "scopes": ["read"]}, {"name": "x", "scopes": ["read"], "secondsToLive": -1},
        {"name": "x", "scopes": ["read"], "secondsToLive": True},
        {"name": "x", "scopes": ["read"], "secondsToLive": 10**12}, {"name": ["x"], "scopes": ["read"]},
        {"name": "x", "scopes": ["read"], "secondsToLive": "60"}, {"name": "x", "role": ["Admin"]},
    ],
)  # fmt: skip
def test_what_is_no_key_is_refused(tmp_path: Path, body: object) -> None:
    assert _admin(World(tmp_path)).call("POST", "/api/auth/keys", json=body).status == 400


@pytest.mark.parametrize("number", ["x", "-1", "9" * 40, "1.5", "%20"])
def test_what_is_no_number_is_refused(tmp_path: Path, number: str) -> None:
    assert _admin(World(tmp_path)).call("DELETE", f"/api/auth/keys/{number}").status in {400, 404}
