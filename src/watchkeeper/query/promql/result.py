"""The answer to a query."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from watchkeeper.model.doors import AlertSample
from watchkeeper.model.frame import Floats, Times, histogram_numbers, is_histogram
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.labels import Ints, LabelTable
from watchkeeper.query.promql.ast import Type
from watchkeeper.query.promql.matrix import Mask


@dataclass(slots=True)
class Memo:
    """What a writer of answers leaves with one, for the next that has the same series and many of its steps.

    written  by the writer; only it knows what this is
    before   what was written of the answer that this one has steps of, the same series in the same order
    held     the first and the last of these steps, Unix ms
    """

    written: object | None = None
    before: object | None = None
    held: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What an expression gave, in columns.

    kind      "scalar", "vector" (instant queries), "matrix" (range queries, and range selectors) or "string"
    labels    of n series; a scalar is one series without labels
    times     int64[steps], Unix ms
    values    float64[n, steps]; mean nothing where `present` is False
    present   bool[n, steps]; each series has at least one sample
    ordered   whether the order of the series means something (sort, topk)
    text      of a string
    memo      of an answer that is kept for the next query
    histograms  what cells of `values` stand for, as in model.frame; empty when none does
    """

    kind: Type
    labels: LabelTable
    times: Times
    values: Floats
    present: Mask
    ordered: bool = False
    text: str = ""
    warnings: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)
    memo: Memo | None = None
    histograms: Sequence[Histogram] = ()

    def native(self) -> Mask:
        """Say which cells are native histograms; bool[n, steps]."""
        return self.present & is_histogram(self.values)

    def histogram(self, row: int, step: int) -> Histogram:
        """Give the histogram that a cell stands for."""
        return self.histograms[int(histogram_numbers(self.values[row : row + 1, step])[0])]

    def histograms_at(self, row: int, steps: Ints) -> list[Histogram]:
        """Give the histograms that cells of a series stand for."""
        return [self.histograms[number] for number in histogram_numbers(self.values[row, steps]).tolist()]

    def samples(self) -> list[AlertSample]:
        """Give the elements of an instant query's answer; a scalar is one without labels."""
        values = self.values[:, -1].tolist() if self.values.size else []
        samples = [AlertSample(labels, value) for labels, value in zip(self.labels.labels(), values, strict=True)]
        if self.histograms:
            for row in np.flatnonzero(self.native()[:, -1]).tolist():
                samples[row] = AlertSample(samples[row].labels, 0.0, self.histogram(row, -1))
        return samples

    def head(self, series: int) -> Self:
        """Give the first so many series: of a matrix, in the order of their labels."""
        first = self.by_labels()[1][:series] if self.kind is Type.MATRIX else np.arange(min(series, len(self.labels)))
        labels = self.labels.take(first)
        return replace(self, labels=labels, values=self.values[first], present=self.present[first], memo=None)

    def by_labels(self) -> tuple[list[dict[str, str]], Ints]:
        """Give each series' labels, and the order that sorts them as Prometheus does."""
        labels = self.labels.labels()
        keys = [list(one.items()) for one in labels]
        return labels, np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
