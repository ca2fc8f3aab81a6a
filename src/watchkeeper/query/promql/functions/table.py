"""All functions by name, joined from their families."""

from collections.abc import Callable

from watchkeeper.model.frame import Floats
from watchkeeper.query.promql.functions import dates, histogram, label, maths, over_time, rate, regression, vectors
from watchkeeper.query.promql.functions.applied import Applied
from watchkeeper.query.promql.matrix import Mask, Value

# Functions of a range vector: windows first, then the scalar arguments, one number a window each.
RANGE: dict[str, Callable[..., tuple[Floats, Mask]]] = {**rate.RANGE, **over_time.RANGE, **regression.RANGE}

# Functions of instant vectors, scalars and strings.
VECTOR: dict[str, Callable[[Applied], Value]] = {
    **maths.VECTOR,
    **dates.VECTOR,
    **label.VECTOR,
    **histogram.VECTOR,
    **vectors.VECTOR,
}

# Functions of vectors that do something with native histograms; all others leave them out.
OF_HISTOGRAMS = frozenset({
    "absent", "label_join", "label_replace", "sort_by_label", "sort_by_label_desc", "timestamp", *histogram.VECTOR,
})  # fmt: skip

KEEP_NAME = frozenset({"last_over_time", "first_over_time"})
