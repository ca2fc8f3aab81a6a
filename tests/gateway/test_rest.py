import time
from pathlib import Path
from typing import Any

import pytest
from tests.net.judges.asgi import Client
from tests.net.judges.world import World

from watchkeeper.gateway import rest
from watchkeeper.gateway.overview import Overview
from watchkeeper.gateway.services import Sources, TargetHealth
from watchkeeper.gateway.settings import GatewaySettings
from watchkeeper.net.routing import Scope

TARGETS = [TargetHealth("backend", "b:80", up=True), TargetHealth("rss", "r:80", up=False, last_error="timeout")]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def _app(world: World, **more: Any) -> Any:
    overview = Overview(GatewaySettings(), Sources(targets=lambda: TARGETS, alerts=list), world.clock)
    return world.app(rest.routes(overview, world.clock, **more))


def test_health_is_open_and_short(world: World) -> None:
    answer = Client(_app(world)).call("GET", "/health")
    assert answer.status == 200
    assert answer.json() == {
        "status": "healthy", "service": "monitoring-gateway", "timestamp": "2027-01-15T08:00:00Z", "version": "0.1.0",
    }  # fmt: skip
    down = Client(_app(world, ready=lambda: False)).call("GET", "/health")
    assert (down.status, down.json()["status"]) == (503, "unhealthy")


def test_an_agent_asks_for_everything_and_for_one(world: World) -> None:
    agent = Client(_app(world), {"x-api-key": world.key(Scope.AGENT)})
    whole = agent.call("GET", "/api/monitoring/overview").json()
    assert whole["status"] == "unhealthy" and whole["reasons"] == ["rss: its target is down"]
    one = agent.call("GET", "/api/monitoring/health/rss").json()
    assert one["status"] == "unhealthy" and one["targets"][0]["last_error"] == "timeout"


def test_an_unknown_service_is_answered_with_those_there_are(world: World) -> None:
    agent = Client(_app(world), {"x-api-key": world.key(Scope.AGENT)})
    answer = agent.call("GET", "/api/monitoring/health/x%20y")
    assert answer.status == 404 and answer.json() == {"error": "no service 'x y'", "services": ["backend", "rss"]}


def test_every_attempt_is_audited(world: World) -> None:
    app = _app(world)
    good, wrong = {"x-api-key": world.key(Scope.AGENT, name="agent")}, {"x-api-key": "wk_wrong"}
    other = {"x-api-key": world.key(Scope.METRICS_WRITE, name="pusher")}
    statuses = [
        Client(app, headers).call("GET", "/api/monitoring/overview").status for headers in (good, wrong, other, {})
    ]
    statuses += [Client(app, headers).call("GET", "/api/monitoring/health/rss").status for headers in (good, wrong)]
    statuses.append(Client(app, good).call("GET", "/api/monitoring/health/nobody").status)
    assert statuses == [200, 401, 403, 401, 200, 401, 404]
    Client(app).call("GET", "/health")
    entries = [(row["who"], row["action"], row["status"]) for row in reversed(world.log.page())]
    assert entries == [
        ("key:agent", "monitoring_overview", 200),
        ("unknown key", "monitoring_overview", 401),
        ("key:pusher", "monitoring_overview", 403),
        ("anonymous", "monitoring_overview", 401),
        ("key:agent", "service_health", 200),
        ("unknown key", "service_health", 401),
        ("key:agent", "service_health", 404),
    ]
    assert world.log.page(limit=1)[0]["detail"]["service"] == "nobody"
    assert world.log.verify().broken_at is None


def test_the_key_is_asked_for_in_words(world: World) -> None:
    answer = Client(_app(world)).call("GET", "/api/monitoring/overview")
    assert answer.status == 401 and answer.json() == {"error": "Unauthorized"}


def test_an_overview_takes_little_time(world: World) -> None:
    agent = Client(_app(world), {"x-api-key": world.key(Scope.AGENT)})
    agent.call("GET", "/api/monitoring/overview")
    began = time.perf_counter()
    for _ in range(50):
        agent.call("GET", "/api/monitoring/overview")
    assert (time.perf_counter() - began) / 50 < 0.05, "seconds each, the audit entry on the disk included"
