"""What says that a directory holds metrics, and in which format."""

import re

from watchkeeper.model.errors import Damaged
from watchkeeper.store.files import Files

DIRECTORY = "metrics"
INCOMING = f"{DIRECTORY}/incoming"  # blocks that another process wrote for the one that has the directory
_A_FORMAT = re.compile(rb"watchkeeper metrics (\d+)\n")
_FORMAT = b"watchkeeper metrics 2\n"
_NUMBER = 2  # 1 had no blocks


def check_format(files: Files) -> None:
    """Mark a new or older directory as ours.

    raises  Damaged when it is of a newer format
    """
    path = f"{DIRECTORY}/FORMAT"
    fd = files.open(path)
    try:
        found = files.pread(fd, 64, 0)
        said = _A_FORMAT.fullmatch(found)
        if said is not None and int(said[1]) > _NUMBER:
            raise Damaged(f"cannot open {path}: got {found.decode(errors='replace')!r}, want {_FORMAT.decode()!r}")
        if found != _FORMAT:  # new, older, cut off by a crash, or no format at all because a bit was flipped
            files.ftruncate(fd, 0)
            files.pwrite(fd, _FORMAT, 0)
            files.fdatasync(fd)
    finally:
        files.close(fd)
