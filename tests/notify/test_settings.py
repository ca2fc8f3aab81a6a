import subprocess
from pathlib import Path

import pytest
from tests.notify.peer import program

from watchkeeper.model.errors import BadInput
from watchkeeper.notify.render import shown_config
from watchkeeper.notify.settings import DEFAULT_CONFIG, load_config, read_config

PARTS = Path(__file__).with_name("verdicts.txt").read_text().split("### ")[1:]
CASES = dict(part.split("\n", 1) for part in PARTS)
GOOD = "route: {receiver: a}\nreceivers: [{name: a}]\n"


@pytest.mark.peer
@pytest.mark.parametrize("name", CASES)
def test_files_get_the_verdict_of_amtool(name: str, tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(CASES[name])
    done = subprocess.run([program("amtool"), "check-config", str(file)], capture_output=True, text=True, timeout=30)
    try:
        load_config(file)
        verdict = "good"
    except BadInput as error:
        verdict = str(error)
    assert (verdict == "good") == (done.returncode == 0), (verdict, done.stdout + done.stderr)


@pytest.mark.parametrize("kind", ["slack", "email", "pagerduty", "opsgenie", "telegram", "msteamsv2", "jira"])
def test_a_receiver_that_is_not_built_yet_is_refused_by_name(kind: str) -> None:
    text = f"route: {{receiver: a}}\nreceivers:\n- name: a\n  {kind}_configs:\n  - channel: x\n"
    with pytest.raises(BadInput) as caught:
        read_config(text, "alertmanager.yml")
    assert f"alertmanager.yml:4: receivers[0].{kind}_configs: got" in str(caught.value)
    assert "does not support this field yet" in str(caught.value)


def test_every_fault_is_named_with_its_line() -> None:
    text = (
        "route:\n  receiver: b\n  routes:\n  - receiver: c\n    group_interval: 1s\nreceivers: [{name: a}, {name: a}]"
    )
    with pytest.raises(BadInput) as caught:
        read_config(text, "am.yml")
    lines = str(caught.value).split("\n")
    assert [line.split(": got")[0] for line in lines] == [
        "am.yml:6: receivers[1].name",
        "am.yml:2: route.receiver",
        "am.yml:4: route.routes[0].receiver",
    ]


def test_secrets_are_never_shown() -> None:
    canary = "canary-4711"
    text = f"""
global: {{smtp_auth_password: {canary}, slack_api_url: 'http://{canary}/', opsgenie_api_key: {canary}}}
route: {{receiver: a}}
receivers:
- name: a
  webhook_configs:
  - url: http://user:{canary}@host/{canary}
    http_config:
      basic_auth: {{username: u, password: {canary}}}
      tls_config: {{cert: c, key: {canary}}}
      http_headers: {{X-Key: {{secrets: [{canary}]}}}}
  - {{url: 'http://host/', http_config: {{authorization: {{credentials: {canary}}}}}}}
  - {{url: 'http://host/', http_config: {{bearer_token: {canary}}}}}
"""
    config = read_config(text, "am.yml")
    assert canary not in shown_config(config) + repr(config) + str(config)


def test_what_is_shown_can_be_read_again() -> None:
    text = GOOD + 'inhibit_rules: [{source_matchers: [\'"a b"=~"c"\'], equal: [x]}]\ntemplates: [a.tmpl]\n'
    once = shown_config(read_config(text, "am.yml"))
    assert shown_config(read_config(once, "am.yml")) == once


def test_file_names_count_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "am.yml"
    auth = "http_config: {basic_auth: {username: u, password_file: secret}}"
    file.write_text(f"route: {{receiver: a}}\nreceivers: [{{name: a, webhook_configs: [{{url_file: /u, {auth}}}]}}]\n")
    webhook = load_config(file).receivers[0].webhook_configs[0]
    assert webhook.url_file == "/u"
    assert webhook.http_config is not None and webhook.http_config.basic_auth is not None
    assert webhook.http_config.basic_auth.password_file == str(tmp_path / "secret")


def test_without_a_file_all_goes_to_the_inbox() -> None:
    assert DEFAULT_CONFIG.route is not None
    assert DEFAULT_CONFIG.route.receiver == "inbox"
    assert DEFAULT_CONFIG.receivers[0].inbox_configs


def test_webhooks_take_over_the_global_http_settings() -> None:
    text = """
global: {http_config: {bearer_token: t}}
route: {receiver: a}
receivers:
- name: a
  webhook_configs: [{url: 'http://a/'}, {url: 'http://b/', http_config: {basic_auth: {username: u}}}]
"""
    first, second = read_config(text, "am.yml").receivers[0].webhook_configs
    assert first.http_config is not None and first.http_config.bearer_token is not None
    assert second.http_config is not None and second.http_config.bearer_token is None
