"""Every receiver sends what Alertmanager sends: same file, same alerts, one recording server for each of the two."""

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from tests.notify.peer import Server, call, ours, real
from tests.peers import free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.peer

ANSWERS: dict[str, bytes] = {
    "/wechat/gettoken": b'{"access_token": "tok", "errcode": 0, "errmsg": "ok"}',
    "/wechat/message/send": b'{"errcode": 0, "errmsg": "ok"}',
    "/bottoken:1/sendMessage": b'{"ok": true, "result": {"message_id": 1, "date": 1, "chat": {"id": 1}}}',
    "/jira/search": b'{"issues": []}',
    "/jira/issue": b'{"id": "1", "key": "P-1"}',
    **dict.fromkeys(("/slack", "/slack2", "/slack3"), b"ok"),
    "/sns/": b"<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>",
    "/rocket/api/v1/chat.postMessage": b'{"success": true}',
}
CONFIG = r"""
templates: ['{folder}/*.tmpl']
global: {{slack_api_url: '{url}/slack', opsgenie_api_url: '{url}/opsgenie/', opsgenie_api_key: genie,
          victorops_api_key: vic, victorops_api_url: '{url}/victorops/', smtp_smarthost: 'localhost:{smtp}',
          smtp_from: 'Watch <watch@example.org>', smtp_require_tls: false, wechat_api_url: '{url}/wechat/',
          wechat_api_corp_id: corp, wechat_api_secret: chat, rocketchat_api_url: '{url}/rocket/',
          rocketchat_token: rt, rocketchat_token_id: rid, telegram_api_url: '{url}', webex_api_url: '{url}/webex'}}
route: {{receiver: all, group_wait: 1s, group_interval: 1s, repeat_interval: 1h, group_by: [alertname, severity]}}
receivers:
- name: all
  webhook_configs:
  - {{url: '{url}/webhook'}}
  - url: '{url}/payload'
    max_alerts: 1
    payload:
      text: '{{{{ .Status }}}} {{{{ len .Alerts }}}}'
      b: 1
      a: [x, '{{{{ .CommonLabels | toJson }}}}']
      words: ['1', 1e3, 010, 0o17, 0x1F, 0b11, 1_000, 1.0, .5, '+5', 'yes', 'off', '~', '', '#x', 'a #b', '@x',
              '[x', '- x', 'k: [1, q: w]', '2026-01-02', ' sp ', "two\nlines", 12345678901234567890]
  - {{url: '{url}/payload2', payload: '{{{{ . | toJson }}}}'}}
  - {{url: '{url}/templated/{{{{ .CommonLabels.severity }}}}/<{{{{ len .Alerts }}}}>'}}
  - {{url: '{url}/payload3', payload: ['{{{{ .GroupLabels.severity }}}}', null]}}
  discord_configs:
  - webhook_url: '{url}/discord'
  - {{webhook_url: '{url}/discord2',
      content: '{{{{ .Status }}}}', username: me, avatar_url: 'http://a/', message: '{long}'}}
  slack_configs:
  - {{channel: '#ops'}}
  - send_resolved: true
    api_url: '{url}/slack2'
    channel: '{{{{ .GroupLabels.severity }}}}'
    title: '{{{{ template "own.title" . }}}}'
    text: '{{{{ range .Alerts }}}}{{{{ .Labels.instance }}}} {{{{ toUpper .Annotations.summary }}}}; {{{{ end }}}}'
    message_text: hi
    mrkdwn_in: [text]
    short_fields: true
    fields: [{{title: a, value: '{{{{ .CommonLabels.job }}}}'}}, {{title: b, value: c, short: false}}]
    actions: [{{type: button, text: Go, url: 'http://go/', style: danger, confirm: {{text: sure, ok_text: 'yes'}}}}]
    link_names: true
    image_url: 'http://i/'
    thumb_url: 'http://t/'
    icon_emoji: ':fire:'
  - {{app_token: xoxb, app_url: '{url}/slack3', channel: c}}
  pagerduty_configs:
  - {{routing_key: rk, url: '{url}/pd'}}
  - {{routing_key: rk2, url: '{url}/pd2', severity: '{{{{ .CommonLabels.severity }}}}', class: k,
      component: co, group: g,
      source: s, details: {{firing: 'x', nested: {{a: ['{{{{ .Status }}}}', 1, 1.0, '']}},
      more: '{{{{ len .Alerts }}}}', labels: '{{{{ .CommonLabels | toJson }}}}'}},
      images: [{{src: 'http://i/', alt: a}}], links: [{{href: 'http://l/', text: t}}, {{text: none}}]}}
  opsgenie_configs:
  - {{}}
  - {{api_url: '{url}/opsgenie2', responders: [{{name: 'a, b', type: teams}}, {{username: u, type: user}}],
      tags: 'x, y,', note: n, priority: P1, entity: e, actions: 'r,s', update_alerts: true,
      details: {{k: '{{{{ .Status }}}}'}}}}
  victorops_configs:
  - {{routing_key: team, custom_fields: {{extra: '{{{{ .Status }}}}'}}}}
  wechat_configs: [{{to_user: u, agent_id: '1'}}, {{message_type: markdown, message: m}}]
  telegram_configs:
  - {{bot_token: 'token:1', chat_id: -100}}
  - {{bot_token: 'token:1', chat_id: 7, parse_mode: '', message: '<b>{{{{ .CommonAnnotations.summary }}}}</b>',
      disable_notifications: true, message_thread_id: 5}}
  - {{bot_token: 'token:1', chat_id: 8, message: '<b>{{{{ .CommonAnnotations.summary }}}}</b>'}}
  webex_configs: [{{room_id: room, http_config: {{authorization: {{credentials: wx}}}}}}]
  msteams_configs: [{{webhook_url: '{url}/teams'}}]
  msteamsv2_configs: [{{webhook_url: '{url}/teams2'}}]
  rocketchat_configs:
  - {{channel: '#r', fields: [{{title: a, value: b}}], actions: [{{type: button, text: t, url: 'http://u/'}}]}}
  mattermost_configs:
  - {{webhook_url: '{url}/matter'}}
  - {{webhook_url: '{url}/matter2', channel: c,
      pretext: p, author_name: n, fields: [{{title: a, value: b, short: true}}],
      icon_emoji: e, footer: f, type: t, props: {{card: '**x**'}}, priority: {{priority: urgent, requested_ack: true}}}}
  - {{webhook_url: '{url}/matter3', channel: c, text: t, fallback: left, icon_url: i,
      attachments: [{{fallback: f, color: '{{{{ .Status }}}}', pretext: p, text: x, title: y, author_name: n, footer: o,
                      fields: [{{title: a, value: b, short: true}}, {{title: c, value: d}}]}}, {{title: z}}, {{}}]}}
  incidentio_configs: [{{url: '{url}/incident', alert_source_token: tok}}]
  sns_configs:
  - {{api_url: '{url}/sns/', topic_arn: 'arn:aws:sns:us-east-2:123:topic', attributes: {{a: b}},
      sigv4: {{region: us-east-2, access_key: AK, secret_key: SK}}}}
  jira_configs:
  - {{api_url: '{url}/jira', project: P, issue_type: Bug, labels: ['{{{{ .Status }}}}'],
      fields: {{x: '{{{{ .Status }}}}'}}}}
  email_configs:
  - {{to: 'a@example.org, B <b@example.org>', send_resolved: true, text: '{{{{ template "own.title" . }}}}', html: '',
      headers: {{Subject: 'Über {{{{ .Status }}}}', X-More: m}}}}
  - {{to: c@example.org, html: '<p>{{{{ .CommonAnnotations.summary }}}}</p>', auth_username: user, auth_password: pass,
      threading: {{enabled: true, thread_by_date: none}}}}
"""
TEMPLATE = """{{ define "own.title" }}{{ .Alerts.Firing | len }} of {{ .CommonLabels.SortedPairs.Values | join "/" }}
{{- range .Alerts }} {{ .StartsAt.Format "2006-01-02" }}{{ end }}{{ end }}"""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Recorder:
    """Keeps what is asked; answers as the services do."""

    def __init__(self) -> None:
        self.received: list[Request] = []
        self.mails: list[dict[str, Any]] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                recorder.received.append(Request(self.command, self.path, dict(self.headers), body))
                text = ANSWERS.get(self.path.partition("?")[0], b"")
                self.send_response(200)
                kind = "application/json" if text.startswith(b"{") else "text/plain"
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = answer  # noqa: N815 — names of http.server

            def log_message(self, *_args: object) -> None:
                pass

        class Mails:
            async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
                recorder.mails.append(
                    {
                        "from": envelope.mail_from,
                        "to": envelope.rcpt_tos,
                        "content": envelope.content,
                        "hello": session.host_name,
                        "user": session.auth_data,
                    }
                )
                return "250 OK"

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.smtp_port = free_port()
        self._mails = Controller(
            Mails(),
            hostname="localhost",
            port=self.smtp_port,
            authenticator=lambda *args: AuthResult(success=True, auth_data=bytes(args[4].password).decode()),
            auth_require_tls=False,
            auth_exclude_mechanism=["LOGIN"],  # whose questions Alertmanager does not understand
        )
        self._mails.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._mails.stop()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Recorder, Recorder]]:
    folder = tmp_path_factory.mktemp("receivers")
    recorders = Recorder(), Recorder()
    servers: list[Server] = []
    starters = [real, ours]
    contexts = []
    for start, recorder in zip(starters, recorders, strict=True):
        own = folder / start.__name__
        own.mkdir()
        (own / "own.tmpl").write_text(TEMPLATE)
        text = CONFIG.format(url=recorder.url, smtp=recorder.smtp_port, folder=own, long="ä" * 5000)
        contexts.append(start(own, text))
        servers.append(contexts[-1].__enter__())
    now = time.time()
    post(servers, now, None)
    wait_until("all to be told of the alerts", lambda: all(settled(one, 1) for one in recorders))
    post(servers, now, now)
    wait_until("all to be told of their end", lambda: all(settled(one, 2) for one in recorders))
    yield recorders
    for context in contexts:
        context.__exit__(None, None, None)
    for recorder in recorders:
        recorder.close()


def settled(recorder: Recorder, rounds: int) -> bool:
    """Whether the slowest ways have been gone: counts stay as they are for a second."""
    began = time.monotonic()
    webhooks = [one for one in recorder.received if one.path == "/webhook"]
    before = len(recorder.received), len(recorder.mails)
    wait_until("a second to pass", lambda: time.monotonic() > began + 1.2)
    return len(webhooks) >= rounds and before == (len(recorder.received), len(recorder.mails))


def _stamp(at_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))


def post(servers: list[Server], start: float, end: float | None) -> None:
    labels = {"alertname": "Disk<full>", "severity": "critical", "job": "node"}
    alerts = [
        {
            "labels": labels | {"instance": instance},
            "annotations": {"summary": 'only 5 % "left" & <going>', "runbook_url": "http://runbook/disk"},
            "startsAt": _stamp(start),
            "endsAt": _stamp(end or start + 3600),
            "generatorURL": "http://prometheus/graph?a=b&c",
        }
        for instance in ("a:1", "b:1")
    ]
    for server in servers:
        assert call("POST", f"{server.url}/api/v2/alerts", alerts) == (200, b"")


def external_url(recorder: Recorder) -> str:
    first = next(one for one in recorder.received if one.path == "/webhook")
    return str(orjson.loads(first.body)["externalURL"])


def plain(recorder: Recorder, text: str) -> str:
    """Take out what must differ: addresses, the moment of the end."""
    text = text.replace(external_url(recorder), "EXTERNAL").replace(recorder.url, "URL")
    for quoted in (external_url(recorder).replace(":", "%3A").replace("/", "%2F"),):
        text = text.replace(quoted, "EXTERNAL")
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME", text)


def told(recorder: Recorder, prefix: str) -> list[Any]:
    found: list[Any] = []
    for one in recorder.received:
        if not (one.path == prefix or one.path.startswith((prefix + "?", prefix + "/"))):
            continue
        text = plain(recorder, one.body.decode())
        try:
            body = orjson.loads(text)
        except ValueError:
            body = text
        headers = {name.lower(): value for name, value in one.headers.items()}
        kept = {name: headers.get(name) for name in ("content-type", "authorization", "x-auth-token", "x-user-id")}
        if "AWS4" in (kept["authorization"] or ""):
            kept["authorization"] = re.sub(r"/\d{8}/.*", "", kept["authorization"] or "")
        found.append((one.method, one.path, kept, body))
    return sorted(found, key=str)


PATHS = (
    *("webhook", "discord", "discord2", "slack", "slack2", "slack3", "pd", "pd2", "opsgenie", "opsgenie2", "victorops"),
    *("wechat", "bottoken:1", "webex", "teams", "teams2", "rocket", "matter", "matter2", "incident", "sns", "jira"),
    *("payload", "payload2", "payload3", "templated", "matter3"),
)


@pytest.mark.parametrize("path", PATHS)
def test_sends_what_alertmanager_sends(both: tuple[Recorder, Recorder], path: str) -> None:
    theirs, mine = (told(one, f"/{path}") for one in both)
    assert theirs, "nothing to compare with"
    assert mine == theirs


def mails(recorder: Recorder) -> list[Any]:
    found = []
    for mail in recorder.mails:
        message = message_from_bytes(mail["content"], policy=policy.default)
        headers = {name: str(value) for name, value in message.items() if name not in ("Message-Id", "Date")}
        headers["Content-Type"] = message.get_content_type()
        parts = [
            (part.get_content_type(), plain(recorder, part.get_content().strip()))
            for part in message.walk()
            if not part.is_multipart()
        ]
        assert message["Message-Id"] and message["Date"]
        found.append((mail["from"], sorted(mail["to"]), mail["hello"], mail["user"], sorted(headers.items()), parts))
    return sorted(found, key=str)


def test_mails_what_alertmanager_mails(both: tuple[Recorder, Recorder]) -> None:
    theirs, mine = map(mails, both)
    assert len(theirs) == 3
    assert mine == theirs
