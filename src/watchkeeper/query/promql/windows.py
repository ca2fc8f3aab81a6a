"""Samples and the windows that a range vector looks through, for all series and steps at once.

Two shapes share one form. A dense block is a frame whose cells are all samples: values[series, rows], and the windows
of a step are the same rows for every series; several such frames with the same windows are worked on as one. A ragged
block holds series of any times end to end in one row, and has windows for every series. Functions see values[r, c],
times[c] and windows lo[w]:hi[w] over the c axis, give [r, w], and never care which it is.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from watchkeeper.model.checkpoint import checkpoint
from watchkeeper.model.frame import ABSENT, Floats, FrameSlice, Times, is_absent, is_stale
from watchkeeper.model.labels import Ints, LabelTable
from watchkeeper.query.promql.matrix import Mask, ever

_Numbers = TypeVar("_Numbers", Floats, Times)
_DENSE_CELLS_MIN = 1 << 13  # smaller frames are put into one ragged block,
_DENSE_STEPS_MIN = 64  # but for those without gaps that are laid below each other at so many steps,
_STACKED_CELLS_MIN = 1 << 9  # when they are not tiny
_BOUNDS_KNOWN = 4  # frames whose bounds are tried for the next frame
_MS_MAX = 1 << 61
_LONG_AGO, _FAR_AHEAD = np.array([-_MS_MAX]), np.array([_MS_MAX])
_CHUNK_CELLS = 1 << 16  # 512 kB: a few such arrays stay in the cache


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Windows over a block.

    values   float64[r, c], each cell a sample
    times    int64[c], Unix ms, ascending inside each window
    lo, hi   int64[w]: window w is the samples lo[w] to hi[w]-1
    ends_ms  int64[w], the (closed) right end; the window is (end - range, end]
    at_ms    int64[w], the step that the window belongs to (differs from its end by offset and @)
    shape    (series, steps) of the result; r × w cells in this order
    grids    int64[f, c], where frames with the same windows lie one below the other: the times of each; `times` is then
             one of them, and functions ask times_at and times_of
    grid_of  int64[r], the frame of each row of such a stack
    starts   int64[c], start timestamps of a ragged block's samples, 0 where there is none; None: of none (see starts)
    """

    values: Floats
    times: Times
    lo: Ints
    hi: Ints
    ends_ms: Ints
    at_ms: Ints
    range_ms: int
    shape: tuple[int, int]
    grids: Times | None = None
    grid_of: Ints | None = None
    starts: Times | None = None

    @property
    def counts(self) -> Ints:
        """Samples in each window, int64[w]."""
        return self.hi - self.lo

    @property
    def first(self) -> Ints:
        """Each window's first sample; a valid index also where the window is empty."""
        return np.minimum(self.lo, len(self.times) - 1)

    @property
    def last(self) -> Ints:
        """Each window's last sample; a valid index also where the window is empty."""
        return np.maximum(self.hi - 1, 0)

    def filled(self, minimum: int = 1) -> Mask:
        """Say which windows have so many samples; bool[1, w]."""
        return (self.counts >= minimum)[None, :]

    def times_at(self, index: Ints) -> Times:
        """Give the times of one sample of each window, int64[1, w], or int64[f, w] in a stack: see `by_row`."""
        return self.times.take(index)[None, :] if self.grids is None else self.grids.take(index, axis=1)

    def times_of(self, index: Ints) -> Times:
        """Give the times of one sample of each cell, int64[r, w] of int64[r, w]."""
        return self.times.take(index) if self.grids is None else np.take_along_axis(self.by_row(self.grids), index, 1)

    def by_row(self, values: _Numbers) -> _Numbers:
        """Give each row what its frame has: [r, n] of [f, n], or [1, n] as it is."""
        return values if self.grid_of is None else values.take(self.grid_of, axis=0)

    def chunks(self) -> Iterator["Windows"]:
        """Give the block in parts that fit the processor's cache."""
        rows = self.values.shape[0]
        if rows < self.shape[0] or rows == 1:
            yield self
            return
        size = max(1, _CHUNK_CELLS // max(len(self.times), len(self.lo), 1))
        for start in range(0, rows, size):
            part = self.values[start : start + size]
            yield replace(self, values=part, shape=(len(part), self.shape[1]))


@dataclass(frozen=True, slots=True, eq=False)
class RangeVector:
    """A range vector: blocks of windows, and the labels of their series in block order."""

    labels: LabelTable
    blocks: Sequence[Windows]
    steps: int

    def samples(self) -> Ints:
        """Give how many samples the windows of each step cover; int64[steps]."""
        total = np.zeros(self.steps, np.int64)
        for block in self.blocks:
            if len(block.counts) == self.steps:
                total += block.counts * block.shape[0]
            else:
                total += block.counts.reshape(block.shape).sum(axis=0)
        return total

    def apply(self, function: Callable[[Windows], tuple[Floats, Mask]]) -> tuple[Floats, Mask]:
        """Run a function over every block.

        function  gives values and presence, each broadcastable to [r, w]
        returns   float64[series, steps], bool[series, steps]
        """
        values = np.empty((len(self.labels), self.steps))
        present = np.empty((len(self.labels), self.steps), np.bool_)
        start = 0
        with np.errstate(all="ignore"):
            for part in _parts(self.blocks):
                checkpoint()
                here = slice(start, start + part.shape[0])
                for target, found in zip((values, present), function(part), strict=True):
                    form = (part.values.shape[0], len(part.lo))
                    if form == part.shape:
                        target[here] = found
                    else:
                        target[here] = np.broadcast_to(found, form).reshape(part.shape)
                start += part.shape[0]
        return values, present


def _parts(blocks: Sequence[Windows]) -> Iterator[Windows]:
    """Give blocks in parts that fit the cache, small dense ones with the same windows one below the other."""
    waiting: list[Windows] = []
    cells = 0
    for block in blocks:
        size = block.values.shape[0] * max(len(block.times), len(block.lo))
        if waiting and (cells + size > _CHUNK_CELLS or not _same_windows(waiting[0], block)):
            yield _stack(waiting)
            waiting, cells = [], 0
        if size > _CHUNK_CELLS or block.values.shape[0] != block.shape[0]:
            yield from block.chunks()
        else:
            waiting.append(block)
            cells += size
    if waiting:
        yield _stack(waiting)


def _same_windows(one: Windows, other: Windows) -> bool:
    if len(one.times) != len(other.times) or other.values.shape[0] != other.shape[0]:
        return False
    return one.lo is other.lo or (np.array_equal(one.lo, other.lo) and np.array_equal(one.hi, other.hi))


def _stack(blocks: list[Windows]) -> Windows:
    if len(blocks) == 1:
        return blocks[0]
    values = np.concatenate([block.values for block in blocks])
    of = np.repeat(np.arange(len(blocks)), [len(block.values) for block in blocks])
    grids = np.stack([block.times for block in blocks])
    return replace(blocks[0], values=values, shape=(len(values), blocks[0].shape[1]), grids=grids, grid_of=of)


def windows_of(
    frames: Sequence[FrameSlice], ends_ms: Ints, at_ms: Ints, range_ms: int, *, keep_stale: bool
) -> tuple[list[LabelTable], list[Windows]]:
    """Lay windows over frames.

    ends_ms, at_ms  int64[steps]
    keep_stale      whether staleness markers count as samples (instant lookups end at them) or are skipped (ranges)
    returns         label tables in the order of the blocks' series, and the blocks
    """
    tables: list[LabelTable] = []
    blocks: list[Windows] = []
    small: list[FrameSlice] = []
    known: list[_Bounds] = []
    many_steps = len(ends_ms) >= _DENSE_STEPS_MIN
    for frame in frames:
        cells_min = _STACKED_CELLS_MIN if many_steps and not frame.gaps else _DENSE_CELLS_MIN
        if frame.values.size < cells_min or frame.starts is not None:
            small.append(frame)
            continue
        for part in _split(frame, keep_stale=keep_stale):
            tables.append(part.labels)
            if part.gaps:
                blocks.append(_ragged([part], ends_ms, at_ms, range_ms, keep_stale))
            else:
                blocks.append(_dense(part, known, ends_ms, at_ms, range_ms))
    if small:
        tables += [frame.labels for frame in small]
        blocks.append(_ragged(small, ends_ms, at_ms, range_ms, keep_stale))
    return tables, blocks


def _split(frame: FrameSlice, *, keep_stale: bool) -> list[FrameSlice]:
    """Part a large frame into series without gaps, a dense block, and those with; rows of gaps alone are dropped."""
    if not frame.gaps:
        return [frame]
    gaps = _gaps(frame.values, keep_stale)
    empty_rows = gaps.all(axis=0)
    values, times = frame.values, frame.times
    if empty_rows.any():
        values, times, gaps = values[:, ~empty_rows], times[~empty_rows], gaps[:, ~empty_rows]
    gappy = ever(gaps)
    share = gappy.mean()
    if not len(times):
        return []
    if share == 0 or share > 0.5:
        return [FrameSlice(frame.labels, times, values, gaps=bool(share))]
    return [
        FrameSlice(frame.labels.take(~gappy), times, values[~gappy], gaps=False),
        FrameSlice(frame.labels.take(gappy), times, values[gappy], gaps=True),
    ]


def _gaps(values: Floats, keep_stale: bool) -> Mask:
    absent = is_absent(values)
    return absent if keep_stale else absent | is_stale(values)


@dataclass(frozen=True, slots=True, eq=False)
class _Bounds:
    """The windows of a frame, and how much earlier or later its samples could be without another one being in them."""

    times: Times
    lo: Ints
    hi: Ints
    earlier_ms: int
    later_ms: int

    @classmethod
    def of(cls, times: Times, ends_ms: Ints, range_ms: int) -> "_Bounds":
        """Search for them."""
        edges = np.concatenate([ends_ms - range_ms, ends_ms])
        after = times.searchsorted(edges, side="right")
        padded = np.concatenate([_LONG_AGO, times, _FAR_AHEAD])
        later = int((edges - padded.take(after)).min(initial=_MS_MAX))
        earlier = int((padded.take(after + 1) - edges).min(initial=_MS_MAX)) - 1
        lo, hi = after[: len(ends_ms)], after[len(ends_ms) :]
        return cls(times, lo, np.maximum(lo, hi), earlier, later)

    def hold(self, times: Times) -> bool:
        """Say whether other times have the same windows (perhaps, when False)."""
        if len(times) != len(self.times):
            return False
        apart = times - self.times
        return bool(apart.max() <= self.later_ms and apart.min() >= -self.earlier_ms)


def _dense(frame: FrameSlice, known: list[_Bounds], ends_ms: Ints, at_ms: Ints, range_ms: int) -> Windows:
    """Lay windows over a frame without gaps.

    known  bounds of other frames; those found here are added
    """
    bounds = next((one for one in known if one.hold(frame.times)), None)
    if bounds is None:
        bounds = _Bounds.of(frame.times, ends_ms, range_ms)
        known.insert(0, bounds)
        del known[_BOUNDS_KNOWN:]
    shape = (len(frame.labels), len(ends_ms))
    return Windows(frame.values, frame.times, bounds.lo, bounds.hi, ends_ms, at_ms, range_ms, shape)


def _ragged(frames: list[FrameSlice], ends_ms: Ints, at_ms: Ints, range_ms: int, keep_stale: bool) -> Windows:
    """Put the series of many frames end to end; one search finds the bounds of all frames and steps."""
    lengths = np.array([len(frame.times) for frame in frames])
    sizes = np.array([len(frame.labels) for frame in frames])
    grid = np.concatenate([frame.times for frame in frames])
    lo, hi = _bounds(grid, lengths, ends_ms, range_ms)
    frame_of = np.repeat(np.arange(len(frames)), sizes)
    rows = lengths[frame_of]
    begin = np.cumsum(rows) - rows
    lo, hi = begin[:, None] + lo[frame_of], begin[:, None] + hi[frame_of]
    values = np.concatenate([frame.values.ravel() for frame in frames])
    of_grid = (np.cumsum(lengths) - lengths)[frame_of] - begin  # from a series' place to its frame's time column
    times = grid[np.arange(len(values)) + np.repeat(of_grid, rows)]
    starts = _starts(frames)
    if any(frame.gaps for frame in frames):
        keep = ~_gaps(values, keep_stale)
        starts = None if starts is None else starts[keep]
        before = np.concatenate([[0], np.cumsum(keep)])
        lo, hi, values, times = before[lo], before[hi], values[keep], times[keep]
    if not len(times):  # every index must stay valid
        values, times, starts = np.zeros(1), np.zeros(1, np.int64), None
    shape = (len(frame_of), len(ends_ms))
    lo, hi = lo.ravel(), hi.ravel()
    ends, at = np.tile(ends_ms, shape[0]), np.tile(at_ms, shape[0])
    return Windows(values[None, :], times, lo, np.maximum(lo, hi), ends, at, range_ms, shape, starts=starts)


def _starts(frames: Sequence[FrameSlice]) -> Times | None:
    """Put the start timestamps of many frames end to end, if any has some."""
    if all(frame.starts is None for frame in frames):
        return None
    return np.concatenate(
        [np.zeros(frame.values.size, np.int64) if frame.starts is None else frame.starts.ravel() for frame in frames]
    )


def _bounds(grid: Times, lengths: Ints, ends_ms: Ints, range_ms: int) -> tuple[Ints, Ints]:
    """Search all frames at once: a frame's number, then the time, make one ascending key.

    returns  int64[frames, steps], rows within the frame
    """
    lowest = min(int(grid.min()), int(ends_ms.min()) - range_ms)
    span = max(int(grid.max()), int(ends_ms.max())) - lowest + 1
    numbers = np.arange(len(lengths), dtype=np.int64)
    keys = np.repeat(numbers * span, lengths) + (grid - lowest)
    starts = (np.cumsum(lengths) - lengths)[:, None]
    wanted = (numbers * span)[:, None] + (ends_ms - lowest)[None, :]
    hi = np.searchsorted(keys, wanted, side="right") - starts
    lo = np.searchsorted(keys, wanted - range_ms, side="right") - starts
    return lo, hi


def windows_over(values: Floats, present: Mask, times: Times, labels: LabelTable) -> FrameSlice:
    """Make a subquery's matrix into a frame, so that windows can be laid over it."""
    if present.all():
        return FrameSlice(labels, times, values, gaps=False)
    return FrameSlice(labels, times, np.where(present, values, ABSENT), gaps=True)


Parts = tuple[Floats, ...]


def fold(windows: Windows, parts: Parts, merge: Callable[[Parts, Parts], Parts]) -> Parts:
    """Combine the samples of every window by an associative operation, in time order.

    parts    float64[r, c] each: what one sample stands for
    merge    gives what two neighbouring runs of samples stand for together
    returns  float64[r, w] each; where a window is empty the cells mean nothing

    Runs of 1, 2, 4, … samples are combined once for all windows, and each window is put together from the runs
    that its length names in binary: the cost grows with the logarithm of the window, and so does the rounding error.
    """
    lengths = windows.counts
    longest = int(lengths.max(initial=0))
    form = (windows.values.shape[0], len(lengths))
    out = tuple(np.zeros(form) for _ in parts)
    at = windows.lo.copy()
    begun = np.zeros(len(lengths), np.bool_)
    level, run = parts, 1
    while run <= longest:
        chosen = (lengths & run) != 0
        for mask, fresh in ((chosen & ~begun, True), (chosen & begun, False)):
            which = np.nonzero(mask)[0]
            if len(which):
                here = tuple(part.take(at[which], axis=1) for part in level)
                _place(out, which, here if fresh else merge(_at(out, which), here))
        begun |= chosen
        at += np.where(chosen, run, 0)
        if run * 2 <= longest:
            level = merge(tuple(part[:, :-run] for part in level), tuple(part[:, run:] for part in level))
        run *= 2
    return out


def _at(parts: Parts, which: Ints) -> Parts:
    return parts if len(which) == parts[0].shape[1] else tuple(part[:, which] for part in parts)


def _place(out: Parts, which: Ints, parts: Parts) -> None:
    for target, part in zip(out, parts, strict=True):
        if len(which) == target.shape[1]:
            target[...] = part
        else:
            target[:, which] = part


def count_pairs(windows: Windows, happened: Mask) -> Floats:
    """Count what happened between neighbouring samples that both lie in the window.

    happened  bool[r, c-1]: between sample i and i+1
    returns   float64[r, w]
    """
    before = np.zeros(windows.values.shape, np.int64)
    np.cumsum(happened, axis=1, out=before[:, 1:])
    return (before.take(windows.last, axis=1) - before.take(windows.first, axis=1)).astype(np.float64)
