"""label_replace and label_join: work on each distinct value once, whatever the number of series.

source  Prometheus 3.5, promql/functions.go evalLabelReplace, evalLabelJoin
"""

import re
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from watchkeeper.model.errors import BadInput, BadQuery
from watchkeeper.model.pattern import Match, Pattern, compile_pattern
from watchkeeper.query.promql.functions.applied import Applied
from watchkeeper.query.promql.matrix import Value, Vector, unique_series

_NO_TEXT = "\ufffd"  # what bytes that are no UTF-8 became
_REFERENCE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))", re.ASCII)


def _label_replace(call: Applied) -> Value:
    vector, target, template, source = call.vector(), call.text(1), call.text(2), call.text(3)
    try:
        compile_pattern(regex := f"^(?s:{call.text(4)})$")
    except BadInput:
        raise BadQuery(f"invalid regular expression in label_replace(): {call.text(4)}") from None
    if not target or _NO_TEXT in target:
        raise BadQuery(f"invalid destination label name in label_replace(): {target}")
    codes = vector.labels.column(source)
    distinct, inverse = np.unique(codes, return_inverse=True)
    made, matched = [], []
    for text in call.query.symbols.texts(distinct):
        replaced = _replaced(regex, template, text)
        matched.append(replaced is not None)
        made.append(0 if replaced is None else call.query.symbols.code(replaced))
    if not any(matched):
        return vector
    new = np.array(made, np.int32)[inverse]
    kept = vector.labels.column(target)
    labels = vector.labels.replaced(target, np.where(np.array(matched)[inverse], new, kept).astype(np.int32))
    return unique_series(Vector(labels, vector.values, vector.present))


@lru_cache(maxsize=1 << 14)
def _replaced(regex: str, template: str, text: str) -> str | None:
    """Give what stands in a value's place; None where the pattern does not match."""
    pattern = compile_pattern(regex)
    found = pattern.search(text)
    return None if found is None else _expanded(template, pattern, found)


def _expanded(template: str, pattern: Pattern, found: Match) -> str:
    """Put groups into a template as Go's Regexp.Expand does; unknown ones are empty."""

    def group(reference: re.Match[str]) -> str:
        if reference.group(1):
            return "$"
        name = reference.group(2) or reference.group(3)
        if name.isdigit():
            return (found.group(int(name)) or "") if int(name) <= pattern.groups else ""
        return (found.group(name) or "") if name in pattern.groupindex else ""

    return _REFERENCE.sub(group, template)


def _label_join(call: Applied) -> Value:
    vector, target, separator = call.vector(), call.text(1), call.text(2)
    sources = [call.text(at) for at in range(3, len(call.args))]
    for source in sources:
        if not source:
            raise BadQuery(f"invalid source label name in label_join(): {source}")
    if not target:
        raise BadQuery(f"invalid destination label name in label_join(): {target}")
    if not len(vector.labels):
        return vector
    columns = [vector.labels.column(source) for source in sources] or [np.zeros(len(vector.labels), np.int32)]
    distinct, inverse = np.unique(np.stack(columns), axis=1, return_inverse=True)
    texts = [call.query.symbols.texts(row) for row in distinct]
    joined = [separator.join(parts) if sources else "" for parts in zip(*texts, strict=True)]
    codes = np.array([call.query.symbols.code(text) for text in joined], np.int32)
    labels = vector.labels.replaced(target, codes[inverse.reshape(-1)])
    return unique_series(Vector(labels, vector.values, vector.present))


VECTOR: dict[str, Callable[[Applied], Value]] = {"label_replace": _label_replace, "label_join": _label_join}
