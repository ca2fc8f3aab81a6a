"""Thinning: of all samples of a series in a stretch of time, the few numbers that long ranges ask for."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watchkeeper.model.frame import ABSENT_BITS, NORMAL_NAN_BITS, STALE_BITS, Floats, Times
from watchkeeper.model.labels import Ints

_NAN: np.float64 = np.uint64(NORMAL_NAN_BITS).view(np.float64)
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Thin:
    """Some series in the stretches that have rows.

    ends    int64[w], Unix ms, ascending, multiples of the stretches' length
    values  by aggregate, float64[n, w]; where count is 0 the rest means nothing
    times   "first", "last", "stale": int64[n, w], Unix ms; stale is 0 where no marker is the newest of the stretch
    """

    ends: Times
    values: dict[str, Floats]
    times: dict[str, Ints]


def ends_of(times: Times, every_ms: int) -> Times:
    """Give the end of the stretch (end - every, end] that each moment lies in."""
    return -(-times // every_ms) * every_ms


def thin(times: Times, values: Floats, every_ms: int) -> Thin:
    """Thin rows.

    times   int64[rows], at least one, ascending
    values  float64[n, rows], may hold ABSENT and STALE
    """
    ends = ends_of(times, every_ms)
    starts = np.flatnonzero(np.diff(ends, prepend=ends[0] - 1))
    rows = np.arange(len(times))
    bits = values.view(np.uint64)
    stale = bits == STALE_BITS
    there = ~(stale | (bits == ABSENT_BITS))
    first = np.minimum.reduceat(np.where(there, rows, len(rows)), starts, axis=1)
    last = np.maximum.reduceat(np.where(there, rows, -1), starts, axis=1)
    marker = np.maximum.reduceat(np.where(stale, rows, -1), starts, axis=1)
    first_at, last_at = np.minimum(first, len(rows) - 1), np.maximum(last, 0)
    with np.errstate(all="ignore"):
        numbers = np.where(there, values, np.nan)
        found = {
            "first": np.take_along_axis(values, first_at, axis=1),
            "last": np.take_along_axis(values, last_at, axis=1),
            "min": _plain(np.fmin.reduceat(numbers, starts, axis=1)),
            "max": _plain(np.fmax.reduceat(numbers, starts, axis=1)),
            "sum": _plain(np.add.reduceat(np.where(there, values, 0.0), starts, axis=1)),
            "count": np.add.reduceat(there, starts, axis=1, dtype=np.float64),
            "lost": np.add.reduceat(_lost(values, there, starts), starts, axis=1),
        }
    moments = {
        "first": times[first_at],
        "last": times[last_at],
        "stale": np.where(marker > last, times[np.maximum(marker, 0)], 0),
    }
    return Thin(ends[starts], found, moments)


def _lost(values: Floats, there: Mask, starts: Ints) -> Floats:
    """Give what each sample shows to be lost: the one before it in its stretch, where that was higher; else 0."""
    rows = values.shape[1]
    begin = np.repeat(starts, np.diff(starts, append=rows))
    newest = np.maximum.accumulate(np.where(there, np.arange(rows), -1), axis=1)
    before = np.full(values.shape, -1)
    before[:, 1:] = newest[:, :-1]
    earlier = np.take_along_axis(values, np.maximum(before, 0), axis=1)
    return np.where(there & (before >= begin) & (values < earlier), earlier, 0.0)


def _plain(values: Floats) -> Floats:
    """Give every NaN the bits of a plain one, lest it be taken for absence."""
    return np.where(np.isnan(values), _NAN, values)
