"""The host's own metrics, with the names and labels of Prometheus' node exporter, read from /proc and /sys."""

from watchkeeper.exporters.node.collect import collect

__all__ = ["collect"]
