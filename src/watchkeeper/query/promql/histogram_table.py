"""The native histograms of a query: cells of its matrices are places in one table.

A matrix is copied, joined and cut without a thought for them; only who reckons with values asks whether there are any.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from watchkeeper.model.frame import Floats, FrameSlice, histogram_cells, histogram_numbers, is_histogram
from watchkeeper.model.histogram import Hint, Histogram
from watchkeeper.model.labels import Ints
from watchkeeper.query.promql.histogram_columns import Columns, columns_of, joined, resets_among
from watchkeeper.query.promql.matrix import Mask, Vector


class HistogramTable:
    """All histograms that a query has read or made; none are taken out while it runs.

    Those that a function made of many at once stay rows of a matrix until somebody looks at one.

    charge  takes the number of cells of memory that more histograms need
    """

    def __init__(self, charge: Callable[[int], None]) -> None:
        self._charge = charge
        self._held: list[Histogram | None] = []
        self._blocks: list[Columns] = []
        self._starts: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._held)

    def adopt(self, values: Floats, histograms: Sequence[Histogram]) -> Floats:
        """Take in those histograms of a frame that its values have; give these with the cells that stand for them here.

        The frame's table may hold many more: it is that of a whole block.
        """
        moved, held = pruned(values, is_histogram(values), histograms)
        moved = renumbered(moved, len(self._held)) if held else moved
        self._charge(total_size(held))
        self._held.extend(held)
        return moved

    def cell(self, histogram: Histogram) -> np.float64:
        """Take in one histogram and give the cell that stands for it."""
        return np.float64(self.cells([histogram])[0])

    def cells(self, histograms: Sequence[Histogram]) -> Floats:
        """Take in histograms and give the cell of each, float64[n]."""
        start = len(self._held)
        self._charge(total_size(histograms))
        self._held.extend(histograms)
        return histogram_cells(np.arange(start, len(self._held)))

    def cells_of(self, columns: Columns) -> Floats:
        """Take in histograms of one layout and give the cell of each, float64[n]."""
        start = len(self._held)
        self._charge(columns.numbers.size)
        self._held.extend([None] * len(columns.numbers))
        self._blocks.append(columns)
        self._starts.append(start)
        return histogram_cells(np.arange(start, len(self._held)))

    def at(self, cells: Floats) -> list[Histogram]:
        """Give the histograms that cells stand for; float64[n], all of them such cells."""
        numbers = histogram_numbers(cells)
        found = [self._held[number] for number in numbers.tolist()]
        if None in found:
            self._make(np.unique(numbers[[one is None for one in found]]))
        return [one for one in (self._held[number] for number in numbers.tolist()) if one is not None]

    def _make(self, numbers: Ints) -> None:
        """Make the histograms at these places, ascending, of the rows of matrices that stand for them."""
        blocks = np.searchsorted(self._starts, numbers, side="right") - 1
        for block in np.unique(blocks).tolist():
            here = numbers[blocks == block]
            columns, rows = self._blocks[block], here - self._starts[block]
            hints = [Hint(number) for number in columns.hints[rows].tolist()]
            made = columns.histograms(columns.numbers[rows], hints)
            for number, histogram in zip(here.tolist(), made, strict=True):
                self._held[number] = histogram

    def columns(self, cells: Floats) -> Columns | None:
        """Lay the histograms of cells side by side, float64[n]; None when their layouts differ."""
        if not len(cells):
            return None
        numbers = histogram_numbers(cells)
        blocks = np.searchsorted(self._starts, numbers, side="right") - 1 if self._starts else np.full(len(numbers), -1)
        lengths = np.array([len(block.numbers) for block in self._blocks], np.int64)
        rows = numbers - np.array(self._starts, np.int64)[blocks] if self._starts else numbers
        if (blocks < 0).any() or (rows >= lengths[blocks]).any():  # some stand alone
            return columns_of(self.at(cells))
        return joined([(self._blocks[block], rows[blocks == block], blocks == block) for block in np.unique(blocks)])

    def heads(self, cells: Floats) -> Floats:
        """Give count and sum of each histogram; float64[n, 2]."""
        numbers = histogram_numbers(cells).tolist()
        held = [self._held[number] for number in numbers]
        if None in held:
            columns = self.columns(cells)
            if columns is not None:
                return columns.numbers[:, :2]
        return np.array([[one.count, one.sum] for one in self.at(cells)]).reshape(-1, 2)

    def sizes(self, cells: Floats) -> Ints:
        """Give how many samples each of these histograms counts for; int64[n]."""
        return np.array([sample_size(one) for one in self.at(cells)], np.int64)

    def touched(self, values: Floats, present: Mask) -> Ints:
        """Count the samples of each step, a histogram by its size; int64[steps]."""
        counts = np.asarray(present.sum(axis=0))
        which = self.where(values, present)
        if which is not None:
            more = np.zeros(values.shape, np.int64)
            more[which] = self.sizes(values[which]) - 1
            counts = counts + more.sum(axis=0)
        return counts

    def where(self, values: Floats, present: Mask | None = None) -> Mask | None:
        """Say which cells are histograms; None when none is."""
        if not self._held:
            return None
        found = is_histogram(values)
        if present is not None:
            found &= present
        return found if found.any() else None

    def with_unknown_resets(self, vector: Vector) -> Vector:
        """Forget whether counters were reset since the sample before: between the steps of a subquery are others."""
        which = self.where(vector.values, vector.present)
        if which is None:
            return vector
        values = np.array(vector.values)
        known = (Hint.RESET, Hint.NO_RESET)
        held = [replace(one, hint=Hint.UNKNOWN) if one.hint in known else one for one in self.at(values[which])]
        values[which] = self.cells(held)
        return Vector(vector.labels, values, vector.present, vector.ordered)

    def used(self, values: Floats, present: Mask) -> tuple[Floats, list[Histogram]]:
        """Give values with the histograms that they have, and no others."""
        which = self.where(values, present)
        if which is None:
            return values, []
        values, numbers = _counted_anew(values, which)
        return values, self.at(histogram_cells(numbers))


def told_of_resets(frame: FrameSlice) -> FrameSlice:
    """Let each histogram of a frame say whether its counter was reset since the one before it."""
    native = is_histogram(frame.values)
    values, held = np.array(frame.values), list(frame.histograms)
    for row in np.flatnonzero(native.any(axis=1)).tolist():
        columns = np.flatnonzero(native[row])
        own = [held[number] for number in histogram_numbers(values[row, columns]).tolist()]
        unknown = np.array([at > 0 and one.hint is Hint.UNKNOWN for at, one in enumerate(own)], np.bool_)
        if not unknown.any():
            continue
        resets = resets_among(own)
        start = len(held)
        held += [
            replace(one, hint=Hint.RESET if reset else Hint.NO_RESET)
            for one, reset, is_unknown in zip(own, resets.tolist(), unknown.tolist(), strict=True)
            if is_unknown
        ]
        values[row, columns[unknown]] = histogram_cells(np.arange(start, len(held)))
    return replace(frame, values=values, histograms=held)


def pruned(values: Floats, which: Mask | None, held: Sequence[Histogram]) -> tuple[Floats, list[Histogram]]:
    """Keep the histograms that cells stand for alone, and renumber the cells."""
    if which is None or not which.any():
        return values, []
    values, numbers = _counted_anew(values, which)
    return values, [held[number] for number in numbers.tolist()]


def _counted_anew(values: Floats, which: Mask) -> tuple[Floats, Ints]:
    """Number the histograms that cells stand for from 0; gives the cells, and the number that each had."""
    numbers, places = np.unique(histogram_numbers(values[which]), return_inverse=True)
    values = np.array(values)
    values[which] = histogram_cells(places.reshape(-1))
    return values, numbers


def renumbered(values: Floats, by: int) -> Floats:
    """Move the numbers of all cells that stand for histograms."""
    if not by:
        return values
    found = is_histogram(values)
    values = np.array(values)
    values[found] = histogram_cells(histogram_numbers(values[found]) + by)
    return values


def without(vector: Vector, which: Mask | None) -> Vector:
    """Leave these cells out, as functions of floats leave out histograms."""
    if which is None:
        return vector
    return Vector(vector.labels, vector.values, vector.present & ~which, vector.ordered)


def places(which: Mask) -> Iterator[tuple[int, int]]:
    """Give row and column of each marked cell."""
    rows, columns = np.nonzero(which)
    return zip(rows.tolist(), columns.tolist(), strict=True)


def sample_size(histogram: Histogram) -> int:
    """Give how many samples a histogram counts for.

    source  Prometheus 3.5, promql/value.go HPoint.size, model/histogram FloatHistogram.Size
    """
    runs = sum(_runs(side.index) for side in (histogram.positive, histogram.negative))
    columns = len(histogram.positive) + len(histogram.negative) + len(histogram.bounds)
    return (168 + 8 * (runs + columns) + 8) // 16


def _runs(index: Ints) -> int:
    return int((np.diff(index) > 1).sum()) + 1 if len(index) else 0


def total_size(histograms: Iterable[Histogram]) -> int:
    """Give how many cells of memory histograms take, about."""
    return sum(20 + 2 * (len(one.positive) + len(one.negative)) + len(one.bounds) for one in histograms)
