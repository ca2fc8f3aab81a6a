"""Twenty heavy queries at once do not stop the rest: writes, scrapes and health go on (O3).

WATCHKEEPER_LONG=1 keeps at it for a minute; else for some seconds.
"""

import http.server
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from tests.system.programs import Watchkeeper
from tests.system.remote_write import write_request
from tests.waiting import wait_until

LONG = bool(os.environ.get("WATCHKEEPER_LONG"))
LENGTH_S = 60.0 if LONG else 5.0
AT_ONCE = 20
SERIES, STEPS, STEP_MS = 1000, 240, 15_000
KILLERS = (
    "quantile_over_time(0.9, heavy[1h])",
    "sum_over_time(sum_over_time(heavy[10m])[1h:1s])",
    "max_over_time(quantile_over_time(0.5, heavy[1h])[1h:1s])",
    "heavy * on() group_left() heavy",
    "label_replace(heavy, 'x', '$1$1$1$1$1$1$1$1', 'n', '(.*)')",
    "topk(1e12, heavy)",
    "count_values('v', rate(heavy[5m]))",
    "heavy or " * 200 + "heavy",
    "{__name__=~'(x{1000}){1000}'}",
    "mad_over_time(heavy[1h])",
)
_HEADERS = {
    "content-type": "application/x-protobuf",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "0.1.0",
}
_CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs: [{job_name: one, static_configs: [{targets: ['%s']}]}]
"""


@contextmanager
def scraped() -> Iterator[tuple[str, list[float]]]:
    """Run a target; gives its address and when it was asked."""
    asked: list[float] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(time.monotonic())
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(b"scraped 1\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def heavy_body(first_ms: int) -> bytes:
    times = range(first_ms, first_ms + STEPS * STEP_MS, STEP_MS)
    return write_request(
        [
            ({"__name__": "heavy", "job": "app", "n": str(n)}, [(at, float((at // STEP_MS * n) % 97)) for at in times])
            for n in range(SERIES)
        ]
    )


def test_heavy_queries_do_not_stop_the_rest(watchkeeper: Callable[..., Watchkeeper], tmp_path: Path) -> None:
    with scraped() as (address, asked):
        (tmp_path / "prometheus.yml").write_text(_CONFIG % address)
        server = watchkeeper("--auth", "none", "--config", str(tmp_path))
        server.start()

        def push(body: bytes) -> int:
            return server.ask("/api/v1/write", method="POST", body=body, headers=_HEADERS)[0]

        start_ms = round(time.time() * 1000) - STEPS * STEP_MS
        assert push(heavy_body(start_ms)) in (200, 204)
        over = threading.Event()
        answers: list[int] = []

        def kill(number: int) -> None:
            while not over.is_set():
                query = KILLERS[number % len(KILLERS)]
                number += 1
                path = "/api/v1/query_range" if number % 3 else "/api/v1/query"
                fields = {"query": query, "start": start_ms / 1000, "end": time.time(), "step": 15, "timeout": "5s"}
                answers.append(server.ask(f"{path}?{urlencode(fields)}")[0])

        killers = [threading.Thread(target=kill, args=(number,), daemon=True) for number in range(AT_ONCE)]
        wait_until("the first scrape", lambda: bool(asked))
        for killer in killers:
            killer.start()
        began_s, now_ms, writes, healths = time.monotonic(), 0, [], []
        while time.monotonic() - began_s < LENGTH_S:
            at_s = time.monotonic()
            now_ms = max(now_ms + 1, round(time.time() * 1000))
            body = write_request([({"__name__": "light", "job": "app"}, [(now_ms, 1.0)])])
            assert push(body) in (200, 204)
            writes.append(time.monotonic() - at_s)
            at_s = time.monotonic()
            assert server.ask("/-/healthy")[0] == 200
            healths.append(time.monotonic() - at_s)
        until_s = time.monotonic()
        over.set()
        scrapes = sum(began_s <= at <= until_s for at in asked)
        writes.sort()
        p99_s = writes[int(len(writes) * 0.99)]
        said = logging.getLogger(__name__).info
        said("%d writes, p50 %.3f s, p99 %.3f s", len(writes), writes[len(writes) // 2], p99_s)
        said("health %.3f s at most, %d scrapes in %.0f s", max(healths), scrapes, until_s - began_s)
        said("answers: %s", {status: answers.count(status) for status in set(answers)})
        for killer in killers:
            killer.join(30)
        assert server.value("count_over_time(light[5m])") == len(writes)
        assert scrapes >= int(until_s - began_s) - 1
        assert max(healths) <= 1
        assert p99_s <= 0.5
