"""Histograms of one layout side by side: what a function does to each, it does to all of a series at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from watchkeeper.model.frame import Floats
from watchkeeper.model.histogram import Buckets, Hint, Histogram, buckets
from watchkeeper.model.histogram_sum import was_reset
from watchkeeper.model.labels import Ints
from watchkeeper.query.promql.matrix import Mask

_SUM = 1  # the column that says nothing of resets


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Histograms of the same schema, zero threshold and custom bounds.

    like                what they have in common
    positive, negative  int64: the index of each column of buckets
    numbers             float64[n, 3 + positive + negative]: count, sum, zero count, buckets
    hints               int64[n]
    """

    like: Histogram
    positive: Ints
    negative: Ints
    numbers: Floats
    hints: Ints

    def histograms(self, numbers: Floats, hints: Sequence[Hint]) -> list[Histogram]:
        """Make histograms of rows of numbers."""
        split = 3 + len(self.positive)
        like, bounds = self.like, self.like.bounds
        return [
            Histogram(
                row[0], row[1], like.schema, like.zero_threshold, row[2],
                buckets(self.positive, counts[3:split]), buckets(self.negative, counts[split:]), bounds, hint,
            )
            for row, counts, hint in zip(numbers[:, :3].tolist(), numbers, hints, strict=True)
        ]  # fmt: skip

    def of(self, numbers: Floats, hints: Ints) -> "Columns":
        """Give other numbers in the same layout."""
        return replace(self, numbers=numbers, hints=hints)

    def resets(self) -> Mask:
        """Say at which of them the counter was reset since the one before; bool[n], False for the first."""
        fell = np.zeros(self.numbers.shape, np.bool_)
        np.less(self.numbers[1:], self.numbers[:-1], out=fell[1:])
        fell[:, _SUM] = False
        found: Mask = np.asarray(fell.any(axis=1))
        found[self.hints == Hint.NO_RESET] = False
        found[self.hints == Hint.RESET] = True
        found[:1] = False
        return found


def resets_among(histograms: Sequence[Histogram]) -> Mask:
    """Say at which histograms of a series the counter was reset since the one before; bool[n], False for the first."""
    columns = columns_of(histograms) if histograms else None
    if columns is not None:
        return columns.resets()
    return np.array([at > 0 and was_reset(now, histograms[at - 1]) for at, now in enumerate(histograms)], np.bool_)


def hints_of_sums(kinds: Mask) -> tuple[Ints, Mask]:
    """Say what is known of resets of sums of histograms.

    kinds    bool[hints, n]: which hints each sum's histograms have
    returns  int64[n], and which sums have a reset beside none: a contradiction to be told
    """
    single = np.where(kinds.sum(axis=0) == 1, kinds.argmax(axis=0), Hint.UNKNOWN)
    return np.where(kinds[Hint.GAUGE], Hint.GAUGE, single), np.asarray(kinds[Hint.RESET] & kinds[Hint.NO_RESET])


def joined(parts: Sequence[tuple[Columns, Ints, Mask]]) -> Columns | None:
    """Put rows of several matrices into one; None when their layouts differ.

    parts  a matrix, which of its rows, and which of the rows of the whole they are (bool[n])
    """
    like = parts[0][0].like
    if not all(columns.like.is_laid_out_as(like) for columns, _, _ in parts):
        return None
    positive = _union([columns.positive for columns, _, _ in parts])
    negative = _union([columns.negative for columns, _, _ in parts])
    size = len(parts[0][2])
    numbers, hints = np.zeros((size, 3 + len(positive) + len(negative))), np.zeros(size, np.int64)
    for columns, rows, here in parts:
        sides = np.searchsorted(positive, columns.positive), len(positive) + np.searchsorted(negative, columns.negative)
        places = np.concatenate([np.arange(3), 3 + sides[0], 3 + sides[1]])
        numbers[np.ix_(np.flatnonzero(here), places)] = columns.numbers[rows]
        hints[here] = columns.hints[rows]
    return Columns(like, positive, negative, numbers, hints)


def _union(sides: Sequence[Ints]) -> Ints:
    """Give the indices that occur in any of several, ascending."""
    distinct = {side.tobytes(): side for side in sides}
    if len(distinct) == 1:
        return sides[0]
    return np.unique(np.concatenate(list(distinct.values())))


def columns_of(histograms: Sequence[Histogram]) -> Columns | None:
    """Lay histograms side by side; None when their layouts differ."""
    like = histograms[0]
    if not all(one.is_laid_out_as(like) for one in histograms):
        return None
    positive, above = _stacked([one.positive for one in histograms])
    negative, below = _stacked([one.negative for one in histograms])
    own = np.array([[one.count, one.sum, one.zero_count] for one in histograms])
    hints = np.array([one.hint for one in histograms], np.int64)
    return Columns(replace(like, hint=Hint.UNKNOWN), positive, negative, np.concatenate([own, above, below], 1), hints)


def _stacked(sides: Sequence[Buckets]) -> tuple[Ints, Floats]:
    """Lay the buckets of one sign side by side: the index of each column, and float64[histograms, columns]."""
    keys = [side.index.tobytes() for side in sides]
    distinct = dict(zip(keys, (side.index for side in sides), strict=True))
    counts = np.concatenate([side.counts for side in sides])
    if len(distinct) == 1:
        return sides[0].index, counts.reshape(len(sides), -1)
    index = np.unique(np.concatenate(list(distinct.values())))
    places = {key: np.searchsorted(index, own) for key, own in distinct.items()}
    columns = np.zeros((len(sides), len(index)))
    rows = np.repeat(np.arange(len(sides)), [len(side) for side in sides])
    columns[rows, np.concatenate([places[key] for key in keys])] = counts
    return index, columns
