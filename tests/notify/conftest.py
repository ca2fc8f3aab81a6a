"""Time held still, a state store in a file, and a desk between them."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.doubles import SplitClock

from watchkeeper.model.alert import Alert
from watchkeeper.net.client import Client, Reply, RequestOptions
from watchkeeper.notify.desk import Desk, DeskSettings
from watchkeeper.notify.settings import AlertmanagerConfig, read_config
from watchkeeper.store.state.db import StateStore

START_MS = 1_700_000_000_000


class FakeClient(Client):
    """Keeps what is sent; answers with the statuses it is given, then 200."""

    def __init__(self) -> None:
        super().__init__("test")
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.statuses: list[int] = []

    async def send(self, method: str, url: str, body: bytes, headers: Any, options: RequestOptions) -> Reply:
        import orjson

        self.sent.append((url, orjson.loads(body)))
        return Reply(self.statuses.pop(0) if self.statuses else 200, {}, b"")


class Bench:
    """A desk with everything around it, driven by hand."""

    def __init__(self, folder: Path, clock: SplitClock, config: str | None, settings: DeskSettings) -> None:
        self.clock, self.client = clock, FakeClient()
        self.state = StateStore(f"sqlite:///{folder / 'state.db'}")
        self.desk = Desk(settings, self.state, clock, self.client, "http://wk", random.Random(1))
        if config is not None:
            self.desk.apply(read_config(config, "alertmanager.yml"))

    def alert(self, ends_s: float = 3600, starts_s: float = 0, note: str = "", **labels: str) -> Alert:
        now = self.clock.ms
        annotations = {"note": note} if note else {}
        return Alert(labels, annotations, now + round(starts_s * 1000), now + round(ends_s * 1000), now)

    async def send_due(self) -> None:
        """Deliver what is due now, to the end."""
        await asyncio.gather(*self.desk.tick())

    async def pass_s(self, seconds: float, step_s: float = 1.0) -> None:
        """Let time pass, delivering what comes due on the way."""
        for _ in range(round(seconds / step_s)):
            self.clock.pass_s(step_s)
            await self.send_due()

    @property
    def told(self) -> list[tuple[str, str, list[str]]]:
        """What was sent: reason, status, and alerts as status:x."""
        return [
            (
                body["notification_reason"],
                body["status"],
                [f"{one['status']}:{one['labels'].get('x', '')}" for one in body["alerts"]],
            )
            for _, body in self.client.sent
        ]


Maker = Callable[..., Bench]


@pytest.fixture
def bench(tmp_path: Path) -> Maker:
    clock = SplitClock(START_MS, 1000.0)

    def make(config: str | None = None, **limits: int) -> Bench:
        return Bench(tmp_path, clock, config, DeskSettings(**limits))

    return make


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 30))


__all__ = ["AlertmanagerConfig", "Bench", "Maker", "Sequence", "run"]
