"""Results of PromQL as JSON, letter by letter as Prometheus writes them.

source  Prometheus 3.5, web/api/v1/json_codec.go
"""

import numpy as np
import orjson

from watchkeeper.api.points_json import Stamps, number_texts, points, stamp
from watchkeeper.query.promql.ast import Type
from watchkeeper.query.promql.result import Result


def data_of(result: Result) -> bytes:
    """Give the "data" of a query's answer: resultType and result."""
    kind = result.kind.value.encode()
    return b'{"resultType":"' + kind + b'","result":' + _RENDER[result.kind](result) + b"}"


def _scalar(result: Result) -> bytes:
    return _point(int(result.times[0]), number_texts(result.values[0])[0])


def _string(result: Result) -> bytes:
    return b"[" + stamp(int(result.times[0])) + b"," + orjson.dumps(result.text) + b"]"


def _point(time_ms: int, text: bytes) -> bytes:
    return b"[" + stamp(time_ms) + b',"' + text + b'"]'


def _vector(result: Result) -> bytes:
    labels, order = result.by_labels()
    if result.ordered:
        order = np.arange(len(labels))
    if not len(order):
        return b"[]"
    texts = number_texts(result.values[order, 0])
    before = b',"value":[' + stamp(int(result.times[0])) + b',"'
    rows = [
        b'{"metric":' + orjson.dumps(labels[at]) + before + text + b'"]}'
        for at, text in zip(order.tolist(), texts, strict=True)
    ]
    return b"[" + b",".join(rows) + b"]"


def _matrix(result: Result) -> bytes:
    labels, order = result.by_labels()
    texts = points(Stamps(result.times), result.values, result.present) if len(labels) else []
    rows = [b'{"metric":' + orjson.dumps(labels[at]) + b',"values":[' + texts[at] + b"]}" for at in order.tolist()]
    return b"[" + b",".join(rows) + b"]"


_RENDER = {Type.SCALAR: _scalar, Type.STRING: _string, Type.VECTOR: _vector, Type.MATRIX: _matrix}
