"""What the rehearsal says would be told is what the desk tells, on the same clock."""

import random
from collections import Counter

import pytest
from tests.notify.conftest import START_MS, Maker, run

from watchkeeper.model.alert import Alert
from watchkeeper.notify.rehearsal import Rehearsed, rehearse
from watchkeeper.notify.settings import read_config
from watchkeeper.notify.silence import Silence, silence_matcher

CONFIG = """
route:
  receiver: web
  group_by: [alertname]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 1h
  routes:
    - {matchers: ['x="1"'], receiver: quick, group_by: [], group_wait: 10s, group_interval: 1m, continue: true}
    - {matchers: ['alertname="B"'], receiver: night, mute_time_intervals: [always], group_by: ['...']}
    - {matchers: ['alertname="C"'], receiver: nobody}
inhibit_rules:
  - {source_matchers: ['alertname="Down"'], target_matchers: ['alertname="A"'], equal: [x]}
time_intervals: [{name: always, time_intervals: [{times: [{start_time: '00:00', end_time: '24:00'}]}]}]
receivers:
  - {name: web, webhook_configs: [{url: 'http://hook/web'}]}
  - {name: quick, webhook_configs: [{url: 'http://hook/quick', send_resolved: false}]}
  - {name: night, webhook_configs: [{url: 'http://hook/night'}]}
  - {name: nobody}
"""
HOURS = 3


def some_alerts(seed: int) -> list[Alert]:
    spread, alerts = random.Random(seed), []
    for name in ("A", "B", "C", "D", "Down"):
        for x in ("1", "2", "3"):
            at_s = 0
            while (at_s := at_s + 10 * spread.randint(1, 240)) < HOURS * 3600 - 100:
                lasts_s = 10 * spread.randint(1, 200)
                starts, ends = START_MS + 1000 * at_s, START_MS + 1000 * (at_s + lasts_s)
                alerts.append(Alert({"alertname": name, "x": x}, {}, starts, ends, starts))
                at_s += lasts_s
    return alerts


def shown(told: Rehearsed) -> Counter[tuple[object, ...]]:
    return Counter(
        (
            one.time_ms,
            one.receiver,
            one.group_key,
            one.reason,
            tuple(sorted(alert.fingerprint for alert in one.firing)),
            tuple(sorted(alert.fingerprint for alert in one.resolved)),
        )
        for one in told.told
    )


@pytest.mark.parametrize("seed", range(3))
def test_it_tells_what_the_desk_tells(bench: Maker, seed: int) -> None:
    alerts = some_alerts(seed)
    sent: Counter[tuple[object, ...]] = Counter()

    async def work() -> None:
        desk = bench(CONFIG)
        events = sorted(
            [(one.starts_at_ms, one.changed(ends_at_ms=START_MS * 2)) for one in alerts]
            + [(one.ends_at_ms, one.changed(updated_at_ms=one.ends_at_ms)) for one in alerts],
            key=lambda event: event[0],
        )
        for _ in range(HOURS * 360):
            desk.clock.pass_s(10)
            while events and events[0][0] <= desk.clock.ms:
                await desk.desk.receive([events.pop(0)[1]])
            await desk.send_due()
            for url, body in desk.client.sent:
                by_status: dict[str, list[int]] = {"firing": [], "resolved": []}
                for alert in body["alerts"]:
                    by_status[alert["status"]].append(Alert(alert["labels"], {}, 0, 0, 0).fingerprint)
                firing, resolved = (tuple(sorted(by_status[status])) for status in ("firing", "resolved"))
                receiver, reason = url.rsplit("/", 1)[1], body["notification_reason"]
                sent[desk.clock.ms, receiver, body["groupKey"], reason, firing, resolved] += 1
            desk.client.sent.clear()

    run(work)
    config = read_config(CONFIG, "alertmanager.yml")
    told = shown(rehearse(config, alerts, START_MS + HOURS * 3_600_000))
    assert len(told) > 50
    assert told == sent


def why(*alerts: Alert, silences: tuple[Silence, ...] = ()) -> list[str]:
    done = rehearse(read_config(CONFIG, "a.yml"), alerts, START_MS + HOURS * 3_600_000, silences)
    return [done.quiet.get((one.fingerprint, one.starts_at_ms), "told") for one in alerts]


def alert(name: str, x: str, from_s: int = 0, to_s: int = 3600) -> Alert:
    starts = START_MS + 1000 * from_s
    return Alert({"alertname": name, "x": x}, {}, starts, START_MS + 1000 * to_s, starts)


def test_it_says_why_nobody_was_told() -> None:
    matchers = (silence_matcher(0, "alertname", "D", is_regex=False, is_equal=True),)
    silence = Silence("some-id", matchers, START_MS, START_MS + 7_200_000, "me", "why")
    assert why(alert("Down", "2"), alert("A", "2"), alert("B", "2"), alert("C", "2"), alert("D", "2"),
               alert("E", "2", 0, 20), alert("F", "2"), silences=(silence,)) == [
        "told",
        "inhibited by Down",
        "inside mute time interval always",
        "its receiver tells nobody",
        "silenced by some-id",
        "over before its group's turn",
        "told",
    ]  # fmt: skip


def test_an_alert_that_comes_back_before_its_end_was_told_is_no_news() -> None:
    assert why(alert("E", "2", 0, 100), alert("E", "2", 150, 3600)) == [
        "told",
        "told of before, and its end was not told yet",
    ]


def test_what_still_fires_at_the_end_is_not_over() -> None:
    done = rehearse(read_config(CONFIG, "a.yml"), [alert("E", "2").changed(ends_at_ms=0)], START_MS + HOURS * 3_600_000)
    assert [one.reason for one in done.told] == ["first notification", *["repeat interval elapsed"] * 2]
