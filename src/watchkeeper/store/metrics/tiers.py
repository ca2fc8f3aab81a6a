"""Downsampling tiers: blocks of thinned samples, metrics/tier-<every>/<number>.block. docs/formats/tiers.md.

A tier's block is a block like any other (block.py) whose frames are named `<aggregate>/<source>`: one row a stretch of
time, at its end, for min, max, sum, count, lost; the samples themselves, at their own times, for first and last. Its
`mark` is the number that the next block of samples would have had when it was made, its `cutoff_ms` the end of what
the tier covers. It is made from blocks of whole days, and again from those that come to a day later.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import structlog

from watchkeeper.model.census import TierSaid
from watchkeeper.model.duration import format_duration, parse_duration
from watchkeeper.model.errors import BadInput
from watchkeeper.model.frame import ABSENT, STALE, Floats, Times
from watchkeeper.model.labels import Ints, LabelTable, Symbols
from watchkeeper.model.metrics import counter, gauge
from watchkeeper.model.thinned import AGGREGATES
from watchkeeper.store.files import Files
from watchkeeper.store.metrics.block import BlockWriter
from watchkeeper.store.metrics.blocks import Block, Blocks
from watchkeeper.store.metrics.chunk import Chunk, Columns
from watchkeeper.store.metrics.compact import Compactor
from watchkeeper.store.metrics.deletion import Tombstone, Tombstones, edit_of
from watchkeeper.store.metrics.directory import DIRECTORY
from watchkeeper.store.metrics.pack import Edit, Part, Piece, frame_of, laid_together, pack
from watchkeeper.store.metrics.strip import StripView, closed, row_times
from watchkeeper.store.metrics.thin import Thin, ends_of, thin
from watchkeeper.store.settings import Keep, MetricSettings

log = structlog.get_logger(__name__)

DAY_MS = 86_400_000
_CELLS_AT_ONCE = 1 << 23  # samples of a source that are thinned together
_COLUMNS_AT_ONCE = 64
_NEVER_MS = -(1 << 62)

MADE = counter("watchkeeper_tier_samples", "Samples that were thinned into a downsampling tier.", ("tier",))
FAILED = counter("watchkeeper_tier_failures", "Times that a block of a downsampling tier could not be made.", ("tier",))
TIER_BYTES = gauge("watchkeeper_tier_bytes", "Bytes of a downsampling tier's blocks.", ("tier",))
COVERED = gauge("watchkeeper_tier_covered_timestamp_seconds", "Up to when a downsampling tier has samples.", ("tier",))


class _TierTombstones(Tombstones):
    """What was deleted as it concerns a tier: whole stretches, and blocks made before the deletion."""

    def __init__(self, tombstones: Tombstones, blocks: Blocks, every_ms: int) -> None:
        self._samples, self._blocks, self._every_ms = tombstones, blocks, every_ms

    def concerning(self, number: int | None, start_ms: int, end_ms: int) -> list[Tombstone]:
        mark = next((block.contents.mark for block in self._blocks.all() if block.number == number), 0)
        found = self._samples.concerning(mark - 1, start_ms - self._every_ms, end_ms + self._every_ms)
        return [self._widened(one) for one in found]

    def _widened(self, one: Tombstone) -> Tombstone:
        start_ms = -(-one.start_ms // self._every_ms) * self._every_ms - self._every_ms + 1
        return replace(one, start_ms=start_ms, end_ms=-(-one.end_ms // self._every_ms) * self._every_ms)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A block of a tier that is due: samples of some blocks with start_ms < time <= end_ms."""

    blocks: tuple[Block, ...]
    start_ms: int
    end_ms: int
    replaces: tuple[Block, ...] = ()


class Tier:
    """One tier. Made and changed by one thread at a time, read by any."""

    def __init__(
        self,
        files: Files,
        symbols: Symbols,
        tombstones: Tombstones,
        settings: MetricSettings,
        at: int,
        keeps: Sequence[Keep],
    ) -> None:
        said = settings.downsample[at]
        self.every_ms, keep_ms = parse_duration(said.every), parse_duration(said.keep)
        if not 60_000 <= self.every_ms <= DAY_MS or DAY_MS % self.every_ms:
            raise BadInput(f"cannot downsample: got every {said.every!r}, want a part of a day, at least 1m")
        self.name = format_duration(self.every_ms)
        late_ms = settings.out_of_order_window_ms + 2 * settings.block_ms
        self.after_ms = max(min(parse_duration(said.after), settings.retention_ms - 2 * DAY_MS), late_ms)
        self.blocks = Blocks(files, f"{DIRECTORY}/tier-{self.name}", symbols, told=False)
        rules = tuple(
            Keep(one.matchers, one.keep_ms if one.keep_ms < settings.retention_ms else keep_ms) for one in keeps
        )
        self.tombstones = _TierTombstones(tombstones, self.blocks, self.every_ms)
        self.compactor = Compactor(self.blocks, self.tombstones, symbols, DAY_MS, keep_ms, rules, edge_ms=1)
        self._samples, self._symbols = tombstones, symbols

    @property
    def until_ms(self) -> int:
        """The end of what the tier covers."""
        return self.blocks.cutoff_ms

    @property
    def first_ms(self) -> int | None:
        """Time of the oldest sample; None when there is none."""
        return min((block.first_ms for block in self.blocks.all()), default=None)

    def late(self, samples: Blocks) -> list[Block]:
        """Give the blocks of samples that came to a time which the tier covers already."""
        if not self.blocks.all():
            return []
        mark, until_ms = self.blocks.mark, self.until_ms
        return [
            one for one in samples.all() if one.number >= mark and not one.contents.replaces and one.first_ms < until_ms
        ]

    def due(self, samples: Blocks, now_ms: int) -> list[Job]:
        """Give the blocks that are to be made next: days that samples came to late, or the next day."""
        late = self.late(samples)
        if late:
            return self._again(samples, late)
        waiting = [one for one in samples.all() if one.last_ms > self.until_ms]
        if not waiting:
            return []
        start_ms = max(self.until_ms, min(one.first_ms for one in waiting) - 1) // DAY_MS * DAY_MS
        end_ms = start_ms + DAY_MS
        start_ms = max(start_ms, self.until_ms)
        if end_ms > now_ms - self.after_ms or end_ms >= samples.cutoff_ms:
            return []
        return [Job(_within(samples, start_ms, end_ms), start_ms, end_ms)]

    def _again(self, samples: Blocks, late: Sequence[Block]) -> list[Job]:
        """Make anew the blocks whose time has got more samples, where all samples are there; else add one beside."""
        oldest_ms = min((block.first_ms for block in samples.all() if block not in late), default=1 << 62)
        jobs: list[Job] = []
        touched: set[int] = set()
        days = {day for one in late for day in range((one.first_ms - 1) // DAY_MS, (one.last_ms - 1) // DAY_MS + 1)}
        for day in sorted(days):
            start_ms, end_ms = day * DAY_MS, min((day + 1) * DAY_MS, self.until_ms)
            if end_ms <= start_ms or day in touched:
                continue
            there = tuple(one for one in self.blocks.all() if one.first_ms <= end_ms and one.last_ms > start_ms)
            span = [(one.first_ms - 1) // DAY_MS * DAY_MS for one in there] + [start_ms]
            ends = [-(-one.last_ms // DAY_MS) * DAY_MS for one in there] + [end_ms]
            if there and oldest_ms <= min(span) + DAY_MS // 24:
                start_ms, end_ms = min(span), min(max(ends), self.until_ms)
                touched |= set(range(start_ms // DAY_MS, -(-end_ms // DAY_MS)))
                jobs.append(Job(_within(samples, start_ms, end_ms), start_ms, end_ms, there))
            else:
                mine = tuple(one for one in late if one.first_ms <= end_ms and one.last_ms > start_ms)
                jobs.append(Job(mine, start_ms, end_ms))
        return jobs

    def make(self, jobs: Sequence[Job], mark: int, pace: Callable[[], None]) -> list[int]:
        """Write the blocks of jobs, from any thread; give their numbers. The last one alone says that all is done.

        mark    number that the next block of samples will have
        raises  Stopped, OSError, Damaged; nothing is left then
        """
        written: list[BlockWriter] = []
        numbers = []
        try:
            for at, job in enumerate(jobs, 1):
                number, writer = self.blocks.writer()
                written.append(writer)
                numbers.append(number)
                for source, pieces in _by_source(job.blocks):
                    self._write(writer, source, pieces, job, pace)
                said = (mark, max(job.end_ms, self.until_ms)) if at == len(jobs) else (self.blocks.mark, self.until_ms)
                writer.finish(*said, [block.number for block in job.replaces])
        except BaseException:
            for writer in written:
                writer.abandon()
            raise
        return numbers

    def _write(
        self, writer: BlockWriter, source: str, pieces: Sequence[Piece], job: Job, pace: Callable[[], None]
    ) -> None:
        deleted = list(
            {
                one: None
                for block in job.blocks
                for one in self._samples.concerning(block.number, job.start_ms, job.end_ms)
            }
        )

        def edit(table: LabelTable) -> tuple[Columns | None, Edit | None]:
            kept = self.compactor.kept(table, 0)
            left = None if kept.all() else np.flatnonzero(kept).astype(np.int32)
            return left, edit_of(deleted, table if left is None else table.take(left))

        table, parts, change = frame_of(pieces, self._symbols, edit)
        if not len(table):
            return
        times = np.unique(np.concatenate([row_times(part.strips) for part in parts]))
        times = times[np.searchsorted(times, job.start_ms, "right") : np.searchsorted(times, job.end_ms, "right")]
        chunks: dict[str, list[Chunk]] = {name: [] for name in AGGREGATES}
        samples = 0
        for rows in _runs(times, self.every_ms, _CELLS_AT_ONCE // len(table)):
            for name, own_times, values in _frames(_thinned(parts, rows, len(table), self.every_ms, change, pace)):
                strip = StripView((), own_times, values.T)
                packed, number = pack([Part((strip,), np.arange(len(table), dtype=np.int32))], len(table), None, pace)
                chunks[name] += packed
                samples += number if name == "count" else 0
        MADE.labels(self.name).inc(samples)
        for name in AGGREGATES:
            if chunks[name]:
                writer.add(f"{name}/{source}", table, chunks[name], samples)

    def told(self) -> TierSaid:
        """Give the tier as others know it."""
        blocks = self.blocks.all()
        until_ms = self.until_ms if blocks else None
        return TierSaid(self.name, len(blocks), self.blocks.size_bytes, self.first_ms, until_ms)

    def say(self) -> None:
        """Show sizes and progress as metrics."""
        TIER_BYTES.labels(self.name).set(self.blocks.size_bytes)
        if self.blocks.all():
            COVERED.labels(self.name).set(self.until_ms / 1000)


def _within(samples: Blocks, start_ms: int, end_ms: int) -> tuple[Block, ...]:
    return tuple(one for one in samples.all() if one.first_ms <= end_ms and one.last_ms > start_ms)


def _by_source(blocks: Sequence[Block]) -> Iterator[tuple[str, list[Piece]]]:
    found: dict[str, list[Piece]] = {}
    for block in blocks:
        for view in block.views:
            columns = np.arange(len(view.table), dtype=np.int32)
            piece = Piece(view.table, view.hashes, (closed(view.file.chunks(view.said)),), columns)
            found.setdefault(view.source, []).append(piece)
    yield from sorted(found.items())


def _runs(times: Times, every_ms: int, rows_max: int) -> Iterator[Times]:
    """Part rows between stretches, so many at a time (or one stretch, where it has more)."""
    ends = ends_of(times, every_ms)
    low = 0
    while low < len(times):
        high = min(low + max(rows_max, 1), len(times))
        if high < len(times) and ends[high] == ends[high - 1]:
            begin = int(np.searchsorted(ends, ends[high]))
            high = begin if begin > low else int(np.searchsorted(ends, ends[high], "right"))
        yield times[low:high]
        low = high


def _thinned(
    parts: Sequence[Part], times: Times, columns: int, every_ms: int, edit: Edit | None, pace: Callable[[], None]
) -> Thin:
    found = []
    for start in range(0, columns, _COLUMNS_AT_ONCE):
        here = np.arange(start, min(start + _COLUMNS_AT_ONCE, columns), dtype=np.int32)
        values = laid_together(parts, times, here)
        if edit is not None:
            edit(here, times, values)
        found.append(thin(times, values, every_ms))
        pace()
    return Thin(
        found[0].ends,
        {name: np.concatenate([one.values[name] for one in found]) for name in AGGREGATES},
        {name: np.concatenate([one.times[name] for one in found]) for name in found[0].times},
    )


def _frames(found: Thin) -> Iterator[tuple[str, Times, Floats]]:
    """Give each aggregate's rows. What can be told from others is left out: a reader puts it back (thinning.py).

    min is first and max is last in every stretch of a counter without resets, which has lost nothing.
    """
    there = found.values["count"] > 0
    for name in AGGREGATES:
        values = found.values[name]
        if name in ("first", "last"):
            ended = found.times["stale"] if name == "last" else np.zeros_like(found.times[name])
            yield name, *_own_rows(values, found.times[name], there, ended)
            continue
        kept = there
        if name == "lost":
            kept = there & (values != 0)
        elif name in ("min", "max"):
            same = values.view(np.uint64) == found.values["first" if name == "min" else "last"].view(np.uint64)
            kept = there & ~(same | ~there).all(axis=1, keepdims=True)
        yield name, found.ends, np.where(kept, values, ABSENT)


def _own_rows(values: Floats, times: Ints, there: "np.typing.NDArray[np.bool_]", stale: Ints) -> tuple[Times, Floats]:
    """Put samples at their own times, and staleness markers at theirs."""
    marked = stale != 0
    rows = np.unique(np.concatenate([times[there], stale[marked]]))
    out = np.full((len(values), len(rows)), ABSENT)
    series, _ = np.nonzero(there)
    out[series, rows.searchsorted(times[there])] = values[there]
    series, _ = np.nonzero(marked)
    out[series, rows.searchsorted(stale[marked])] = STALE
    return rows, out
