"""What expressions evaluate to: whole matrices, series × steps.

Where `present` is False the value means nothing. Arrays may be read-only views: no operator writes into its inputs.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watchkeeper.model.errors import BadQuery
from watchkeeper.model.frame import Floats
from watchkeeper.model.labels import Ints, LabelTable

Mask = npt.NDArray[np.bool_]
_MULTIPLIERS: dict[str, int] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A number a step: float64[steps]."""

    values: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A string."""

    value: str


@dataclass(frozen=True, slots=True, eq=False)
class Vector:
    """An instant vector at every step.

    labels   of n series
    values   float64[n, steps]
    present  bool[n, steps]
    ordered  whether the order of the series means something (sort, topk)
    """

    labels: LabelTable
    values: Floats
    present: Mask
    ordered: bool = False

    def take(self, which: npt.NDArray[np.integer] | Mask) -> "Vector":
        """Give the chosen series, by index or mask."""
        return Vector(self.labels.take(which), self.values[which], self.present[which], self.ordered)


Value = Scalar | Vector | Text


def group(table: LabelTable, names: Iterable[str] | None = None) -> tuple[Ints, Ints]:
    """Number the series by equal values of these labels (all when None): as LabelTable.group_ids, by hashing.

    returns  int64[n] group of each series in order of first appearance, int64[groups] first series of each

    Each series' codes become one 64-bit number, so that one sort does; equality is proved afterwards.
    """
    size = len(table)
    wanted = list(range(len(table.names)))
    if names is not None:
        chosen = set(names)
        wanted = [at for at in wanted if table.names[at] in chosen]
    if not wanted or size <= 1:
        return np.zeros(size, np.int64), np.zeros(min(size, 1), np.int64)
    codes = table.codes if len(wanted) == len(table.names) else table.codes[wanted]
    hashes = _hashes(codes, [table.names[at] for at in wanted])
    _, first, ids = np.unique(hashes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    ids, first = rank[ids], first[order]
    if len(first) < size and not np.array_equal(codes[:, first[ids]], codes):
        return table.group_ids(names)
    return ids, first


def _hashes(codes: npt.NDArray[np.int32], names: list[str]) -> npt.NDArray[np.int64]:
    out = np.zeros(codes.shape[1], np.int64)
    for name, row in zip(names, codes, strict=True):
        factor = _MULTIPLIERS.get(name)
        if factor is None:
            factor = _MULTIPLIERS[name] = hash(("label", name)) | 1
        out += row * np.int64(factor)
    return out


def unique_series(vector: Vector) -> Vector:
    """Give each label set one row, joining rows that are never present at the same step.

    raises  BadQuery when two series with equal labels meet
    """
    size = len(vector.labels)
    if size < 2 or (size == 2 and not np.array_equal(vector.labels.codes[:, 0], vector.labels.codes[:, 1])):
        return vector
    ids, first = group(vector.labels)
    if len(first) == size:
        return vector
    return joined_rows(vector, ids, first, "vector cannot contain metrics with the same labelset")


def joined_rows(vector: Vector, ids: Ints, first: Ints, fault: str) -> Vector:
    """Join the rows of each group into one.

    raises  BadQuery with the text `fault` when two rows of a group are present at the same step
    """
    order = np.argsort(ids, kind="stable")
    starts = np.searchsorted(ids[order], np.arange(len(first)))
    present = vector.present[order]
    count = np.add.reduceat(present.astype(np.int32), starts, axis=0)
    if (count > 1).any():
        raise BadQuery(fault)
    bits = np.where(present, vector.values[order], 0.0).view(np.uint64)  # one of a group's: kept bit by bit
    values = np.bitwise_or.reduceat(bits, starts, axis=0).view(np.float64)
    return Vector(vector.labels.take(first), values, count > 0, vector.ordered)


def ever(present: Mask) -> Mask:
    """Say which series are present at any step; bool[n]."""
    return np.asarray(present.any(axis=1))


METADATA = ("__name__", "__type__", "__unit__")  # what says which metric a value is of, not which thing it is about


def without_name(labels: LabelTable) -> LabelTable:
    """Give the labels without the metric's name, type and unit."""
    return labels.drop(METADATA) if any(name in labels.names for name in METADATA) else labels


def nameless(vector: Vector) -> Vector:
    """Drop the metric's name, type and unit, as every function does whose result is not of that metric any more.

    raises  BadQuery when series that differed only by it meet
    """
    labels = vector.labels
    rows = [row for name, row in zip(labels.names, labels.codes, strict=True) if name in METADATA]
    dropped = Vector(without_name(labels), vector.values, vector.present, vector.ordered)
    if all((row == row[:1]).all() for row in rows):  # one metric: what was unique stays so
        return dropped
    return unique_series(dropped)
