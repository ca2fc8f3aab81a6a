"""Moments as Go's encoders write them."""

from datetime import UTC, datetime


def rfc3339(time_ms: int) -> str:
    """Give Unix milliseconds as RFC 3339 in UTC, whole seconds."""
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
