"""What a replay found, as JSON: for `watchkeeper replay --json` and POST /api/replay.

{"replays": [{"rules", "notifications": [{"time", "receiver", "integration", "groupLabels", "groupKey", "reason",
"firing": [labels], "resolved": [labels]}], "firings": [{"labels", "annotations", "startsAt", "endsAt"}], "quiet": [a
firing with "why"], "errors": {rule: text}}], "onlyFirst", "onlySecond": notifications, when two were compared}
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from watchkeeper.app.replay import Replayed, difference
from watchkeeper.model.alert import Alert
from watchkeeper.model.duration import parse_duration
from watchkeeper.model.errors import BadInput
from watchkeeper.notify.rehearsal import Told

Json = dict[str, Any]


def moment(text: str, now_ms: int) -> int:
    """Read a time: RFC 3339, Unix seconds, or so long ago; gives Unix ms.

    raises  BadInput
    """
    if re.fullmatch(r"\d+(?:\.\d+)?", text):
        return round(float(text) * 1000)
    try:
        return now_ms - parse_duration(text)
    except BadInput:
        pass
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"cannot read time: got {text!r}, want RFC 3339, Unix seconds or a duration ago") from None
    return round((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1000)


def replays_json(done: Sequence[Replayed]) -> Json:
    """Give one replay, or two with what only one of them would have told."""
    shown: Json = {"replays": [_replay(one) for one in done]}
    if len(done) > 1:
        differs = difference(done[0], done[1])
        shown["onlyFirst"] = [_told(one) for one in differs.only_first]
        shown["onlySecond"] = [_told(one) for one in differs.only_second]
    return shown


def _replay(one: Replayed) -> Json:
    return {
        "rules": one.history.rules,
        "notifications": [_told(told) for told in one.rehearsed.told],
        "firings": [_alert(alert) for alert in one.alerts],
        "quiet": [{**_alert(alert), "why": why} for alert, why in _quiet(one)],
        "errors": one.history.errors,
    }


def _quiet(one: Replayed) -> list[tuple[Alert, str]]:
    why = one.rehearsed.quiet
    places = ((alert, (alert.fingerprint, alert.starts_at_ms)) for alert in one.alerts)
    return [(alert, why[place]) for alert, place in places if place in why]


def _told(told: Told) -> Json:
    return {
        "time": _when(told.time_ms),
        "receiver": told.receiver,
        "integration": told.way,
        "groupLabels": dict(told.labels),
        "groupKey": told.group_key,
        "reason": told.reason,
        "firing": [alert.labels for alert in told.firing],
        "resolved": [alert.labels for alert in told.resolved],
    }


def _alert(alert: Alert) -> Json:
    ends = _when(alert.ends_at_ms) if alert.ends_at_ms else None
    return {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": _when(alert.starts_at_ms),
        "endsAt": ends,
    }


def _when(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
