"""The points of matrices, written by columns, equal those written one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.api.points_json import Points, Stamps, number_text, points, stamp
from watchkeeper.model.frame import Floats

_NUMBERS = st.floats() | st.integers(-(10**18), 10**18).map(float) | st.sampled_from([0.0, -0.0, 1e-7, 1e15, 1e21])


@given(st.lists(st.lists(st.none() | _NUMBERS, min_size=4, max_size=4), min_size=1, max_size=8), st.data())
def test_points_equal_those_written_one_by_one(rows: list[list[float | None]], data: st.DataObject) -> None:
    rows = [row for row in rows if any(value is not None for value in row)] or [[1.0, None, None, None]]
    times = np.array(data.draw(st.lists(st.integers(-(10**5), 10**13), min_size=4, max_size=4)), np.int64)
    values = np.array([[7.0 if value is None else value for value in row] for row in rows])
    present = np.array([[value is not None for value in row] for row in rows])
    expected = [
        b",".join(
            b"[" + stamp(int(time_ms)) + b',"' + number_text(value) + b'"]'
            for time_ms, value in zip(times, row, strict=True)
            if value is not None
        )
        for row in rows
    ]
    assert _texts(points(Stamps(times), values, present)) == expected


@pytest.mark.parametrize("step_ms", [60_000, 250])
def test_many_points_are_written_in_parts(step_ms: int) -> None:
    chance = np.random.default_rng(3)
    values: Floats = np.round(chance.normal(size=(37, 1000)) * 10.0 ** chance.integers(-8, 8, (37, 1)), 4).astype(
        np.float64
    )
    times = 1_700_000_000_000 + np.arange(1000) * step_ms
    found = points(Stamps(times), values, np.ones(values.shape, np.bool_))
    assert _texts(found)[36] == b",".join(
        b"[" + stamp(int(at)) + b',"' + number_text(float(value)) + b'"]'
        for at, value in zip(times, values[36], strict=True)
    )


def test_points_of_some_steps_are_those_written_alone() -> None:
    chance = np.random.default_rng(4)
    values: Floats = np.round(chance.normal(size=(7, 50)) * 1000, chance.integers(0, 4)).astype(np.float64)
    present = chance.random(values.shape) < 0.7
    present[0], present[1], present[2, 20:] = False, True, False
    times = 1_700_000_000_123 + np.arange(50) * 15_000
    whole = points(Stamps(times), values, present)
    for low, high in ((0, 50), (0, 20), (20, 50), (13, 29), (49, 50)):
        alone = points(Stamps(times[low:high]), values[:, low:high], present[:, low:high])
        assert _texts(whole.between(low, high)) == _texts(alone)


def _texts(found: Points) -> list[bytes]:
    bounds = zip(found.begins.tolist(), found.ends.tolist(), strict=True)
    return [bytes(found.text[begin:end]) for begin, end in bounds]
