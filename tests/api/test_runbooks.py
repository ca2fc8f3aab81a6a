import asyncio
from typing import Any

import pytest
from starlette.datastructures import Headers

from watchkeeper.api.runbooks import routes
from watchkeeper.net.answers import Fault
from watchkeeper.net.routing import ANONYMOUS, Call


def ask(name: str) -> str:
    async def never() -> bool:
        return False

    (route,) = routes()
    call = Call("GET", route.path, {"name": name}, (), Headers({}), b"", ANONYMOUS, "", never)
    answer: Any = asyncio.run(route.handler(call))  # type: ignore[arg-type]
    return str(answer.body.decode())


def test_a_runbook_is_markdown_about_one_alert() -> None:
    assert ask("RedisDown").startswith("# RedisDown\n\n`redis-cli ping`")


def test_an_unknown_name_is_not_found() -> None:
    with pytest.raises(Fault, match="want the name of a built-in alert"):
        ask("Nosuch")
