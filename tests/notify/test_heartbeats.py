"""Dead man's switches: what is missing pages, what comes again resolves; we are heard only while we work."""

from tests.notify.conftest import Bench, Maker, run

from watchkeeper.model.document import parse
from watchkeeper.notify.heartbeats import Heartbeats, HeartbeatSettings
from watchkeeper.notify.settings import read_config

CONFIG = """
route: {receiver: web, group_by: [heartbeat], group_wait: 1s, group_interval: 5s}
receivers: [{name: web, webhook_configs: [{url: 'http://hook/web'}]}, {name: none}]
"""
EXPECTED = "expected: [{name: backup, every: 5m, grace: 1m, labels: {team: db}}]"


def made(bench: Bench, text: str, fault: list[str]) -> Heartbeats:
    async def receive(alerts: object) -> None:
        await bench.desk.receive(alerts)  # type: ignore[arg-type]

    found = Heartbeats(bench.state, bench.clock, bench.client, receive, lambda: fault[0])
    found.apply(parse(text, "w.yml").read_as(HeartbeatSettings))
    return found


def test_what_is_missing_pages_until_it_comes_again_also_over_a_restart(bench: Maker) -> None:
    async def work() -> None:
        here = bench(CONFIG)
        beats = made(here, EXPECTED, [""])
        assert await beats.beat("backup") and not await beats.beat("unknown")
        again = made(here, EXPECTED, [""])
        again._seen = dict(beats._seen)
        for _ in range(36):
            here.clock.pass_s(10)
            await again._look()
            await here.send_due()
        assert here.told == []  # six minutes: as late as it may be
        here.clock.pass_s(1)
        await again._look()
        await here.pass_s(2)
        ((_, body),) = here.client.sent
        assert body["alerts"][0]["labels"] == {
            "alertname": "HeartbeatMissing", "heartbeat": "backup", "severity": "critical", "team": "db",
        }  # fmt: skip
        assert body["alerts"][0]["annotations"]["summary"] == "no heartbeat backup for more than 6m"
        assert [one.missing for one in again.beats()] == [True]
        assert await again.beat("backup")
        await here.pass_s(6)
        assert [status for _, status, _ in here.told] == ["firing", "resolved"]

    run(work)


def test_when_it_was_seen_is_kept(bench: Maker) -> None:
    async def work() -> None:
        here = bench(CONFIG)
        beats = made(here, EXPECTED, [""])
        await beats.beat("backup")
        later = made(here, EXPECTED, [""])
        await later.start()
        await later.stop()
        assert [one.seen_ms for one in later.beats()] == [here.clock.ms]

    run(work)


def test_we_are_heard_each_interval_while_all_works(bench: Maker) -> None:
    async def work() -> None:
        here, fault = bench(CONFIG), [""]
        beats = made(here, "send: [{url: 'http://dead-man/x', every: 1m}]", fault)
        here.client.sent = []
        sent = []

        async def send(method: str, url: str, *_rest: object) -> object:
            from watchkeeper.net.client import Reply

            sent.append((method, url))
            return Reply(200, {}, b"")

        here.client.send = send  # type: ignore[assignment,method-assign]
        for _ in range(13):
            await beats._send()
            here.clock.pass_s(10)
        assert sent == [("POST", "http://dead-man/x")] * 3
        fault[0] = "rule group x stands still"
        for _ in range(13):
            await beats._send()
            here.clock.pass_s(10)
        assert len(sent) == 3

    run(work)


def test_a_receiver_is_tested_for_real_and_says_what_came_of_it(bench: Maker) -> None:
    async def work() -> None:
        here = bench(CONFIG)
        here.desk.apply(read_config(CONFIG, "a.yml"))
        trials = await here.desk.rehearse("web", "ann")
        assert trials is not None and [(one.integration, one.error) for one in trials] == [("webhook[0]", "")]
        ((_, body),) = here.client.sent
        assert body["alerts"][0]["annotations"]["summary"].startswith(
            "This is a test of receiver web, asked for by ann."
        )
        here.client.statuses = [500]
        trials = await here.desk.rehearse("web", "ann")
        assert trials is not None and "500" in trials[0].error
        assert await here.desk.rehearse("none", "ann") == []
        assert await here.desk.rehearse("nobody", "ann") is None

    run(work)
