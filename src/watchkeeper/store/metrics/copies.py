"""Whole blocks in and out: old samples as a block of their own, everything as a directory of its own."""

import errno
from collections.abc import Sequence

import numpy as np

from watchkeeper.model.frame import FrameSlice
from watchkeeper.model.labels import Symbols
from watchkeeper.store.files import Files, write_whole
from watchkeeper.store.metrics.blocks import Blocks
from watchkeeper.store.metrics.columns import hash_table
from watchkeeper.store.metrics.pack import Piece, write_frame
from watchkeeper.store.metrics.strip import StripView

_PIECE_BYTES = 4 << 20
_NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS})


def write_block(blocks: Blocks, symbols: Symbols, frames: Sequence[tuple[str, FrameSlice]]) -> int | None:
    """Write samples of any age as a block; give its number, None when there are none. From any thread.

    raises  OSError when the disk does not take it; nothing is left then
    """
    by_source: dict[str, list[Piece]] = {}
    for source, one in frames:
        if not len(one.times) or not len(one.labels):
            continue
        rows = StripView((), one.times, one.values.T)
        columns = np.arange(len(one.labels), dtype=np.int32)
        piece = Piece(one.labels, hash_table(one.labels, symbols), (rows,), columns)
        by_source.setdefault(source, []).append(piece)
    if not by_source:
        return None
    number, writer = blocks.writer()
    try:
        for source, pieces in sorted(by_source.items()):
            write_frame(writer, source, pieces, symbols)
        writer.finish(blocks.mark, blocks.cutoff_ms)
    except BaseException:
        writer.abandon()
        raise
    return number


def snapshot(files: Files, paths: Sequence[str], directory: str) -> None:
    """Give files of metrics/ a second name below another directory, or copy them where the disk has no links.

    paths   of files that never change; metrics/FORMAT and metrics/tombstones come with them
    raises  OSError
    """
    folders = {path.rpartition("/")[0] for path in paths} | {"metrics/blocks", "metrics/wal"}
    made = [f"{directory}/metrics", *(f"{directory}/{folder}" for folder in sorted(folders))]
    for path in made:
        files.makedirs(path)
    for path in paths:
        try:
            files.link(path, f"{directory}/{path}")
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _copy(files, path, f"{directory}/{path}")
    for name in ("FORMAT", "tombstones"):
        if name in files.listdir("metrics"):
            _copy(files, f"metrics/{name}", f"{directory}/metrics/{name}")
    for path in reversed(made):
        files.fsync_dir(path)


def _copy(files: Files, old: str, new: str) -> None:
    source, target = files.open(old), files.open(new)
    try:
        files.ftruncate(target, 0)
        at = 0
        while data := files.pread(source, _PIECE_BYTES, at):
            write_whole(files, target, data, at)
            at += len(data)
        files.fdatasync(target)
    finally:
        files.close(source)
        files.close(target)
