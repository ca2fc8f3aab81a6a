"""A block: the lines of one stream, sealed. The bytes are described in docs/formats/logs.md.

    header      "WKLB", u32 length of the descriptor, u32 CRC32C of the descriptor   (little endian)
    descriptor  JSON: labels, first, last, lines, bytes, parts [[name, length, CRC32C], …]
    parts       times    pcodec, int64 nanoseconds
                sizes    pcodec, uint32 bytes of each line with its newline
                codes    pcodec, uint32 metadata set of each line           (only with structured metadata)
                sets     zstd of a JSON list of objects                     (only with structured metadata)
                text     zstd of the lines, each followed by a newline      (always last)

Each part has its own checksum, so that damage in the text leaves the counts readable, and what is found damaged is
never shown.
"""

import struct
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np
import orjson
import zstandard
from pcodec import ChunkConfig
from pcodec.standalone import simple_compress, simple_decompress

from watchkeeper.model.errors import Damaged
from watchkeeper.model.labels import Labels
from watchkeeper.model.logs import LineMetadata, TimesNs
from watchkeeper.store.logs.columns import Columns

MAGIC = b"WKLB"
_HEADER = struct.Struct("<4sII")
_PCODEC = ChunkConfig(compression_level=2)
_TEXT_LEVEL = 1  # level 3 costs 2.6 times the time for no better ratio on log text
_TEXT_BYTES_MAX = 256 << 20
_of_thread = threading.local()


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a block says about itself.

    head_bytes  of header, descriptor and all parts but the text
    parts       name → (place from the block's beginning, length, CRC32C)
    """

    labels: Labels
    first_ns: int
    last_ns: int
    line_count: int
    size_bytes: int
    head_bytes: int
    parts: Mapping[str, tuple[int, int, int]]

    @property
    def total_bytes(self) -> int:
        """Of the block whole."""
        return max(place + length for place, length, _ in self.parts.values())


def encode(labels: Labels, lines: Columns) -> bytes:
    """Seal lines that are in order."""
    assert len(lines) > 0
    parts: list[tuple[str, bytes]] = [
        ("times", simple_compress(lines.times, _PCODEC)),
        ("sizes", simple_compress(np.diff(lines.starts).astype(np.uint32), _PCODEC)),
    ]
    if lines.metadata is not None:
        codes, sets = _compact(lines.metadata)
        parts.append(("codes", simple_compress(codes, _PCODEC)))
        parts.append(("sets", zstandard.ZstdCompressor(level=_TEXT_LEVEL).compress(orjson.dumps(sets))))
    parts.append(("text", zstandard.ZstdCompressor(level=_TEXT_LEVEL).compress(lines.text)))
    descriptor = orjson.dumps(
        {
            "labels": dict(labels),
            "first": int(lines.times[0]),
            "last": int(lines.times[-1]),
            "lines": len(lines),
            "bytes": lines.size_bytes,
            "parts": [[name, len(part), google_crc32c.value(part)] for name, part in parts],
        }
    )
    header = _HEADER.pack(MAGIC, len(descriptor), google_crc32c.value(descriptor))
    return b"".join([header, descriptor, *(part for _, part in parts)])


def describe(data: bytes, where: str) -> Descriptor:
    """Read a block's descriptor from its first bytes.

    raises  Damaged when they do not check out, or are too few
    """
    try:
        magic, length, check = _HEADER.unpack_from(data)
        described = data[_HEADER.size : _HEADER.size + length]
        if magic != MAGIC or len(described) != length or google_crc32c.value(described) != check:
            raise Damaged(f"cannot read log block {where}: its descriptor does not check out")
        return _descriptor(orjson.loads(described), _HEADER.size + length)
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"cannot read log block {where}: {error}") from error


def times_of(data: bytes, descriptor: Descriptor, where: str) -> TimesNs:
    """Give the times, from a block's head."""
    return _numbers(data, descriptor, "times", np.int64, where)


def starts_of(data: bytes, descriptor: Descriptor, where: str) -> TimesNs:
    """Give where lines start in the text, int64[n + 1], from a block's head."""
    starts = np.zeros(descriptor.line_count + 1, np.int64)
    np.cumsum(_numbers(data, descriptor, "sizes", np.uint32, where), out=starts[1:])
    return starts


def metadata_of(data: bytes, descriptor: Descriptor, where: str) -> LineMetadata | None:
    """Give the structured metadata, from a block's head."""
    if "codes" not in descriptor.parts:
        return None
    codes = _numbers(data, descriptor, "codes", np.uint32, where).astype(np.int32)
    sets = orjson.loads(_inflated(_part(data, descriptor, "sets", 0, where), None, where))
    if codes.max(initial=0) >= len(sets):
        raise Damaged(f"cannot read log block {where}: a line's metadata is missing")
    return LineMetadata(codes, sets)


def text_of(data: bytes, offset: int, descriptor: Descriptor, where: str) -> bytes:
    """Give the lines' text; `data` holds the block's bytes from `offset` on."""
    packed = _part(data, descriptor, "text", offset, where)
    return _inflated(packed, descriptor.size_bytes + descriptor.line_count, where)


def _descriptor(said: Any, begin: int) -> Descriptor:
    parts: dict[str, tuple[int, int, int]] = {}
    place = begin
    for name, length, check in said["parts"]:
        parts[name] = (place, int(length), int(check))
        place += int(length)
    return Descriptor(
        said["labels"], said["first"], said["last"], said["lines"], said["bytes"], parts["text"][0], parts
    )


def _part(data: bytes, descriptor: Descriptor, name: str, offset: int, where: str) -> bytes:
    place, length, check = descriptor.parts[name]
    part = data[place - offset : place - offset + length]
    if len(part) != length or google_crc32c.value(part) != check:
        raise Damaged(f"cannot read log block {where}: {name} do not check out")
    return part


def _numbers(data: bytes, descriptor: Descriptor, name: str, kind: type, where: str) -> Any:
    part = _part(data, descriptor, name, 0, where)
    try:
        numbers = simple_decompress(part)
    except (RuntimeError, ValueError) as error:
        raise Damaged(f"cannot read log block {where}: {name}: {error}") from error
    if numbers is None or numbers.dtype != kind or len(numbers) != descriptor.line_count:
        raise Damaged(f"cannot read log block {where}: {name} are not what was declared")
    return numbers


def _inflated(packed: bytes, size: int | None, where: str) -> bytes:
    try:
        declared = zstandard.frame_content_size(packed)
        if not 0 <= declared <= _TEXT_BYTES_MAX or (size is not None and declared != size):
            raise Damaged(f"cannot read log block {where}: {declared} bytes of text, want {size}")
        return _decompressor().decompress(packed)
    except zstandard.ZstdError as error:
        raise Damaged(f"cannot read log block {where}: {error}") from error


def _decompressor() -> zstandard.ZstdDecompressor:
    """Give this thread's own: making one costs as much as a small block."""
    found = getattr(_of_thread, "decompressor", None)
    if found is None:
        found = _of_thread.decompressor = zstandard.ZstdDecompressor()
    return found


def _compact(metadata: LineMetadata) -> tuple[Any, Sequence[Mapping[str, str]]]:
    """Give codes and sets, the first empty, each distinct set once and no set that no line has."""
    used, inverse = np.unique(metadata.codes, return_inverse=True)
    places: dict[bytes, int] = {b"{}": 0}
    sets: list[Mapping[str, str]] = [{}]
    renumbered = []
    for code in used.tolist():
        key = orjson.dumps(dict(metadata.sets[code]), option=orjson.OPT_SORT_KEYS)
        if key not in places:
            places[key] = len(sets)
            sets.append(metadata.sets[code])
        renumbered.append(places[key])
    return np.array(renumbered, np.uint32)[inverse], sets
