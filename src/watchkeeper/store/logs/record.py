"""Records of the log store's write-ahead log. Bytes in docs/formats/logs.md.

LINES  one append whole. u32 length of a JSON header {"streams": [[labels, lines, bytes, metadata], …],
       "positions": {path: base64}}; then for each stream int64 times, int32 line starts (n + 1), text.
       A record names its labels itself, so that no other record's damage can make it unreadable.
MARK   JSON {"mark": n}: when a block file says mark n, the lines of all records before this one are in it, or
       follow it here again.
"""

import base64
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from watchkeeper.model.errors import Damaged
from watchkeeper.model.labels import Labels
from watchkeeper.model.logs import LineMetadata
from watchkeeper.store.logs.columns import Columns

LINES = 1
MARK = 2
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Lines:
    """One append: lines by stream, and how far readers of files have come."""

    streams: Sequence[tuple[Labels, Columns]]
    positions: Mapping[str, bytes]


def encode_lines(record: Lines) -> bytes:
    """Give the payload of a LINES record."""
    header = orjson.dumps(
        {
            "streams": [
                [dict(labels), len(lines), len(lines.text), _metadata(lines.metadata)]
                for labels, lines in record.streams
            ],
            "positions": {path: base64.b64encode(kept).decode() for path, kept in record.positions.items()},
        }
    )
    parts = [_LENGTH.pack(len(header)), header]
    for _, lines in record.streams:
        parts += [lines.times.tobytes(), lines.starts.astype("<i4").tobytes(), lines.text]
    return b"".join(parts)


def decode_lines(payload: bytes) -> Lines:
    """Read a LINES record.

    raises  Damaged when the payload is not one
    """
    try:
        (length,) = _LENGTH.unpack_from(payload)
        place = _LENGTH.size + length
        header = orjson.loads(payload[_LENGTH.size : place])
        streams = []
        for labels, count, size, metadata in header["streams"]:
            times = np.frombuffer(payload, "<i8", count, place).astype(np.int64)  # aligned, and apart from the payload
            starts = np.frombuffer(payload, "<i4", count + 1, place + 8 * count).astype(np.int64)
            place += 8 * count + 4 * (count + 1)
            text = payload[place : place + size]
            place += size
            if len(text) != size or starts[-1] != size:
                raise Damaged("cannot read log record: its text is not what was declared")
            streams.append((labels, Columns(times, starts, text, _metadata_of(metadata))))
        return Lines(streams, {path: base64.b64decode(kept) for path, kept in header["positions"].items()})
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise Damaged(f"cannot read log record: {error}") from error


def encode_mark(mark: int) -> bytes:
    """Give the payload of a MARK record."""
    return orjson.dumps({"mark": mark})


def decode_mark(payload: bytes) -> int:
    """Read a MARK record.

    raises  Damaged when the payload is not one
    """
    try:
        return int(orjson.loads(payload)["mark"])
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"cannot read log record: {error}") from error


def _metadata(metadata: LineMetadata | None) -> object:
    if metadata is None:
        return None
    return [metadata.codes.tolist(), [dict(each) for each in metadata.sets]]


def _metadata_of(said: object) -> LineMetadata | None:
    if not isinstance(said, list):
        return None
    return LineMetadata(np.array(said[0], np.int32), said[1])
