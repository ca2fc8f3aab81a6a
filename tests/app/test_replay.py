"""`watchkeeper replay` over a real data directory."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs
from tests.system.programs import Watchkeeper

from watchkeeper.app.cli import cli
from watchkeeper.model.clock import SystemClock
from watchkeeper.model.frame import FrameSlice
from watchkeeper.model.labels import LabelTable
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

MINUTE_MS = 60_000
RULES = """groups:
- name: g
  rules:
  - {record: 'host:load', expr: 'max by (host) (load)'}
  - {alert: Busy, expr: 'host:load > 5', for: 2m, labels: {severity: mail}, annotations: {summary: "{{ $value }}"}}
  - {alert: Dead, expr: 'host:load > 8', labels: {severity: page}}
"""
ROUTES = """
route: {receiver: team, group_by: [alertname], routes: [{matchers: [severity="page"], receiver: pager}]}
inhibit_rules: [{source_matchers: [severity="page"], target_matchers: [severity="mail"], equal: [host]}]
receivers: [{name: team, webhook_configs: [{url: 'http://h/'}]}, {name: pager, webhook_configs: [{url: 'http://h/'}]}]
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a directory with six hours of load: host a is busy in the second hour and dead in the fourth, b never."""
    monkeypatch.setattr("watchkeeper.app.commands.replay.open_journal", lambda _level: None)  # it is for a process
    now_ms = SystemClock().now_ms() // MINUTE_MS * MINUTE_MS
    times = now_ms - 6 * 60 * MINUTE_MS + np.arange(360, dtype=np.int64) * MINUTE_MS
    values = np.ones((2, 360))
    values[0, 60:120], values[0, 180:240] = 6, 9

    async def fill() -> None:
        store = MetricDb(RealFiles(tmp_path / "data"), MetricSettings(), SystemClock())
        await store.start()
        labels = LabelTable.from_labels([{"__name__": "load", "host": host} for host in "ab"], store.symbols)
        await store.write_block([("t", FrameSlice(labels, times, values, gaps=False))])
        await store.stop()

    asyncio.run(fill())
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "routes.yml").write_text(ROUTES)
    return tmp_path


def replay(data: Path, *more: object) -> str:
    words = ["replay", "--data", data / "data", "--from", "359m", "--rules", data / "rules.yml", *more]
    with capture_logs():
        done = CliRunner().invoke(cli, [*map(str, words), "--config", str(data / "routes.yml")], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_it_tells_who_would_have_been_paged_and_why_nobody_was(data: Path) -> None:
    told: dict[str, Any] = orjson.loads(replay(data, "--json"))["replays"][0]
    assert [(one["receiver"], one["reason"]) for one in told["notifications"]] == [
        ("team", "first notification"),
        ("team", "all alerts resolved"),
        ("pager", "first notification"),
        ("pager", "all alerts resolved"),
    ]
    assert told["notifications"][0]["firing"] == [{"alertname": "Busy", "host": "a", "severity": "mail"}]
    assert [(one["labels"]["alertname"], one["why"]) for one in told["quiet"]] == [("Busy", "inhibited by Dead")]
    assert [one["annotations"] for one in told["firings"]] == [{"summary": "6"}, {}, {"summary": "9"}]
    text = replay(data)
    assert "pager webhook[0]" in text
    assert "inhibited by Dead" in text
    assert "3 rules, 3 firings, 4 notifications (pager 2, team 2), 1 quiet" in text


def test_two_configurations_differ_in_what_only_one_would_have_sent(data: Path) -> None:
    (data / "new.yml").write_text(ROUTES.replace("inhibit_rules", "templates: []\n#"))
    (data / "new-rules.yml").write_text(RULES.replace("> 8", "> 10"))
    shown: dict[str, Any] = orjson.loads(replay(data, "--against", data / "new.yml", "--json"))
    assert shown["onlyFirst"] == []
    assert [one["firing"][0]["alertname"] for one in shown["onlySecond"] if one["firing"]] == ["Busy"]
    text = replay(data, "--against-rules", data / "new-rules.yml")
    assert "- 2" in text
    assert "Dead" in text


def test_what_cannot_be_replayed_is_said(data: Path) -> None:
    with pytest.raises(Exception, match="want a data directory or a snapshot of one"):
        replay(data, "--data", data)
    with pytest.raises(Exception, match="cannot read time: got 'yesterday'"):
        replay(data, "--from", "yesterday")


@pytest.mark.system
def test_a_running_server_says_the_same(data: Path) -> None:
    words = ("--config", data / "routes.yml", "--against", data / "routes.yml", "--against-rules", data / "other.yml")
    (data / "other.yml").write_text(RULES.replace("host:load > 8", "host:load > 5"))
    here = orjson.loads(replay(data, *words, "--json"))
    server = Watchkeeper(data, "--auth", "none")
    server.start()
    try:
        there = orjson.loads(replay(data, *words, "--json", "--on-server", "--url", server.url))
        shown = replay(data, "--on-server", "--url", server.url, "--config", data / "routes.yml")
        media = {"content-type": "application/json"}
        bodies = (b'{"rules": "groups: [{x: 1}]"}', b'{"from": "0s", "to": "1h"}', b"")
        answers = [server.ask("/api/replay", method="POST", body=body, headers=media) for body in bodies]
    finally:
        server.kill()
    for name in ("onlyFirst", "onlySecond"):
        assert there[name] == here[name]
    assert [one["notifications"] for one in there["replays"]] == [one["notifications"] for one in here["replays"]]
    assert here["onlySecond"]
    assert "Nobody was told of:" in shown
    assert [status for status, _ in answers] == [400, 400, 400]
    assert b"body.rules[0]:1: groups[0].x" in answers[0][1]
    assert b"want one that is" in answers[1][1]
