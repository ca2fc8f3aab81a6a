"""Reading many frames' newest rows at once: for questions about one moment, which rules and panels ask again and again.

Such a question touches a handful of rows of many frames, so that what is done a frame is what it costs. Which columns
of which frames a selector means is therefore remembered, with their labels joined, for as long as no frame gets a
column more; what is left a frame is one copy out of its open rows.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from watchkeeper.model.frame import ABSENT_BITS, STALE_BITS, Floats, Times, is_histogram
from watchkeeper.model.labels import METRIC_NAME, LabelTable, Symbols
from watchkeeper.model.matchers import Matcher
from watchkeeper.model.stacked import Stacked
from watchkeeper.store.metrics.blocks import Blocks
from watchkeeper.store.metrics.chunk import Columns
from watchkeeper.store.metrics.columns import Matches
from watchkeeper.store.metrics.decoded import DecodedChunks
from watchkeeper.store.metrics.deletion import Tombstones
from watchkeeper.store.metrics.frame import FrameView
from watchkeeper.store.metrics.frames import Frames

_PLANS_MAX = 512


@dataclass(frozen=True, slots=True, eq=False)
class _Pick:
    """Columns of one frame.

    at     place of the frame among the views
    first  of the columns when they are neighbours, else -1
    """

    at: int
    columns: Columns
    first: int

    @property
    def last(self) -> int:
        return int(self.columns[-1])


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What a selector means in some frames; labels None when two frames have one series."""

    matches: tuple[Matches, ...]
    picks: tuple[_Pick, ...]
    labels: LabelTable | None

    def fits(self, views: Sequence[FrameView]) -> bool:
        """Say whether these are still the frames, with still the same columns."""
        if len(views) != len(self.matches):
            return False
        return all(view.matches is known for view, known in zip(views, self.matches, strict=True))


class Recent:
    """Reads frames in memory, with plans by selector: see model.stacked.RecentReader.

    Safe from any thread: a plan is never changed, and another in its place does no harm.
    """

    def __init__(
        self, symbols: Symbols, frames: Frames, blocks: Blocks, tombstones: Tombstones, decoded: DecodedChunks
    ) -> None:
        self._symbols, self._frames, self._blocks = symbols, frames, blocks
        self._tombstones, self._decoded = tombstones, decoded
        self._plans: OrderedDict[tuple[Matcher, ...], _Plan] = OrderedDict()

    def recent(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, *, newest: bool) -> Stacked | None:
        """Give the samples of a closed range; see RecentReader.recent."""
        names = name_codes([matchers], self._symbols)
        views = self._frames.views(names)  # before the blocks: what moves into one meanwhile is found there
        if any(self._blocks.views(names, start_ms, end_ms)) or self._blocks.missing(start_ms, end_ms):
            return None
        if self._tombstones.concerning(None, start_ms, end_ms):
            return None
        plan = self._plan(views, tuple(matchers))
        if plan.labels is None:
            return None
        parts = [self._part(views[pick.at], pick, start_ms, end_ms, newest=newest) for pick in plan.picks]
        if newest and not _is_whole(parts):
            parts = [self._part(views[pick.at], pick, start_ms, end_ms, newest=False) for pick in plan.picks]
        return _stacked(plan.labels, parts)

    def _plan(self, views: Sequence[FrameView], matchers: tuple[Matcher, ...]) -> _Plan:
        plan = self._plans.get(matchers)
        if plan is not None and plan.fits(views):
            return plan
        picks, tables, hashes = [], [], []
        for at, view in enumerate(views):
            found = view.matches.find(matchers)
            size = len(found.columns)
            if not size:
                continue
            first = int(found.columns[0]) if int(found.columns[-1]) - int(found.columns[0]) == size - 1 else -1
            picks.append(_Pick(at, found.columns, first))
            tables.append(found.labels)
            hashes.append(found.hashes)
        labels: LabelTable | None = LabelTable((), np.zeros((0, 0), np.int32), self._symbols)
        if tables:
            every = np.concatenate(hashes)
            labels = LabelTable.join(tables, self._symbols) if len(np.unique(every)) == len(every) else None
        plan = _Plan(tuple(view.matches for view in views), tuple(picks), labels)
        self._plans[matchers] = plan
        while len(self._plans) > _PLANS_MAX:
            self._plans.popitem(last=False)
        return plan

    def _part(self, view: FrameView, pick: _Pick, start_ms: int, end_ms: int, *, newest: bool) -> tuple[Times, Floats]:
        """Give rows of a frame: times, float64[columns, rows], perhaps a view into the open rows."""
        (strip, *more) = view.strips
        chunks = strip.chunks
        if more or strip.values.shape[1] <= pick.last or (chunks and chunks[-1].end_ms >= start_ms):
            times, values, _ = view.read(pick.columns, start_ms, end_ms, self._decoded)
            return times, values
        times = strip.times
        high = len(times)
        if high and times[-1] > end_ms:
            high = int(times.searchsorted(end_ms, "right"))
        if newest:
            low = high - 1 if high and times[high - 1] >= start_ms else high
        else:
            low = int(times.searchsorted(start_ms))
        if pick.first < 0:
            return times[low:high], strip.values[low:high, pick.columns].T
        return times[low:high], strip.values[low:high, pick.first : pick.last + 1].T


def name_codes(selectors: Sequence[Sequence[Matcher]], symbols: Symbols) -> list[int | None] | None:
    """Give the codes of the metric names that are asked for (None: a name that nobody has); None for all."""
    names = [[one.value for one in matchers if one.name == METRIC_NAME and one.op == "="] for matchers in selectors]
    return [symbols.find(wanted[0]) for wanted in names if wanted] if all(names) else None


def _is_whole(parts: Sequence[tuple[Times, Floats]]) -> bool:
    """Say whether newest rows have something of every series: else an older row does."""
    for times, values in parts:
        if len(times) and np.isnan(values[:, -1]).any() and (values[:, -1].view(np.uint64) == ABSENT_BITS).any():
            return False
    return True


def _stacked(labels: LabelTable, parts: Sequence[tuple[Times, Floats]]) -> Stacked | None:
    sizes = [(len(values), len(times)) for times, values in parts]
    total = sum(series * rows for series, rows in sizes)
    times, values = np.empty(total, np.int64), np.empty(total)
    at = 0
    for (series, rows), (own_times, own) in zip(sizes, parts, strict=True):
        end = at + series * rows
        values[at:end].reshape(series, rows)[...] = own
        times[at:end].reshape(series, rows)[...] = own_times
        at = end
    lengths = np.repeat(np.array([rows for _, rows in sizes], np.int64), np.array([one for one, _ in sizes], np.int64))
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    gaps = False
    if np.isnan(values).any():
        bits = values.view(np.uint64)
        gaps = bool(((bits == ABSENT_BITS) | (bits == STALE_BITS)).any())
        if is_histogram(values).any():
            return None
    return Stacked(labels, times, values, starts, gaps)
