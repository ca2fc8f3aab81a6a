"""The arithmetic of binary operators, a cell at a time."""

from collections.abc import Callable

import numpy as np

from watchkeeper.model.frame import Floats

COMPARISONS: dict[str, np.ufunc] = {
    "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip
ARITHMETIC: dict[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "%": np.fmod, "atan2": np.arctan2,
    "^": np.power,
}  # fmt: skip


def compute(op: str, left: Floats, right: Floats) -> Floats:
    """Apply an arithmetic operator, or a comparison that answers 1 or 0."""
    with np.errstate(all="ignore"):
        if op in COMPARISONS:
            return np.asarray(COMPARISONS[op](left, right), np.float64)
        return np.asarray(ARITHMETIC[op](left, right))
