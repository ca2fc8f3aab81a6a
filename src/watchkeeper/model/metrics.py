"""The process's own counters, served on /metrics; each stage declares its own at the top of its module.

Names begin with `watchkeeper_`, units last, as Prometheus' naming guide has it. Where Prometheus, Alertmanager or
Loki has a metric for the same thing, its name is used, so that their dashboards and rules work.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, disable_created_metrics
from prometheus_client.exposition import generate_latest

from watchkeeper.model.quantiles import Quantiles

disable_created_metrics()  # type: ignore[no-untyped-call]  # in the text format they would be a third more series that nobody asks for
GO_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # Prometheus' client's, which peers use
REGISTRY = CollectorRegistry(auto_describe=True)


def counter(name: str, help_text: str, labels: tuple[str, ...] = ()) -> Counter:
    """Declare a counter; the name without `_total`."""
    return Counter(name, help_text, labels, registry=REGISTRY)


def gauge(name: str, help_text: str, labels: tuple[str, ...] = ()) -> Gauge:
    """Declare a gauge."""
    return Gauge(name, help_text, labels, registry=REGISTRY)


def summary(name: str, help_text: str, labels: tuple[str, ...] = (), quantiles: tuple[float, ...] = ()) -> Summary:
    """Declare a summary: count, sum, and quantiles of the last ten minutes if any are wanted."""
    return Quantiles(name, help_text, labels, registry=REGISTRY, quantiles=quantiles)


def histogram(
    name: str,
    help_text: str,
    labels: tuple[str, ...] = (),
    buckets: tuple[float, ...] = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10),
) -> Histogram:
    """Declare a histogram; buckets in the unit of its name."""
    return Histogram(name, help_text, labels, buckets=buckets, registry=REGISTRY)


def exposition() -> bytes:
    """Give all of them in the text format 0.0.4."""
    return generate_latest(REGISTRY)
