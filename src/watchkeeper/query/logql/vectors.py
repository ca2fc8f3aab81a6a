"""Aggregations over series and operators between them, all steps at once."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from watchkeeper.model.errors import BadQuery
from watchkeeper.query.logql.result import Floats, Matrix
from watchkeeper.query.logql.tree import Binary, Grouping, VectorAggregation
from watchkeeper.query.logql.windows import Key, grouped

Bools = npt.NDArray[np.bool_]

_COMPARE: dict[str, Callable[[Floats, Floats], Floats]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
}
_ARITHMETIC: dict[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
}


def aggregate(query: VectorAggregation, inner: Matrix) -> Matrix:
    """Evaluate sum by (…) (…) and its kin."""
    groups: dict[Key, list[int]] = {}
    for at, labels in enumerate(inner.labels):
        groups.setdefault(grouped(labels, query.grouping), []).append(at)
    if query.op in ("topk", "bottomk"):
        return _topk(query, inner, list(groups.values()))
    keys = sorted(groups)
    rows = [_reduced(query.op, inner.values[groups[key]]) for key in keys]
    values = np.array(rows).reshape(len(rows), inner.values.shape[1])
    return Matrix([dict(key) for key in keys], inner.times_ns, values, inner.effort)


def combine(query: Binary, left: Matrix, right: Matrix) -> Matrix:
    """Evaluate an operator between two sides, numbers or series.

    raises  BadQuery when several series of one side match one of the other
    """
    with np.errstate(all="ignore"):
        if left.is_scalar and right.is_scalar:
            return _result(query, left.labels, left.values, right.values, left)
        if right.is_scalar:
            return _result(query, left.labels, left.values, np.broadcast_to(right.values, left.values.shape), left)
        if left.is_scalar:
            kept = np.broadcast_to(left.values, right.values.shape)
            return _result(query, right.labels, kept, right.values, right, keep_right=True)
        if query.op in ("and", "or", "unless"):
            return _set(query, left, right)
        return _matched(query, left, right)


def _reduced(op: str, values: Floats) -> Floats:
    present = ~np.isnan(values)
    count = present.sum(axis=0)
    zeroed = np.where(present, values, 0.0)
    match op:
        case "sum":
            out = zeroed.sum(axis=0)
        case "count":
            out = count.astype(np.float64)
        case "min":
            out = np.where(present, values, np.inf).min(axis=0)
        case "max":
            out = np.where(present, values, -np.inf).max(axis=0)
        case _:
            mean = zeroed.sum(axis=0) / np.maximum(count, 1)
            variance = (np.where(present, values - mean, 0.0) ** 2).sum(axis=0) / np.maximum(count, 1)
            out = {"avg": mean, "stdvar": variance, "stddev": np.sqrt(variance)}[op]
    return np.where(count > 0, out, np.nan)


def _topk(query: VectorAggregation, inner: Matrix, groups: Sequence[Sequence[int]]) -> Matrix:
    """Keep, step by step, the k largest (or smallest) of each group; series that are never among them go."""
    kept = np.full_like(inner.values, np.nan)
    for members in groups:
        values = inner.values[members]
        worst = -math.inf if query.op == "topk" else math.inf
        filled = np.where(np.isnan(values), worst, values)
        order = np.argsort(-filled if query.op == "topk" else filled, axis=0, kind="stable")[: query.parameter]
        chosen = np.zeros(values.shape, np.bool_)
        np.put_along_axis(chosen, order, values=True, axis=0)
        kept[members] = np.where(chosen, values, np.nan)
    return _living(inner.labels, kept, inner)


def _result(
    query: Binary,
    labels: Sequence[Mapping[str, str]],
    left: Floats,
    right: Floats,
    like: Matrix,
    *,
    keep_right: bool = False,
) -> Matrix:
    absent = np.isnan(left) | np.isnan(right)
    if query.op in _ARITHMETIC:
        values = _ARITHMETIC[query.op](left, right)
    elif query.op in _COMPARE:
        verdict = _COMPARE[query.op](left, right)
        if query.returns_bool or like.is_scalar:
            values = np.where(absent, np.nan, verdict)
        else:
            values = np.where(verdict, right if keep_right else left, np.nan)
    else:
        raise BadQuery(f"parse error : unexpected literal for operation ({query.op}): {float(right.flat[0])}")
    if like.is_scalar:
        return Matrix(labels, like.times_ns, values, like.effort, is_scalar=True)
    return _living(labels, np.where(absent, np.nan, values), like)


def _living(labels: Sequence[Mapping[str, str]], values: Floats, like: Matrix) -> Matrix:
    """Leave out series without any value."""
    alive = np.flatnonzero(~np.isnan(values).all(axis=1)) if len(labels) else np.zeros(0, np.int64)
    return Matrix([labels[at] for at in alive.tolist()], like.times_ns, values[alive], like.effort)


def _key(query: Binary, labels: Mapping[str, str]) -> Key:
    return grouped(labels, query.matching or Grouping((), without=True))


def _matched(query: Binary, left: Matrix, right: Matrix) -> Matrix:
    places: dict[Key, int] = {}
    for at, labels in enumerate(right.labels):
        key = _key(query, labels)
        if key in places:
            raise BadQuery(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            )
        places[key] = at
    pairs, seen = [], set()
    for at, labels in enumerate(left.labels):
        key = _key(query, labels)
        if key in places:
            if key in seen:
                raise BadQuery("multiple matches for labels: grouping labels must ensure unique matches")
            seen.add(key)
            pairs.append((at, places[key], key))
    chosen = [at for at, _, _ in pairs]
    named = [dict(key) if query.matching else dict(left.labels[at]) for at, _, key in pairs]
    values = left.values[chosen], right.values[[other for _, other, _ in pairs]]
    return _result(query, named, *values, left)


def _set(query: Binary, left: Matrix, right: Matrix) -> Matrix:
    width = left.values.shape[1]

    def presence(matrix: Matrix) -> dict[Key, Bools]:
        found: dict[Key, Bools] = {}
        for labels, row in zip(matrix.labels, matrix.values, strict=True):
            found[_key(query, labels)] = found.get(_key(query, labels), np.zeros(width, np.bool_)) | ~np.isnan(row)
        return found

    nothing = np.zeros(width, np.bool_)
    if query.op == "or":
        here = presence(left)
        rows = [
            np.where(here.get(_key(query, labels), nothing), np.nan, row)
            for labels, row in zip(right.labels, right.values, strict=True)
        ]
        values = np.concatenate([left.values, np.array(rows).reshape(len(rows), width)])
        return _living([*left.labels, *right.labels], values, left)
    there = presence(right)
    rows = []
    for labels, row in zip(left.labels, left.values, strict=True):
        stays = there.get(_key(query, labels), nothing)
        rows.append(np.where(stays if query.op == "and" else ~stays, row, np.nan))
    return _living(left.labels, np.array(rows).reshape(len(rows), width), left)
