"""Random expressions: our answers equal those of a real Prometheus 3.5. Long: WATCHKEEPER_RANDOM_QUERIES=20000."""

import os

import pytest
from tests.query.promql.generator import Generator
from tests.query.promql.promql_peer import BASE_MS, ROWS, STEP_MS, Ours, Prometheus
from tests.query.promql.test_differential import difference

pytestmark = pytest.mark.peer

_QUERIES = int(os.environ.get("WATCHKEEPER_RANDOM_QUERIES", "300"))
_FIRST = int(os.environ.get("WATCHKEEPER_RANDOM_SEED", "0"))
_BATCH = 50
_END_S = (BASE_MS + ROWS * STEP_MS) / 1000


def ask(prometheus: Prometheus, ours: Ours, seed: int) -> str:
    expr = Generator(seed).query()
    if seed % 2:
        at = _END_S - 37 * (seed % 190)
        path, params = "/api/v1/query", {"query": expr, "time": str(at)}
    else:
        start = _END_S - 7000 + 31 * (seed % 150)
        step = (15, 60, 67.5, 300)[seed // 2 % 4]
        path, params = "/api/v1/query_range", {"query": expr, "start": str(start), "end": str(start + 20 * step)}
        params["step"] = str(step)
    found = difference(prometheus.get(path, **params), ours.get(path, **params))
    return f"{seed}: {params}: {found}" if found else ""


@pytest.mark.parametrize("first", range(_FIRST, _FIRST + _QUERIES, _BATCH))
def test_random_expressions_equal_prometheus(prometheus: Prometheus, ours: Ours, first: int) -> None:
    found = [ask(prometheus, ours, seed) for seed in range(first, first + _BATCH)]
    assert not [one for one in found if one]
