"""Finds the series of a remote write request at once, where reading one length after the other would be a loop.

A sample of this age of the world looks like nothing else: tag, length 16, tag, eight bytes, tag, a varint of six.
So all of them are found by comparing the whole body with itself shifted; what lies between two must then be the head
of a series whose length ends where its sample does. Where that holds for one series after the other, the body has been
read, and by the same rules as by the plain loop. Where it does not, the plain loop reads on.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

_WITH_VALUE, _WITHOUT = 18, 9  # bytes of a sample; protobuf leaves out a value of zero


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of a body, int64[n] each.

    places    where they begin
    stops     where they end
    value_at  where their eight bytes of value are, -1 for none
    """

    places: Ints
    stops: Ints
    value_at: Ints


@dataclass(frozen=True, slots=True)
class Entries:
    """Series found, int64[n] each; entry i is good when it begins where entry i-1 ends.

    starts  where each begins
    heads   where its content begins, behind tag and length
    ends    where it ends
    good    whether its length says so
    """

    starts: Ints
    heads: Ints
    ends: Ints
    good: Mask

    def run(self, at: int) -> tuple[int, int]:
        """Give the first and one past the last of the good entries in a row that begin at a byte."""
        first = int(np.searchsorted(self.starts, at))
        if first >= len(self.starts) or self.starts[first] != at or not self.good[first]:
            return first, first
        bad = np.flatnonzero(~self.good[first:])
        return first, first + int(bad[0]) if len(bad) else len(self.starts)

    def only(self, also: Mask) -> "Entries":
        """Give the same with a further condition."""
        return Entries(self.starts, self.heads, self.ends, self.good & also)


def find_samples(raw: Bytes) -> Samples:
    """Find all samples whose time takes six bytes."""
    tags = raw[:-2] == 0x12
    full = np.flatnonzero(tags & (raw[1:-1] == 0x10) & (raw[2:] == 0x09))
    full = full[full <= len(raw) - _WITH_VALUE]
    full = full[(raw[full + 11] == 0x10) & (raw[full + 16] >= 0x80) & (raw[full + 17] < 0x80)]
    bare = np.flatnonzero(tags & (raw[1:-1] == 0x07) & (raw[2:] == 0x10))
    bare = bare[bare <= len(raw) - _WITHOUT]
    bare = bare[(raw[bare + 7] >= 0x80) & (raw[bare + 8] < 0x80)]
    places = np.concatenate([full, bare])
    stops = np.concatenate([full + _WITH_VALUE, bare + _WITHOUT])
    value_at = np.concatenate([full + 3, np.full(len(bare), -1)])
    if len(bare) and len(full):
        order = np.argsort(places, kind="stable")
        places, stops, value_at = places[order], stops[order], value_at[order]
    return Samples(places, stops, value_at)


def find_entries(raw: Bytes, first: int, tag: int, ends: Ints) -> Entries:
    """Find the series that end at `ends`, the first of them beginning at `first`, all with one field tag."""
    starts = np.concatenate([np.full(min(len(ends), 1), first), ends[:-1]])
    inside = starts + 2 < len(raw)
    at = np.where(inside, starts, 0)
    low, high = raw[at + 1].astype(np.int64), raw[np.minimum(at + 2, len(raw) - 1)].astype(np.int64)
    two = low >= 0x80
    heads = starts + 2 + two
    length = np.where(two, (low & 0x7F) | high << 7, low)
    good = inside & (raw[at] == tag) & ((high < 0x80) | ~two) & (heads + length == ends)
    return Entries(starts, heads, ends, good)
