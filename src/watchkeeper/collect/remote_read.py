"""Asks a server for samples by Prometheus' remote read: a stream of XOR chunks, read as it comes.

The messages are those of api.remote_read, the other side.
source  prometheus.io/docs/specs/prw/remote_read_spec
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import cramjam
import google_crc32c
import numpy as np

from watchkeeper.model.errors import BadInput
from watchkeeper.model.history import History
from watchkeeper.model.matchers import Matcher
from watchkeeper.net.protobuf import BYTES, VARINT, field, fields, number_field, read_varint, varint
from watchkeeper.net.xor import decode

_OPS = {"=": 0, "!=": 1, "=~": 2, "!~": 3}
_STREAMED, _SAMPLES = 1, 0
_XOR = 1
_KINDS = (_XOR, 2, 3)  # the others are of histograms
_BATCH_BYTES = 4 << 20
_FRAME_BYTES_MAX = 64 << 20
HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Read-Version": "0.1.0",
}


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Give at most so many bytes, none at the end."""
        ...


def read_request(matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> bytes:
    """Give the body of a request for a stream."""
    told = (
        field(3, number_field(1, _OPS[one.op]) + field(2, one.name.encode()) + field(3, one.value.encode()))
        for one in matchers
    )
    query = number_field(1, start_ms) + number_field(2, end_ms) + b"".join(told)
    message = field(1, query) + field(2, varint(_STREAMED))
    return bytes(cramjam.snappy.compress_raw(message))


def read_stream(stream: Readable) -> Iterator[History]:
    """Give what a stream holds, some series at a time; a series with many chunks may come in several pieces.

    returns  numbers: chunks of native histograms are left out
    raises   BadInput when it is no such stream
    """
    batch: list[tuple[dict[str, str], list[bytes]]] = []
    size = 0
    for message in _frames(stream):
        for series in _parts(message, 1):
            labels = {b"".join(_parts(one, 1)).decode(): b"".join(_parts(one, 2)).decode() for one in _parts(series, 1)}
            batch.append((labels, [data for chunk in _parts(series, 2) if (data := _xor(chunk)) is not None]))
            size += len(series)
        if size > _BATCH_BYTES:
            yield _history(batch)
            batch, size = [], 0
    if batch:
        yield _history(batch)


def _history(batch: Sequence[tuple[dict[str, str], list[bytes]]]) -> History:
    counts, times, values = decode([chunk for _, chunks in batch for chunk in chunks])
    owners = np.repeat(np.arange(len(batch)), [len(chunks) for _, chunks in batch])
    per_series = np.zeros(len(batch), np.int64)
    np.add.at(per_series, owners, counts)
    return History([labels for labels, _ in batch], per_series, times, values)


def _xor(chunk: bytes) -> bytes | None:
    kind, data = 0, b""
    for number, wire, start, stop in fields(chunk, 0, len(chunk)):
        if number == 3 and wire == VARINT:
            kind = read_varint(chunk, start, stop)[0]
        elif number == 4 and wire == BYTES:
            data = chunk[start:stop]
    if kind not in _KINDS:
        raise BadInput(f"cannot read remote read answer: got a chunk of kind {kind}, want one of {_KINDS}")
    return data if kind == _XOR else None


def _parts(message: bytes, wanted: int) -> list[bytes]:
    return [
        message[start:stop]
        for number, kind, start, stop in fields(message, 0, len(message))
        if number == wanted and kind == BYTES
    ]


def _frames(stream: Readable) -> Iterator[bytes]:
    while True:
        length, shift = 0, 0
        while byte := stream.read(1):
            length |= (byte[0] & 0x7F) << shift
            shift += 7
            if byte[0] < 0x80:
                break
        else:
            if shift:
                raise BadInput("cannot read remote read answer: got a stream that is cut off")
            return
        if length > _FRAME_BYTES_MAX:
            raise BadInput(f"cannot read remote read answer: got a frame of {length} bytes, want {_FRAME_BYTES_MAX}")
        check, message = _exactly(stream, 4), _exactly(stream, length)
        if int.from_bytes(check, "big") != google_crc32c.value(message):
            raise BadInput("cannot read remote read answer: got a frame that does not check out")
        yield message


def _exactly(stream: Readable, size: int) -> bytes:
    pieces = []
    while size and (piece := stream.read(size)):
        pieces.append(piece)
        size -= len(piece)
    if size:
        raise BadInput("cannot read remote read answer: got a stream that is cut off")
    return b"".join(pieces)
