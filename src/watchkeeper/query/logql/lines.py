"""Log queries: the newest (or oldest) lines of a time range that pass a pipeline."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import structlog

from watchkeeper.model.errors import Damaged, OverLimit
from watchkeeper.model.logs import LineBlock
from watchkeeper.model.metrics import counter
from watchkeeper.query.logql.pipeline import Pipeline, visible
from watchkeeper.query.logql.result import Effort, FoundLine

log = structlog.get_logger(__name__)

_DAMAGED = counter("watchkeeper_log_query_damaged_blocks", "Blocks that queries left out because they are damaged.")
_AT_ONCE = 512  # places a pipeline is given at a time, so that a small limit stops early


@dataclass(frozen=True, slots=True)
class Wanted:
    """What lines a query wants: start_ns <= time < end_ns, at most `limit`, newest first when backward."""

    start_ns: int
    end_ns: int
    limit: int
    backward: bool
    result_bytes_max: int


def find_lines(
    blocks: Sequence[LineBlock], pipeline: Pipeline, wanted: Wanted, effort: Effort, check_time: "CheckTime"
) -> list[FoundLine]:
    """Give the lines wanted, in order.

    raises  OverLimit when they are too many bytes, or the query takes too long
    """
    kept = _Kept(wanted)
    for block in _by_time(blocks, wanted):
        check_time()
        if kept.beyond(block):
            break  # blocks come by their nearer end: no later one can hold a line that is wanted more
        try:
            for line in _of_block(block, pipeline, wanted, effort):
                kept.add(line)
        except Damaged as error:
            note_damage(error, effort)
    lines = kept.sorted()
    effort.lines_found += len(lines)
    return lines


class CheckTime:
    """Raises when a query has taken too long; asked once a block."""

    def __call__(self) -> None:
        """Raise OverLimit when the time is up."""


def note_damage(error: Damaged, effort: Effort) -> None:
    """Count a block that a query leaves out, and tell the caller."""
    _DAMAGED.inc()
    log.warning("log_block_damaged", error=str(error))
    if len(effort.warnings) < 10:
        effort.warnings.append(str(error))


def range_of(block: LineBlock, start_ns: int, end_ns: int) -> tuple[int, int]:
    """Give the places low ≤ i < high of the lines with start_ns <= time < end_ns."""
    if block.first_ns >= start_ns and block.last_ns < end_ns:
        return 0, len(block.times())
    low, high = np.searchsorted(block.times(), [start_ns, end_ns])
    return int(low), int(high)


def count_effort(block: LineBlock, low: int, high: int, effort: Effort) -> None:
    """Note what looking at lines of a block costs."""
    effort.blocks += 1
    effort.lines += high - low
    effort.bytes += block.size_bytes * (high - low) // max(block.line_count, 1)


def _by_time(blocks: Sequence[LineBlock], wanted: Wanted) -> list[LineBlock]:
    if wanted.backward:
        return sorted(blocks, key=attrgetter("last_ns"), reverse=True)
    return sorted(blocks, key=attrgetter("first_ns"))


def _of_block(block: LineBlock, pipeline: Pipeline, wanted: Wanted, effort: Effort) -> Iterator[FoundLine]:
    """Give a block's lines that pass, most wanted first, no more than the limit."""
    low, high = range_of(block, wanted.start_ns, wanted.end_ns)
    if low >= high:
        return
    count_effort(block, low, high, effort)
    places = pipeline.chosen(block, low, high)
    if not pipeline.steps:
        places = places[-wanted.limit :] if wanted.backward else places[: wanted.limit]
    ordered = places[::-1] if wanted.backward else places
    times, metadata = block.times(), block.metadata()
    left = wanted.limit
    for begin in range(0, len(ordered), _AT_ONCE):
        for place, line in pipeline.run(block, ordered[begin : begin + _AT_ONCE].tolist()):
            own = {} if metadata is None else metadata.sets[metadata.codes[place]]
            yield FoundLine(int(times[place]), line.text, visible(line.labels), block.labels, own)
            left -= 1
            if not left:
                return


class _Kept:
    """The most wanted lines so far."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._lines: list[FoundLine] = []
        self._bytes = 0
        self._edge_ns: int | None = None  # a line beyond it is not wanted any more

    def add(self, line: FoundLine) -> None:
        self._lines.append(line)
        self._bytes += len(line.text)
        if len(self._lines) >= 2 * self._wanted.limit or self._bytes > self._wanted.result_bytes_max:
            self._cut()
            if self._bytes > self._wanted.result_bytes_max:
                raise OverLimit("max_result_bytes", self._bytes, self._wanted.result_bytes_max)

    def beyond(self, block: LineBlock) -> bool:
        if len(self._lines) >= self._wanted.limit:
            self._cut()
        if self._edge_ns is None:
            return False
        return block.last_ns < self._edge_ns if self._wanted.backward else block.first_ns > self._edge_ns

    def sorted(self) -> list[FoundLine]:
        self._cut()
        return self._lines

    def _cut(self) -> None:
        self._lines.sort(key=attrgetter("time_ns"), reverse=self._wanted.backward)
        del self._lines[self._wanted.limit :]
        self._bytes = sum(len(line.text) for line in self._lines)
        if len(self._lines) == self._wanted.limit:
            self._edge_ns = self._lines[-1].time_ns
