"""All parts together: started in order, stopped in reverse, reloaded as one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from watchkeeper.app.config import Loaded, load
from watchkeeper.model.clock import Clock
from watchkeeper.model.doors import Part
from watchkeeper.model.errors import BadInput
from watchkeeper.model.metrics import gauge
from watchkeeper.net.routing import Route

log = structlog.get_logger(__name__)

_PROGRAMS = ("prometheus", "alertmanager")  # whose dashboards and alerts ask for these
_reloads_good = [
    gauge(f"{program}_config_last_reload_successful", "Whether the last configuration reload attempt was successful.")
    for program in _PROGRAMS
]
_reloads_s = [
    gauge(
        f"{program}_config_last_reload_success_timestamp_seconds",
        "Timestamp of the last successful configuration reload.",
    )
    for program in _PROGRAMS
]


@dataclass(slots=True)
class Standing:
    """What the machine is doing; shared with the routes that tell.

    ready        every part has started, none has begun to stop
    reload_good  whether the files were good at the last reading
    """

    loaded: Loaded
    started_ms: int
    reloaded_ms: int
    ready: bool = False
    reload_good: bool = True


class Machine:
    """The parts, in the order in which they start.

    standing  what it is doing
    routes    every route it serves
    apply     hands loaded files to every stage
    shut      lets go of what has no life of its own, after every part has stopped
    """

    def __init__(
        self,
        parts: Sequence[Part],
        routes: Sequence[Route],
        standing: Standing,
        apply: Callable[[Loaded], Awaitable[None]],
        shut: Callable[[], None],
        clock: Clock,
    ) -> None:
        self.routes, self.standing = tuple(routes), standing
        self._parts, self._apply, self._shut, self._clock = tuple(parts), apply, shut, clock
        self._started: list[Part] = []
        self._changing = asyncio.Lock()

    async def start(self) -> None:
        """Start every part; when one cannot, those started are stopped again by `stop`."""
        await self._apply(self.standing.loaded)
        for part in self._parts:
            self._started.append(part)
            await part.start()
        self.standing.ready = True
        self._note_reload(good=True)
        log.info("ready", seconds=round((self._clock.now_ms() - self.standing.started_ms) / 1000, 3))

    async def stop(self) -> None:
        """Stop what was started, last first."""
        self.standing.ready = False
        while self._started:
            await self._started.pop().stop()

    def close(self) -> None:
        """Let go of files and connections; the machine is of no use afterwards."""
        self._shut()

    async def reload(self, where: Path | None) -> None:
        """Read the files again and take them in; when any is bad, nothing changes.

        raises  BadInput with every fault
        """
        async with self._changing:
            try:
                loaded = await asyncio.to_thread(load, where, quarantine=True)
                await self._apply(loaded)
            except BadInput as error:
                self._note_reload(good=False)
                log.error("reload_failed", error=str(error))  # noqa: TRY400 (a person's mistake needs no traceback)
                raise
            self.standing.loaded = loaded
            self._note_reload(good=True)
            for notice in loaded.notices:
                log.warning("configuration_noticed", notice=notice)
            log.info("reloaded", files=len(loaded.files))

    def _note_reload(self, *, good: bool) -> None:
        self.standing.reload_good = good
        for reload_good in _reloads_good:
            reload_good.set(good)
        if good:
            self.standing.reloaded_ms = self._clock.now_ms()
            for reload_s in _reloads_s:
                reload_s.set(self.standing.reloaded_ms / 1000)
