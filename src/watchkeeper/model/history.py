"""Samples of many series, each with times of its own: how old data comes in and goes out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watchkeeper.model.frame import Floats, Times
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.labels import Labels


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Some series with their samples.

    counts  int64[n_series]: how many samples each has
    times   int64[n], Unix milliseconds: of the first series, strictly ascending, then of the second, …
    values  float64[n], staleness markers among them
    histograms  what the cells of `values` that `is_histogram` stand for
    """

    series: Sequence[Labels]
    counts: npt.NDArray[np.int64]
    times: Times
    values: Floats
    histograms: Sequence[Histogram] = ()

    def owners(self) -> npt.NDArray[np.int64]:
        """Give the series of each sample, int64[n]."""
        return np.repeat(np.arange(len(self.series)), self.counts)

    def only(self, which: npt.NDArray[np.bool_]) -> "History":
        """Give the same without the samples that a mask leaves out; series without samples stay."""
        counts = np.bincount(self.owners()[which], minlength=len(self.series))
        bits = self.values.view(np.uint64)[which]  # a float move may quieten NaNs
        return History(self.series, counts, self.times[which], bits.view(np.float64), self.histograms)
