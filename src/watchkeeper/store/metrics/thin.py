"""Thinning: of all samples of a series in a stretch of time, the few numbers that long ranges ask for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watchkeeper.model.frame import ABSENT, ABSENT_BITS, NORMAL_NAN_BITS, STALE_BITS, Floats, Times, is_histogram
from watchkeeper.model.labels import Ints
from watchkeeper.model.thinned import AGGREGATES
from watchkeeper.store.metrics.strip import has_gap

_NAN: np.float64 = np.uint64(NORMAL_NAN_BITS).view(np.float64)
Mask = npt.NDArray[np.bool_]
_Found = tuple[dict[str, Floats], dict[str, Ints]]


@dataclass(frozen=True, slots=True, eq=False)
class Thin:
    """Some series in the stretches that have rows.

    ends    int64[w], Unix ms, ascending, multiples of the stretches' length
    values  by aggregate that was wanted, float64[n, w]; where count is 0 the rest means nothing
    times   "first", "last", "stale": int64[n, w], Unix ms; stale is 0 where no marker is the newest of the stretch
    """

    ends: Times
    values: dict[str, Floats]
    times: dict[str, Ints]


def ends_of(times: Times, every_ms: int) -> Times:
    """Give the end of the stretch (end - every, end] that each moment lies in."""
    return -(-times // every_ms) * every_ms


def thin(times: Times, values: Floats, every_ms: int, wanted: Sequence[str] = AGGREGATES) -> Thin:
    """Thin rows.

    times   int64[rows], at least one, ascending
    values  float64[n, rows], may hold ABSENT and STALE, and histograms: these are not thinned, but left out
    """
    native = is_histogram(values)
    if native.any():
        values = np.where(native, ABSENT, values)
    ends = ends_of(times, every_ms)
    starts = np.flatnonzero(np.diff(ends, prepend=ends[0] - 1))
    make = _with_gaps if has_gap(values) else _dense
    with np.errstate(all="ignore"):
        found = make(times, values, starts, wanted)
    for name in found[0].keys() & {"min", "max", "sum"}:
        found[0][name] = _plain(found[0][name])
    return Thin(ends[starts], *found)


def _dense(times: Times, values: Floats, starts: Ints, wanted: Sequence[str]) -> _Found:
    """Thin rows all of whose cells are samples."""
    form, stops = (len(values), len(starts)), np.append(starts[1:], len(times))
    newest = stops - 1
    make: dict[str, Callable[[], Floats]] = {
        "first": lambda: values.take(starts, axis=1),
        "last": lambda: values.take(newest, axis=1),
        "min": lambda: np.fmin.reduceat(values, starts, axis=1),
        "max": lambda: np.fmax.reduceat(values, starts, axis=1),
        "sum": lambda: np.add.reduceat(values, starts, axis=1),
        "count": lambda: np.broadcast_to((stops - starts).astype(np.float64), form),
        "lost": lambda: _dense_lost(values, starts),
    }
    moments = {"first": np.broadcast_to(times[starts], form), "last": np.broadcast_to(times[newest], form)}
    return {name: make[name]() for name in wanted}, {**moments, "stale": np.zeros(form, np.int64)}


def _dense_lost(values: Floats, starts: Ints) -> Floats:
    fell = np.zeros(values.shape, np.bool_)
    np.less(values[:, 1:], values[:, :-1], out=fell[:, 1:])
    fell[:, starts] = False
    lost = np.zeros((len(values), len(starts)))
    series, rows = np.nonzero(fell)
    np.add.at(lost, (series, np.searchsorted(starts, rows, "right") - 1), values[series, rows - 1])
    return lost


def _with_gaps(times: Times, values: Floats, starts: Ints, wanted: Sequence[str]) -> _Found:
    rows = np.arange(len(times))
    bits = values.view(np.uint64)
    stale = bits == STALE_BITS
    there = ~(stale | (bits == ABSENT_BITS))
    first = np.minimum.reduceat(np.where(there, rows, len(rows)), starts, axis=1)
    last = np.maximum.reduceat(np.where(there, rows, -1), starts, axis=1)
    marker = np.maximum.reduceat(np.where(stale, rows, -1), starts, axis=1)
    first_at, last_at = np.minimum(first, len(rows) - 1), np.maximum(last, 0)
    make: dict[str, Callable[[], Floats]] = {
        "first": lambda: np.take_along_axis(values, first_at, axis=1),
        "last": lambda: np.take_along_axis(values, last_at, axis=1),
        "min": lambda: np.fmin.reduceat(np.where(there, values, np.nan), starts, axis=1),
        "max": lambda: np.fmax.reduceat(np.where(there, values, np.nan), starts, axis=1),
        "sum": lambda: np.add.reduceat(np.where(there, values, 0.0), starts, axis=1),
        "count": lambda: np.add.reduceat(there, starts, axis=1, dtype=np.float64),
        "lost": lambda: np.add.reduceat(_lost(values, there, starts), starts, axis=1),
    }
    stopped = np.where(marker > last, times[np.maximum(marker, 0)], 0)
    return {name: make[name]() for name in wanted}, {
        "first": times[first_at],
        "last": times[last_at],
        "stale": stopped,
    }


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
