"""The bit patterns that tell stale, absent and reported NaN from each other."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.model.frame import ABSENT, NORMAL_NAN_BITS, STALE, Layout, is_absent, is_stale

REPORTED_NAN = np.uint64(NORMAL_NAN_BITS).view(np.float64)


def test_three_nans_are_three_things() -> None:
    values = np.array([STALE, ABSENT, REPORTED_NAN, np.nan, 1.0])
    assert np.isnan(values[:4]).all()
    assert is_stale(values).tolist() == [True, False, False, False, False]
    assert is_absent(values).tolist() == [False, True, False, False, False]


@given(st.lists(st.floats(), max_size=20))
def test_no_float_of_python_is_taken_for_stale_or_absent(values: list[float]) -> None:
    array = np.array(values, np.float64)
    marked = is_stale(array) | is_absent(array)
    bits = array.view(np.uint64)
    assert np.array_equal(marked, (bits == STALE.view(np.uint64)) | (bits == ABSENT.view(np.uint64)))


def test_marks_survive_python_floats() -> None:
    assert is_absent(np.array([float(ABSENT)])).all() and is_stale(np.array([float(STALE)])).all()


def test_two_dimensions_keep_their_shape() -> None:
    assert is_absent(np.full((2, 3), ABSENT)).shape == (2, 3)


def test_layout_is_named_by_identity() -> None:
    columns = np.arange(3, dtype=np.int32)
    assert Layout(1, "a", columns) != Layout(1, "a", columns) and len(Layout(1, "a", columns)) == 3
