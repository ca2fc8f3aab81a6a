"""Compressing the rows of wide frames in a thread, so that the event loop never stands still for long.

pcodec holds the interpreter's lock while it works, but for half a millisecond a time: the loop gets its turn in
between, where a frame of 50,000 series sealed in one go would hold it for half a second.
"""

import asyncio
import contextlib
from typing import Protocol

import structlog

from watchkeeper.model.frame import Floats, Times
from watchkeeper.model.metrics import counter
from watchkeeper.store.metrics.chunk import Chunk
from watchkeeper.store.metrics.strip import Strip, sealed_rows

log = structlog.get_logger(__name__)

BEHIND = counter("watchkeeper_metrics_sealed_in_thread", "Times that the rows of a wide frame were compressed aside.")


class _Owner(Protocol):
    def publish(self) -> None: ...


class Sealer:
    """Used from the event loop's thread."""

    def __init__(self) -> None:
        self._waiting: dict[Strip, _Owner] = {}
        self._task: asyncio.Task[None] | None = None

    def later(self, owner: _Owner, strip: Strip) -> bool:
        """Seal a strip's frozen rows soon, and let the owner publish them; False when there is no loop to do it."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        self._waiting[strip] = owner
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._work(), name="metrics-sealing")
        return True

    async def stop(self) -> None:
        """Give up what waits; it is still in the open rows, and in the log."""
        self._waiting.clear()
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def done(self) -> None:
        """Return when nothing waits any more."""
        while self._task is not None and not self._task.done():
            await asyncio.shield(self._task)

    async def _work(self) -> None:
        while self._waiting:
            strip = next(iter(self._waiting))
            owner = self._waiting.pop(strip)
            frozen = strip.frozen()
            if frozen is None:
                continue
            try:
                chunks = await asyncio.to_thread(_seal, *frozen)
            except Exception:
                log.exception("sealing_failed")
                continue
            if strip.take_sealed(frozen[0], chunks):
                BEHIND.inc()
                owner.publish()


def _seal(times: Times, values: Floats, window_ms: int) -> list[Chunk]:
    return sealed_rows(times, values, window_ms)
