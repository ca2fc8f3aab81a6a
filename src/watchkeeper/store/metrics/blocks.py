"""The blocks of a data directory, metrics/blocks/<number>.block: finding, opening, reading, replacing, removing.

Label tables that are equal in several blocks (a target's series seldom change) are kept once. Chunk tables are read
when their frame is first asked for, and the least recently used are let go.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

import numpy as np
import structlog

from watchkeeper.model.census import BlockSaid
from watchkeeper.model.errors import Damaged
from watchkeeper.model.frame import Floats, Times
from watchkeeper.model.labels import METRIC_NAME, LabelTable, Symbols
from watchkeeper.model.metrics import counter, gauge
from watchkeeper.store.files import Files
from watchkeeper.store.metrics.block import BlockFile, BlockFrame, BlockWriter, Contents
from watchkeeper.store.metrics.chunk import Chunk, Columns
from watchkeeper.store.metrics.columns import Hashes, Matches, hash_table
from watchkeeper.store.metrics.decoded import DecodedChunks
from watchkeeper.store.metrics.strip import StripView, closed, read_strips

log = structlog.get_logger(__name__)

_SUFFIX = ".block"
_CHUNK_TABLES_BYTES_MAX = 32 << 20

LOADED = gauge("prometheus_tsdb_blocks_loaded", "Number of currently loaded data blocks")
BYTES = gauge(
    "prometheus_tsdb_storage_blocks_bytes",
    "The number of bytes that are currently used for local storage by all blocks.",
)
DAMAGED = counter(
    "watchkeeper_blocks_damaged", "Parts of blocks that did not check out; what they hold is left out of answers."
)


class SharedTable:
    """A label table with what is known about it, shared by all frames that have these series."""

    __slots__ = ("__weakref__", "hashes", "matches", "names", "table")

    def __init__(self, table: LabelTable, symbols: Symbols) -> None:
        self.table, self.hashes = table, hash_table(table, symbols)
        self.matches = Matches(table, self.hashes)
        self.names = frozenset(np.unique(table.column(METRIC_NAME)).tolist())


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A block that is open.

    number  names the file, counts up
    views   one a frame; those whose label table was damaged are left out
    whole   whether none was
    """

    number: int
    file: BlockFile
    contents: Contents
    views: tuple["BlockView", ...]
    first_ms: int
    last_ms: int
    whole: bool = True

    @property
    def samples(self) -> int:
        return sum(view.said.samples for view in self.views)

    def told(self) -> BlockSaid:
        """Give it as others know it."""
        series = len(np.unique(np.concatenate([view.hashes for view in self.views]))) if self.views else 0
        replaced = self.contents.replaces
        return BlockSaid(
            self.number, self.first_ms, self.last_ms + 1, self.samples, series, self.file.size_bytes, replaced
        )


class BlockView:
    """A frame in a block as readers see it. Safe from any thread."""

    __slots__ = ("_blocks", "file", "number", "said", "shared")

    def __init__(
        self, blocks: "Blocks", number: int | None, file: BlockFile, said: BlockFrame, shared: SharedTable
    ) -> None:
        self._blocks, self.number, self.file, self.said, self.shared = blocks, number, file, said, shared

    @property
    def source(self) -> str:
        return self.said.source

    @property
    def table(self) -> LabelTable:
        return self.shared.table

    @property
    def hashes(self) -> Hashes:
        return self.shared.hashes

    @property
    def matches(self) -> Matches:
        return self.shared.matches

    def strips(self) -> tuple[StripView, ...]:
        """Give the rows.

        raises  Damaged
        """
        return (closed(self._blocks.chunks_of(self)),)

    def alive(self, columns: Columns, start_ms: int, end_ms: int) -> bool:
        """Say whether the columns may have samples in a closed range."""
        del columns  # those without a sample in the block are not in its table
        return self.said.first_ms <= end_ms and self.said.last_ms >= start_ms

    def read(
        self, wanted: Columns, start_ms: int, end_ms: int, decoded: DecodedChunks | None = None
    ) -> tuple[Times, Floats, bool]:
        """Give the rows of a closed range; see FrameView.read.

        raises  Damaged
        """
        return read_strips(self.strips(), wanted, start_ms, end_ms, decoded)


class Blocks:
    """All blocks. `load`, `add`, `remove` are called by one thread; reading is safe from any.

    mark, cutoff_ms  rows in segments of the log before the mark, older than the cutoff, are in blocks
    told             whether the gauges of blocks are about these
    """

    def __init__(self, files: Files, directory: str, symbols: Symbols, *, told: bool = True) -> None:
        self._told = told
        self._files, self._directory, self._symbols = files, directory, symbols
        self._all: tuple[Block, ...] = ()
        self._tables: WeakValueDictionary[str, SharedTable] = WeakValueDictionary()
        self._chunks: OrderedDict[int, tuple[BlockView, tuple[Chunk, ...]]] = OrderedDict()
        self._chunks_bytes = 0
        self._lock = threading.Lock()
        self._next = 1
        self.mark, self.cutoff_ms = 0, -(1 << 62)
        self._lost: tuple[tuple[str, tuple[int, int] | None], ...] = ()  # set aside, and the span where it is known

    def all(self) -> tuple[Block, ...]:
        """Give all blocks, oldest first."""
        return self._all

    @property
    def size_bytes(self) -> int:
        return sum(block.file.size_bytes for block in self._all)

    @property
    def next_number(self) -> int:
        """The number that the next block will have."""
        return self._next

    # -- files

    def load(self) -> None:
        """Open every block; leftovers of unfinished work are removed, what cannot be read is set aside.

        raises  Refused when a block is of a newer version
        """
        self._files.makedirs(self._directory)
        found: list[Block] = []
        for name in self._files.listdir(self._directory):
            stem, dot, rest = name.partition(_SUFFIX)
            if not stem.isdigit() or not dot:
                continue
            self._next = max(self._next, int(stem) + 1)
            if rest == ".tmp":
                self._unlink(f"{self._directory}/{name}")
            elif rest == ".damaged":
                self._note_lost(f"{self._directory}/{name}")
            elif not rest and (block := self._open(int(stem))) is not None:
                found.append(block)
        replaced = {number for block in found for number in block.contents.replaces}
        for block in found:
            if block.number in replaced:
                self._unlink(block.file.path)
            self._note(block.contents)
        self._set([block for block in found if block.number not in replaced])

    def reserve(self, number: int) -> None:
        """Give no block a number below this one: others remember it."""
        with self._lock:
            self._next = max(self._next, number)

    def writer(self) -> tuple[int, BlockWriter]:
        """Begin a new block, from any thread; give its number, too.

        raises  OSError
        """
        with self._lock:
            number, self._next = self._next, self._next + 1
        return number, BlockWriter(self._files, self._path(number))

    def open(self, number: int) -> Block | None:
        """Open a block that was written; None when it cannot be read. Symbols may be added."""
        return self._open(number)

    def adopt(self, path: str) -> Block | None:
        """Take in a block that was written elsewhere in the data directory; None when it cannot be read.

        raises  OSError
        """
        with self._lock:
            number, self._next = self._next, self._next + 1
        self._files.rename(path, self._path(number))
        self._files.fsync_dir(self._directory)
        self._files.fsync_dir(path.rpartition("/")[0])
        return self._open(number)

    def exchange(self, added: Sequence[Block], gone: Sequence[Block]) -> None:
        """Let readers see other blocks, and remove the files of those that are gone."""
        for block in added:
            self._note(block.contents)
        left = set(map(id, gone))
        self._set([block for block in (*self._all, *added) if id(block) not in left])
        for block in gone:
            self._unlink(block.file.path)
        if gone:
            self._forget({id(view) for block in gone for view in block.views})

    def missing(self, start_ms: int, end_ms: int) -> list[str]:
        """Say which blocks that could not be read may have had samples in a closed range."""
        return [
            f"some samples are left out: block {path} could not be read"
            for path, span in self._lost
            if span is None or (span[0] <= end_ms and span[1] >= start_ms)
        ] + [
            f"some samples are left out: labels in block {block.file.path} do not check out"
            for block in self._all
            if not block.whole and block.first_ms <= end_ms and block.last_ms >= start_ms
        ]

    def forget_lost(self, before_ms: int) -> None:
        """Remove what was set aside and is older than a moment."""
        old = [path for path, span in self._lost if span is not None and span[1] < before_ms]
        self._lost = tuple(one for one in self._lost if one[0] not in old)
        for path in old:
            self._unlink(path)

    def close(self) -> None:
        """Let go of all blocks."""
        self._set([])
        with self._lock:
            self._chunks.clear()

    def _path(self, number: int) -> str:
        return f"{self._directory}/{number:08d}{_SUFFIX}"

    def _set(self, blocks: list[Block]) -> None:
        self._all = tuple(sorted(blocks, key=lambda block: (block.first_ms, block.number)))
        if self._told:
            LOADED.set(len(self._all))
            BYTES.set(self.size_bytes)

    def _note(self, contents: Contents) -> None:
        self.mark, self.cutoff_ms = max((self.mark, self.cutoff_ms), (contents.mark, contents.cutoff_ms))

    def _unlink(self, path: str) -> None:
        try:
            self._files.unlink(path)
            self._files.fsync_dir(self._directory)
        except OSError as error:  # it is tried again at the next start
            log.warning("block_not_removed", path=path, error=str(error))

    def _open(self, number: int) -> Block | None:
        path = self._path(number)
        try:
            file = BlockFile(self._files, path)
            contents = file.contents()
            tables = [self._shared(file, contents, at) for at in range(len(contents.tables))]
        except OSError as error:  # perhaps it can be read another time
            log.warning("block_not_opened", path=path, error=str(error))
            return None
        except (Damaged, ValueError, KeyError, IndexError, TypeError) as error:
            DAMAGED.inc()
            log.warning("block_set_aside", path=path, error=str(error))
            self._set_aside(path)
            return None
        views = [
            BlockView(self, number, file, said, shared)
            for said in contents.frames
            if (shared := tables[said.table]) is not None
        ]
        first = min((said.first_ms for said in contents.frames), default=0)
        last = max((said.last_ms for said in contents.frames), default=0)
        return Block(number, file, contents, tuple(views), first, last, len(views) == len(contents.frames))

    def _set_aside(self, path: str) -> None:
        try:
            self._files.rename(path, path + ".damaged")
            self._files.fsync_dir(self._directory)
        except OSError as error:
            log.warning("block_not_set_aside", path=path, error=str(error))
        else:
            path += ".damaged"
        self._note_lost(path)

    def _note_lost(self, path: str) -> None:
        try:
            span = BlockFile(self._files, path).span()
        except OSError:
            span = None
        self._lost = (*self._lost, (path, span))

    def _shared(self, file: BlockFile, contents: Contents, at: int) -> SharedTable | None:
        said = contents.tables[at]
        known = self._tables.get(said.digest)
        if known is not None:
            return known
        try:
            shared = SharedTable(file.table(said, self._symbols), self._symbols)
        except (Damaged, ValueError, KeyError, IndexError) as error:
            DAMAGED.inc()
            log.warning("block_labels_damaged", path=file.path, series=said.series, error=str(error))
            return None
        self._tables[said.digest] = shared
        return shared

    # -- reading

    def views(self, names: Sequence[int | None] | None, start_ms: int, end_ms: int) -> Iterator[BlockView]:
        """Give the frames that may match in a closed range.

        names  codes of the metric names that are asked for (None: a name that nobody has); None for all
        """
        wanted = None if names is None else {name for name in names if name is not None}
        for block in self._all:
            if block.first_ms > end_ms or block.last_ms < start_ms:
                continue
            for view in block.views:
                said = view.said
                if said.first_ms > end_ms or said.last_ms < start_ms:
                    continue
                if wanted is None or not wanted.isdisjoint(view.shared.names):
                    yield view

    def chunks_of(self, view: BlockView) -> tuple[Chunk, ...]:
        """Give a frame's chunks.

        raises  Damaged
        """
        key = id(view)
        with self._lock:
            known = self._chunks.get(key)
            if known is not None:
                self._chunks.move_to_end(key)
                return known[1]
        chunks = view.file.chunks(view.said)
        with self._lock:
            if key not in self._chunks:
                self._chunks[key] = view, chunks
                self._chunks_bytes += _size(chunks)
            while self._chunks_bytes > _CHUNK_TABLES_BYTES_MAX:
                self._chunks_bytes -= _size(self._chunks.popitem(last=False)[1][1])
        return chunks

    def _forget(self, keys: set[int]) -> None:
        with self._lock:
            for key in keys & self._chunks.keys():
                self._chunks_bytes -= _size(self._chunks.pop(key)[1])


def _size(chunks: Sequence[Chunk]) -> int:
    return sum(chunk.size_bytes for chunk in chunks)
