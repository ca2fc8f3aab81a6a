"""Samples thinned to stretches of time of equal length: what a downsampling tier keeps, and who asks for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from watchkeeper.model.frame import Floats, Times
from watchkeeper.model.labels import Ints, LabelTable
from watchkeeper.model.matchers import Matcher

AGGREGATES = ("first", "last", "min", "max", "sum", "count", "lost")


@dataclass(frozen=True, slots=True, eq=False)
class Thinned:
    """Samples of n series in w stretches (end - every, end].

    ends      int64[w], Unix ms, `every_ms` apart
    values    by aggregate, float64[n, w] each; good only where `count` is above 0
              lost: what a counter fell by at resets between two samples of the stretch, each time its value before
    times     of "first" and "last", where these were asked for: int64[n, w], Unix ms;
              stale, Unix ms of the staleness marker that is the newest of its stretch, else 0; with "last"
    warnings  about what had to be left out
    """

    labels: LabelTable
    every_ms: int
    ends: Times
    values: Mapping[str, Floats]
    times: Mapping[str, Ints]
    warnings: Sequence[str] = ()


class ThinnedReader(Protocol):
    """Reads thinned samples. Safe from any thread."""

    def choose(self, start_ms: int, end_ms: int, fits: Callable[[int], bool]) -> tuple[int, bool] | None:
        """Say which tier answers best for samples with start_ms < time <= end_ms; None: the samples themselves do.

        fits     whether stretches of so many ms give the same answer as the samples
        returns  length of the stretches, and whether they fit; they need not where the samples are gone
        """
        ...

    def gone_before_ms(self, start_ms: int) -> int | None:
        """Give the time before which samples from start_ms on are kept thinned alone; None when all are there."""
        ...

    def thinned(
        self,
        matchers: Sequence[Matcher],
        every_ms: int,
        ends: tuple[int, int],
        wanted: Sequence[str],
        charge: Callable[[int], None],
    ) -> Thinned:
        """Give the series that match.

        ends    of the first and the last stretch
        wanted  aggregates; "count" comes with them
        charge  told how many cells are about to be laid out; raises when these are too many
        """
        ...
