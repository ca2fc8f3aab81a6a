"""Passwords as Argon2id hashes; at most two are computed at once, as each takes 64 MiB."""

import asyncio
import base64
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from watchkeeper.model.errors import Refused
from watchkeeper.model.metrics import histogram

ResultT = TypeVar("ResultT")

_AT_ONCE = 2
_WAITING_MAX = 32

_seconds = histogram("watchkeeper_password_check_duration_seconds", "Time to check a password, waiting included.")


class Passwords:
    """Makes and checks password hashes, off the event loop.

    hasher  RFC 9106's second recommendation when left out: 64 MiB, 3 passes, 4 lanes
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(time_cost=3, memory_cost=64 << 10, parallelism=4)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="password")
        self._waiting = 0
        self._nobody = self._hash_of_nothing()

    async def check(self, password: str, stored: str | None) -> bool:
        """Say whether a password is the one that a hash was made of.

        stored  None for an unknown user, who takes the same time
        raises  Refused when too many wait
        """
        with _seconds.time():
            right = await self._run(partial(self._verify, stored or self._nobody, password))
        return right and stored is not None

    async def hash(self, password: str) -> str:
        """Make the hash to store."""
        return await self._run(partial(self._hasher.hash, password))

    def hash_now(self, password: str) -> str:
        """Make the hash to store, in this thread: for the command line and the first start."""
        return self._hasher.hash(password)

    def is_outdated(self, stored: str) -> bool:
        """Say whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: partial[ResultT]) -> ResultT:
        if self._waiting >= _WAITING_MAX:
            raise Refused("cannot check password: got too many at once, want fewer", retry_after_s=2)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (Argon2Error, InvalidHashError):
            return False

    def _hash_of_nothing(self) -> str:
        """Make up a hash of today's parameters that no password has, without the cost of computing one."""
        made = self._hasher
        salt, digest = (
            base64.b64encode(os.urandom(length)).rstrip(b"=").decode() for length in (made.salt_len, made.hash_len)
        )
        return f"$argon2id$v=19$m={made.memory_cost},t={made.time_cost},p={made.parallelism}${salt}${digest}"
