"""The tree of a PromQL expression. Nodes are never changed after parsing: one parse serves many queries.

start, end  positions in the text (characters, end exclusive)
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from watchkeeper.model.matchers import Matcher

At = int | Literal["start", "end"] | None  # Unix ms, or the query's own start or end


class Type(StrEnum):
    """What an expression evaluates to."""

    SCALAR = "scalar"
    VECTOR = "vector"
    MATRIX = "matrix"
    STRING = "string"

    @property
    def documented(self) -> str:
        """The name that error texts use."""
        return {"vector": "instant vector", "matrix": "range vector"}.get(self.value, self.value)


@dataclass(frozen=True, slots=True, eq=False)
class Expr:
    """Any node."""

    start: int
    end: int

    @property
    def type(self) -> Type:
        raise NotImplementedError

    @property
    def children(self) -> tuple["Expr", ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time as it is written.

    op        number, duration, step, range, min_of, max_of, neg, pos, paren, or an operator between two
    seconds   what it is, unless `of_query`: then it is known when the query's step and range are
    """

    start: int
    end: int
    op: str
    args: tuple["Duration", ...] = ()
    seconds: float = 0.0
    of_query: bool = False


def ms(duration: int | Duration) -> int:
    """Give the milliseconds of a duration that depends on no query, or no longer does."""
    assert isinstance(duration, int), duration
    return duration


@dataclass(frozen=True, slots=True, eq=False)
class NumberLiteral(Expr):
    """A number; durations count in seconds."""

    value: float
    is_duration: bool = False

    @property
    def type(self) -> Type:
        return Type.SCALAR


@dataclass(frozen=True, slots=True, eq=False)
class StringLiteral(Expr):
    """A string."""

    value: str

    @property
    def type(self) -> Type:
        return Type.STRING


@dataclass(frozen=True, slots=True, eq=False)
class VectorSelector(Expr):
    """The newest sample of each series that matches.

    name      as written before the braces; its matcher is among `matchers`, too
    extended  whether samples beyond the ends of its range, or after its moment, are looked at
    """

    name: str
    matchers: tuple[Matcher, ...]
    offset_ms: int | Duration = 0
    at: At = None
    extended: Literal["", "anchored", "smoothed"] = ""

    @property
    def type(self) -> Type:
        return Type.VECTOR


@dataclass(frozen=True, slots=True, eq=False)
class MatrixSelector(Expr):
    """All samples of a while back, of each series that matches."""

    vector: VectorSelector
    range_ms: int | Duration

    @property
    def type(self) -> Type:
        return Type.MATRIX

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.vector,)


@dataclass(frozen=True, slots=True, eq=False)
class Subquery(Expr):
    """An expression evaluated at a row of moments. step_ms 0 stands for the default."""

    expr: Expr
    range_ms: int | Duration
    step_ms: int | Duration
    offset_ms: int | Duration = 0
    at: At = None

    @property
    def type(self) -> Type:
        return Type.MATRIX

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.expr,)


@dataclass(frozen=True, slots=True, eq=False)
class Paren(Expr):
    """Brackets round an expression."""

    expr: Expr

    @property
    def type(self) -> Type:
        return self.expr.type

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.expr,)


@dataclass(frozen=True, slots=True, eq=False)
class Unary(Expr):
    """A sign before an expression."""

    op: str
    expr: Expr

    @property
    def type(self) -> Type:
        return self.expr.type

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.expr,)


@dataclass(frozen=True, slots=True)
class Matching:
    """How the series of two vectors find each other.

    card    which side may have several series a group
    on      whether `labels` are the ones to match on, else the ones to ignore
    include labels that the many side takes over from the one side
    fill    what stands in for a series that the left, the right side lacks
    """

    card: Literal["one-to-one", "many-to-one", "one-to-many", "many-to-many"]
    labels: tuple[str, ...] = ()
    on: bool = False
    include: tuple[str, ...] = ()
    fill: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True, slots=True, eq=False)
class Binary(Expr):
    """An operator between two expressions; `matching` is None unless both are vectors."""

    op: str
    lhs: Expr
    rhs: Expr
    return_bool: bool = False
    matching: Matching | None = None

    @property
    def type(self) -> Type:
        if self.matching is not None:  # only between vectors
            return Type.VECTOR
        both_scalar = self.lhs.type is Type.SCALAR and self.rhs.type is Type.SCALAR
        return Type.SCALAR if both_scalar else Type.VECTOR

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.lhs, self.rhs)


@dataclass(frozen=True, slots=True, eq=False)
class Aggregate(Expr):
    """An aggregation over the series of a vector."""

    op: str
    expr: Expr
    param: Expr | None = None
    grouping: tuple[str, ...] = ()
    without: bool = False

    @property
    def type(self) -> Type:
        return Type.VECTOR

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.expr,) if self.param is None else (self.expr, self.param)


@dataclass(frozen=True, slots=True, eq=False)
class Call(Expr):
    """A function's call; `returns` comes from its signature."""

    name: str
    args: tuple[Expr, ...]
    returns: Type

    @property
    def type(self) -> Type:
        return self.returns

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.args


def unwrapped(expr: Expr) -> Expr:
    """Give the expression inside any brackets."""
    while isinstance(expr, Paren):
        expr = expr.expr
    return expr
