"""Silences: who is muted, from when to when, and why.

source  github.com/prometheus/alertmanager, silence/silence.go
"""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from watchkeeper.model.errors import BadInput
from watchkeeper.model.labels import Labels
from watchkeeper.model.metrics import GO_BUCKETS, counter, histogram
from watchkeeper.notify.gotext import quoted
from watchkeeper.notify.matcher import LabelMatcher, Matchers, compile_go, match_all

State = Literal["pending", "active", "expired"]
_queries = counter("alertmanager_silences_queries", "How many silence queries were received.")
_query_s = histogram(
    "alertmanager_silences_query_duration_seconds", "Duration of silence query evaluation.", buckets=GO_BUCKETS
)
_scanned = counter("alertmanager_silences_query_silences_scanned", "How many silences were scanned during query.")
_STATE_ORDER: dict[State, int] = {"active": 1, "pending": 2, "expired": 3}


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence.

    id  a UUID; empty for one that is to be made
    """

    id: str
    matchers: tuple[LabelMatcher, ...]
    starts_at_ms: int
    ends_at_ms: int
    created_by: str
    comment: str
    updated_at_ms: int = 0
    annotations: dict[str, str] = field(default_factory=dict)

    def state(self, now_ms: int) -> State:
        """Say whether it is to come, holds, or is over."""
        if now_ms < self.starts_at_ms:
            return "pending"
        return "expired" if now_ms > self.ends_at_ms else "active"


class UnknownSilence(BadInput):
    """There is no silence with that id."""

    def __init__(self) -> None:
        super().__init__("silence not found")


class SilenceBook:
    """All silences, and which of them mute a label set.

    Changes come in two steps, so that a silence counts only once it is on the disk: `plan` says what to write,
    `take` takes it over.
    """

    def __init__(self, silences_max: int, bytes_max: int) -> None:
        self._silences: dict[str, Silence] = {}
        self._silences_max, self._bytes_max = silences_max, bytes_max
        self._version = 0
        self._muting: dict[int, tuple[int, tuple[str, ...]]] = {}  # alert → version, silences that ever match it

    def __iter__(self) -> Iterator[Silence]:
        return iter(list(self._silences.values()))

    def search(self) -> Iterator[Silence]:
        """Give every silence to one who looks for some, and count the search."""
        _queries.inc()
        _scanned.inc(len(self._silences))
        with _query_s.time():
            yield from self

    def get(self, silence_id: str) -> Silence:
        """Give a silence.

        raises  UnknownSilence
        """
        try:
            return self._silences[silence_id]
        except KeyError:
            raise UnknownSilence from None

    def plan(self, wanted: Silence, now_ms: int) -> list[Silence]:
        """Say what to write so that a silence is as wanted; the last one is it.

        One that exists keeps its id only when history stays true: same matchers, and the same start (active) or a
        start that is still to come (pending). Otherwise the old one ends now and a new one is made.

        raises  UnknownSilence; BadInput when it is not valid; OverLimit
        """
        validate(wanted)
        old = self.get(wanted.id) if wanted.id else None
        if old is not None and _may_update(old, wanted, now_ms):
            changed = replace(wanted, updated_at_ms=now_ms)
            self._check_size(changed)
            return [changed]
        made = replace(
            wanted, id=str(uuid.uuid4()), starts_at_ms=max(wanted.starts_at_ms, now_ms), updated_at_ms=now_ms
        )
        self._check_size(made)
        if len(self._silences) >= self._silences_max:
            got = len(self._silences)
            raise BadInput(f"exceeded maximum number of silences: {got} (limit: {self._silences_max})")
        return [*(self.plan_end(old.id, now_ms) if old is not None else ()), made]

    def plan_end(self, silence_id: str, now_ms: int) -> list[Silence]:
        """Say what to write so that a silence is over now; nothing when it is already.

        raises  UnknownSilence
        """
        silence = self.get(silence_id)
        state = silence.state(now_ms)
        if state == "expired":
            return []
        starts_ms = silence.starts_at_ms if state == "active" else now_ms
        return [replace(silence, starts_at_ms=starts_ms, ends_at_ms=now_ms, updated_at_ms=now_ms)]

    def take(self, silences: Iterable[Silence]) -> None:
        """Take written silences over."""
        for silence in silences:
            self._silences[silence.id] = silence
        self._version += 1

    def forget(self, ended_before_ms: int) -> list[str]:
        """Drop silences that were over long ago, and give their ids."""
        gone = [one.id for one in self._silences.values() if one.ends_at_ms < ended_before_ms]
        for silence_id in gone:
            del self._silences[silence_id]
        self._version += bool(gone)
        return gone

    def forget_alert(self, alert_fingerprint: int) -> None:
        """Drop what was remembered about an alert that is gone."""
        self._muting.pop(alert_fingerprint, None)

    def muted_by(self, alert_fingerprint: int, labels: Labels, now_ms: int) -> list[str]:
        """Give the ids of the silences that hold now and match an alert, sorted."""
        version, ids = self._muting.get(alert_fingerprint, (-1, ()))
        if version != self._version:
            ids = tuple(sorted(one.id for one in self.search() if self._may_mute(one, labels, now_ms)))
            self._muting[alert_fingerprint] = (self._version, ids)
        return [one for one in ids if self._silences[one].state(now_ms) == "active"]

    def count(self, state: State, now_ms: int) -> int:
        """Count silences in a state."""
        return sum(one.state(now_ms) == state for one in self._silences.values())

    @staticmethod
    def _may_mute(silence: Silence, labels: Labels, now_ms: int) -> bool:
        return silence.state(now_ms) != "expired" and match_all(silence.matchers, labels)

    def _check_size(self, silence: Silence) -> None:
        texts = [silence.created_by, silence.comment, *silence.annotations, *silence.annotations.values()]
        texts += [text for matcher in silence.matchers for text in (matcher.name, matcher.value)]
        got = sum(len(text.encode()) for text in texts)
        if got > self._bytes_max:
            raise BadInput(f"silence exceeded maximum size: {got} bytes (limit: {self._bytes_max} bytes)")


def sorted_silences(silences: Iterable[Silence], now_ms: int) -> list[Silence]:
    """Sort as the API does: active (next to end first), pending (next to start first), expired (last ended first)."""

    def key(one: Silence) -> tuple[int, int]:
        state = one.state(now_ms)
        when = {"active": one.ends_at_ms, "pending": one.starts_at_ms, "expired": -one.ends_at_ms}[state]
        return _STATE_ORDER[state], when

    return sorted(silences, key=key)


def filtered_silences(silences: Iterable[Silence], wanted: Matchers) -> list[Silence]:
    """Give the silences that have every one of these matchers among their own."""
    return [one for one in silences if all(matcher in one.matchers for matcher in wanted)]


def validate(silence: Silence) -> None:
    """Check what Alertmanager checks.

    raises  BadInput in its words
    """
    if not silence.matchers:
        raise BadInput("invalid silence: at least one matcher required")
    for at, matcher in enumerate(silence.matchers):
        if not matcher.name:
            raise BadInput(f'invalid silence: invalid label matcher {at} in set 0: invalid label name ""')
    if all(_matches_empty(matcher) for matcher in silence.matchers):
        raise BadInput("invalid silence: matcher set 0: at least one matcher must not match the empty string")


def silence_matcher(at: int, name: str, value: str, *, is_regex: bool, is_equal: bool) -> LabelMatcher:
    """Make the matcher at a place of a silence's list.

    raises  BadInput in Alertmanager's words
    """
    if is_regex:
        try:
            compile_go(value)
        except BadInput as error:
            where = f"invalid silence: invalid label matcher {at} in set 0"
            raise BadInput(f"{where}: invalid regular expression {quoted(value)}: {error}") from None
        return LabelMatcher(name, "=~" if is_equal else "!~", value)
    return LabelMatcher(name, "=" if is_equal else "!=", value)


def _matches_empty(matcher: LabelMatcher) -> bool:
    return matcher.is_equal and matcher.test("")


def _may_update(old: Silence, new: Silence, now_ms: int) -> bool:
    if old.matchers != new.matchers:
        return False
    state = old.state(now_ms)
    if state == "active":
        return old.starts_at_ms // 1000 == new.starts_at_ms // 1000 and new.ends_at_ms >= now_ms
    return state == "pending" and new.starts_at_ms >= now_ms
