"""The notifier beside the real Alertmanager: many alerts in many groups, from first request to last notification.

Both get the same alertmanager.yml and the same requests, one after the other; a webhook counts what arrives. Then a
storm: alerts come as fast as they are taken, and every one must be told of.

    python -m bench.bench_notify [--alerts 10000] [--groups 500] [--storm 50000]
"""

import argparse
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
from tests.notify.peer import Server, call, ours, real

from bench.bench_scrape import cpu_of

_WHOLE_RUN_S = 500
_A_REQUEST = 1000
_CONFIG = """
route: {receiver: web, group_by: [group], group_wait: 0s, group_interval: 5m, repeat_interval: 4h}
receivers: [{name: web, webhook_configs: [{url: 'URL', send_resolved: false}]}]
"""


class Sink:
    """A webhook that keeps which alerts it was told of, and when the last came."""

    def __init__(self) -> None:
        self.told: set[str] = set()
        self.messages, self.last_s = 0, 0.0
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
                sink.told.update(one["labels"]["n"] for one in body["alerts"])
                sink.messages += 1
                sink.last_s = time.perf_counter()
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.request_queue_size = 512
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def bodies(alerts: int, groups: int) -> list[bytes]:
    """Give the requests; alerts of a group come together."""
    each = alerts // groups
    every = [
        {
            "labels": {"alertname": "Many", "group": f"g{n // each}", "instance": f"host{n}", "n": str(n)},
            "annotations": {"summary": f"alert {n} of many"},
            "endsAt": "2099-01-01T00:00:00Z",
        }
        for n in range(alerts)
    ]
    return [orjson.dumps(every[at : at + _A_REQUEST]) for at in range(0, alerts, _A_REQUEST)]


def resident_mib(server: Server) -> float:
    assert server.process is not None
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * 4096 / (1 << 20)


def measure(server: Server, sink: Sink, alerts: int, groups: int, deadline_s: float) -> str:
    """Send and wait until every alert was told of."""
    requests = bodies(alerts, groups)
    assert server.process is not None
    before, began = cpu_of(server.process.pid), time.perf_counter()
    for body in requests:
        status, said = call("POST", f"{server.url}/api/v2/alerts", body)
        assert status == 200, said
    taken_s = time.perf_counter() - began
    while len(sink.told) < alerts and time.perf_counter() - began < deadline_s:
        time.sleep(0.01)
    cpu_s = cpu_of(server.process.pid) - before
    lost = alerts - len(sink.told)
    return (
        f"taken in {taken_s:.2f} s, last told after {sink.last_s - began:.2f} s in {sink.messages} messages, "
        f"lost {lost}, CPU {cpu_s:.2f} s, {resident_mib(server):.0f} MiB resident"
    )


@contextmanager
def notifier(name: str, folder: Path) -> Iterator[tuple[Server, Sink]]:
    sink = Sink()
    start = real if name == "alertmanager" else ours
    with start(folder / name, _CONFIG.replace("URL", sink.url)) as server:
        yield server, sink
    sink.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=10_000)
    parser.add_argument("--groups", type=int, default=500)
    parser.add_argument("--storm", type=int, default=50_000)
    options = parser.parse_args()
    signal.alarm(_WHOLE_RUN_S)
    for alerts, groups in ((options.alerts, options.groups), (options.storm, options.groups)):
        print(f"{alerts} alerts in {groups} groups", flush=True)
        for name in ("alertmanager", "watchkeeper"):
            with tempfile.TemporaryDirectory() as folder, notifier(name, Path(folder)) as (server, sink):
                print(f"  {name:12} {measure(server, sink, alerts, groups, 120)}", flush=True)


if __name__ == "__main__":
    main()
