"""Start timestamps: since when the counter of a sample counts, where that is known.

They tell resets that values cannot show, and make the first sample of a window count in full where its counter began
inside the window. 0 is none.

source  Prometheus after 3.5, promql/promqltest/testdata/start_timestamps.test
"""

import numpy as np

from watchkeeper.model.frame import Floats, Times
from watchkeeper.model.labels import Ints
from watchkeeper.query.promql.annotations import place_of
from watchkeeper.query.promql.ast import Call
from watchkeeper.query.promql.context import Query
from watchkeeper.query.promql.matrix import Mask
from watchkeeper.query.promql.windows import RangeVector, Windows, count_pairs


def began_anew(starts: Times, times: Times) -> Mask:
    """Say between which neighbouring samples a counter began anew; bool[n - 1].

    A start at the very time of the sample before is one of a delta, unless that sample says that it knows no start.
    """
    now, before = starts[1:], starts[:-1]
    earlier = times[:-1]
    of_delta = (now == earlier) & (before != 0) & (before < earlier)
    return np.asarray((now != 0) & (now < times[1:]) & ((now > earlier) | of_delta))


def overlapping(starts: Times, times: Times) -> Mask:
    """Say between which neighbouring samples the later one's start lies before the earlier one; bool[n - 1]."""
    now = starts[1:]
    return np.asarray((now != 0) & (now < times[:-1]) & (now != starts[:-1]))


def usable(start_ms: Times, first_ms: Times, begin_ms: Ints) -> Mask:
    """Say which windows' first sample counts from a moment inside the window."""
    return np.asarray((start_ms != 0) & (start_ms > begin_ms) & (start_ms < first_ms))


def warn_of_overlaps(query: Query, node: Call, ranges: RangeVector) -> None:
    """Tell of series with a sample whose start lies before the sample before it, and is not that one's."""
    row = 0
    for block in ranges.blocks:
        if block.starts is not None and overlapping(block.starts, block.times).any():
            found = count_pairs(block, overlapping(block.starts, block.times)[None, :]).reshape(block.shape)
            for at in np.flatnonzero(found.any(axis=1)).tolist():
                name = ranges.labels.take(np.array([row + at])).values("__name__")[0]
                told = f'sample has start time that overlaps with previous sample timestamp for metric "{name}"'
                query.notes.warn(told, place_of(node.args[0]))
        row += block.shape[0]


def newest_starts(windows: Windows) -> tuple[Floats, Mask]:
    """Give the start of the newest sample of each window, in seconds; 0 where none is known."""
    if windows.starts is None:
        return np.zeros((1, len(windows.lo))), windows.filled()
    return windows.starts.take(windows.last)[None, :] / 1000, windows.filled()
