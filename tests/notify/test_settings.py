import subprocess
from pathlib import Path

import pytest
from tests.notify.peer import program

from watchkeeper.model.errors import BadInput
from watchkeeper.model.metrics import REGISTRY
from watchkeeper.notify.config_metrics import note_config
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


_FIELDS = Path(__file__).with_name("verdicts_of_fields.txt").read_text().split("\n## ")[1:]
OF_FIELDS = [(part.split("\n", 1)[0], line) for part in _FIELDS for line in part.strip().split("\n")[1:]]
_AROUND = {
    "global": "global: LINE\n" + GOOD,
    "route": "route: {receiver: a, LINE}\nreceivers: [{name: a}]\n"
    "time_intervals: [{name: t, time_intervals: [{weekdays: [monday]}]}]\n",
    "inhibit_rules": GOOD + "inhibit_rules: [LINE]\n",
    "time_intervals": GOOD + "time_intervals: [LINE]\n",
}
# Where we know better, or less: a duration without a unit is not five nanoseconds, half an alert is none; and we do
# not tell the number 5 from the text '5'.
OTHERWISE = {
    "{url: 'http://x/', timeout: 5}",
    "{url: 'http://x/', timeout: -5s}",
    "{url: 'http://x/', max_alerts: 1.5}",
    "{url: 'http://x/', max_alerts: '1'}",
    "{url: 'http://x/', http_config: {proxy_url: 'x'}}",
    "{http_config: {proxy_url: x}}",
    "{api_url: 'http://s/', link_names: 1}",
    "{bot_token: a, chat_id: '5'}",
    "routes: [{matchers: a=b}]",  # one needs no list
    "null",
    "{name: a, time_intervals: [null]}",
}


def _file_with(field: str, line: str) -> str:
    of_receiver = f"route: {{receiver: a}}\nreceivers:\n- name: a\n  {field}: [LINE]\n"
    return _AROUND.get(field, of_receiver).replace("LINE", line)


@pytest.mark.peer
def test_fields_get_the_verdict_of_amtool(tmp_path: Path) -> None:
    files = []
    for at, (field, line) in enumerate(OF_FIELDS):
        files.append(tmp_path / f"{at:03}.yml")
        files[-1].write_text(_file_with(field, line))
    words = [program("amtool"), "check-config", *map(str, files)]
    told = subprocess.run(words, capture_output=True, text=True, timeout=60).stdout
    good = {part.split("'", 1)[0] for part in told.split("Checking '")[1:] if "  SUCCESS\n" in part}
    apart = []
    for file, (field, line) in zip(files, OF_FIELDS, strict=True):
        try:
            load_config(file)
            fault = ""
        except BadInput as error:
            fault = str(error)
        if (fault == "") != (str(file) in good) and line not in OTHERWISE:
            apart.append((field, line, fault))
    assert apart == []
    assert len(OF_FIELDS) > 300


RECEIVERS_THAT_LACK_SOMETHING = {
    "discord": ["title: a", "webhook_url: 'http://a/', webhook_url_file: b"],
    "email": ["to: a@b.c", "smarthost: 'a:1'"],
    "incidentio": ["max_alerts: 1"],
    "jira": ["project: P", "api_url: 'http://a/'", "api_url: 'http://a/', project: P"],
    "mattermost": ["channel: a"],
    "msteams": ["title: a"],
    "msteamsv2": ["title: a"],
    "opsgenie": ["message: a", "api_key: a, responders: [{name: a}]", "api_key: a, responders: [{type: team}]"],
    "pagerduty": ["url: 'http://x/'"],
    "pushover": ["token: a", "user_key: a"],
    "rocketchat": ["channel: a", "token_id: a"],
    "slack": [
        "channel: x",
        "api_url: 'http://a/', api_url_file: f",
        "api_url: 'http://a/', app_token: f",
        "api_url: 'http://a/', actions: [{type: button}]",
        "api_url: 'http://a/', actions: [{text: a}]",
        "api_url: 'http://a/', actions: [{type: button, text: a}]",
        "api_url: 'http://a/', fields: [{title: a}]",
        "api_url: 'http://a/', fields: [{value: a}]",
    ],
    "sns": ["sigv4: {region: a}"],
    "telegram": ["chat_id: 1", "bot_token: a", "bot_token: a, chat_id: 1, parse_mode: x"],
    "victorops": ["api_key: a", "routing_key: a"],
    "webex": ["room_id: a", "http_config: {authorization: {credentials: c}}"],
    "webhook": ["max_alerts: 1"],
    "wechat": ["corp_id: a", "api_secret: a", "api_secret: a, corp_id: b, message_type: c"],
}


@pytest.mark.peer
@pytest.mark.parametrize(
    ("kind", "fields"), [(kind, one) for kind, several in RECEIVERS_THAT_LACK_SOMETHING.items() for one in several]
)
def test_what_a_receiver_lacks_is_said_in_alertmanagers_words(tmp_path: Path, kind: str, fields: str) -> None:
    text = f"route: {{receiver: a}}\nreceivers:\n- name: a\n  {kind}_configs: [{{{fields}}}]\n"
    (tmp_path / "a.yml").write_text(text)
    done = subprocess.run(
        [program("amtool"), "check-config", str(tmp_path / "a.yml")], capture_output=True, text=True, check=False
    )
    theirs = done.stdout.partition("FAILED: ")[2].split("\n", 1)[0]
    assert theirs
    with pytest.raises(BadInput) as caught:
        read_config(text, "alertmanager.yml")
    assert theirs in str(caught.value)


def test_receivers_take_from_global_what_they_leave_empty() -> None:
    text = """
global: {slack_api_url: 'http://slack/', smtp_smarthost: 'mail:25', smtp_from: me@x, http_config: {enable_http2: false}}
route: {receiver: a}
receivers:
- name: a
  slack_configs: [{channel: c}, {app_token: t}]
  email_configs: [{to: you@x, from: other@x}]
"""
    (receiver,) = read_config(text, "alertmanager.yml").receivers
    webhook, app = receiver.slack_configs
    assert webhook.api_url is not None and webhook.api_url.get_secret_value() == "http://slack/"
    assert webhook.http_config is not None and not webhook.http_config.enable_http2
    assert app.api_url is None
    (mail,) = receiver.email_configs
    assert (mail.smarthost, mail.from_, mail.hello, mail.require_tls) == ("mail:25", "other@x", "localhost", True)


def test_a_template_that_cannot_be_parsed_is_a_fault_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "bad.tmpl").write_text('{{ define "a" }}{{ .X ')
    (tmp_path / "alertmanager.yml").write_text("templates: ['*.tmpl']\nroute: {receiver: a}\nreceivers: [{name: a}]\n")
    with pytest.raises(BadInput, match=r"alertmanager.yml:1: templates: got template: bad.tmpl:1: unclosed"):
        load_config(tmp_path / "alertmanager.yml")


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


def test_metrics_tell_of_the_configuration_as_alertmanagers_do() -> None:
    config = read_config(GOOD, "alertmanager.yml")
    note_config(config)
    before = REGISTRY.get_sample_value("alertmanager_config_hash")
    assert REGISTRY.get_sample_value("alertmanager_receivers") == 1
    assert REGISTRY.get_sample_value("alertmanager_integrations") == 0
    note_config(DEFAULT_CONFIG)
    assert REGISTRY.get_sample_value("alertmanager_integrations") == 1
    assert REGISTRY.get_sample_value("alertmanager_config_hash") != before
