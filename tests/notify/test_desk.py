import asyncio
from collections.abc import Sequence

import pytest
from tests.notify.conftest import Bench, Maker, run

from watchkeeper.model.alert import Alert
from watchkeeper.model.errors import Refused
from watchkeeper.notify.alert_book import Incoming
from watchkeeper.notify.shown import AlertFilter
from watchkeeper.notify.silence import Silence, silence_matcher
from watchkeeper.store.state.alerts import load_alerts, save_alerts
from watchkeeper.store.state.db import StateStore

WEB = """
route: {receiver: web, group_by: [alertname], group_wait: 30s, group_interval: 5m, repeat_interval: 4h}
receivers: [{name: web, webhook_configs: [{url: 'http://hook/'}]}]
"""


def silence(bench: Bench, seconds: float, **labels: str) -> Silence:
    now = bench.clock.ms
    matchers = tuple(
        silence_matcher(at, name, value, is_regex=False, is_equal=True)
        for at, (name, value) in enumerate(labels.items())
    )
    return Silence("", matchers, now, now + round(seconds * 1000), "me", "why")


def test_a_group_waits_then_tells_all_its_alerts(bench: Maker) -> None:
    async def work() -> None:
        one = bench(WEB)
        await one.desk.receive([one.alert(alertname="A", x="1")])
        await one.pass_s(20)
        await one.desk.receive([one.alert(alertname="A", x="2")])
        await one.pass_s(9)
        assert one.told == []
        await one.pass_s(1)
        assert one.told == [("first notification", "firing", ["firing:1", "firing:2"])]
        await one.desk.receive([one.alert(alertname="A", x="3")])
        await one.pass_s(299)
        assert len(one.told) == 1
        await one.pass_s(1)
        assert one.told[1:] == [("new alerts added", "firing", ["firing:1", "firing:2", "firing:3"])]

    run(work)


def test_of_an_alert_said_twice_in_one_request_the_last_counts(bench: Maker) -> None:
    """Alertmanager 0.33 hands alerts to several workers, and tells the first one or two times in a hundred."""

    async def work() -> None:
        one = bench(WEB)
        await one.desk.receive([one.alert(alertname="A", x="1"), one.alert(alertname="A", x="1", ends_s=0)])
        await one.pass_s(30)
        assert one.told == []  # over before it was ever told

    run(work)


def test_resolved_alerts_are_told_once_and_leave(bench: Maker) -> None:
    async def work() -> None:
        one = bench(WEB)
        await one.desk.receive([one.alert(alertname="A", x="1", starts_s=-60), one.alert(alertname="A", x="2")])
        await one.send_due()
        await one.desk.receive([one.alert(alertname="A", x="1", ends_s=0, starts_s=-60)])
        await one.pass_s(300)
        await one.desk.receive([one.alert(alertname="A", x="2", ends_s=0)])
        await one.pass_s(600)
        assert [told[0] for told in one.told] == ["first notification", "some alerts resolved", "all alerts resolved"]
        assert one.told[1][2] == ["resolved:1", "firing:2"]
        assert one.told[2][2] == ["resolved:2"]
        assert one.desk.groups(AlertFilter()) == []

    run(work)


def test_an_unchanged_group_is_told_again_after_the_repeat_interval(bench: Maker) -> None:
    async def work() -> None:
        one = bench(WEB)
        for _ in range(5):
            await one.desk.receive([one.alert(alertname="A", x="1", ends_s=7200)])
            await one.pass_s(3600, 10)
        assert [told[0] for told in one.told] == ["first notification", "repeat interval elapsed"]

    run(work)


def test_an_alert_that_is_not_heard_of_again_is_over(bench: Maker) -> None:
    async def work() -> None:
        one = bench(WEB)
        await one.desk.receive([one.alert(alertname="A", x="1", ends_s=240)])
        await one.pass_s(30 + 300)
        assert [told[1] for told in one.told] == ["firing", "resolved"]

    run(work)


def test_a_clock_set_back_does_not_hold_up_the_timers(bench: Maker) -> None:
    async def work() -> None:
        one = bench(WEB)
        await one.desk.receive([one.alert(alertname="A", x="1")])
        one.clock.ms -= 1_800_000
        await one.pass_s(30)
        assert len(one.told) == 1

    run(work)


def test_after_a_restart_nothing_is_sent_twice_and_nothing_is_lost(bench: Maker) -> None:
    async def work() -> None:
        one = bench(WEB)
        await one.desk.load()
        await one.desk.receive([one.alert(alertname="A", x="1", ends_s=240), one.alert(alertname="B", x="2")])
        silence_id = await one.desk.put_silence(silence(one, 3600, x="9"))
        await one.pass_s(30)
        assert len(one.told) == 2
        one.state.close()

        two = bench(WEB)  # the state store's file is all that is left
        two.clock.pass_s(300)  # longer than the first alert's end: its sender was down, too
        await two.desk.load()
        await two.pass_s(5)
        assert two.told == []
        assert {one.alert.labels["alertname"] for one in two.desk.alerts(AlertFilter())} == {"A", "B"}
        assert [one.id for one in two.desk.silences()] == [silence_id]
        await two.desk.receive([two.alert(alertname="A", x="1", ends_s=0, starts_s=-600)])
        await two.pass_s(600)
        assert [told for told in two.told if told[2] == ["resolved:1"]] == [
            ("all alerts resolved", "resolved", ["resolved:1"])
        ]
        two.state.close()

        three = bench(WEB)
        await three.desk.load()
        await three.pass_s(1)
        assert three.told == []

    run(work)


def test_an_alert_that_ran_out_does_not_come_back_after_a_restart(bench: Maker) -> None:
    async def work() -> None:
        one = bench(WEB)
        await one.desk.load()
        await one.desk.receive([one.alert(alertname="A", x="1", ends_s=240)])
        await one.pass_s(340)
        assert [told[1] for told in one.told] == ["firing", "resolved"]
        one.state.close()

        two = bench(WEB)
        await two.desk.load()
        await two.pass_s(600)
        assert two.told == []
        await two.desk.maintain()
        assert load_alerts(two.state) == []

    run(work)


def test_repeated_alerts_are_not_written_again(bench: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        from watchkeeper.notify import desk as module

        one = bench(WEB)
        written: list[int] = []

        def counted(state: StateStore, rows: Sequence[Alert]) -> None:
            written.append(len(rows))
            save_alerts(state, rows)

        monkeypatch.setattr(module, "save_alerts", counted)
        for _ in range(5):
            await one.desk.receive([one.alert(alertname="A", x=str(n), starts_s=0, ends_s=240) for n in range(50)])
        assert written == [50]
        await one.desk.receive(
            [one.alert(alertname="A", x="1", note="changed"), one.alert(alertname="A", x="2", ends_s=0)]
        )
        assert written == [50, 2]

    run(work)


def test_a_reload_regroups_and_sends_nothing_twice(bench: Maker) -> None:
    async def work() -> None:
        from watchkeeper.notify.settings import read_config

        one = bench(WEB)
        await one.desk.receive([one.alert(alertname="A", x="1")])
        await one.pass_s(60)
        one.desk.apply(read_config(WEB, "am.yml"))
        await one.pass_s(60)
        assert len(one.told) == 1
        one.desk.apply(read_config(WEB.replace("[alertname]", "[x]"), "am.yml"))
        await one.send_due()
        assert [body["groupLabels"] for _, body in one.client.sent] == [{"alertname": "A"}, {"x": "1"}]

    run(work)


def test_a_message_under_way_when_the_file_is_reloaded_is_not_sent_twice(bench: Maker) -> None:
    async def work() -> None:
        from watchkeeper.notify.settings import read_config

        one, gate = bench(WEB), asyncio.Event()
        send = one.client.send

        async def slow(*parts: object) -> object:
            await gate.wait()
            return await send(*parts)  # type: ignore[arg-type]

        one.client.send = slow  # type: ignore[method-assign, assignment]
        await one.desk.receive([one.alert(alertname="A", x="1", starts_s=-60)])
        first = one.desk.tick()
        await asyncio.sleep(0)
        one.desk.apply(read_config(WEB, "am.yml"))
        second = one.desk.tick()
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*first, *second)
        assert len(one.told) == 1

    run(work)


def test_silences_are_durable_before_they_count(bench: Maker) -> None:
    async def work() -> None:
        one = bench(WEB)
        await one.desk.load()
        made = [await one.desk.put_silence(silence(one, 3600, x=str(n))) for n in range(20)]
        two = bench(WEB)  # beside the first, as after kill -9: nothing was closed
        await two.desk.load()
        assert {one.id for one in two.desk.silences()} == set(made)

    run(work)


def test_silence_ids_follow_alertmanagers_rule(bench: Maker) -> None:
    from dataclasses import replace

    async def work() -> None:
        one = bench(WEB)
        wanted = silence(one, 3600, x="1")
        first = await one.desk.put_silence(wanted)
        kept = await one.desk.put_silence(replace(wanted, id=first, comment="other"))
        assert kept == first
        one.clock.pass_s(60)
        moved = await one.desk.put_silence(replace(wanted, id=first, starts_at_ms=one.clock.ms))
        assert moved != first
        states = {each.id: each.state(one.clock.ms + 1) for each in one.desk.silences()}
        assert states == {first: "expired", moved: "active"}

    run(work)


def test_too_many_alerts_are_refused_and_known_ones_still_change(bench: Maker) -> None:
    async def work() -> None:
        one = bench(WEB, alerts_max=3)
        await one.desk.receive([one.alert(alertname="A", x=str(n)) for n in range(3)])
        with pytest.raises(Refused):
            await one.desk.take([Incoming(one.alert(alertname="A", x=x, note="new")) for x in ("1", "7", "8")])
        found = {each.alert.labels["x"]: each.alert.annotations for each in one.desk.alerts(AlertFilter())}
        assert found == {"0": {}, "1": {"note": "new"}, "2": {}}

    run(work)


def test_alerts_count_even_when_the_disk_fails(bench: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        from watchkeeper.notify import desk as module

        one = bench(WEB)

        def fails(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(module, "save_alerts", fails)
        await one.desk.receive([one.alert(alertname="A", x="1", starts_s=-60)])
        await one.send_due()
        assert len(one.told) == 1
        with pytest.raises(Refused):
            await one.desk.take([Incoming(one.alert(alertname="A", x="2"))])

    run(work)


def test_without_a_configuration_the_inbox_gets_it(bench: Maker) -> None:
    async def work() -> None:
        import orjson

        one = bench()
        await one.desk.receive([one.alert(alertname="A", x="1", starts_s=-60)])
        await one.send_due()
        (message,) = await one.desk.inbox(10)
        assert (message.receiver, message.status) == ("inbox", "firing")
        assert orjson.loads(message.message)["groupKey"] == '{}:{alertname="A"}'

    run(work)


def test_retries_end_with_success_or_with_the_interval(bench: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        one = bench(WEB)
        pauses: list[float] = []

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)
            one.clock.pass_s(seconds)

        monkeypatch.setattr("watchkeeper.notify.deliver.asyncio.sleep", sleep)
        one.client.statuses = [500, 503, 502]
        await one.desk.receive([one.alert(alertname="A", x="1", starts_s=-60)])
        await one.send_due()
        assert len(one.told) == 4
        for pause, middle in zip(pauses, (0.5, 0.75, 1.125), strict=True):
            assert middle * 0.5 <= pause <= middle * 1.5

    run(work)


def test_a_permanent_refusal_is_tried_at_the_next_interval_only(bench: Maker) -> None:
    async def work() -> None:
        one = bench(WEB)
        one.client.statuses = [404]
        await one.desk.receive([one.alert(alertname="A", x="1", starts_s=-60)])
        await one.send_due()
        assert len(one.told) == 1
        await one.pass_s(300)
        assert [told[0] for told in one.told] == ["first notification"] * 2

    run(work)


def test_ten_thousand_alerts_in_five_hundred_groups_are_routed_in_a_second(bench: Maker) -> None:
    import time

    async def work() -> None:
        one = bench(WEB)
        alerts = [one.alert(alertname=f"A{n % 500}", x=str(n), starts_s=-60) for n in range(10_000)]
        began = time.process_time()
        one.desk._dispatch(alerts)
        assert time.process_time() - began < 1.0
        assert len(one.desk._groups) == 500

    run(work)


def test_stops_at_once_even_when_just_woken(bench: Maker) -> None:
    async def work() -> None:
        one = bench(WEB)
        await one.desk.start()
        await asyncio.sleep(0)
        await one.desk.receive([one.alert(alertname="A", x="1")])
        await asyncio.wait_for(one.desk.stop(), 5)

    run(work)


def test_counts_alerts_by_state(bench: Maker) -> None:
    from watchkeeper.model.metrics import exposition

    async def work() -> None:
        one = bench(WEB)
        await one.desk.load()
        await one.desk.receive([one.alert(alertname="A", x=str(n)) for n in range(3)])
        await one.desk.receive([one.alert(alertname="A", x="9", ends_s=-1, starts_s=-9)])
        await one.desk.put_silence(silence(one, 60, x="1"))
        lines = exposition().decode().splitlines()
        assert 'alertmanager_alerts{state="active"} 2.0' in lines
        assert 'alertmanager_alerts{state="suppressed"} 1.0' in lines
        assert 'alertmanager_silences{state="active"} 1.0' in lines

    run(work)
