"""Prometheus' XOR chunks, thousands at once: one step a sample, each step over all chunks.

Where a sample begins in a chunk depends on the one before, so a chunk cannot be read but from its beginning. Chunks do
not depend on each other: a step of NumPy reads the i-th sample of them all.

u16 number of samples (big endian); varint time, f64 value; uvarint time difference, value as below; then for each
    difference of differences: 0 | 10 and 14 bits | 110 and 17 | 1110 and 20 | 1111 and 64
    value, exclusive or with the last: 0 for none | 10 and as many bits as last time
                                       | 11, 5 bits leading zeros, 6 bits length (0: 64), and so many bits
source  Prometheus, tsdb/chunkenc/xor.go; Facebook's Gorilla paper
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from watchkeeper.model.errors import BadInput

CHUNK_SAMPLES = 120

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]

_PAD = 32  # bytes behind the last chunk that may be looked at
_PREFIX_BITS = np.array([1] * 8 + [2] * 4 + [3] * 2 + [4] * 2, np.uint64)  # by the next four bits
_DELTA_BITS = np.array([0] * 8 + [14] * 4 + [17] * 2 + [20, 64], np.int64)
_VARINT_BYTES_MAX = 10
_ONE, _64 = np.uint64(1), np.uint64(64)


def _u(value: npt.NDArray[np.int64]) -> Words:
    return value.view(np.uint64)


class _Bits:
    """Bits of all chunks, each read at a place of its own."""

    def __init__(self, data: bytes) -> None:
        self.raw = np.frombuffer(data, np.uint8)
        self._words = np.ndarray((len(data) - 7,), ">u8", data, strides=(1,))

    def peek(self, at: Ints) -> Words:
        """Give the bits from each place on, highest first; the last seven may be missing."""
        return self._words[at >> 3].astype(np.uint64) << _u(at & 7)

    def peek_64(self, at: Ints) -> Words:
        """Give 64 bits from each place on."""
        return self.peek(at) | (self.raw[(at >> 3) + 8].astype(np.uint64) >> _u(8 - (at & 7)))


def decode(chunks: Sequence[bytes]) -> tuple[Ints, Ints, Floats]:
    """Read chunks.

    returns  int64[n_chunks] how many samples each has; their times (Unix ms) and values, one chunk after the other
    raises   BadInput when a chunk is cut off
    """
    if not chunks:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64)
    if min(map(len, chunks)) < 2:
        raise BadInput("cannot read chunk: got fewer than 2 bytes, want a number of samples")
    sizes = np.fromiter(map(len, chunks), np.int64, len(chunks))
    bits = _Bits(b"".join([*chunks, bytes(_PAD)]))
    starts = np.cumsum(sizes) - sizes
    counts = bits.raw[starts].astype(np.int64) << 8 | bits.raw[starts + 1]
    order = np.argsort(-counts, kind="stable")  # so that those which still have samples are the first ones
    most = int(counts.max())
    times, values = np.zeros((most, len(chunks)), np.int64), np.zeros((most, len(chunks)), np.uint64)
    ends = (starts + sizes)[order] * 8
    remaining = counts[order]
    _Decoder(bits, (starts[order] + 2) * 8, ends).run(remaining, times, values)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    there = np.arange(most)[None, :] < counts[:, None]
    return counts, times.T[back][there], values.T[back][there].view(np.float64)


class _Decoder:
    """The state of each chunk: where its next bit is, and what the last sample was."""

    def __init__(self, bits: _Bits, at: Ints, ends: Ints) -> None:
        self._bits, self._at, self._ends = bits, at, ends
        n = len(at)
        self._time, self._delta = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self._value = np.zeros(n, np.uint64)
        self._length, self._shift = np.zeros(n, np.int64), np.zeros(n, np.int64)

    def run(self, remaining: Ints, times: Ints, values: Words) -> None:
        """Read all samples into columns of times and values; chunks are sorted by how many they have."""
        for step in range(len(times)):
            n = int(np.searchsorted(-remaining, -step, side="left"))  # those with more than `step` samples
            if step == 0:
                self._first(n)
            elif step == 1:
                self._second(n)
            else:
                self._next(n)
            if (self._at[:n] > self._ends[:n]).any():
                raise BadInput("cannot read chunk: got bits that end before its samples do")
            times[step, :n], values[step, :n] = self._time[:n], self._value[:n]

    def _first(self, n: int) -> None:
        number = self._uvarint(n)
        self._time[:n] = (number >> 1) ^ -(number & 1)
        self._value[:n] = self._bits.peek_64(self._at[:n])
        self._at[:n] += 64

    def _second(self, n: int) -> None:
        self._delta[:n] = self._uvarint(n)
        self._time[:n] += self._delta[:n]
        self._read_values(n)

    def _next(self, n: int) -> None:
        at = self._at[:n]
        window = self._bits.peek(at)
        four = (window >> np.uint64(60)).astype(np.int64)
        prefix, size = _PREFIX_BITS[four], _DELTA_BITS[four]
        short = np.minimum(size, 63)
        read = np.where(size > 0, (window << prefix) >> _u(64 - np.maximum(short, 1)), 0).view(np.int64)
        change = np.where(read > (np.int64(1) << np.maximum(short - 1, 0)), read - (np.int64(1) << short), read)
        if (size == 64).any():
            long = np.flatnonzero(size == 64)
            change[long] = self._bits.peek_64(at[long] + 4).view(np.int64)
        at += prefix.view(np.int64) + size
        self._delta[:n] += change
        self._time[:n] += self._delta[:n]
        self._read_values(n)

    def _read_values(self, n: int) -> None:
        at = self._at[:n]
        window = self._bits.peek(at)
        changed = (window >> np.uint64(63)).view(np.int64)
        fresh = np.flatnonzero((window >> np.uint64(62)) == 3)
        if len(fresh):
            head = window[fresh]
            leading = ((head >> np.uint64(57)) & np.uint64(31)).view(np.int64)
            length = ((head >> np.uint64(51)) & np.uint64(63)).view(np.int64)
            length = np.where(length == 0, 64, length)
            self._length[fresh], self._shift[fresh] = length, np.maximum(64 - leading - length, 0)
            at[fresh] += 11
        at += 1 + changed
        which = np.flatnonzero(changed)
        if len(which):
            there, length = at[which], self._length[which]
            read = self._bits.peek_64(there) >> _u(np.minimum(64 - length, 63))
            self._value[which] ^= np.where(length > 0, read, 0).view(np.uint64) << _u(self._shift[which])
            at[which] += length

    def _uvarint(self, n: int) -> Ints:
        number, going = np.zeros(n, np.int64), np.ones(n, np.bool_)
        for place in range(_VARINT_BYTES_MAX):
            byte = self._bits.raw[self._at[:n] >> 3].astype(np.int64)
            number |= np.where(going, (byte & 0x7F) << min(7 * place, 63), 0)
            self._at[:n] += 8 * going
            going &= byte >= 0x80
            if not going.any():
                break
        return number.view(np.uint64).view(np.int64)


def encode(counts: Ints, times: Ints, values: Floats) -> list[bytes]:
    """Write chunks.

    counts  int64[n_chunks], 1 to 65535 each; times and values of the samples, one chunk after the other
    """
    if not len(counts):
        return []
    return _Encoder(counts, times, values).run()


class _Encoder:
    def __init__(self, counts: Ints, times: Ints, values: Floats) -> None:
        order = np.argsort(-counts, kind="stable")
        self._order, self._counts = order, counts[order]
        most, self._n = int(counts.max()), len(counts)
        places = np.minimum((np.cumsum(counts) - counts)[order][None, :] + np.arange(most)[:, None], len(times) - 1)
        self._times, self._values = times[places], values.view(np.uint64)[places]
        self._words = np.zeros((self._n, (20 * 8 + most * 150) // 64 + 2), np.uint64)
        self._rows = np.arange(self._n)
        self._at = np.zeros(self._n, np.int64)
        self._leading, self._trailing = np.full(self._n, 255, np.int64), np.zeros(self._n, np.int64)

    def run(self) -> list[bytes]:
        """Give the chunks in their order."""
        everyone = np.ones(self._n, np.bool_)
        self._put(self._n, _u(self._counts), np.full(self._n, 16), everyone)
        delta = np.zeros(self._n, np.int64)
        for step in range(len(self._times)):
            n = int(np.searchsorted(-self._counts, -step, side="left"))
            if step == 0:
                first = self._times[0, :n]
                self._put_uvarint(n, _u((first << 1) ^ (first >> 63)))
                self._put(n, self._values[0, :n], np.full(n, 64), everyone[:n])
                continue
            fresh = self._times[step, :n] - self._times[step - 1, :n]
            if step == 1:
                self._put_uvarint(n, _u(fresh))
            else:
                self._put_change(n, fresh - delta[:n])
            delta[:n] = fresh
            self._put_value(n, self._values[step, :n] ^ self._values[step - 1, :n])
        data = self._words.astype(">u8").tobytes()
        width = self._words.shape[1] * 8
        sizes = ((self._at + 7) >> 3).tolist()
        chunks = [b""] * self._n
        for row, (place, size) in enumerate(zip(self._order.tolist(), sizes, strict=True)):
            chunks[place] = data[row * width : row * width + size]
        return chunks

    def _put(self, n: int, bits: Words, lengths: Ints, which: npt.NDArray[np.bool_]) -> None:
        """Write the lowest bits of each number, where `which` says so; lengths from 1 to 64."""
        rows = self._rows[:n][which]
        if not len(rows):
            return
        lengths, at = lengths[which], self._at[rows]
        top = bits[which] << _u(64 - lengths)
        word, offset = at >> 6, at & 63
        self._words[rows, word] |= top >> _u(offset)
        spill = offset > 0
        self._words[rows[spill], word[spill] + 1] |= top[spill] << _u(64 - offset[spill])
        self._at[rows] = at + lengths

    def _put_uvarint(self, n: int, numbers: Words) -> None:
        going = np.ones(n, np.bool_)
        while going.any():
            more = numbers >= 0x80
            byte = (numbers & np.uint64(0x7F)) | np.where(more, 0x80, 0).astype(np.uint64)
            self._put(n, byte, np.full(n, 8), going)
            numbers = numbers >> np.uint64(7)
            going = going & more

    def _put_change(self, n: int, change: Ints) -> None:
        sizes = np.full(n, 64)
        for size in (20, 17, 14):
            half = 1 << (size - 1)
            sizes[(change >= -half + 1) & (change <= half)] = size
        sizes[change == 0] = 0
        prefix = np.select([sizes == 0, sizes == 14, sizes == 17, sizes == 20], [0, 0b10, 0b110, 0b1110], 0b1111)
        lengths = np.select([sizes == 0, sizes == 14, sizes == 17], [1, 2, 3], 4)
        short = sizes < 64
        mask = (_ONE << _u(np.minimum(sizes, 63))) - _ONE
        joined = (_u(prefix.astype(np.int64)) << _u(np.minimum(sizes, 63))) | (_u(change) & mask)
        self._put(n, joined, lengths + sizes, short)
        if not short.all():
            self._put(n, _u(prefix.astype(np.int64)), lengths, ~short)
            self._put(n, _u(change), sizes, ~short)

    def _put_value(self, n: int, difference: Words) -> None:
        same = difference == 0
        self._put(n, difference, np.ones(n, np.int64), same)
        leading, trailing = np.minimum(_leading_zeros(difference), 31), _trailing_zeros(difference)
        known_leading, known_trailing = self._leading[:n], self._trailing[:n]
        fits = ~same & (known_leading != 255) & (leading >= known_leading) & (trailing >= known_trailing)
        fresh = ~same & ~fits
        known_leading[fresh], known_trailing[fresh] = leading[fresh], trailing[fresh]
        lengths = np.where(same, 1, 64 - known_leading - known_trailing)
        self._put(n, np.full(n, 0b10, np.uint64), np.full(n, 2), fits)
        head = np.int64(0b11 << 11) | (known_leading & 31) << 6 | (lengths & 63)
        self._put(n, _u(head), np.full(n, 13), fresh)
        self._put(n, difference >> _u(np.minimum(known_trailing, 63)), lengths, ~same)


def _trailing_zeros(words: Words) -> Ints:
    lowest = words & (~words + _ONE)
    return 63 - _leading_zeros(lowest)


def _leading_zeros(words: Words) -> Ints:
    """Count zero bits above the highest one; 64 for zero."""
    high, low = (words >> np.uint64(32)).astype(np.float64), (words & np.uint64(0xFFFFFFFF)).astype(np.float64)
    of_high, of_low = np.frexp(high)[1], np.frexp(low)[1]  # numbers of 32 bits are exact as floats
    return np.where(high > 0, 32 - of_high, 64 - of_low).astype(np.int64)
