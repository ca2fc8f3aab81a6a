"""Log lines on their way in and out of the log store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from watchkeeper.model.labels import Labels


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
