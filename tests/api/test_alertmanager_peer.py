"""API v2 gives what Alertmanager 0.33 gives, and amtool cannot tell the two apart."""

import re
import subprocess
from collections.abc import Iterator
from functools import partial
from typing import Any

import orjson
import pytest
from tests.notify.peer import Hook, Server, call, ours, program, real
from tests.waiting import wait_until

pytestmark = pytest.mark.peer

CONFIG = """
route:
  receiver: default
  group_by: [alertname]
  group_wait: 100ms
  group_interval: 500ms
  routes:
  - {matchers: ['sev="x"', 'b=~"1|2"'], receiver: web, continue: true, group_by: ['...'], mute_time_intervals: [always]}
  - {match: {q: w}, match_re: {z: a.*}, receiver: web}
inhibit_rules:
- {source_matchers: [a="1"], target_matchers: [b="1"], equal: [c]}
time_intervals:
- name: always
  time_intervals: [{times: [{start_time: "00:00", end_time: "24:00"}], weekdays: ["sunday:saturday"]}]
- name: never
  time_intervals:
  - {months: ["january:march", "5"], days_of_month: ["1:5", "-3:-1"], years: ["2001"], location: Europe/Berlin}
receivers:
- name: default
- name: web
  webhook_configs:
  - url: HOOK/secret-path
    http_config:
      basic_auth: {username: a, password: secret-word}
      follow_redirects: true
    max_alerts: 3
  - {url_file: /nowhere/url, send_resolved: false, timeout: 3s}
- name: every
  discord_configs: [{webhook_url: 'http://127.0.0.1:1/d'}]
  email_configs: [{to: x@y.z, from: a@b.c, smarthost: 'h:25', auth_password: secret-word, headers: {subject: s}}]
  incidentio_configs: [{url: 'http://127.0.0.1:1/i', alert_source_token: secret-word}]
  pagerduty_configs: [{routing_key: secret-word}, {service_key: secret-word, details: {a: b}, links: [{href: h}]}]
  slack_configs:
  - {api_url: 'http://a:1/s', channel: '#c', fields: [{title: a, value: b}], actions: [{type: a, text: b, url: c}]}
  opsgenie_configs: [{api_key: secret-word, api_url: 'http://127.0.0.1:1/', responders: [{name: a, type: team}]}]
  wechat_configs: [{api_secret: secret-word, corp_id: c}]
  pushover_configs: [{user_key: secret-word, token: secret-word, retry: 90s, ttl: 1h}]
  victorops_configs: [{api_key: secret-word, routing_key: r}]
  sns_configs: [{topic_arn: 'arn:aws:sns:us-east-2:1:t', sigv4: {region: b, access_key: a, secret_key: secret-word}}]
  telegram_configs: [{bot_token: secret-word, chat_id: 1}]
  webex_configs: [{room_id: r, http_config: {authorization: {credentials: secret-word}}}]
  msteams_configs: [{webhook_url: 'http://127.0.0.1:1/m'}]
  msteamsv2_configs: [{webhook_url: 'http://127.0.0.1:1/m'}]
  jira_configs: [{api_url: 'http://127.0.0.1:1/j', project: P, issue_type: Bug, reopen_duration: 1h}]
  rocketchat_configs: [{token_id: secret-word, token: secret-word, channel: '#c'}]
  mattermost_configs: [{webhook_url: 'http://127.0.0.1:1/mm'}]
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    folder, hook = tmp_path_factory.mktemp("api"), Hook()
    config = CONFIG.replace("HOOK", hook.url)
    with real(folder / "real", config) as theirs, ours(folder / "ours", config) as mine:
        yield theirs, mine
    hook.close()


BY = '"createdBy":"me","comment":"c"'
NOBODY = '"createdBy":"","comment":""'
SPAN = '"startsAt":"2026-11-22T00:00:00Z","endsAt":"2096-01-01T00:00:00Z","createdBy":"me","comment":"c"'
MATCHER = '"matchers":[{"name":"a","value":"b","isRegex":false}]'
POSTS = [
    ("/alerts", '[{"labels":{"alertname":"A","e":"","sev":"x","b":"1"},"annotations":{"s":"<é>"}},{"labels":{}}]'),
    ("/alerts", '[{"labels":{"alertname":"A","sev":"x","b":"1"},"generatorURL":"http://x/?a&b"}]'),
    ("/alerts", '[{"labels":{"alertname":"B","1-bad":"x"}},{"labels":{"e":""}},{"labels":{}},{"labels":{"":"x"}}]'),
    ("/alerts", '[{"labels":{"a":"2"},"extra":1,"annotations":{"1-x":"v"}}]'),
    ("/alerts", '[{"labels":{"a":"1","c":"z"},"startsAt":"2026-11-22T00:00:00.12Z","endsAt":"2096-11-22T00:00:00Z"}]'),
    ("/alerts", '[{"labels":{"b":"1","c":"z"}},{"labels":{"q":"w","z":"ab"}}]'),
    ("/alerts", "null"),
    ("/alerts", "[]"),
    ("/alerts", "{}"),
    ("/alerts", '"x"'),
    ("/alerts", '[{"annotations":{}}]'),
    ("/alerts", '[{"labels":{"a":1}}]'),
    ("/alerts", "["),
    ("/alerts", ""),
    ("/alerts", '[{"labels":{"a":"1"},"startsAt":"x"}]'),
    ("/alerts", '[{"labels":{"a":"1"},"generatorURL":"::: "}]'),
    ("/alerts", '[{"labels":{"a":"1"},"generatorURL":"relative"}]'),
    ("/alerts", '[{"labels":{"a":"1"},"startsAt":"2026-11-22T03:02:03Z","endsAt":"2026-11-22T01:02:03Z"}]'),
    ("/silences", "{" + MATCHER + "," + SPAN + "}"),
    ("/silences", '{"matchers":[],' + SPAN + "}"),
    ("/silences", "{" + SPAN + "}"),
    ("/silences", '{"matchers":[{"name":"a","value":"","isRegex":false}],' + SPAN + "}"),
    ("/silences", '{"matchers":[{"name":"a","value":".*","isRegex":true}],' + SPAN + "}"),
    ("/silences", '{"matchers":[{"name":"a","value":"x","isRegex":false,"isEqual":false}],' + SPAN + "}"),
    ("/silences", '{"matchers":[{"name":"a","value":"(","isRegex":true}],' + SPAN + "}"),
    ("/silences", '{"matchers":[{"name":"a","value":"x"}],' + SPAN + "}"),
    ("/silences", '{"matchers":[{"name":"","value":"x","isRegex":false}],' + SPAN + "}"),
    ("/silences", '{"id":"zzz",' + MATCHER + "," + SPAN + "}"),
    ("/silences", '{"id":"5f8b1e2e-0000-4000-8000-000000000000",' + MATCHER + "," + SPAN + "}"),
    ("/silences", "{" + MATCHER + ',"startsAt":"2026-11-22T00:00:00Z","endsAt":"2020-01-01T00:00:00Z",' + BY + "}"),
    ("/silences", "{" + MATCHER + ',"startsAt":"2016-11-22T00:00:00Z","endsAt":"2020-01-01T00:00:00Z",' + BY + "}"),
    ("/silences", "{" + MATCHER + ',"startsAt":"2026-11-22T00:00:00Z","endsAt":"2096-01-01T00:00:00Z","createdBy":""}'),
    ("/silences", "{" + MATCHER + ',"startsAt":"2095-11-22T00:00:00Z","endsAt":"2096-01-01T00:00:00Z",' + NOBODY + "}"),
    ("/silences", '{"matchers":[{"name":"c","value":"z","isRegex":false}],"annotations":{"x":"y"},' + SPAN + "}"),
    ("/silences", "{}"),
    ("/silences", "null"),
    ("/silences", "x"),
]  # fmt: skip
GETS = [
    "/alerts",
    "/alerts/groups",
    "/receivers",
    "/silences",
    "/silences?filter=a=b",
    "/silences?filter=a%3D~%22b",
    "/alerts/groups?muted=false",
    "/alerts/groups?receiver=web",
    *(
        f"/alerts?{query}"
        for query in (
            "active=maybe",
            "active=",
            "active=false",
            "silenced=false",
            "inhibited=false",
            "inhibited=false&silenced=false&active=false",
            "filter=",
            "filter=a",
            "filter=a=~%22(%22",
            "filter=a=~%22[%22",
            "filter=a=~%22*%22",
            "receiver=(",
            "receiver=we.*",
            "receiver=we",
            "receiver=",
            "filter=%7Ba%3D1%7D",
            "filter=a=1,b=2",
            "filter=a=",
            "filter=a!=",
            "filter=%22a%20b%22=c",
            "filter=a=~.%2B&filter=c%21=z",
            "filter=alertname=A&receiver=we.*",
        )
    ),
    *(
        f"/silences?{query}"
        for query in (
            "filter=a%21%3D~%22x%22",
            "filter=a%21%3D%22b%22",
            "filter=c%3Dz&filter=a%3Db",
            "filter=",
            "filter=%7B",
            "filter=%7Ba%3Db%7D",
            "nothing=1",
        )
    ),
    *(
        f"/alerts/groups?{query}"
        for query in (
            "active=false",
            "silenced=false",
            "inhibited=false",
            "muted=maybe",
            "receiver=(",
            "receiver=w.*&filter=sev=x",
            "filter=a",
            "filter=alertname=A",
            "filter=nothing=x",
        )
    ),
    "/receivers?x=1",
    "/nothing",
    "/silence",
    "/silence/",
    "/silence/abc",
    "/silence/5f8b1e2e-0000-4000-8000-000000000000",
]


@pytest.fixture(scope="module")
def posted(pair: tuple[Server, Server]) -> list[tuple[str, str, Any, Any]]:
    answers = []
    for path, body in POSTS:
        theirs, mine = (plain(call("POST", f"{one.url}/api/v2{path}", body.encode())) for one in pair)
        answers.append((path, body, mine, theirs))
    for server in pair:
        wait_until("the muted group's first flush: from then on it is known to be muted", partial(_knows_muted, server))
    return answers


def _knows_muted(server: Server) -> bool:
    every, heard = (call("GET", f"{server.url}/api/v2/alerts/groups{query}") for query in ("", "?muted=false"))
    return len(orjson.loads(heard[1])) < len(orjson.loads(every[1]))


def plain(answer: tuple[int, bytes]) -> tuple[int, Any]:
    """Read an answer, without what differs from run to run: random ids and the moment of the call."""
    status, body = answer
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "UUID", body.decode())
    text = re.sub(r"\[([A-Z]+),([A-Z]+)\] are", lambda found: f"{sorted(found.groups())}", text)
    text = re.sub(r'"20(?!9\d)\d\d-\d\d-\d\dT[0-9:.]+Z"', '"T"', text)
    content = orjson.loads(text) if text.strip() else text
    if isinstance(content, list) and content and "id" in content[0]:
        content.sort(key=orjson.dumps)  # silences that end together come in any order
    return status, content


def test_answers_posts_as_alertmanager_does(posted: list[tuple[str, str, Any, Any]]) -> None:
    for path, body, mine, theirs in posted:
        assert mine == theirs, (path, body)


@pytest.mark.usefixtures("posted")
@pytest.mark.parametrize("path", GETS)
def test_answers_gets_as_alertmanager_does(path: str, pair: tuple[Server, Server]) -> None:
    theirs, mine = (plain(call("GET", f"{one.url}/api/v2{path}")) for one in pair)
    assert mine == theirs
    assert plain(call("GET", f"{pair[1].url}/alertmanager/api/v2{path}")) == mine  # the same under its own prefix


METHODS = [
    (method, path)
    for method, paths in (
        ("DELETE", ("/alerts", "/silences", "/receivers", "/status", "/silence/abc")),
        ("DELETE", ("/silence/5f8b1e2e-0000-4000-8000-000000000000",)),
        ("PUT", ("/alerts", "/silences", "/silence/abc")),
        ("POST", ("/status", "/receivers", "/alerts/groups", "/silence/abc")),
        ("PATCH", ("/alerts",)),
    )
    for path in paths
]


@pytest.mark.parametrize(("method", "path"), METHODS)
def test_answers_other_methods_as_alertmanager_does(method: str, path: str, pair: tuple[Server, Server]) -> None:
    body = b"{}" if method != "DELETE" else None
    theirs, mine = (plain(call(method, f"{one.url}/api/v2{path}", body)) for one in pair)
    assert mine == theirs


def test_a_silence_can_be_expired_once(pair: tuple[Server, Server]) -> None:
    answers: list[list[Any]] = []
    for server in pair:
        body = ("{" + MATCHER.replace('"b"', '"once"') + "," + SPAN + "}").encode()
        number = orjson.loads(call("POST", f"{server.url}/api/v2/silences", body)[1])["silenceID"]
        path = f"{server.url}/api/v2/silence/{number}"
        answers.append([plain(call(method, path)) for method in ("GET", "DELETE", "GET", "DELETE")])
    assert answers[0] == answers[1]


def test_wants_json(pair: tuple[Server, Server]) -> None:
    theirs, mine = (plain(call("POST", f"{one.url}/api/v2/alerts", b"[]", "text/plain")) for one in pair)
    assert mine == theirs
    assert mine[0] == 415


def test_shows_its_configuration_as_alertmanager_does(pair: tuple[Server, Server]) -> None:
    import yaml

    texts = [orjson.loads(call("GET", f"{one.url}/api/v2/status")[1])["config"]["original"] for one in pair]
    theirs, mine = (yaml.load(text, yaml.BaseLoader) for text in texts)  # noqa: TID251 - our own text
    assert mine == theirs
    assert "secret-word" not in texts[1] and "secret-path" not in texts[1]


def amtool(server: Server, *words: str, stdin: str = "") -> str:
    done = subprocess.run(
        [program("amtool"), f"--alertmanager.url={server.url}", *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
    )
    text = f"{done.returncode}\n{done.stdout}{done.stderr}".replace(server.url, "URL")
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "UUID", text)
    text = re.sub(r"\d{4}-\d\d-\d\d(T| )\d\d:\d\d:\d\d(\.\d+)?( UTC|Z)?", "T", text)
    return "\n".join(sorted(" ".join(line.split()) for line in text.splitlines()))


AMTOOL = [
    ["alert", "add", "alertname=FromTool", "node=a", "--annotation=summary=hi", "--generator-url=http://g/"],
    ["alert", "add", "alertname=FromTool", "node=b"],
    ["alert", "query", "alertname=FromTool"],
    ["alert", "query", "-o", "extended", "alertname=~From.*", "node!=b"],
    ["alert", "query", "--silenced", "alertname=FromTool"],
    ["alert", "query", "--receiver=web"],
    ["silence", "add", "-a", "me", "-c", "why", "-d", "1h", "alertname=FromTool", "node=a"],
    ["silence", "add", "-a", "me", "-c", "why", "-d", "1h", "alertname=~.*"],
    ["silence", "add", "-a", "me", "-d", "1h", "alertname=Unsilenced"],
    ["alert", "query", "--silenced", "alertname=FromTool"],
    ["alert", "query", "--active", "alertname=FromTool"],
    ["silence", "query"],
    ["silence", "query", "-o", "extended", "alertname=FromTool"],
    ["silence", "query", "--created-by=me", "-q"],
    ["silence", "query", "--expired"],
    ["config", "routes"],
    ["config", "routes", "test", "sev=x", "b=1"],
    ["config", "routes", "show"],
    ["cluster", "show"],
    ["alert"],
    ["alert", "nothing=here"],
    ["alert", "query", "-o", "json", "alertname=Absent"],
    ["alert", "query", "--inhibited"],
    ["alert", "query", "--unprocessed"],
    ["alert", "query", "--active", "--silenced", "--inhibited", "alertname=~.+"],
    ["alert", "query", "=bad"],
    ["alert", "query", "a=~("],
    ["alert", "query", "--receiver=("],
    ["alert", "add"],
    ["alert", "add", "Bare", "x=1", "--start=2026-11-22T00:00:00Z", "--end=2096-01-01T00:00:00Z"],
    ["alert", "add", "Bare", "--start=yesterday"],
    ["alert", "add", "Bare", "x"],
    ["alert", "add", "Bare", "größe=é"],
    ["alert", "query", "-o", "extended", "alertname=Bare"],
    ["silence", "add", "-a", "me", "-c", "c", "--start=2095-01-01T00:00:00Z", "--end=2095-02-01T00:00:00Z", "z=9"],
    ["silence", "add", "-a", "me", "-c", "c", "--start=2095-01-01T00:00:00Z", "--end=2094-02-01T00:00:00Z", "z=9"],
    ["silence", "add", "-a", "me", "-c", "c", "-d", "1h", "z=~("],
    ["silence", "add", "-a", "me", "-c", "c", "-d", "1h", "z="],
    ["silence", "add", "-a", "me", "-c", "c", "-d", "1h", "z!=1", "y!~2.*"],
    ["silence", "add", "-a", "me", "-c", "c", "-d", "soon", "z=9"],
    ["silence", "add", "-a", "me", "-d", "1h", "--require-comment", "z=9"],
    ["silence", "add"],
    ["silence"],
    ["silence", "query", "--within=2h"],
    ["silence", "query", "z=9"],
    ["silence", "query", "--expired", "--within=1h"],
    ["silence", "query", "-o", "extended", "y=2"],
    ["silence", "query", "--created-by=nobody"],
    ["silence", "query", "-o", "json", "--id=5f8b1e2e-0000-4000-8000-000000000000"],
    ["silence", "expire", "5f8b1e2e-0000-4000-8000-000000000000"],
    ["silence", "expire", "zzz"],
    ["silence", "expire"],
    ["silence", "update", "-d", "2h", "5f8b1e2e-0000-4000-8000-000000000000"],
    ["silence", "update", "-d", "2h", "zzz"],
    ["silence", "update"],
    ["config", "routes", "test", "--tree", "sev=x", "b=1"],
    ["config", "routes", "test", "--verify.receivers=web,default", "sev=x", "b=1"],
    ["config", "routes", "test", "--verify.receivers=web", "sev=x", "b=1"],
    ["config", "routes", "test"],
    ["config", "routes", "test", "q=w", "z=abc"],
    ["cluster", "show", "-o", "json"],
]


def test_amtool_cannot_tell_them_apart(pair: tuple[Server, Server]) -> None:
    for words in AMTOOL:
        theirs, mine = (amtool(one, *words) for one in pair)
        assert mine == theirs, words


def test_amtool_updates_expires_and_imports_silences(pair: tuple[Server, Server]) -> None:
    tool = program("amtool")
    for server in pair:
        base = [tool, f"--alertmanager.url={server.url}", "silence"]

        def run(*words: str, stdin: str = "", base: list[str] = base) -> str:
            done = subprocess.run([*base, *words], capture_output=True, text=True, check=True, input=stdin, timeout=30)
            return done.stdout.strip()

        made = run("add", "-a", "me", "-c", "c", "-d", "1h", "tool=update")
        updated = run("update", "-d", "2h", "-c", "longer", made)
        assert made in updated  # same matchers, same start: it keeps its id
        exported = run("query", "-o", "json", "tool=update")
        run("expire", made)
        assert made not in run("query", "-q", "tool=update")
        assert made in run("query", "--expired", "-q", "tool=update")
        silence = orjson.loads(exported)[0]
        imported = orjson.dumps([{**silence, "id": ""}]).decode()
        run("import", "-f", stdin=imported)
        assert len(run("query", "-q", "tool=update").split()) == 1


def test_amtool_shows_the_configuration(pair: tuple[Server, Server]) -> None:
    shown = [amtool(one, "config", "show") for one in pair]
    assert all("receiver: default" in one for one in shown)
    assert "secret-word" not in shown[1]
