"""Native histograms added, subtracted, compared in time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.model.histogram import CUSTOM_BUCKETS, Hint, Histogram, buckets, from_spans
from watchkeeper.model.histogram_sum import IncompatibleSchemas, add, subtract, was_reset

COUNTS = st.dictionaries(st.integers(-20, 20), st.integers(1, 9), max_size=8)


def exponential(counts: dict[int, int], schema: int = 0, **more: float) -> Histogram:
    index = np.array(sorted(counts), np.int64)
    held = buckets(index, np.array([counts[at] for at in sorted(counts)], float))
    return Histogram(sum(counts.values()), 1.0, schema=schema, positive=held, **more)  # type: ignore[arg-type]


def custom(bounds: list[float], counts: list[float], hint: Hint = Hint.UNKNOWN) -> Histogram:
    held = from_spans([(0, len(counts))], np.array(counts))
    return Histogram(sum(counts), 1.0, CUSTOM_BUCKETS, positive=held, bounds=np.array(bounds), hint=hint)


def as_dict(histogram: Histogram) -> dict[int, float]:
    return dict(zip(histogram.positive.index.tolist(), histogram.positive.counts.tolist(), strict=True))


@given(COUNTS, COUNTS)
def test_a_sum_is_that_of_each_bucket_and_taking_away_gives_back(one: dict[int, int], other: dict[int, int]) -> None:
    left, right = exponential(one), exponential(other)
    summed = add(left, right).histogram
    assert as_dict(summed) == {at: one.get(at, 0) + other.get(at, 0) for at in one.keys() | other.keys()}
    assert subtract(summed, right).histogram == left


def test_a_sum_has_the_coarser_resolution_and_the_wider_zero_bucket() -> None:
    fine = exponential({-3: 1, 1: 1, 2: 1, 3: 1}, schema=1, zero_threshold=0.001)
    coarse = exponential({1: 5, 2: 5}, zero_threshold=0.5, zero_count=2.0)
    found = add(fine, coarse).histogram
    assert (found.schema, found.zero_threshold, found.zero_count) == (0, 0.5, 3.0)  # 2^-1.5 is in the zero bucket now
    assert as_dict(found) == {1: 7, 2: 6}
    assert add(coarse, fine).histogram == found


def test_custom_buckets_are_merged_to_the_bounds_that_both_have() -> None:
    found = add(custom([1, 2, 5], [1, 2, 3, 4]), custom([2, 5, 10], [10, 20, 30, 40]))
    assert found.reconciled and found.histogram.bounds.tolist() == [2, 5]
    assert as_dict(found.histogram) == {0: 13, 1: 23, 2: 74}
    assert not add(custom([1], [1, 2]), custom([1], [1, 2])).reconciled


def test_exponential_and_custom_buckets_are_not_combined() -> None:
    with pytest.raises(IncompatibleSchemas):
        add(exponential({1: 1}), custom([1], [1]))


@pytest.mark.parametrize(
    ("left", "right", "both", "collision"),
    [
        (Hint.GAUGE, Hint.RESET, Hint.GAUGE, False),
        (Hint.UNKNOWN, Hint.GAUGE, Hint.GAUGE, False),
        (Hint.UNKNOWN, Hint.RESET, Hint.UNKNOWN, False),
        (Hint.NO_RESET, Hint.RESET, Hint.UNKNOWN, True),
        (Hint.NO_RESET, Hint.NO_RESET, Hint.NO_RESET, False),
    ],
)
def test_a_sum_knows_what_both_know_of_resets(left: Hint, right: Hint, both: Hint, collision: bool) -> None:
    found = add(custom([1], [1], left), custom([1], [1], right))
    assert (found.histogram.hint, found.collision) == (both, collision)


@given(COUNTS, COUNTS)
def test_a_counter_that_only_grows_was_not_reset_and_its_past_would_be(
    one: dict[int, int], other: dict[int, int]
) -> None:
    before = exponential(one)
    now = add(before, exponential(other)).histogram
    assert not was_reset(now, before)
    assert was_reset(before, now) == bool(other)


def test_a_reset_is_seen_in_a_bucket_a_resolution_a_threshold_and_a_hint() -> None:
    before = exponential({1: 4, 2: 4})
    assert was_reset(exponential({1: 3, 2: 6}), before)
    assert was_reset(exponential({1: 8, 2: 8}, schema=1), before)
    assert not was_reset(exponential({0: 4, 1: 8}, schema=-1), before)
    assert was_reset(exponential({1: 8, 2: 8}), exponential({1: 4, 2: 4}, zero_threshold=0.1))
    assert was_reset(exponential({2: 9}, zero_threshold=1.5), before)  # cuts the populated (1, 2]
    assert not was_reset(exponential({2: 9}, zero_threshold=2.0, zero_count=4.0), before)
    assert not was_reset(custom([1], [1], Hint.NO_RESET), custom([1], [2]))
    assert was_reset(custom([1], [3], Hint.RESET), custom([1], [2]))
    assert was_reset(custom([1], [1, 9]), custom([1, 2], [2, 1, 1])) and was_reset(custom([1], [9]), before)
