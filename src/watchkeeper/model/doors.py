"""What the stages promise each other. Wiring joins the parts; nothing else knows who stands behind a door."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from watchkeeper.model.alert import Alert
from watchkeeper.model.census import BlockSaid, Census, TierSaid
from watchkeeper.model.exemplar import Exemplar
from watchkeeper.model.frame import Appended, FrameSlice, Layout, MetricMetadata, Row
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.labels import Labels, LabelTable, Symbols
from watchkeeper.model.logs import Entries, LineBlock, LogsAppended, LogVolume
from watchkeeper.model.matchers import Matcher

Matchers = Sequence[Matcher]


class MetricReader(Protocol):
    """Reads samples: the embedded store, or any engine that answers in its place. Safe from any thread."""

    @property
    def symbols(self) -> Symbols:
        """What the codes of every label table mean."""
        ...

    def select(self, matchers: Matchers, start_ms: int, end_ms: int) -> list[FrameSlice]:
        """Give all samples with start_ms <= time <= end_ms of the series that match.

        No two series of the answer have equal labels. Series without a sample in the range are left out. Who had to
        leave out others, because a file is damaged, gives a `Selection` that says so.
        """
        ...

    def series(self, selectors: Sequence[Matchers], start_ms: int, end_ms: int) -> LabelTable:
        """Give the labels of the series that match any selector and have samples in the range, each once."""
        ...

    def label_names(self, selectors: Sequence[Matchers], start_ms: int, end_ms: int) -> list[str]:
        """Give the label names of those series, sorted; of all series when there is no selector."""
        ...

    def label_values(self, name: str, selectors: Sequence[Matchers], start_ms: int, end_ms: int) -> list[str]:
        """Give one label's values among those series, sorted."""
        ...

    def metadata(self) -> Mapping[str, Sequence[MetricMetadata]]:
        """Give what expositions said about each metric family."""
        ...


class Changing(Protocol):
    """Tells which samples may have changed, so that answers can be kept and used again. Safe from any thread."""

    @property
    def version(self) -> int:
        """Number of the newest change that readers can see; take it before reading what is to be kept."""
        ...

    def changed_since_ms(self, version: int, selectors: Sequence[Matchers]) -> int:
        """Give the earliest time (Unix ms) whose samples of matching series may have changed after a version.

        Far in the future when nothing did; lowest when anything may have.
        """
        ...


class MetricWriter(Protocol):
    """Takes samples. Called from the event loop's thread alone."""

    def layout(self, source: str, series: Sequence[Labels]) -> Layout:
        """Register the list of series that a source's values will stand for; asking twice gives an equal layout.

        raises  OverLimit when the series would exceed a limit of the store; the source's other layouts stay good
        """
        ...

    def append(self, rows: Sequence[Row]) -> Appended:
        """Store rows, all of them as one record of the log. They are visible at once, and durable after `commit`.

        raises  Refused when the log cannot be written (disk full, failing): nothing is stored then
        """
        ...

    async def commit(self) -> None:
        """Return when everything appended so far is on the disk; all who wait share one fdatasync.

        raises  Refused when the disk would not take it
        """
        ...

    def describe(self, families: Mapping[str, MetricMetadata]) -> None:
        """Keep what an exposition said about its metric families."""
        ...


class MetricStore(MetricReader, MetricWriter, Protocol):
    """Both sides of the metrics store."""


class MetricAdmin(Protocol):
    """What may be asked of, and done to, the embedded metrics store as a whole."""

    def census(self, limit: int) -> Census:
        """Count the series in memory by what they are, `limit` of each kind. Safe from any thread."""
        ...

    def block_list(self) -> list[BlockSaid]:
        """Give the blocks, oldest first. Safe from any thread."""
        ...

    def tier_list(self) -> list[TierSaid]:
        """Give the downsampling tiers. Safe from any thread."""
        ...

    def replayed(self) -> tuple[int, int, int]:
        """Give the first and last segment of the log, and the one that is read or written now."""
        ...

    async def delete_series(self, selectors: Sequence[Matchers], start_ms: int, end_ms: int) -> None:
        """Delete the samples of a closed range of the series that match any selector; on the disk when it returns.

        raises  Refused when the disk does not take it
        """
        ...

    async def clean_tombstones(self) -> None:
        """Write the blocks anew that hold deleted samples."""
        ...

    async def snapshot(self, directory: str) -> None:
        """Make a copy of all that is stored, in a new directory below the data directory.

        raises  Refused when the disk does not take it
        """
        ...


class ExemplarWriter(Protocol):
    """Takes exemplars. Called from the event loop's thread alone."""

    def add(self, exemplars: Sequence[tuple[Labels, Exemplar]]) -> int:
        """Keep exemplars, each with its series; they are durable after the metric store's `commit`.

        returns  how many are kept, repeated ones included; what is out of order or too long is counted and left out
        raises   Refused when the log cannot be written: none is kept then
        """
        ...


class ExemplarReader(Protocol):
    """Reads exemplars. Safe from any thread."""

    def find(
        self, selectors: Sequence[Matchers], start_ms: int, end_ms: int
    ) -> list[tuple[Labels, Sequence[Exemplar]]]:
        """Give the exemplars with start_ms <= time <= end_ms of the series that match any selector.

        Series are ordered by their labels, exemplars by time; series without any are left out.
        """
        ...


class LogReader(Protocol):
    """Reads lines: the embedded store, or any engine that answers in its place. Safe from any thread."""

    def select(self, matchers: Matchers, start_ns: int, end_ns: int) -> list[LineBlock]:
        """Give the blocks of the streams that match that may hold lines with start_ns <= time <= end_ns.

        Blocks of one stream may overlap in time. None is read before its columns are asked for.
        """
        ...

    def streams(self, selectors: Sequence[Matchers], start_ns: int, end_ns: int) -> list[Labels]:
        """Give the streams that match any selector (all when there is none) and may have lines in the range."""
        ...

    def volume(self, matchers: Matchers, start_ns: int, end_ns: int) -> LogVolume:
        """Say how much a selection covers, by what is known without reading blocks."""
        ...


class LogWriter(Protocol):
    """Takes lines. Called from the event loop's thread alone."""

    def append(self, entries: Sequence[Entries], positions: Mapping[str, bytes] | None = None) -> LogsAppended:
        """Store lines, all of them as one record of the log. They are visible at once, and durable after `commit`.

        positions  how far a reader of files has come, by path, kept in the same record; empty bytes forget a path
        raises     Refused when the log cannot be written: nothing is stored then
        """
        ...

    async def commit(self) -> None:
        """Return when everything appended so far is on the disk.

        raises  Refused when the disk would not take it
        """
        ...

    def positions(self) -> Mapping[str, bytes]:
        """Give the positions that were last kept."""
        ...


class LogStore(LogReader, LogWriter, Protocol):
    """Both sides of the log store."""


@dataclass(frozen=True, slots=True)
class AlertSample:
    """One element of an instant vector: what a rule works on.

    value      0 where it is a native histogram
    histogram  None where it is a number
    """

    labels: dict[str, str]
    value: float
    histogram: Histogram | None = None


# Evaluates a PromQL expression at a moment (Unix ms) and gives the vector; a scalar is one element without labels.
# Raises BadQuery or OverLimit. Called from a worker thread.
Ask = Callable[[str, int], list[AlertSample]]

# Hands the alerts of a rule group to notify (or to external Alertmanagers).
SendAlerts = Callable[[Sequence[Alert]], Awaitable[None]]


class Part(Protocol):
    """A stage that lives for a while: started in wiring's order, stopped in reverse."""

    async def start(self) -> None:
        """Begin work; returns when ready."""
        ...

    async def stop(self) -> None:
        """Finish what is under way and let go of everything; never raises."""
        ...
