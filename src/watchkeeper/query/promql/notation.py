"""Series as test files write them: a metric, then samples such as `1 2 _ 3+4x5 stale {{count:1}}x3`.

source  Prometheus, promql/promqltest/README.md; promql/parser: series descriptions
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from watchkeeper.model.classic_histogram import ClassicHistogram
from watchkeeper.model.errors import BadInput
from watchkeeper.model.frame import STALE
from watchkeeper.model.histogram import Hint, Histogram
from watchkeeper.model.histogram_sum import IncompatibleSchemas, add, goes_on, subtract
from watchkeeper.model.labels import METRIC_NAME
from watchkeeper.query.promql.lexer import unquote
from watchkeeper.query.promql.literal import read_histogram
from watchkeeper.query.promql.numerals import go_parse

_NUMBER = r"(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|inf|nan|0x[0-9a-f]+)"
_ITEM = re.compile(rf"([-+]?{_NUMBER}|_|stale)([-+]{_NUMBER})?(?:x(\d+))?", re.IGNORECASE)
_HISTOGRAMS = re.compile(r"\{\{([^{}]*)\}\}(?:([-+])\{\{([^{}]*)\}\})?(?:x(\d+))?", re.ASCII)
_WORD = re.compile(r"\{\{[^{}]*\}\}(?:[-+]\{\{[^{}]*\}\})?(?:x\d+)?|\S+", re.ASCII)
_METRIC = re.compile(
    r"""([a-zA-Z_:][\w:]*)?\s*(\{(?!\{)(?:[^"'}]|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')*\})?""", re.ASCII
)
_PAIR = re.compile(r"""(?:([a-zA-Z_]\w*|"(?:\\.|[^"\\])*")\s*=\s*)?("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""", re.ASCII)
_STEPS_MAX = 100_000

Key = tuple[tuple[str, str], ...]
Sample = float | Histogram


def read_metric(line: str) -> tuple[Key, str]:
    """Read a metric at the start of a line.

    returns  its labels, sorted, and the rest of the line
    raises   BadInput
    """
    found = _METRIC.match(line)
    if found is None or not found.group():
        raise BadInput(f"cannot read series {line!r}: want a metric first")
    labels = {METRIC_NAME: found.group(1)} if found.group(1) else {}
    for pair in _PAIR.finditer((found.group(2) or "{}")[1:-1]):
        name = METRIC_NAME if pair.group(1) is None else pair.group(1)
        labels[unquote(name) if name[0] == '"' else name] = unquote(pair.group(2))
    return tuple(sorted((name, value) for name, value in labels.items() if value)), line[found.end() :].strip()


def begins_with_metric(line: str) -> bool:
    """Tell whether a line names a series, with samples after it."""
    if _METRIC.match(line) is None or " " not in line.replace("\t", " "):
        return False
    return (line[0] == "{" and not line.startswith("{{")) or line[0].isalpha() or line[0] in "_:"


def read_samples(text: str) -> list[Sample | None]:
    """Expand samples, floats and histograms; None is no sample.

    raises  BadInput
    """
    samples: list[Sample | None] = []
    for word in _WORD.findall(text):
        samples += _histograms(word) if word.startswith("{{") else _expanded(word)
        if len(samples) > _STEPS_MAX:
            raise BadInput(f"cannot expand samples: got more than {_STEPS_MAX}")
    return samples


def read_sequence(text: str) -> list[float | None]:
    """Expand samples that may be floats only.

    raises  BadInput
    """
    values: list[float | None] = []
    for sample in read_samples(text):
        if isinstance(sample, Histogram):
            raise BadInput(f"cannot read samples {text[:60]!r}: got a histogram, want numbers")
        values.append(sample)
    return values


def _histograms(word: str) -> list[Sample | None]:
    found = _HISTOGRAMS.fullmatch(word)
    if found is None:
        raise BadInput(f"cannot read sample {word!r}: want a histogram, or {{{{a}}}}+{{{{b}}}}xn")
    first, sign, change, times = found.groups()
    now = read_histogram(first)
    samples: list[Sample | None] = [now]
    step = None if change is None else read_histogram(change)
    for _ in range(_times(times)):
        if step is not None:
            try:
                now = (add if sign == "+" else subtract)(now, step).histogram
            except IncompatibleSchemas:
                raise BadInput(f"cannot expand {word!r}: got exponential and custom buckets, want one kind") from None
        samples.append(now)
    return samples


def _times(text: str | None) -> int:
    count = int(text[:12]) if text else 0
    if count > _STEPS_MAX:
        raise BadInput(f"cannot expand samples: got {count}, want at most {_STEPS_MAX}")
    return count


def _expanded(item: str) -> list[Sample | None]:
    found = _ITEM.fullmatch(item)
    if found is None:
        number = go_parse(item)
        if number is None:
            raise BadInput(f"cannot read sample {item!r}: want a number, _, stale, or a+bxn")
        return [number]
    first, change, times = found.groups()
    count = _times(times)
    if first == "_":
        return [None] * (count if times else 1)
    if first.lower() == "stale":
        return [float(STALE)] * (count + 1)
    start = read_number(first)
    step = read_number(change) if change else 0.0
    values: list[Sample | None] = [start]
    for _ in range(count):
        start += step
        values.append(start)
    return values


def read_number(text: str) -> float:
    """Read one number.

    raises  BadInput
    """
    number = go_parse(text)
    if number is None:
        raise BadInput(f"cannot read number {text!r}")
    return number


# --- classic histograms as native ones ------------------------------------------------------------------------


def with_custom_buckets(series: Mapping[Key, Sequence[tuple[int, Sample]]]) -> dict[Key, list[tuple[int, Sample]]]:
    """Make native histograms with custom buckets of classic ones: of series x_bucket, x_count and x_sum."""
    found: dict[Key, dict[int, ClassicHistogram]] = {}
    for key, samples in series.items():
        labels = dict(key)
        name, _, part = labels.get(METRIC_NAME, "").rpartition("_")
        bound = go_parse(labels.pop("le", "")) if part == "bucket" else None
        if part not in ("bucket", "count", "sum") or (part == "bucket" and bound is None):
            continue
        whole = found.setdefault(tuple(sorted({**labels, METRIC_NAME: name}.items())), {})
        for at, value in samples:
            if isinstance(value, Histogram) or np.isnan(value):
                continue
            one = whole.setdefault(at, ClassicHistogram())
            if bound is not None:
                one.below[bound] = value
            elif part == "count":
                one.count = value
            else:
                one.sum = value
    return {key: [(at, one.native()) for at, one in sorted(whole.items())] for key, whole in found.items()}


def as_stored(samples: Sequence[Sample]) -> list[Sample]:
    """Give samples as Prometheus' own store reads them: what it knows of resets is where its chunks begin.

    A chunk begins where kind, layout or bounds change and where a counter was reset; only inside one it is known that
    there was none.
    """
    out: list[Sample] = []
    before: Histogram | None = None
    for sample in samples:
        if not isinstance(sample, Histogram):
            out.append(sample)
            before = None
            continue
        hint = Hint.NO_RESET if before is not None and goes_on(sample, before) else Hint.UNKNOWN
        out.append(sample if sample.hint is Hint.GAUGE else replace(sample, hint=hint))
        before = sample
    return out
