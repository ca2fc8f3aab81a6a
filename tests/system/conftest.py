"""Real programs for the length of a test."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.peers import free_port
from tests.system.programs import Hook, Redis, Watchkeeper, listening, running
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    server = Redis(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def postgres_port() -> Iterator[int]:
    """A PostgreSQL server of its own; as root it runs under the postgres user, which it demands."""
    folder, port = Path("/tmp") / f"watchkeeper-postgres-{os.getpid()}", free_port()
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    assert binaries, "PostgreSQL is not installed: run tools/test-servers"
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    folder.mkdir()
    if as_user:
        shutil.chown(folder, "postgres", "postgres")
    try:
        initdb = [str(binaries[-1] / "initdb"), "-D", str(folder / "data"), "-A", "trust", "-U", "postgres"]
        subprocess.run([*as_user, *initdb], check=True, stdout=subprocess.DEVNULL, cwd="/")
        serve = [str(binaries[-1] / "postgres"), "-D", str(folder / "data"), "-p", str(port), "-k", str(folder)]
        with running([*as_user, *serve, "-c", "listen_addresses=127.0.0.1"], cwd="/"):
            wait_until("PostgreSQL to listen", lambda: listening(port))
            yield port
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def hook() -> Iterator[Hook]:
    server = Hook()
    yield server
    server.close()


@pytest.fixture
def watchkeeper(tmp_path: Path) -> Iterator[Callable[..., Watchkeeper]]:
    """Give a maker of processes that are killed when the test ends."""
    made: list[Watchkeeper] = []

    def make(*flags: str) -> Watchkeeper:
        made.append(Watchkeeper(tmp_path, *flags))
        return made[-1]

    yield make
    for one in made:
        one.kill()
