"""Which series label bytes stand for, without keeping the bytes: a table of hashes, and the bytes themselves packed.

A hundred thousand series take 5 MB so; a dictionary of their bytes took 20 MB or more. Two series of one hash would
become one: Python's hash of bytes is keyed anew in every process and has 64 bits, so that among a million series the
odds of any such pair are 1 in 40 million, and no sender can choose one.
"""

from array import array
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import zstandard

_SLOTS_MIN = 1024
_PACK_KEYS = 256
_UNPACKED_MAX = 8
_pack = zstandard.ZstdCompressor(level=1)
_unpack = zstandard.ZstdDecompressor()

Ints = npt.NDArray[np.int64]


def hashes_of(texts: Sequence[bytes]) -> Ints:
    """Give int64[n]: the hash of each text, good within this process."""
    return np.fromiter(map(hash, texts), np.int64, len(texts))


class KnownSeries:
    """Numbers by 64-bit hashes: an open table with linear probing that is never more than half full."""

    def __init__(self) -> None:
        self.clear()

    def __len__(self) -> int:
        return self._count

    def clear(self) -> None:
        """Forget all series."""
        self._count = 0
        self._hashes = np.zeros(_SLOTS_MIN, np.int64)
        self._numbers = np.full(_SLOTS_MIN, -1, np.int32)

    def find(self, hashes: Ints) -> Ints:
        """Give the number of each series by its hash, -1 for those that are not known."""
        mask = len(self._hashes) - 1
        slots = hashes & mask
        numbers = self._numbers[slots].astype(np.int64)
        open_ = np.flatnonzero((self._hashes[slots] != hashes) & (numbers >= 0))
        while len(open_):  # another series lies there: look in the next slot
            slots[open_] = at = (slots[open_] + 1) & mask
            numbers[open_] = found = self._numbers[at]
            open_ = open_[(self._hashes[at] != hashes[open_]) & (found >= 0)]
        return numbers

    def get(self, value: int) -> int | None:
        """Give a series' number by its hash."""
        mask = len(self._hashes) - 1
        slot = value & mask
        while (number := int(self._numbers[slot])) >= 0:
            if self._hashes[slot] == value:
                return number
            slot = (slot + 1) & mask
        return None

    def add(self, value: int, number: int) -> None:
        """Note the hash of a series that is not known."""
        if 2 * self._count >= len(self._hashes):
            self._grow()
        mask = len(self._hashes) - 1
        slot = value & mask
        while self._numbers[slot] >= 0:
            slot = (slot + 1) & mask
        self._hashes[slot], self._numbers[slot] = value, number
        self._count += 1

    def _grow(self) -> None:
        there = self._numbers >= 0
        hashes, numbers = self._hashes[there], self._numbers[there]
        size = 4 * len(self._hashes)
        self._hashes, self._numbers = np.zeros(size, np.int64), np.full(size, -1, np.int32)
        slots = hashes & (size - 1)
        left = np.arange(len(hashes))
        while len(left):  # of those that want one free slot, the last gets it; the others look in the next
            free = self._numbers[slots[left]] < 0
            takers = left[free]
            self._numbers[slots[takers]] = numbers[takers]
            won = self._numbers[slots[left]] == numbers[left]
            self._hashes[slots[left[won]]] = hashes[left[won]]
            left = left[~won]
            slots[left] = (slots[left] + 1) & (size - 1)


class LabelBytes:
    """The label bytes of each series by its number, packed some hundreds together; read when a layout is made."""

    def __init__(self) -> None:
        self.clear()

    def __len__(self) -> int:
        return len(self._packs) * _PACK_KEYS + len(self._latest)

    def clear(self) -> None:
        """Forget all."""
        self._packs: list[bytes] = []
        self._latest: list[bytes] = []
        self._unpacked: OrderedDict[int, list[bytes]] = OrderedDict()

    def append(self, key: bytes) -> None:
        """Keep the bytes of the next number."""
        self._latest.append(key)
        if len(self._latest) == _PACK_KEYS:
            lengths = array("I", map(len, self._latest))
            packed = _pack.compress(lengths.tobytes() + b"".join(self._latest))
            self._packs.append(bytes(memoryview(packed)))  # what the compressor gives holds on to its whole buffer
            self._latest = []

    def get(self, number: int) -> bytes:
        """Give the bytes of a number."""
        pack, at = divmod(number, _PACK_KEYS)
        if pack == len(self._packs):
            return self._latest[at]
        keys = self._unpacked.get(pack)
        if keys is None:
            keys = self._unpacked[pack] = _unpacked(self._packs[pack])
            if len(self._unpacked) > _UNPACKED_MAX:
                self._unpacked.popitem(last=False)
        return keys[at]


def _unpacked(pack: bytes) -> list[bytes]:
    data = _unpack.decompress(pack)
    lengths = array("I", data[: 4 * _PACK_KEYS])
    keys, at = [], 4 * _PACK_KEYS
    for length in lengths:
        keys.append(data[at : at + length])
        at += length
    return keys
