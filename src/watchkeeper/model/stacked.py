"""The newest samples of many series end to end: what questions about one moment are answered from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from watchkeeper.model.frame import Floats, Times
from watchkeeper.model.labels import Ints, LabelTable
from watchkeeper.model.matchers import Matcher


@dataclass(frozen=True, slots=True, eq=False)
class Stacked:
    """Samples of series, one series after the other.

    labels  of n series, no two equal; the same table for the same series as long as nothing is added
    times   int64[c], Unix ms, ascending within a series
    values  float64[c]; ABSENT and STALE where there is no sample
    starts  int64[n+1]: series i has the samples starts[i] to starts[i+1]-1, perhaps none
    gaps    whether any value is ABSENT or STALE
    """

    labels: LabelTable
    times: Times
    values: Floats
    starts: Ints
    gaps: bool


class RecentReader(Protocol):
    """Reads what was written lately. Safe from any thread."""

    def recent(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, *, newest: bool) -> Stacked | None:
        """Give the samples with start_ms <= time <= end_ms of the series that match.

        newest   each series' newest sample (or STALE) is enough
        returns  None when it must be asked for with `select`, because not all lies at hand
        """
        ...
