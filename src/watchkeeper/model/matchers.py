"""Label matchers: name, operator, value, as in {job="api", code=~"5.."}."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from watchkeeper.model.labels import Labels, LabelTable
from watchkeeper.model.pattern import Pattern, compile_pattern

MatchOp = Literal["=", "!=", "=~", "!~"]


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label. An absent label is the empty string; regexes are anchored at both ends.

    raises  BadInput when the value is no valid regular expression
    source  Prometheus docs, Querying basics, Time series selectors
    """

    name: str
    op: MatchOp
    value: str
    _pattern: Pattern | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.op in ("=~", "!~"):
            compile_pattern(self.value)  # so that `a)(b` is refused, and the error speaks of the user's own text
            object.__setattr__(self, "_pattern", compile_pattern(f"^(?s:{self.value})$"))

    def __str__(self) -> str:
        quoted = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.op}"{quoted}"'

    def test(self, text: str) -> bool:
        """Say whether a label value (empty for an absent label) satisfies the condition."""
        if self._pattern is None:
            return (text == self.value) == (self.op == "=")
        return (self._pattern.search(text) is not None) == (self.op == "=~")

    @property
    def matches_empty(self) -> bool:
        """Whether a series without the label satisfies it."""
        return self.test("")


def match_all(matchers: tuple[Matcher, ...] | list[Matcher], labels: Labels) -> bool:
    """Say whether one label set satisfies every matcher."""
    return all(matcher.test(labels.get(matcher.name, "")) for matcher in matchers)


def match_table(matchers: tuple[Matcher, ...] | list[Matcher], table: LabelTable) -> npt.NDArray[np.bool_]:
    """Say for each series of a table whether it satisfies every matcher; bool[n_series].

    Each distinct value is tested once, whatever the number of series.
    """
    chosen = np.ones(len(table), np.bool_)
    for matcher in matchers:
        if not chosen.any():
            break
        if matcher.name not in table.names:
            if not matcher.matches_empty:
                return np.zeros(len(table), np.bool_)
            continue
        chosen &= _match_column(matcher, table)
    return chosen


def _match_column(matcher: Matcher, table: LabelTable) -> npt.NDArray[np.bool_]:
    codes = table.column(matcher.name)
    if matcher.op in ("=", "!="):
        wanted = table.symbols.find(matcher.value)
        if wanted is None:
            return np.full(len(codes), matcher.op == "!=")
        return (codes == wanted) if matcher.op == "=" else (codes != wanted)
    distinct, inverse = np.unique(codes, return_inverse=True)
    verdicts = np.array([matcher.test(text) for text in table.symbols.texts(distinct)], np.bool_)
    return verdicts[inverse]
