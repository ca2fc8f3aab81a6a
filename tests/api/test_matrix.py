import asyncio
from pathlib import Path

from starlette.responses import Response
from tests.net.judges.asgi import Client
from tests.net.judges.fuzz import assert_no_route_breaks
from tests.net.judges.hostile import assert_bombs_refused, assert_headers, assert_paths_have_one_meaning
from tests.net.judges.matrix import assert_matrix
from tests.net.judges.world import PASSWORD, World

from watchkeeper.api import dashboards as api_dashboards
from watchkeeper.gateway import rest
from watchkeeper.gateway.overview import Overview
from watchkeeper.gateway.services import Sources
from watchkeeper.gateway.settings import GatewaySettings
from watchkeeper.net.answers import json_answer
from watchkeeper.net.encoding import decompress
from watchkeeper.net.routing import LOGS_WRITE, METRICS_WRITE, Call, Route, Scope
from watchkeeper.store.state.dashboards import Dashboards

DECLARED = {
    "POST /api/login": "OPEN",
    "POST /api/logout": "SELF",
    "GET /api/user": "SELF",
    "PUT /api/user/password": "SELF",
    "GET /api/auth/keys": "ADMIN",
    "POST /api/auth/keys": "ADMIN",
    "DELETE /api/auth/keys/{id}": "ADMIN",
    "GET /api/admin/users": "ADMIN",
    "GET /api/users": "ADMIN",
    "POST /api/admin/users": "ADMIN",
    "DELETE /api/admin/users/{id}": "ADMIN",
    "PUT /api/admin/users/{id}/password": "ADMIN",
    "POST /api/admin/users/{id}/disable": "ADMIN",
    "POST /api/admin/users/{id}/enable": "ADMIN",
    "POST /api/admin/users/{id}/logout": "ADMIN",
    "PATCH /api/org/users/{id}": "ADMIN",
    "GET /api/audit": "ADMIN",
    "GET /api/audit/verify": "ADMIN",
    "GET /api/search": "READ",
    "GET /api/dashboards/uid/{uid}": "READ",
    "DELETE /api/dashboards/uid/{uid}": "EDIT",
    "POST /api/dashboards/db": "EDIT",
    "GET /api/folders": "READ",
    "POST /api/folders": "EDIT",
    "GET /health": "OPEN",
    "GET /api/monitoring/overview": "AGENT",
    "GET /api/monitoring/health/{service}": "AGENT",
    "POST /push/metrics": "METRICS_WRITE",
    "POST /push/logs/{rest:path}": "LOGS_WRITE",
}


class NoFiles:
    def list(self) -> list[api_dashboards.ProvisionedDashboard]:
        return []

    def get(self, uid: str) -> None:
        return None


async def _echo(call: Call) -> Response:
    return json_answer({"bytes": len(call.body)})


async def _unpack(call: Call) -> Response:
    return json_answer({"bytes": len(decompress(call.body, call.headers["content-encoding"], 8 << 20))})


def _routes(world: World) -> list[Route]:
    overview = Overview(GatewaySettings(), Sources(targets=list, alerts=list), world.clock)
    pushes = [
        Route("/push/metrics", ("POST",), _echo, METRICS_WRITE, "", body_bytes_max=32 << 20),
        Route("/push/logs/{rest:path}", ("POST",), _unpack, LOGS_WRITE, "", decode=False, body_bytes_max=8 << 20),
    ]
    made = (api_dashboards.routes(Dashboards(world.state), NoFiles(), world.clock), rest.routes(overview, world.clock))
    return world.routes() + [route for some in made for route in some] + pushes


def test_every_route_lets_in_exactly_whom_the_table_says(tmp_path: Path) -> None:
    world = World(tmp_path)
    routes = [route for route in _routes(world) if route.path != "/api/logout"]
    callers = world.callers()
    declared = {place: access for place, access in DECLARED.items() if place != "POST /api/logout"}
    assert assert_matrix(routes, world.app(routes), callers, declared) == len(declared) * len(callers)


def test_signing_out_is_for_people_only(tmp_path: Path) -> None:
    world = World(tmp_path)
    app = world.app()
    for caller, headers in world.callers().items():
        status = Client(app, headers).call("POST", "/api/logout").status
        assert (status == 200) == (caller in {"viewer", "editor", "admin"}), (caller, status)


def test_bombs_are_refused_by_every_route_that_takes_a_body(tmp_path: Path) -> None:
    world = World(tmp_path)
    routes = _routes(world)
    assert assert_bombs_refused(routes, world.app(routes), world.session("admin")) > 200


def test_a_path_has_one_meaning(tmp_path: Path) -> None:
    world = World(tmp_path)
    routes = _routes(world)
    assert assert_paths_have_one_meaning(routes, world.app(routes), {"x-api-key": world.key(Scope.ADMIN)}) > 200


def test_every_answer_carries_the_headers(tmp_path: Path) -> None:
    world = World(tmp_path)
    routes = _routes(world)
    assert assert_headers(routes, world.app(routes), {"x-api-key": world.key(Scope.ADMIN)}) > 100


def test_no_route_breaks(tmp_path: Path) -> None:
    world = World(tmp_path)
    routes = [route for route in _routes(world) if not route.path.endswith(("/logout", "/push/logs/{rest:path}"))]
    assert assert_no_route_breaks(routes, world.app(routes), world.session("admin"), tries=15) > 300


def test_a_database_copy_opens_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    key, session = world.key(Scope.ADMIN), world.session("admin")["cookie"].partition("=")[2]
    world.state.close()
    copy = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"taken" not in copy and b"admin" in copy
    for secret in (key, key.removeprefix("wk_"), session, PASSWORD):
        assert secret.encode() not in copy


def test_callers_at_the_same_time_are_never_taken_for_each_other(tmp_path: Path) -> None:
    world = World(tmp_path)
    app = world.app()
    people = {name: world.session(name, app) for name in ("viewer", "editor", "admin")}
    keys = {scope: {"x-api-key": world.key(scope)} for scope in Scope}

    async def person(name: str) -> bool:
        answer = await Client(app, people[name]).ask("GET", "/api/user")
        return bool(answer.json()["login"] == name)

    async def program(scope: Scope) -> bool:
        answer = await Client(app, keys[scope]).ask("GET", "/api/users")
        return (answer.status == 200) == (scope is Scope.ADMIN)

    async def crowd() -> list[bool]:
        right = []
        for _ in range(20):
            callers = [person(name) for name in people for _ in range(10)]
            callers += [program(scope) for scope in Scope if scope in {Scope.ADMIN, Scope.READ} for _ in range(10)]
            world.clock.pass_s(0.3)
            right += await asyncio.gather(*callers)
        return right

    assert all(asyncio.run(crowd()))
