"""Log lines on their way in and out of the log store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from watchkeeper.model.labels import Labels

TimesNs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Entries:
    """Lines of one stream, as pushed or tailed.

    labels    the stream
    times_ns  Unix nanoseconds, one a line
    lines     UTF-8 text without a final newline, one a time
    metadata  structured metadata a line, or empty when no line has any
    """

    labels: Labels
    times_ns: Sequence[int]
    lines: Sequence[bytes]
    metadata: Sequence[Mapping[str, str]] = field(default=())


@dataclass(frozen=True, slots=True)
class LogsAppended:
    """What became of the lines of one append.

    stored   lines that are in the store now
    refused  how many were not stored, by Loki's reason ("line_too_long", "greater_than_max_sample_age", …)
    message  Loki's text of the first refusal, empty when all were stored
    """

    stored: int
    refused: Mapping[str, int]
    message: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class LineMetadata:
    """Structured metadata of a block's lines, dictionary-coded.

    codes  int32[n_lines], each a place in `sets`
    sets   the distinct sets; the first is empty
    """

    codes: npt.NDArray[np.int32]
    sets: Sequence[Mapping[str, str]]


class LineBlock(Protocol):
    """Some lines of one stream in order of time; columns are read when first asked for. Safe from any thread.

    stream      number of the stream in its store
    first_ns    time of the first line
    last_ns     time of the last line
    line_count  how many lines
    size_bytes  of the lines, newlines between them not counted

    Each column raises Damaged when its bytes do not check out.
    """

    labels: Labels
    stream: int
    first_ns: int
    last_ns: int
    line_count: int
    size_bytes: int

    def times(self) -> TimesNs:
        """Give int64[n_lines], Unix nanoseconds, ascending."""
        ...

    def starts(self) -> TimesNs:
        """Give int64[n_lines + 1]: line i is text[starts[i] : starts[i + 1] - 1]."""
        ...

    def text(self) -> bytes:
        """Give the lines, each followed by a newline; a line may hold newlines of its own."""
        ...

    def metadata(self) -> LineMetadata | None:
        """Give the structured metadata, None when no line has any."""
        ...


@dataclass(frozen=True, slots=True)
class LogVolume:
    """How much a selection covers."""

    streams: int
    chunks: int
    entries: int
    size_bytes: int
