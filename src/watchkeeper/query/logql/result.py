"""What a log query gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FoundLine:
    """One line of an answer.

    labels    of stream, structured metadata and parsers together, in name order
    stream    of the stream alone
    metadata  the structured metadata
    """

    time_ns: int
    text: bytes
    labels: Mapping[str, str]
    stream: Mapping[str, str]
    metadata: Mapping[str, str]


@dataclass(slots=True)
class Effort:
    """What a query went through."""

    blocks: int = 0
    lines: int = 0
    bytes: int = 0
    lines_found: int = 0
    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Lines:
    """The answer to a log query: lines in the direction asked for."""

    lines: Sequence[FoundLine]
    effort: Effort


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """The answer to a metric query.

    labels     of each series
    times_ns   int64[n_steps]
    values     float64[n_series, n_steps]; NaN where a series has no value
    is_scalar  a plain number
    """

    labels: Sequence[Mapping[str, str]]
    times_ns: npt.NDArray[np.int64]
    values: Floats
    effort: Effort
    is_scalar: bool = False


Result = Lines | Matrix
