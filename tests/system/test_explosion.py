"""A million new series within a minute: what was known goes on whole, what is new is refused and counted.

WATCHKEEPER_LONG=1 sends the million; else a tenth of it.
"""

import logging
import os
import re
import threading
import time
from collections.abc import Callable

from tests.system.programs import Watchkeeper
from tests.system.remote_write import write_request

FLOOD = 1_000_000 if os.environ.get("WATCHKEEPER_LONG") else 100_000
PER_REQUEST = 5000
LIMIT = 50_000  # metrics.series_max_per_metric
OLD = 500
# What remote write remembers of a series so that it knows it again, refused or not, up to known_series_max.
RESIDENT_GROWS_MIB_MAX = 120 + FLOOD * 250 / (1 << 20)
OVERTAKEN_MAX = 3  # what is known waits its turn, not for the end of the flood
_HEADERS = {
    "content-type": "application/x-protobuf",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "0.1.0",
}


def old_body(now_ms: int) -> bytes:
    return write_request(
        [({"__name__": "known", "job": "app", "instance": "a", "n": str(n)}, [(now_ms, float(n))]) for n in range(OLD)]
    )


def flood_body(first: int, now_ms: int) -> bytes:
    return write_request(
        [
            ({"__name__": "exploding", "job": "app", "instance": "a", "user": f"{n:x}"}, [(now_ms, 1.0)])
            for n in range(first, first + PER_REQUEST)
        ]
    )


def own_metric(server: Watchkeeper, name: str) -> float:
    """Add up a metric of the process itself."""
    lines = server.ask("/metrics")[1].decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if re.match(rf"{name}[ {{]", line))


def test_a_million_new_series_leave_those_that_are_known_alone(watchkeeper: Callable[..., Watchkeeper]) -> None:
    server = watchkeeper("--auth", "none")
    server.start()

    def push(body: bytes) -> tuple[int, bytes]:
        return server.ask("/api/v1/write", method="POST", body=body, headers=_HEADERS)

    assert push(old_body(round(time.time() * 1000)))[0] in (200, 204)
    before_mib = own_metric(server, "process_resident_memory_bytes") / (1 << 20)
    statuses: list[int] = []
    slowest_s = 0.0
    overtaken: list[int] = []  # by how many requests of the flood, each push of what is known
    over = threading.Event()

    def flood() -> None:
        try:
            for first in range(0, FLOOD, PER_REQUEST):
                statuses.append(push(flood_body(first, round(time.time() * 1000)))[0])  # noqa: PERF401 — read meanwhile
        finally:
            over.set()

    sender = threading.Thread(target=flood, daemon=True)
    began_s = time.monotonic()
    sender.start()
    stored = 0
    while not over.wait(0.2):
        answered, asked_s = len(statuses), time.monotonic()
        status, said = push(old_body(round(time.time() * 1000)))
        assert status in (200, 204), said
        slowest_s = max(slowest_s, time.monotonic() - asked_s)
        overtaken.append(len(statuses) - answered)
        stored += OLD
    sender.join()
    took_s = time.monotonic() - began_s
    assert took_s < 120
    assert server.value("sum(count_over_time(known[5m]))") == stored + OLD
    assert server.value("count(exploding)") <= LIMIT
    assert statuses.count(400) + statuses.count(503) >= (FLOOD - LIMIT) // PER_REQUEST - 1
    assert own_metric(server, "watchkeeper_series_refused_total") >= FLOOD - LIMIT - PER_REQUEST
    assert max(overtaken) <= OVERTAKEN_MAX
    assert slowest_s < 5
    logging.getLogger(__name__).info("%d series in %.1f s, known ones in %.2f s at most", FLOOD, took_s, slowest_s)
    grown = own_metric(server, "process_resident_memory_bytes") / (1 << 20) - before_mib
    logging.getLogger(__name__).info("%.0f MiB more", grown)
    assert grown < RESIDENT_GROWS_MIB_MAX
