"""What may be set about queries."""

from watchkeeper.model.document import Settings, setting


class QuerySettings(Settings):
    """Limits of queries and the defaults that an expression leaves open; names follow Prometheus' flags."""

    max_samples: int = setting(
        50_000_000, "Samples and results that one query may hold in memory at once.", unit="samples", ge=1
    )
    timeout_ms: int = setting(120_000, "A query that takes longer is aborted.", unit="ms", ge=1)
    max_concurrency: int = setting(20, "Queries over HTTP that are evaluated at the same time.", ge=1)
    waiting_max: int = setting(1000, "Queries over HTTP that may wait for their turn; more are answered 503.", ge=1)
    memory_bytes_max: int = setting(
        1 << 30, "What all queries together may hold in samples and results.", unit="bytes", ge=1 << 20
    )
    lookback_delta_ms: int = setting(300_000, "How old a sample may be to count as current.", unit="ms", ge=1)
    points_max: int = setting(11_000, "Steps that one range query may have.", unit="points", ge=1)
    subquery_step_ms: int = setting(60_000, "Step of a subquery that names none.", unit="ms", ge=1)
    expression_bytes_max: int = setting(262_144, "Longest expression that is parsed.", unit="bytes", ge=1)
    depth_max: int = setting(100, "How deep an expression may nest.", ge=1)
    kept_bytes_max: int = setting(
        96 << 20, "Answers of range queries kept for the next refresh; 0 keeps none.", unit="bytes", ge=0
    )
    batch_queries_max: int = setting(100, "Queries in one batch request.", ge=1)
    experimental_functions: bool = setting(
        default=True, description="Allow the functions and aggregations that Prometheus calls experimental."
    )
