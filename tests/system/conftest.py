"""Real programs for the length of a test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.postgres import Postgres
from tests.system.programs import Hook, Redis, Watchkeeper


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    server = Redis(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def postgres_port(postgres: Postgres) -> int:
    return postgres.port


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
