"""The status API's own parameters and answers."""

import re
from typing import Any

import pytest
from tests.net.judges.asgi import Client

from watchkeeper.api import status
from watchkeeper.app.config import load
from watchkeeper.app.features import features
from watchkeeper.app.shown import build_info
from watchkeeper.model.frame import MetricMetadata
from watchkeeper.net.app import build_app
from watchkeeper.net.auth import OpenDoor
from watchkeeper.net.settings import NetSettings

_A, _B = MetricMetadata("counter", "About a."), MetricMetadata("gauge", "", "bytes")
_TARGETS = [({"job": "x", "instance": "1"}, {"a": _A, "b": _B}), ({"job": "y", "instance": "2"}, {"a": _A})]
_TOLD_A = {"type": "counter", "help": "About a.", "unit": ""}
_TOLD_B = {"type": "gauge", "help": "", "unit": "bytes"}


@pytest.fixture
def client() -> Client:
    sources = status.Sources(
        target_metadata=lambda: _TARGETS,
        build=build_info,
        features=lambda: features(load(None), admin_api=False),
    )
    return Client(build_app(status.routes(sources), OpenDoor("127.0.0.1:9090"), NetSettings()))


@pytest.mark.parametrize(
    ("query", "want"),
    [
        (
            "",
            [
                {"target": _TARGETS[0][0], "metric": "a", **_TOLD_A},
                {"target": _TARGETS[0][0], "metric": "b", **_TOLD_B},
                {"target": _TARGETS[1][0], "metric": "a", **_TOLD_A},
            ],
        ),
        ("?metric=a", [{"target": labels, **_TOLD_A} for labels, _ in _TARGETS]),
        ("?metric=b&limit=5", [{"target": _TARGETS[0][0], **_TOLD_B}]),
        ("?metric=c", []),
        ("?match_target={job='y'}", [{"target": _TARGETS[1][0], "metric": "a", **_TOLD_A}]),
        ("?metric=a&limit=1", [{"target": _TARGETS[0][0], **_TOLD_A}]),
        ("?metric=a&limit=-1", [{"target": labels, **_TOLD_A} for labels, _ in _TARGETS]),
        ("?limit=0", []),
    ],
)
def test_metadata_is_told_of_the_targets_and_metrics_asked_for(client: Client, query: str, want: list[Any]) -> None:
    assert client.call("GET", f"/api/v1/targets/metadata{query}").json()["data"] == want


def test_features_are_grouped_as_in_prometheus(client: Client) -> None:
    told = client.call("GET", "/api/v1/features").json()["data"]
    assert told["promql_functions"]["rate"] is True
    assert told["promql_operators"]["limitk"] is True
    assert told["templating_functions"]["humanize"] is True
    assert told["api"]["admin"] is False
    names = [name for category in told.values() for name in category if category is not told["templating_functions"]]
    assert all(isinstance(on, bool) for category in told.values() for on in category.values())
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z0-9_]*|[-+*/%^@!=<>~]+", name)] == []


def test_the_version_is_plain_json_as_in_prometheus(client: Client) -> None:
    answer = client.call("GET", "/version")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.json()["version"] == "3.5.0"
