import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from watchkeeper.model.errors import Damaged
from watchkeeper.store.logs import block, blockfile
from watchkeeper.store.logs.columns import Columns, columns, in_order, joined, without

Entry = tuple[int, bytes, dict[str, str]]
LINES = st.lists(
    st.tuples(
        st.integers(0, 50),
        st.sampled_from([b"", b"a", b"b", b"two\nlines", b"\n", "é✓".encode(), b"x" * 300]),
        st.sampled_from([{}, {}, {"trace": "1"}, {"trace": "2", "b": ""}]),
    ),
    min_size=1,
    max_size=40,
)


def rows(lines: Columns) -> list[Entry]:
    out = []
    for at in range(len(lines)):
        metadata = {} if lines.metadata is None else dict(lines.metadata.sets[lines.metadata.codes[at]])
        out.append((int(lines.times[at]), lines.text[lines.starts[at] : lines.starts[at + 1] - 1], metadata))
    return out


def made(entries: list[Entry]) -> Columns:
    return columns(*zip(*entries, strict=True)) if entries else columns([], [])


@settings(max_examples=examples(100), deadline=None)
@given(LINES)
def test_a_sealed_block_gives_back_what_went_in(entries: list[Entry]) -> None:
    lines = in_order(made(entries))
    data = block.encode({"app": "a"}, lines)
    said = block.describe(data, "here")
    assert said.labels == {"app": "a"}
    assert said.total_bytes == len(data)
    again = Columns(
        block.times_of(data, said, ""),
        block.starts_of(data, said, ""),
        block.text_of(data, 0, said, ""),
        block.metadata_of(data, said, ""),
    )
    assert rows(again) == rows(lines)
    assert again.size_bytes == said.size_bytes


@settings(max_examples=examples(100), deadline=None)
@given(LINES, LINES)
def test_lines_are_sorted_and_exact_duplicates_kept_once_as_in_a_plain_loop(
    first: list[Entry], second: list[Entry]
) -> None:
    found = rows(in_order(joined([made(first), made(second)])))
    expected, seen = [], set()
    for entry in sorted([*first, *second], key=lambda entry: entry[0]):
        if (entry[0], entry[1]) not in seen:
            seen.add((entry[0], entry[1]))
            expected.append(entry)
    assert found == expected


@settings(max_examples=examples(100), deadline=None)
@given(LINES, LINES)
def test_lines_that_are_known_already_are_left_out(first: list[Entry], second: list[Entry]) -> None:
    known = {(time, line) for time, line, _ in second}
    found = rows(without(made(first), [in_order(made(second))]))
    assert found == [entry for entry in first if (entry[0], entry[1]) not in known]


def sample(seed: int, count: int = 200) -> bytes:
    chance = random.Random(seed)
    times = sorted(chance.randrange(10**18) for _ in range(count))
    lines = [f"line {at} {chance.getrandbits(64):x}".encode() for at in range(count)]
    return block.encode({"app": str(seed)}, columns(times, lines, [{"n": str(at)} for at in range(count)]))


def test_a_flipped_bit_anywhere_in_a_block_is_seen() -> None:
    data = sample(1)
    chance = random.Random(7)
    said = block.describe(data, "")
    whole = (block.times_of(data, said, ""), block.text_of(data, 0, said, ""))
    for _ in range(200):
        place, bit = chance.randrange(len(data)), 1 << chance.randrange(8)
        bad = data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
        damaged = 0
        try:
            said = block.describe(bad, "here")
        except Damaged:
            continue
        for read in (block.times_of, block.starts_of, block.metadata_of):
            try:
                read(bad, said, "here")
            except Damaged:
                damaged += 1
        try:
            assert block.text_of(bad, 0, said, "here") == whole[1]
        except Damaged:
            damaged += 1
        assert damaged == 1


def test_a_file_whose_index_is_damaged_gives_its_blocks_all_the_same() -> None:
    blocks = [sample(seed) for seed in range(5)]
    data, index = blockfile.build(3, blocks)
    footer = data[-blockfile.FOOTER.size :]
    length = blockfile.index_length(footer, len(data), "here")
    packed = data[-blockfile.FOOTER.size - length : -blockfile.FOOTER.size]
    read = blockfile.read_index(packed, footer, "here")
    assert read.mark == 3
    assert [dict(labels) for labels in read.labels] == [{"app": str(seed)} for seed in range(5)]
    for name, column in index.columns.items():
        assert np.array_equal(read.columns[name], column)
    with pytest.raises(Damaged):
        blockfile.read_index(packed[:-1] + bytes([packed[-1] ^ 1]), footer, "here")
    found = blockfile.scan(data[: len(data) // 2 * 2 - 9], "here")
    assert np.array_equal(found.columns["offset"], index.columns["offset"])
    torn = bytearray(data)
    torn[int(index.columns["offset"][2]) + 20] ^= 1
    assert len(blockfile.scan(bytes(torn), "here")) == 4
