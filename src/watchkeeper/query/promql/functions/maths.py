"""Functions of one number after the other.

source  Prometheus 3.5, promql/functions.go
"""

from collections.abc import Callable

import numpy as np

from watchkeeper.model.frame import Floats
from watchkeeper.query.promql.functions.applied import Applied
from watchkeeper.query.promql.matrix import Value


def _each(function: Callable[[Floats], Floats]) -> Callable[[Applied], Value]:
    def apply(call: Applied) -> Value:
        vector = call.vector()
        return call.answer(vector, function(vector.values))

    return apply


def _larger(left: Floats, right: Floats) -> Floats:
    """Give the larger; infinity is larger than NaN, as Go's math.Max has it."""
    return np.where(np.isposinf(left) | np.isposinf(right), np.inf, np.maximum(left, right))


def _smaller(left: Floats, right: Floats) -> Floats:
    """Give the smaller; minus infinity is smaller than NaN, as Go's math.Min has it."""
    return np.where(np.isneginf(left) | np.isneginf(right), -np.inf, np.minimum(left, right))


def _clamp(call: Applied) -> Value:
    vector, lowest, highest = call.vector(), call.scalar(1), call.scalar(2)
    values = _larger(lowest, _smaller(highest, vector.values))
    return call.answer(vector, values, vector.present & ~(highest < lowest))


def _clamp_max(call: Applied) -> Value:
    vector = call.vector()
    return call.answer(vector, _smaller(call.scalar(1), vector.values))


def _clamp_min(call: Applied) -> Value:
    vector = call.vector()
    return call.answer(vector, _larger(call.scalar(1), vector.values))


def _round(call: Applied) -> Value:
    vector = call.vector()
    inverse = 1.0 / (call.scalar(1) if len(call.args) > 1 else np.ones(1))  # as upstream: dividing by 0.1 rounds worse
    return call.answer(vector, np.floor(vector.values * inverse + 0.5) / inverse)


def _sign(values: Floats) -> Floats:
    return np.where(values < 0, -1.0, np.where(values > 0, 1.0, values))


_EACH: dict[str, Callable[[Floats], Floats]] = {
    "abs": np.abs, "ceil": np.ceil, "floor": np.floor, "exp": np.exp, "sqrt": np.sqrt,
    "ln": np.log, "log2": np.log2, "log10": np.log10, "sgn": _sign,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "rad": lambda values: values * np.pi / 180, "deg": lambda values: values * 180 / np.pi,
}  # fmt: skip

VECTOR: dict[str, Callable[[Applied], Value]] = {
    **{name: _each(function) for name, function in _EACH.items()},
    "clamp": _clamp,
    "clamp_max": _clamp_max,
    "clamp_min": _clamp_min,
    "round": _round,
}
