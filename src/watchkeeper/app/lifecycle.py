"""From `watchkeeper up` to the end of the process: configuration, data directory, start, signals, reload, stop."""

import asyncio
import contextlib
import gc
import signal
from pathlib import Path

import structlog

from watchkeeper.app.config import load
from watchkeeper.app.machine import Machine
from watchkeeper.app.wiring import Options, build
from watchkeeper.model.errors import BadInput
from watchkeeper.store.heap import trim

log = structlog.get_logger(__name__)

EXIT_DONE = 0


async def run(where: Path | None, options: Options) -> int:
    """Run until SIGTERM or SIGINT; gives the exit status.

    where   the configuration, or None
    raises  BadInput for a bad configuration or address; Refused when another process has the data directory
    """
    loaded = await asyncio.to_thread(load, where, quarantine=True)
    for notice in loaded.notices:
        log.warning("configuration_noticed", notice=notice)
    machine = build(loaded, options)
    stopping = asyncio.Event()
    reloading = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, reloading.set)
    hang_ups = asyncio.create_task(_reload_on_hang_up(machine, where, reloading))
    try:
        await machine.start()
        gc.collect()
        gc.freeze()  # what start-up made lives as long as the process: no collection walks it again
        trim()
        await stopping.wait()
        log.info("stop_asked")
    finally:
        hang_ups.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await hang_ups
        await machine.stop()
        machine.close()
        log.info("stopped")
    return EXIT_DONE


async def _reload_on_hang_up(machine: Machine, where: Path | None, asked: asyncio.Event) -> None:
    while True:
        await asked.wait()
        asked.clear()
        with contextlib.suppress(BadInput):  # logged, counted and shown by reload itself
            await machine.reload(where)
