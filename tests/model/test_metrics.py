"""The process's own counters."""

import secrets
import time

import pytest

from watchkeeper.model.metrics import counter, exposition, gauge, histogram, summary


def test_declared_metrics_are_exposed_under_their_names() -> None:
    mark = secrets.token_hex(4)
    counter(f"test_{mark}_things", "Things.", ("kind",)).labels("a").inc(2)
    gauge(f"test_{mark}_level", "Level.").set(1.5)
    histogram(f"test_{mark}_seconds", "Seconds.").observe(0.02)
    text = exposition().decode()
    assert f'test_{mark}_things_total{{kind="a"}} 2.0' in text
    assert f"test_{mark}_level 1.5" in text
    assert f'test_{mark}_seconds_bucket{{le="0.05"}} 1.0' in text


def test_a_summary_has_quantiles_of_the_last_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    name = f"test_{secrets.token_hex(4)}_seconds"
    lasted = summary(name, "Seconds.", ("of",), quantiles=(0.01, 0.5, 0.99)).labels("a")
    told = _of(name)
    assert told[f'{name}{{of="a",quantile="0.5"}}'] == "NaN"
    for value in range(1, 101):
        lasted.observe(value)
    told = _of(name)
    assert [told[f'{name}{{of="a",quantile="{q}"}}'] for q in ("0.01", "0.5", "0.99")] == ["1.0", "50.0", "99.0"]
    now[0] += 480
    for _ in range(300):
        lasted.observe(7)
    assert _of(name)[f'{name}{{of="a",quantile="0.5"}}'] == "7.0"
    now[0] += 240  # the first hundred are forgotten
    assert _of(name)[f'{name}{{of="a",quantile="0.99"}}'] == "7.0"
    assert _of(name)[f'{name}_count{{of="a"}}'] == "400.0"


def test_quantiles_of_very_many_are_those_of_a_fair_choice() -> None:
    name = f"test_{secrets.token_hex(4)}_seconds"
    lasted = summary(name, "Seconds.", quantiles=(0.5,))
    for value in range(20_000):
        lasted.observe(value)
    assert 8_000 < float(_of(name)[f'{name}{{quantile="0.5"}}']) < 12_000


def _of(name: str) -> dict[str, str]:
    lines = [line for line in exposition().decode().splitlines() if line.startswith(name)]
    return dict(line.rsplit(" ", 1) for line in lines)
