"""Answering from frames, in memory and in blocks: which series match, and their samples. From any thread."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt
import structlog

from watchkeeper.model.checkpoint import checkpoint
from watchkeeper.model.doors import Matchers
from watchkeeper.model.errors import Damaged
from watchkeeper.model.frame import ABSENT_BITS, STALE_BITS, Floats, FrameSlice, Selection, Times
from watchkeeper.model.labels import LabelTable, Symbols
from watchkeeper.model.matchers import Matcher
from watchkeeper.model.metrics import counter
from watchkeeper.store.metrics.chunk import Columns
from watchkeeper.store.metrics.columns import Hashes, Match, Matches, spread
from watchkeeper.store.metrics.decoded import DecodedChunks
from watchkeeper.store.metrics.deletion import Tombstone, Tombstones
from watchkeeper.store.metrics.strip import unite

log = structlog.get_logger(__name__)

DAMAGED_READS = counter("watchkeeper_blocks_damaged_reads", "Reads of blocks that left out what does not check out.")


class View(Protocol):
    """A frame as it was at a moment, in memory or in a block."""

    @property
    def source(self) -> str: ...

    @property
    def matches(self) -> Matches: ...

    @property
    def table(self) -> LabelTable: ...

    @property
    def number(self) -> int | None:
        """Number of its block; None in memory."""
        ...

    def alive(self, columns: Columns, start_ms: int, end_ms: int) -> npt.NDArray[np.bool_] | bool:
        """Say which columns may have samples in a closed range."""
        ...

    def read(
        self, wanted: Columns, start_ms: int, end_ms: int, decoded: DecodedChunks | None = None
    ) -> tuple[Times, Floats, bool]:
        """Give the rows of a closed range: times, float64[len(wanted), rows], whether there may be gaps.

        raises  Damaged
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some series of one frame with their samples in a range."""

    source: str
    labels: LabelTable
    hashes: Hashes
    times: Times
    values: Floats
    gaps: bool

    def take(self, which: npt.NDArray[np.bool_]) -> "_Part":
        labels, hashes = self.labels.take(which), self.hashes[which]
        return _Part(self.source, labels, hashes, self.times, self.values[which], self.gaps)


def matching(view: View, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int) -> Match | None:
    """Give the columns that match and may have samples in a closed range."""
    found = view.matches.find(matchers)
    columns = found.columns
    if not len(columns):
        return None
    alive = view.alive(columns, start_ms, end_ms)
    if isinstance(alive, bool):
        return found if alive else None
    if alive.all():
        return found
    return Match(columns[alive], found.labels.take(alive), found.hashes[alive]) if alive.any() else None


def select(
    views: Iterable[View],
    matchers: Matchers,
    start_ms: int,
    end_ms: int,
    decoded: DecodedChunks,
    tombstones: Tombstones,
    missing: Sequence[str] = (),
) -> Selection:
    """Give the samples of a closed range, no two series with equal labels.

    missing  warnings about what is known to be left out
    """
    wanted, warnings = tuple(matchers), list(missing)
    parts = []
    for view in views:
        checkpoint()
        part = _read(view, wanted, start_ms, end_ms, decoded, warnings)
        if part is not None:
            parts.append(_without_deleted(part, tombstones.concerning(view.number, start_ms, end_ms)))
    merged = [_without_empty(part) if part.gaps else part for part in _merge_equal(_join_in_time(parts))]
    slices = (
        FrameSlice(part.labels, part.times, np.ascontiguousarray(part.values), part.gaps)
        for part in merged
        if part is not None
    )
    return Selection(slices, warnings)


def _read(
    view: View, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int, decoded: DecodedChunks, warnings: list[str]
) -> _Part | None:
    match = matching(view, matchers, start_ms, end_ms)
    if match is None:
        return None
    try:
        times, values, gaps = view.read(match.columns, start_ms, end_ms, decoded)
    except Damaged as error:
        DAMAGED_READS.inc()
        log.warning("block_damaged", source=view.source, error=str(error))
        warnings.append(f"some samples are left out: {error}")
        return _salvage(view, match, start_ms, end_ms)
    if not len(times):
        return None
    return _Part(view.source, match.labels, match.hashes, times, values, gaps)


def _without_deleted(part: _Part, tombstones: Sequence[Tombstone]) -> _Part:
    if not tombstones:
        return part
    values = part.values.copy()
    deleted = [one.take_out(part.labels, part.times, values) for one in tombstones]
    return replace(part, values=values, gaps=True) if any(deleted) else part


def _salvage(view: View, match: Match, start_ms: int, end_ms: int) -> _Part | None:
    """Read the series that can be read, one by one."""
    kept, rows, times = [], [], np.empty(0, np.int64)
    for at in range(len(match.columns)):
        try:
            times, values, _ = view.read(match.columns[at : at + 1], start_ms, end_ms)
        except Damaged:
            continue
        kept.append(at)
        rows.append(values)
    if not kept or not len(times):
        return None
    which = np.array(kept)
    return _Part(view.source, match.labels.take(which), match.hashes[which], times, np.concatenate(rows), gaps=True)


def _join_in_time(parts: list[_Part]) -> list[_Part]:
    """Put the stretches of time of the same series one after the other, where they do not overlap."""
    by_source: dict[str, list[_Part]] = {}
    for part in parts:
        by_source.setdefault(part.source, []).append(part)
    if len(by_source) == len(parts):
        return parts
    joined = []
    for own in by_source.values():
        own.sort(key=lambda part: int(part.times[0]))
        borders = [
            at
            for at, (left, right) in enumerate(pairwise(own), 1)
            if left.times[-1] >= right.times[0] or left.hashes.tobytes() != right.hashes.tobytes()
        ]
        joined += [_run(own[low:high]) for low, high in pairwise([0, *borders, len(own)])]
    return joined


def _run(parts: list[_Part]) -> _Part:
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    times = np.concatenate([part.times for part in parts])
    values = np.concatenate([part.values for part in parts], axis=1)
    return _Part(first.source, first.labels, first.hashes, times, values, any(part.gaps for part in parts))


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
        times, gaps = part.times[rows], bool(hole[:, rows].any())
        return _Part(part.source, part.labels, part.hashes, times, values, gaps)
    return _Part(part.source, part.labels, part.hashes, part.times, part.values, bool(hole.any()))


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
    return _Part(parts[0].source, parts[0].labels.take(picked[0]), hashes, times, values, gaps)


def series(
    views: Sequence[View], selectors: Sequence[Matchers], start_ms: int, end_ms: int, symbols: Symbols
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
    views: Sequence[View], name: str | None, selectors: Sequence[Matchers], start_ms: int, end_ms: int
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
