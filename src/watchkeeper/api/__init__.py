"""Compatible HTTP APIs: Prometheus, Alertmanager, Loki, management; one function a route."""
