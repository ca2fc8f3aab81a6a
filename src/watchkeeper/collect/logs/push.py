"""What is pushed: Loki's JSON and protobuf bodies into entries, at no more than the allowed rate.

source  Loki docs, HTTP API, Ingest logs; github.com/grafana/loki/pkg/push, push.proto
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from watchkeeper.collect.logs.settings import PushSettings
from watchkeeper.model.clock import Clock
from watchkeeper.model.doors import LogWriter
from watchkeeper.model.errors import BadInput, WatchkeeperError
from watchkeeper.model.logs import Entries, LogsAppended
from watchkeeper.model.metrics import counter

_DISCARDED = counter("watchkeeper_log_rate_limited_lines", "Pushed lines refused because of the rate limit.")
_DISCARDED_BYTES = counter("watchkeeper_log_rate_limited_bytes", "Pushed bytes refused because of the rate limit.")

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_PAIR = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*("(?:[^"\\\n]|\\.)*"|`[^`]*`)\s*(,|$)', re.ASCII)
_TIME_MAX_NS = (1 << 63) - 1
_CACHED_STREAMS_MAX = 20_000


class RateLimited(WatchkeeperError):
    """A push over the ingestion rate, in Loki's words; to be answered 429."""


class Push:
    """Takes pushed bodies. Called from the event loop's thread alone."""

    def __init__(self, writer: LogWriter, settings: PushSettings, clock: Clock) -> None:
        self._writer, self._settings, self._clock = writer, settings, clock
        self._left = float(settings.ingestion_burst_bytes)
        self._left_at_s = clock.monotonic_s()

    async def receive(self, entries: Sequence[Entries]) -> LogsAppended:
        """Store pushed entries; they are on the disk when this returns.

        raises  RateLimited over the ingestion rate, nothing is stored then; Refused when the disk does not take it
        """
        self._spend(entries)
        appended = self._writer.append(entries)
        await self._writer.commit()
        return appended

    def _spend(self, entries: Sequence[Entries]) -> None:
        lines = sum(len(each.lines) for each in entries)
        size = sum(sum(map(len, each.lines)) for each in entries)
        now_s, rate = self._clock.monotonic_s(), self._settings.ingestion_rate_bytes
        self._left = min(self._settings.ingestion_burst_bytes, self._left + (now_s - self._left_at_s) * rate)
        self._left_at_s = now_s
        if size > self._left:
            _DISCARDED.inc(lines)
            _DISCARDED_BYTES.inc(size)
            raise RateLimited(
                f"Ingestion rate limit exceeded for user fake (limit: {rate} bytes/sec) while attempting to ingest "
                f"'{lines}' lines totaling '{size}' bytes, reduce log volume or contact your Loki administrator to "
                "see if the limit can be increased"
            )
        self._left -= size


def read_json(body: bytes) -> list[Entries]:
    """Read a JSON push: {"streams": [{"stream": {…}, "values": [["<ns>", "<line>", {…}], …]}]}.

    raises  BadInput saying where it is not so
    """
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"couldn't parse push request: {error}") from None
    streams = content.get("streams") if isinstance(content, dict) else None
    if not isinstance(streams, list):
        raise BadInput('couldn\'t parse push request: got no list "streams"')
    return [_json_stream(stream, at) for at, stream in enumerate(streams)]


def _json_stream(stream: Any, at: int) -> Entries:
    labels, values = (stream.get("stream"), stream.get("values")) if isinstance(stream, dict) else (None, None)
    if not isinstance(labels, dict) or not isinstance(values, list):
        raise BadInput(f'couldn\'t parse push request: stream {at}: want {{"stream": {{…}}, "values": […]}}')
    try:
        if not set(map(type, values)) <= {list}:
            raise TypeError("a value that is no list")
        times = _times([value[0] for value in values])
        lines = [value[1].encode() for value in values]
        metadata = [_text_mapping(value[2]) if len(value) > 2 else {} for value in values] if _has_third(values) else ()
    except (TypeError, IndexError, AttributeError, KeyError, ValueError, UnicodeEncodeError) as error:
        want = 'want ["<nanoseconds>", "<line>"] or ["<nanoseconds>", "<line>", {…}]'
        raise BadInput(f"couldn't parse push request: stream {at}: {want} ({error})") from None
    return Entries(_checked_labels(labels), times, lines, metadata)


def _has_third(values: Sequence[Sequence[Any]]) -> bool:
    return max(map(len, values), default=0) > 2


def _times(texts: Sequence[Any]) -> list[int]:
    """Read nanoseconds written as text."""
    joined = "".join(texts)
    if not (joined.isascii() and joined.isdigit()) and texts:
        raise ValueError("a time that is no count of nanoseconds")
    times = list(map(int, texts)) if max(map(len, texts), default=0) < 20 else []
    if len(times) != len(texts) or max(times, default=0) > _TIME_MAX_NS:
        raise ValueError("a time beyond the year 2262")
    return times


def _text_mapping(content: Mapping[str, Any]) -> dict[str, str]:
    for name, value in content.items():
        if not isinstance(value, str):
            raise TypeError(f"structured metadata {name!r} that is no text")
    return dict(content)


def _checked_labels(labels: Mapping[str, Any]) -> dict[str, str]:
    for name, value in labels.items():
        if not _NAME.fullmatch(name) or not isinstance(value, str):
            shown = "{" + ", ".join(f'{n}="{v}"' for n, v in labels.items())[:200] + "}"
            raise BadInput(f"error parsing labels '{shown}' with error: label {name[:60]!r} is not a name with a text")
    return dict(labels)


def read_protobuf(body: bytes) -> list[Entries]:
    """Read a protobuf push (logproto.PushRequest, already unpacked).

    raises  BadInput saying what is wrong
    """
    from google.protobuf.message import DecodeError  # noqa: PLC0415 # 6 MB that idle processes need not hold

    from watchkeeper.collect.logs.pushproto import push_request  # noqa: PLC0415 # as above

    try:
        request = push_request().FromString(body)
    except DecodeError as error:
        raise BadInput(f"couldn't parse push request: {error}") from None
    return [_proto_stream(stream) for stream in request.streams]


def _proto_stream(stream: Any) -> Entries:
    entries = stream.entries
    times = [entry.timestamp.seconds * 1_000_000_000 + entry.timestamp.nanos for entry in entries]
    if times and not -_TIME_MAX_NS <= min(times) <= max(times) <= _TIME_MAX_NS:
        raise BadInput("couldn't parse push request: a time beyond the year 2262")
    lines = valid_utf8([entry.line for entry in entries])
    metadata: Sequence[Mapping[str, str]] = [
        {_text(pair.name): _text(pair.value) for pair in entry.structuredMetadata} for entry in entries
    ]
    return Entries(stream_labels(_text(stream.labels)), times, lines, metadata if any(metadata) else ())


def valid_utf8(lines: list[bytes]) -> list[bytes]:
    """Give lines as valid UTF-8; what is none becomes U+FFFD."""
    try:
        b"\n".join(lines).decode()
    except UnicodeDecodeError:
        return [line.decode(errors="replace").encode() for line in lines]
    return lines


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


_streams: dict[str, dict[str, str]] = {}


def stream_labels(text: str) -> dict[str, str]:
    """Read a stream written as {app="api", env="prod"}.

    raises  BadInput in Loki's words
    """
    found = _streams.get(text)
    if found is None:
        found = _read_labels(text)
        if len(_streams) < _CACHED_STREAMS_MAX and len(text) < 4096:
            _streams[text] = found
    return found


def _read_labels(text: str) -> dict[str, str]:
    inside = text.strip()
    if not (inside.startswith("{") and inside.endswith("}")):
        raise BadInput(f"error parsing labels '{text[:200]}' with error: want {{name=\"value\", …}}")
    inside, place, labels = inside[1:-1].strip(), 0, {}
    while place < len(inside):
        pair = _PAIR.match(inside, place)
        if pair is None:
            raise BadInput(f"error parsing labels '{text[:200]}' with error: syntax error at col {place + 2}")
        name, value = pair[1], pair[2]
        if name in labels:
            raise BadInput(f"stream '{text[:200]}' has duplicate label name: '{name}'")
        labels[name] = value[1:-1] if value[0] == "`" else _unquoted(value, text)
        place = pair.end()
    return labels


def _unquoted(quoted: str, text: str) -> str:
    try:
        return str(orjson.loads(quoted))  # Go's and JSON's escapes agree on all that Loki's clients write
    except orjson.JSONDecodeError:
        raise BadInput(f"error parsing labels '{text[:200]}' with error: invalid char escape") from None
