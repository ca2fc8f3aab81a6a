"""The runner as a Part: its tasks start, evaluate by themselves, and stop."""

import asyncio
import time
from collections.abc import Sequence

import pytest
import structlog
from tests.rules.conftest import FakeAsk, FakeStore

from watchkeeper.model.clock import SystemClock
from watchkeeper.model.doors import AlertSample
from watchkeeper.model.frame import Appended, Row
from watchkeeper.rules.files import parse_rules
from watchkeeper.rules.groups import Group
from watchkeeper.rules.runner import RuleRunner

RULES = """
groups:
- {name: g, interval: 20ms, rules: [{record: r, expr: e}]}
- {name: h, interval: 20ms, rules: [{record: q, expr: f}]}
"""


class Watched(FakeStore):
    """Says when rows came from each of the sources that are waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: dict[str, asyncio.Event] = {}

    def append(self, rows: Sequence[Row]) -> Appended:
        for row in rows:
            self.arrived.setdefault(row.layout.source, asyncio.Event()).set()
        return super().append(rows)

    async def wait(self, source: str) -> None:
        event = self.arrived[source] = asyncio.Event()
        await asyncio.wait_for(event.wait(), 10)


async def _send(_: object) -> None:
    return None


def made(ask: FakeAsk, store: Watched) -> RuleRunner:
    return RuleRunner(ask, store, store, _send, SystemClock())  # type: ignore[arg-type]


def test_groups_are_evaluated_until_stopped() -> None:
    async def scenario() -> None:
        store, ask = Watched(), FakeAsk()
        runner = made(ask, store)
        await runner.apply([parse_rules(RULES, "r.yml")])
        await runner.start()
        await store.wait("rules/r.yml;g")
        await store.wait("rules/r.yml;h")
        await runner.stop()
        count = len(store.rows)
        await asyncio.sleep(0.05)
        assert len(store.rows) == count
        assert all(row.time_ms % 20 == group.spread_ms for row, group in _own(store, runner.groups()))

    asyncio.run(scenario())


def _own(store: Watched, groups: tuple[Group, ...]) -> list[tuple[Row, Group]]:
    by_source = {stage.source: group for group in groups for stage in group.stages}
    return [(row, by_source[row.layout.source]) for row in store.rows]


def test_reload_while_running_starts_new_groups_and_stops_old_ones() -> None:
    async def scenario() -> None:
        store, ask = Watched(), FakeAsk()
        runner = made(ask, store)
        await runner.start()
        await runner.apply([parse_rules(RULES, "r.yml")])
        await store.wait("rules/r.yml;g")
        await runner.apply([parse_rules(RULES.replace("name: h", "name: i"), "r.yml")])
        await store.wait("rules/r.yml;g")
        await store.wait("rules/r.yml;i")
        assert [group.name for group in runner.groups()] == ["g", "i"]
        await runner.stop()

    asyncio.run(scenario())


def test_group_that_crashes_is_evaluated_again_and_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        store, ask = Watched(), FakeAsk()
        runner = made(ask, store)
        await runner.apply([parse_rules(RULES, "r.yml")])
        whole, broken = Group.evaluate, asyncio.Event()

        async def evaluate(group: Group, at_ms: int) -> None:
            if group.name == "g" and not broken.is_set():
                broken.set()
                raise ZeroDivisionError
            await whole(group, at_ms)

        monkeypatch.setattr(Group, "evaluate", evaluate)
        with structlog.testing.capture_logs() as logs:
            await runner.start()
            await store.wait("rules/r.yml;g")
            await store.wait("rules/r.yml;h")
            await runner.stop()
        assert any(line["event"] == "group_evaluation_crashed" for line in logs)

    asyncio.run(scenario())


def test_slow_rule_makes_its_group_miss_evaluations_and_does_not_hold_up_the_stop() -> None:
    async def scenario() -> None:
        store = Watched()

        def slow(expr: str, _: int) -> list[AlertSample]:
            time.sleep(0.1 if expr == "e" else 0)
            return []

        runner = made(slow, store)  # type: ignore[arg-type]
        await runner.apply([parse_rules(RULES, "r.yml")])
        with structlog.testing.capture_logs() as logs:
            await runner.start()
            await store.wait("rules/r.yml;g")
            await store.wait("rules/r.yml;g")
            await runner.stop()
        missed = [line for line in logs if line["event"] == "group_evaluations_missed"]
        assert missed and missed[0]["count"] >= 3

    asyncio.run(scenario())
