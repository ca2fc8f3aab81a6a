"""Silences that are changed one at a time, each on the disk before it counts."""

import asyncio
from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from watchkeeper.model.clock import Clock
from watchkeeper.model.errors import Refused
from watchkeeper.model.metrics import counter
from watchkeeper.notify.matcher import Matchers
from watchkeeper.notify.silence import Silence, SilenceBook, filtered_silences, silence_matcher, sorted_silences
from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.silences import SilenceRow, drop_silences, load_silences, save_silences

_maintenance = counter("alertmanager_silences_maintenance", "How many maintenances were executed for silences.")
_maintenance_errors = counter(
    "alertmanager_silences_maintenance_errors", "How many maintenances were executed for silences that failed."
)


class Silencing:
    """The book of silences and its rows in the state store."""

    def __init__(self, state: StateStore, clock: Clock, silences_max: int, bytes_max: int) -> None:
        self._state, self._clock = state, clock
        self.book = SilenceBook(silences_max, bytes_max)
        self._changing = asyncio.Lock()

    async def load(self) -> int:
        """Take over what the state store has, and give how many silences that are."""
        rows = await asyncio.to_thread(load_silences, self._state)
        self.book.take(map(silence_of, rows))
        return len(rows)

    def heard(self, rows: Sequence[SilenceRow]) -> None:
        """Take over what others have written."""
        known = {one.id: one.updated_at_ms for one in self.book}
        if news := [silence_of(row) for row in rows if known.get(row.id, -1) < row.updated_ms]:
            self.book.take(news)

    async def put(self, wanted: Silence) -> str:
        """Make or change a silence, and give its id; on the disk when it returns.

        raises  UnknownSilence; BadInput when it is not valid; Refused when it could not be written
        """
        async with self._changing:
            planned = self.book.plan(wanted, self._clock.now_ms())
            await self._save(planned)
            return planned[-1].id

    async def end(self, silence_id: str) -> None:
        """End a silence now; one that is over stays as it is.

        raises  UnknownSilence; Refused when it could not be written
        """
        async with self._changing:
            await self._save(self.book.plan_end(silence_id, self._clock.now_ms()))

    async def make(self, silences: Sequence[Silence]) -> None:
        """Make silences whose ids are given, those that are not there yet; on the disk when it returns.

        raises  Refused when they could not be written
        """
        async with self._changing:
            known = {one.id for one in self.book}
            await self._save([one for one in silences if one.id not in known])

    def find(self, matchers: Matchers = (), created_by: Sequence[str] = ()) -> list[Silence]:
        """Give the silences that have all of these matchers among their own, in the API's order."""
        found = filtered_silences(self.book.search(), matchers)
        if created_by:
            found = [one for one in found if one.created_by in created_by]
        return sorted_silences(found, self._clock.now_ms())

    async def forget(self, ended_before_ms: int) -> None:
        """Drop silences that were over long ago."""
        _maintenance.inc()
        async with self._changing:
            if gone := self.book.forget(ended_before_ms):
                with _maintenance_errors.count_exceptions():
                    await asyncio.to_thread(drop_silences, self._state, gone)

    async def _save(self, planned: Sequence[Silence]) -> None:
        if not planned:
            return
        try:
            await asyncio.to_thread(save_silences, self._state, [_row(one) for one in planned])
        except (SQLAlchemyError, OSError) as error:
            reason = str(getattr(error, "orig", None) or error).split("\n", 1)[0][:200]
            raise Refused(f"cannot write silence: {reason}") from None
        self.book.take(planned)


def _row(silence: Silence) -> SilenceRow:
    matchers = [
        {"name": one.name, "value": one.value, "isRegex": one.is_regex, "isEqual": one.is_equal}
        for one in silence.matchers
    ]
    return SilenceRow(
        id=silence.id,
        matchers=matchers,
        starts_ms=silence.starts_at_ms,
        ends_ms=silence.ends_at_ms,
        updated_ms=silence.updated_at_ms,
        created_by=silence.created_by,
        comment=silence.comment,
        annotations=silence.annotations,
    )


def silence_of(row: SilenceRow) -> Silence:
    """Give the silence that a row of the state store keeps."""
    matchers = tuple(
        silence_matcher(at, one["name"], one["value"], is_regex=one["isRegex"], is_equal=one["isEqual"])
        for at, one in enumerate(row.matchers)
    )
    return Silence(
        id=row.id,
        matchers=matchers,
        starts_at_ms=row.starts_ms,
        ends_at_ms=row.ends_ms,
        created_by=row.created_by,
        comment=row.comment,
        updated_at_ms=row.updated_ms,
        annotations=dict(row.annotations),
    )
