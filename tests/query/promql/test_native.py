"""Quantiles, shares and deviations of one native histogram; figures of Prometheus' own test scripts."""

import math

import numpy as np
import pytest

from watchkeeper.model.histogram import CUSTOM_BUCKETS, NO_BUCKETS, Histogram, from_spans
from watchkeeper.query.promql.native import fraction, quantile, text, variance

ONE_TWO_ONE = from_spans([(0, 3)], np.array([1.0, 2.0, 1.0]))
SINGLE = Histogram(4, 5, positive=ONE_TWO_ONE)
NEGATIVE = Histogram(4, -5, negative=ONE_TWO_ONE)
BALANCED = Histogram(8, 0, positive=ONE_TWO_ONE, negative=ONE_TWO_ONE)
CUSTOM = Histogram(4, 5, CUSTOM_BUCKETS, positive=ONE_TWO_ONE, bounds=np.array([5.0, 10.0]))
ZERO = Histogram(1, 0.25, zero_threshold=0.5, zero_count=1)


def dense(*counts: float) -> Histogram:
    return Histogram(sum(counts), math.nan, positive=from_spans([(0, len(counts))], np.array(counts)))


@pytest.mark.parametrize(
    ("histogram", "share", "want"),
    [
        (SINGLE, 0.5, 1.414213562373095),
        (NEGATIVE, 0.5, -1.414213562373095),
        (BALANCED, 0.5, 0.5),
        (CUSTOM, 0.5, 7.5),
        (CUSTOM, 0.1, 2.0),
        (CUSTOM, 0.99, 10.0),
        (ZERO, 0.5, 0.0),
        (SINGLE, -1, -math.inf),
        (SINGLE, 2, math.inf),
    ],
)
def test_a_quantile_lies_within_its_bucket(histogram: Histogram, share: float, want: float) -> None:
    assert quantile(share, histogram) == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize(
    ("histogram", "lower", "upper", "want"),
    [
        (SINGLE, 1, 2, 0.5),
        (SINGLE, 0, 8, 1.0),
        (SINGLE, -math.inf, 1.4142135623730951, 0.5),
        (NEGATIVE, -2, -1, 0.5),
        (NEGATIVE, -1.4142135623730951, 0, 0.5),
        (BALANCED, 0, 4, 0.5),
        (CUSTOM, 5, 10, 0.5),
        (CUSTOM, -math.inf, 7.5, 0.5),
        (CUSTOM, 7.5, math.inf, 0.5),
        (ZERO, -0.25, 0.25, 0.5),
        (SINGLE, 2, 1, 0.0),
    ],
)
def test_a_share_of_observations_is_cut_within_buckets(
    histogram: Histogram, lower: float, upper: float, want: float
) -> None:
    assert fraction(lower, upper, histogram) == pytest.approx(want, rel=1e-12)


def test_nothing_observed_has_no_quantile_share_or_deviation() -> None:
    nothing = Histogram(0, 0)
    found = (quantile(0.5, nothing), fraction(0, 1, nothing), variance(nothing), quantile(math.nan, SINGLE))
    assert all(math.isnan(value) for value in found)


def test_observed_nans_lie_above_all() -> None:
    seen = dense(1, 2, 1)
    with_nan = Histogram(8, math.nan, positive=seen.positive)
    assert quantile(0.5, with_nan) == 4.0 and math.isnan(quantile(0.9, with_nan))
    assert fraction(-math.inf, math.inf, with_nan) == 0.5


@pytest.mark.parametrize(
    ("schema", "total", "counts", "want"),
    [
        (2, 10, [1, 0, 0, 0, 1, 0, 0, 1, 1], 1.163807968526718),
        (8, 10, [1, 2, 3, 4], 2.3971123370139447e-05),
    ],
)
def test_the_variance_takes_observations_for_the_middle_of_their_bucket(
    schema: int, total: float, counts: list[float], want: float
) -> None:
    held = from_spans([(0, len(counts))], np.array(counts, float))
    assert variance(Histogram(sum(counts), total, schema, positive=held)) == pytest.approx(want, rel=1e-12)


def test_the_variance_of_negative_observations() -> None:
    held = from_spans([(4, 1)], np.array([10.0]))
    assert variance(Histogram(10, -100, 0, positive=NO_BUCKETS, negative=held)) == pytest.approx(1.725830020304794)


def test_a_histogram_is_written_with_its_populated_buckets() -> None:
    held = Histogram(9, 1.5, zero_threshold=0.001, zero_count=1, positive=ONE_TWO_ONE, negative=ONE_TWO_ONE)
    assert text(held) == (
        "{count:9, sum:1.5, [-4,-2):1, [-2,-1):2, [-1,-0.5):1, [-0.001,0.001]:1, (0.5,1]:1, (1,2]:2, (2,4]:1}"
    )
    assert text(CUSTOM) == "{count:4, sum:5, [-Inf,5]:1, (5,10]:2, (10,+Inf]:1}"
