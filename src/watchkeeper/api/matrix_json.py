"""Results of PromQL as JSON, letter by letter as Prometheus writes them.

Numbers are written by orjson a row at a time and joined with prepared time stamps; only what orjson writes otherwise
than Go (exponents, NaN, infinities) is looked at one by one.

source  Prometheus 3.5, util/jsonutil/marshal.go
"""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import orjson

from watchkeeper.query.promql.ast import Type
from watchkeeper.query.promql.numerals import go_float
from watchkeeper.query.promql.result import Result

_EXACT_MAX = float(1 << 53)


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
    stamps = [b'"],[' + stamp(time_ms) + b',"' for time_ms in result.times.tolist()]
    whole = np.asarray(result.present.all(axis=1))
    rows = []
    for at in order.tolist():
        if whole[at]:
            values = _values(stamps, number_texts(result.values[at]))
        else:
            there = np.nonzero(result.present[at])[0]
            values = _values([stamps[step] for step in there.tolist()], number_texts(result.values[at, there]))
        rows.append(b'{"metric":' + orjson.dumps(labels[at]) + b',"values":[' + values + b"]}")
    return b"[" + b",".join(rows) + b"]"


def _values(stamps: Sequence[bytes], texts: Sequence[bytes]) -> bytes:
    parts: list[bytes] = [b""] * (2 * len(texts))
    parts[0::2] = stamps
    parts[1::2] = texts
    return b"".join(parts)[3:] + b'"]'  # the first stamp closes no point


def stamp(time_ms: int) -> bytes:
    """Write Unix seconds with three decimals, or none."""
    sign, rest = ("-", -time_ms) if time_ms < 0 else ("", time_ms)
    seconds, part = divmod(rest, 1000)
    return f"{sign}{seconds}.{part:03d}".encode() if part else f"{sign}{seconds}".encode()


def number_texts(values: npt.NDArray[np.float64]) -> list[bytes]:
    """Write numbers as Go does: shortest, exponents below 1e-6 and from 1e21 only."""
    if not len(values):
        return []
    whole = np.trunc(values) == values
    if whole.all() and (np.abs(values) < _EXACT_MAX).all() and not (np.signbit(values) & (values == 0)).any():
        return orjson.dumps(values.astype(np.int64).tolist())[1:-1].split(b",")
    written = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
    texts = ((written + b",").replace(b".0,", b",")[:-1] if whole.any() else written).split(b",")
    if b"e" in written or b"null" in written or not (np.abs(values) < _EXACT_MAX).all():
        odd = ~(np.isfinite(values) & (np.abs(values) < 1e15) & ((np.abs(values) >= 1e-4) | (values == 0)))
        for at in np.nonzero(odd)[0].tolist():
            texts[at] = number_text(float(values[at]))
    return texts


def number_text(value: float) -> bytes:
    """Write one number as Go does."""
    size = abs(value)
    if size != 0 and (size < 1e-6 or size >= 1e21) and np.isfinite(value):
        mantissa, exponent = f"{Decimal(repr(value)):e}".split("e")
        mantissa = mantissa.rstrip("0").removesuffix(".") if "." in mantissa else mantissa
        return f"{mantissa}e{int(exponent):+03d}".encode()
    return go_float(value).encode()


_RENDER = {Type.SCALAR: _scalar, Type.STRING: _string, Type.VECTOR: _vector, Type.MATRIX: _matrix}
