"""Dead man's switches, both ways: others must be heard of, or somebody is paged; and others hear of us while we work.

In: a backup, a cron job or another monitoring calls `/api/heartbeat/<name>`; when it has not for `every` and `grace`,
an alert HeartbeatMissing goes the way of all alerts. Out: a URL of a service that pages when it hears nothing is called
each interval, but only while rules are evaluated and notifications go out; silence there means that nobody watches.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import structlog
from pydantic import model_validator

from watchkeeper.model.alert import Alert
from watchkeeper.model.clock import Clock
from watchkeeper.model.document import Settings, setting
from watchkeeper.model.duration import format_duration
from watchkeeper.model.errors import NotDelivered
from watchkeeper.model.fields import Several, TextMap
from watchkeeper.model.metrics import counter, gauge
from watchkeeper.net.client import Client, RequestOptions
from watchkeeper.notify.field_types import Duration, SecretUrl
from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.recurring import load_heartbeats, save_heartbeat

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 5.0
_RESEND_MS = 60_000
_SAVE_EVERY_MS = 1000
_seen = gauge("watchkeeper_heartbeat_last_seen_timestamp_seconds", "When a heartbeat last came in.", ("name",))
_sent = counter("watchkeeper_heartbeats_sent", "Heartbeats that were taken by their URL.")
_failed = counter("watchkeeper_heartbeats_failed", "Heartbeats that were not taken by their URL.")
_held = counter("watchkeeper_heartbeats_held_back", "Heartbeats not sent because rules or notifications stand still.")

Working = Callable[[], str]  # "" when rules and notifications work, else what does not


class Expected(Settings):
    """A heartbeat that must come in."""

    name: str = setting("", "Its name: /api/heartbeat/<name>.", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")
    every: Duration = setting(300_000, "How often it comes; 5m by default.", ge=1000)
    grace: Duration = setting(60_000, "How late it may be; 1m by default.", ge=0)
    labels: TextMap = setting(dict, "More labels of its alert; severity is critical by default.")
    summary: str = setting("", "The alert's summary.")
    runbook_url: str = setting("", "The alert's runbook_url.")


class Outgoing(Settings):
    """A URL that is called while all is well."""

    url: SecretUrl | None = setting(None, "Where to; called with POST.")
    url_file: str = setting("", "A file that holds where to.")
    every: Duration = setting(60_000, "How often; 1m by default.", ge=1000)

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if (self.url is None) == (not self.url_file):
            raise ValueError("one of url and url_file")
        return self

    def address(self) -> str:
        """Give the URL.

        raises  OSError when its file cannot be read
        """
        return self.url.get_secret_value() if self.url is not None else Path(self.url_file).read_text("utf-8").strip()


class HeartbeatSettings(Settings):
    """Dead man's switches."""

    expected: Several[Expected] = setting((), "Heartbeats that must come in.")
    send: Several[Outgoing] = setting((), "URLs that are called while rules and notifications work.")

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [one.name for one in self.expected]
        if "" in names or len(set(names)) < len(names):
            raise ValueError("each heartbeat needs a name of its own")
        return self


@dataclass(frozen=True, slots=True)
class Beat:
    """Where a heartbeat stands; `seen_ms` is None before the first."""

    expected: Expected
    seen_ms: int | None
    due_ms: int
    missing: bool


class Heartbeats:
    """A part: watches what must come in, and sends what must go out."""

    def __init__(
        self,
        state: StateStore,
        clock: Clock,
        client: Client,
        receive: Callable[[Sequence[Alert]], Awaitable[None]],
        working: Working,
    ) -> None:
        self._state, self._clock, self._client = state, clock, client
        self._receive, self._working = receive, working
        self._settings = HeartbeatSettings()
        self._seen: dict[str, int] = {}
        self._saved: dict[str, int] = {}
        self._alerted: dict[str, tuple[Alert, int]] = {}
        self._next_out: dict[int, float] = {}
        self._since_ms = clock.now_ms()
        self._runner: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take over when each was last seen, and begin to watch."""
        self._seen = await asyncio.to_thread(load_heartbeats, self._state)
        self._since_ms = self._clock.now_ms()
        self._runner = asyncio.create_task(self._run(), name="heartbeats")

    async def stop(self) -> None:
        """End."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)

    def apply(self, settings: HeartbeatSettings) -> None:
        """Use other settings from now on."""
        self._settings = settings
        self._next_out.clear()

    async def beat(self, name: str) -> bool:
        """Note that a heartbeat came; on the disk when it returns. False when none of that name is expected."""
        if all(one.name != name for one in self._settings.expected):
            return False
        now_ms = self._clock.now_ms()
        self._seen[name] = now_ms
        _seen.labels(name).set(now_ms / 1000)
        if now_ms - self._saved.get(name, 0) >= _SAVE_EVERY_MS:
            await asyncio.to_thread(save_heartbeat, self._state, name, now_ms)
            self._saved[name] = now_ms
        await self._look()
        return True

    def beats(self) -> list[Beat]:
        """Give every expected heartbeat."""
        return [self._beat(one) for one in self._settings.expected]

    def _beat(self, one: Expected) -> Beat:
        seen_ms = self._seen.get(one.name)
        since_ms = self._since_ms if seen_ms is None else seen_ms
        due_ms = since_ms + one.every + one.grace
        return Beat(one, seen_ms, due_ms, self._clock.now_ms() > due_ms)

    async def _run(self) -> None:
        while True:
            try:
                await self._look()
                await self._send()
            except Exception:
                log.exception("heartbeat_round_failed")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _look(self) -> None:
        """Raise and end the alerts of what is missing."""
        now_ms, news = self._clock.now_ms(), []
        for beat in self.beats():
            name, known = beat.expected.name, self._alerted.get(beat.expected.name)
            if beat.missing and (known is None or now_ms - known[1] >= _RESEND_MS):
                alert = _alert(beat, now_ms)
                self._alerted[name] = (alert, now_ms)
                news.append(alert)
            elif not beat.missing and known is not None:
                del self._alerted[name]
                news.append(known[0].changed(ends_at_ms=now_ms, updated_at_ms=now_ms))
        if news:
            await self._receive(news)

    async def _send(self) -> None:
        now_s = self._clock.monotonic_s()
        for at, one in enumerate(self._settings.send):
            if self._next_out.get(at, 0.0) > now_s:
                continue
            self._next_out[at] = now_s + one.every / 1000
            if fault := self._working():
                _held.inc()
                log.warning("heartbeat_held_back", reason=fault)
                continue
            try:
                reply = await self._client.send("POST", one.address(), b"", {}, RequestOptions(timeout_s=10))
                if reply.status >= 300:
                    raise NotDelivered(f"got status {reply.status}, want 2xx", permanent=False)
            except (NotDelivered, OSError) as error:
                _failed.inc()
                log.warning("heartbeat_not_sent", error=str(error)[:200])
            else:
                _sent.inc()


def _alert(beat: Beat, now_ms: int) -> Alert:
    one = beat.expected
    said = f"no heartbeat {one.name} for more than {format_duration(one.every + one.grace)}"
    labels = {"severity": "critical", **one.labels, "alertname": "HeartbeatMissing", "heartbeat": one.name}
    annotations = {"summary": one.summary or said, "description": said}
    if one.runbook_url:
        annotations["runbook_url"] = one.runbook_url
    return Alert(labels, annotations, beat.due_ms, now_ms + 4 * _RESEND_MS, now_ms)


def shown(beat: Beat, time: Callable[[int], str]) -> dict[str, Any]:
    """Give a heartbeat as the API shows it."""
    return {
        "name": beat.expected.name,
        "every": format_duration(beat.expected.every),
        "grace": format_duration(beat.expected.grace),
        "seen": None if beat.seen_ms is None else time(beat.seen_ms),
        "due": time(beat.due_ms),
        "state": "missing" if beat.missing else "waiting" if beat.seen_ms is None else "good",
    }
