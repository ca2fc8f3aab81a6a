"""The process's own counters."""

import secrets

from watchkeeper.model.metrics import counter, exposition, gauge, histogram


def test_declared_metrics_are_exposed_under_their_names() -> None:
    mark = secrets.token_hex(4)
    counter(f"test_{mark}_things", "Things.", ("kind",)).labels("a").inc(2)
    gauge(f"test_{mark}_level", "Level.").set(1.5)
    histogram(f"test_{mark}_seconds", "Seconds.").observe(0.02)
    text = exposition().decode()
    assert f'test_{mark}_things_total{{kind="a"}} 2.0' in text
    assert f"test_{mark}_level 1.5" in text
    assert f'test_{mark}_seconds_bucket{{le="0.05"}} 1.0' in text
