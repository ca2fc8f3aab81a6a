"""Waiting for a condition, with a deadline that is generous and a step that is short."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any


def wait_until(what: str, check: Callable[[], Any], within_s: float = 20) -> Any:
    """Call until the answer is true; gives it."""
    deadline = time.monotonic() + within_s
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = check()
        except (OSError, AssertionError, KeyError, IndexError) as error:
            last = error
        else:
            if last:
                return last
        threading.Event().wait(0.05)
    raise AssertionError(f"waited {within_s} s in vain for {what}; last seen: {last!r}")


async def until(condition: Callable[[], bool]) -> None:
    """Let other tasks run until a condition holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)
