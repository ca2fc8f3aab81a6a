"""Recording rules: the result of an expression under a new name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from watchkeeper.model.doors import AlertSample
from watchkeeper.model.errors import BadInput
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.labels import METRIC_NAME, LabelPairs, Labels, label_pairs
from watchkeeper.rules.language import PROMQL, Language
from watchkeeper.rules.template import Surroundings


@dataclass(slots=True)
class Health:
    """How a rule's last evaluation went.

    state               "unknown" before the first, then "ok" or "err"
    evaluation_time_s   how long it took
    last_evaluation_ms  when it began, Unix milliseconds; 0 before the first
    """

    state: str = "unknown"
    last_error: str = ""
    evaluation_time_s: float = 0.0
    last_evaluation_ms: int = 0


Series = dict[LabelPairs, float | Histogram]


class RecordingRule:
    """Evaluates an expression and gives the series to store.

    expr   as the file has it
    query  the same as Prometheus would write it
    """

    def __init__(self, name: str, expr: str, labels: Mapping[str, str], language: Language = PROMQL) -> None:
        self.name, self.expr, self.labels = name, expr, dict(labels)
        self.query = language.shown(expr)
        self.health = Health()
        self.stored: Sequence[LabelPairs] = ()  # the series of the last good evaluation

    @property
    def writes(self) -> tuple[str, ...]:
        """The metric names this rule may write."""
        return (self.name,)

    @property
    def identity(self) -> tuple[str, LabelPairs]:
        """What makes it the same rule after a reload."""
        return self.name, label_pairs(self.labels)

    def ask(self, at_ms: int, query_at_ms: int, around: Surroundings, limit: int) -> Series:
        """Evaluate; runs in a worker thread.

        raises  BadInput when the query fails, two series have equal labels, or there are more than the limit
        """
        del at_ms
        found = around.ask(self.expr, query_at_ms)
        series: Series = {
            self._series_labels(one): one.value if one.histogram is None else one.histogram for one in found
        }
        if len(series) < len(found):
            raise BadInput("vector contains metrics with the same labelset after applying rule labels")
        if limit and len(series) > limit:
            raise BadInput(f"exceeded limit of {limit} with {len(series)} series")
        return series

    def _series_labels(self, sample: AlertSample) -> LabelPairs:
        labels: Labels = {**sample.labels, METRIC_NAME: self.name, **self.labels}
        return label_pairs(labels)

    def continue_from(self, old: "RecordingRule") -> None:
        """Take over what a reload must not lose."""
        self.stored, self.health = old.stored, old.health
