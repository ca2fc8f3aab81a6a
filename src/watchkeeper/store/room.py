"""Room on the disk: before it is full, writes are refused and queries go on; a ballast file pays for the way out.

A disk that is really full breaks more than a log: nothing can be moved, shrunk or noted down any more. So the stores
stop taking samples and lines while there is little room left, and take them again, by themselves, when there is more.
The ballast is given up when there is next to none: what must still be written (silences, a block, a list of what was
deleted) then has a place, and it is laid in again when there is room.
"""

import structlog

from watchkeeper.model.clock import Clock
from watchkeeper.model.errors import Refused
from watchkeeper.model.metrics import counter, gauge
from watchkeeper.store.files import Files
from watchkeeper.store.settings import DiskSettings

log = structlog.get_logger(__name__)

_BALLAST = "ballast"
_LOOK_EVERY_S = 1.0
_RETRY_AFTER_S = 5
_SHARE = 20  # of the disk: 5 %
_SMALL_SHARE = 10  # of a disk on which 1 GiB would be more
_GIB = 1 << 30

FREE_BYTES = gauge("watchkeeper_disk_free_bytes", "Bytes that may still be written to the disk of the data directory.")
READ_ONLY = gauge("watchkeeper_disk_read_only", "Whether writes are refused because the disk is nearly full.")
REFUSED = counter("watchkeeper_disk_refused_writes", "Writes refused because the disk was nearly full.")


class Room:
    """Watches the disk when something is about to be written; used from the event loop's thread."""

    def __init__(self, files: Files, settings: DiskSettings, clock: Clock) -> None:
        self._files, self._clock = files, clock
        total = files.total_bytes()
        self._free_min = settings.free_bytes_min or max(total // _SHARE, min(_GIB, total // _SMALL_SHARE))
        self._ballast = min(settings.ballast_bytes, total // 16)
        self._looked_s = -1e300
        self._free = self._free_min
        self._read_only = False

    def prepare(self) -> None:
        """Look at the disk and lay in the ballast before the first write is taken."""
        self._looked_s = self._clock.monotonic_s()
        self._look()

    def check(self) -> None:
        """Say whether there is room for a write.

        raises  Refused when there is too little
        """
        if self._clock.monotonic_s() - self._looked_s >= _LOOK_EVERY_S:
            self.prepare()
        if self._read_only:
            REFUSED.inc()
            raise Refused(
                f"cannot take a write: got {self._free} bytes free on the disk, want {self._free_min}", _RETRY_AFTER_S
            )

    def _look(self) -> None:
        try:
            self._free = self._files.free_bytes()
            self._weigh()
        except OSError as error:
            log.warning("disk_not_looked_at", error=str(error))
        FREE_BYTES.set(self._free)
        read_only = self._free < self._free_min
        if read_only != self._read_only:
            self._read_only = read_only
            READ_ONLY.set(read_only)
            log.warning("disk_nearly_full" if read_only else "disk_has_room", free=self._free, want=self._free_min)

    def _weigh(self) -> None:
        """Give the ballast up, or lay it in again."""
        there = _BALLAST in self._files.listdir("")
        if there and self._free < self._ballast:
            self._files.unlink(_BALLAST)
            log.warning("ballast_given_up", bytes=self._ballast)
        elif not there and self._ballast and self._free > self._free_min + 2 * self._ballast:
            fd = self._files.open(_BALLAST)
            try:
                self._files.fallocate(fd, self._ballast)
            finally:
                self._files.close(fd)
