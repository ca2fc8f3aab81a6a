"""Queries from outside take turns by caller, end when nobody waits, and are held within limits."""

import asyncio
import threading
from pathlib import Path

import orjson
import pytest
from tests.doubles import SplitClock

from watchkeeper.model.checkpoint import checkpoint, looking
from watchkeeper.model.errors import Refused
from watchkeeper.query.limits import Budget, Canceled, Memory, TimedOut
from watchkeeper.query.pace import Pace
from watchkeeper.query.querylog import QueryLog, stamp
from watchkeeper.query.settings import QuerySettings
from watchkeeper.query.traffic import Asked, Traffic


def asked(who: str, timeout_s: float = 10) -> Asked:
    return Asked("up", "query", who, "127.0.0.1", 0, 0, 0, Budget(1000, timeout_s))


async def stays() -> bool:
    return False


async def gone() -> bool:
    return True


def until_ended(budget: Budget) -> None:
    while True:
        budget.check()


def test_callers_take_turns_whatever_each_has_asked() -> None:
    order: list[str] = []

    async def run() -> None:
        traffic = Traffic(QuerySettings(max_concurrency=1))
        go = threading.Event()
        first = asyncio.create_task(traffic.run(asked("greedy"), go.wait, stays))
        await asyncio.sleep(0)
        others = [
            asyncio.create_task(traffic.run(asked(who), lambda who=who: order.append(who), stays))  # type: ignore[misc]
            for who in ("greedy", "greedy", "greedy", "modest", "other")
        ]
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(first, *others)
        assert not traffic.active()

    asyncio.run(run())
    assert order == ["greedy", "modest", "other", "greedy", "greedy"]


def test_who_is_gone_frees_the_place() -> None:
    async def run() -> None:
        traffic = Traffic(QuerySettings(max_concurrency=1))
        one = asked("a")
        with pytest.raises(Canceled, match="query was canceled in expression evaluation"):
            await traffic.run(one, lambda: until_ended(one.budget), gone)
        assert await traffic.run(asked("a"), lambda: 7, stays) == 7

    asyncio.run(run())


def test_an_active_query_is_shown_and_can_be_ended() -> None:
    async def run() -> None:
        traffic = Traffic(QuerySettings(max_concurrency=1))
        one = asked("a")
        task = asyncio.create_task(traffic.run(one, lambda: until_ended(one.budget), stays))
        waiting = asyncio.create_task(traffic.run(asked("b"), lambda: 1, stays))
        await asyncio.sleep(0.01)
        assert [(shown.who, shown.began_s is None) for shown in traffic.active()] == [("a", False), ("b", True)]
        assert traffic.cancel(one.number)
        assert not traffic.cancel(-1)
        with pytest.raises(Canceled):
            await task
        assert await waiting == 1

    asyncio.run(run())


def test_waiting_has_a_limit_and_ends_with_the_timeout() -> None:
    async def run() -> None:
        traffic = Traffic(QuerySettings(max_concurrency=1, waiting_max=1))
        go = threading.Event()
        task = asyncio.create_task(traffic.run(asked("a"), go.wait, stays))
        await asyncio.sleep(0)
        late = asyncio.create_task(traffic.run(asked("a", 0.05), lambda: 1, stays))
        await asyncio.sleep(0)
        with pytest.raises(Refused, match=r"query\.waiting_max"):
            await traffic.run(asked("b"), lambda: 1, stays)
        with pytest.raises(TimedOut, match="query timed out in query queue"):
            await late
        go.set()
        assert await task

    asyncio.run(run())


def test_all_queries_share_memory_and_give_it_back() -> None:
    memory = Memory(8000)
    one, two = Budget(10_000, None, memory), Budget(10_000, None, memory)
    one.charge(900)
    with pytest.raises(Refused, match=r"query\.memory_bytes_max"):
        two.charge(200)
    two.close()
    one.close()
    two.charge(1000)
    two.close()


def test_checkpoints_look_where_somebody_says_how() -> None:
    checkpoint()
    ended = Budget(1, -1)
    with looking(ended.check), pytest.raises(TimedOut):
        checkpoint()
    checkpoint()


def test_the_query_log_is_one_json_a_line_and_follows_the_configuration(tmp_path: Path) -> None:
    log = QueryLog(SplitClock(1_700_000_000_123))
    log.write({"params": {"query": "lost"}})
    log.apply(tmp_path / "queries.log")
    log.write({"params": {"query": "up == 0"}})
    log.apply(None)
    log.write({"params": {"query": "lost"}})
    log.apply(tmp_path / "missing" / "queries.log")
    assert not log.enabled
    (line,) = (tmp_path / "queries.log").read_text().splitlines()
    said = orjson.loads(line)
    assert said["time"] == "2023-11-14T22:13:20.123Z"
    assert said["params"]["query"] == "up == 0"


def test_moments_beyond_the_calendar_are_numbers() -> None:
    assert stamp(1 << 53) == str(1 << 53)


def test_a_short_query_runs_at_once_unless_it_must_wait() -> None:
    async def run() -> None:
        traffic = Traffic(QuerySettings(max_concurrency=1))
        here = threading.get_ident()
        assert await traffic.run(asked("a"), threading.get_ident, stays, at_once=True) == here
        assert await traffic.run(asked("a"), threading.get_ident, stays) != here
        go = threading.Event()
        first = asyncio.create_task(traffic.run(asked("a"), go.wait, stays))
        await asyncio.sleep(0)
        second = asyncio.create_task(traffic.run(asked("a"), threading.get_ident, stays, at_once=True))
        await asyncio.sleep(0)
        assert not second.done()
        go.set()
        await first
        assert await second != here

    asyncio.run(run())


def test_how_long_a_text_took_says_whether_it_is_short() -> None:
    pace = Pace()
    assert not pace.is_quick("up")
    pace.note("up", 0.0001)
    assert pace.is_quick("up")
    pace.note("up", 1.0)
    assert not pace.is_quick("up")
