"""Frames into the chunks of a block: rows of several views laid over each other, long chunks of few columns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from watchkeeper.model.frame import ABSENT, ABSENT_BITS, STALE_BITS, Floats, Times
from watchkeeper.model.labels import LabelTable, Symbols
from watchkeeper.store.metrics.block import BlockWriter
from watchkeeper.store.metrics.chunk import MERGED_COLUMNS, Chunk, Columns, chunk_of
from watchkeeper.store.metrics.codec import encode
from watchkeeper.store.metrics.columns import Hashes
from watchkeeper.store.metrics.strip import StripView, read_strips, row_times

ROWS_MAX = 960
_LAST_ROWS_MAX = 1200  # a chunk of few rows costs readers as much as a long one
_COLUMNS_AT_ONCE = 64
_SPAN_MS_MAX = (1 << 32) - 1


class Edit(Protocol):
    """Takes out of some columns' samples what was deleted or has expired."""

    def __call__(self, columns: Columns, times: Times, values: Floats) -> None:
        """Set values, float64[len(columns), len(times)], to ABSENT."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Rows of some series of a frame-to-be.

    columns  int32[n]: where each series of the new table is in the strips; -1 where it is not
    """

    strips: tuple[StripView, ...]
    columns: Columns


def pack(
    parts: Sequence[Part], columns: int, edit: Edit | None = None, pause: Callable[[], None] = lambda: None
) -> tuple[list[Chunk], int]:
    """Lay the rows of all parts over each other and compress them; where two have a sample, the first one's is taken.

    columns  of the new table
    pause    called between pieces of work, to let others have the processor
    returns  chunks in order of time, and how many samples they hold
    raises   Damaged
    """
    found = [row_times(part.strips) for part in parts]
    times = found[0] if len(found) == 1 else np.unique(np.concatenate(found))
    chunks, samples, low = [], 0, 0
    while low < len(times):
        rows = ROWS_MAX if len(times) - low > _LAST_ROWS_MAX else _LAST_ROWS_MAX
        high = min(low + rows, int(times.searchsorted(times[low] + _SPAN_MS_MAX, "right")))
        chunk, number = _run(parts, times[low:high], columns, edit, pause)
        samples += number
        chunks.append(chunk)
        low = high
    return chunks, samples


def _run(
    parts: Sequence[Part], times: Times, columns: int, edit: Edit | None, pause: Callable[[], None]
) -> tuple[Chunk, int]:
    groups: list[bytes] = []
    gaps: list[npt.NDArray[np.bool_]] = []
    samples = 0
    for start in range(0, columns, _COLUMNS_AT_ONCE):
        here = np.arange(start, min(start + _COLUMNS_AT_ONCE, columns), dtype=np.int32)
        values = laid_together(parts, times, here)
        if edit is not None:
            edit(here, times, values)
        bits = values.view(np.uint64)
        hole = (bits == ABSENT_BITS) | (bits == STALE_BITS)
        samples += hole.size - int(np.count_nonzero(hole))
        gaps.append(np.logical_or.reduceat(hole.any(axis=1), np.arange(0, len(here), MERGED_COLUMNS)))
        groups += encode(values, MERGED_COLUMNS)
        pause()
    all_columns = np.arange(columns, dtype=np.int32)
    return chunk_of(times, all_columns, groups, np.concatenate(gaps), MERGED_COLUMNS), samples


def laid_together(parts: Sequence[Part], times: Times, here: Columns) -> Floats:
    """Give some columns of the new table at some moments, float64[len(here), len(times)].

    raises  Damaged
    """
    out = np.full((len(here), len(times)), ABSENT)
    for part in parts:
        theirs = part.columns[here]
        to = np.flatnonzero(theirs >= 0)
        if not len(to):
            continue
        to = to[np.argsort(theirs[to], kind="stable")]
        own_times, own, _ = read_strips(part.strips, theirs[to], int(times[0]), int(times[-1]), None)
        if not len(own_times):
            continue
        where = np.ix_(to, times.searchsorted(own_times))
        before = out[where].view(np.uint64)
        free = (before == ABSENT_BITS) | ((before == STALE_BITS) & (own.view(np.uint64) != ABSENT_BITS))
        out[where] = np.where(free, own, out[where])
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Some series of a source with their rows, from memory or from a block.

    columns  int32[len(table)]: where each series is in the strips
    """

    table: LabelTable
    hashes: Hashes
    strips: tuple[StripView, ...]
    columns: Columns


def write_frame(
    writer: BlockWriter,
    source: str,
    pieces: Sequence[Piece],
    symbols: Symbols,
    edit: "EditOf | None" = None,
    pause: Callable[[], None] = lambda: None,
) -> None:
    """Write what several pieces hold of a source as one frame of a block.

    raises  Damaged, OSError
    """
    table, parts, change = frame_of(pieces, symbols, edit)
    if not len(table):
        return
    chunks, samples = pack(parts, len(table), change, pause)
    writer.add(source, table, chunks, samples)


def frame_of(
    pieces: Sequence[Piece], symbols: Symbols, edit: "EditOf | None"
) -> tuple[LabelTable, list[Part], Edit | None]:
    """Give the series of several pieces, each once, their rows, and what is to be taken out of these."""
    table, hashes = _united(pieces, symbols)
    kept, change = (None, None) if edit is None else edit(table)
    if kept is not None:
        table, hashes = table.take(kept), hashes[kept]
    parts = []
    for piece in pieces if len(table) else ():
        at = place_in(hashes, piece.hashes)
        parts.append(Part(piece.strips, np.where(at >= 0, piece.columns[at], np.int32(-1)).astype(np.int32)))
    return table, parts, change


# Of a table: which series are left (None: all), and what to take out of their samples.
EditOf = Callable[[LabelTable], "tuple[Columns | None, Edit | None]"]


def _united(pieces: Sequence[Piece], symbols: Symbols) -> tuple[LabelTable, Hashes]:
    first = pieces[0]
    if all(np.array_equal(piece.hashes, first.hashes) for piece in pieces[1:]):
        return first.table, first.hashes
    table = LabelTable.join([piece.table for piece in pieces], symbols)
    hashes = np.concatenate([piece.hashes for piece in pieces])
    distinct = np.sort(np.unique(hashes, return_index=True)[1])
    return table.take(distinct), hashes[distinct]


def place_in(table_hashes: Hashes, hashes: Hashes) -> Columns:
    """Say where each series of a table is in another one, by their hashes; -1 where it is not. int32[n]."""
    if np.array_equal(table_hashes, hashes):
        return np.arange(len(table_hashes), dtype=np.int32)
    order = np.argsort(hashes, kind="stable")
    at = np.searchsorted(hashes[order], table_hashes)
    at[at == len(hashes)] = 0
    found = order[at].astype(np.int32)
    return np.where(hashes[found] == table_hashes, found, np.int32(-1)).astype(np.int32)
