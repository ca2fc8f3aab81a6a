"""A held clock, fake doors, a real store with a real engine, and promtool."""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.doubles import StillClock
from tests.peers import PEERS

from watchkeeper.model.alert import Alert
from watchkeeper.model.doors import AlertSample
from watchkeeper.model.errors import BadQuery
from watchkeeper.model.frame import Appended, Layout, Row, is_absent
from watchkeeper.model.labels import LabelPairs, Labels, label_pairs
from watchkeeper.query.promql.engine import Engine
from watchkeeper.rules.files import parse_rules
from watchkeeper.rules.runner import RuleRunner
from watchkeeper.rules.settings import RuleSettings
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

START_MS = 1_800_000_000_000
MINUTE_MS = 60_000


class FakeStore:
    """Keeps rows as they come: a MetricWriter, and a MetricReader without samples."""

    def __init__(self) -> None:
        self.layouts: list[tuple[str, list[LabelPairs]]] = []
        self.rows: list[Row] = []
        self.refuse: Exception | None = None

    def layout(self, source: str, series: Sequence[Labels]) -> Layout:
        self.layouts.append((source, [label_pairs(labels) for labels in series]))
        return Layout(len(self.layouts) - 1, source, np.arange(len(series), dtype=np.int32))

    def append(self, rows: Sequence[Row]) -> Appended:
        if self.refuse is not None:
            raise self.refuse
        self.rows += rows
        return Appended(sum(len(row.values) for row in rows), 0, 0, {}, ())

    def select(self, *_: Any) -> list[Any]:
        return []

    def series(self, row: Row) -> dict[str, float | None]:
        """Give a row's samples by series as PromQL would write it; None where absent."""
        listed = self.layouts[row.layout.number][1]
        values = [None if absent else value for value, absent in zip(row.values, is_absent(row.values), strict=True)]
        return {shown(labels): value for labels, value in zip(listed, values, strict=True)}


def shown(labels: LabelPairs) -> str:
    rest = ",".join(f"{name}={value}" for name, value in labels if name != "__name__")
    return f"{dict(labels).get('__name__', '')}{{{rest}}}"


class FakeAsk:
    """Answers from a dict of expression → vector or error; counts the questions."""

    def __init__(self) -> None:
        self.answers: dict[str, list[AlertSample] | Exception] = {}
        self.asked: list[tuple[str, int]] = []

    def __call__(self, expr: str, time_ms: int) -> list[AlertSample]:
        self.asked.append((expr, time_ms))
        answer = self.answers.get(expr, [])
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    def fail(self, expr: str) -> None:
        self.answers[expr] = BadQuery("it broke")


class Bench:
    """A runner over fakes; `tick` evaluates all groups a while later."""

    def __init__(self, settings: RuleSettings | None = None) -> None:
        self.clock, self.store, self.ask, self.sent = StillClock(START_MS), FakeStore(), FakeAsk(), list[list[Alert]]()
        self.send_error: Exception | None = None
        self.runner = RuleRunner(
            self.ask,
            self.store,  # type: ignore[arg-type]
            self.store,  # type: ignore[arg-type]
            self._send,
            self.clock,
            external_url="http://wk.example/",
            settings=settings,
        )

    async def _send(self, alerts: Sequence[Alert]) -> None:
        if self.send_error is not None:
            raise self.send_error
        self.sent.append(list(alerts))

    def load(self, text: str, **options: Any) -> None:
        asyncio.run(self.runner.apply([parse_rules(text, "rules.yml")], **options))

    def tick(self, after_ms: int = MINUTE_MS) -> None:
        self.clock.ms += after_ms
        asyncio.run(self.runner.evaluate_all(self.clock.ms))

    def last(self) -> dict[str, float | None]:
        """Give the samples of the newest row."""
        return self.store.series(self.store.rows[-1])

    def states(self) -> list[str]:
        return [alert["state"] for alert in self.runner.alerts_json()["alerts"]]


@pytest.fixture
def bench() -> Bench:
    return Bench()


class RealWorld:
    """A store on disk with an engine over it, and a runner; all of it can be killed and started again."""

    def __init__(self, folder: Path, clock: StillClock) -> None:
        self.clock, self.sent = clock, list[Alert]()
        self.db = MetricDb(RealFiles(folder), MetricSettings(), clock)
        self.engine = Engine(self.db)
        self.runner = RuleRunner(self._ask, self.db, self.db, self._send, clock, external_url="http://wk")

    def _ask(self, expr: str, time_ms: int) -> list[AlertSample]:
        return self.engine.instant(expr, time_ms).samples()

    async def _send(self, alerts: Sequence[Alert]) -> None:
        self.sent += alerts

    def scrape(self, values: dict[str, float], source: str = "scrape/a/b") -> None:
        """Store one row; series by name."""
        layout = self.db.layout(source, [{"__name__": name, "instance": "a"} for name in values])
        self.db.append([Row(layout, self.clock.now_ms(), np.array(list(values.values()), np.float64), whole=True)])

    def value(self, expr: str) -> dict[str, float]:
        """Ask now; values by labels."""
        found = self._ask(expr, self.clock.now_ms())
        return {shown(label_pairs(sample.labels)): sample.value for sample in found}


@pytest.fixture
def in_world(tmp_path: Path) -> Callable[[Callable[[RealWorld], Awaitable[None]]], None]:
    """Run a scenario in a world; the next one finds the same files and clock, as after kill -9."""
    clock = StillClock(START_MS)

    def run(scenario: Callable[[RealWorld], Awaitable[None]]) -> None:
        async def whole() -> None:
            world = RealWorld(tmp_path / "data", clock)
            await world.db.start()
            try:
                await scenario(world)
            finally:
                await world.runner.stop()
                await world.db.stop()

        asyncio.run(whole())

    return run


@pytest.fixture(scope="session")
def promtool() -> str:
    found = shutil.which("promtool", path=str(PEERS))
    if found is None:
        assert not os.environ.get("CI"), "promtool is not installed"
        pytest.skip("promtool is not installed: see the README's list of peers")
    return found
