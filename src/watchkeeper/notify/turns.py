"""Whose turn it is to tell an integration about a group.

Alone, it is always ours, and our notification log is the judge. In a cluster a turn is a claim in the shared database,
with a fencing token and an end that is put off while the sending lasts; who takes it reads the shared log just then.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError

from watchkeeper.model.clock import Clock
from watchkeeper.model.metrics import counter
from watchkeeper.store.state.cluster import free_claim, renew_claim, take_claim
from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.notifications import LogEntry, LogKey

log = structlog.get_logger(__name__)

_LEASE_MAX_MS = 10_000
_LEASE_MIN_MS = 500
_lost = counter("watchkeeper_cluster_turns_lost", "Turns that ran out while we were sending.")
_unreachable = counter("watchkeeper_cluster_unreachable", "Turns not asked for, because the database did not answer.")


@dataclass(slots=True)
class Turn:
    """A turn that is held.

    entry  what the log says; of a cluster, the shared one at the moment of the claim
    """

    entry: LogEntry | None
    is_held: bool = True


class Turns(Protocol):
    """Gives turns."""

    def turn(
        self, key: LogKey, known: LogEntry | None, interval_ms: int, timeout_s: float
    ) -> AbstractAsyncContextManager[Turn | None]:
        """Wait for a turn, and hold it inside the block; None when it could not be had in time."""
        ...


class AloneTurns:
    """One process: every turn is ours at once."""

    @asynccontextmanager
    async def turn(
        self, key: LogKey, known: LogEntry | None, interval_ms: int, timeout_s: float
    ) -> AsyncIterator[Turn | None]:
        """Give the turn."""
        del key, interval_ms, timeout_s
        yield Turn(known)


class SharedTurns:
    """Turns by claims in the shared database.

    cut_off_ms     for how long the database has not answered, ms
    sends_cut_off  from then on our own log is the judge again: somebody told twice is better than nobody told
    """

    def __init__(
        self, state: StateStore, clock: Clock, member: str, cut_off_ms: Callable[[], int], sends_cut_off_ms: int
    ) -> None:
        self._state, self._clock, self._member = state, clock, member
        self._cut_off_ms, self._sends_cut_off_ms = cut_off_ms, sends_cut_off_ms

    @asynccontextmanager
    async def turn(
        self, key: LogKey, known: LogEntry | None, interval_ms: int, timeout_s: float
    ) -> AsyncIterator[Turn | None]:
        """Claim the turn, waiting for whoever has it; keep it while the block runs."""
        lease_ms = min(max(interval_ms // 3, _LEASE_MIN_MS), _LEASE_MAX_MS)
        try:
            taken = await self._take(key, lease_ms, timeout_s)
        except (SQLAlchemyError, OSError) as error:
            _unreachable.inc()
            alone = bool(self._sends_cut_off_ms) and self._cut_off_ms() >= self._sends_cut_off_ms
            log.warning("turn_not_taken", sends_anyway=alone, error=str(error).split("\n", 1)[0][:200])
            yield Turn(known) if alone else None
            return
        if taken is None:
            yield None
            return
        token, entry = taken
        turn = Turn(entry)
        keeper = asyncio.create_task(self._keep(turn, key, token, lease_ms), name="turn")
        try:
            yield turn
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            with suppress(SQLAlchemyError, OSError):
                await asyncio.to_thread(free_claim, self._state, key, self._member, token)

    async def _take(self, key: LogKey, lease_ms: int, timeout_s: float) -> tuple[int, LogEntry | None] | None:
        ends_s = self._clock.monotonic_s() + timeout_s
        while True:
            taken = await asyncio.to_thread(take_claim, self._state, key, self._member, lease_ms)
            if taken is not None or self._clock.monotonic_s() >= ends_s:
                return taken
            await asyncio.sleep(min(lease_ms / 5000, 1.0))

    async def _keep(self, turn: Turn, key: LogKey, token: int, lease_ms: int) -> None:
        """Put the claim's end off while sending; when it may have run out, no further attempt begins."""
        good_until_s = self._clock.monotonic_s() + lease_ms / 1000
        while turn.is_held:
            await asyncio.sleep(lease_ms / 3000)
            began_s = self._clock.monotonic_s()
            try:
                kept = await asyncio.to_thread(renew_claim, self._state, key, self._member, token, lease_ms)
            except (SQLAlchemyError, OSError):
                kept = self._clock.monotonic_s() < good_until_s
            else:
                good_until_s = began_s + lease_ms / 1000
            if not kept:
                turn.is_held = False
                _lost.inc()
