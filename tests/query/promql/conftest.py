"""Fixtures of the differential tests."""

from tests.query.promql.histogram_peer import our_histograms, prometheus_histograms
from tests.query.promql.promql_peer import ours, prometheus

__all__ = ["our_histograms", "ours", "prometheus", "prometheus_histograms"]
