"""Random expressions over native histograms equal Prometheus 3.5. Long: WATCHKEEPER_RANDOM_QUERIES=20000."""

import os

import pytest
from tests.query.promql.histogram_generator import HistogramGenerator
from tests.query.promql.histogram_peer import END_S
from tests.query.promql.promql_peer import Ours, Prometheus
from tests.query.promql.test_differential import difference

pytestmark = pytest.mark.peer

_QUERIES = int(os.environ.get("WATCHKEEPER_RANDOM_QUERIES", "200"))
_BATCH = 50
# In Prometheus two histograms with the same populated buckets differ where one was once written with empty ones.
_OF_LAYOUT = ("==", "!=")


def ask(prometheus: Prometheus, ours: Ours, seed: int) -> str:
    expr = HistogramGenerator(seed).query()
    if any(operator in expr.replace("job!=", "").replace("instance!=", "") for operator in _OF_LAYOUT):
        return ""
    if seed % 2:
        path, params = "/api/v1/query", {"query": expr, "time": str(END_S - 13 * (seed % 150))}
    else:
        start, step = END_S - 2300 + 11 * (seed % 90), (15, 60, 67.5)[seed // 2 % 3]
        path, params = "/api/v1/query_range", {"query": expr, "start": str(start), "end": str(start + 20 * step)}
        params["step"] = str(step)
    own = ours.get(path, **params)
    if own.get("error", "").startswith("multiple matches"):  # 3.5 looks for them among the results alone
        return ""
    found = difference(prometheus.get(path, **params), own)
    return f"{seed}: {params}: {found}" if found else ""


@pytest.mark.parametrize("first", range(0, _QUERIES, _BATCH))
def test_random_expressions_equal_prometheus(
    prometheus_histograms: Prometheus, our_histograms: Ours, first: int
) -> None:
    found = [ask(prometheus_histograms, our_histograms, seed) for seed in range(first, first + _BATCH)]
    assert not [one for one in found if one]
