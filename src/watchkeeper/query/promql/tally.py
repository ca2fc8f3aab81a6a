"""What a query touched, as Prometheus counts it: samples that selectors found and windows covered, at each step.

source  Prometheus 3.5, util/stats/query_stats.go, and engine.go where it counts
"""

import numpy as np

from watchkeeper.model.labels import Ints


class Tally:
    """Samples by step. Samples of a subquery's inner expression do not count, those of its windows do."""

    def __init__(self, steps: int) -> None:
        self.counts: Ints = np.zeros(steps, np.int64)

    def add(self, counts: Ints | int) -> None:
        """Count samples; one number a step, or the same for all."""
        self.counts += counts

    @property
    def total(self) -> int:
        """Give the samples of all steps."""
        return int(self.counts.sum())
