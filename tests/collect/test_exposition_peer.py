"""The verdict on any body, and its samples, are those of the real Prometheus 3.5."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.collect.bodies import OPENMETRICS, TEXT
from tests.collect.conftest import BodyServer, RecordingWriter, make_loop

from watchkeeper.collect.fetch import Fetched
from watchkeeper.model.labels import LabelPairs, label_pairs

_KINDS = {"text": "text/plain; version=0.0.4", "om": "application/openmetrics-text; version=1.0.0; charset=utf-8"}
_CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: diff
  static_configs:
{groups}
"""
_GROUP = "  - {{targets: ['{address}'], labels: {{__metrics_path__: '/{path}', instance: '{path}'}}}}\n"
_UNEQUAL = {"scrape_duration_seconds", "scrape_series_added"}

# Prometheus makes the blanks before an indented line part of the metric's name; we do not follow it there.
INDENTED = [at for at, body in enumerate(TEXT) if body.startswith((b"  a", b"\ta"))]

Verdict = dict[LabelPairs, float]


def bodies() -> dict[str, bytes]:
    text = {f"text-{at}": body for at, body in enumerate(TEXT)}
    return text | {f"om-{at}": body for at, body in enumerate(OPENMETRICS)}


def ours(body: bytes, path: str) -> Verdict:
    async def scrape() -> Verdict:
        writer = RecordingWriter()

        async def fetch(_: Any) -> Fetched:
            return Fetched(body, _KINDS[path.partition("-")[0]].partition(";")[0])

        loop = make_loop(writer, fetch, job_name="diff", found={"__address__": "x:1", "instance": path})
        await loop.scrape_once(1000)
        first = {key: samples[-1][1] for key, samples in writer.samples().items()}
        writer.rows.clear()
        await loop.scrape_once(2000)  # through the remembered layout
        again = {key: samples[-1][1] for key, samples in writer.samples().items()}
        assert first.keys() == again.keys()
        return {key: samples[-1][1] for key, samples in writer.samples().items()}

    return asyncio.run(scrape())


def theirs(answer: list[Any]) -> dict[str, Verdict]:
    found: dict[str, Verdict] = {}
    for one in answer:
        instance = one["metric"]["instance"]
        found.setdefault(instance, {})[label_pairs(one["metric"])] = float(one["value"][1])
    return found


@pytest.mark.peer
def test_same_verdict_as_prometheus(server: BodyServer, real_prometheus: Callable[..., Any], tmp_path: Path) -> None:
    all_bodies = bodies()
    server.answers = {f"/{path}": (body, _KINDS[path.partition("-")[0]]) for path, body in all_bodies.items()}
    groups = "".join(_GROUP.format(address=server.address, path=path) for path in all_bodies)
    peer = real_prometheus(_CONFIG.format(groups=groups))
    peer.wait_for(lambda: len(peer.get("/api/v1/query", query="scrape_samples_scraped")["result"]) == len(all_bodies))
    answer = theirs(peer.get("/api/v1/query", query='{job="diff"}')["result"])
    wrong = []
    for number in INDENTED:
        del all_bodies[f"text-{number}"]
    for path, body in all_bodies.items():
        got, want = ours(body, path), answer[path]
        for verdict in (got, want):
            for key in [key for key in verdict if dict(key)["__name__"] in _UNEQUAL]:
                del verdict[key]
        if got.keys() != want.keys() or not all(np.array_equal(got[k], want[k], equal_nan=True) for k in got):
            wrong.append(
                (
                    path,
                    body[:200],
                    {k: v for k, v in got.items() if want.get(k) != v},
                    {k: v for k, v in want.items() if got.get(k) != v},
                )
            )
    assert not wrong, "\n".join(map(str, wrong))
