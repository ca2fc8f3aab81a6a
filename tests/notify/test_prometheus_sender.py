"""A real Prometheus hands its alerts to the desk, and the webhook gets them."""

import subprocess
from pathlib import Path

import pytest
from tests.notify.peer import Hook, call, ours, program
from tests.peers import free_port
from tests.waiting import wait_until

DESK = """
route: {receiver: web, group_by: [alertname], group_wait: 200ms, group_interval: 1s}
receivers: [{name: web, webhook_configs: [{url: 'HOOK/x'}]}]
"""
PROMETHEUS = """
global: {evaluation_interval: 500ms, external_labels: {cluster: here}}
rule_files: [rules.yml]
alerting:
  alertmanagers:
  - path_prefix: /alertmanager
    static_configs: [{targets: ['TARGET']}]
"""
RULES = """
groups:
- name: one
  rules:
  - alert: Always
    expr: vector(FIRES) > 0
    labels: {severity: info}
    annotations: {summary: 'value {{ $value }}'}
"""


@pytest.mark.peer
def test_alerts_of_a_real_prometheus_arrive_and_resolve(tmp_path: Path) -> None:
    binary, hook = program("prometheus"), Hook()
    with ours(tmp_path / "desk", DESK.replace("HOOK", hook.url)) as desk:
        (tmp_path / "prometheus.yml").write_text(PROMETHEUS.replace("TARGET", desk.address))
        (tmp_path / "rules.yml").write_text(RULES.replace("FIRES", "1"))
        address = f"127.0.0.1:{free_port()}"
        files = [f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}"]
        flags = [*files, f"--web.listen-address={address}", "--web.enable-lifecycle", "--rules.alert.resend-delay=1s"]
        with (tmp_path / "log").open("wb") as log, subprocess.Popen([binary, *flags], stdout=log, stderr=log) as sender:
            try:
                wait_until("the alert to be told", lambda: hook.received, 30)
                message = hook.received[0].body
                assert message["commonLabels"] == {"alertname": "Always", "cluster": "here", "severity": "info"}
                assert message["commonAnnotations"] == {"summary": "value 1"}
                assert "/graph?g0.expr=" in message["alerts"][0]["generatorURL"]
                (tmp_path / "rules.yml").write_text(RULES.replace("FIRES", "0"))
                assert call("POST", f"http://{address}/-/reload", b"")[0] == 200
                wait_until("its end to be told", lambda: hook.received[-1].body["status"] == "resolved", 30)
            finally:
                sender.kill()
    hook.close()
