"""Moments that come again: days as in time intervals, times of day in a time zone, safe where clocks are set.

A time of day that the spring's change skips comes as much later (02:30 is 03:30 that day); one that the autumn's change
repeats comes the first time alone.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, model_validator

from watchkeeper.model.document import setting
from watchkeeper.model.fields import Several
from watchkeeper.notify.field_types import Duration
from watchkeeper.notify.mute import TimeInterval

_DAYS_MAX = 4 * 366 + 2  # the 29th of February comes at least so often


def _time_of_day(value: object) -> object:
    text = value.strftime("%H:%M") if isinstance(value, time) else value
    try:
        hour, minute = str(text).split(":")
        return time(int(hour), int(minute)).strftime("%H:%M")
    except ValueError:
        raise ValueError("a time of day such as 08:00") from None


class Schedule(TimeInterval):
    """When something comes again: at times of the days that fit, or every so often.

    The fields for days are those of Alertmanager's time intervals.
    """

    at: Several[Annotated[str, BeforeValidator(_time_of_day)]] = setting((), "Times of day, HH:MM.")
    every: Duration = setting(0, "Every so often instead, counted from midnight UTC, such as 1h.", ge=0)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if bool(self.at) == bool(self.every):
            raise ValueError("one of at and every")
        if self.times:
            raise ValueError("at instead of times: a schedule is made of moments")
        if self.every and self.every < 60_000:
            raise ValueError("at least a minute in every")
        return self

    def next_after(self, time_ms: int) -> int | None:
        """Give the first moment after another, Unix ms; None when there is none within four years."""
        if self.every:
            at_ms = time_ms
            for _ in range(_DAYS_MAX):
                at_ms = (at_ms // self.every + 1) * self.every
                if self.contains(at_ms):
                    return at_ms
            return None
        zone = self._zone()
        day = datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone).date() - timedelta(days=1)
        for _ in range(_DAYS_MAX):
            if self._fits(day, zone):
                moments = (_unix_ms(day, time.fromisoformat(one), zone) for one in self.at)
                later = [one for one in moments if one > time_ms]
                if later:
                    return min(later)
            day += timedelta(days=1)
        return None

    def end_of(self, start_ms: int, lasts_ms: int) -> int:
        """Give the end of what begins at a moment and lasts so long by the wall's clock: 22:00 and 8h is 06:00."""
        if self.every:
            return start_ms + lasts_ms
        zone = self._zone()
        wall = datetime.fromtimestamp(start_ms / 1000, UTC).astimezone(zone).replace(tzinfo=None)
        end = wall + timedelta(milliseconds=lasts_ms)
        return max(_unix_ms(end.date(), end.time(), zone), start_ms + 1000)

    def _fits(self, day: date, zone: tzinfo) -> bool:
        return self.contains(_unix_ms(day, time(12), zone))

    def _zone(self) -> tzinfo:
        if self.location == "Local":
            here = datetime.now().astimezone().tzinfo
            assert here is not None
            return here
        return ZoneInfo(self.location) if self.location else UTC


def _unix_ms(day: date, at: time, zone: tzinfo) -> int:
    return round(datetime.combine(day, at, zone).astimezone(UTC).timestamp() * 1000)
