"""What the metrics store says about itself: how many series there are, and of what; which blocks."""

from collections.abc import Sequence
from dataclasses import dataclass

Counted = Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Census:
    """The series in memory, by what they are; the largest first.

    pairs            distinct pairs of label and value
    chunks           compressed runs of samples of one series, and open ones
    start_ms         time of the oldest sample in memory; None when there is none
    by_metric        metric name → series
    values_by_label  label name → distinct values
    bytes_by_label   label name → bytes of its name and values, counted once a series
    by_pair          "label=value" → series
    """

    series: int
    pairs: int
    chunks: int
    start_ms: int | None
    end_ms: int | None
    by_metric: Counted
    values_by_label: Counted
    bytes_by_label: Counted
    by_pair: Counted


@dataclass(frozen=True, slots=True)
class BlockSaid:
    """A block on the disk. `end_ms` is one past its last sample."""

    number: int
    start_ms: int
    end_ms: int
    samples: int
    series: int
    size_bytes: int
    parents: Sequence[int]


@dataclass(frozen=True, slots=True)
class TierSaid:
    """A downsampling tier: its blocks, and the time that these cover, Unix ms; None when there is none."""

    every: str
    blocks: int
    size_bytes: int
    first_ms: int | None
    until_ms: int | None
