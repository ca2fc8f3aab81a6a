"""A cluster: processes on one PostgreSQL that share alerts, silences, acknowledgements and the notification log.

Each second a member says that it is there, and takes over what others have written since. See docs/explain/cluster.md.
"""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from watchkeeper.model.clock import Clock
from watchkeeper.model.document import Settings, setting
from watchkeeper.model.metrics import gauge
from watchkeeper.notify.turns import SharedTurns
from watchkeeper.store.state.cluster import Member, News, drop_claims, exchange, leave
from watchkeeper.store.state.db import StateStore

log = structlog.get_logger(__name__)

_EVERY_S = 1.0
_ALIVE_MS = 15_000
_members = gauge("alertmanager_cluster_members", "Number indicating current number of members in cluster.")
_enabled = gauge("alertmanager_cluster_enabled", "Indicates whether the clustering is enabled or not.")
_members.set(1)  # alone, a process is all of its cluster: Alertmanager's mixin compares this with how many there are


class ClusterSettings(Settings):
    """Processes that share one PostgreSQL."""

    sends_cut_off_ms: int = setting(
        300_000,
        "Cut off from the database so long, it notifies by what it knows; 0: never.",
        unit="ms",
        ge=0,
    )


class Cluster:
    """Our membership.

    address  how others would reach it, for people to read
    """

    def __init__(self, settings: ClusterSettings, state: StateStore, clock: Clock, address: str) -> None:
        _enabled.set(1)
        self._state, self._clock = state, clock
        self._own = Member(str(uuid.uuid4()), address, clock.now_ms())
        self._peers: tuple[Member, ...] = ()
        self._since_ms, self._acks_mark = 0, (-1, 0)
        self._answered_s = clock.monotonic_s()
        self._runner: asyncio.Task[None] | None = None
        self._warned = False
        self.turns = SharedTurns(state, clock, self._own.id, self.cut_off_ms, settings.sends_cut_off_ms)

    def cut_off_ms(self) -> int:
        """Say for how long the database has not answered."""
        return round((self._clock.monotonic_s() - self._answered_s) * 1000)

    async def start(self, take: Callable[[News], None]) -> None:
        """Join, and hand on what others write.

        raises  SQLAlchemyError when the database does not answer
        """
        take(await self._exchange())
        self._runner = asyncio.create_task(self._run(take), name="cluster")

    async def stop(self) -> None:
        """Leave."""
        if self._runner is None:
            return
        self._runner.cancel()
        await asyncio.gather(self._runner, return_exceptions=True)
        try:
            await asyncio.to_thread(leave, self._state, self._own.id)
        except (SQLAlchemyError, OSError) as error:
            log.warning("cluster_not_left", error=str(error)[:200])

    def status(self) -> dict[str, Any]:
        """Give what Alertmanager's API says of its cluster."""
        peers = [{"address": one.address, "name": one.id} for one in self._peers]
        settled = self.cut_off_ms() < _ALIVE_MS
        return {"name": self._own.id, "peers": peers, "status": "ready" if settled else "settling"}

    async def maintain(self) -> None:
        """Let go of claims that nobody freed."""
        await asyncio.to_thread(drop_claims, self._state, self._since_ms - 3_600_000)

    async def _run(self, take: Callable[[News], None]) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                take(await self._exchange())
                self._warned = False
            except (SQLAlchemyError, OSError) as error:
                if not self._warned:
                    log.error("cluster_cut_off", error=str(error).split("\n", 1)[0][:200])  # noqa: TRY400 — no trace
                self._warned = True
            except Exception:
                log.exception("cluster_round_failed")

    async def _exchange(self) -> News:
        began_s = self._clock.monotonic_s()
        news = await asyncio.to_thread(exchange, self._state, self._own, self._since_ms, self._acks_mark, _ALIVE_MS)
        self._since_ms, self._acks_mark, self._peers = news.seen_ms, news.acks_mark, news.peers
        self._answered_s = began_s
        _members.set(len(news.peers))
        return news
