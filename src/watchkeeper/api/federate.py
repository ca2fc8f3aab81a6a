"""GET /federate: the newest sample of chosen series, for another Prometheus to scrape.

source  Prometheus 3.5, web/federate.go; github.com/prometheus/common, expfmt (text 0.0.4, delimited protobuf)
"""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby

import numpy as np
from starlette.responses import PlainTextResponse, Response

from watchkeeper.api.prometheus_params import matcher_sets
from watchkeeper.model.clock import Clock
from watchkeeper.model.doors import MetricReader
from watchkeeper.model.errors import WatchkeeperError
from watchkeeper.model.frame import FrameSlice, is_absent, is_histogram, is_stale
from watchkeeper.model.labels import METRIC_NAME, Labels, label_pairs
from watchkeeper.model.matchers import Matcher
from watchkeeper.net.protobuf import double_field, field, number_field, varint
from watchkeeper.net.routing import READ, Call, Route
from watchkeeper.query.promql.numerals import go_float

_TEXT = "text/plain; version=0.0.4; charset=utf-8; escaping="
_PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping="
_UTF8 = "escaping=allow-utf-8"
_ILLEGAL = re.compile(r"^[^a-zA-Z_:]|[^a-zA-Z0-9_:]")
_UNTYPED = 3

Sample = tuple[Mapping[str, str], float, int]
Escape = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class _Federation:
    reader: MetricReader
    clock: Clock
    lookback_ms: int
    external: Callable[[], Labels]

    async def federate(self, call: Call) -> Response:
        """Answer GET /federate?match[]=…"""
        try:
            sets = matcher_sets(call, where="")
            body, kind = await asyncio.to_thread(self._body, sets, call.headers.get("accept", "").replace(" ", ""))
        except WatchkeeperError as fault:
            return PlainTextResponse(f"{fault}\n", 400)
        return Response(body, media_type=None, headers={"content-type": kind})

    def _body(self, sets: Sequence[Sequence[Matcher]], accept: str) -> tuple[bytes, str]:
        now_ms = self.clock.now_ms()
        found: dict[tuple[tuple[str, str], ...], Sample] = {}
        for matchers in sets:
            for frame in self.reader.select(matchers, now_ms - self.lookback_ms + 1, now_ms):
                for sample in newest(frame):
                    found[label_pairs(sample[0])] = sample
        samples = [sample for _, sample in sorted(found.items()) if METRIC_NAME in sample[0]]
        samples.sort(key=lambda sample: sample[0][METRIC_NAME])
        families = groupby(samples, key=lambda sample: sample[0][METRIC_NAME])
        external = dict(sorted({"instance": "", **self.external()}.items()))
        escape = str if _UTF8 in accept else _escaped
        how = "allow-utf-8" if _UTF8 in accept else "underscores"
        write, kind = (_message, _PROTOBUF) if "protobuf" in accept else (_family, _TEXT)
        return b"".join(write(escape(name), list(one), external, escape) for name, one in families), kind + how


def newest(frame: FrameSlice) -> Iterator[Sample]:
    """Give each series' newest sample; those that ended have none, and a native histogram has no text."""
    if not frame.values.size:
        return
    there = ~is_absent(frame.values)
    last = frame.values.shape[1] - 1 - there[:, ::-1].argmax(axis=1)
    values = frame.values[np.arange(len(last)), last]
    kept = there.any(axis=1) & ~is_stale(values) & ~is_histogram(values)
    labels = frame.labels.take(kept).labels()
    yield from zip(labels, values[kept].tolist(), frame.times[last[kept]].tolist(), strict=True)


def _escaped(name: str) -> str:
    """Give a name that old scrapers take."""
    return _ILLEGAL.sub("_", name)


def _pairs(labels: Labels, external: Labels, escape: Escape) -> list[tuple[str, str]]:
    own = [(escape(name), value) for name, value in labels.items() if name != METRIC_NAME]
    return own + [(name, value) for name, value in external.items() if name not in labels]


def _family(name: str, samples: Sequence[Sample], external: Labels, escape: Escape) -> bytes:
    plain = name.replace(":", "_").isidentifier() and name.isascii()
    shown = name if plain else _quoted(name)
    lines = [f"# TYPE {shown} untyped\n"]
    for labels, value, time_ms in samples:
        inner = [f"{_key(key)}={_quoted(text)}" for key, text in _pairs(labels, external, escape)]
        head = f"{name}{{{','.join(inner)}}}" if plain else f"{{{','.join([shown, *inner])}}}"
        lines.append(f"{head} {_number(value)} {time_ms}\n")
    return "".join(lines).encode()


def _key(name: str) -> str:
    return name if name.isidentifier() and name.isascii() else _quoted(name)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return f'"{escaped}"'


def _number(value: float) -> str:
    """Write a number as Go's strconv does with 'g' and precision -1: an exponent below 1e-4 and from 1e+06."""
    if not np.isfinite(value) or not value:
        return go_float(value)
    power = Decimal(repr(value)).adjusted()
    if -4 <= power < 6:
        return go_float(value)
    mantissa = f"{Decimal(repr(value)):e}".lower().partition("e")[0]
    mantissa = mantissa.rstrip("0").removesuffix(".") if "." in mantissa else mantissa
    return f"{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"


def _message(name: str, samples: Sequence[Sample], external: Labels, escape: Escape) -> bytes:
    metrics = b"".join(field(4, _metric(sample, external, escape)) for sample in samples)
    message = field(1, name.encode()) + number_field(3, _UNTYPED) + metrics
    return varint(len(message)) + message


def _metric(sample: Sample, external: Labels, escape: Escape) -> bytes:
    labels, value, time_ms = sample
    pairs = b"".join(
        field(1, field(1, key.encode()) + field(2, text.encode())) for key, text in _pairs(labels, external, escape)
    )
    return pairs + field(5, double_field(1, value)) + number_field(6, time_ms)


def _refused(status: int, text: str) -> Response:
    return PlainTextResponse("Method Not Allowed\n" if status == 405 else f"{text}\n", status)


def routes(reader: MetricReader, clock: Clock, lookback_ms: int, external: Callable[[], Labels]) -> list[Route]:
    """Give the route.

    external  labels that are added to what lacks them
    """
    handler = _Federation(reader, clock, lookback_ms, external).federate
    return [Route("/federate", ("GET",), handler, READ, "Newest samples of chosen series", error=_refused)]
