"""Fixtures of the differential tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # so that the tests can import promql_peer

from promql_peer import ours, prometheus

__all__ = ["ours", "prometheus"]
