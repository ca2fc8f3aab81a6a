"""Parquet: a reader of a few lines, by the format's own pages, gets back what was written. pyarrow 26 did, too."""

import io
import struct
from typing import Any

import numpy as np
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.net.parquet import ParquetWriter, Texts


class Thrift:
    """Reads the compact protocol: structs as {field number: value}."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    def varint(self) -> int:
        number = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    def value(self, kind: int) -> Any:
        if kind in (5, 6):
            number = self.varint()
            return (number >> 1) ^ -(number & 1)
        if kind == 8:
            size = self.varint()
            self.at += size
            return self.data[self.at - size : self.at].decode()
        if kind == 9:
            head = self.data[self.at]
            self.at += 1
            count = self.varint() if head >> 4 == 15 else head >> 4
            return [self.value(head & 15) for _ in range(count)]
        assert kind == 12, kind
        return self.struct()

    def struct(self) -> dict[int, Any]:
        found: dict[int, Any] = {}
        number = 0
        while head := self.data[self.at]:
            self.at += 1
            number += head >> 4
            found[number] = self.value(head & 15)
        self.at += 1
        return found


def page(data: bytes, at: int) -> tuple[dict[int, Any], bytes, int]:
    thrift = Thrift(data, at)
    header = thrift.struct()
    end = thrift.at + header[3]
    content = zstandard.ZstdDecompressor().decompress(data[thrift.at : end])
    assert len(content) == header[2]
    return header, content, end


def read(data: bytes) -> tuple[dict[int, Any], list[list[Any]]]:
    assert data[:4] == data[-4:] == b"PAR1"
    (size,) = struct.unpack("<I", data[-8:-4])
    meta = Thrift(data, len(data) - 8 - size).struct()
    columns: list[list[Any]] = [[] for _ in meta[2][1:]]
    for group in meta[4]:
        for column, chunk in zip(columns, group[1], strict=True):
            said = chunk[3]
            if 11 in said:
                column.extend(texts(data, said))
            else:
                header, content, _ = page(data, said[9])
                assert header[5][1] == said[5] == group[3]
                column.extend(np.frombuffer(content, "<i8" if said[1] == 2 else "<f8").tolist())
    return meta, columns


def texts(data: bytes, said: dict[int, Any]) -> list[str]:
    header, content, end = page(data, said[11])
    assert end == said[9]
    distinct, at = [], 0
    for _ in range(header[7][1]):
        (size,) = struct.unpack_from("<I", content, at)
        distinct.append(content[at + 4 : at + 4 + size].decode())
        at += 4 + size
    _, runs, _ = page(data, said[9])
    found, thrift = list[str](), Thrift(runs, 1)
    while thrift.at < len(runs):
        head, width = thrift.varint(), (runs[0] + 7) // 8
        assert not head & 1
        place = int.from_bytes(runs[thrift.at : thrift.at + width], "little")
        thrift.at += width
        found += [distinct[place]] * (head >> 1)
    return found


ROW = st.tuples(st.sampled_from(["", "a", "é" * 70]), st.integers(-(1 << 62), 1 << 62), st.floats(allow_nan=False))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(ROW, max_size=30), max_size=20))
def test_what_is_written_is_read(groups: list[list[tuple[str, int, float]]]) -> None:
    file = io.BytesIO()
    writer = ParquetWriter(file, [("text", "text"), ("when", "time"), ("number", "number")])
    for rows in groups:
        distinct = list(dict.fromkeys(text for text, _, _ in rows))
        places = np.array([distinct.index(text) for text, _, _ in rows], np.int64)
        times = np.array([time for _, time, _ in rows], np.int64)
        numbers = np.array([number for _, _, number in rows], np.float64)
        writer.write([Texts(distinct, places), times, numbers])
    writer.finish()
    meta, columns = read(file.getvalue())
    want = [row for rows in groups for row in rows]
    assert meta[3] == len(want)
    assert [one[4] for one in meta[2]] == ["schema", "text", "when", "number"]
    assert list(zip(*columns, strict=True)) == want


def test_places_among_many_texts_take_more_than_a_byte() -> None:
    file = io.BytesIO()
    writer = ParquetWriter(file, [("text", "text")])
    distinct = [str(at) for at in range(70_000)]
    writer.write([Texts(distinct, np.arange(70_000))])
    writer.finish()
    assert read(file.getvalue())[1] == [distinct]
