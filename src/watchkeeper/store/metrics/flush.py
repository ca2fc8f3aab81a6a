"""From memory into blocks: everything older than a moment, in files of two hours each; then the log may forget it.

The last file of a flush carries the mark: rows in older segments of the log, older than the cutoff, are in blocks. A
crash before it is there leaves rows both in blocks and in the log; they are read as one and united by compaction.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from watchkeeper.model.errors import Damaged, Refused
from watchkeeper.model.labels import LabelTable, Symbols
from watchkeeper.model.metrics import counter
from watchkeeper.store.metrics.block import BlockWriter
from watchkeeper.store.metrics.blocks import Block, Blocks
from watchkeeper.store.metrics.chunk import Chunk
from watchkeeper.store.metrics.columns import Hashes
from watchkeeper.store.metrics.deletion import Tombstones, edit_of
from watchkeeper.store.metrics.frame import Frame
from watchkeeper.store.metrics.frames import Frames
from watchkeeper.store.metrics.pack import Edit, Piece, write_frame
from watchkeeper.store.metrics.strip import closed
from watchkeeper.store.wal import Wal

log = structlog.get_logger(__name__)

FLUSHES = counter("prometheus_tsdb_head_truncations", "Total number of head truncations attempted.")
FAILED = counter("prometheus_tsdb_head_truncations_failed", "Total number of head truncations that failed.")


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """What is taken out of a frame, strip by strip, and the frame's series at that moment."""

    frame: Frame
    table: LabelTable
    hashes: Hashes
    chunks: tuple[tuple[Chunk, ...], ...]


class Flusher:
    """Writes blocks from frames. Used by the event loop's thread; the work itself is done in another.

    repeat  writes what is in no block (metadata, exemplars) into a new segment of the log
    """

    def __init__(
        self,
        frames: Frames,
        blocks: Blocks,
        wal: Wal,
        tombstones: Tombstones,
        symbols: Symbols,
        block_ms: int,
        repeat: Callable[[], None],
    ) -> None:
        self._frames, self._blocks, self._wal, self._repeat = frames, blocks, wal, repeat
        self._tombstones, self._symbols, self._block_ms = tombstones, symbols, block_ms

    async def flush(self, cutoff_ms: int) -> bool:
        """Move what is older than a moment into blocks; False when the disk did not take it, and nothing changed.

        Readers find every sample at any time: in memory, in a block, or for a moment in both.
        """
        FLUSHES.inc()
        try:
            self._wal.begin_segment()
            mark = self._wal.segment
            self._repeat()
            await self._wal.settle()  # else a power cut could leave a part of a write: what was flushed of it
            cuts = await self._cut(cutoff_ms)
            numbers = await asyncio.to_thread(self._write, cuts, mark, cutoff_ms)
        except (OSError, Refused, Damaged) as error:
            FAILED.inc()
            log.warning("flush_failed", cutoff_ms=cutoff_ms, error=str(error))
            return False
        added = [block for number in numbers if (block := self._blocks.open(number)) is not None]
        if len(added) < len(numbers):
            FAILED.inc()
            return False
        self._take_over(cuts, added, cutoff_ms)
        self._wal.drop_flushed(mark, cutoff_ms)
        log.info("flushed", blocks=len(added), samples=sum(block.samples for block in added), cutoff_ms=cutoff_ms)
        return True

    async def _cut(self, cutoff_ms: int) -> list[_Cut]:
        cuts = []
        for frame in self._frames.all():
            chunks = frame.cut(cutoff_ms)
            if any(chunks):
                cuts.append(_Cut(frame, frame.index.table, frame.index.hashes, chunks))
            await asyncio.sleep(0)
        return cuts

    def _take_over(self, cuts: Sequence[_Cut], added: Sequence[Block], cutoff_ms: int) -> None:
        self._blocks.exchange(added, ())  # before memory lets go
        for cut in cuts:
            cut.frame.let_go(cut.chunks, cutoff_ms)
        self._frames.drop_empty(cutoff_ms)

    def _write(self, cuts: Sequence[_Cut], mark: int, cutoff_ms: int) -> list[int]:
        windows = sorted(
            {chunk.start_ms // self._block_ms for cut in cuts for chunks in cut.chunks for chunk in chunks}
        )
        written: list[BlockWriter] = []
        numbers = []
        try:
            for window in windows:
                number, writer = self._blocks.writer()
                written.append(writer)
                numbers.append(number)
                self._write_window(writer, cuts, window)
                last = window == windows[-1]
                writer.finish(*((mark, cutoff_ms) if last else (self._blocks.mark, self._blocks.cutoff_ms)))
        except (OSError, Damaged):
            for writer in written:
                writer.abandon()
            raise
        return numbers

    def _write_window(self, writer: BlockWriter, cuts: Sequence[_Cut], window: int) -> None:
        by_source: dict[str, list[Piece]] = {}
        for cut in cuts:
            strips = [tuple(one for one in chunks if one.start_ms // self._block_ms == window) for chunks in cut.chunks]
            strips = [chunks for chunks in strips if chunks]
            if not strips:
                continue
            present = np.unique(np.concatenate([chunk.columns for chunks in strips for chunk in chunks]))
            table, hashes = cut.table.take(present), cut.hashes[present]
            piece = Piece(table, hashes, tuple(map(closed, strips)), present)
            by_source.setdefault(cut.frame.source, []).append(piece)
        start_ms, end_ms = window * self._block_ms, (window + 1) * self._block_ms
        tombstones = self._tombstones.concerning(None, start_ms, end_ms)

        def edit(table: LabelTable) -> tuple[None, Edit | None]:
            return None, edit_of(tombstones, table)

        for source, pieces in sorted(by_source.items()):
            write_frame(writer, source, pieces, self._symbols, edit if tombstones else None)
