"""Dashboards in Grafana's JSON, and the built web UI."""
