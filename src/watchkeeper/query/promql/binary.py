"""Binary operators between scalars and vectors.

source  Prometheus 3.5, promql/engine.go VectorBinop, VectorscalarBinop
"""

import numpy as np

from watchkeeper.model.errors import BadQuery
from watchkeeper.model.frame import Floats
from watchkeeper.model.labels import METRIC_NAME, Ints, LabelTable
from watchkeeper.query.promql.ast import Binary, Matching
from watchkeeper.query.promql.context import Query
from watchkeeper.query.promql.histograms import binary as histograms
from watchkeeper.query.promql.histograms.trim import TRIMS
from watchkeeper.query.promql.lexer import go_quote
from watchkeeper.query.promql.matrix import (
    METADATA,
    Mask,
    Scalar,
    Value,
    Vector,
    group,
    joined_rows,
    nameless,
    unique_series,
    without_name,
)
from watchkeeper.query.promql.operators import COMPARISONS, compute


def binary(query: Query, node: Binary, left: Value, right: Value) -> Value:
    """Evaluate an operator on two evaluated sides."""
    if isinstance(left, Scalar) and isinstance(right, Scalar):
        return Scalar(compute(node.op, left.values, right.values))
    if isinstance(left, Vector) and isinstance(right, Vector):
        return _SETS[node.op](query, node, left, right) if node.op in _SETS else _vectors(query, node, left, right)
    if isinstance(left, Vector):
        assert isinstance(right, Scalar)
        return _with_scalar(query, node, left, left.values, right.values)
    assert isinstance(left, Scalar) and isinstance(right, Vector)
    return _with_scalar(query, node, right, left.values, right.values)


def _with_scalar(query: Query, node: Binary, vector: Vector, left: Floats, right: Floats) -> Vector:
    keeps = node.op in TRIMS or (node.op in COMPARISONS and not node.return_bool)
    values, present = _computed(query, node, (left, right), vector.present)
    if keeps:
        return Vector(vector.labels, values if node.op in TRIMS else vector.values, present)
    return nameless(Vector(vector.labels, values, present))


def _computed(query: Query, node: Binary, sides: tuple[Floats, Floats], present: Mask) -> tuple[Floats, Mask]:
    """Apply an operator other than a set operator, a cell at a time.

    sides    float64 each, of the result's shape, or of the steps alone
    present  where both sides have a sample
    returns  values, and where there is a result
    """
    native = histograms.among(query, *sides, present)
    if node.op in TRIMS:  # of histograms alone
        found = np.broadcast_to(sides[0], present.shape), present
        return histograms.replaced(query, node, sides, present, found)
    if node.op in COMPARISONS and not node.return_bool:
        with np.errstate(invalid="ignore"):
            found = np.broadcast_to(sides[0], present.shape), present & COMPARISONS[node.op](*sides)
    else:
        found = compute(node.op, *sides), present
    return found if native is None else histograms.replaced(query, node, sides, native, found)


# --- vector and vector --------------------------------------------------------------------------------------


def _signatures(query: Query, matching: Matching, left: LabelTable, right: LabelTable) -> tuple[Ints, Ints, int]:
    """Number the series of both sides by the labels they match on.

    returns  int64[left], int64[right], how many numbers there are
    """
    kept = [_match_labels(matching, side) for side in (left, right)]
    ids, first = group(query.joined(kept))
    return ids[: len(left)], ids[len(left) :], len(first)


def _match_labels(matching: Matching, labels: LabelTable) -> LabelTable:
    if matching.on:
        return labels.keep(matching.labels)
    of_metric = METADATA if matching.card == "many-to-many" else (METRIC_NAME,)  # arithmetic minds types and units
    return labels.drop((*matching.labels, *of_metric))


def _vectors(query: Query, node: Binary, left: Vector, right: Vector) -> Vector:
    matching = node.matching
    assert matching is not None
    if matching.fill == (None, None) and not (len(left.labels) and len(right.labels)):
        return left.take(np.zeros(0, np.int64))
    swapped = matching.card == "one-to-many"
    many, one = (right, left) if swapped else (left, right)
    many_ids, one_ids, groups = _signatures(query, matching, many.labels, one.labels)
    one = _once_a_group(matching, one, one_ids, np.asarray(many.present.any(axis=0)), swapped=swapped)
    if matching.fill != (None, None):
        (many, many_ids), (one, one_ids) = _filled(query, matching, (many, many_ids), (one, one_ids), groups)
    many_at, one_at = _pairs(many_ids, one_ids, groups)
    many_values, one_values = many.values[many_at], one.values[one_at]
    present = many.present[many_at] & one.present[one_at]
    if matching.card == "one-to-one":
        _check_one_to_one(present, many_ids[many_at])
    sides = (one_values, many_values) if swapped else (many_values, one_values)
    values, present = _computed(query, node, sides, present)
    labels = _result_labels(node, matching, many.labels.take(many_at), one.labels.take(one_at))
    result = Vector(labels, values, present)
    return _checked(matching, result)


_Side = tuple[Vector, Ints]


def _filled(query: Query, matching: Matching, many: _Side, one: _Side, groups: int) -> tuple[_Side, _Side]:
    """Let series of a constant stand in, at the steps at which a side has none of a group that the other side has."""
    there = [_presence(vector, ids, groups) for vector, ids in (many, one)]
    many_value, one_value = matching.fill  # with group_right, too, as in Prometheus
    return (
        _stood_in(query, matching, many, one, there[1] & ~there[0], many_value),
        _stood_in(query, matching, one, many, there[0] & ~there[1], one_value),
    )


def _stood_in(query: Query, matching: Matching, side: _Side, other: _Side, wanted: Mask, value: float | None) -> _Side:
    """Add a series for each group that needs one; its labels are those that the other side's series are matched by.

    wanted  bool[groups, steps]
    """
    if value is None:
        return side
    groups = np.nonzero(wanted.any(axis=1))[0]
    if not len(groups):
        return side
    (vector, ids), (others, other_ids) = side, other
    first = np.full(len(wanted), -1, np.int64)
    first[other_ids[::-1]] = np.arange(len(other_ids))[::-1]
    labels = _match_labels(matching, others.labels.take(first[groups]))
    values = np.concatenate([vector.values, np.full((len(groups), wanted.shape[1]), value)])
    present = np.concatenate([vector.present, wanted[groups]])
    return Vector(query.joined([vector.labels, labels]), values, present), np.concatenate([ids, groups])


def _pairs(many_ids: Ints, one_ids: Ints, groups: int) -> tuple[Ints, Ints]:
    """Give the indices of all pairs with the same number, in the order of the many side."""
    partner = np.full(groups, -1, np.int64)
    partner[one_ids[::-1]] = np.arange(len(one_ids))[::-1]
    if len(np.unique(one_ids)) == len(one_ids):
        found = partner[many_ids]
        many_at = np.nonzero(found >= 0)[0]
        return many_at, found[many_at]
    order = np.argsort(one_ids, kind="stable")
    starts = np.searchsorted(one_ids[order], many_ids, side="left")
    sizes = np.searchsorted(one_ids[order], many_ids, side="right") - starts
    many_at = np.repeat(np.arange(len(many_ids)), sizes)
    within = np.arange(len(many_at)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return many_at, order[np.repeat(starts, sizes) + within]


def _once_a_group(matching: Matching, one: Vector, ids: Ints, others: Mask, *, swapped: bool) -> Vector:
    """Check that the one side has one series a group at each step at which the other side has any, partner or not.

    others  bool[steps]
    """
    if len(np.unique(ids)) == len(ids):
        return one
    order = np.argsort(ids, kind="stable")
    starts = np.nonzero(np.diff(ids[order], prepend=-1))[0]
    counts = np.add.reduceat(one.present[order].astype(np.int32), starts, axis=0)
    doubled = (counts > 1) & others
    if doubled.any():
        where, step = (int(found[0]) for found in np.nonzero(doubled))
        members = order[starts[where] :]
        members = members[ids[members] == ids[order[starts[where]]]]
        doubles = one.labels.take(members[one.present[members, step]][:2])
        kept = _match_labels(matching, doubles).labels()[0]
        shown = sorted(doubles.labels(), key=lambda labels: sorted(labels.items()))
        side = "left" if swapped else "right"
        raise BadQuery(
            f"found duplicate series for the match group {_braced(kept)} on the {side} hand-side of the operation: "
            f"[{', '.join(map(_braced, shown))}]"
            ";many-to-many matching not allowed: matching labels must be unique on one side"
        )
    return one


def _braced(labels: dict[str, str]) -> str:
    return "{" + ", ".join(f"{name}={go_quote(value)}" for name, value in labels.items()) + "}"


def _result_labels(node: Binary, matching: Matching, many: LabelTable, one: LabelTable) -> LabelTable:
    labels = many
    if node.op not in TRIMS and (node.op not in COMPARISONS or node.return_bool):
        labels = without_name(labels)
    if matching.card == "one-to-one":
        return labels.keep(matching.labels) if matching.on else labels.drop(matching.labels)
    for name in matching.include:
        labels = labels.replaced(name, one.column(name))
    return labels


_NOT_EXPLICIT = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"


def _check_one_to_one(present: Mask, ids: Ints) -> None:
    """Refuse two pairs of one group at one step, whether or not a comparison would leave them out."""
    order = np.argsort(ids, kind="stable")
    starts = np.nonzero(np.diff(ids[order], prepend=-1))[0]
    if len(starts) < len(ids) and (np.add.reduceat(present[order].astype(np.int32), starts, axis=0) > 1).any():
        raise BadQuery(_NOT_EXPLICIT)


def _checked(matching: Matching, result: Vector) -> Vector:
    """Refuse two results with equal labels at one step; join those that never meet."""
    fault = _NOT_EXPLICIT
    if matching.card != "one-to-one":
        fault = "multiple matches for labels: grouping labels must ensure unique matches"
    unique, first = group(result.labels)
    return result if len(first) == len(unique) else joined_rows(result, unique, first, fault)


# --- set operators ------------------------------------------------------------------------------------------


def _presence(vector: Vector, ids: Ints, groups: int) -> Mask:
    """Say at which steps a group has any series; bool[groups, steps]."""
    out = np.zeros((groups, vector.present.shape[1]), np.bool_)
    np.logical_or.at(out, ids, vector.present)
    return out


def _and(query: Query, node: Binary, left: Vector, right: Vector) -> Vector:
    return _filtered(query, node, left, right, wanted=True)


def _unless(query: Query, node: Binary, left: Vector, right: Vector) -> Vector:
    return _filtered(query, node, left, right, wanted=False)


def _filtered(query: Query, node: Binary, left: Vector, right: Vector, *, wanted: bool) -> Vector:
    assert node.matching is not None
    if not len(left.labels):
        return left
    if not len(right.labels):
        return left.take(np.zeros(0, np.int64)) if wanted else left
    left_ids, right_ids, groups = _signatures(query, node.matching, left.labels, right.labels)
    there = _presence(right, right_ids, groups)[left_ids]
    return Vector(left.labels, left.values, left.present & (there == wanted), left.ordered)


def _or(query: Query, node: Binary, left: Vector, right: Vector) -> Vector:
    if not len(right.labels):
        return left
    if not len(left.labels):
        return right
    added = _filtered(query, node, right, left, wanted=False)
    labels = query.joined([left.labels, added.labels])
    values, present = np.concatenate([left.values, added.values]), np.concatenate([left.present, added.present])
    return unique_series(Vector(labels, values, present))


_SETS = {"and": _and, "unless": _unless, "or": _or}
