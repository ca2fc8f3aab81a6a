"""A real PostgreSQL server for tests: its own folder and port, a fresh database for whoever asks."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
from tests.peers import free_port
from tests.waiting import wait_until


class Postgres:
    """A running server; commits are not synced, since no test cuts its power."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._numbers = count()

    def database(self) -> str:
        """Make an empty database and give its SQLAlchemy URL."""
        name = f"wk{next(self._numbers)}"
        with psycopg.connect(f"postgresql://postgres@127.0.0.1:{self.port}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start a server; as root it runs under the postgres user, which it demands."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    assert binaries, "PostgreSQL is not installed: run tools/test-servers"
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    folder, port = Path(tempfile.mkdtemp(prefix="watchkeeper-postgres-", dir="/tmp")), free_port()
    if as_user:
        shutil.chown(folder, "postgres", "postgres")
    server: subprocess.Popen[bytes] | None = None
    try:
        initdb = [str(binaries[-1] / "initdb"), "-D", str(folder / "data"), "-A", "trust", "-U", "postgres", "-N"]
        subprocess.run([*as_user, *initdb], check=True, stdout=subprocess.DEVNULL, cwd="/")
        serve = [str(binaries[-1] / "postgres"), "-D", str(folder / "data"), "-p", str(port), "-k", str(folder)]
        serve += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        with (folder / "log").open("wb") as out:
            server = subprocess.Popen([*as_user, *serve], cwd="/", stdout=out, stderr=out)
        wait_until("PostgreSQL to answer", lambda: _answers(port))
        yield Postgres(port)
    finally:
        if server is not None:
            server.terminate()  # "smart" would wait for connections that tests leave open
            server.send_signal(2)
            server.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(port: int) -> bool:
    try:
        psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", connect_timeout=1).close()
    except psycopg.OperationalError as error:
        raise OSError(str(error)) from None
    return True
