"""Which samples a step of an expression depends on: what decides whether a kept answer still holds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from watchkeeper.model.matchers import Matcher
from watchkeeper.query.promql.ast import Expr, Subquery, VectorSelector, ms
from watchkeeper.query.promql.durations import of_query

# What depends on the range as a whole, on samples that no selector names, or on which series there are at other steps.
_WHOLE = re.compile(r"\b(start|end|range|step|info|limitk|limit_ratio)\b|\b(smoothed|anchored)\b", re.ASCII)
_NEVER_MS = -(1 << 62)


@dataclass(slots=True)
class Reach:
    """What an expression reads.

    forward_ms  no step reads samples later than itself plus so much; negative when all are offset
    fixed_ms    the latest moment read at every step, because of @
    selectors   the matchers of all selectors
    """

    forward_ms: int = _NEVER_MS
    fixed_ms: int = _NEVER_MS
    selectors: list[Sequence[Matcher]] = field(default_factory=list)


def reach_of(text: str, expr: Expr) -> Reach | None:
    """Say what an expression reads; None when its steps cannot be told apart."""
    if _WHOLE.search(text) or of_query(expr):
        return None
    reach = Reach()
    return reach if _walk(expr, reach, None, 0) else None


def _walk(expr: Expr, reach: Reach, at_ms: int | None, offset_ms: int) -> bool:
    """Note what a node reads; False when it depends on more than its step.

    at_ms, offset_ms  what subqueries around it say: the moment they are held at, how far back they look from it
    """
    if isinstance(expr, VectorSelector | Subquery):
        if isinstance(expr.at, str):
            return False
        at_ms, offset_ms = (at_ms, offset_ms + ms(expr.offset_ms)) if expr.at is None else (expr.at, ms(expr.offset_ms))
    if isinstance(expr, VectorSelector):
        if expr.extended:  # looks beyond the ends of its range
            return False
        reach.selectors.append(expr.matchers)
        if at_ms is None:
            reach.forward_ms = max(reach.forward_ms, -offset_ms)
        else:
            reach.fixed_ms = max(reach.fixed_ms, at_ms - offset_ms)
    return all(_walk(child, reach, at_ms, offset_ms) for child in expr.children)
