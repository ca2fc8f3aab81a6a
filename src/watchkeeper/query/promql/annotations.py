"""Warnings and infos that come with an answer, with Prometheus' texts and positions.

source  Prometheus 3.5, util/annotations/annotations.go
"""

from collections.abc import Iterable
from dataclasses import replace

from watchkeeper.query.promql.ast import Expr, Subquery, unwrapped

_SHOWN_MAX = 10  # of each kind, as in Prometheus' API


class Annotations:
    """Notes of one query, each text once, with where it was last noted: inside any brackets round the expression."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._warnings: dict[str, str] = {}
        self._infos: dict[str, str] = {}

    def warn(self, message: str, at: Expr) -> None:
        """Add a warning: the answer may be wrong."""
        self._warnings[f"PromQL warning: {message}"] = f" ({self._position(at)})"

    def inform(self, message: str, at: Expr) -> None:
        """Add an info: the query may not be what was meant."""
        self._infos[f"PromQL info: {message}"] = f" ({self._position(at)})"

    def pass_on(self, warnings: Iterable[str]) -> None:
        """Add what the store warns of: the answer may be incomplete."""
        self._warnings.update(dict.fromkeys(warnings, ""))

    @property
    def count(self) -> int:
        """Give how many notes there are."""
        return len(self._warnings) + len(self._infos)

    @property
    def warnings(self) -> list[str]:
        return _shown(self._warnings, "warning")

    @property
    def infos(self) -> list[str]:
        return _shown(self._infos, "info")

    def _position(self, at: Expr) -> str:
        at = unwrapped(at)
        before = self._text[: at.start]
        return f"{before.count(chr(10)) + 1}:{at.start - before.rfind(chr(10))}"


def place_of(argument: Expr) -> Expr:
    """Give where notes about an argument stand; Prometheus forgets where a subquery stood."""
    argument = unwrapped(argument)
    return replace(argument, start=0) if isinstance(argument, Subquery) else argument


def _shown(notes: dict[str, str], kind: str) -> list[str]:
    texts = [text + place for text, place in notes.items()]
    left_out = len(texts) - _SHOWN_MAX
    return [*texts[:_SHOWN_MAX], f"{left_out} more {kind} annotations omitted"] if left_out > 0 else texts
