"""Acknowledgements: who has taken an alert on; until that ends, it is neither repeated nor escalated."""

import asyncio
from collections.abc import Iterable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from watchkeeper.model.clock import Clock
from watchkeeper.model.errors import BadInput, Refused
from watchkeeper.store.state.acks import Ack, drop_acks, load_acks, save_acks
from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.ledger import Event

_TEXT_MAX = 2000


class AckBook:
    """All acknowledgements, each on the disk before it counts."""

    def __init__(self, state: StateStore, clock: Clock, acks_max: int) -> None:
        self._state, self._clock, self._acks_max = state, clock, acks_max
        self._acks: dict[int, Ack] = {}
        self._changing = asyncio.Lock()

    async def load(self) -> None:
        """Take over what the state store has."""
        self._acks = {one.fingerprint: one for one in await asyncio.to_thread(load_acks, self._state)}

    def heard(self, acks: Iterable[Ack]) -> None:
        """Take over what others have written: all that there are."""
        self._acks = {one.fingerprint: one for one in acks}

    def find(self, fingerprint: int) -> Ack | None:
        """Give the acknowledgement that holds for an alert now."""
        ack = self._acks.get(fingerprint)
        return ack if ack is not None and ack.until_ms > self._clock.now_ms() else None

    def all(self) -> list[Ack]:
        """Give all that hold now, the latest first."""
        now_ms = self._clock.now_ms()
        return sorted((one for one in self._acks.values() if one.until_ms > now_ms), key=lambda one: -one.made_ms)

    def cover(self, fingerprints: Iterable[int]) -> bool:
        """Say whether every one of these alerts is acknowledged."""
        return bool(self._acks) and all(self.find(one) is not None for one in fingerprints)

    async def add(self, fingerprints: Sequence[int], by: str, until_ms: int, comment: str) -> None:
        """Acknowledge alerts; on the disk when it returns. It takes the place of earlier acknowledgements.

        raises  BadInput; Refused when it could not be written
        """
        now_ms = self._clock.now_ms()
        if until_ms <= now_ms:
            raise BadInput("cannot acknowledge: got an end that is over, want one to come")
        if len(comment) + len(by) > _TEXT_MAX:
            raise BadInput(f"cannot acknowledge: got {len(comment) + len(by)} characters, want at most {_TEXT_MAX}")
        async with self._changing:
            if len(self._acks) + len(fingerprints) > self._acks_max:
                raise BadInput(f"cannot acknowledge: got {self._acks_max} already, want at most as many")
            made = [Ack(one, by, comment, now_ms, until_ms) for one in fingerprints]
            detail = {"by": by, "until_ms": until_ms, "comment": comment}
            events = [Event(now_ms, one, "acknowledged", detail) for one in fingerprints]
            await self._write(save_acks, made, events)
            self._acks.update((one.fingerprint, one) for one in made)

    async def end(self, fingerprints: Iterable[int]) -> list[Ack]:
        """End acknowledgements, and give those that there were."""
        async with self._changing:
            ended = [self._acks[one] for one in fingerprints if one in self._acks]
            if ended:
                now_ms = self._clock.now_ms()
                events = [Event(now_ms, one.fingerprint, "ack_ended", {"by": one.by}) for one in ended]
                await self._write(drop_acks, [one.fingerprint for one in ended], events)
            for one in ended:
                del self._acks[one.fingerprint]
            return ended

    async def forget(self, over: Iterable[int]) -> None:
        """End the acknowledgements of alerts that are over, and those whose time has come."""
        now_ms, gone = self._clock.now_ms(), set(over)
        await self.end(
            [one.fingerprint for one in list(self._acks.values()) if one.until_ms <= now_ms or one.fingerprint in gone]
        )

    async def _write(self, write: object, *what: object) -> None:
        assert callable(write)
        try:
            await asyncio.to_thread(write, self._state, *what)
        except (SQLAlchemyError, OSError) as error:
            reason = str(getattr(error, "orig", None) or error).split("\n", 1)[0][:200]
            raise Refused(f"cannot write acknowledgement: {reason}") from None
