"""A result in columns, as JSON: what our own pages and data frames read without turning it round.

{"status", "type", "times": [ms], "series": [{"labels", "values"}], "warnings"}; null is no sample, "+Inf", "-Inf" and
"NaN" are strings; a native histogram is an object, as in Prometheus' answers
"""

import numpy as np
import orjson

from watchkeeper.api.histogram_json import histogram_json
from watchkeeper.query.promql.numerals import go_float
from watchkeeper.query.promql.result import Result

MEDIA_TYPE = "application/vnd.watchkeeper.columns+json"


def columns_of(result: Result) -> bytes:
    """Write a result in columns."""
    labels, order = result.by_labels()
    rows = range(len(labels)) if result.ordered else order.tolist()
    series = [b'{"labels":' + orjson.dumps(labels[at]) + b',"values":' + _cells(result, at) + b"}" for at in rows]
    times = orjson.dumps(result.times.tolist())
    notes = orjson.dumps([*result.warnings, *result.infos])
    head = f'{{"status":"success","type":"{result.kind.value}","times":'.encode()
    text = b',"text":' + orjson.dumps(result.text) if result.text else b""
    return b"".join((head, times, b',"series":[', b",".join(series), b"]", text, b',"warnings":', notes, b"}"))


def _cells(result: Result, row: int) -> bytes:
    """Write one series' values; orjson writes NaN as null, which is what stands for no sample."""
    present = result.present[row]
    values = result.values[row] if present.all() else np.where(present, result.values[row], np.nan)
    odd = np.nonzero(present & ~np.isfinite(values))[0]
    if not len(odd):
        return orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
    cells: list[float | str | orjson.Fragment] = values.tolist()
    native = result.native()[row] if result.histograms else np.zeros(len(values), np.bool_)
    for at in odd.tolist():
        fragment = orjson.Fragment(histogram_json(result.histogram(row, at))) if native[at] else None
        cells[at] = go_float(float(values[at])) if fragment is None else fragment
    return orjson.dumps(cells)
