"""Native histograms as test scripts write them: {{schema:1 sum:5 count:4 buckets:[1 2 1]}}.

source  Prometheus 3.5, promql/parser: histogram descriptions of series
"""

import re

import numpy as np

from watchkeeper.model.errors import BadInput
from watchkeeper.model.frame import Floats
from watchkeeper.model.histogram import CUSTOM_BUCKETS, SCHEMA_MAX, SCHEMA_MIN, Hint, Histogram, from_spans
from watchkeeper.query.promql.numerals import go_general, go_parse

_FIELD = re.compile(r"\s*(\w+):(\[[^\]]*\]|[^\s\]]+)")
_HINTS = {"unknown": Hint.UNKNOWN, "reset": Hint.RESET, "not_reset": Hint.NO_RESET, "gauge": Hint.GAUGE}
_LISTS = {"buckets", "n_buckets", "custom_values"}
_WHOLE = {"schema", "offset", "n_offset"}
_NUMBERS = {"sum", "count", "z_bucket", "z_bucket_w"}


def read_histogram(text: str) -> Histogram:
    """Read what stands between {{ and }}.

    raises  BadInput: a field that is unknown, given twice, or of another kind
    """
    fields: dict[str, list[float]] = {}
    hint, at = Hint.UNKNOWN, 0
    while text[at:].strip():
        found = _FIELD.match(text, at)
        if found is None:
            raise BadInput(f"cannot read histogram: got {text[at:].strip()!r}, want a field such as count:4")
        name, value = found.groups()
        if name in fields:
            raise BadInput(f"cannot read histogram: got {name} twice, want each field once")
        fields[name] = []
        if name == "counter_reset_hint":
            if value not in _HINTS:
                raise BadInput(
                    f"cannot read histogram: got counter_reset_hint {value!r}, want one of {', '.join(_HINTS)}"
                )
            hint = _HINTS[value]
        else:
            fields[name] = _numbers(name, value)
        at = found.end()
    return _built({name: found for name, found in fields.items() if found}, hint)


def write_histogram(histogram: Histogram) -> str:
    """Write a histogram as test files have it, hint and all.

    source  Prometheus 3.5, model/histogram FloatHistogram.TestExpression
    """
    own = (("count", histogram.count), ("sum", histogram.sum), ("z_bucket", histogram.zero_count))
    parts = [f"schema:{histogram.schema}"] if histogram.schema else []
    parts += [
        f"{name}:{go_general(value)}" for name, value in (*own, ("z_bucket_w", histogram.zero_threshold)) if value
    ]
    if histogram.custom:
        parts.append(f"custom_values:{_listed(histogram.bounds)}")
    parts += [
        f"counter_reset_hint:{name}" for name, hint in _HINTS.items() if hint is histogram.hint is not Hint.UNKNOWN
    ]
    for prefix, side in (("", histogram.positive), ("n_", histogram.negative)):
        if len(side):
            counts = np.zeros(int(side.index[-1] - side.index[0]) + 1)
            counts[side.index - side.index[0]] = side.counts
            parts += [f"{prefix}offset:{side.index[0]}"] if side.index[0] else []
            parts.append(f"{prefix}buckets:{_listed(counts)}")
    return "{{" + " ".join(parts) + "}}"


def _listed(numbers: Floats) -> str:
    return f"[{' '.join(map(go_general, numbers.tolist()))}]"


def _numbers(name: str, text: str) -> list[float]:
    if name not in _LISTS | _WHOLE | _NUMBERS:
        raise BadInput(f"cannot read histogram: got field {name!r}, want one that histograms have")
    if text.startswith("[") != (name in _LISTS):
        raise BadInput(f"cannot read histogram: got {name}:{text}, want {'a list' if name in _LISTS else 'a number'}")
    read = [go_parse(part) for part in text.strip("[]").split()]
    numbers = [number for number in read if number is not None]
    if len(numbers) < len(read) or (name in _WHOLE and not _is_int32(numbers[0])):
        raise BadInput(f"cannot read histogram: got {name}:{text}, want {'whole ' if name in _WHOLE else ''}numbers")
    return numbers


def _is_int32(number: float) -> bool:
    return number.is_integer() and abs(number) < 1 << 31


def _built(fields: dict[str, list[float]], hint: Hint) -> Histogram:
    one = {name: fields[name][0] for name in _WHOLE | _NUMBERS if name in fields}
    schema = int(one.get("schema", 0))
    if not SCHEMA_MIN <= schema <= SCHEMA_MAX and schema != CUSTOM_BUCKETS:
        raise BadInput(
            f"cannot read histogram: got schema {schema}, want {SCHEMA_MIN} to {SCHEMA_MAX}, or {CUSTOM_BUCKETS}"
        )
    sides = []
    for prefix in ("", "n_"):
        counts = np.array(fields.get(f"{prefix}buckets", []))
        sides.append(from_spans([(int(one.get(f"{prefix}offset", 0)), len(counts))], counts))
    return Histogram(
        count=one.get("count", 0.0),
        sum=one.get("sum", 0.0),
        schema=schema,
        zero_threshold=one.get("z_bucket_w", 0.0),
        zero_count=one.get("z_bucket", 0.0),
        positive=sides[0],
        negative=sides[1],
        bounds=np.array(fields.get("custom_values", [])),
        hint=hint,
    )
