"""Backups: a data directory copied while it is in use, and put back.

A backup is a folder that is itself a data directory, with `backup.json` beside: every file with its size and BLAKE2b.
Files that the backup before has already, byte for byte, are given a second name there instead of a copy.

What makes it consistent: first the segments of the logs get second names, then what never changes (blocks). Whatever is
moved from the log into blocks in between is in both, and read once. Where a file goes away meanwhile, all begins anew.
"""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

import orjson

from watchkeeper.model.errors import BadInput, Damaged, Refused

MANIFEST = "backup.json"
_STAGING = ".backup"
_STORES = ("metrics", "logs")
_STATE = "state.db"
_TRIES = 20
_PIECE_BYTES = 4 << 20
_VERSION = 1


@dataclass(slots=True)
class Copied:
    """What a backup or a restore did."""

    path: Path
    files: int = 0
    bytes: int = 0
    linked_bytes: int = 0


def back_up(data: Path, target: Path, now_s: float) -> Copied:
    """Back up a data directory, in use or not, into a new folder of `target`.

    raises  BadInput when there is no data directory; Refused when another backup of it is under way, or a disk does
            not take it: what was written of it is removed
    """
    if not any((data / name).is_dir() for name in _STORES):
        raise BadInput(f"cannot back up {data}: got no data directory")
    name = f"{datetime.fromtimestamp(now_s, UTC):%Y%m%dT%H%M%SZ}"
    final, partial, staging = target / name, target / f"{name}.partial", data / _STAGING
    if final.exists():
        raise Refused(f"cannot back up to {final}: it is there already", 1)
    try:
        staging.mkdir()
    except FileExistsError:
        raise Refused(
            f"cannot back up {data}: got another backup under way; when none is, remove {staging}", 60
        ) from None
    try:
        _freeze(data, staging)
        known = _newest(target)
        partial.mkdir(parents=True)
        copied = _copy_all(staging, partial, known)
        _sync_tree(partial)
        partial.rename(final)
        _sync(target)
        copied.path = final
    except OSError as error:
        raise Refused(f"cannot back up {data} to {final}: {error.strerror or error}", 60) from error
    else:
        return copied
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        shutil.rmtree(partial, ignore_errors=True)


def restore(backup: Path, data: Path) -> Copied:
    """Copy a backup into a data directory that is empty or not there; every file is checked first and as it is copied.

    backup  one backup, or a folder of them: then the newest
    raises  BadInput when it is none, or `data` is not empty; Damaged when a file is not as it was: `data` is untouched
    """
    chosen = backup if (backup / MANIFEST).is_file() else _newest(backup)
    if chosen is None:
        raise BadInput(f"cannot restore {backup}: got no {MANIFEST} there or one folder below")
    if data.exists() and any(data.iterdir()):
        raise BadInput(f"cannot restore into {data}: it is not empty")
    said = _manifest(chosen)
    for name, (size, digest) in said.items():
        if _digest(chosen / name) != (size, digest):
            raise Damaged(f"cannot restore {chosen}: {name} is not as it was backed up")
    copied = Copied(data)
    for name, (size, _) in said.items():
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(chosen / name, path)
        copied.files, copied.bytes = copied.files + 1, copied.bytes + size
    _sync_tree(data)
    return copied


def verify(backup: Path) -> list[str]:
    """Give the files of a backup that are not as they were; none when it is good.

    raises  BadInput when it is no backup
    """
    return [name for name, said in _manifest(backup).items() if _digest(backup / name) != said]


# -- freezing


def _freeze(data: Path, staging: Path) -> None:
    for _ in range(_TRIES):
        try:
            for store in _STORES:
                if (data / store).is_dir():
                    _link_store(data / store, staging / store)
            break
        except FileNotFoundError:  # a segment or block went away: what replaces it is there now
            for store in _STORES:
                shutil.rmtree(staging / store, ignore_errors=True)
    else:
        raise Refused(f"cannot back up {data}: got files that change faster than they can be named", 60)
    if (data / _STATE).is_file():
        with (
            contextlib.closing(sqlite3.connect(f"file:{data / _STATE}?mode=ro", uri=True)) as source,
            contextlib.closing(sqlite3.connect(staging / _STATE)) as copy,
        ):
            source.backup(copy)


def _link_store(store: Path, staged: Path) -> None:
    folders = sorted((path for path in store.iterdir() if path.is_dir()), key=lambda path: path.name != "wal")
    for folder in folders:  # the log before the blocks
        (staged / folder.name).mkdir(parents=True)
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.suffix != ".tmp":
                (staged / folder.name / path.name).hardlink_to(path)
    staged.mkdir(parents=True, exist_ok=True)
    for path in sorted(store.iterdir()):
        if path.is_file() and path.name != "lock" and path.suffix != ".tmp":
            (staged / path.name).hardlink_to(path)


# -- copying


def _copy_all(staging: Path, target: Path, known: Path | None) -> Copied:
    before = _manifest(known) if known is not None else {}
    copied, said = Copied(target), dict[str, tuple[int, str]]()
    paths = [path for path in staging.rglob("*") if path.is_file()]
    for path in sorted(paths, key=lambda path: (path.suffix == ".hist", path)):  # after the log, which refers to them
        name = path.relative_to(staging).as_posix()
        new = target / name
        new.parent.mkdir(parents=True, exist_ok=True)
        said[name] = _copy(path, new, trim=path.suffix == ".wal")
        if known is not None and before.get(name) == said[name] and _is_linked(known / name, new):
            copied.linked_bytes += said[name][0]
        copied.files, copied.bytes = copied.files + 1, copied.bytes + said[name][0]
    content = {"version": _VERSION, "files": {name: list(one) for name, one in said.items()}}
    (target / MANIFEST).write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    return copied


def _is_linked(old: Path, new: Path) -> bool:
    """Give an equal file of the last backup a second name in this one's place; False where the disk cannot."""
    aside = new.with_name(new.name + ".link")
    try:
        aside.hardlink_to(old)
    except OSError:
        return False
    aside.replace(new)
    return True


def _copy(path: Path, new: Path, *, trim: bool) -> tuple[int, str]:
    """Copy a file; gives its size and digest. `trim` leaves out the zeros at its end, which a log reserves."""
    state, size, held = blake2b(digest_size=32), 0, 0
    with path.open("rb") as source, new.open("wb") as copy:
        while piece := source.read(_PIECE_BYTES):
            if trim:
                kept = piece.rstrip(b"\0")
                if not kept:
                    held += len(piece)
                    continue
                zeros = bytes(held)
                held = len(piece) - len(kept)
                piece = zeros + kept
            copy.write(piece)
            state.update(piece)
            size += len(piece)
    return size, state.hexdigest()


def _digest(path: Path) -> tuple[int, str] | None:
    state, size = blake2b(digest_size=32), 0
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                state.update(piece)
                size += len(piece)
    except OSError:
        return None
    return size, state.hexdigest()


def _manifest(backup: Path) -> dict[str, tuple[int, str]]:
    try:
        said = orjson.loads((backup / MANIFEST).read_bytes())
        if said["version"] != _VERSION:
            raise BadInput(f"cannot read {backup / MANIFEST}: got version {said['version']}, want {_VERSION}")
        files = {str(name): (int(size), str(digest)) for name, (size, digest) in said["files"].items()}
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"cannot read {backup / MANIFEST}: {error!r}") from None
    if any(name.startswith("/") or ".." in Path(name).parts for name in files):
        raise BadInput(f"cannot read {backup / MANIFEST}: got a path outside the backup")
    return files


def _newest(folder: Path) -> Path | None:
    """Give the newest whole backup in a folder."""
    return max((path.parent for path in folder.glob(f"*Z/{MANIFEST}")), default=None)


def _sync_tree(folder: Path) -> None:
    for path in _bottom_up(folder):
        _sync(path)


def _bottom_up(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir():
            yield from _bottom_up(path)
        else:
            yield path
    yield folder


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
