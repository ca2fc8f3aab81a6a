"""Evaluate it: recording and alerting rules in groups."""
