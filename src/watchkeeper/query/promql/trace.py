"""What each node of an expression took and gave: `explain`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from watchkeeper.model.duration import format_duration
from watchkeeper.query.promql.ast import Expr


@dataclass(slots=True)
class Traced:
    """One node's evaluation.

    series, steps  of what it gave
    samples        that it read from the store, its children's included
    seconds        its children's included
    reused         it was evaluated before, in the same query
    tier           length of the stretches of the downsampling tier that was read; empty: none was
    """

    text: str
    kind: str
    series: int = 0
    steps: int = 0
    samples: int = 0
    seconds: float = 0.0
    reused: bool = False
    tier: str = ""
    children: list["Traced"] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """Give it as JSON."""
        own = {
            "expr": self.text,
            "node": self.kind,
            "series": self.series,
            "steps": self.steps,
            "samples": self.samples,
            "seconds": self.seconds,
            "selfSeconds": max(0.0, self.seconds - sum(child.seconds for child in self.children)),
        }
        also = {**({"reused": True} if self.reused else {}), **({"tier": self.tier} if self.tier else {})}
        return {**own, **also, "children": [one.told() for one in self.children]}


class Trace:
    """Collects nodes while a query runs, in one thread."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._open = [Traced(text, "query")]

    @property
    def whole(self) -> Traced:
        """Give the outermost node."""
        return self._open[0].children[0] if self._open[0].children else self._open[0]

    def read_tier(self, every_ms: int) -> None:
        """Note which tier the node that is open reads."""
        self._open[-1].tier = format_duration(every_ms)

    @contextmanager
    def node(self, expr: Expr, read_before: int) -> Iterator[Traced]:
        """Time a node; read_before is how many samples were read until now, and the caller fills in the rest."""
        traced = Traced(self._text[expr.start : expr.end], type(expr).__name__)
        self._open[-1].children.append(traced)
        self._open.append(traced)
        began_s = time.perf_counter()
        try:
            yield traced
        finally:
            traced.seconds = time.perf_counter() - began_s
            traced.samples -= read_before
            self._open.pop()
