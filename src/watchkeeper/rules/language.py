"""The languages that rules are written in: PromQL over metrics, LogQL over logs (the Loki ruler's rules).

A rule's group, file format, alerts, recordings and templates are the same for both; what differs is here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from watchkeeper.model.doors import AlertSample, Ask
from watchkeeper.model.errors import BadQuery
from watchkeeper.query.logql.engine import Engine as LogEngine
from watchkeeper.query.logql.parser import parse as parse_logql
from watchkeeper.query.logql.result import Matrix
from watchkeeper.query.logql.tree import LogQuery
from watchkeeper.query.promql.parser import parse as parse_promql
from watchkeeper.query.promql.printer import text


@dataclass(frozen=True, slots=True)
class Language:
    """How expressions of rules are checked and shown.

    check          raises BadInput when an expression cannot be a rule's
    shown          gives it as the API shows it
    reads_metrics  whether a rule may read what an earlier one of its group recorded
    """

    name: str
    check: Callable[[str], object]
    shown: Callable[[str], str]
    reads_metrics: bool


def _check_logql(expr: str) -> None:
    if isinstance(parse_logql(expr), LogQuery):
        raise BadQuery("rule result is not a vector or scalar")


PROMQL = Language("PromQL", parse_promql, lambda expr: text(parse_promql(expr)), reads_metrics=True)
LOGQL = Language("LogQL", _check_logql, str.strip, reads_metrics=False)


def ask_logs(engine: LogEngine) -> Ask:
    """Give what evaluates LogQL for rules: at a moment (Unix ms), as elements of a vector.

    raises  BadQuery for a query of lines
    """

    def ask(expr: str, time_ms: int) -> list[AlertSample]:
        found = engine.instant(expr, time_ms * 1_000_000)
        if not isinstance(found, Matrix):
            raise BadQuery("rule result is not a vector or scalar")
        values = found.values[:, -1].tolist() if found.values.size else []
        pairs = zip(found.labels, values, strict=True)
        return [AlertSample(dict(labels), value) for labels, value in pairs if value == value]  # noqa: PLR0124  # NaN: none

    return ask
