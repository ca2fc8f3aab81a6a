"""The disk as an argument: every file operation of the stores goes through here, so that tests can break disks.

Paths are relative to a root, with forward slashes. Operations raise OSError as the system gives it; what to do about
it is decided by those who know what the bytes mean.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Protocol

from watchkeeper.model.errors import Refused


class Files(Protocol):
    """A root directory and what may be done below it. Descriptors are small numbers, as the system's."""

    def open(self, path: str) -> int:
        """Open for reading and writing; the file is created (empty) when missing."""
        ...

    def close(self, fd: int) -> None: ...

    def size(self, fd: int) -> int: ...

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        """Read at most `length` bytes; fewer only at the file's end."""
        ...

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        """Write; gives how many bytes were taken, which may be fewer than offered."""
        ...

    def fdatasync(self, fd: int) -> None:
        """Return when content and size of the file are on the disk."""
        ...

    def ftruncate(self, fd: int, size: int) -> None: ...

    def fallocate(self, fd: int, size: int) -> None:
        """Make the file `size` bytes long, the new part zero and its space reserved."""
        ...

    def rename(self, old: str, new: str) -> None: ...

    def link(self, old: str, new: str) -> None:
        """Give a file a second name, without copying its bytes.

        raises  OSError where the disk cannot, or when the new name is taken
        """
        ...

    def unlink(self, path: str) -> None: ...

    def makedirs(self, path: str) -> None: ...

    def listdir(self, path: str) -> list[str]:
        """Give the names in a directory, sorted; nothing when there is no such directory."""
        ...

    def fsync_dir(self, path: str) -> None:
        """Return when the directory's names (created, renamed, removed) are on the disk."""
        ...

    def free_bytes(self) -> int:
        """Give the space that this process may still fill."""
        ...

    def total_bytes(self) -> int:
        """Give the size of the disk."""
        ...

    def lock(self, path: str) -> int:
        """Hold a file for this process alone until its descriptor is closed or the process ends, however it ends.

        raises  Refused when another process holds it
        """
        ...


def write_whole(files: Files, fd: int, data: bytes, offset: int) -> None:
    """Write all of it, however little the system takes at a time.

    raises  OSError; some of it may be written then
    """
    done = 0
    while done < len(data):
        done += files.pwrite(fd, data[done:] if done else data, offset + done)


class RealFiles:
    """The system's files below a root directory, which is created when missing."""

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root)
        self._root.mkdir(parents=True, exist_ok=True)

    def open(self, path: str) -> int:
        return os.open(self._root / path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def close(self, fd: int) -> None:
        os.close(fd)

    def size(self, fd: int) -> int:
        return os.fstat(fd).st_size

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        data = os.pread(fd, length, offset)
        while data and len(data) < length:
            more = os.pread(fd, length - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        return os.pwrite(fd, data, offset)

    def fdatasync(self, fd: int) -> None:
        if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: fsync alone stops at the drive's cache
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        else:
            os.fdatasync(fd)

    def ftruncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def fallocate(self, fd: int, size: int) -> None:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, 0, size)
        else:
            os.ftruncate(fd, size)

    def rename(self, old: str, new: str) -> None:
        (self._root / old).rename(self._root / new)

    def link(self, old: str, new: str) -> None:
        os.link(self._root / old, self._root / new)

    def unlink(self, path: str) -> None:
        (self._root / path).unlink()

    def makedirs(self, path: str) -> None:
        (self._root / path).mkdir(parents=True, exist_ok=True)

    def listdir(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(self._root / path))  # noqa: PTH208 names are wanted, not paths
        except FileNotFoundError:
            return []

    def fsync_dir(self, path: str) -> None:
        fd = os.open(self._root / path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def free_bytes(self) -> int:
        found = os.statvfs(self._root)
        return found.f_bavail * found.f_frsize

    def total_bytes(self) -> int:
        found = os.statvfs(self._root)
        return found.f_blocks * found.f_frsize

    def lock(self, path: str) -> int:
        fd = self.open(path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise Refused(
                f"cannot lock data directory {self._root}: got a lock held by process {holder}, want it free"
            ) from None
        with contextlib.suppress(OSError):  # who holds it is only told to people; a full disk must not prevent a start
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        return fd
