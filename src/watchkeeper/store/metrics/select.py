"""Answering from frames: which series match, and their samples. Works on views, from any thread."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watchkeeper.model.doors import Matchers
from watchkeeper.model.frame import ABSENT_BITS, STALE_BITS, Floats, FrameSlice, Times
from watchkeeper.model.labels import LabelTable, Symbols
from watchkeeper.model.matchers import Matcher
from watchkeeper.store.metrics.columns import Hashes, Match, spread
from watchkeeper.store.metrics.decoded import DecodedChunks
from watchkeeper.store.metrics.frame import FrameView, unite


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some series of one frame with their samples in a range."""

    labels: LabelTable
    hashes: Hashes
    times: Times
    values: Floats
    gaps: bool

    def take(self, which: npt.NDArray[np.bool_]) -> "_Part":
        return _Part(self.labels.take(which), self.hashes[which], self.times, self.values[which], self.gaps)


def matching(view: FrameView, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int) -> Match | None:
    """Give the columns that match and may have samples in a closed range."""
    found = view.matches.find(matchers)
    columns = found.columns
    if not len(columns):
        return None
    alive = (view.first_ms[columns] <= end_ms) & (view.newest_ms[columns] >= start_ms)
    if alive.all():
        return found
    return Match(columns[alive], found.labels.take(alive), found.hashes[alive]) if alive.any() else None


def select(
    views: Iterable[FrameView], matchers: Matchers, start_ms: int, end_ms: int, decoded: DecodedChunks
) -> list[FrameSlice]:
    """Give the samples of a closed range, no two series with equal labels."""
    wanted = tuple(matchers)
    parts = [part for view in views if (part := _read(view, wanted, start_ms, end_ms, decoded)) is not None]
    merged = [_without_empty(part) if part.gaps else part for part in _merge_equal(parts)]
    return [FrameSlice(part.labels, part.times, part.values, part.gaps) for part in merged if part is not None]


def _read(
    view: FrameView, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int, decoded: DecodedChunks
) -> _Part | None:
    match = matching(view, matchers, start_ms, end_ms)
    if match is None:
        return None
    times, values, gaps = view.read(match.columns, start_ms, end_ms, decoded)
    if not len(times):
        return None
    return _Part(match.labels, match.hashes, times, values, gaps)


def _without_empty(part: _Part) -> _Part | None:
    """Leave out series without a single sample, and rows without anything.

    Only after merging: the staleness marker that ends a series may lie in another frame than its samples.
    """
    bits = part.values.view(np.uint64)
    absent = bits == ABSENT_BITS
    hole = absent | (bits == STALE_BITS)
    alive = ~hole.all(axis=1)
    if not alive.any():
        return None
    if not alive.all():
        part, absent, hole = part.take(alive), absent[alive], hole[alive]
    rows = ~absent.all(axis=0)
    if not rows.all():
        values = np.ascontiguousarray(part.values[:, rows])
        return _Part(part.labels, part.hashes, part.times[rows], values, bool(hole[:, rows].any()))
    return _Part(part.labels, part.hashes, part.times, part.values, bool(hole.any()))


def _merge_equal(parts: list[_Part]) -> list[_Part]:
    """Make one series of those that several frames have."""
    if len(parts) < 2:
        return parts
    hashes = np.concatenate([part.hashes for part in parts])
    distinct, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    if len(distinct) == len(hashes):
        return parts
    shared = counts[inverse] > 1
    owner = np.repeat(np.arange(len(parts)), [len(part.hashes) for part in parts])
    bounds = np.cumsum([0, *(len(part.hashes) for part in parts)])
    merged = [
        part.take(~shared[low:high])
        for part, low, high in zip(parts, bounds, bounds[1:], strict=False)
        if not shared[low:high].all()
    ]
    order = np.argsort(inverse, kind="stable")  # by series, and then by part
    starts = np.cumsum(counts) - counts
    twice = np.flatnonzero(counts > 1)
    signatures = np.add.reduceat(spread(owner[order].astype(np.uint64)), starts)[twice]  # which parts share a series
    first, group = np.unique(signatures, return_index=True, return_inverse=True)[1:]
    for number, example in enumerate(twice[first].tolist()):
        start = int(starts[example])
        sharers = owner[order[start : start + int(counts[example])]]
        merged.append(_lay_together([parts[at] for at in sharers.tolist()], distinct[twice[group == number]]))
    return merged


def _lay_together(parts: Sequence[_Part], hashes: Hashes) -> _Part:
    picked = []
    for part in parts:
        order = np.argsort(part.hashes, kind="stable")
        picked.append(order[np.searchsorted(part.hashes[order], hashes)])
    times, values = unite([(part.times, part.values[which]) for part, which in zip(parts, picked, strict=True)])
    bits = values.view(np.uint64)
    gaps = bool(((bits == ABSENT_BITS) | (bits == STALE_BITS)).any())
    return _Part(parts[0].labels.take(picked[0]), hashes, times, values, gaps)


def series(
    views: Sequence[FrameView], selectors: Sequence[Matchers], start_ms: int, end_ms: int, symbols: Symbols
) -> LabelTable:
    """Give the labels of the series that match any selector and may have samples in the range, each once."""
    tables, hashes = [], []
    for view in views:
        for matchers in selectors:
            match = matching(view, tuple(matchers), start_ms, end_ms)
            if match is not None:
                tables.append(match.labels)
                hashes.append(match.hashes)
    if not tables:
        return LabelTable((), np.zeros((0, 0), np.int32), symbols)
    joined = LabelTable.join(tables, symbols)
    first = np.unique(np.concatenate(hashes), return_index=True)[1]
    return joined if len(first) == len(joined) else joined.take(np.sort(first))


def label_codes(
    views: Sequence[FrameView], name: str | None, selectors: Sequence[Matchers], start_ms: int, end_ms: int
) -> tuple[set[str], set[int]]:
    """Give the label names of matching series, and the codes of one label's values among them (0 left out)."""
    names: set[str] = set()
    codes: set[int] = set()
    for view in views:
        for matchers in selectors:
            match = matching(view, tuple(matchers), start_ms, end_ms)
            if match is None:
                continue
            chosen = match.labels
            if name is None:
                names.update(one for one, row in zip(chosen.names, chosen.codes, strict=True) if row.any())
            else:
                codes.update(np.unique(chosen.column(name)).tolist())
    codes.discard(0)
    return names, codes
