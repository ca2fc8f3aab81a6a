"""Making few large blocks of many small ones, without what was deleted or has expired.

A stretch of time (two hours, then three times as long, and so on, to a tenth of the retention) that lies wholly
before the newest cutoff and has several blocks gets one in their place.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import structlog

from watchkeeper.model.errors import Damaged
from watchkeeper.model.labels import LabelTable, Symbols
from watchkeeper.model.matchers import match_table
from watchkeeper.model.metrics import counter, histogram
from watchkeeper.store.metrics.block import BlockWriter
from watchkeeper.store.metrics.blocks import Block, Blocks, BlockView
from watchkeeper.store.metrics.chunk import Columns
from watchkeeper.store.metrics.deletion import Tombstone, Tombstones, edit_of
from watchkeeper.store.metrics.pack import Edit, Piece, write_frame
from watchkeeper.store.metrics.strip import closed
from watchkeeper.store.settings import Keep

log = structlog.get_logger(__name__)

_FACTOR = 3
_RANGE_MS_MAX = 31 * 86_400_000
_PIECE_S = 0.02

COMPACTIONS = counter(
    "prometheus_tsdb_compactions", "Total number of compactions that were executed for the partition."
)
SECONDS = histogram(
    "prometheus_tsdb_compaction_duration_seconds",
    "Duration of compaction runs",
    buckets=tuple(float(1 << at) for at in range(14)),
)
FAILED = counter("prometheus_tsdb_compactions_failed", "Total number of compactions that failed for the partition.")


class Stopped(Exception):
    """The work was to be given up."""


class Pace:
    """Takes at most a share of a processor, and stops when it is told to.

    share  of the time that work may take, above 0 and at most 1
    """

    def __init__(self, share: float) -> None:
        self._idle_per_busy = 1 / share - 1
        self._stopped = threading.Event()
        self._since_s = time.thread_time()

    def __call__(self) -> None:
        """Wait as long as the work since the last call asks for.

        raises  Stopped
        """
        busy_s = time.thread_time() - self._since_s
        if busy_s >= _PIECE_S or self._stopped.is_set():
            if self._stopped.wait(busy_s * self._idle_per_busy):
                raise Stopped
            self._since_s = time.thread_time()

    def stop(self) -> None:
        """Give up what is under way."""
        self._stopped.set()


class Compactor:
    """Plans and does compactions. `due` is asked and the outcome taken over by the event loop's thread."""

    def __init__(
        self,
        blocks: Blocks,
        tombstones: Tombstones,
        symbols: Symbols,
        block_ms: int,
        retention_ms: int,
        keeps: Sequence[Keep],
        edge_ms: int = 0,
    ) -> None:
        self._edge_ms = edge_ms  # 1 where a stretch of time has its end, and not its beginning
        self._blocks, self._tombstones, self._symbols = blocks, tombstones, symbols
        self._block_ms, self._retention_ms, self._keeps = block_ms, retention_ms, tuple(keeps)
        self._damaged: set[int] = set()  # blocks that cannot be read whole stay as they are

    def ranges(self) -> list[int]:
        """Give the lengths of time that blocks are made for, ms."""
        longest = min(max(self._retention_ms // 10, self._block_ms), _RANGE_MS_MAX)
        found = [self._block_ms]
        while found[-1] * _FACTOR <= longest:
            found.append(found[-1] * _FACTOR)
        return found

    def due(self) -> list[Block]:
        """Give the blocks that should become one; nothing when all is well."""
        for range_ms in self.ranges():
            by_bucket: dict[int, list[Block]] = {}
            for block in self._blocks.all():
                bucket = (block.first_ms - self._edge_ms) // range_ms
                last = (block.last_ms - self._edge_ms) // range_ms
                whole = last == bucket and (bucket + 1) * range_ms <= self._blocks.cutoff_ms
                if whole and self._readable(block):
                    by_bucket.setdefault(bucket, []).append(block)
            for blocks in by_bucket.values():
                if len(blocks) > 1:
                    return blocks
        return []

    def expired(self, now_ms: int) -> tuple[list[Block], list[Block]]:
        """Give the blocks that hold nothing worth keeping, and those that hold something that is not."""
        gone, shrinking = [], []
        shortest = min([self._retention_ms, *(keep.keep_ms for keep in self._keeps)])
        for block in self._blocks.all():
            if block.last_ms >= now_ms - shortest:
                continue
            if not self._keeps:
                gone.append(block)
                continue
            age_ms = now_ms - block.last_ms
            left = [self.kept(view.table, age_ms) for view in block.views]
            if not any(mask.any() for mask in left):
                gone.append(block)
            elif self._readable(block) and not all(mask.all() for mask in left):
                shrinking.append(block)
        return gone, shrinking

    def _readable(self, block: Block) -> bool:
        """Say whether a block can be written anew without losing what may be read from it one day."""
        return block.whole and block.number not in self._damaged

    def deleted_from(self) -> list[Block]:
        """Give the blocks that hold something that was deleted."""
        return [block for block in self._blocks.all() if self._readable(block) and self._concerned(block)]

    def _concerned(self, block: Block) -> bool:
        tombstones = self._tombstones.concerning(block.number, block.first_ms, block.last_ms)
        return any(match_table(one.matchers, view.table).any() for one in tombstones for view in block.views)

    def kept(self, table: LabelTable, age_ms: int) -> "np.typing.NDArray[np.bool_]":
        """Say which series are kept for longer than this."""
        left = np.full(len(table), age_ms <= self._retention_ms)
        decided = np.zeros(len(table), np.bool_)
        for keep in self._keeps:
            mine = match_table(keep.matchers, table) & ~decided
            left[mine] = age_ms <= keep.keep_ms
            decided |= mine
        return left

    def write(self, blocks: Sequence[Block], now_ms: int, pace: Callable[[], None]) -> int | None:
        """Write one block in the place of several, from any thread; give its number, None when it could not be done.

        raises  Stopped
        """
        COMPACTIONS.inc()
        writer = None
        tombstones = {
            block.number: self._tombstones.concerning(block.number, block.first_ms, block.last_ms) for block in blocks
        }
        age_ms = now_ms - max(block.last_ms for block in blocks)
        try:
            number, writer = self._blocks.writer()
            for source, views in self._by_source(blocks):
                self._write_source(writer, source, views, tombstones, age_ms, pace)
            mark, cutoff_ms = max((one.contents.mark, one.contents.cutoff_ms) for one in blocks)
            writer.finish(mark, cutoff_ms, [block.number for block in blocks])
        except Damaged as error:
            self._damaged |= {block.number for block in blocks}
            FAILED.inc()
            log.warning("compaction_failed", blocks=[block.number for block in blocks], error=str(error))
        except OSError as error:
            FAILED.inc()
            log.warning("compaction_failed", blocks=[block.number for block in blocks], error=str(error))
        else:
            written, writer = number, None
            return written
        finally:
            if writer is not None:
                writer.abandon()
        return None

    def _write_source(
        self,
        writer: BlockWriter,
        source: str,
        views: Sequence[tuple[Block, BlockView]],
        tombstones: dict[int, list[Tombstone]],
        age_ms: int,
        pace: Callable[[], None],
    ) -> None:
        pieces = [
            Piece(
                view.table,
                view.hashes,
                (closed(view.file.chunks(view.said)),),
                np.arange(len(view.table), dtype=np.int32),
            )
            for _, view in views
        ]
        deleted = list({one: None for block, _ in views for one in tombstones[block.number]})
        first_ms, last_ms = min(view.said.first_ms for _, view in views), max(view.said.last_ms for _, view in views)

        def edit(table: LabelTable) -> tuple[Columns | None, Edit | None]:
            kept = self.kept(table, age_ms)
            for one in deleted:
                if one.start_ms <= first_ms and one.end_ms >= last_ms:
                    kept &= ~match_table(one.matchers, table)
            left = None if kept.all() else np.flatnonzero(kept).astype(np.int32)
            return left, edit_of(deleted, table if left is None else table.take(left))

        write_frame(writer, source, pieces, self._symbols, edit if deleted or self._keeps else None, pace)

    @staticmethod
    def _by_source(blocks: Sequence[Block]) -> Iterator[tuple[str, list[tuple[Block, BlockView]]]]:
        found: dict[str, list[tuple[Block, BlockView]]] = {}
        for block in blocks:
            for view in block.views:
                found.setdefault(view.source, []).append((block, view))
        yield from sorted(found.items())
