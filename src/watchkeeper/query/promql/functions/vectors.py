"""Functions that make, reduce or order vectors.

source  Prometheus 3.5, promql/functions.go
"""

import re
from collections.abc import Callable

import numpy as np

from watchkeeper.query.promql.functions.absent import absent_labels
from watchkeeper.query.promql.functions.applied import Applied
from watchkeeper.query.promql.matrix import Scalar, Value

INEFFECTIVE = "sort is ineffective for range queries since results are always ordered by labels"
_PIECES = re.compile(r"(\d+)", re.ASCII)


def _absent(call: Applied) -> Value:
    gone = np.asarray(~call.vector().present.any(axis=0))
    answer = call.lone(np.ones(1), gone, absent_labels(call.node.args[0]))
    return answer if gone.any() else answer.take(np.zeros(0, np.int64))


def _scalar(call: Applied) -> Value:
    vector = call.vector()
    alone = vector.present.sum(axis=0) == 1
    total = np.where(vector.present, vector.values, 0.0).sum(axis=0)
    return Scalar(np.where(alone, total, np.nan))


def _vector(call: Applied) -> Value:
    return call.lone(call.scalar(0))


def _time(call: Applied) -> Value:
    return Scalar(call.steps.times / 1000)


def _timestamp(call: Applied) -> Value:
    vector = call.vector()
    return call.answer(vector, np.broadcast_to(call.steps.times / 1000, vector.values.shape))


def _pi(call: Applied) -> Value:
    return Scalar(np.full(len(call.steps), np.pi))


def _extreme(pick: np.ufunc) -> Callable[[Applied], Value]:
    return lambda call: Scalar(pick(call.scalar(0), call.scalar(1)))


def _sort(*, falling: bool) -> Callable[[Applied], Value]:
    def sort(call: Applied) -> Value:
        vector = call.vector()
        if call.query.is_range:
            call.query.notes.warn(INEFFECTIVE, call.node)
            return vector
        values = vector.values[:, 0]
        order = np.argsort(-values if falling else values, kind="stable")  # NaN comes last both ways
        taken = vector.take(order)
        return type(vector)(taken.labels, taken.values, taken.present, ordered=True)

    return sort


def _sort_by_label(*, falling: bool) -> Callable[[Applied], Value]:
    def sort(call: Applied) -> Value:
        vector = call.vector()
        if call.query.is_range:
            call.query.notes.warn(INEFFECTIVE, call.node)
            return vector
        names = [call.text(at) for at in range(1, len(call.args))]
        labels = vector.labels.labels()
        keys = [([_natural(one.get(name, "")) for name in names], list(one.items())) for one in labels]
        order = sorted(range(len(keys)), key=keys.__getitem__, reverse=falling)
        taken = vector.take(np.array(order, np.int64))
        return type(vector)(taken.labels, taken.values, taken.present, ordered=True)

    return sort


def _natural(text: str) -> list[tuple[bool, int, str]]:
    """Give a key that sorts a2 before a10."""
    pieces = _PIECES.split(text)
    return [(not piece.isdecimal(), int(piece) if piece.isdecimal() else 0, piece) for piece in pieces if piece]


VECTOR: dict[str, Callable[[Applied], Value]] = {
    "absent": _absent,
    "max_of": _extreme(np.maximum),
    "min_of": _extreme(np.minimum),
    "pi": _pi,
    "scalar": _scalar,
    "sort": _sort(falling=False),
    "sort_by_label": _sort_by_label(falling=False),
    "sort_by_label_desc": _sort_by_label(falling=True),
    "sort_desc": _sort(falling=True),
    "time": _time,
    "timestamp": _timestamp,
    "vector": _vector,
}
