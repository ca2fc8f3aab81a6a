"""What goes into the metrics store and what comes out: rows in, slices of frames out.

A frame is all series of one source whose samples arrive together (a scrape target, a rule group, the share of one
target in a remote-write stream): one timestamp column, one value column a series.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watchkeeper.model.histogram import Histogram
from watchkeeper.model.labels import Ints, Labels, LabelTable

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

# Different bit patterns: no sample here, the series ended here, and whatever NaN a program really reported.
STALE_BITS = 0x7FF0000000000002  # source: Prometheus, model/value/value.go
ABSENT_BITS = 0x7FF0000000000057
NORMAL_NAN_BITS = 0x7FF8000000000001  # what Prometheus stores for a reported NaN
HISTOGRAM_TAG = 0x7FF4  # upper 16 bits of a cell that stands for a native histogram; the others are its number
STALE: np.float64 = np.uint64(STALE_BITS).view(np.float64)
ABSENT: np.float64 = np.uint64(ABSENT_BITS).view(np.float64)


def is_stale(values: Floats) -> npt.NDArray[np.bool_]:
    """Say where a series ended; same shape as the values."""
    return np.asarray(values.view(np.uint64) == STALE_BITS)


def is_absent(values: Floats) -> npt.NDArray[np.bool_]:
    """Say where there is no sample; same shape as the values."""
    return np.asarray(values.view(np.uint64) == ABSENT_BITS)


def is_histogram(values: Floats) -> npt.NDArray[np.bool_]:
    """Say which cells stand for a native histogram; same shape as the values."""
    return np.asarray(values.view(np.uint64) >> np.uint64(48) == HISTOGRAM_TAG)


def clear_reserved(values: Floats) -> None:
    """Make ordinary NaNs, in place, of those from outside that mean "no sample" or a histogram here."""
    nan = np.isnan(values)
    if nan.any():
        nan &= is_absent(values) | is_histogram(values)
        values.view(np.uint64)[nan] = NORMAL_NAN_BITS


def histogram_numbers(values: Floats) -> Ints:
    """Give the place in the histograms that go with these cells; same shape; only where `is_histogram` says so."""
    return (values.view(np.uint64) & np.uint64((1 << 48) - 1)).astype(np.int64)


def histogram_cells(numbers: Ints) -> Floats:
    """Make the cells that stand for the histograms at these places; same shape. Copy them, never reckon with them."""
    return (numbers.astype(np.uint64) | np.uint64(HISTOGRAM_TAG << 48)).view(np.float64)


def cells_of(samples: "Collection[float | Histogram]") -> "tuple[Floats, list[Histogram]]":
    """Give the cells of samples, float64[n], and the histograms that some of them stand for."""
    try:
        return np.fromiter(samples, np.float64, len(samples)), []
    except TypeError:  # a histogram is no number
        pass
    held: list[Histogram] = []
    cells = np.empty(len(samples))
    for at, sample in enumerate(samples):
        if isinstance(sample, int | float):
            cells[at] = sample
        else:
            cells[at : at + 1] = histogram_cells(np.array([len(held)]))
            held.append(sample)
    return cells, held


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The list of series that a sender's values stand for, registered once and then named by identity.

    number   of the store's choosing; never reused while the process lives
    source   the frame: "scrape/<pool>/<target>", "rules/<file>/<group>", "write/<job>/<instance>", …
    columns  int32[n]: the frame's column of each value
    """

    number: int
    source: str
    columns: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.columns)


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """Samples of one source that share a timestamp.

    time_ms  Unix milliseconds
    values   float64[len(layout)] in the layout's order; ABSENT where a series has no sample this time
    whole    the source has spoken for all its series: those of its frame that are not in the layout and lived
             until now end here (they get staleness markers)
    histograms  what the cells of `values` that `is_histogram` stand for
    """

    layout: Layout
    time_ms: int
    values: Floats
    whole: bool = False
    histograms: Sequence[Histogram] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one sample was not stored, in Prometheus' words, with the labels of its series."""

    reason: str
    labels: Labels


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of the samples of one append.

    stored      samples that are in the store now, staleness markers not counted
    added       series that the frame had not seen, or that had ended
    duplicates  same time and same value as stored already: ignored
    refused     how many were refused, by reason ("out of order sample", "duplicate sample for timestamp", …)
    examples    the first few refusals, for the answer and the log
    """

    stored: int
    added: int
    duplicates: int
    refused: dict[str, int]
    examples: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class FrameSlice:
    """The part of a frame that a selection asked for; arrays are the reader's to keep, not to change.

    labels  of n_series
    times   int64[n_rows], Unix milliseconds, strictly ascending
    values  float64[n_series, n_rows]; ABSENT where a series has no sample, STALE where it ended
    gaps    whether any value is ABSENT or STALE; when False, every cell is a sample
    histograms  what the cells of `values` that `is_histogram` stand for; empty when there are none
    starts  int64[n_series, n_rows], since when each sample's counter counts, Unix ms, 0 where that is not known;
            None when it is known of none
    """

    labels: LabelTable
    times: Times
    values: Floats
    gaps: bool
    histograms: Sequence[Histogram] = ()
    starts: Times | None = None


class Selection(list[FrameSlice]):
    """What a selection found, and `warnings` about what it had to leave out (damaged files, an engine that failed)."""

    def __init__(self, slices: Iterable[FrameSlice] = (), warnings: Sequence[str] = ()) -> None:
        super().__init__(slices)
        self.warnings = tuple(warnings)


@dataclass(frozen=True, slots=True)
class MetricMetadata:
    """What an exposition says about a metric family. `type` is counter, gauge, histogram, summary, … or unknown."""

    type: str
    help: str
    unit: str = ""
