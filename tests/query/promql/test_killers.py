"""Queries that would eat the machine end within their timeout, with an error that names what they ran into (O2)."""

import time
from contextlib import suppress

import pytest

from watchkeeper.model.errors import WatchkeeperError
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.promql.memory import MemoryReader
from watchkeeper.query.settings import QuerySettings

TIMEOUT_S = 1.0
KILLERS = [
    "count_over_time(a[10y:1ms])",
    "sum_over_time(sum_over_time(a[1d:1s])[1d:1s])",
    "max_over_time(quantile_over_time(0.5, a[1h])[1d:1s])",
    "quantile_over_time(0.9, a[30d:1s])",
    "a * on() group_left() a",
    "label_replace(a, 'x', '$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1', 'n', '(.*)')",
    "label_join(a, 'x', '" + "y" * 10_000 + "', 'n', 'n', 'n', 'n', 'n')",
    "{__name__=~'(a|b|c){1,1000}'}",
    "{__name__=~'(x{1000}){1000}'}",
    "topk(1e12, a)",
    "count_values('v', a)",
    "limitk(1e12, a)",
    "a or " * 2000 + "a",
    "a or " * 400 + "a",
    "(" * 90 + "a" + "+a)" * 90,
    "(" * 50_000 + "a" + ")" * 50_000,
    "-" * 100_000 + "1",
    "1" + "+1" * 50_000,
    "a offset 100y",
    "predict_linear(a[30d:1s], 1e300)",
    "holt_winters(a[1h], 0.5, 0.5)",
    "histogram_quantile(0.9, a)",
    "sort(a) + sort_desc(a)",
    "absent_over_time(a[10y:1ms])",
    "stddev_over_time(a[30d:1s])",
    "mad_over_time(a[30d:1s])",
    "deriv(a[30d:1s])",
    "changes(rate(a[1m])[30d:1s])",
    "round(a, 1e-300)",
    "a ^ a ^ a ^ a",
    "sum by (n) (a) / ignoring(n) group_left sum(a)",
    "sum_over_time((a > bool 1)[365d:1s])",
]


@pytest.fixture(scope="module")
def engine() -> Engine:
    reader = MemoryReader()
    for number in range(300):
        reader.add({"__name__": "a", "n": str(number)}, [(at * 15_000, float(at % 7)) for at in range(240)])
    return Engine(reader, QuerySettings(max_samples=5_000_000))


@pytest.mark.parametrize("text", KILLERS, ids=range(len(KILLERS)))
def test_a_heavy_query_ends_in_time(engine: Engine, text: str) -> None:
    for step_ms in (0, 1000):
        began_s = time.thread_time()
        with suppress(WatchkeeperError):
            if step_ms:
                engine.range(text, 0, 3_600_000, step_ms, engine.terms(TIMEOUT_S))
            else:
                engine.instant(text, 3_600_000, engine.terms(TIMEOUT_S))
        assert time.thread_time() - began_s < TIMEOUT_S + 1
