"""Results of PromQL as JSON, letter by letter as Prometheus writes them.

source  Prometheus 3.5, web/api/v1/json_codec.go
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from watchkeeper.api.histogram_json import Heads, histograms_json
from watchkeeper.api.points_json import Points, Stamps, number_texts, points, stamp
from watchkeeper.model.frame import Times
from watchkeeper.query.promql.ast import Type
from watchkeeper.query.promql.result import Result


def data_of(result: Result, before: bytes = b"", after: bytes = b"}") -> bytes:
    """Give the "data" of a query's answer, resultType and result, with what stands around it.

    after  begins with the closing brace, or another member
    """
    before += b'{"resultType":"' + result.kind.value.encode() + b'","result":'
    if result.kind is Type.MATRIX and not result.histograms:
        return _matrix(result, before + b"[", b"]" + after)
    render = _mixed_matrix if result.kind is Type.MATRIX else _RENDER[result.kind]
    return b"".join((before, *render(result), after))


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
    if result.histograms:
        native = result.native()[order, 0]
        before = b',"histogram":[' + stamp(int(result.times[0])) + b","
        rows_of = np.flatnonzero(native)
        held = [result.histogram(at, 0) for at in order[rows_of].tolist()]
        for row, text in zip(rows_of.tolist(), histograms_json(held, Heads()), strict=True):
            at = int(order[row])
            rows[row] = b'{"metric":' + orjson.dumps(labels[at]) + before + text + b"]}"
    return b"[", b",".join(rows), b"]"


def _matrix(result: Result, before: bytes, after: bytes) -> bytes:
    memo, known, held = result.memo, None, (0, 0)
    if memo is not None:
        known, held = memo.before if isinstance(memo.before, _Written) else None, memo.held
    if known is None or not known.is_of(result.times, held, before, after):
        known = _written(result, known, held, before, after)
    if memo is not None:
        memo.written, memo.before = known, None
    return known.text


def _written(
    result: Result, known: "_Written | None", held: tuple[int, int], before: bytes, after: bytes
) -> "_Written":
    heads = _heads(result) if known is None else known.heads
    pieces = _pieces(result, known, held)
    texts = [piece.text for piece in pieces]
    bounds = [zip(piece.begins.tolist(), piece.ends.tolist(), strict=True) for piece in pieces]
    places = list(zip(*bounds, strict=True))
    parts: list[bytes | memoryview] = [before]
    for at in heads.order:  # the texts are copied once, when all are there
        parts.append(heads.texts[at])
        for text, (begin, end) in zip(texts, places[at], strict=True):
            if begin < end:
                parts += text[begin:end], b","
        parts[-1] = b"]},"
    if heads.order:
        parts[-1] = b"]}"
    parts.append(after)
    whole = b"".join(parts)
    return _Written(whole, (before, after), result.times, heads, _placed(whole, len(before), heads, pieces))


def _mixed_matrix(result: Result) -> Sequence[bytes]:
    """Write series of floats, of histograms, or of both."""
    labels, order = result.by_labels()
    native, heads = result.native(), Heads()
    stamps = [stamp(time_ms) + b"," for time_ms in result.times.tolist()]
    floats = points(Stamps(result.times), result.values, result.present & ~native)
    rows = []
    for at in order.tolist():
        steps = np.flatnonzero(native[at])
        texts = histograms_json(result.histograms_at(at, steps), heads)
        written = [b"[" + stamps[step] + text + b"]" for step, text in zip(steps.tolist(), texts, strict=True)]
        text = floats.text[floats.begins[at] : floats.ends[at]]
        of_floats = b"".join((b',"values":[', text, b"]")) if len(text) else b""
        of_histograms = b',"histograms":[' + b",".join(written) + b"]" if written else b""
        rows.append(b'{"metric":' + orjson.dumps(labels[at]) + of_floats + of_histograms + b"}")
    return b"[", b",".join(rows), b"]"


@dataclass(frozen=True, slots=True)
class _Heads:
    """What stands before each series' points, and the order of the series in the answer."""

    texts: list[bytes]
    order: list[int]


@dataclass(frozen=True, slots=True, eq=False)
class _Written:
    """A matrix that was written, for the next that begins with other steps.

    text     the whole answer
    around   what stands before and after the series
    """

    text: bytes
    around: tuple[bytes, bytes]
    times: Times
    heads: _Heads
    points: Points

    def is_of(self, times: Times, held: tuple[int, int], before: bytes, after: bytes) -> bool:
        """Say whether this is the answer with all these steps, none of which has changed."""
        steps = len(times) == len(self.times) and (self.times[0], self.times[-1]) == held
        return steps and self.around == (before, after)


def _heads(result: Result) -> _Heads:
    labels, order = result.by_labels()
    return _Heads([b'{"metric":' + orjson.dumps(one) + b',"values":[' for one in labels], order.tolist())


def _pieces(result: Result, before: _Written | None, held: tuple[int, int]) -> list[Points]:
    """Write the points of the steps that are not in the answer before; give all, by stretches of steps."""
    times = result.times
    if before is None:
        return [points(Stamps(times), result.values, result.present)]
    low, high = np.searchsorted(times, [held[0], held[1] + 1]).tolist()
    first = int(np.searchsorted(before.times, held[0]))
    pieces = [before.points.between(first, first + high - low)]
    if low:
        pieces.insert(0, points(Stamps(times[:low]), result.values[:, :low], result.present[:, :low]))
    if high < len(times):
        pieces.append(points(Stamps(times[high:]), result.values[:, high:], result.present[:, high:]))
    return pieces


def _placed(text: bytes, start: int, heads: _Heads, pieces: list[Points]) -> Points:
    """Say where each series' points are in what was written of all pieces from a place on."""
    lengths = pieces[0].lengths if len(pieces) == 1 else np.concatenate([one.lengths for one in pieces], axis=1)
    order = np.array(heads.order, np.int64)
    sizes = lengths.sum(axis=1, dtype=np.int64)[order] - 1
    before = np.array([len(text) for text in heads.texts], np.int64)[order]
    ends = start + np.cumsum(before + sizes + len("]},")) - len("]},")
    begins = np.empty((2, len(order)), np.int64)
    begins[:, order] = ends - sizes, ends
    return Points(memoryview(text), begins[0], begins[1], lengths)


_RENDER = {Type.SCALAR: _scalar, Type.STRING: _string, Type.VECTOR: _vector}
