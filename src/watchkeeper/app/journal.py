"""The program's own log: one JSON object a line on standard error, or readable lines on a terminal.

The last events wait in memory, too, so that they can be kept and searched like any other log.
"""

import asyncio
import contextlib
import logging
import sys
import time
from collections import deque
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

from watchkeeper.model.doors import LogWriter
from watchkeeper.model.errors import WatchkeeperError
from watchkeeper.model.logs import Entries

_WAITING_MAX = 10_000
_waiting: deque[tuple[int, str, bytes]] = deque(maxlen=_WAITING_MAX)  # time, level, line
_KEEP_EVERY_S = 1.0


def _to_json(event: dict[str, Any], **_: object) -> str:
    return orjson.dumps(event, default=str).decode()


def _remember(_logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    _waiting.append((time.time_ns(), method, orjson.dumps(dict(event), default=str)))
    return event


def open_journal(level: str = "info", form: str = "auto") -> None:
    """Set up structured logging for this process; libraries' own warnings take the same way.

    form  "json", "text", or "auto": text on a terminal
    """
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        _remember,
    ]
    renderer: Any = structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer(_to_json)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


class OwnLog:
    """Puts the program's own events into the log store, as stream {job="watchkeeper"}. A Part."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="own log")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._keep()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_KEEP_EVERY_S)
            self._keep()

    def _keep(self) -> None:
        by_level: dict[str, list[tuple[int, bytes]]] = {}
        while _waiting:
            when_ns, level, line = _waiting.popleft()
            by_level.setdefault(level, []).append((when_ns, line))
        entries = [
            Entries({"job": "watchkeeper", "level": level}, [when for when, _ in lines], [line for _, line in lines])
            for level, lines in by_level.items()
        ]
        if entries:
            with contextlib.suppress(WatchkeeperError):  # a full disk is told about elsewhere; here it would circle
                self._writer.append(entries)
