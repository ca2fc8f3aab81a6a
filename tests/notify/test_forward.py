"""Alerts reach the Alertmanagers that prometheus.yml names, as a real Prometheus sends them."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.notify.conftest import run
from tests.notify.peer import Hook, call, program, real
from tests.peers import free_port
from tests.system.programs import Watchkeeper
from tests.waiting import until, wait_until

from watchkeeper.model.alert import Alert
from watchkeeper.model.metrics import REGISTRY
from watchkeeper.net.client import Client
from watchkeeper.notify.alerting_settings import AlertingConfig, ForwardSettings
from watchkeeper.notify.forward import Forwarder

NOW_MS = 1_767_225_600_000
_RULES = """
groups:
- name: one
  rules:
  - {alert: Told, expr: vector(1), labels: {env: own}, annotations: {about: "1 < 2 & so on"}}
  - {alert: Dropped, expr: vector(1), labels: {quiet: "yes"}}
"""
_PROMETHEUS = """
global: {evaluation_interval: 500ms, external_labels: {cluster: here, env: outside}}
rule_files: [rules.yml]
alerting:
  alert_relabel_configs: [{source_labels: [quiet], regex: "yes", action: drop}]
  alertmanagers:
  - path_prefix: /am/
    authorization: {credentials: let-me-in}
    static_configs: [{targets: ['TARGET', 'left.out:1']}]
    relabel_configs: [{source_labels: [__address__], regex: 'left.out:.*', action: drop}]
"""
_DESK = "route: {receiver: none}\nreceivers: [{name: none}]\n"


def alert(**labels: str) -> Alert:
    return Alert(labels, {"z": "<1>", "a": "2"}, NOW_MS - 5000, NOW_MS + 60_000, NOW_MS, "http://x/graph?a=1&b=2")


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"prometheus_notifications_{name}", labels) or 0.0


def config(*sets: dict[str, Any], **more: Any) -> AlertingConfig:
    return AlertingConfig.model_validate({"alertmanagers": sets, **more})


def at(hook: Hook, **more: Any) -> dict[str, Any]:
    return {"static_configs": [{"targets": [hook.url.removeprefix("http://")]}], **more}


async def forwarding(config: AlertingConfig, root: Path | None = None, **settings: Any) -> Forwarder:
    forwarder = Forwarder(ForwardSettings.model_validate(settings), Client("test"))
    await forwarder.apply(config, root)
    await forwarder.start()
    return forwarder


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.close()


def test_requests_are_signed_for_aws_where_that_is_asked_for(hook: Hook) -> None:
    async def go() -> None:
        keys = {"region": "eu-west-1", "access_key": "AK", "secret_key": "SK"}
        forwarder = await forwarding(config(at(hook, sigv4=keys)))
        await forwarder.receive([alert(alertname="A", b="1")])
        await forwarder.stop()
        (got,) = hook.received
        assert re.match(
            r"AWS4-HMAC-SHA256 Credential=AK/\d{8}/eu-west-1/aps/aws4_request, SignedHeaders=content-type;host;",
            got.headers["Authorization"],
        )

    run(go)


def test_an_alert_is_posted_with_prometheus_fields_and_order(hook: Hook) -> None:
    async def go() -> None:
        forwarder = await forwarding(config(at(hook)))
        await forwarder.receive([alert(alertname="A", b="1")])
        await forwarder.stop()  # sends what waits
        (got,) = hook.received
        assert got.path == "/api/v2/alerts"
        assert got.raw == (
            b'[{"annotations":{"a":"2","z":"\\u003c1\\u003e"},"endsAt":"2026-01-01T00:01:00.000Z",'
            b'"startsAt":"2025-12-31T23:59:55.000Z","generatorURL":"http://x/graph?a=1\\u0026b=2",'
            b'"labels":{"alertname":"A","b":"1"}}]'
        )

    run(go)


def test_each_set_relabels_for_itself(hook: Hook) -> None:
    async def go() -> None:
        second = [{"target_label": "second", "replacement": "x"}]
        nothing = [{"action": "drop"}]
        forwarder = await forwarding(
            config(
                at(hook),
                at(hook, path_prefix="two", alert_relabel_configs=second),
                at(hook, path_prefix="none", alert_relabel_configs=nothing),
                alert_relabel_configs=[{"regex": "secret", "action": "labeldrop"}],
            )
        )
        before = counted("dropped_total")
        await forwarder.receive([alert(alertname="A", secret="s")])
        await forwarder.stop()
        bodies = {one.path: [each["labels"] for each in orjson.loads(one.raw)] for one in hook.received}
        assert bodies == {
            "/api/v2/alerts": [{"alertname": "A"}],
            "/two/api/v2/alerts": [{"alertname": "A", "second": "x"}],
        }
        assert counted("dropped_total") == before

    run(go)


def test_a_full_queue_loses_the_oldest_and_batches_are_bounded(hook: Hook) -> None:
    async def go() -> None:
        forwarder = await forwarding(config(at(hook)), notification_queue_capacity=5, notification_batch_size=2)
        before = counted("dropped_total")
        await forwarder.receive([alert(n=str(n)) for n in range(8)])
        await forwarder.stop()
        sizes = [[one["labels"]["n"] for one in orjson.loads(got.raw)] for got in hook.received]
        assert sizes == [["3", "4"], ["5", "6"], ["7"]]
        assert counted("dropped_total") - before == 3

    run(go)


def test_what_no_alertmanager_of_a_set_takes_counts_as_dropped() -> None:
    refusing, fine = Hook(lambda _path, _nth: 500), Hook()

    async def go() -> None:
        dead = {"static_configs": [{"targets": [f"127.0.0.1:{free_port()}"]}]}
        before, url = counted("dropped_total"), f"{refusing.url}/api/v2/alerts"
        for sets, dropped in (((at(fine), at(refusing)), 1), ((at(fine), dead), 1), ((at(fine),), 0)):
            forwarder = await forwarding(config(*sets))
            await forwarder.receive([alert(alertname="A")])
            await forwarder.stop()
            assert counted("dropped_total") - before == dropped
            before = counted("dropped_total")
        assert counted("errors_total", alertmanager=url) == 1
        assert len(fine.received) == 3

    run(go)
    refusing.close()
    fine.close()


def test_without_draining_what_waits_is_dropped_and_counted(hook: Hook) -> None:
    async def go() -> None:
        forwarder = await forwarding(config(at(hook)), drain_notification_queue_on_shutdown=False)
        before = counted("dropped_total")
        await forwarder.receive([alert(alertname="A")])
        await forwarder.stop()
        assert not hook.received
        assert counted("dropped_total") - before == 1

    run(go)


def test_alertmanagers_in_files_come_and_go(hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("watchkeeper.notify.forward._LOOK_AT_FILES_S", 0.01)
    listed = tmp_path / "ams.json"
    listed.write_text("[]")

    async def go() -> None:
        forwarder = await forwarding(config({"file_sd_configs": [{"files": ["ams.json"]}]}), tmp_path)
        assert forwarder.alertmanagers_json()["activeAlertmanagers"] == []
        address = hook.url.removeprefix("http://")
        listed.write_text(orjson.dumps([{"targets": [address], "labels": {"zone": "a"}}]).decode())
        await until(lambda: bool(forwarder.alertmanagers_json()["activeAlertmanagers"]))
        await forwarder.receive([alert(alertname="A")])
        await forwarder.stop()
        assert [one.path for one in hook.received] == ["/api/v2/alerts"]

    run(go)


@pytest.mark.peer
def test_two_real_alertmanagers_are_told_and_one_may_be_down(tmp_path: Path) -> None:
    def known(url: str) -> list[str]:
        return [one["labels"]["alertname"] for one in orjson.loads(call("GET", f"{url}/api/v2/alerts")[1])]

    with real(tmp_path / "one", _DESK) as one, real(tmp_path / "two", _DESK) as two:

        async def go() -> None:
            forwarder = await forwarding(config({"static_configs": [{"targets": [one.address, two.address]}]}))
            before = counted("dropped_total")

            async def tell(name: str) -> None:
                fresh = Alert({"alertname": name}, {}, NOW_MS, 4_102_444_800_000, NOW_MS)
                await forwarder.receive([fresh])

            await tell("A")
            await until(lambda: known(one.url) == known(two.url) == ["A"])
            two.kill()
            await tell("B")
            await until(lambda: sorted(known(one.url)) == ["A", "B"])
            two.start()
            await tell("B")  # as rules do, again and again
            await until(lambda: "B" in known(two.url))
            assert counted("dropped_total") == before
            await forwarder.stop()

        run(go)


@pytest.mark.peer
def test_a_real_prometheus_says_the_same(hook: Hook, tmp_path: Path) -> None:
    text = _PROMETHEUS.replace("TARGET", hook.url.removeprefix("http://"))
    (tmp_path / "prometheus.yml").write_text(text)
    (tmp_path / "rules.yml").write_text(_RULES)
    port = free_port()
    flags = [f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'theirs'}"]
    more = [f"--web.listen-address=127.0.0.1:{port}", "--rules.alert.resend-delay=1s"]
    command = [program("prometheus"), *flags, *more]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as theirs:
        try:
            wait_until("the real Prometheus to send", lambda: bool(hook.received), 30)
            wanted = orjson.loads(call("GET", f"http://127.0.0.1:{port}/api/v1/alertmanagers")[1])
        finally:
            theirs.kill()
    want = hook.received[0]
    hook.received.clear()
    server = Watchkeeper(tmp_path, "--auth", "none", "--config", str(tmp_path))
    try:
        server.start()
        wait_until("ours to send", lambda: bool(hook.received), 30)
        assert server.json("/api/v1/alertmanagers") == wanted
    finally:
        server.kill()
    got = hook.received[0]
    assert got.path == want.path
    for name in ("Authorization", "Content-Type"):
        assert got.headers[name] == want.headers[name]
    (ours,), (others,) = orjson.loads(got.raw), orjson.loads(want.raw)
    assert list(ours) == list(others)
    for field in ("labels", "annotations"):
        assert ours[field] == others[field]
    assert ours["generatorURL"].partition("/graph")[2] == others["generatorURL"].partition("/graph")[2]
