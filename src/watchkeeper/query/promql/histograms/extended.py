"""Anchored and smoothed ranges and selectors of native histograms.

source  Prometheus 3.x, promql/functions.go extendedHistogramRate, interpolate
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from watchkeeper.model.checkpoint import checkpoint
from watchkeeper.model.frame import Floats, is_stale
from watchkeeper.model.histogram import Hint, Histogram
from watchkeeper.model.histogram_sum import IncompatibleSchemas, add, subtract, was_reset
from watchkeeper.model.labels import METRIC_NAME, Ints, LabelTable
from watchkeeper.query.promql.ast import Call, VectorSelector
from watchkeeper.query.promql.context import Query
from watchkeeper.query.promql.histograms import notes
from watchkeeper.query.promql.histograms.windows import HANDLERS, Cell, Window
from watchkeeper.query.promql.matrix import Mask
from watchkeeper.query.promql.windows import Windows

Found = tuple[Floats, Mask]
Series = tuple[LabelTable, int]


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """The samples of a block that the ends of each window are made of.

    first, last       int64[w], places in the block
    there             bool[w]
    start_ms, end_ms  int64[w]
    """

    first: Ints
    last: Ints
    there: Mask
    start_ms: Ints
    end_ms: Ints


def replaced(
    query: Query, node: Call, block: Windows, edges: Edges, series: Series, found: Found, *, smooth: bool
) -> Found:
    """Put what a function gives of histograms in place of what it made of the cells that stand for them.

    series  labels, and where in them the block's series begin
    found   float64 and bool, broadcastable to [r, w]
    """
    native = query.histograms.where(block.values)
    if native is None:
        return found
    values, present = _whole(block, found)
    name_of = _names(series, block)
    before = np.zeros((len(values), block.values.shape[1] + 1), np.int64)
    np.cumsum(native, axis=1, out=before[:, 1:])
    last = np.maximum(edges.last, edges.first)
    some = (before[:, last + 1] - before[:, edges.first] > 0) & edges.there
    for row, at in zip(*(part.tolist() for part in np.nonzero(some)), strict=True):
        checkpoint()
        here = slice(int(edges.first[at]), int(last[at]) + 1)
        window = Window(
            query, node, node.args[0], name_of(row, at), here.start,
            block.values[row, here], block.times[here], native[row, here], int(edges.end_ms[at]), block.range_ms, {},
        )  # fmt: skip
        made = _evaluated(window, int(edges.start_ms[at]), smooth=smooth)
        present[row, at] = made is not None
        if made is not None:
            values[row, at] = query.histograms.cell(made) if isinstance(made, Histogram) else made
    return values, present


def _whole(block: Windows, found: Found) -> Found:
    """Give what was found of each window of a block, to be changed."""
    form = (block.values.shape[0], len(block.lo))
    return np.array(np.broadcast_to(found[0], form)), np.array(np.broadcast_to(found[1], form))


def _names(series: Series, block: Windows) -> Callable[[int, int], str]:
    """Say of which metric a window of a block is, by its row and its place in that."""
    labels, start = series
    names = labels.take(np.arange(start, start + block.shape[0])).values(METRIC_NAME)
    if len(block.values) > 1 or len(names) == 1:
        return lambda row, _: names[row]
    return lambda _, at: names[at // block.shape[1]]  # the series lie end to end in one row


def _evaluated(window: Window, start_ms: int, *, smooth: bool) -> Cell:
    name = window.node.name
    if name in ("changes", "resets"):
        return HANDLERS[name](window)
    if window.is_mixed:
        window.warn(notes.mixed(window.name))
        return None
    histograms, counter = window.histograms, name != "delta"
    window.warn_of_kind(histograms, counter=counter)
    if any(one.custom != histograms[0].custom for one in histograms):
        window.warn(notes.mixed_buckets(window.name))
        return None
    moved = _moved(window, histograms, start_ms, smooth=smooth, counter=counter)
    moved = replace(moved, hint=Hint.GAUGE)
    return moved.over((window.end_ms - start_ms) / 1000) if name == "rate" else moved


def _moved(window: Window, histograms: list[Histogram], start_ms: int, *, smooth: bool, counter: bool) -> Histogram:
    left, right, times = histograms[0], histograms[-1], window.times.tolist()
    early = smooth and len(times) > 1 and times[0] < start_ms
    if early:
        left = _between(histograms[:2], times[:2], start_ms, counter=counter)
    if smooth and len(times) > 1 and times[-1] > window.end_ms:
        right = _between(histograms[-2:], times[-2:], window.end_ms, counter=counter)
    moved = window.tell(subtract(right, left), "subtraction")
    if counter:
        for at in range(2 if early else 1, len(histograms)):  # what is interpolated minds the reset itself
            if was_reset(histograms[at], histograms[at - 1]):
                moved = window.tell(add(moved, histograms[at - 1]), "addition")
    return moved


def _between(pair: Sequence[Histogram], times: Sequence[int], at_ms: int, *, counter: bool) -> Histogram:
    """Interpolate between two histograms; a counter that was reset had started again from nothing.

    raises  IncompatibleSchemas
    """
    if pair[0].custom != pair[1].custom:
        raise IncompatibleSchemas
    (before, after), part = pair, (at_ms - times[0]) / (times[1] - times[0])
    if counter and was_reset(after, before):
        return after.times(part)
    return add(before.times(1 - part), after.times(part)).histogram


def interpolated(
    query: Query, node: VectorSelector, blocks: tuple[Windows, Windows], series: Series, found: Found
) -> Found:
    """Interpolate histograms at the moments of a smoothed selector.

    blocks  windows over what lies before and after each moment, and over what lies before it alone
    """
    wide, near = blocks
    native = query.histograms.where(wide.values)
    if native is None:
        return found
    values, present = _whole(wide, found)
    name_of = _names(series, wide)
    for row, at in zip(*(part.tolist() for part in np.nonzero(present)), strict=True):
        checkpoint()
        seen = slice(int(wide.lo[at]), int(wide.hi[at]))
        kinds = native[row, seen]
        if not kinds.any():
            continue
        cell = _at(query, node, (wide, near), (row, at), name_of(row, at), kinds)
        present[row, at] = cell is not None
        if cell is not None:
            values[row, at] = cell
    return values, present


def _at(
    query: Query, node: VectorSelector, blocks: tuple[Windows, Windows], place: tuple[int, int], name: str, kinds: Mask
) -> np.float64 | None:
    """Give the cell at one moment; None where there can be none."""
    (wide, near), (row, at) = blocks, place
    newest, after = int(near.last[at]), int(near.hi[at])
    seen = wide.values[row, int(wide.lo[at]) : int(wide.hi[at])]
    if not (kinds | is_stale(seen)).all():
        query.notes.warn(notes.mixed(name), node)
        return None
    own: np.float64 = wide.values[row, newest]
    exact = int(wide.times[newest]) == int(near.ends_ms[at])
    if exact or after >= int(wide.hi[at]) or is_stale(wide.values[row, after : after + 1])[0]:
        return own
    pair = query.histograms.at(wide.values[row, [newest, after]])
    try:
        times = [int(wide.times[newest]), int(wide.times[after])]
        counter = Hint.GAUGE not in (pair[0].hint, pair[1].hint)
        return query.histograms.cell(_between(pair, times, int(near.ends_ms[at]), counter=counter))
    except IncompatibleSchemas:
        query.notes.warn(notes.mixed_buckets(name), node)
        return None
