"""The same expressions over the same samples: our answers equal those of a real Prometheus 3.5."""

import math
from pathlib import Path
from typing import Any

import pytest
from tests.query.promql.promql_peer import BASE_MS, ROWS, STEP_MS, Ours, Prometheus

pytestmark = pytest.mark.peer

EXPRESSIONS = [
    line for line in (Path(__file__).parent / "expressions.txt").read_text().splitlines() if line and line[0] != "#"
]
# of releases after 3.5, as their promqltest files say
LATER_WARNINGS = ("sort is ineffective for range queries", "conflicting counter resets during histogram")
_END_S = (BASE_MS + ROWS * STEP_MS) / 1000
INSTANTS = [_END_S - 3600, _END_S - 1234.5, _END_S - 20, _END_S + 200]
RANGES = [(_END_S - 7100, _END_S + 400, 60), (_END_S - 3000, _END_S - 2000, 7.5)]


def close(left: float, right: float) -> bool:
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return left == right or math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-12)


def _key(metric: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(metric.items()))


def _points(found: dict[str, Any]) -> list[Any]:
    """Give the samples of a series, those that are histograms among them, in the order of time."""
    one = [found[name] for name in ("value", "histogram") if name in found]
    return sorted([*one, *found.get("values", ()), *found.get("histograms", ())], key=lambda point: float(point[0]))


def same(left: Any, right: Any) -> bool:
    """Compare two samples: numbers, or native histograms."""
    if isinstance(left, str) or isinstance(right, str):
        return isinstance(left, str) and isinstance(right, str) and close(float(left), float(right))
    numbers = [
        [float(one["count"]), float(one["sum"]), *(float(part) for bucket in one.get("buckets", ()) for part in bucket)]
        for one in (left, right)
    ]
    return len(numbers[0]) == len(numbers[1]) and all(map(close, *numbers))


def difference(theirs: dict[str, Any], ours: dict[str, Any], *, ordered: bool = False) -> str:
    """Say how two answers differ; empty when they do not."""
    if theirs["status"] != ours["status"]:
        return f"they {theirs.get('error', 'answer')!r}, we {ours.get('error', 'answer')!r}"
    if theirs["status"] == "error":
        return "" if theirs["errorType"] == ours["errorType"] else f"{theirs['errorType']} / {ours['errorType']}"
    for name in ("warnings", "infos"):
        said = [text for text in ours.get(name, []) if not any(later in text for later in LATER_WARNINGS)]
        if sorted(theirs.get(name, [])) != sorted(said):
            return f"{name}: they {theirs.get(name)}, we {ours.get(name)}"
    if theirs["data"]["resultType"] != ours["data"]["resultType"]:
        return "other result type"
    left, right = theirs["data"]["result"], ours["data"]["result"]
    if theirs["data"]["resultType"] == "string":
        return "" if left == right else f"{left} / {right}"
    if theirs["data"]["resultType"] == "scalar":
        return "" if left[0] == right[0] and close(float(left[1]), float(right[1])) else f"{left} / {right}"
    if ordered and [_key(one["metric"]) for one in left] != [_key(one["metric"]) for one in right]:
        return "other order"
    return _rows_differ({_key(one["metric"]): one for one in left}, {_key(one["metric"]): one for one in right})


def _rows_differ(left: dict[Any, Any], right: dict[Any, Any]) -> str:
    if left.keys() != right.keys():
        return f"they alone {list(left.keys() - right.keys())[:3]}, we alone {list(right.keys() - left.keys())[:3]}"
    for key, one in left.items():
        points, other = _points(one), _points(right[key])
        if [at for at, _ in points] != [at for at, _ in other]:
            return f"{key}: they have {len(points)} points, we {len(other)}"
        for (at, theirs), (_, ours) in zip(points, other, strict=True):
            if not same(theirs, ours):
                return f"{key} at {at}: they {theirs}, we {ours}"
    return ""


def differences(prometheus: Prometheus, ours: Ours, expr: str) -> list[str]:
    """Ask both at all moments and over all ranges."""
    found = []
    for at in INSTANTS:
        params = {"query": expr, "time": str(at)}
        both = (prometheus.get("/api/v1/query", **params), ours.get("/api/v1/query", **params))
        ordered = expr.startswith(("sort", "topk(2", "bottomk(2"))
        found.append((f"at {at}", difference(*both, ordered=ordered)))
    for start, end, step in RANGES:
        params = {"query": expr, "start": str(start), "end": str(end), "step": str(step)}
        both = (prometheus.get("/api/v1/query_range", **params), ours.get("/api/v1/query_range", **params))
        found.append((f"from {start} to {end} by {step}", difference(*both, ordered=both[0]["status"] == "success")))
    return [f"{expr} {where}: {what}" for where, what in found if what]


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_equals_prometheus(prometheus: Prometheus, ours: Ours, expr: str) -> None:
    assert not differences(prometheus, ours, expr)


def test_there_are_enough_expressions() -> None:
    assert len(EXPRESSIONS) >= 150
