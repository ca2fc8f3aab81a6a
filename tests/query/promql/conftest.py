"""Fixtures of the differential tests."""

from tests.query.promql.promql_peer import ours, prometheus

__all__ = ["ours", "prometheus"]
