"""The desk and its API as a process of its own: what the real Alertmanager is compared with, and what is killed.

Run as: desk_process.py CONFIG DATA HOST:PORT [STATE_URL]
"""

import asyncio
import signal
import sys
from pathlib import Path

from watchkeeper.api import alertmanager, inbox
from watchkeeper.model.clock import SystemClock
from watchkeeper.net.app import build_app
from watchkeeper.net.auth import OpenDoor
from watchkeeper.net.client import Client
from watchkeeper.net.listener import Listener
from watchkeeper.net.settings import NetSettings
from watchkeeper.notify.cluster import Cluster, ClusterSettings
from watchkeeper.notify.desk import Desk, DeskSettings
from watchkeeper.notify.settings import load_config
from watchkeeper.store.state.db import StateStore


async def main(config: Path, data: Path, listen: str, database: str = "") -> None:
    data.mkdir(parents=True, exist_ok=True)
    state, client = StateStore(database or f"sqlite:///{data / 'state.db'}"), Client("desk/1")
    clock, url = SystemClock(), f"http://{listen}"
    cluster = Cluster(ClusterSettings(), state, clock, url) if state.is_shared else None
    desk = Desk(DeskSettings(), state, clock, client, url, cluster=cluster)
    desk.apply(load_config(config))
    await desk.start()
    routes = [*alertmanager.routes(desk), *inbox.routes(desk)]
    listener = Listener(build_app(routes, OpenDoor(listen), NetSettings(listen=listen)), NetSettings(listen=listen))
    await listener.start()
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, done.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: desk.apply(load_config(config)))
    await done.wait()
    await listener.stop()
    await desk.stop()
    await client.close()
    state.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
