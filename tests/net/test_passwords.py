import asyncio
import threading
import time
from typing import Literal

import pytest
from argon2 import PasswordHasher, extract_parameters

from watchkeeper.model.errors import Refused
from watchkeeper.net.passwords import Passwords


def test_parameters_are_at_least_rfc_9106s_for_little_memory() -> None:
    hashed = Passwords().hash_now("secret")
    made = extract_parameters(hashed)
    assert made.type.name == "ID"
    assert made.memory_cost >= 64 << 10 and made.time_cost >= 3 and made.parallelism >= 4
    assert made.salt_len >= 16 and made.hash_len >= 32
    assert "secret" not in hashed


def test_an_unknown_user_takes_as_long() -> None:
    passwords = Passwords()
    stored = passwords.hash_now("right")

    async def cost_s(known: bool) -> float:
        began = time.process_time()  # CPU, as other work on the machine stretches the clock on the wall
        assert not await passwords.check("wrong", stored if known else None)
        return time.process_time() - began

    async def run() -> float:
        times: dict[bool, list[float]] = {True: [], False: []}
        ratio = 0.0
        for _ in range(10):  # in turn, until the least of each agree
            for known in (True, False):
                times[known].append(await cost_s(known))
            ratio = min(times[False]) / min(times[True])
            if len(times[True]) >= 3 and 0.8 < ratio < 1.2:
                break
        return ratio

    assert asyncio.run(run()) == pytest.approx(1, abs=0.2)


def test_right_and_wrong() -> None:
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))

    async def run() -> list[bool]:
        stored = await passwords.hash("right")
        checks = [("right", stored), ("wrong", stored), ("", stored), ("right", None), ("right", "no hash")]
        return [await passwords.check(*each) for each in checks]

    assert asyncio.run(run()) == [True, False, False, False, False]


def test_two_at_once_and_a_bounded_queue() -> None:
    running, most, gate = set(), [0], threading.Event()

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 # argon2's own name
            running.add(threading.get_ident())
            most[0] = max(most[0], len(running))
            gate.wait(5)
            running.discard(threading.get_ident())
            return True

    passwords = Passwords(Counting(time_cost=1, memory_cost=64, parallelism=1))

    async def run() -> int:
        tasks = [asyncio.create_task(passwords.check("x", "y")) for _ in range(40)]
        await asyncio.sleep(0)
        gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        return sum(isinstance(result, Refused) for result in results)

    assert asyncio.run(run()) == 8
    assert most[0] <= 2


def test_old_parameters_are_told() -> None:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    assert Passwords().is_outdated(cheap.hash("x"))
