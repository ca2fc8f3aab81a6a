"""Real programs for tests: the process itself, Redis, exporters, and a webhook that listens."""

import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.peers import PEERS, free_port
from tests.waiting import wait_until

PASSWORD = "correct horse battery staple"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # processes started one after the other share what one compiled
PROGRAM = [sys.executable, "-m", "watchkeeper.app"]


def peer(name: str) -> str:
    program = PEERS / name
    if not program.exists():
        pytest.fail(f"{name} is not in {PEERS}: run tools/test-servers")
    return str(program)


@contextmanager
def running(
    command: list[str], *, cwd: str | None = None, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the length of a block."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=cwd, env=env) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def listening(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


class Redis:
    """A Redis server that can be stopped and started again on its port."""

    def __init__(self, folder: Path) -> None:
        self.port, self._folder = free_port(), folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--save", "", "--dir", str(self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until("Redis to listen", lambda: listening(self.port))

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def exporter(name: str, *flags: str, env: Mapping[str, str] | None = None) -> Iterator[int]:
    """Run a real exporter; gives its port."""
    port = free_port()
    command = [peer(name), f"--web.listen-address=127.0.0.1:{port}", *flags]
    with running(command, env={**os.environ, **(env or {})}):
        wait_until(f"{name} to listen", lambda: listening(port))
        yield port


class Hook:
    """A webhook that keeps what it was sent."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                hook.received.append(orjson.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def of(self, alertname: str, status: str) -> list[dict[str, Any]]:
        """Give the alerts of that name that came with that status."""
        alerts = [alert for message in self.received for alert in message["alerts"]]
        return [one for one in alerts if one["labels"]["alertname"] == alertname and one["status"] == status]


class Watchkeeper:
    """The real process, started, killed and asked as a user would."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.port, self.folder, self._flags = free_port(), folder, flags
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = folder / "data"
        self.journal = folder / "journal.log"
        self.key = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        env = {**os.environ, "WATCHKEEPER_ADMIN_PASSWORD": PASSWORD}
        where = ["--data", str(self.data), "--listen", f"127.0.0.1:{self.port}"]
        with self.journal.open("ab") as journal:
            command = [*PROGRAM, "up", *where, *self._flags]
            self._process = subprocess.Popen(command, stdout=journal, stderr=journal, env=env)
        try:
            wait_until("watchkeeper to be ready", self.ready, 30)
        except AssertionError:
            self.kill()
            raise AssertionError(self.journal.read_text()[-3000:]) from None

    def ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"watchkeeper ended with {self._process.returncode}: {self.journal.read_text()[-3000:]}")
        return self.ask("/-/ready")[0] == 200

    def kill(self) -> None:
        """Kill as a power button does; nothing is said to the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """Ask to stop; gives the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(10)
        self._process = None
        return status

    def hang_up(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def command(self, *words: str, check: bool = True) -> str:
        """Run a command of the program beside the server; gives its standard output."""
        env = {**os.environ, "WATCHKEEPER_URL": self.url, "WATCHKEEPER_KEY": self.key}
        done = subprocess.run([*PROGRAM, *words], capture_output=True, text=True, env=env, timeout=60)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def make_key(self, *scopes: str, name: str = "test") -> str:
        return self.command("keys", "add", name, "--data", str(self.data), "--scopes", ",".join(scopes)).split()[-1]

    def ask(
        self, path: str, *, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Make a request with the key; gives status and body."""
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=dict(headers or {}))
        if self.key and "authorization" not in (headers or {}):
            request.add_header("authorization", f"Bearer {self.key}")
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def json(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        query = f"?{urllib.parse.urlencode(params)}" if params else ""
        status, body = self.ask(path + query)
        assert status == 200, (status, body[:500])
        return orjson.loads(body)

    def query(self, expr: str) -> list[dict[str, Any]]:
        result: list[dict[str, Any]] = self.json("/api/v1/query", {"query": expr})["data"]["result"]
        return result

    def value(self, expr: str) -> float:
        """Give the value of an expression with one element."""
        found = self.query(expr)
        assert len(found) == 1, found
        return float(found[0]["value"][1])
