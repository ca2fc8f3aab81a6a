"""Exemplars: single observations, with labels that lead to a trace, told beside a sample."""

from dataclasses import dataclass

from watchkeeper.model.labels import Labels

LABEL_RUNES_MAX = 128  # source: Prometheus, model/exemplar.ExemplarMaxLabelSetLength; OpenMetrics 1.0


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One observation.

    labels   mostly one, named trace_id
    time_ms  Unix milliseconds
    timed    whether the one who told it said when; otherwise time_ms is when it was read
    """

    labels: Labels
    value: float
    time_ms: int
    timed: bool = True

    def repeats(self, other: "Exemplar") -> bool:
        """Say whether it is the same observation told again.

        source  Prometheus, model/exemplar.Exemplar.Equals
        """
        if self.labels != other.labels or ((self.timed or other.timed) and self.time_ms != other.time_ms):
            return False
        return self.value == other.value
