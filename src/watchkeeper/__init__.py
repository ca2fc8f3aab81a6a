"""watchkeeper: metrics, logs, rules, alerts, dashboards and an agents' gateway in one program."""

__version__ = "0.1.0"
