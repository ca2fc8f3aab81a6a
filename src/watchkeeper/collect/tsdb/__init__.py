"""Reads the data directory of a real Prometheus: blocks, and what is in its write-ahead log.

source  Prometheus, tsdb/docs/format
"""
