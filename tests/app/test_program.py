"""The whole program's routes, judged: who may call them, what bodies and paths they refuse, what headers they send."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.net.judges.fuzz import assert_no_route_breaks
from tests.net.judges.hostile import assert_bombs_refused, assert_headers, assert_paths_have_one_meaning
from tests.net.judges.matrix import assert_matrix
from tests.net.judges.world import World

from watchkeeper.app.config import Loaded
from watchkeeper.app.machine import Machine
from watchkeeper.app.wiring import Options, build
from watchkeeper.net.routing import Route, Scope

# "METHOD path access", a line each: written by hand, never made from the routes.
_DECLARED = Path(__file__).parent / "access.txt"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def machine(world: World) -> Iterator[Machine]:
    built = build(Loaded(None), Options(world.folder, environ={}))
    yield built
    built.close()


def _routes(machine: Machine) -> list[Route]:
    """Leave out those that would end the callers' own sessions while they are being judged."""
    return [route for route in machine.routes if route.path != "/api/logout"]


def test_every_route_lets_in_exactly_whom_the_table_says(world: World, machine: Machine) -> None:
    rows = [line.split() for line in _DECLARED.read_text().splitlines() if line and not line.startswith("#")]
    declared = {f"{method} {path}": access for method, path, access in rows}
    routes, callers = _routes(machine), world.callers()
    assert assert_matrix(routes, world.app(routes), callers, declared) == len(declared) * len(callers)


def test_nothing_but_health_the_sign_in_and_the_page_itself_is_open() -> None:
    rows = [line.split() for line in _DECLARED.read_text().splitlines() if line and not line.startswith("#")]
    paths = {path for _, path, access in rows if access == "OPEN"}
    health = {"/health", "/-/healthy", "/-/ready", "/alertmanager/-/healthy", "/alertmanager/-/ready"}
    pages = {path for path in paths if not path.startswith(("/api", "/loki", "/metrics", "/alertmanager", "/-"))}
    assert paths == health | pages | {"/api/login"}


def test_bombs_are_refused_by_every_route_that_takes_a_body(world: World, machine: Machine) -> None:
    routes = _routes(machine)
    assert assert_bombs_refused(routes, world.app(routes), world.session("admin")) > 100


def test_a_path_has_one_meaning(world: World, machine: Machine) -> None:
    routes = _routes(machine)
    assert assert_paths_have_one_meaning(routes, world.app(routes), {"x-api-key": world.key(Scope.ADMIN)}) > 100


def test_every_answer_carries_the_headers(world: World, machine: Machine) -> None:
    routes = _routes(machine)
    assert assert_headers(routes, world.app(routes), {"x-api-key": world.key(Scope.ADMIN)}) > 100


def test_no_route_breaks_whatever_it_is_asked(world: World, machine: Machine) -> None:
    routes = _routes(machine)
    assert_no_route_breaks(routes, world.app(routes), {"x-api-key": world.key(Scope.ADMIN)})
