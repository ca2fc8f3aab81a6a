"""The block files of a data directory: writing, finding, reading, removing."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import structlog

from watchkeeper.model.errors import Damaged
from watchkeeper.model.labels import Labels
from watchkeeper.model.logs import LineMetadata, TimesNs
from watchkeeper.model.metrics import counter
from watchkeeper.store.files import Files
from watchkeeper.store.logs import block, blockfile
from watchkeeper.store.logs.blockfile import FOOTER, Index

log = structlog.get_logger(__name__)

_DAMAGED = counter("watchkeeper_log_damaged_blocks", "Blocks and files of the log store that did not check out.")
_SUFFIX = ".logs"
_OPEN_FILES_MAX = 64


@dataclass(frozen=True, slots=True, eq=False)
class BlockFile:
    """One file and where its streams stand in the store.

    number   counts up; names the file
    streams  int64[n]: the store's stream number of each block
    """

    number: int
    path: str
    file_bytes: int
    index: Index
    streams: TimesNs
    first_ns: int
    last_ns: int


class StoredBlock:
    """A block in a file; its bytes are read when a column is asked for, and kept while this object lives."""

    __slots__ = (
        "_disk", "_file", "_head", "_row", "_said",
        "first_ns", "labels", "last_ns", "line_count", "size_bytes", "stream",
    )  # fmt: skip

    def __init__(self, disk: "Disk", file: BlockFile, row: int, labels: Labels) -> None:
        columns = file.index.columns
        self._disk, self._file, self._row, self.labels = disk, file, row, labels
        self.stream = int(file.streams[row])
        self.first_ns, self.last_ns = int(columns["first"][row]), int(columns["last"][row])
        self.line_count, self.size_bytes = int(columns["lines"][row]), int(columns["bytes"][row])
        self._head: bytes | None = None
        self._said: block.Descriptor | None = None

    def times(self) -> TimesNs:
        head, said = self._described()
        return block.times_of(head, said, self._where())

    def starts(self) -> TimesNs:
        head, said = self._described()
        return block.starts_of(head, said, self._where())

    def metadata(self) -> LineMetadata | None:
        head, said = self._described()
        return block.metadata_of(head, said, self._where())

    def text(self) -> bytes:
        _, said = self._described()
        place, length, _ = said.parts["text"]
        offset = int(self._file.index.columns["offset"][self._row])
        return block.text_of(self._disk.read(self._file, offset + place, length), place, said, self._where())

    def _described(self) -> tuple[bytes, block.Descriptor]:
        if self._head is None or self._said is None:
            columns = self._file.index.columns
            offset, length = int(columns["offset"][self._row]), int(columns["head"][self._row])
            self._head = self._disk.read(self._file, offset, length)
            self._said = block.describe(self._head, self._where())
            if self._said.line_count != self.line_count:
                raise Damaged(f"cannot read log block {self._where()}: index and block differ")
        return self._head, self._said

    def _where(self) -> str:
        return f"{self._file.path} at {int(self._file.index.columns['offset'][self._row])}"


class Disk:
    """All block files below a directory, oldest first. Reading is safe from any thread."""

    def __init__(self, files: Files, directory: str) -> None:
        self._files, self._directory = files, directory
        self._descriptors: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()
        self._next = 1
        files.makedirs(directory)

    def load(self) -> Iterator[tuple[int, str, int, Index]]:
        """Give number, path, size and index of each file; leftovers of unfinished writing are removed."""
        for name in self._files.listdir(self._directory):
            path = f"{self._directory}/{name}"
            stem, dot, _ = name.partition(_SUFFIX)
            if not dot or not stem.isdigit():
                if name.endswith(".tmp"):
                    self._files.unlink(path)
                continue
            if not name.endswith(_SUFFIX):
                self._files.unlink(path)
                continue
            self._next = max(self._next, int(stem) + 1)
            size, index = self._index(path)
            yield int(stem), path, size, index

    def write(self, mark: int, blocks: Sequence[bytes]) -> tuple[int, str, int, Index]:
        """Write a file of blocks; it is there, whole and on the disk, or not at all.

        raises  OSError when it cannot be written; nothing is left then but a temporary file
        """
        number, data_index = self._next, blockfile.build(mark, blocks)
        data, index = data_index
        path = f"{self._directory}/{number:010d}{_SUFFIX}"
        fd = self._files.open(path + ".tmp")
        try:
            self._files.ftruncate(fd, 0)
            self._write_all(fd, data)
            self._files.fdatasync(fd)
        finally:
            self._files.close(fd)
        self._files.rename(path + ".tmp", path)
        self._files.fsync_dir(self._directory)
        self._next += 1
        return number, path, len(data), index

    def read(self, file: BlockFile, offset: int, length: int) -> bytes:
        """Read from a file.

        raises  Damaged when the system cannot
        """
        try:
            with self._lock:
                return self._files.pread(self._descriptor(file.path), length, offset)
        except OSError as error:
            raise Damaged(f"cannot read log file {file.path}: {error}") from error

    def remove(self, file: BlockFile) -> None:
        """Remove a file; an error leaves it for the next time."""
        with self._lock:
            fd = self._descriptors.pop(file.path, None)
            if fd is not None:
                self._files.close(fd)
            self._files.unlink(file.path)
            self._files.fsync_dir(self._directory)

    def close(self) -> None:
        """Let go of all descriptors."""
        with self._lock:
            for fd in self._descriptors.values():
                self._files.close(fd)
            self._descriptors.clear()

    def _descriptor(self, path: str) -> int:
        fd = self._descriptors.pop(path, None)
        if fd is None:
            if path.rpartition("/")[2] not in self._files.listdir(self._directory):
                raise FileNotFoundError(path)  # opening would make an empty one
            fd = self._files.open(path)
        self._descriptors[path] = fd
        if len(self._descriptors) > _OPEN_FILES_MAX:
            self._files.close(self._descriptors.popitem(last=False)[1])
        return fd

    def _write_all(self, fd: int, data: bytes) -> None:
        view, place = memoryview(data), 0
        while place < len(view):
            place += self._files.pwrite(fd, bytes(view[place : place + (8 << 20)]), place)

    def _index(self, path: str) -> tuple[int, Index]:
        fd = self._files.open(path)
        try:
            size = self._files.size(fd)
            try:
                footer = self._files.pread(fd, FOOTER.size, max(0, size - FOOTER.size))
                length = blockfile.index_length(footer, size, path)
                packed = self._files.pread(fd, length, size - FOOTER.size - length)
                return size, blockfile.read_index(packed, footer, path)
            except (Damaged, ValueError, KeyError) as error:
                _DAMAGED.inc()
                found = blockfile.scan(self._files.pread(fd, size, 0), path)
                log.warning("log_file_index_damaged", path=path, error=str(error), blocks_found=len(found))
                return size, found
        finally:
            self._files.close(fd)


def placed(number: int, path: str, size: int, index: Index, streams_of_labels: npt.NDArray[np.int64]) -> BlockFile:
    """Join a file's index with the store's numbers of its streams, int64[len(index.labels)]."""
    streams = streams_of_labels[index.columns["stream"]] if len(index) else np.zeros(0, np.int64)
    first = int(index.columns["first"].min(initial=1 << 62))
    last = int(index.columns["last"].max(initial=-(1 << 62)))
    return BlockFile(number, path, size, index, streams, first, last)
