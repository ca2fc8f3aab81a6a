"""Acknowledgement, escalation, digests: who is told, and who is left in peace."""

from typing import Any

import pytest
from tests.notify.conftest import Bench, Maker, run

from watchkeeper.model.document import parse
from watchkeeper.model.errors import BadInput
from watchkeeper.notify.oncall_settings import OnCallSettings
from watchkeeper.notify.postmortem import draft
from watchkeeper.notify.settings import read_config
from watchkeeper.notify.why import Why

CONFIG = """
route: {receiver: web, group_by: [x], group_wait: 1s, group_interval: 10s, repeat_interval: 1m}
receivers: [{name: web, webhook_configs: [{url: 'http://hook/web'}]}, {name: boss, webhook_configs: [{url: 'http://hook/boss'}]}]
"""
ESCALATE = 'escalations: [{matchers: [severity="critical"], after: 2m, to: boss}]'


def settings(text: str) -> OnCallSettings:
    return parse(text, "watchkeeper.yml").read_as(OnCallSettings)


def at(bench: Bench, path: str) -> list[str]:
    return [body["status"] for url, body in bench.client.sent if url.endswith(path)]


def test_who_acknowledged_is_not_told_again_until_it_ends_but_of_news(bench: Maker) -> None:
    async def work() -> None:
        made = bench(CONFIG)
        alert = made.alert(alertname="A", x="1")
        await made.desk.receive([alert])
        await made.pass_s(75)
        assert len(at(made, "/web")) == 2  # once more after the repeat interval
        await made.desk.acks.add([alert.fingerprint], "ann", made.clock.ms + 600_000, "on it")
        await made.pass_s(300)
        assert len(at(made, "/web")) == 2
        other = made.alert(alertname="B", x="1")
        await made.desk.receive([other])
        await made.pass_s(11)
        assert len(at(made, "/web")) == 3  # somebody new in the group
        await made.desk.acks.add([other.fingerprint], "ann", made.clock.ms + 900_000, "")
        await made.pass_s(250)
        assert len(at(made, "/web")) == 3
        await made.pass_s(80)  # the first acknowledgement is over by now
        assert len(at(made, "/web")) > 3

    run(work)


def test_an_acknowledgement_survives_a_restart_and_ends_with_the_alert(bench: Maker) -> None:
    async def work() -> None:
        made = bench(CONFIG)
        alert = made.alert(alertname="A", x="1")
        await made.desk.receive([alert])
        await made.pass_s(2)
        await made.desk.acks.add([alert.fingerprint], "ann", made.clock.ms + 3_600_000, "on it")
        again = bench(CONFIG)
        await again.desk.load()
        assert again.desk.acks.cover([alert.fingerprint])
        await again.desk.receive([made.alert(ends_s=0, starts_s=-2, alertname="A", x="1")])
        await again.pass_s(12)
        assert again.desk.acks.find(alert.fingerprint) is None

    run(work)


def test_what_nobody_acknowledges_goes_to_the_next_receiver_once(bench: Maker) -> None:
    async def work() -> None:
        made = bench(CONFIG)
        made.desk.apply(read_config(CONFIG, "a.yml"), settings(ESCALATE))
        alert, mild = made.alert(alertname="A", x="1", severity="critical"), made.alert(alertname="B", x="2")
        await made.desk.receive([alert, mild])
        await made.pass_s(115)
        assert at(made, "/boss") == []
        await made.pass_s(15)
        assert at(made, "/boss") == ["firing"]
        await made.desk._ledger.flush()
        again = bench(CONFIG)  # killed
        again.desk.apply(read_config(CONFIG, "a.yml"), settings(ESCALATE))
        await again.desk.load()
        await again.pass_s(30)
        assert at(again, "/boss") == []
        await again.desk.receive([made.alert(ends_s=0, starts_s=-160, alertname="A", x="1", severity="critical")])
        await again.pass_s(12)
        assert at(again, "/boss") == ["resolved"]
        await again.desk.maintain()
        account: dict[str, Any] = (await Why(again.desk, again.desk._ledger, lambda _: ()).why("A", (), 99))["alerts"][
            0
        ]
        kinds = [step["kind"] for step in account["events"]]
        assert kinds.count("escalated") == 1
        assert "escalated to boss: nobody acknowledged within 2m" in [step["text"] for step in account["events"]]

    run(work)


def test_what_is_acknowledged_in_time_is_not_escalated_until_that_ends(bench: Maker) -> None:
    async def work() -> None:
        made = bench(CONFIG)
        made.desk.apply(read_config(CONFIG, "a.yml"), settings(ESCALATE))
        alert = made.alert(alertname="A", x="1", severity="critical")
        await made.desk.receive([alert])
        await made.pass_s(60)
        await made.desk.acks.add([alert.fingerprint], "ann", made.clock.ms + 300_000, "")
        await made.pass_s(295)
        assert at(made, "/boss") == []
        await made.pass_s(20)
        assert at(made, "/boss") == ["firing"]

    run(work)


def test_a_digest_gathers_until_its_time(bench: Maker) -> None:
    async def work() -> None:
        made = bench(CONFIG)
        config = read_config(CONFIG.replace("group_by: [x]", "group_by: []"), "a.yml")
        made.desk.apply(config, settings("digests: [{receiver: web, every: 1h}]"))  # it is 22:13:20
        await made.desk.receive([made.alert(alertname="A", x="1")])
        await made.pass_s(600, 10)
        await made.desk.receive(
            [made.alert(alertname="B", x="2"), made.alert(ends_s=0, starts_s=-600, alertname="A", x="1")]
        )
        await made.pass_s(2180, 10)
        assert at(made, "/web") == []
        await made.pass_s(30, 10)
        assert [sorted(alerts) for _, _, alerts in made.told] == [["firing:2", "resolved:1"]]
        await made.pass_s(3000, 100)
        assert len(at(made, "/web")) == 1

    run(work)


@pytest.mark.parametrize(("until", "why"), [(0, "an end that is over"), (None, "characters")])
def test_what_makes_no_sense_is_no_acknowledgement(bench: Maker, until: int | None, why: str) -> None:
    async def work() -> None:
        made = bench(CONFIG)
        end = made.clock.ms + 1000 if until is None else until
        with pytest.raises(BadInput, match=why):
            await made.desk.acks.add([1], "ann", end, "x" * (5000 if until is None else 1))

    run(work)


def test_a_post_mortem_is_drafted_from_the_timeline(bench: Maker) -> None:
    async def work() -> None:
        made = bench(CONFIG.replace("group_by: [x]", "group_by: []"))
        why = Why(made.desk, made.desk._ledger, lambda _: ())
        alert = made.alert(alertname="A", x="1", severity="critical")
        await made.desk.receive([alert, made.alert(alertname="B", x="<b>|2")])
        await made.pass_s(60)
        await made.desk.acks.add([alert.fingerprint], "ann", made.clock.ms + 300_000, "failing over")
        assert await why.note(alert.fingerprint, "bob", "rolled *back*")
        await made.pass_s(60)
        await made.desk.receive([made.alert(ends_s=0, starts_s=-120, alertname=name, x=x) for name, x in (("A", "1"),)])
        text = draft(await why.incident(alert.fingerprint, 100), "http://wk")
        assert text.startswith("# Post-mortem: A\n")
        assert "| Acknowledged | 2023-11-14T22:14:20Z (59s later) |" in text
        assert "| People | ann, bob |" in text
        assert "**A** acknowledged by ann until 2023-11-14T22:19:20Z: failing over" in text
        assert "**A** bob wrote: rolled \\*back\\*" in text
        assert "- **B** x=\\<b\\>\\|2: firing" in text

    run(work)
