"""When a group is due, and which of its rules may be evaluated together."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Protocol

from watchkeeper.model.labels import METRIC_NAME, fingerprint
from watchkeeper.query.promql.ast import Call, Expr, VectorSelector
from watchkeeper.query.promql.parser import parse


class Reads(Protocol):
    """A rule, as far as its place among the others goes."""

    expr: str

    @property
    def writes(self) -> tuple[str, ...]: ...


def spread_ms(name: str, file: str, interval_ms: int) -> int:
    """Give a group's place within the interval, so that groups do not all start at once."""
    return fingerprint({"name": name, "file": file}) % interval_ms


def evaluation_time(now_ms: int, interval_ms: int, offset_ms: int) -> int:
    """Give the last moment, now or before, at which a group with this place was due.

    source  Prometheus, Group.EvalTimestamp
    """
    return (now_ms - offset_ms) // interval_ms * interval_ms + offset_ms


def next_evaluation(due_ms: int, now_ms: int, interval_ms: int, offset_ms: int) -> tuple[int, int]:
    """Give when a group is due after an evaluation, and how many evaluations were missed meanwhile.

    A clock that was set back makes the group due within one interval, not when the clock is there again.
    """
    following = due_ms + interval_ms
    if following - now_ms > interval_ms:
        return evaluation_time(now_ms, interval_ms, offset_ms) + interval_ms, 0
    missed = max(0, (now_ms - following) // interval_ms)
    return following + missed * interval_ms, missed


def stages(rules: Sequence[Reads]) -> list[list[int]]:
    """Cut a group where a rule reads what an earlier one writes; gives the rules' positions, in order.

    The rules of a stage are stored together, as one row; the next stage sees them.
    """
    out: list[list[int]] = []
    written: set[str] = set()
    for at, rule in enumerate(rules):
        if not out or reads(rule.expr, written):
            out.append([])
            written = set()
        out[-1].append(at)
        written.update(rule.writes)
    return out


def reads(expr: str, written: Iterable[str]) -> list[str]:
    """Give those of the names that any selector of an expression may match."""
    names = dict.fromkeys(written)
    found: dict[str, None] = {}
    for selector in (node for node in _nodes(parse(expr)) if isinstance(node, VectorSelector)):
        named = [matcher for matcher in selector.matchers if matcher.name == METRIC_NAME]
        found |= dict.fromkeys(name for name in names if all(matcher.test(name) for matcher in named))
    return list(found)


@lru_cache(maxsize=4096)
def steady_names(expr: str) -> frozenset[str] | None:
    """Give the metric names that an expression reads; None when its result may depend on more than their samples."""
    names = set()
    for node in _nodes(parse(expr)):
        if isinstance(node, Call) and (not node.args or node.name == "info"):  # time(), minute(), …; and target_info
            return None
        if isinstance(node, VectorSelector):
            exact = [one.value for one in node.matchers if one.name == METRIC_NAME and one.op == "="]
            if not exact:
                return None
            names.add(exact[0])
    return frozenset(names)


def _nodes(expr: Expr) -> Iterator[Expr]:
    yield expr
    for child in expr.children:
        yield from _nodes(child)
