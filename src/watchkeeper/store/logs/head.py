"""The open end of a stream: lines as they came, put in order when somebody looks."""

import threading
from dataclasses import dataclass, field

from watchkeeper.model.labels import Labels
from watchkeeper.model.logs import LineMetadata, TimesNs
from watchkeeper.store.logs import block
from watchkeeper.store.logs.block import Descriptor
from watchkeeper.store.logs.columns import Columns, in_order, joined


class Head:
    """Lines of one stream that are not sealed yet. Adding and reading may happen in different threads."""

    __slots__ = ("_lock", "_pieces", "added_bytes", "first_ns", "last_ns", "line_count", "size_bytes")

    def __init__(self) -> None:
        self._pieces: list[Columns] = []
        self._lock = threading.Lock()
        self.first_ns, self.last_ns = 1 << 63, -(1 << 63)
        self.line_count = self.size_bytes = self.added_bytes = 0

    def add(self, piece: Columns) -> None:
        """Take lines in; at least one."""
        with self._lock:
            self._pieces.append(piece)
            self.first_ns = min(self.first_ns, int(piece.times.min()))
            self.last_ns = max(self.last_ns, int(piece.times.max()))
            self.line_count += len(piece)
            self.size_bytes += piece.size_bytes
            self.added_bytes += piece.size_bytes

    def columns(self) -> Columns:
        """Give all lines in order, exact duplicates once."""
        with self._lock:
            if len(self._pieces) > 1 or not self._is_ordered():
                self._pieces = [in_order(joined(self._pieces))]
                self.line_count, self.size_bytes = len(self._pieces[0]), self._pieces[0].size_bytes
            return self._pieces[0]

    def _is_ordered(self) -> bool:
        times = self._pieces[0].times
        return len(times) < 2 or bool((times[1:] > times[:-1]).all())


class OpenBlock:
    """A head as readers see it: what was there when the first column was asked for."""

    __slots__ = ("_columns", "_head", "first_ns", "labels", "last_ns", "line_count", "size_bytes", "stream")

    def __init__(self, labels: Labels, stream: int, head: Head) -> None:
        self.labels, self.stream, self._head = labels, stream, head
        self.first_ns, self.last_ns = head.first_ns, head.last_ns
        self.line_count, self.size_bytes = head.line_count, head.size_bytes
        self._columns: Columns | None = None

    def times(self) -> TimesNs:
        return self.columns().times

    def starts(self) -> TimesNs:
        return self.columns().starts

    def text(self) -> bytes:
        return self.columns().text

    def metadata(self) -> LineMetadata | None:
        return self.columns().metadata

    def columns(self) -> Columns:
        if self._columns is None:
            self._columns = self._head.columns()
        return self._columns


class SealedBlock:
    """A block that is compressed, and not in a file yet."""

    __slots__ = ("_said", "data", "first_ns", "labels", "last_ns", "line_count", "size_bytes", "stream")

    def __init__(self, labels: Labels, stream: int, data: bytes) -> None:
        self.labels, self.stream, self.data = labels, stream, data
        self._said: Descriptor = block.describe(data, "in memory")
        self.first_ns, self.last_ns = self._said.first_ns, self._said.last_ns
        self.line_count, self.size_bytes = self._said.line_count, self._said.size_bytes

    def times(self) -> TimesNs:
        return block.times_of(self.data, self._said, "in memory")

    def starts(self) -> TimesNs:
        return block.starts_of(self.data, self._said, "in memory")

    def text(self) -> bytes:
        return block.text_of(self.data, 0, self._said, "in memory")

    def metadata(self) -> LineMetadata | None:
        return block.metadata_of(self.data, self._said, "in memory")


@dataclass(slots=True)
class Stream:
    """One stream's lines that are in no file yet.

    open        takes new lines
    full        waits to be sealed, oldest first
    sealed      waits to be written, oldest first
    settled_ns  last time of all that is not open; lines up to it may be there already
    touched_ms  when it last got lines
    """

    number: int
    labels: Labels
    open: Head = field(default_factory=Head)
    full: list[Head] = field(default_factory=list)
    sealed: list[SealedBlock] = field(default_factory=list)
    settled_ns: int = -(1 << 63)
    touched_ms: int = 0

    def close_head(self) -> None:
        """Let the open lines wait to be sealed."""
        if self.open.line_count:
            self.full.append(self.open)
            self.settled_ns = max(self.settled_ns, self.open.last_ns)
            self.open = Head()

    def blocks(self, start_ns: int, end_ns: int) -> list[OpenBlock | SealedBlock]:
        """Give what may hold lines of a time range."""
        blocks: list[OpenBlock | SealedBlock] = list(self.sealed)
        blocks += [OpenBlock(self.labels, self.number, head) for head in (*self.full, self.open) if head.line_count]
        return [each for each in blocks if each.first_ns <= end_ns and each.last_ns >= start_ns]


def seal(stream: Stream, head: Head) -> SealedBlock:
    """Compress a head."""
    return SealedBlock(stream.labels, stream.number, block.encode(stream.labels, head.columns()))
