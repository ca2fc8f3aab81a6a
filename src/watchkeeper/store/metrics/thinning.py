"""Reading downsampling tiers: what a tier's blocks hold, and behind their end the samples, thinned now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from watchkeeper.model.checkpoint import checkpoint
from watchkeeper.model.doors import Matchers
from watchkeeper.model.errors import Damaged
from watchkeeper.model.frame import ABSENT_BITS, STALE_BITS, Floats, FrameSlice, Selection, Times
from watchkeeper.model.labels import Ints, LabelTable, Symbols
from watchkeeper.model.matchers import Matcher
from watchkeeper.model.thinned import Thinned
from watchkeeper.store.metrics.blocks import Block, Blocks, BlockView
from watchkeeper.store.metrics.columns import Hashes, Match, hash_table
from watchkeeper.store.metrics.deletion import Tombstones
from watchkeeper.store.metrics.thin import Thin, ends_of, thin
from watchkeeper.store.metrics.tiers import Tier

_STRETCHES_MIN = 12  # of a shorter range the samples themselves are as good
_SERIES_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    labels: LabelTable
    hashes: Hashes
    thin: Thin


class Thinning:
    """model.thinned.ThinnedReader over the tiers of a store.

    select     gives samples as they are
    oldest_ms  gives the time from which on there are samples as they are, of all series
    """

    def __init__(
        self,
        tiers: Sequence[Tier],
        samples: Blocks,
        tombstones: Tombstones,
        symbols: Symbols,
        select: Callable[[Matchers, int, int], Selection],
        oldest_ms: Callable[[], int],
    ) -> None:
        self._tiers = sorted(tiers, key=lambda tier: -tier.every_ms)
        self._samples, self._tombstones, self._symbols = samples, tombstones, symbols
        self._select, self._oldest_ms = select, oldest_ms

    def choose(self, start_ms: int, end_ms: int, fits: Callable[[int], bool]) -> tuple[int, bool] | None:
        """Say which tier answers best; see ThinnedReader.choose."""
        there = [tier for tier in self._tiers if tier.first_ms is not None]
        gone = self.gone_before_ms(start_ms) is not None
        if gone:
            reaching = [tier for tier in there if (tier.first_ms or 0) <= start_ms + tier.every_ms]
            usable = reaching or [min(there, key=lambda tier: tier.first_ms or 0)]
            fitting = [tier.every_ms for tier in usable if fits(tier.every_ms)]
            return (fitting[0], True) if fitting else (usable[-1].every_ms, False)
        for tier in there:
            wide = end_ms - start_ms >= _STRETCHES_MIN * tier.every_ms and start_ms < tier.until_ms
            if fits(tier.every_ms) and wide and self._is_whole(tier, start_ms, end_ms):
                return tier.every_ms, True
        return None

    def gone_before_ms(self, start_ms: int) -> int | None:
        """Say from when on the samples are there; see ThinnedReader.gone_before_ms."""
        known = [tier.first_ms for tier in self._tiers if tier.first_ms is not None]
        if not known:
            return None
        oldest_ms, thinned_ms = self._oldest_ms(), min(known)
        return oldest_ms if start_ms < oldest_ms - 1 and thinned_ms < oldest_ms else None

    def _is_whole(self, tier: Tier, start_ms: int, end_ms: int) -> bool:
        """Say whether a tier knows of all that came, and of all that was deleted, in a range."""
        late = any(one.first_ms <= end_ms and one.last_ms > start_ms for one in tier.late(self._samples))
        deleted = any(one.start_ms <= end_ms and one.end_ms > start_ms for one in self._tombstones.all())
        first_ms = tier.first_ms
        begins = first_ms is not None and (first_ms <= start_ms + tier.every_ms or first_ms <= self._oldest_ms())
        return begins and not (late or deleted or tier.blocks.missing(start_ms, end_ms))

    def series_views(self, names: Sequence[int | None] | None, start_ms: int, end_ms: int) -> list[BlockView]:
        """Give frames that say which series had samples in a closed range, of the time before the samples begin."""
        end_ms = min(end_ms, self._oldest_ms())
        return [
            view
            for tier in self._tiers
            for view in tier.blocks.views(names, start_ms, end_ms)
            if view.source.startswith("last/")
        ]

    def thinned(
        self,
        matchers: Matchers,
        every_ms: int,
        ends: tuple[int, int],
        wanted: Sequence[str],
        charge: Callable[[int], None],
    ) -> Thinned:
        """Give the series that match; see ThinnedReader.thinned."""
        tier = next(tier for tier in self._tiers if tier.every_ms == every_ms)
        names = [*dict.fromkeys([*wanted, "count"])]
        start_ms, end_ms = ends[0] - every_ms, ends[1]
        warnings = tier.blocks.missing(start_ms, end_ms)
        pieces: list[_Piece] = []
        for block in tier.blocks.all():
            if block.first_ms <= end_ms and block.last_ms > start_ms:
                pieces += self._of_block(tier, block, tuple(matchers), start_ms, end_ms, names, warnings)
        tail = self._select(matchers, max(start_ms, tier.until_ms) + 1, end_ms)
        warnings += tail.warnings
        pieces += [piece for part in tail for piece in self._of_slice(part, every_ms, names)]
        return self._together(pieces, every_ms, ends, names, warnings, charge)

    def _of_block(
        self,
        tier: Tier,
        block: Block,
        matchers: tuple[Matcher, ...],
        start_ms: int,
        end_ms: int,
        names: Sequence[str],
        warnings: list[str],
    ) -> list[_Piece]:
        by_source: dict[str, dict[str, BlockView]] = {}
        for view in block.views:
            aggregate, _, source = view.source.partition("/")
            by_source.setdefault(source, {})[aggregate] = view
        pieces = []
        for views in by_source.values():
            match = next(iter(views.values())).matches.find(matchers)
            if not len(match.columns):
                continue
            checkpoint()
            try:
                piece = self._of_frame(tier, views, match, start_ms, end_ms, names)
            except (Damaged, KeyError) as error:
                warnings.append(f"some samples are left out: {error}")
                continue
            if piece is not None:
                pieces.append(piece)
        return pieces

    def _of_frame(
        self, tier: Tier, views: dict[str, BlockView], match: Match, start_ms: int, end_ms: int, names: Sequence[str]
    ) -> _Piece | None:
        ends, counts, _ = views["count"].read(match.columns, start_ms + 1, end_ms)
        rows = {"count": (ends, counts)}
        needed = {*names, *(("first",) if "min" in names else ()), *(("last",) if "max" in names else ())}
        for name in needed - {"count"}:
            rows[name] = views[name].read(match.columns, start_ms + 1, end_ms)[:2]
        grids = [ends] + [ends_of(rows[name][0], tier.every_ms) for name in needed & {"first", "last"}]
        ends = np.unique(np.concatenate(grids))
        if not len(ends):
            return None
        deleted = tier.tombstones.concerning(views["count"].number, start_ms, end_ms)
        values: dict[str, Floats] = {}
        times: dict[str, Ints] = {}
        for name, (own_times, own) in rows.items():
            for one in deleted:
                one.take_out(match.labels, own_times, own)
            at = ends.searchsorted(ends_of(own_times, tier.every_ms))
            values[name], moments, stale = _spread(own_times, own, at, len(ends))
            if name in ("first", "last"):
                times[name] = moments
            if name == "last":
                times["stale"] = stale
        there = ~_absent(values["count"])
        values["count"] = np.where(there, values["count"], 0.0)
        for name, same in (("min", "first"), ("max", "last")):
            if name in values:
                values[name] = np.where(_absent(values[name]), values[same], values[name])
        if "lost" in values:
            values["lost"] = np.where(_absent(values["lost"]), 0.0, values["lost"])
        return _Piece(match.labels, match.hashes, Thin(ends, values, times))

    def _of_slice(self, part: FrameSlice, every_ms: int, names: Sequence[str]) -> list[_Piece]:
        hashes = hash_table(part.labels, self._symbols)
        pieces = []
        for start in range(0, len(hashes), _SERIES_AT_ONCE):
            checkpoint()
            here = np.arange(start, min(start + _SERIES_AT_ONCE, len(hashes)))
            found = thin(part.times, part.values[here], every_ms, names)
            pieces.append(_Piece(part.labels.take(here), hashes[here], found))
        return pieces

    def _together(
        self,
        pieces: Sequence[_Piece],
        every_ms: int,
        ends: tuple[int, int],
        names: Sequence[str],
        warnings: Sequence[str],
        charge: Callable[[int], None],
    ) -> Thinned:
        """Lay all pieces on one grid; where two have samples of a series in a stretch, they are put together."""
        grid = np.arange(ends[0], ends[1] + 1, every_ms, dtype=np.int64)
        if not pieces:
            empty = LabelTable((), np.zeros((0, 0), np.int32), self._symbols)
            nothing, never = np.zeros((0, len(grid))), np.zeros((0, len(grid)), np.int64)
            return Thinned(
                empty,
                every_ms,
                grid,
                dict.fromkeys(names, nothing),
                dict.fromkeys(("first", "last", "stale"), never),
                warnings,
            )
        hashes, at = np.unique(np.concatenate([piece.hashes for piece in pieces]), return_index=True)
        labels = LabelTable.join([piece.labels for piece in pieces], self._symbols).take(at)
        timed = [name for name in ("first", "last") if name in names]
        timed += ["stale"] if "last" in names else []
        charge(len(hashes) * len(grid) * (len(names) + len(timed)))
        values = {name: np.zeros((len(hashes), len(grid))) for name in names}
        times = {name: np.zeros((len(hashes), len(grid)), np.int64) for name in timed}
        for piece in pieces:
            inside = (piece.thin.ends >= grid[0]) & (piece.thin.ends <= grid[-1])
            where = np.ix_(hashes.searchsorted(piece.hashes), (piece.thin.ends[inside] - grid[0]) // every_ms)
            old = (
                {name: one[where] for name, one in values.items()},
                {name: one[where] for name, one in times.items()},
            )
            new = (
                {name: piece.thin.values[name][:, inside] for name in names},
                {name: piece.thin.times[name][:, inside] for name in timed},
            )
            _combine(old, new)
            for name in names:
                values[name][where] = new[0][name]
            for name in timed:
                times[name][where] = new[1][name]
        return Thinned(labels, every_ms, grid, values, times, warnings)


_Cells = tuple[dict[str, Floats], dict[str, Ints]]


def _combine(old: _Cells, new: _Cells) -> None:
    """Put into the new cells what the old ones hold."""
    before, now = old[0]["count"] > 0, new[0]["count"] > 0
    if "stale" in new[1]:
        new[1]["stale"] = np.maximum(old[1]["stale"], new[1]["stale"])
    if not before.any():
        return
    both = before & now
    for name, later in new[0].items():
        earlier, own = old[0][name], later
        if name in ("first", "last"):
            sooner = old[1][name] < new[1][name]
            mine = both & (sooner if name == "first" else ~sooner)
        else:
            mine = np.zeros_like(before)
            joined = {"min": np.fmin, "max": np.fmax}.get(name, np.add)(earlier, own)
            own = np.where(both, joined, own)
        new[0][name] = np.where(mine | (before & ~now), earlier, own)
        if name in new[1]:
            new[1][name] = np.where(mine | (before & ~now), old[1][name], new[1][name])


def _absent(values: Floats) -> "np.typing.NDArray[np.bool_]":
    return np.asarray(values.view(np.uint64) == ABSENT_BITS)


def _spread(times: Times, values: Floats, at: Ints, width: int) -> tuple[Floats, Ints, Ints]:
    """Put rows into their stretches; several rows of one hold the samples of different series, or end them.

    at       int64[rows]: each row's stretch
    returns  float64[n, width], ABSENT where there is no sample; the samples' times; those of staleness markers, or 0
    """
    out = np.full((len(values), width), np.uint64(ABSENT_BITS).view(np.float64))
    moments, stale = np.zeros(out.shape, np.int64), np.zeros(out.shape, np.int64)
    repeats = np.arange(len(at)) - np.searchsorted(at, at)
    for turn in range(int(repeats.max(initial=-1)) + 1):
        rows = repeats == turn
        own = np.ascontiguousarray(values[:, rows])
        bits = own.view(np.uint64)
        ended = bits == STALE_BITS
        there = ~(ended | (bits == ABSENT_BITS))
        columns = at[rows]
        out[:, columns] = np.where(there, own, out[:, columns])
        moments[:, columns] = np.where(there, times[rows], moments[:, columns])
        stale[:, columns] = np.where(ended, times[rows], stale[:, columns])
    return out, moments, stale
