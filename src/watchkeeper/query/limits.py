"""What one query may use up: samples in memory, and time."""

import time

from watchkeeper.model import metrics
from watchkeeper.model.errors import OverLimit, Refused

_REFUSED = metrics.counter("watchkeeper_query_limits", "Queries ended by a limit.", ("limit",))


class TooManySamples(OverLimit):
    """Too much for memory, in Prometheus' words."""

    def __init__(self, allowed: int) -> None:
        super().__init__("query.max_samples", "more", allowed)
        self.args = ("query processing would load too many samples into memory in query execution",)


class TimedOut(Refused):
    """The query took longer than it may."""


class Budget:
    """Counts what a query uses and stops it.

    samples_max  cells (samples read, and series × steps of results) over the query's life
    timeout_s    None: without end
    """

    def __init__(self, samples_max: int, timeout_s: float | None) -> None:
        self._samples_max = samples_max
        self._deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        self.samples = 0
        self.peak_samples = 0

    def charge(self, cells: int) -> None:
        """Count cells that are about to be in memory.

        raises  TooManySamples, or TimedOut
        """
        self.samples += cells
        self.peak_samples = max(self.peak_samples, self.samples)
        if self.samples > self._samples_max:
            _REFUSED.labels("max_samples").inc()
            raise TooManySamples(self._samples_max)
        self.check_time()

    def release(self, cells: int) -> None:
        """Take back cells that are gone."""
        self.samples -= cells

    def check_time(self) -> None:
        """Stop when the time is over; called between operators.

        raises  TimedOut
        """
        if self._deadline_s is not None and time.monotonic() > self._deadline_s:
            _REFUSED.labels("timeout").inc()
            raise TimedOut("query timed out in expression evaluation")
