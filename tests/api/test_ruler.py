"""The Loki ruler's API: groups on logs are kept, evaluated, shown and removed."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.datastructures import Headers
from starlette.responses import Response
from tests.doubles import StillClock

from watchkeeper.api.ruler import LogRules, routes
from watchkeeper.model.document import parse
from watchkeeper.model.doors import AlertSample
from watchkeeper.model.errors import BadInput
from watchkeeper.net.answers import Fault
from watchkeeper.net.routing import ANONYMOUS, Call
from watchkeeper.rules.rehearsal import RehearsalStore
from watchkeeper.rules.runner import RuleRunner
from watchkeeper.store.files import RealFiles
from watchkeeper.store.rule_files import RuleFiles

GROUP = b"""
name: errors
interval: 1m
rules:
  - alert: TooMany
    expr: sum by (app) (rate({app=~".+"} |= "error" [5m])) > 0.1
    for: 1m
    labels: {severity: page}
"""
Ask = Callable[..., Awaitable[Response]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def driven(folder: Path, work: Callable[[Ask, LogRules], Awaitable[None]], groups_max: int = 3) -> None:
    async def run() -> None:
        def ask_logs(_expr: str, _time_ms: int) -> list[AlertSample]:
            return [AlertSample({"app": "shop"}, 1.0)]

        async def send(_alerts: object) -> None:
            return None

        store = RehearsalStore()
        runner = RuleRunner(ask_logs, store, store, send, StillClock(60_000), ask_logs=ask_logs)
        kept = LogRules(RuleFiles(RealFiles(folder)), groups_max)

        async def changed() -> None:
            await runner.apply(kept.files())
            await runner.evaluate_all(60_000)

        table = {(route.methods[0], route.path): route.handler for route in routes(kept, runner, changed)}

        async def ask(method: str, path: str, body: bytes = b"", **named: str) -> Response:
            async def never() -> bool:
                return False

            call = Call(method, path, named, (), Headers({}), body, ANONYMOUS, "", never)
            return await table[method, path](call)

        await changed()
        await work(ask, kept)
        await runner.stop()

    asyncio.run(run())


ALL, ONE = "/loki/api/v1/rules", "/loki/api/v1/rules/{namespace}"
GROUP_PATH = ONE + "/{group}"


def yaml_of(answer: Response) -> Any:
    assert answer.media_type == "application/yaml"
    return parse(bytes(answer.body), "answer").content


def test_a_group_is_kept_evaluated_and_shown(folder: Path) -> None:
    async def work(ask: Ask, _kept: LogRules) -> None:
        answer = await ask("POST", ONE, GROUP, namespace="a/b ü")
        accepted = {"status": "success", "data": None, "errorType": "", "error": ""}
        assert (answer.status_code, orjson.loads(answer.body)) == (202, accepted)
        assert yaml_of(await ask("GET", ALL)).keys() == {"a/b ü"}
        shown = yaml_of(await ask("GET", GROUP_PATH, namespace="a/b ü", group="errors"))
        assert (shown["name"], shown["interval"], shown["rules"][0]["for"]) == ("errors", "1m", "1m")
        assert yaml_of(await ask("GET", ONE, namespace="a/b ü"))["a/b ü"] == [shown]
        rules = orjson.loads((await ask("GET", "/prometheus/api/v1/rules")).body)["data"]["groups"]
        assert [(one["file"], one["name"], one["rules"][0]["state"]) for one in rules] == [
            ("a/b ü", "errors", "pending")
        ]
        alerts = orjson.loads((await ask("GET", "/prometheus/api/v1/alerts")).body)["data"]["alerts"]
        assert alerts[0]["labels"] == {"alertname": "TooMany", "app": "shop", "severity": "page"}

    driven(folder, work)
    again = LogRules(RuleFiles(RealFiles(folder)), 3)  # as after a restart
    assert [(file.path, file.groups[0].rules[0].alert) for file in again.files()] == [("a/b ü", "TooMany")]


def test_a_group_of_the_same_name_is_replaced_and_one_by_one_removed(folder: Path) -> None:
    async def work(ask: Ask, kept: LogRules) -> None:
        for text in (GROUP, GROUP.replace(b"0.1", b"0.2"), GROUP.replace(b"name: errors", b"name: more")):
            await ask("POST", ONE, text, namespace="n")
        assert [group["name"] for group in kept.namespaces["n"]] == ["errors", "more"]
        assert "0.2" in kept.namespaces["n"][0]["rules"][0]["expr"]
        assert (await ask("DELETE", GROUP_PATH, namespace="n", group="errors")).status_code == 202
        with pytest.raises(Fault, match="group does not exist"):
            await ask("DELETE", GROUP_PATH, namespace="n", group="errors")
        with pytest.raises(Fault, match="group does not exist"):
            await ask("GET", GROUP_PATH, namespace="n", group="errors")
        assert (await ask("DELETE", ONE, namespace="n")).status_code == 202
        for path, named in ((ALL, {}), (ONE, {"namespace": "n"})):
            with pytest.raises(Fault, match="no rule groups found"):
                await ask("GET", path, **named)

    driven(folder, work)
    assert list((folder / "log-rules").iterdir()) == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"- a", "got no mapping"),
        (b"rules: []", "Groupname must not be empty"),
        (b"name: a\nrules: [{record: b, expr: 'up'}]", "could not parse expression"),
        (b"name: a\nrules: [{record: b, expr: '{app=\"a\"}'}]", "rule result is not a vector or scalar"),
        (b"name: [", "want valid YAML"),
    ],
)
def test_a_group_that_cannot_be_evaluated_is_not_kept(folder: Path, body: bytes, fault: str) -> None:
    async def work(ask: Ask, kept: LogRules) -> None:
        with pytest.raises(BadInput, match=fault):
            await ask("POST", ONE, body, namespace="n")
        assert kept.namespaces == {}

    driven(folder, work)


def test_there_are_so_many_groups_and_no_more(folder: Path) -> None:
    async def work(ask: Ask, _kept: LogRules) -> None:
        await ask("POST", ONE, GROUP, namespace="n")
        with pytest.raises(BadInput, match="want at most 1"):
            await ask("POST", ONE, GROUP, namespace="m")
        await ask("POST", ONE, GROUP, namespace="n")
        with pytest.raises(Fault, match="cannot read namespace"):
            await ask("POST", ONE, GROUP, namespace="n" * 81)

    driven(folder, work, groups_max=1)


def test_a_damaged_file_is_left_alone_and_the_others_are_read(folder: Path) -> None:
    kept = RuleFiles(RealFiles(folder))
    kept.write("bad", b"groups: [")
    kept.write("good", b"groups:\n- " + GROUP.strip().replace(b"\n", b"\n  "))
    assert [file.path for file in LogRules(kept, 3).files()] == ["good"]
