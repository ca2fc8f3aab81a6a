"""Metrics about what cannot tell its own: hosts, containers, databases; one source each."""
