"""Alerts between rules and notify."""

from watchkeeper.model.alert import Alert
from watchkeeper.model.labels import fingerprint

ALERT = Alert({"alertname": "A"}, {"summary": "s"}, 1000, 5000, 2000)


def test_alert_is_known_by_its_labels() -> None:
    other = ALERT.changed(annotations={}, ends_at_ms=9000)
    assert other.fingerprint == ALERT.fingerprint == fingerprint({"alertname": "A"})
    assert ALERT.changed(labels={"alertname": "B"}).fingerprint != ALERT.fingerprint


def test_alert_is_over_at_its_end() -> None:
    assert [ALERT.resolved(at) for at in (4999, 5000, 5001)] == [False, True, True]
