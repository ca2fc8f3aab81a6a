"""How long the parts of PromQL queries take, under Prometheus' names."""

from watchkeeper.model import metrics

_TIMINGS = metrics.summary(
    "prometheus_engine_query_duration_seconds", "Query timings", ("slice",), quantiles=(0.5, 0.9, 0.99)
)
QUEUED, PREPARED, EVALUATED = (_TIMINGS.labels(part) for part in ("queue_time", "prepare_time", "inner_eval"))
SAMPLES = metrics.counter("prometheus_engine_query_samples", "The total number of samples loaded by all queries.")
