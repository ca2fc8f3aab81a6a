"""A disk in memory that loses power, fills up and fails on demand.

Each file has what is on the disk and the operations since its last sync; each name is on the disk once its directory
was synced. `crash` gives the disk as it may look afterwards.
"""

import errno
import random
from collections.abc import Callable, Mapping

from watchkeeper.model.errors import Refused

Op = tuple[str, int, bytes]


class Inode:
    def __init__(self, durable: bytes = b"") -> None:
        self.durable = durable
        self.now = bytearray(durable)
        self.unsynced: list[Op] = []

    def do(self, op: Op) -> None:
        self.unsynced.append(op)
        apply(self.now, op)


def apply(content: bytearray, op: Op) -> None:
    kind, number, data = op
    if kind == "write":
        if len(content) < number:
            content.extend(bytes(number - len(content)))
        content[number : number + len(data)] = data
    elif kind == "truncate":
        del content[number:]
        content.extend(bytes(number - len(content)))
    elif kind == "allocate" and len(content) < number:
        content.extend(bytes(number - len(content)))


class PowerLost(BaseException):
    """The process is gone: nothing that it wanted to do happens any more."""


class SimFiles:
    """Files in memory.

    faults  call number (from 1) → "ENOSPC", "EIO", "short" (half is written, then ENOSPC), "lost" (fdatasync fails
            and forgets what was not written yet, as Linux does)
    space   bytes that all files together may take
    dies_at  call number from which on every call raises PowerLost
    """

    dies_at = 1 << 60

    def __init__(self, faults: Mapping[int, str] | None = None, space: int = 1 << 40) -> None:
        self.faults, self.space = dict(faults or {}), space
        self.calls = self.hit = self.syncs = 0
        self.names: dict[str, Inode] = {}
        self.durable_names: dict[str, Inode] = {}
        self.open_files: dict[int, Inode] = {}
        self.locked: set[str] = set()
        self._lock_of: dict[int, str] = {}
        self._next_fd = 100
        self.on_sync: Callable[[], None] = lambda: None

    def _fault(self, kinds: tuple[str, ...]) -> str | None:
        self.calls += 1
        if self.calls >= self.dies_at:
            raise PowerLost
        kind = self.faults.get(self.calls)
        if kind is None:
            return None
        if kind not in kinds:  # does not apply to this call: the next it applies to takes it
            del self.faults[self.calls]
            self.faults.setdefault(self.calls + 1, kind)
            return None
        self.hit += 1
        if kind in ("EIO", "ENOSPC"):
            raise OSError(getattr(errno, kind), kind)
        return kind

    def open(self, path: str) -> int:
        self._fault(("EIO", "ENOSPC"))
        inode = self.names.setdefault(path, Inode())
        self._next_fd += 1
        self.open_files[self._next_fd] = inode
        return self._next_fd

    def close(self, fd: int) -> None:
        del self.open_files[fd]
        self.locked.discard(self._lock_of.pop(fd, ""))

    def size(self, fd: int) -> int:
        return len(self.open_files[fd].now)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        self._fault(("EIO",))
        return bytes(self.open_files[fd].now[offset : offset + length])

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        kind = self._fault(("EIO", "ENOSPC", "short"))
        inode = self.open_files[fd]
        if kind == "short":
            self.faults[self.calls + 1] = "ENOSPC"
            data = data[: len(data) // 2]
        room = self.space - self.used() + max(0, len(inode.now) - offset)
        if len(data) > room:
            data = data[: max(room, 0)]
            if not data:
                raise OSError(errno.ENOSPC, "ENOSPC")
        inode.do(("write", offset, bytes(data)))
        return len(data)

    def fdatasync(self, fd: int) -> None:
        inode = self.open_files[fd]
        if self._fault(("EIO", "lost")) == "lost":
            inode.unsynced.clear()
            raise OSError(errno.EIO, "EIO")
        self.syncs += 1
        self.on_sync()
        inode.durable, inode.unsynced = bytes(inode.now), []

    def ftruncate(self, fd: int, size: int) -> None:
        self._fault(("EIO",))
        self.open_files[fd].do(("truncate", size, b""))

    def fallocate(self, fd: int, size: int) -> None:
        self._fault(("EIO", "ENOSPC"))
        if size - len(self.open_files[fd].now) > self.space - self.used():
            raise OSError(errno.ENOSPC, "ENOSPC")
        self.open_files[fd].do(("allocate", size, b""))

    def rename(self, old: str, new: str) -> None:
        self._fault(("EIO", "ENOSPC"))
        self.names[new] = self.names.pop(old)

    def link(self, old: str, new: str) -> None:
        self._fault(("EIO", "ENOSPC"))
        if new in self.names:
            raise FileExistsError(new)
        self.names[new] = self.names[old]

    def unlink(self, path: str) -> None:
        self._fault(("EIO",))
        del self.names[path]

    def makedirs(self, path: str) -> None:
        del path

    def listdir(self, path: str) -> list[str]:
        within = path + "/" if path else ""
        return sorted(name[len(within) :] for name in self.names if name.startswith(within))

    def fsync_dir(self, path: str) -> None:
        self._fault(("EIO",))
        kept = {name: inode for name, inode in self.durable_names.items() if not name.startswith(path + "/")}
        self.durable_names = kept | {n: inode for n, inode in self.names.items() if n.startswith(path + "/")}

    def free_bytes(self) -> int:
        return self.space - self.used()

    def total_bytes(self) -> int:
        return self.space

    def used(self) -> int:
        return sum(len(inode.now) for inode in self.names.values())

    def lock(self, path: str) -> int:
        if path in self.locked:
            raise Refused(f"cannot lock {path}")
        fd = self.open(path)
        self.locked.add(path)
        self._lock_of[fd] = path
        return fd

    def crash(self, how: str, chance: random.Random) -> "SimFiles":
        """Give the disk after a crash.

        how  "kill": the process ends, the system lives on; "lost": nothing unsynced is there; "prefix": of each
             file, the first few operations; "torn": the same, the last one cut at a multiple of 512; "some": any
        """
        after = SimFiles(space=self.space)
        names = self.names if how == "kill" or (how != "lost" and chance.random() < 0.5) else self.durable_names
        for name, inode in names.items():
            after.names[name] = Inode(bytes(inode.now) if how == "kill" else left_of(inode, how, chance))
        after.durable_names = dict(after.names)
        return after


def left_of(inode: Inode, how: str, chance: random.Random) -> bytes:
    if how == "lost":
        return inode.durable
    content, ops = bytearray(inode.durable), inode.unsynced
    ops = [op for op in ops if chance.random() < 0.5] if how == "some" else ops[: chance.randint(0, len(ops))]
    if how == "torn" and ops and ops[-1][0] == "write":
        kind, offset, data = ops[-1]
        edge = (offset // 512 + 1) * 512 - offset + 512 * chance.randint(0, len(data) // 512)
        ops = [*ops[:-1], (kind, offset, data[: min(edge, len(data))])]
    for op in ops:
        apply(content, op)
    return bytes(content)
