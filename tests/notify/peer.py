"""The real Alertmanager and ours, side by side: same file, same alerts, each with a hook that keeps what it is sent."""

import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.peers import PEERS, free_port
from tests.waiting import wait_until

TEMPLATES = Path("/usr/share/prometheus/alertmanager")  # where Debian's build looks for its default templates


def program(name: str) -> str:
    path = PEERS / name
    if not path.exists():
        message = f"{name} is not there: run tools/peers"
        assert os.environ.get("CI") != "true", message
        pytest.skip(message)
    return str(path)


def alertmanager() -> str:
    """Give the real one's path; its templates must lie where it was built to find them."""
    found = program("prometheus-alertmanager")
    if not TEMPLATES.exists():
        try:
            TEMPLATES.parent.mkdir(parents=True, exist_ok=True)
            TEMPLATES.symlink_to(PEERS.parent / "share/prometheus/alertmanager")
        except OSError:
            assert os.environ.get("CI") != "true", f"{TEMPLATES} cannot be made"
            pytest.skip(f"Alertmanager needs {TEMPLATES}, which cannot be made without root")
    return found


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    raw: bytes
    at_s: float


class _HookServer(ThreadingHTTPServer):
    request_queue_size = 256  # else connections beyond five wait a second for their second SYN


class Hook:
    """A webhook server; `answer` says with which status it answers the n-th message (from 0) on a path."""

    def __init__(self, answer: Callable[[str, int], int] = lambda _path, _nth: 200) -> None:
        hook = self
        self.received: list[Received] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                nth = sum(one.path == self.path for one in hook.received)
                got = Received(self.path, dict(self.headers), orjson.loads(raw), raw, time.monotonic())
                hook.received.append(got)
                self.send_response(answer(self.path, nth))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                pass

        self._server = _HookServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def on(self, path: str) -> list[Received]:
        return [one for one in self.received if one.path == path]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def call(method: str, url: str, body: Any = None, media: str = "application/json") -> tuple[int, bytes]:
    raw = body if isinstance(body, bytes) else None if body is None else orjson.dumps(body)
    request = urllib.request.Request(url, raw, {"Content-Type": media} if raw is not None else {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class Server:
    """One of the two, as a process."""

    def __init__(self, command: Callable[[str], Sequence[str]], folder: Path) -> None:
        self._command, self._folder = command, folder
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with (self._folder / "log").open("ab") as out:
            self.process = subprocess.Popen(self._command(self.address), stdout=out, stderr=out)
        wait_until(f"{self.url} to answer", self._answers)

    def _answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, (self._folder / "log").read_text()[-2000:]
        try:
            return call("GET", f"{self.url}/api/v2/status")[0] == 200
        except OSError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def log(self) -> str:
        return (self._folder / "log").read_text()


@contextmanager
def ours(folder: Path, config: str, state_url: str = "") -> Iterator[Server]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "alertmanager.yml").write_text(config)
    script = Path(__file__).with_name("desk_process.py")
    files, more = [str(folder / "alertmanager.yml"), str(folder / "data")], [state_url] if state_url else []
    server = Server(lambda address: [sys.executable, str(script), *files, address, *more], folder)
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def real(folder: Path, config: str) -> Iterator[Server]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "alertmanager.yml").write_text(config)
    flags = [f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'data'}"]
    flags += ["--cluster.listen-address="]
    binary = alertmanager()
    server = Server(lambda address: [binary, *flags, f"--web.listen-address={address}"], folder)
    try:
        yield server
    finally:
        server.kill()
