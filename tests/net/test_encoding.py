import gzip
import zlib
from collections.abc import Callable

import cramjam
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.net.answers import Fault
from watchkeeper.net.encoding import compress, decompress


def _raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(body) + packer.flush()


def _zstd_stream(body: bytes) -> bytes:
    packer = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return packer.compress(body) + packer.flush()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": lambda body: gzip.compress(body[:7]) + gzip.compress(body[7:]),
    "deflate": zlib.compress,
    "Deflate": _raw_deflate,
    "zstd": zstandard.ZstdCompressor().compress,
    "ZSTD": _zstd_stream,
    "zstd ": lambda body: _zstd_stream(body[:7]) + zstandard.compress(body[7:]),
    "snappy": lambda body: bytes(cramjam.snappy.compress_raw(body)),
    "SNAPPY": lambda body: bytes(cramjam.snappy.compress(body)),
    "x-snappy-framed": lambda body: bytes(cramjam.snappy.compress(body)),
    "identity": lambda body: body,
    "": lambda body: body,
}


@pytest.mark.parametrize("coding", PACKERS)
@pytest.mark.parametrize("body", [b"", b"x", b"hello " * 99, bytes(range(256)) * 3000])
def test_each_coding_is_undone(coding: str, body: bytes) -> None:
    packed = PACKERS[coding](body)
    assert not packed or decompress(packed, coding, 1 << 20) == body


@pytest.mark.parametrize("coding", [coding for coding in PACKERS if coding.strip().lower() not in {"", "identity"}])
def test_the_limit_is_exact(coding: str) -> None:
    body = bytes(100_000)
    packed = PACKERS[coding](body)
    assert decompress(packed, coding, 100_000) == body
    with pytest.raises(Fault) as caught:
        decompress(packed, coding, 99_999)
    assert caught.value.status == 413


@pytest.mark.parametrize("coding", [coding for coding in PACKERS if coding.strip().lower() not in {"", "identity"}])
def test_cut_bodies_are_refused_wherever_they_are_cut(coding: str) -> None:
    body = bytes(range(256)) * 2
    packed = PACKERS[coding](body)
    for end in range(len(packed)):
        try:
            got = decompress(packed[:end], coding, 1 << 20)
        except Fault as fault:
            assert fault.status == 400  # noqa: PT017 # one of two right ends
        else:
            assert body.startswith(got) and len(got) < len(body), "only between members may a stream end early"
            assert coding in {"x-gzip", "zstd ", "SNAPPY", "x-snappy-framed"}, end


@given(st.sampled_from(["gzip", "deflate", "zstd", "snappy", "x-snappy-framed"]), st.binary(max_size=300))
def test_garbage_is_a_fault_and_nothing_else(coding: str, body: bytes) -> None:
    for start in (b"", b"\x1f\x8b\x08\0\0\0\0\0\0\3", b"\x28\xb5\x2f\xfd", b"\xff\x06\x00\x00sNaPpY", b"\x78\x9c"):
        try:
            assert len(decompress(start + body, coding, 1000)) <= 1000
        except Fault as fault:
            assert fault.status in {400, 413}  # noqa: PT017 # one of two right ends


def test_answers_are_packed_with_what_is_offered() -> None:
    body = b"x" * 10_000
    for accepted, coding in [("gzip", "gzip"), ("br, zstd, gzip", "zstd"), ("br", ""), ("gzip; q=0", ""), ("", "")]:
        packed, got = compress(body, accepted)
        assert got == coding and decompress(packed, got, 1 << 20) == body
