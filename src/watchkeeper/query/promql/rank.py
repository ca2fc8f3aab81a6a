"""Aggregations with a parameter: topk, bottomk, quantile, count_values, limitk, limit_ratio.

source  Prometheus 3.5, promql/engine.go aggregationK, aggregationCountValues
"""

from collections.abc import Callable

import numpy as np
import xxhash

from watchkeeper.model.errors import BadQuery
from watchkeeper.model.frame import Floats
from watchkeeper.model.labels import Ints, LabelTable
from watchkeeper.query.promql.aggregate import grouping
from watchkeeper.query.promql.ast import Aggregate, Expr
from watchkeeper.query.promql.context import Query
from watchkeeper.query.promql.lexer import go_quote
from watchkeeper.query.promql.matrix import Mask, Scalar, Text, Value, Vector, ever, group
from watchkeeper.query.promql.native import text as histogram_text
from watchkeeper.query.promql.numerals import go_float, go_general
from watchkeeper.query.promql.precise import quantiles

_INT64_MAX = float(1 << 63)


def aggregate(query: Query, node: Aggregate, vector: Vector, param: Value) -> Vector:
    """Evaluate an aggregation whose parameter is evaluated already."""
    if isinstance(param, Text):
        return _count_values(query, node, vector, param.value)
    assert isinstance(param, Scalar)
    if node.op == "quantile":
        return _quantile(query, node, vector, param.values)
    if node.op == "limit_ratio":
        return _limit_ratio(query, node, vector, param.values)
    return _choose(node, vector, _whole(param.values))


def warn_of_quantile(query: Query, expr: Expr, quantile: Floats) -> None:
    """Warn of quantiles that are none."""
    for value in np.unique(quantile[~((quantile >= 0) & (quantile <= 1))]).tolist():
        query.notes.warn(f"quantile value should be between 0 and 1, got {go_general(value)}", expr)


def _whole(numbers: Floats) -> Ints:
    """Read k of each step.

    raises  BadQuery in Prometheus' words
    """
    known = ~np.isnan(numbers)
    if not known.any():
        raise BadQuery("Parameter value is NaN")
    for wrong in numbers[known & ~((numbers > -_INT64_MAX) & (numbers < _INT64_MAX))].tolist()[:1]:
        raise BadQuery(f"Scalar value {go_general(wrong)} overflows int64")
    return np.where(known, np.trunc(numbers), 0.0).astype(np.int64)  # no series at steps where k is NaN


def _members(node: Aggregate, labels: LabelTable) -> list[Ints]:
    """Give the series of each group."""
    ids, first, _ = grouping(node, labels)
    order = np.argsort(ids, kind="stable")
    return np.split(order, np.searchsorted(ids[order], np.arange(1, len(first))))


def _choose(node: Aggregate, vector: Vector, k: Ints) -> Vector:
    """Keep k series of each group at each step: the largest, the smallest, or the first."""
    if not len(vector.labels) or (k < 1).all():
        return vector.take(np.zeros(0, np.int64))
    key: Callable[[Floats], Floats] = {"topk": np.negative, "bottomk": np.positive}.get(node.op, np.zeros_like)
    chosen = np.zeros(vector.present.shape, np.bool_)
    ranked: list[Ints] = []
    for members in _members(node, vector.labels):
        present = vector.present[members]
        order = _ranking(key(vector.values[members]), present, int(k.max()))
        ranks = np.arange(len(order))[:, None]
        mask = (ranks < k[None, :]) & np.take_along_axis(present, order, axis=0)
        inside = np.zeros(present.shape, np.bool_)
        np.put_along_axis(inside, order, mask, axis=0)
        chosen[members] = inside
        ranked.append(members[order[mask[:, 0], 0]])
    if vector.values.shape[1] == 1 and node.op in ("topk", "bottomk"):
        best = vector.take(np.concatenate(ranked))
        return Vector(best.labels, best.values, best.present, ordered=True)
    seen = ever(chosen)
    return Vector(vector.labels.take(seen), vector.values[seen], chosen[seen])


def _ranking(keys: Floats, present: Mask, wanted: int) -> Ints:
    """Order the rows of each column by key: NaN after all numbers, what is not present last.

    returns  int64[rows or wanted, steps]
    """
    if len(keys) > 4 * wanted and present.all() and not np.isnan(keys).any():
        near = np.argpartition(keys, wanted - 1, axis=0)[:wanted]
        near.sort(axis=0)  # ties go to the series that comes first
        inside = np.argsort(np.take_along_axis(keys, near, axis=0), axis=0, kind="stable")
        return np.take_along_axis(near, inside, axis=0)
    return np.asarray(np.lexsort((keys, ~present), axis=0))


def _quantile(query: Query, node: Aggregate, vector: Vector, quantile: Floats) -> Vector:
    assert node.param is not None
    warn_of_quantile(query, node.param, quantile)
    if not len(vector.labels):
        return vector
    ids, first, labels = grouping(node, vector.labels)
    values = np.where(vector.present, vector.values, np.nan)
    out = np.empty((len(first), values.shape[1]))
    count = np.empty(out.shape, np.int64)
    with np.errstate(all="ignore"):
        for number, members in enumerate(_members(node, vector.labels)):
            count[number] = vector.present[members].sum(axis=0)
            out[number] = quantiles(np.ascontiguousarray(values[members].T), count[number], quantile)
    del ids
    return Vector(labels, out, count > 0)


def _count_values(query: Query, node: Aggregate, vector: Vector, label: str) -> Vector:
    """Count the series of each value, under a label that holds the value."""
    if not label or "\ufffd" in label:  # bytes that are no UTF-8
        assert node.param is not None
        raise BadQuery(f"invalid label name {query.text[node.param.start : node.param.end] or go_quote(label)}")
    if not len(vector.labels):
        return vector
    ids, _, labels = grouping(node, vector.labels)
    row, step = np.nonzero(vector.present)
    with np.errstate(invalid="ignore"):
        values = vector.values[row, step] + 0.0  # -0 and 0 are one value
    distinct, which = np.unique(values, return_inverse=True)
    texts = [go_float(value) for value in distinct.tolist()]
    native = query.histograms.where(vector.values[row, step])
    if native is not None:
        texts, which = _with_texts_of_histograms(query, texts, which, vector.values[row, step], native)
    codes = np.array([query.symbols.code(text) for text in texts], np.int32)
    pairs, inverse = np.unique(ids[row] * len(texts) + which, return_inverse=True)
    table = labels.take(pairs // len(texts)).replaced(label, codes[pairs % len(texts)])
    same, first = group(table)  # the label may be one that groups differed by
    counts = np.zeros((len(first), vector.values.shape[1]))
    np.add.at(counts, (same[inverse], step), 1.0)
    return Vector(table.take(first), counts, counts > 0)


def _with_texts_of_histograms(
    query: Query, texts: list[str], which: Ints, cells: Floats, native: Mask
) -> tuple[list[str], Ints]:
    """Let the cells of histograms count by their texts: more texts, and which of them each cell has."""
    numbers: dict[str, int] = {}
    at = [numbers.setdefault(histogram_text(one), len(numbers)) for one in query.histograms.at(cells[native])]
    which = np.array(which)
    which[native] = len(texts) + np.array(at)
    return [*texts, *numbers], which


def _limit_ratio(query: Query, node: Aggregate, vector: Vector, ratio: Floats) -> Vector:
    """Keep about a share of the series, always the same ones; r < 0 keeps the complement of 1 + r."""
    assert node.param is not None
    if np.isnan(ratio).any():
        raise BadQuery("Ratio value is NaN")
    for value in np.unique(ratio[np.abs(ratio) > 1]).tolist():
        capped = 1 if value > 0 else -1
        message = f"ratio value should be between -1 and 1, got {go_general(value)}, capping to {capped}"
        query.notes.warn(message, node.param)
    ratio = np.clip(ratio, -1, 1)
    places = np.array([_place(labels) for labels in vector.labels.labels()]).reshape(-1, 1)
    kept = np.where(ratio >= 0, places < ratio, places >= 1 + ratio) & vector.present
    seen = ever(kept)
    return Vector(vector.labels.take(seen), vector.values[seen], kept[seen])


def _place(labels: dict[str, str]) -> float:
    """Give a series' place between 0 and 1: Prometheus' hash of its labels, so that both keep the same ones.

    source  Prometheus 3.5, model/labels/labels_stringlabels.go: each name and value after its length
    """
    parts = []
    for pair in sorted(labels.items()):
        for text in pair:
            data = text.encode()
            length = bytes((len(data),)) if len(data) < 255 else b"\xff" + len(data).to_bytes(3, "little")
            parts.append(length + data)
    return float(xxhash.xxh64_intdigest(b"".join(parts))) / 2.0**64
