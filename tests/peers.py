"""Where the real programs are that tests start, and ports for them."""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import orjson
from tests.waiting import wait_until

_FOLDER = Path(os.environ.get("WATCHKEEPER_PEERS") or Path.home() / ".cache/watchkeeper/peers")
PEERS = _FOLDER.absolute() / "usr/bin"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RealPrometheus:
    """A Prometheus of its own folder and port, ready when it is made."""

    def __init__(self, folder: Path, config: str, *flags: str) -> None:
        self.port = free_port()
        (folder / "prometheus.yml").write_text(config)
        self.url = f"http://127.0.0.1:{self.port}"
        own = ["--config.file=prometheus.yml", "--storage.tsdb.path=data"]  # it shows files by the name it was given
        command = [str(PEERS / "prometheus"), *own, f"--web.listen-address=127.0.0.1:{self.port}", *flags]
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            self.wait_for(self._is_ready)
        except BaseException as error:
            self.stop()
            error.add_note((folder / "log").read_text()[-3000:])
            raise

    def get(self, path: str, **params: str) -> Any:
        with urlopen(f"{self.url}{path}?{urlencode(params)}", timeout=5) as answer:
            return orjson.loads(answer.read())["data"]

    def ask(self, path: str, **params: str) -> tuple[int, bytes]:
        """Give status and body, whatever they are."""
        try:
            with urlopen(f"{self.url}{path}?{urlencode(params)}", timeout=5) as answer:
                return answer.status, answer.read()
        except HTTPError as refusal:
            return refusal.code, refusal.read()

    def wait_for(self, condition: Callable[[], bool], deadline_s: float = 30) -> None:
        wait_until("the real Prometheus to get there", condition, deadline_s)

    def stop(self) -> None:
        self._process.kill()  # a sender would first try for a minute to get rid of what it has
        self._process.wait(10)

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"Prometheus ended with {self._process.returncode}")
        with urlopen(f"{self.url}/-/ready", timeout=1) as answer:
            return bool(answer.status == 200)
