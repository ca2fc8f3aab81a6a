"""Results of PromQL as JSON, letter by letter as Prometheus writes them.

source  Prometheus 3.5, web/api/v1/json_codec.go
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import orjson

from watchkeeper.api.points_json import Stamps, number_texts, points, stamp
from watchkeeper.query.promql.ast import Type
from watchkeeper.query.promql.result import BLOCK_STEPS, Result


def data_of(result: Result) -> bytes:
    """Give the "data" of a query's answer: resultType and result."""
    kind = result.kind.value.encode()
    return b"".join((b'{"resultType":"', kind, b'","result":', *_RENDER[result.kind](result), b"}"))


def _scalar(result: Result) -> Sequence[bytes]:
    return (_point(int(result.times[0]), number_texts(result.values[0])[0]),)


def _string(result: Result) -> Sequence[bytes]:
    return b"[", stamp(int(result.times[0])), b",", orjson.dumps(result.text), b"]"


def _point(time_ms: int, text: bytes) -> bytes:
    return b"[" + stamp(time_ms) + b',"' + text + b'"]'


def _vector(result: Result) -> Sequence[bytes]:
    labels, order = result.by_labels()
    if result.ordered:
        order = np.arange(len(labels))
    if not len(order):
        return (b"[]",)
    texts = number_texts(result.values[order, 0])
    before = b',"value":[' + stamp(int(result.times[0])) + b',"'
    rows = [
        b'{"metric":' + orjson.dumps(labels[at]) + before + text + b'"]}'
        for at, text in zip(order.tolist(), texts, strict=True)
    ]
    return b"[", b",".join(rows), b"]"


def _matrix(result: Result) -> Sequence[bytes]:
    if result.memo is None or not isinstance(result.memo.heads, _Heads):
        labels, order = result.by_labels()
        heads = _Heads([b'{"metric":' + orjson.dumps(one) + b',"values":[' for one in labels], order.tolist())
        if result.memo is not None:
            result.memo.heads = heads
    else:
        heads = result.memo.heads
    blocks = _blocks(result)
    parts = [b"["]
    for at in heads.order:  # the parts are copied once, when all are there
        pieces = [block[at] for block in blocks if block[at]]
        joined = [b","] * (2 * len(pieces) - 1)
        joined[::2] = pieces
        parts += heads.texts[at], *joined, b"]}", b","
    if len(parts) > 1:
        parts.pop()
    return [*parts, b"]"]


@dataclass(frozen=True, slots=True)
class _Heads:
    """What stands before each series' points, and the order of the series in the answer."""

    texts: list[bytes]
    order: list[int]


def _blocks(result: Result) -> list[list[bytes]]:
    """Write all series' points, by blocks of steps; what was written for the query before is taken from there."""
    times, memo = result.times, result.memo
    if memo is None or len(times) < BLOCK_STEPS:
        return [points(Stamps(times), result.values, result.present)]
    numbers = times // (times[1] - times[0]) // BLOCK_STEPS
    borders = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(times)]
    blocks = []
    for low, high in pairwise(borders):
        number = int(numbers[low])
        texts = memo.blocks.get(number)
        if texts is None:
            texts = points(Stamps(times[low:high]), result.values[:, low:high], result.present[:, low:high])
            if high - low == BLOCK_STEPS:
                memo.blocks[number] = texts
        blocks.append(texts)
    return blocks


_RENDER = {Type.SCALAR: _scalar, Type.STRING: _string, Type.VECTOR: _vector, Type.MATRIX: _matrix}
