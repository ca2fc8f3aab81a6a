"""A function's call with its arguments evaluated: what every family's functions take."""

from dataclasses import dataclass

import numpy as np

from watchkeeper.model.frame import Floats
from watchkeeper.model.labels import LabelTable
from watchkeeper.query.promql.ast import Call
from watchkeeper.query.promql.context import Query, Steps
from watchkeeper.query.promql.matrix import Mask, Scalar, Text, Value, Vector, nameless


@dataclass(frozen=True, slots=True, eq=False)
class Applied:
    """A call in evaluation. Argument readers are for functions whose signature promises the type."""

    node: Call
    args: list[Value]
    query: Query
    steps: Steps

    def vector(self, at: int = 0) -> Vector:
        """Give an argument that is a vector."""
        value = self.args[at]
        assert isinstance(value, Vector), self.node.name
        return value

    def scalar(self, at: int) -> Floats:
        """Give an argument that is a scalar, float64[steps]."""
        value = self.args[at]
        assert isinstance(value, Scalar), self.node.name
        return value.values

    def text(self, at: int) -> str:
        """Give an argument that is a string."""
        value = self.args[at]
        assert isinstance(value, Text), self.node.name
        return value.value

    def answer(self, vector: Vector, values: Floats, present: Mask | None = None) -> Vector:
        """Give a vector with new values for the same series, their metric's name dropped."""
        present = vector.present if present is None else present
        return nameless(Vector(vector.labels, values, present))

    def lone(self, values: Floats, present: Mask | None = None, labels: dict[str, str] | None = None) -> Vector:
        """Give a vector of one series."""
        table = LabelTable.from_labels([labels or {}], self.query.symbols)
        shape = (1, len(self.steps))
        there = np.ones(shape, np.bool_) if present is None else present.reshape(shape)
        return Vector(table, np.broadcast_to(values, shape), there)
