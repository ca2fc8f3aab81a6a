"""What one query may use up: samples in memory, and time; and what all may hold together."""

import threading
import time
from collections.abc import Callable

from watchkeeper.model import metrics
from watchkeeper.model.errors import OverLimit, Refused, WatchkeeperError

_REFUSED = metrics.counter("watchkeeper_query_limits", "Queries ended by a limit.", ("limit",))
_HELD = metrics.gauge("watchkeeper_query_bytes", "Samples and results that queries hold in memory now.")
_CELL_BYTES = 8


class TooManySamples(OverLimit):
    """Too much for memory, in Prometheus' words."""

    def __init__(self, allowed: int) -> None:
        super().__init__("query.max_samples", "more", allowed)
        self.args = ("query processing would load too many samples into memory in query execution",)


class TimedOut(Refused):
    """The query took longer than it may."""


class Canceled(WatchkeeperError):
    """Nobody waits for the answer any more, or somebody ended the query."""


class Memory:
    """What all queries hold together. Safe from any thread."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._bytes = 0

    def hold(self, cells: int) -> None:
        """Count cells of a query; negative when they are gone.

        raises  Refused when all queries together hold too much
        """
        with self._lock:
            self._bytes += cells * _CELL_BYTES
            _HELD.set(self._bytes)
            over = cells > 0 and self._bytes > self._bytes_max
        if over:
            _REFUSED.labels("memory_bytes_max").inc()
            raise Refused(
                f"cannot evaluate query: got {self._bytes} bytes held by all queries, "
                f"want at most {self._bytes_max} (query.memory_bytes_max)"
            )


class Budget:
    """Counts what a query uses and stops it.

    samples_max  cells (samples read, and series × steps of results) over the query's life
    timeout_s    None: without end
    memory       that it shares with others
    give_way     called at each check, where others may want to go on
    """

    def __init__(self, samples_max: int, timeout_s: float | None, memory: Memory | None = None) -> None:
        self._samples_max, self._memory = samples_max, memory
        self._deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        self._canceled = False
        self.give_way: Callable[[], None] | None = None
        self._held = 0
        self.samples = 0
        self.peak_samples = 0
        self.read_samples = 0
        self.selecting_s = 0.0

    @property
    def left_s(self) -> float | None:
        """Give the time that is left."""
        return None if self._deadline_s is None else self._deadline_s - time.monotonic()

    @property
    def canceled(self) -> bool:
        """Say whether the query is to stop."""
        return self._canceled

    def cancel(self) -> None:
        """Stop the query at its next check; from any thread."""
        self._canceled = True

    def charge(self, cells: int) -> None:
        """Count cells that are about to be in memory.

        raises  TooManySamples, Refused, TimedOut, Canceled
        """
        self.samples += cells
        self.peak_samples = max(self.peak_samples, self.samples)
        if self.samples > self._samples_max:
            _REFUSED.labels("max_samples").inc()
            raise TooManySamples(self._samples_max)
        self._hold(cells)
        self.check()

    def release(self, cells: int) -> None:
        """Take back cells that are gone."""
        self.samples -= cells
        self._hold(-cells)

    def close(self) -> None:
        """Give back everything; the query is over."""
        self._hold(-self._held)

    def _hold(self, cells: int) -> None:
        if self._memory is not None:
            self._held += cells
            self._memory.hold(cells)

    def check(self) -> None:
        """Stop when the time is over or nobody waits; called between operators and inside long ones.

        raises  TimedOut, Canceled
        """
        if self.give_way is not None:
            self.give_way()
        if self._canceled:
            raise Canceled("query was canceled in expression evaluation")
        if self._deadline_s is not None and time.monotonic() > self._deadline_s:
            _REFUSED.labels("timeout").inc()
            raise TimedOut("query timed out in expression evaluation")
