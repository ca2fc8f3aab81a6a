"""Native histograms as values: bounds, spans, resolution, the zero bucket."""

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.model.errors import BadInput
from watchkeeper.model.histogram import (
    CUSTOM_BUCKETS,
    Buckets,
    Hint,
    Histogram,
    buckets,
    exponential_bounds,
    from_spans,
    to_spans,
)


def side(**counts: float) -> Buckets:
    """Write buckets as i1=2.0, n3=1.0 (index -3)."""
    found = sorted((int(name[1:]) * (-1 if name[0] == "n" else 1), count) for name, count in counts.items())
    return buckets(np.array([index for index, _ in found], np.int64), np.array([count for _, count in found], float))


def bound(index: int, schema: int) -> float:
    return float(exponential_bounds(np.array([index]), schema)[0])


def test_bounds_are_those_that_prometheus_shows() -> None:
    assert [bound(index, 0) for index in (-1, 0, 1, 4)] == [0.5, 1.0, 2.0, 16.0]
    assert [bound(index, -1) for index in (-1, 0, 1, 2)] == [0.25, 1.0, 4.0, 16.0]
    assert [bound(index, 2) for index in (-3, -2, -1)] == [0.5946035575013605, 0.7071067811865475, 0.8408964152537144]
    assert bound(-1, 8) == 0.9972960560854698 and bound(-128, 8) == 0.7071067811865475


@pytest.mark.parametrize("schema", range(-4, 9))
def test_bounds_of_each_schema_are_powers_and_those_of_the_next_finer_one(schema: int) -> None:
    index = np.arange(-50, 50)
    found = exponential_bounds(index, schema)
    assert np.allclose(found, 2.0 ** (index * 2.0**-schema), rtol=1e-14)
    if schema < 8:
        assert (exponential_bounds(index * 2, schema + 1) == found).all()
    last = 1024 * 2**schema if schema >= 0 else 1024 >> -schema
    assert bound(int(last), schema) == sys.float_info.max and bound(int(last) + 1, schema) == math.inf


@given(st.dictionaries(st.integers(-40, 40), st.integers(1, 9), max_size=12))
def test_spans_hold_exactly_the_buckets(counts: dict[int, int]) -> None:
    index = sorted(counts)
    held = buckets(np.array(index, np.int64), np.array([counts[at] for at in index], float))
    back = from_spans(to_spans(held), held.counts)
    assert back.index.tolist() == index and back.counts.tolist() == held.counts.tolist()


def test_spans_cut_otherwise_and_empty_buckets_are_the_same_histogram() -> None:
    whole = from_spans([(1, 4)], np.array([1.0, 0.0, 2.0, 3.0]))
    parts = from_spans([(1, 1), (1, 1), (0, 1)], np.array([1.0, 2.0, 3.0]))
    assert Histogram(6, 9, positive=whole) == Histogram(6, 9, positive=parts)
    assert Histogram(6, 9, positive=whole) != Histogram(6, 9, negative=whole)
    assert Histogram(6, math.nan) == Histogram(6, math.nan)


@pytest.mark.parametrize("spans", [[(0, 2)], [(0, 1), (-1, 2)], [(0, 4)]])
def test_spans_that_fit_no_buckets_are_refused(spans: list[tuple[int, int]]) -> None:
    with pytest.raises(BadInput, match="span"):
        from_spans(spans, np.ones(3))


@given(
    st.dictionaries(st.integers(-40, 40), st.integers(1, 9), min_size=1, max_size=12),
    st.integers(-4, 8),
    st.integers(-4, 8),
)
def test_a_coarser_histogram_counts_the_same_in_wider_buckets(counts: dict[int, int], one: int, other: int) -> None:
    fine, coarse = max(one, other), min(one, other)
    index = np.array(sorted(counts))
    held = buckets(index, np.array([counts[at] for at in index], float))
    merged = Histogram(1, 1, schema=fine, positive=held).at_resolution(coarse)
    want: dict[int, float] = {}
    for at, count in counts.items():
        wide = -(-at // 2 ** (fine - coarse))  # rounded up: a bucket is named by its upper end
        want[wide] = want.get(wide, 0) + count
    assert dict(zip(merged.positive.index.tolist(), merged.positive.counts.tolist(), strict=True)) == want
    assert merged.schema == coarse


def test_a_zero_bucket_grows_to_the_end_of_a_bucket_that_it_would_cut() -> None:
    held = Histogram(9, 1, zero_threshold=0.1, zero_count=1, positive=side(i0=1, i1=2, i3=4), negative=side(i2=1))
    wide = held.with_zero_threshold(1.5)  # cuts (1, 2]; then [-4, -2) begins where 2 ends
    assert (wide.zero_threshold, wide.zero_count) == (2.0, 4.0)
    assert wide.positive.index.tolist() == [3] and wide.negative.index.tolist() == [2]
    assert held.with_zero_threshold(3.0).zero_threshold == 4.0  # cut on the negative side; (4, 8] stays
    assert held.with_zero_threshold(0.3).zero_threshold == 0.3  # nothing there to cut


def test_buckets_are_seen_from_the_lowest_to_the_highest() -> None:
    held = Histogram(9, 1, zero_threshold=0.5, zero_count=1, positive=side(i0=1, i1=2), negative=side(i1=3))
    assert [(bucket.lower, bucket.upper, bucket.count) for bucket in held.spread()] == [
        (-2, -1, 3),
        (-0.5, 0.5, 1),
        (0.5, 1, 1),
        (1, 2, 2),
    ]
    custom = Histogram(3, 1, CUSTOM_BUCKETS, positive=side(i0=1, i2=2), bounds=np.array([5.0, 10.0]))
    assert [(bucket.lower, bucket.upper, bucket.lower_inclusive) for bucket in custom.spread()] == [
        (-math.inf, 5, True),
        (10, math.inf, False),
    ]


def test_scaling_scales_all_counts_and_a_negative_factor_makes_a_gauge() -> None:
    held = Histogram(4, 8, zero_threshold=0.5, zero_count=1, positive=side(i0=1, i1=2), hint=Hint.RESET)
    twice = held.times(2)
    assert (twice.count, twice.sum, twice.zero_count, twice.positive.counts.tolist()) == (8, 16, 2, [2, 4])
    assert twice.hint is Hint.RESET and (-held).hint is Hint.GAUGE and twice.over(2) == held
    nothing = held.over(0)
    assert nothing.count == math.inf and not len(nothing.positive)
