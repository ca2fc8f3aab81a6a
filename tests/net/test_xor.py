"""XOR chunks: what is written is read, bit by bit; damage ends in one error. Prometheus' own chunks: test_import."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.model.errors import BadInput
from watchkeeper.net.xor import decode, encode

BITS = st.integers(0, (1 << 64) - 1)
NEAR = st.sampled_from([0, 1, 0x3FF0000000000000, 0x4000000000000000, 0x7FF0000000000002, 1 << 63, (1 << 64) - 1])
STEPS = st.one_of(st.integers(-(1 << 40), 1 << 40), st.sampled_from([0, 1, 15_000, 8192, 8193, -8191, -8192, 1 << 19]))
CHUNK = st.lists(st.tuples(STEPS, st.one_of(NEAR, BITS)), min_size=1, max_size=12)


@settings(max_examples=300, deadline=None)
@given(st.lists(CHUNK, max_size=5))
def test_what_is_written_is_read(chunks: list[list[tuple[int, int]]]) -> None:
    counts = np.array([len(chunk) for chunk in chunks], np.int64)
    times = np.array([time for chunk in chunks for time in np.cumsum([step for step, _ in chunk]).tolist()], np.int64)
    values = np.array([bits for chunk in chunks for _, bits in chunk], np.uint64)
    found = decode(encode(counts, times, values.view(np.float64)))
    assert found[0].tolist() == counts.tolist()
    assert found[1].tolist() == times.tolist()
    assert found[2].view(np.uint64).tolist() == values.tolist()


def test_bytes_are_those_of_the_format() -> None:
    chunk = encode(np.array([3]), np.array([1000, 16_000, 31_000]), np.array([1.0, 1.0, 2.0]))[0]
    # Count; zigzag 2000, 1.0; uvarint 15000 and bit 0; bit 0 and 11, then 1 leading zero, 11 bits, 0x7ff.
    assert chunk.hex() == "0003d00f3ff000000000000098753097ffc0"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=4), st.integers(0, 60), st.integers(0, 255))
def test_damage_raises_nothing_but_bad_input(junk: list[bytes], at: int, byte: int) -> None:
    good = bytearray(encode(np.array([9]), np.arange(9) * 15_000, np.arange(9) / 7)[0])
    good[at % len(good)] = byte
    with contextlib.suppress(BadInput):
        decode([*junk, bytes(good)])


def test_a_chunk_that_is_cut_off_is_refused() -> None:
    whole = encode(np.array([9]), np.arange(9) * 15_000, np.arange(9) / 7)[0]
    with pytest.raises(BadInput, match="end before"):
        decode([whole[:-3]])
