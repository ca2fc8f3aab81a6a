"""Slack's update_message: later news of a group change its first message, across restarts, as from Alertmanager."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.notify.peer import Server, call, ours, real
from tests.waiting import wait_until

pytestmark = pytest.mark.peer

_OVER = "2026-01-02T00:00:00Z"
_CONFIG = """
route: {{receiver: a, group_wait: 0s, group_interval: 1s, repeat_interval: 1h, group_by: [alertname]}}
receivers:
- name: a
  slack_configs:
  - api_url: https://slack.com/api/chat.postMessage
    channel: '#ops'
    title: '{{{{ len .Alerts.Firing }}}}'
    send_resolved: true
    update_message: true
    http_config:
      authorization: {{credentials: xoxb-1}}
      proxy_url: http://127.0.0.1:{port}
      tls_config: {{insecure_skip_verify: true}}
"""


class Slack:
    """Slack behind a proxy: takes CONNECT, speaks TLS, and answers each message with a new ts."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        key, cert = folder / "key", folder / "cert"
        command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=slack.com"
        subprocess.run([*command.split(), "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(cert, key)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self._socket.accept()[0],), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError):
            while connection.recv(1, socket.MSG_PEEK) and self._line(connection):
                pass
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with self._tls.wrap_socket(connection, server_side=True) as secured, secured.makefile("rb") as reader:
                while line := reader.readline().decode():
                    headers = {}
                    while head := reader.readline().decode().strip():
                        name, _, value = head.partition(": ")
                        headers[name.lower()] = value
                    body = orjson.loads(reader.read(int(headers["content-length"])))
                    self.asked.append((line.split()[1], headers["authorization"], body))
                    answer = orjson.dumps({"ok": True, "channel": "C1", "ts": f"{len(self.asked)}.5"})
                    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(answer)}\r\n\r\n"
                    secured.sendall(head.encode() + answer)

    @staticmethod
    def _line(connection: socket.socket) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            line += connection.recv(1)
        return line.strip()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def slack(tmp_path: Path) -> Iterator[Slack]:
    server = Slack(tmp_path)
    yield server
    server.close()


def _alert(number: str, end: str = "2099-01-01T00:00:00Z") -> dict[str, Any]:
    labels = {"alertname": "A", "number": number}
    return {"labels": labels, "startsAt": "2026-01-01T00:00:00Z", "endsAt": end}


def _told(slack: Slack, server: Server, *alerts: dict[str, Any]) -> None:
    """Post alerts, and wait for the message that they bring."""
    before = len(slack.asked)
    assert call("POST", f"{server.url}/api/v2/alerts", list(alerts))[0] == 200
    wait_until("Slack to be asked", lambda: len(slack.asked) > before)


@pytest.mark.parametrize("side", [real, ours], ids=["alertmanager", "ours"])
def test_later_news_change_the_first_message(side: Callable[..., Any], slack: Slack, tmp_path: Path) -> None:
    with side(tmp_path / "desk", _CONFIG.format(port=slack.port)) as server:
        _told(slack, server, _alert("1"))
        _told(slack, server, _alert("2"))
        assert server.process is not None
        server.process.terminate()
        server.process.wait(20)
        server.start()
        _told(slack, server, _alert("3"))
        _told(slack, server, *(_alert(number, _OVER) for number in "123"))
        _told(slack, server, _alert("1"))
    assert {one[1] for one in slack.asked} == {"Bearer xoxb-1"}
    shown = [(path, body["channel"], body.get("ts"), body["attachments"][0]["title"]) for path, _, body in slack.asked]
    assert shown == [
        ("/api/chat.postMessage", "#ops", None, "1"),
        ("/api/chat.update", "C1", "1.5", "2"),
        ("/api/chat.update", "C1", "2.5", "1" if side is real else "3"),  # which does not keep alerts, as we do
        ("/api/chat.update", "C1", "3.5", "0"),
        ("/api/chat.postMessage", "#ops", None, "1"),  # it was all over: a message of its own
    ]
