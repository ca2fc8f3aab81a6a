"""Silences that come again: a schedule, from which ordinary silences are made a day ahead.

Each occurrence is a silence like any other, so amtool and the API show it, and it may be ended or extended by itself.
Its id follows from the recurring silence's and the moment it begins: no process makes it twice, and one that was ended
by hand is not made again.
"""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from watchkeeper.model.clock import Clock
from watchkeeper.model.errors import BadInput, Refused
from watchkeeper.notify.matcher import LabelMatcher, parse_matcher
from watchkeeper.notify.schedule import Schedule
from watchkeeper.notify.silence import Silence, UnknownSilence, validate
from watchkeeper.notify.silencing import Silencing
from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.recurring import drop_recurring, load_recurring, save_recurring

MARK = "watchkeeper.recurring"  # the annotation that names the recurring silence an occurrence is of
_AHEAD_MS = 86_400_000
_LASTS_MAX_MS = 31 * 86_400_000
_NAMESPACE = uuid.UUID("6f1d8c0e-59a5-4f0c-9d0b-0d1c6a6f7a11")


@dataclass(frozen=True, slots=True)
class Recurring:
    """A silence that comes again.

    lasts_ms  by the wall's clock: a night from 22:00 for 8h ends at 06:00 also when clocks are set
    """

    id: str
    matchers: tuple[LabelMatcher, ...]
    schedule: Schedule
    lasts_ms: int
    created_by: str
    comment: str

    def occurrences(self, now_ms: int, count: int) -> list[tuple[int, int]]:
        """Give the begin and end of the next occurrences, one that is under way included."""
        found: list[tuple[int, int]] = []
        at_ms = now_ms - self.lasts_ms - 2 * 3_600_000  # clocks may have been set back within
        while len(found) < count:
            start_ms = self.schedule.next_after(at_ms)
            if start_ms is None:
                break
            end_ms = self.schedule.end_of(start_ms, self.lasts_ms)
            if end_ms > now_ms:
                found.append((start_ms, end_ms))
            at_ms = start_ms
        return found

    def body(self) -> dict[str, Any]:
        """Give it as it is kept and shown."""
        return {
            "matchers": [str(one) for one in self.matchers],
            "schedule": self.schedule.model_dump(mode="json", exclude_defaults=True),
            "lasts_ms": self.lasts_ms,
            "created_by": self.created_by,
            "comment": self.comment,
        }


def read_recurring(silence_id: str, body: Mapping[str, Any]) -> Recurring:
    """Read one from its body.

    raises  BadInput when it is not valid
    """
    try:
        schedule = Schedule.model_validate(body.get("schedule"))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where, reason = ".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, ")
        raise BadInput(f"cannot read schedule: {where + ': ' if where else ''}{reason}") from None
    lasts_ms = body.get("lasts_ms")
    if not isinstance(lasts_ms, int) or isinstance(lasts_ms, bool) or not 60_000 <= lasts_ms <= _LASTS_MAX_MS:
        raise BadInput(f"cannot read lasts: got {lasts_ms!r} ms, want one minute to 31 days")
    matchers = tuple(map(parse_matcher, body["matchers"]))
    found = Recurring(silence_id, matchers, schedule, lasts_ms, body["created_by"], body["comment"])
    validate(Silence("", matchers, 0, 1, found.created_by, found.comment))
    return found


class RecurringBook:
    """All recurring silences, each on the disk before it counts; makes their occurrences."""

    def __init__(self, state: StateStore, clock: Clock, silencing: Silencing, count_max: int) -> None:
        self._state, self._clock, self._silencing, self._count_max = state, clock, silencing, count_max
        self._all: dict[str, Recurring] = {}
        self._changing = asyncio.Lock()

    async def load(self) -> None:
        """Take over what the state store has."""
        rows = await asyncio.to_thread(load_recurring, self._state)
        self._all = {silence_id: read_recurring(silence_id, body) for silence_id, body in rows}

    def all(self) -> list[Recurring]:
        """Give all, by comment."""
        return sorted(self._all.values(), key=lambda one: (one.comment, one.id))

    def get(self, silence_id: str) -> Recurring:
        """Give one.

        raises  UnknownSilence
        """
        try:
            return self._all[silence_id]
        except KeyError:
            raise UnknownSilence from None

    async def add(self, body: Mapping[str, Any]) -> Recurring:
        """Make one, with its occurrences of the next day; on the disk when it returns.

        raises  BadInput; Refused when it could not be written
        """
        made = read_recurring(str(uuid.uuid4()), body)
        if not made.occurrences(self._clock.now_ms(), 1):
            raise BadInput("cannot make recurring silence: got a schedule that has no next time, want one that has")
        async with self._changing:
            if len(self._all) >= self._count_max:
                raise BadInput(f"cannot make recurring silence: got {len(self._all)} already, want at most as many")
            await self._write(save_recurring, made.id, made.body(), self._clock.now_ms())
            self._all[made.id] = made
        await self.make_due()
        return made

    async def end(self, silence_id: str) -> None:
        """Remove one, and end its occurrences.

        raises  UnknownSilence; Refused when it could not be written
        """
        async with self._changing:
            self.get(silence_id)
            await self._write(drop_recurring, silence_id)
            del self._all[silence_id]
        for silence in self._silencing.find():
            if silence.annotations.get(MARK) == silence_id:
                await self._silencing.end(silence.id)

    async def make_due(self) -> None:
        """Make the occurrences that begin within a day and are not there yet."""
        now_ms = self._clock.now_ms()
        made = [silence for one in self._all.values() for silence in _occurrences(one, now_ms)]
        await self._silencing.make(made)

    async def _write(self, write: Any, *what: object) -> None:
        try:
            await asyncio.to_thread(write, self._state, *what)
        except (SQLAlchemyError, OSError) as error:
            reason = str(getattr(error, "orig", None) or error).split("\n", 1)[0][:200]
            raise Refused(f"cannot write silence: {reason}") from None


def _occurrences(one: Recurring, now_ms: int) -> Sequence[Silence]:
    return [
        Silence(
            id=str(uuid.uuid5(_NAMESPACE, f"{one.id}/{start_ms}")),
            matchers=one.matchers,
            starts_at_ms=start_ms,
            ends_at_ms=end_ms,
            created_by=one.created_by,
            comment=one.comment,
            updated_at_ms=now_ms,
            annotations={MARK: one.id},
        )
        for start_ms, end_ms in one.occurrences(now_ms, 50)
        if start_ms <= now_ms + _AHEAD_MS
    ]
