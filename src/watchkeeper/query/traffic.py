"""Queries from outside, taking turns: how many run at once, whose turn it is, what runs now, and ending it.

Callers take turns, whatever each has asked: who asks for a hundred panels waits behind who asks for one. Rules do not
come this way: they are evaluated at once, in threads of their own.
"""

import asyncio
import contextvars
import itertools
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from watchkeeper.model import metrics
from watchkeeper.model.errors import Refused
from watchkeeper.query.lanes import Lanes, lanes_of_machine
from watchkeeper.query.limits import Budget, Canceled, TimedOut
from watchkeeper.query.settings import QuerySettings
from watchkeeper.query.timings import QUEUED

_LOOK_S = 0.2  # how long a caller may be gone before it is noticed

_RUNNING = metrics.gauge("prometheus_engine_queries", "The current number of queries being executed or waiting.")
_AT_ONCE = metrics.gauge("prometheus_engine_queries_concurrent_max", "The max number of concurrent queries.")
_WAITED = metrics.counter("watchkeeper_query_waited_seconds", "How long queries waited for their turn, together.")
_ENDED = metrics.counter("watchkeeper_queries_canceled", "Queries ended before their answer.", ("why",))

T = TypeVar("T")
_numbers = itertools.count(1)


@dataclass(slots=True, eq=False)
class Asked:
    """A query of somebody's, from its arrival to its answer.

    kind                      "query" or "query_range"
    who, address              the caller's name, and where from
    start_ms, end_ms, step_ms  equal moments and 0 for an instant query
    """

    text: str
    kind: str
    who: str
    address: str
    start_ms: int
    end_ms: int
    step_ms: int
    budget: Budget
    number: int = field(default_factory=lambda: next(_numbers))
    arrived_s: float = field(default_factory=time.monotonic)
    began_s: float | None = None

    @property
    def waited_s(self) -> float:
        """Give how long it waited for its turn."""
        return (self.began_s or time.monotonic()) - self.arrived_s

    @property
    def seconds(self) -> float:
        """Give how long ago it arrived."""
        return time.monotonic() - self.arrived_s


class Traffic:
    """Used on the event loop; the queries themselves run in threads of their own."""

    def __init__(self, settings: QuerySettings) -> None:
        self._free, self._waiting_max = settings.max_concurrency, settings.waiting_max
        self._threads = ThreadPoolExecutor(settings.max_concurrency, "query")
        self._lanes = Lanes(min(settings.max_concurrency, lanes_of_machine()))
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._asked: dict[int, Asked] = {}
        _AT_ONCE.set(settings.max_concurrency)
        _RUNNING.set_function(lambda: len(self._asked))

    def active(self) -> list[Asked]:
        """Give what runs or waits, oldest first."""
        return list(self._asked.values())

    def cancel(self, number: int) -> bool:
        """End a query; False when there is none of this number."""
        asked = self._asked.get(number)
        if asked is not None:
            asked.budget.cancel()
            _ENDED.labels("asked").inc()
        return asked is not None

    async def run(
        self, asked: Asked, work: Callable[[], T], is_gone: Callable[[], Awaitable[bool]], *, at_once: bool = False
    ) -> T:
        """Run a query's work in a thread when it is its turn.

        at_once  run it here and now, if it need not wait: it is shorter than the way to a thread and back
        is_gone  says whether nobody waits for the answer any more
        raises   Refused when too many wait; TimedOut, Canceled; what the work raises
        """
        if at_once and self._free:
            asked.began_s = asked.arrived_s
            return work()
        self._asked[asked.number] = asked
        try:
            await self._turn(asked, is_gone)
            asked.began_s = time.monotonic()
            _WAITED.inc(asked.waited_s)
            QUEUED.observe(asked.waited_s)
            loop, context = asyncio.get_running_loop(), contextvars.copy_context()
            future = loop.run_in_executor(self._threads, context.run, self._in_lane, asked.budget, work)
            try:
                return await _watched(future, asked, is_gone)
            finally:
                if future.done():
                    self._next()
                else:  # the thread is still busy: its place is free when it ends
                    asked.budget.cancel()
                    future.add_done_callback(lambda _: self._next())
        finally:
            self._asked.pop(asked.number, None)

    def _in_lane(self, budget: Budget, work: Callable[[], T]) -> T:
        with self._lanes.taken() as lane:
            budget.give_way = lane.give_way
            return work()

    async def _turn(self, asked: Asked, is_gone: Callable[[], Awaitable[bool]]) -> None:
        if self._free:
            self._free -= 1
            return
        if sum(map(len, self._waiting.values())) >= self._waiting_max:
            raise Refused(f"cannot run query: got {self._waiting_max} waiting, want less (query.waiting_max)", 2)
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(asked.who, deque()).append(place)
        try:
            while not place.done():
                left_s = asked.budget.left_s
                if left_s is not None and left_s <= 0:
                    raise TimedOut("query timed out in query queue")
                await asyncio.wait({place}, timeout=min(_LOOK_S, _LOOK_S if left_s is None else left_s))
                if not place.done() and (asked.budget.canceled or await is_gone()):
                    raise Canceled("query was canceled in query queue")
        except BaseException:
            if place.done():
                self._next()
            else:
                place.cancel()  # skipped when its turn comes
            raise

    def _next(self) -> None:
        """Give a place that became free to the next caller's oldest query."""
        while self._waiting:
            who, line = next(iter(self._waiting.items()))
            place = line.popleft()
            if line:
                self._waiting.move_to_end(who)
            else:
                del self._waiting[who]
            if not place.done():
                place.set_result(None)
                return
        self._free += 1


async def _watched(future: "asyncio.Future[T]", asked: Asked, is_gone: Callable[[], Awaitable[bool]]) -> T:
    while True:
        await asyncio.wait({future}, timeout=_LOOK_S)
        if future.done():
            return future.result()
        if await is_gone():
            _ENDED.labels("gone").inc()
            asked.budget.cancel()
            return await future
