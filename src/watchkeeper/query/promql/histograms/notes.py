"""What Prometheus says of native histograms that do not fit: texts of warnings and infos.

source  Prometheus 3.5, util/annotations/annotations.go; what is reconciled and what collides as of 3.8
"""

from watchkeeper.model.histogram import Histogram
from watchkeeper.model.histogram_sum import Combined
from watchkeeper.query.promql.annotations import Annotations
from watchkeeper.query.promql.ast import Expr
from watchkeeper.query.promql.lexer import go_quote

MIXED_AGGREGATION = "encountered a mix of histograms and floats for aggregation"


def mixed(name: str) -> str:
    """Floats and histograms in one window."""
    return f"encountered a mix of histograms and floats for metric name {go_quote(name)}"


def mixed_buckets(name: str) -> str:
    """Exponential and custom buckets where one kind is wanted."""
    text = "vector contains a mix of histograms with exponential and custom buckets schemas"
    return f"{text} for metric name {go_quote(name)}"


def mixed_classic(name: str) -> str:
    """A classic and a native histogram of the same labels."""
    return f"vector contains a mix of classic and native histograms for metric name {go_quote(name)}"


def no_counter(name: str) -> str:
    """A gauge where a counter is wanted."""
    return f"this native histogram metric is not a counter: {go_quote(name)}"


def no_gauge(name: str) -> str:
    """A counter where a gauge is wanted."""
    return f"this native histogram metric is not a gauge: {go_quote(name)}"


def ignored_in_range(name: str) -> str:
    """A function of floats whose window has histograms, too."""
    text = "ignored histograms in a range containing both floats and histograms"
    return f"{text} for metric name {go_quote(name)}"


def ignored_in_aggregation(op: str) -> str:
    """An aggregation of floats that was given histograms."""
    return f"ignored histogram in {op} aggregation"


def incompatible_types(op: str, left: str, right: str) -> str:
    """An operator that does not know these two."""
    return f'incompatible sample types encountered for binary operator "{op}": {left} {op} {right}'


def incompatible_layout(op: str) -> str:
    """An operator between exponential and custom buckets."""
    return f"incompatible bucket layout encountered for binary operator {op}"


def collision(operation: str) -> str:
    """One histogram says that the counter was reset, another that it was not."""
    return f"conflicting counter resets during histogram {operation}"


def reconciled(operation: str) -> str:
    """Custom buckets of different bounds."""
    return f"mismatched custom buckets were reconciled during {operation}"


def told(annotations: Annotations, found: Combined, operation: str, place: Expr) -> Histogram:
    """Say what combining histograms brought to light, and give what came of it."""
    if found.collision:
        annotations.warn(collision(operation), place)
    if found.reconciled:
        annotations.inform(reconciled(operation), place)
    return found.histogram
