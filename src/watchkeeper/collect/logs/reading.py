"""All files of a promtail.yml: finding, opening, reading, turning lines into entries. Runs in a worker thread."""

import fnmatch
import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from watchkeeper.collect.logs.promtail import PromtailConfig, TailSettings
from watchkeeper.collect.logs.push import valid_utf8
from watchkeeper.collect.logs.stages import Entry, Stage, compile_stages, joins_partial_lines
from watchkeeper.collect.logs.tail import Chunk, Position, TailedFile
from watchkeeper.collect.relabel import Relabel
from watchkeeper.model.clock import Clock
from watchkeeper.model.errors import BadInput
from watchkeeper.model.logs import Entries
from watchkeeper.model.metrics import counter, gauge

log = structlog.get_logger(__name__)

_LINES = counter("watchkeeper_log_tail_lines", "Lines read from files.")
_BYTES = counter("watchkeeper_log_tail_bytes", "Bytes read from files.")
_DROPPED = counter("watchkeeper_log_tail_lines_dropped", "Lines of files that a stage dropped.")
_FILES = gauge("watchkeeper_log_tail_files", "Files that are read.")
_FAILURES = counter("watchkeeper_log_tail_failures", "Files that could not be opened or read.")

_PACKED = (".gz", ".zip", ".bz2", ".xz", ".zst", ".lz4", ".tar", ".tgz")
_ROTATED = "\0"  # between path and inode in the key of a rotated file's position
_BATCH_CHUNKS = 16  # read before what was read is stored


@dataclass(frozen=True, slots=True)
class Target:
    """Files of one glob and what happens to their lines."""

    job: str
    pattern: str
    exclude: str
    labels: Mapping[str, str]
    stage: Stage | None  # None: lines as they are
    joins_partials: bool


@dataclass(slots=True)
class _Open:
    target: Target
    file: TailedFile
    key: str
    grew_s: float
    gone: bool = False  # renamed or deleted: its path belongs to another file, or none


@dataclass(slots=True)
class Batch:
    """What was read: entries and places, to be stored together and then accepted."""

    entries: list[Entries] = field(default_factory=list)
    positions: dict[str, bytes] = field(default_factory=dict)
    moved: list[tuple[TailedFile, Position]] = field(default_factory=list)
    chunks: int = 0


def targets_of(config: PromtailConfig) -> list[Target]:
    """Make the targets of a configuration ready.

    raises  BadInput naming job and stage
    """
    targets = []
    for job in config.scrape_configs:
        stage = None if job.pipeline_stages == [] else _compiled(job.pipeline_stages, job.job_name)
        rules = Relabel.of(job.relabel_configs)
        for static in job.static_configs:
            labels = rules.apply(static.labels) if rules else static.labels
            if labels is None or not labels.get("__path__"):
                continue
            kept = {name: value for name, value in labels.items() if not name.startswith("__")}
            if job.job_name:
                kept.setdefault("job", job.job_name)
            joins = joins_partial_lines(job.pipeline_stages)
            targets.append(
                Target(job.job_name, labels["__path__"], labels.get("__path_exclude__", ""), kept, stage, joins)
            )
    return targets


class Reading:
    """The files being read.

    kept  the positions that were last stored
    """

    def __init__(
        self, targets: Sequence[Target], settings: TailSettings, clock: Clock, kept: Mapping[str, bytes]
    ) -> None:
        self._targets, self._settings, self._clock = targets, settings, clock
        self._kept = dict(kept)
        self._files: dict[str, _Open] = {}
        self._globbed_s = -1e9
        self._time_ns = 0
        self._pending: dict[str, bytes] = {}  # positions to be kept with the next batch
        self._warned: set[str] = set()

    def gather(self) -> Batch:
        """Read some of what was added since the last time."""
        now_s = self._clock.monotonic_s()
        if now_s - self._globbed_s >= self._settings.glob_interval_ms / 1000:
            self._globbed_s = now_s
            self._find()
        batch = Batch(positions=self._pending)
        self._pending = {}
        for opened in list(self._files.values()):
            if batch.chunks >= _BATCH_CHUNKS:
                break
            try:
                self._read(opened, batch, now_s)
            except OSError as error:
                self._fail(opened.file.path, error)
                self._close(opened, batch)
        if batch.chunks:  # who was read goes to the back, so that no file starves another
            self._files = dict(sorted(self._files.items(), key=lambda item: item[1].grew_s == now_s))
        _FILES.set(len(self._files))
        return batch

    def accept(self, batch: Batch) -> None:
        """Note that a batch is stored."""
        for file, position in batch.moved:
            file.accept(position)
        for key, kept in batch.positions.items():
            if kept:
                self._kept[key] = kept
            else:
                self._kept.pop(key, None)

    def status(self) -> list[dict[str, object]]:
        """Give path, job, labels, offset and size of each file, for people."""
        return [
            {
                "path": opened.file.path,
                "job": opened.target.job,
                "labels": dict(opened.target.labels),
                "offset": opened.file.position.offset,
                "rotated": opened.gone,
            }
            for opened in list(self._files.values())
        ]

    def close(self) -> None:
        """Let go of all files."""
        for opened in self._files.values():
            opened.file.close()
        self._files.clear()

    # -- which files

    def _find(self) -> None:
        known = {opened.file.identity for opened in self._files.values()}
        for target in self._targets:
            for path in sorted(_paths(target)):
                if path in self._files:
                    continue
                if len(self._files) >= self._settings.files_max:
                    self._warn(f"files_max {self._settings.files_max} reached", target.pattern)
                    return
                try:
                    self._open(target, path, known)
                except OSError as error:
                    self._fail(path, error)

    def _open(self, target: Target, path: str, known: set[tuple[int, int]]) -> None:
        """Open a file at the place where it was left, under whatever name that was."""
        self._resume_rotated(target, path, known)
        found = os.stat(path)  # noqa: PTH116 a string
        if (found.st_dev, found.st_ino) in known:
            return  # renamed from another path, and being read under that
        before = self._position(path)
        kept = before
        if before is None or (before.device, before.inode) != (found.st_dev, found.st_ino):
            kept = self._by_identity(found.st_dev, found.st_ino)
        file = TailedFile(path, kept)
        if kept is not before and file.position.offset:
            self._pending[path] = file.position.encode()
        self._files[path] = _Open(target, file, path, self._clock.monotonic_s())
        known.add(file.identity)
        if before is not None and (before.device, before.inode) not in known:
            self._open_rotated(target, path, before, known)  # what was left of it lies under another name now

    def _position(self, key: str) -> Position | None:
        return Position.decode(self._kept[key]) if key in self._kept else None

    def _by_identity(self, device: int, inode: int) -> Position | None:
        for key in self._kept:
            kept = self._position(key)
            if kept is not None and (kept.device, kept.inode) == (device, inode):
                return kept
        return None

    def _resume_rotated(self, target: Target, path: str, known: set[tuple[int, int]]) -> None:
        """Go on with files of this path that were rotated, and not read to their ends, before a restart."""
        for key in [key for key in self._kept if key.startswith(path + _ROTATED) and key not in self._files]:
            kept = self._position(key)
            if kept is not None:
                self._open_rotated(target, path, kept, known)

    def _open_rotated(self, target: Target, path: str, kept: Position, known: set[tuple[int, int]]) -> None:
        name = _file_of_inode(path, kept)
        if name is None or (kept.device, kept.inode) in known:
            return
        file = TailedFile(name, kept)
        if file.position != kept:
            file.close()
            return
        file.path = path  # its lines carry the name they were written under
        key = f"{path}{_ROTATED}{kept.inode}"
        self._files[key] = _Open(target, file, key, self._clock.monotonic_s(), gone=True)
        known.add(file.identity)

    def _check_rotation(self, opened: _Open) -> None:
        if opened.gone:
            return
        try:
            found = os.stat(opened.file.path)  # noqa: PTH116 a string
            if (found.st_dev, found.st_ino) == opened.file.identity:
                return
        except FileNotFoundError:
            pass
        del self._files[opened.key]
        opened.gone = True
        opened.key = f"{opened.file.path}{_ROTATED}{opened.file.identity[1]}"
        opened.grew_s = self._clock.monotonic_s()
        self._files[opened.key] = opened
        self._globbed_s = -1e9  # look for its successor at once

    def _leave(self, opened: _Open, batch: Batch) -> None:
        """See to it that a path's kept place is no longer that of its rotated file."""
        before = self._position(opened.file.path)
        if before is not None and (before.device, before.inode) == opened.file.identity:
            batch.positions.setdefault(opened.file.path, b"")

    # -- reading

    def _read(self, opened: _Open, batch: Batch, now_s: float) -> None:
        self._check_rotation(opened)
        over = opened.gone and (now_s - opened.grew_s) * 1000 >= self._settings.rotated_grace_ms
        chunk = opened.file.read(
            self._settings.chunk_bytes,
            self._settings.max_line_size_bytes,
            joins_partials=opened.target.joins_partials,
            final=over,
        )
        if chunk is None:
            if over:
                self._close(opened, batch)
            return
        opened.grew_s = now_s
        batch.chunks += 1
        batch.entries += self._entries(opened, chunk)
        batch.positions[opened.key] = chunk.position.encode()
        batch.moved.append((opened.file, chunk.position))
        if opened.gone:
            self._leave(opened, batch)

    def _close(self, opened: _Open, batch: Batch) -> None:
        self._files.pop(opened.key, None)
        opened.file.close()
        if opened.gone:
            self._leave(opened, batch)
            batch.positions[opened.key] = b""
            name = _file_of_inode(opened.file.path, opened.file.position)
            if name is not None and any(name in _paths(target) for target in self._targets):
                batch.positions[name] = opened.file.position.encode()  # the glob finds it under its new name, too

    def _entries(self, opened: _Open, chunk: Chunk) -> Iterator[Entries]:
        """Turn lines into entries, one a stream."""
        _LINES.inc(len(chunk.lines))
        _BYTES.inc(chunk.read_bytes)
        labels = {**opened.target.labels, "filename": opened.file.path}
        lines = valid_utf8(list(chunk.lines))
        base_ns = self._times_for(len(lines))
        if opened.target.stage is None:
            if lines:
                yield Entries(labels, list(range(base_ns, base_ns + len(lines))), lines)
            return
        streams: dict[tuple[tuple[str, str], ...], list[Entry]] = {}
        dropped = 0
        for at, line in enumerate(lines):
            entry = Entry(line, dict(labels))
            if not opened.target.stage(entry) or not entry.line:
                dropped += 1
                continue
            if entry.time_ns is None:
                entry.time_ns = base_ns + at
            streams.setdefault(tuple(entry.labels.items()), []).append(entry)
        _DROPPED.inc(dropped)
        for key, entries in streams.items():
            metadata = [entry.metadata for entry in entries] if any(entry.metadata for entry in entries) else ()
            times = [entry.time_ns or 0 for entry in entries]
            yield Entries(dict(key), times, [entry.line for entry in entries], metadata)

    def _times_for(self, count: int) -> int:
        """Give the first of so many times, one for each line without its own: no two lines get the same."""
        first = max(self._clock.now_ms() * 1_000_000, self._time_ns + 1)
        self._time_ns = first + count
        return first

    def _fail(self, path: str, error: OSError) -> None:
        _FAILURES.inc()
        self._warn(str(error), path)

    def _warn(self, error: str, path: str) -> None:
        if path not in self._warned and len(self._warned) < 10_000:
            self._warned.add(path)
            log.warning("log_file_not_read", path=path, error=error)


def _compiled(stages: Sequence[Mapping[str, object]] | None, job: str) -> Stage:
    try:
        return compile_stages(stages)
    except BadInput as error:
        raise BadInput(f"scrape_configs, job_name {job!r}: {error}") from error


def _paths(target: Target) -> set[str]:
    found = set()
    for path in glob.iglob(target.pattern, recursive=True):  # noqa: PTH207 the pattern may be absolute
        if path.endswith(_PACKED) or (target.exclude and _excluded(path, target.exclude)):
            continue
        if Path(path).is_file():
            found.add(path)
    return found


def _excluded(path: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(path, pattern.replace("**", "*"))


def _file_of_inode(path: str, position: Position) -> str | None:
    """Find the file of a place in the directory of a path."""
    try:
        with os.scandir(os.path.dirname(path) or ".") as entries:  # noqa: PTH120 a string
            for entry in entries:
                if entry.inode() == position.inode and entry.is_file():
                    return entry.path
    except OSError:
        return None
    return None
