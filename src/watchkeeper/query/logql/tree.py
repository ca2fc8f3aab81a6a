"""LogQL as a tree: what the parser makes and the evaluator walks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from watchkeeper.model.matchers import Matcher

CompareOp = Literal["=", "!=", "=~", "!~", "==", ">", ">=", "<", "<="]


@dataclass(frozen=True, slots=True)
class LineFilter:
    """`|= "a" or "b"`, `!= …`, `|~ …`, `!~ …`: keeps lines by their text; the alternatives are of one kind."""

    op: Literal["|=", "!=", "|~", "!~"]
    alternatives: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JsonParser:
    """`| json` (all fields) or `| json name="path", …` (these: name and path)."""

    fields: tuple[tuple[str, tuple[str | int, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class LogfmtParser:
    """`| logfmt` (all fields) or `| logfmt name="key", …`."""

    fields: tuple[tuple[str, str], ...] = ()
    strict: bool = False
    keep_empty: bool = False


@dataclass(frozen=True, slots=True)
class RegexpParser:
    """`| regexp "(?P<name>…)"`."""

    pattern: str


@dataclass(frozen=True, slots=True)
class LabelCompare:
    """One comparison of a label: with text, or with a number (bytes and durations as numbers, too).

    unit  how the label's own text is read: "" as a number, "duration" (seconds) or "bytes"; None: as text
    """

    name: str
    op: CompareOp
    text: str = ""
    number: float = 0.0
    unit: Literal["", "duration", "bytes"] | None = None


@dataclass(frozen=True, slots=True)
class LabelLogic:
    """Two label filters joined."""

    op: Literal["and", "or"]
    left: "LabelFilter"
    right: "LabelFilter"


LabelFilter = LabelCompare | LabelLogic


@dataclass(frozen=True, slots=True)
class LineFormat:
    """`| line_format "{{.name}} …"`."""

    template: str


@dataclass(frozen=True, slots=True)
class LabelFormat:
    """`| label_format new=old, other="{{.name}} …"`: name, source, and whether the source is a template."""

    renames: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True, slots=True)
class DropLabels:
    """`| drop a, b="x"`: names, and matchers that say when."""

    names: tuple[str, ...]
    matchers: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True)
class KeepLabels:
    """`| keep a, b="x"`."""

    names: tuple[str, ...]
    matchers: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True)
class Decolorize:
    """`| decolorize`: takes ANSI colours out of the line."""


Stage = (
    LineFilter
    | JsonParser
    | LogfmtParser
    | RegexpParser
    | LabelCompare
    | LabelLogic
    | LineFormat
    | LabelFormat
    | DropLabels
    | KeepLabels
    | Decolorize
)


@dataclass(frozen=True, slots=True)
class LogQuery:
    """A selector and what its lines go through."""

    matchers: tuple[Matcher, ...]
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True, slots=True)
class Unwrap:
    """`| unwrap label`, `| unwrap duration(label)`, `| unwrap bytes(label)`, and filters after it."""

    name: str
    unit: Literal["", "duration", "bytes"] = ""
    filters: tuple[LabelFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class Grouping:
    """`by (…)` or `without (…)`."""

    names: tuple[str, ...]
    without: bool = False


@dataclass(frozen=True, slots=True)
class RangeAggregation:
    """`rate({…}[5m])` and its kin."""

    op: str
    query: LogQuery
    range_ns: int
    offset_ns: int = 0
    unwrap: Unwrap | None = None
    parameter: float | None = None
    grouping: Grouping | None = None


@dataclass(frozen=True, slots=True)
class VectorAggregation:
    """`sum by (a) (…)` and its kin."""

    op: str
    inner: "MetricQuery"
    grouping: Grouping = field(default=Grouping(()))
    parameter: int = 0


@dataclass(frozen=True, slots=True)
class Number:
    """A number, also `vector(1)` (which is no scalar to a client)."""

    value: float
    is_vector: bool = False


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two sides; `matching` names labels for on (…) or ignoring (…)."""

    op: str
    left: "MetricQuery"
    right: "MetricQuery"
    returns_bool: bool = False
    matching: Grouping | None = None


MetricQuery = RangeAggregation | VectorAggregation | Binary | Number
Query = LogQuery | MetricQuery


def log_queries(query: Query) -> Sequence[LogQuery]:
    """Give the log queries inside a query."""
    if isinstance(query, LogQuery):
        return [query]
    if isinstance(query, RangeAggregation):
        return [query.query]
    if isinstance(query, VectorAggregation):
        return log_queries(query.inner)
    if isinstance(query, Binary):
        return [*log_queries(query.left), *log_queries(query.right)]
    return []
