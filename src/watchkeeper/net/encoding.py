"""Content codings, each undone within a limit: what unpacks to more than may be kept is cut there, not unpacked.

gzip, deflate, zstd, snappy (block, as remote write sends it; framed when it begins with the stream identifier)
"""

import zlib
from collections.abc import Callable

from watchkeeper.net.answers import Fault

_ZSTD_WINDOW_BYTES_MAX = 8 << 20  # RFC 9659: what a decoder of the web must take, and need not exceed
_SNAPPY_STREAM = b"\xff\x06\x00\x00sNaPpY"
_SNAPPY_RATIO_MAX = 22  # a copy of 64 bytes takes 3
_PIECE_BYTES = 256 << 10


def decompress(body: bytes, encoding: str, bytes_max: int) -> bytes:
    """Undo one content coding.

    encoding  the Content-Encoding header; "" or "identity" give the body back
    raises    Fault 415 unknown coding, 400 broken data, 413 more than bytes_max
    """
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return body
    decode = _DECODERS.get(name)
    if decode is None:
        want = ", ".join(sorted(_DECODERS))
        raise Fault(415, f"cannot decode body: got Content-Encoding {encoding[:60]!r}, want {want}", "encoding")
    return decode(body, bytes_max)


def compress(body: bytes, accepted: str) -> tuple[bytes, str]:
    """Pack an answer with the best coding that the caller takes.

    accepted  the Accept-Encoding header
    returns   the packed body and its coding, "" when left as it was
    """
    offers = _offers(accepted)
    if "zstd" in offers:
        import zstandard  # noqa: PLC0415 # a wheel of 1 MB that idle processes need not hold

        return zstandard.ZstdCompressor(level=1).compress(body), "zstd"
    if "gzip" in offers:
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        return packer.compress(body) + packer.flush(), "gzip"
    return body, ""


def _offers(accepted: str) -> set[str]:
    names = set()
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        if weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}:
            names.add(name.strip())
    return names


def too_large(bytes_max: int) -> Fault:
    """Give the answer for a body over its limit."""
    text = f"cannot read body: got more than {bytes_max} bytes, want at most {bytes_max}"
    return Fault(413, text, "body_size")


def _broken(coding: str, why: str) -> Fault:
    return Fault(400, f"cannot decode body: got {why}, want {coding}", "encoding")


def _gzip(body: bytes, bytes_max: int) -> bytes:
    return _inflate(body, bytes_max, 31, "gzip")


def _deflate(body: bytes, bytes_max: int) -> bytes:
    # RFC 9110 means zlib's wrapper; many senders leave it away, and a wrapper is told by its checksum.
    wrapped = len(body) >= 2 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
    return _inflate(body, bytes_max, 15 if wrapped else -15, "deflate")


def _inflate(body: bytes, bytes_max: int, wbits: int, coding: str) -> bytes:
    pieces: list[bytes] = []
    room = bytes_max
    rest = body
    while rest or not pieces:
        member = zlib.decompressobj(wbits)
        while not member.eof:
            try:
                piece = member.decompress(rest, min(room + 1, _PIECE_BYTES))
            except zlib.error as error:
                raise _broken(coding, str(error)) from None
            rest = member.unconsumed_tail
            room -= len(piece)
            if room < 0:
                raise too_large(bytes_max)
            if not piece and not rest and not member.eof:
                raise _broken(coding, "a truncated stream")
            pieces.append(piece)
        rest = member.unused_data
        if rest and wbits != 31:
            raise _broken(coding, "bytes after its end")
    return b"".join(pieces)


def _zstd(body: bytes, bytes_max: int) -> bytes:
    import zstandard  # noqa: PLC0415 # as above

    pieces: list[bytes] = []
    room = bytes_max
    unpacker = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES_MAX)
    try:
        if not body or not _frames_end(body):
            raise _broken("zstd", "a truncated stream")
        with unpacker.stream_reader(body, read_across_frames=True) as reader:
            while piece := reader.read(min(room + 1, _PIECE_BYTES)):
                room -= len(piece)
                if room < 0:
                    raise too_large(bytes_max)
                pieces.append(piece)
    except zstandard.ZstdError as error:
        raise _broken("zstd", str(error)) from None
    return b"".join(pieces)


def _frames_end(body: bytes) -> bool:
    """Say whether the last frame is whole: the reader itself ends quietly in the middle of one (RFC 8878, 3.1.1)."""
    at = 0
    while at < len(body):
        magic = int.from_bytes(body[at : at + 4], "little")
        if magic & 0xFFFFFFF0 == 0x184D2A50:
            at += 8 + int.from_bytes(body[at + 4 : at + 8], "little")
            continue
        if magic != 0xFD2FB528:
            return at + 4 <= len(body)  # not zstd: the reader says so
        if at + 5 > len(body):
            return False
        flags = body[at + 4]
        at += 5 + (0 if flags & 0x20 else 1) + (0, 1, 2, 4)[flags & 3]
        at += (1 if flags & 0x20 else 0, 2, 4, 8)[flags >> 6]
        while at + 3 <= len(body):
            block = int.from_bytes(body[at : at + 3], "little")
            at += 3 + (1 if block >> 1 & 3 == 1 else block >> 3)
            if block & 1:
                break
        else:
            return False
        at += 4 if flags & 4 else 0
    return at == len(body)


def _snappy(body: bytes, bytes_max: int) -> bytes:
    if body.startswith(_SNAPPY_STREAM):
        return _snappy_frames(body, bytes_max)
    return _snappy_block(body, bytes_max)


def _snappy_block(body: bytes, bytes_max: int) -> bytes:
    import cramjam  # noqa: PLC0415 # as above

    declared = _varint(body)
    if declared > len(body) * _SNAPPY_RATIO_MAX:
        raise _broken("snappy", f"a declared length of {declared} bytes in a body of {len(body)}")
    if declared > bytes_max:
        raise too_large(bytes_max)
    try:
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise _broken("snappy", str(error)) from None


def _varint(body: bytes) -> int:
    value = 0
    for at, byte in enumerate(body[:5]):
        value |= (byte & 0x7F) << (7 * at)
        if byte < 0x80:
            return value
    raise _broken("snappy", "no length")


def _snappy_frames(body: bytes, bytes_max: int) -> bytes:
    """Unpack chunk by chunk (framing_format.txt of Snappy), so that the limit holds before memory is taken."""
    room, at = bytes_max, 0
    while at < len(body):
        if at + 4 > len(body):
            raise _broken("snappy", "a truncated stream")
        kind, length = body[at], int.from_bytes(body[at + 1 : at + 4], "little")
        if at + 4 + length > len(body):
            raise _broken("snappy", "a truncated stream")
        if kind in {0, 1} and length >= 4:
            room -= _varint(body[at + 8 : at + 13]) if kind == 0 else length - 4
        if room < 0:
            raise too_large(bytes_max)
        at += 4 + length
    import cramjam  # noqa: PLC0415 # as above

    try:
        return bytes(cramjam.snappy.decompress(body))
    except cramjam.DecompressionError as error:
        raise _broken("snappy", str(error)) from None


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
    "snappy": _snappy,
    "x-snappy-framed": _snappy_frames,
}
