"""One classic histogram at one moment, and the native one with custom buckets that it is.

source  Prometheus 3.5, util/convertnhcb
"""

from dataclasses import dataclass, field

import numpy as np

from watchkeeper.model.errors import BadInput
from watchkeeper.model.histogram import CUSTOM_BUCKETS, Histogram, buckets


@dataclass(slots=True)
class ClassicHistogram:
    """The counts by upper bound, and what the other two series say.

    below  how many observations are at most a bound; of the bound +Inf, all
    count  None when it is not said
    """

    below: dict[float, float] = field(default_factory=dict)
    count: float | None = None
    sum: float = 0.0

    def native(self) -> Histogram:
        """Give the native histogram.

        raises  BadInput when the counts contradict each other
        """
        bounds = sorted(self.below)
        counts = [self.below[bound] for bound in bounds]
        if not bounds or bounds[-1] != np.inf:
            bounds.append(np.inf)
            counts.append((counts[-1] if counts else 0.0) if self.count is None else self.count)
        total = counts[-1] if self.count is None else self.count
        if total != counts[-1]:
            got = f"got count {total:g} and {counts[-1]:g} below +Inf"
            raise BadInput(f"cannot convert histogram: {got}, want the same")
        each = np.diff(np.array(counts), prepend=0.0)
        if (each < 0).any():
            raise BadInput("cannot convert histogram: got buckets that decrease, want cumulative counts")
        side = buckets(np.arange(len(each)), each)
        return Histogram(total, self.sum, CUSTOM_BUCKETS, positive=side, bounds=np.array(bounds[:-1]))
