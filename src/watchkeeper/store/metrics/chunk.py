"""Sealed rows of a frame: compressed groups of columns, read by column and by range of rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watchkeeper.model.frame import ABSENT, ABSENT_BITS, STALE_BITS, Floats, Times
from watchkeeper.store.metrics.codec import GROUP_COLUMNS, decode, encode

Columns = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some rows, never changed again.

    start_ms  time of the first row; `end_ms` of the last
    offsets   uint32[rows]: each row's time less start_ms
    columns   int32[n]: frame columns that have a sample or a staleness marker here, ascending
    groups    the values of GROUP_COLUMNS columns each
    gaps      bool[n_groups]: whether any value of the group is ABSENT or STALE
    """

    start_ms: int
    end_ms: int
    offsets: npt.NDArray[np.uint32]
    columns: Columns
    groups: tuple[bytes, ...]
    gaps: npt.NDArray[np.bool_]

    @property
    def n_rows(self) -> int:
        return len(self.offsets)

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.groups)) + self.offsets.nbytes + self.columns.nbytes + 33 * len(self.groups) + 400

    def times(self) -> Times:
        """Give int64[rows]."""
        return self.offsets.astype(np.int64) + self.start_ms

    def read(self, wanted: Columns, low: int, high: int, out: Floats) -> bool:
        """Copy rows low…high of some frame columns.

        out      float64[len(wanted), high - low], overwritten; ABSENT where a column is not in the chunk
        returns  whether anything written is ABSENT or STALE (perhaps, when True)
        """
        slots = np.searchsorted(self.columns, wanted)
        slots[slots == len(self.columns)] = 0
        here = self.columns[slots] == wanted
        gaps = not here.all()
        if gaps:
            out[~here] = ABSENT
        groups = slots // GROUP_COLUMNS
        for group in np.unique(groups[here]).tolist():
            chosen = np.flatnonzero(here & (groups == group))
            first = group * GROUP_COLUMNS
            count = min(GROUP_COLUMNS, len(self.columns) - first)
            out[chosen] = decode(self.groups[group], count, self.n_rows, slots[chosen] - first)[:, low:high]
            gaps = gaps or bool(self.gaps[group])
        return gaps


def seal(times: Times, values: Floats) -> Chunk:
    """Compress rows.

    times   int64[rows], ascending, spanning less than 2**32 ms
    values  float64[rows, columns]: frame columns from 0
    """
    bits = values.view(np.uint64)
    absent = bits == ABSENT_BITS
    columns = np.flatnonzero(~absent.all(axis=0)).astype(np.int32)
    gap = (absent | (bits == STALE_BITS))[:, columns].any(axis=0)
    by_column = values.T[columns]
    starts = range(0, len(columns), GROUP_COLUMNS)
    groups = tuple(encode(by_column[start : start + GROUP_COLUMNS]) for start in starts)
    gaps = np.array([gap[start : start + GROUP_COLUMNS].any() for start in starts], np.bool_)
    offsets = (times - times[0]).astype(np.uint32)
    return Chunk(int(times[0]), int(times[-1]), offsets, columns, groups, gaps)
