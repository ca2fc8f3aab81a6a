"""The part that tails files into the log store: what was read and how far goes into one record of the log, so that a
restart neither loses nor repeats a line.
"""

import asyncio
from collections.abc import Sequence

import structlog

from watchkeeper.collect.logs.promtail import PromtailConfig, TailSettings
from watchkeeper.collect.logs.reading import Batch, Reading, Target, targets_of
from watchkeeper.model.clock import Clock
from watchkeeper.model.doors import LogWriter
from watchkeeper.model.errors import OverLimit, Refused

log = structlog.get_logger(__name__)

_RETRY_S = 1.0


class Tailer:
    """A Part. `apply` may be called before the start, and again with a new configuration."""

    def __init__(self, writer: LogWriter, clock: Clock, settings: TailSettings | None = None) -> None:
        self._writer, self._clock = writer, clock
        self._settings = settings or TailSettings()
        self._targets: list[Target] = []
        self._reading: Reading | None = None
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    def apply(self, configs: Sequence[PromtailConfig]) -> None:
        """Read what these say from now on; positions of files that stay are kept.

        raises  BadInput naming the stage that is wrong; the old configuration goes on then
        """
        targets = [target for config in configs for target in targets_of(config)]
        if any(config.clients or config.client for config in configs):
            log.info("promtail_clients_ignored", reason="lines are kept in this process's own store")
        self._targets = targets
        self._changed.set()

    async def start(self) -> None:
        """Begin to read."""
        self._task = asyncio.create_task(self._run(), name="logs-tailer")

    async def stop(self) -> None:
        """Finish the batch under way and let go of all files."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def status(self) -> list[dict[str, object]]:
        """Give path, job, labels and offset of each file that is read."""
        return self._reading.status() if self._reading else []

    async def _run(self) -> None:
        shortest_s, longest_s = self._settings.poll_shortest_ms / 1000, self._settings.poll_longest_ms / 1000
        pause_s = shortest_s
        try:
            while True:
                if self._changed.is_set() or self._reading is None:
                    self._begin()
                assert self._reading is not None
                batch = await self._gather(self._reading)
                if batch.positions or batch.entries:
                    await asyncio.shield(self._store(self._reading, batch))
                    pause_s = 0.0 if batch.chunks > 1 else shortest_s
                else:
                    pause_s = min(max(pause_s, shortest_s) * 1.5, longest_s)
                await asyncio.sleep(pause_s)
        finally:
            if self._reading is not None:
                self._reading.close()

    def _begin(self) -> None:
        self._changed.clear()
        if self._reading is not None:
            self._reading.close()
        self._reading = Reading(self._targets, self._settings, self._clock, self._writer.positions())

    async def _gather(self, reading: Reading) -> Batch:
        """Read on; a fault in a stage costs a pause, not the tailing of all other files."""
        try:
            return await asyncio.to_thread(reading.gather)
        except Exception:
            log.exception("log_files_not_read")
            await asyncio.sleep(_RETRY_S)
            self._changed.set()  # begin anew from the positions that are kept
            return Batch()

    async def _store(self, reading: Reading, batch: Batch) -> None:
        """Store a batch, trying until the disk takes it: nothing is read on before."""
        while True:
            try:
                self._writer.append(batch.entries, batch.positions)
                break
            except Refused as error:
                log.warning("log_lines_waiting", error=str(error))
                await asyncio.sleep(_RETRY_S)
            except OverLimit as error:  # cannot get smaller by waiting
                log.warning("log_lines_lost", error=str(error), streams=len(batch.entries))
                self._writer.append([], batch.positions)
                break
        while True:
            try:
                await self._writer.commit()
                break
            except Refused as error:
                log.warning("log_lines_waiting", error=str(error))
                await asyncio.sleep(_RETRY_S)
        reading.accept(batch)
