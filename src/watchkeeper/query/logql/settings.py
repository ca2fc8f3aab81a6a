"""Limits of log queries; Loki's names and defaults where it has them."""

from watchkeeper.model.document import Settings, setting


class LogQuerySettings(Settings):
    """What a log query may cost."""

    max_entries_limit_per_query: int = setting(5000, "Lines that one query may ask for.", gt=0)
    max_query_series: int = setting(500, "Series that a metric query may give.", gt=0)
    max_query_length_ms: int = setting(721 * 3_600_000, "Longest time range of a query.", unit="ms", gt=0)
    max_points: int = setting(11_000, "Steps of a range query.", gt=0)
    max_range_series: int = setting(100_000, "Series that a range such as [5m] may be counted into.", gt=0)
    max_samples: int = setting(20_000_000, "Values that unwrap may gather.", gt=0)
    max_result_bytes: int = setting(64 << 20, "Bytes of lines in one answer.", unit="bytes", gt=0)
    query_timeout_ms: int = setting(60_000, "A query that takes longer is ended.", unit="ms", gt=0)
