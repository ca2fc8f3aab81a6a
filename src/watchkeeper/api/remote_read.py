"""Prometheus' remote read: another Prometheus, or Thanos, reads our samples as its own.

prometheus.ReadRequest   1 queries*, 2 accepted_response_types* (0 samples, 1 streamed XOR chunks)
Query                    1 start_timestamp_ms, 2 end_timestamp_ms, 3 matchers*
LabelMatcher             1 type (0 =, 1 !=, 2 =~, 3 !~), 2 name, 3 value
ReadResponse             1 results*; QueryResult 1 timeseries*; TimeSeries 1 labels*, 2 samples*
ChunkedReadResponse      1 chunked_series*, 2 query_index; ChunkedSeries 1 labels*, 2 chunks*
Chunk                    1 min_time_ms, 2 max_time_ms, 3 type (1 XOR, 3 histograms of floats), 4 data

A streamed answer is frames: uvarint length, CRC-32C of the message (big endian), message.
source  prometheus.io/docs/specs/prw/remote_read_spec; Prometheus 3.5, storage/remote/read_handler.go, chunked.go
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cramjam
import google_crc32c
import numpy as np
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from watchkeeper.model.document import Settings, setting
from watchkeeper.model.doors import MetricReader
from watchkeeper.model.errors import BadInput
from watchkeeper.model.frame import Floats, FrameSlice, Times, histogram_numbers, is_absent, is_histogram
from watchkeeper.model.histogram import Buckets, Histogram, to_spans
from watchkeeper.model.labels import Labels
from watchkeeper.model.matchers import Matcher, MatchOp
from watchkeeper.model.metrics import counter, gauge
from watchkeeper.net.answers import Fault
from watchkeeper.net.encoding import decompress
from watchkeeper.net.histogram_chunk import write_chunks
from watchkeeper.net.protobuf import (
    BYTES,
    VARINT,
    BrokenMessage,
    double_field,
    field,
    fields,
    number_field,
    read_numbers,
    read_varint,
    signed,
    varint,
    want,
    zigzag,
)
from watchkeeper.net.routing import READ, Call, Route
from watchkeeper.net.xor import CHUNK_SAMPLES, encode

SAMPLES, STREAMED = 0, 1
_OPS: tuple[MatchOp, ...] = ("=", "!=", "=~", "!~")
_BODY_BYTES_MAX = 4 << 20
_SERIES_AT_ONCE = 256
_XOR, _HISTOGRAMS = 1, 3

_queries = gauge("prometheus_api_remote_read_queries", "Remote read requests that are answered now.")
_requests = counter("watchkeeper_remote_reads", "Remote read requests, by what was answered.", ("answer",))


class RemoteReadSettings(Settings):
    """Limits of answering remote read."""

    samples_max: int = setting(
        50_000_000, "An answer that is not streamed is refused above this.", unit="samples", ge=1
    )
    at_once_max: int = setting(10, "More requests at the same time wait.", unit="requests", ge=1)
    frame_bytes_max: int = setting(1 << 20, "A streamed frame is cut here.", unit="bytes", ge=1024)
    queries_max: int = setting(100, "A request with more queries is refused.", unit="queries", ge=1)


@dataclass(frozen=True, slots=True)
class _Query:
    start_ms: int
    end_ms: int
    matchers: tuple[Matcher, ...]


@dataclass(frozen=True, slots=True)
class _Series:
    """One series of an answer; its row is read when its turn comes."""

    labels: Labels
    part: FrameSlice
    row: int

    def samples(self) -> tuple[Times, Floats]:
        """Give the numbers among the samples."""
        values = self.part.values[self.row]
        if not self.part.gaps and not self.part.histograms:
            return self.part.times, values
        there = ~(is_absent(values) | is_histogram(values))
        return self.part.times[there], values[there]

    def histograms(self) -> list[tuple[int, Histogram]]:
        """Give the native histograms among the samples, each with its time."""
        if not self.part.histograms:
            return []
        values = self.part.values[self.row]
        there = is_histogram(values)
        held = (self.part.histograms[number] for number in histogram_numbers(values[there]).tolist())
        return list(zip(self.part.times[there].tolist(), held, strict=True))


def routes(
    reader: MetricReader,
    settings: RemoteReadSettings | None = None,
    external_labels: Callable[[], Mapping[str, str]] = dict,
) -> list[Route]:
    """Give the route of remote read.

    external_labels  added to all series, and taken for matched where a query asks for them
    """
    limits = settings or RemoteReadSettings()
    turn = asyncio.Semaphore(limits.at_once_max)

    async def read(call: Call) -> Response:
        """Answer POST /api/v1/read with samples, or with a stream of XOR chunks when the caller takes them."""
        body = call.body
        if not call.headers.get("content-encoding"):
            body = decompress(body, "snappy", _BODY_BYTES_MAX)
        try:
            queries, accepted = _read_request(body)
        except BrokenMessage as fault:
            text = f"cannot read remote read request: got {fault.got} at byte {fault.at}, want prometheus.ReadRequest"
            raise BadInput(text) from None
        if len(queries) > limits.queries_max:
            raise BadInput(f"remote_read.queries_max: got {len(queries)}, want at most {limits.queries_max}")
        kind = next((one for one in accepted if one in (SAMPLES, STREAMED)), None) if accepted else SAMPLES
        if kind is None:
            raise BadInput(f"server does not support any of the requested response types: {accepted}")
        outside = external_labels()
        answers = _answers(reader, queries, outside)
        if kind == STREAMED:
            _requests.labels("streamed").inc()
            media = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
            return StreamingResponse(_held(turn, _frames(answers, limits.frame_bytes_max)), media_type=media)
        _requests.labels("samples").inc()
        async with turn:
            packed = await asyncio.to_thread(_whole, answers, limits.samples_max)
        return Response(packed, media_type="application/x-protobuf", headers={"Content-Encoding": "snappy"})

    return [
        Route(
            "/api/v1/read",
            ("POST",),
            read,
            READ,
            "Remote read: samples, or a stream of chunks.",
            body_bytes_max=_BODY_BYTES_MAX,
            error=lambda status, text: PlainTextResponse(text + "\n", status),
        )
    ]


async def _held(turn: asyncio.Semaphore, frames: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Make frames in a thread, as few at a time as the caller takes."""
    async with turn:
        with _queries.track_inprogress():
            while (frame := await asyncio.to_thread(next, frames, None)) is not None:
                yield frame


# -- the request


def _read_request(body: bytes) -> tuple[list[_Query], list[int]]:
    queries, accepted = [], list[int]()
    for number, kind, start, stop in fields(body, 0, len(body)):
        if number == 1:
            want(kind, BYTES, start, "field 1 of ReadRequest")
            queries.append(_read_query(body, start, stop))
        elif number == 2:
            accepted += read_numbers(body, kind, start, stop)
    return queries, accepted


def _read_query(body: bytes, at: int, end: int) -> _Query:
    numbers, matchers = {1: 0, 2: 0}, []
    for number, kind, start, stop in fields(body, at, end):
        if number in numbers:
            want(kind, VARINT, start, f"field {number} of Query")
            numbers[number] = signed(read_varint(body, start, stop)[0])
        elif number == 3:
            want(kind, BYTES, start, "field 3 of Query")
            matchers.append(_read_matcher(body, start, stop))
    return _Query(numbers[1], numbers[2], tuple(matchers))


def _read_matcher(body: bytes, at: int, end: int) -> Matcher:
    op, texts = 0, {2: "", 3: ""}
    for number, kind, start, stop in fields(body, at, end):
        if number == 1:
            want(kind, VARINT, start, "a matcher's type")
            op = read_varint(body, start, stop)[0]
        elif number in texts:
            want(kind, BYTES, start, "a matcher's text")
            try:
                texts[number] = body[start:stop].decode()
            except UnicodeDecodeError:
                raise BrokenMessage(start, "text that is no UTF-8") from None
    if op >= len(_OPS):
        raise BadInput(f"invalid matcher type {op}")
    return Matcher(texts[2], _OPS[op], texts[3])


# -- what is answered


def _answers(
    reader: MetricReader, queries: Sequence[_Query], outside: Mapping[str, str]
) -> Iterator[tuple[int, list[_Series]]]:
    """Give each query's series, ordered by their labels."""
    for index, query in enumerate(queries):
        own = [one for one in query.matchers if outside.get(one.name) != one.value or one.op != "="]
        series = [
            _Series({**outside, **labels}, part, row)
            for part in reader.select(own, query.start_ms, query.end_ms)
            for row, labels in enumerate(part.labels.labels())
        ]
        yield index, sorted(series, key=lambda one: sorted(one.labels.items()))


def _labels(labels: Labels) -> bytes:
    pairs = ((name.encode(), text.encode()) for name, text in sorted(labels.items()))
    return b"".join(field(1, field(1, name) + field(2, text)) for name, text in pairs)


def _whole(answers: Iterator[tuple[int, list[_Series]]], samples_max: int) -> bytes:
    results, count = [], 0
    for _, series in answers:
        told = []
        for one in series:
            times, values = one.samples()
            held = one.histograms()
            count += len(times) + len(held)
            if count > samples_max:
                raise Fault(400, f"exceeded sample limit ({samples_max})", "samples")
            samples = (
                field(2, double_field(1, value) + number_field(2, time_ms))
                for time_ms, value in zip(times.tolist(), values.tolist(), strict=True)
            )
            told.append(field(1, _labels(one.labels) + b"".join(samples) + b"".join(map(_histogram, held))))
        results.append(field(1, b"".join(told)))
    return bytes(cramjam.snappy.compress_raw(b"".join(results)))


def _histogram(sample: tuple[int, Histogram]) -> bytes:
    """Give the field of a series that holds one native histogram, its counts as floats.

    source  Prometheus 3.5, prompb/types.proto Histogram
    """
    time_ms, one = sample
    parts = [
        double_field(2, one.count) + double_field(3, one.sum) + number_field(4, zigzag(one.schema)),
        double_field(5, one.zero_threshold) + double_field(7, one.zero_count),
        _side(8, 10, one.negative) + _side(11, 13, one.positive),
        number_field(14, one.hint) + number_field(15, time_ms),
        field(16, one.bounds.tobytes()) if one.custom else b"",
    ]
    return field(4, b"".join(parts))


def _side(spans_at: int, counts_at: int, side: Buckets) -> bytes:
    spans = (number_field(1, zigzag(offset)) + number_field(2, length) for offset, length in to_spans(side))
    return b"".join(field(spans_at, span) for span in spans) + (
        field(counts_at, side.counts.tobytes()) if len(side) else b""
    )


def _frames(answers: Iterator[tuple[int, list[_Series]]], bytes_max: int) -> Iterator[bytes]:
    """Give the frames of a stream; a series with many chunks is told in more than one."""
    for index, series in answers:
        for first in range(0, len(series), _SERIES_AT_ONCE):
            for labels, chunks in _chunked(series[first : first + _SERIES_AT_ONCE]):
                head = _labels(labels)
                pending, size = list[bytes](), len(head)
                for chunk in chunks:
                    pending.append(chunk)
                    size += len(chunk)
                    if size >= bytes_max:
                        yield _frame(head, pending, index)
                        pending, size = [], len(head)
                if pending:
                    yield _frame(head, pending, index)


def _frame(head: bytes, chunks: Sequence[bytes], index: int) -> bytes:
    message = field(1, head + b"".join(chunks)) + number_field(2, index)
    return varint(len(message)) + google_crc32c.value(message).to_bytes(4, "big") + message


def _chunked(series: Sequence[_Series]) -> Iterator[tuple[Labels, list[bytes]]]:
    """Give each series' Chunk fields; the chunks of all of them are made together."""
    nothing = np.empty(0, np.int64), np.empty(0, np.float64)
    parts = [nothing if one.part.histograms else one.samples() for one in series]  # those with histograms go their way
    counts, of_series = list[int](), list[int]()
    for place, (times, _) in enumerate(parts):
        whole, rest = divmod(len(times), CHUNK_SAMPLES)
        own = [CHUNK_SAMPLES] * whole + ([rest] if rest else [])
        counts += own
        of_series += [place] * len(own)
    lengths = np.array(counts, np.int64)
    times = np.concatenate([part[0] for part in parts])
    bits = np.concatenate([part[1].view(np.uint64) for part in parts])  # a float move may quieten NaNs
    chunks = encode(lengths, times, bits.view(np.float64))
    stops = np.cumsum(lengths)
    found: list[list[bytes]] = [[] for _ in series]
    for place, start, stop, chunk in zip(of_series, (stops - lengths).tolist(), stops.tolist(), chunks, strict=True):
        found[place].append(_chunk(int(times[start]), int(times[stop - 1]), chunk, _XOR))
    for one, own_chunks in zip(series, found, strict=True):
        yield one.labels, own_chunks if not one.part.histograms else _mixed(one)


def _mixed(series: _Series) -> list[bytes]:
    """Give the Chunk fields of a series that may have histograms: a chunk holds floats, or these."""
    times, values = series.part.times, series.part.values[series.row]
    there = ~is_absent(values)
    times, native = times[there], is_histogram(values[there])
    floats, held = series.samples(), series.histograms()
    cuts = [0, *(np.flatnonzero(np.diff(native)) + 1).tolist(), len(native)]
    chunks, at_float, at_native = list[bytes](), 0, 0
    for low, high in pairwise(cuts):
        if high > low and native[low]:
            own = held[at_native : at_native + high - low]
            at_native += high - low
            chunks += [_chunk(*one, _HISTOGRAMS) for one in write_chunks(own, CHUNK_SAMPLES)]
        else:
            here = slice(at_float, at_float + high - low)
            own_times, own_values = floats[0][here], floats[1][here]
            at_float += high - low
            for first in range(0, high - low, CHUNK_SAMPLES):
                some = own_times[first : first + CHUNK_SAMPLES]
                bits = own_values.view(np.uint64)[first : first + CHUNK_SAMPLES]
                (data,) = encode(np.array([len(some)]), some, bits.view(np.float64))
                chunks.append(_chunk(int(some[0]), int(some[-1]), data, _XOR))
    return chunks


def _chunk(start_ms: int, end_ms: int, data: bytes, kind: int) -> bytes:
    span = number_field(1, start_ms) + number_field(2, end_ms)
    return field(2, span + number_field(3, kind) + field(4, data))
