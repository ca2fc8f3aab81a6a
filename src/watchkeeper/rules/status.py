"""Groups, rules and alerts as Prometheus' /api/v1/rules and /api/v1/alerts show them.

source  Prometheus docs, HTTP API, Rules and Alerts
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from watchkeeper.model.errors import BadInput
from watchkeeper.model.gotemplate import format_float
from watchkeeper.model.gotemplate.lexer import quote
from watchkeeper.model.labels import Labels
from watchkeeper.model.matchers import match_all
from watchkeeper.query.promql.parser import selectors
from watchkeeper.rules.alerting import ActiveAlert, AlertingRule, State
from watchkeeper.rules.files import SetAside
from watchkeeper.rules.groups import Group, Rule
from watchkeeper.rules.recording import RecordingRule

Params = Sequence[tuple[str, str]]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER = "0001-01-01T00:00:00Z"
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"", "0", "f", "F", "FALSE", "false", "False"})


def rules_json(
    groups: Sequence[Group], params: Params, set_aside: Mapping[str, Sequence[SetAside]] = MappingProxyType({})
) -> dict[str, Any]:
    """Give the groups with those of their rules that the parameters ask for; groups without any are left out.

    set_aside  what cannot be used, by file; shown as rules whose health is "err"
    raises     BadInput in Prometheus' words
    """
    wanted = _Wanted(params)
    shown = _evaluated(groups, wanted)
    return shown if wanted.limit else {"groups": shown["groups"] + wanted.left_out(set_aside)}


def _evaluated(groups: Sequence[Group], wanted: "_Wanted") -> dict[str, Any]:
    limit = wanted.limit
    out: list[dict[str, Any]] = []
    for group in _from_token(sorted(groups, key=lambda group: (group.file, group.name)), wanted.token):
        shown = wanted.group(group)
        if not shown["rules"]:
            continue
        if limit and len(out) == limit:
            return {"groups": out, "groupNextToken": _token(group)}
        out.append(shown)
    return {"groups": out}


def alerts_json(groups: Sequence[Group]) -> dict[str, Any]:
    """Give all pending and firing alerts."""
    rules = [rule for group in groups for rule in group.rules if isinstance(rule, AlertingRule)]
    return {"alerts": [_alert(alert) for rule in rules for alert in rule.shown()]}


class _Wanted:
    """What the parameters of /api/v1/rules ask for."""

    def __init__(self, params: Params) -> None:
        every = _Every(params)
        self._names, self._groups, self._files = every("rule_name[]"), every("rule_group[]"), every("file[]")
        self._kind = (every("type") or [""])[0].lower()
        if self._kind not in ("", "alert", "record"):
            raise BadInput(f'invalid parameter "type": not supported value "{self._kind}"')
        self._matchers = [selectors(text) for text in every("match[]")]
        self._without_alerts = _flag((every("exclude_alerts") or [""])[0])
        self.token = (every("group_next_token") or [""])[0]
        self.limit = _limit((every("group_limit") or [""])[0])
        if self.token and not self.limit:
            reason = "group_limit needs to be present in order to paginate over the groups"
            raise BadInput(f'invalid parameter "group_next_token": {reason}')

    def group(self, group: Group) -> dict[str, Any]:
        left_out = (self._groups and group.name not in self._groups) or (self._files and group.file not in self._files)
        rules = [] if left_out else [self._rule(rule) for rule in group.rules if self._has(rule)]
        return {
            "name": group.name,
            "file": group.file,
            "rules": rules,
            "interval": _seconds(group.interval_ms),
            "limit": group.limit,
            "evaluationTime": group.evaluation_time_s,
            "lastEvaluation": _time(group.last_evaluation_ms),
        }

    def left_out(self, set_aside: Mapping[str, Sequence[SetAside]]) -> list[dict[str, Any]]:
        """Give what was set aside, as groups of their own that are never evaluated."""
        out = []
        for path, reasons in sorted(set_aside.items()):
            by_group: dict[str, list[dict[str, Any]]] = {}
            for one in reasons:
                if self._has_set_aside(path, one):
                    by_group.setdefault(one.group, []).append(_set_aside(one))
            out += [
                {
                    "name": name,
                    "file": path,
                    "rules": rules,
                    "interval": 0,
                    "limit": 0,
                    "evaluationTime": 0,
                    "lastEvaluation": _NEVER,
                }
                for name, rules in by_group.items()
            ]
        return out

    def _has_set_aside(self, path: str, one: SetAside) -> bool:
        if self._matchers or (self._files and path not in self._files):
            return False
        if (self._groups and one.group not in self._groups) or (self._names and one.name not in self._names):
            return False
        return not self._kind or self._kind == (one.kind or "record")

    def _has(self, rule: Rule) -> bool:
        if self._kind and (self._kind == "alert") != isinstance(rule, AlertingRule):
            return False
        if self._names and rule.name not in self._names:
            return False
        return not self._matchers or any(match_all(matchers, rule.labels) for matchers in self._matchers)

    def _rule(self, rule: Rule) -> dict[str, Any]:
        if isinstance(rule, AlertingRule):
            return _alerting(rule, without_alerts=self._without_alerts)
        return _recording(rule)


class _Every:
    def __init__(self, params: Params) -> None:
        self._params = params

    def __call__(self, name: str) -> list[str]:
        return [value for key, value in self._params if key == name]


def _alerting(rule: AlertingRule, *, without_alerts: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "state": rule.state.word,
        "name": rule.name,
        "query": rule.query,
        "duration": _seconds(rule.hold_ms),
        "keepFiringFor": _seconds(rule.keep_firing_ms),
        "labels": _sorted(rule.labels),
        "annotations": _sorted(rule.annotations),
        "alerts": None if without_alerts else [_alert(alert) for alert in rule.shown()],
    }
    return shown | _health(rule) | {"type": "alerting"}


def _recording(rule: RecordingRule) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": rule.name, "query": rule.query}
    if rule.labels:
        shown["labels"] = _sorted(rule.labels)
    return shown | _health(rule) | {"type": "recording"}


def _set_aside(one: SetAside) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": one.name, "query": "", "labels": {}}
    if one.kind == "alert":
        empty = {"duration": 0, "keepFiringFor": 0, "annotations": {}, "alerts": []}
        shown = {"state": State.INACTIVE.word, **shown, **empty}
    shown |= {"health": "err", "lastError": f"quarantined, not evaluated: {one.reason}"}
    kind = "alerting" if one.kind == "alert" else "recording"
    return shown | {"evaluationTime": 0, "lastEvaluation": _NEVER, "type": kind}


def _health(rule: Rule) -> dict[str, Any]:
    health = rule.health
    shown: dict[str, Any] = {"health": health.state}
    if health.last_error:
        shown["lastError"] = health.last_error
    return shown | {
        "evaluationTime": health.evaluation_time_s,
        "lastEvaluation": _time(health.last_evaluation_ms),
    }


def _alert(alert: ActiveAlert) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "labels": dict(alert.labels),
        "annotations": _sorted(alert.annotations),
        "state": alert.state.word,
        "activeAt": _time(alert.active_at_ms),
    }
    if alert.keep_firing_since_ms:
        shown["keepFiringSince"] = _time(alert.keep_firing_since_ms)
    return shown | {"value": format_float(alert.value, "e")}


def _sorted(labels: Labels) -> dict[str, str]:
    return {name: labels[name] for name in sorted(labels)}


def _seconds(duration_ms: int) -> float | int:
    return duration_ms // 1000 if duration_ms % 1000 == 0 else duration_ms / 1000


def _time(time_ms: int) -> str:
    """Write a moment as Go's RFC 3339 with as many decimals as needed."""
    if not time_ms:
        return _NEVER
    text = (_EPOCH + timedelta(milliseconds=time_ms)).strftime("%Y-%m-%dT%H:%M:%S")
    decimals = f"{time_ms % 1000:03d}".rstrip("0")
    return f"{text}.{decimals}Z" if decimals else f"{text}Z"


def _flag(text: str) -> bool:
    if text not in _TRUE | _FALSE:
        reason = f"strconv.ParseBool: parsing {quote(text[:40])}: invalid syntax"
        raise BadInput(f'invalid parameter "exclude_alerts": error converting exclude_alerts: {reason}')
    return text in _TRUE


def _limit(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.removeprefix("-").isdigit()):
        reason = f"strconv.ParseInt: parsing {quote(text[:40])}: invalid syntax"
        raise BadInput(f'invalid parameter "group_limit": group_limit needs to be a valid number: {reason}')
    if int(text[:12]) <= 0:
        raise BadInput('invalid parameter "group_limit": group_limit needs to be greater than 0')
    return int(text[:12])


def _token(group: Group) -> str:
    """Name a group for paging, as Prometheus does."""
    return hashlib.sha1(group.key.encode(), usedforsecurity=False).hexdigest()


def _from_token(groups: list[Group], token: str) -> list[Group]:
    if not token:
        return groups
    for at, group in enumerate(groups):
        if _token(group) == token:
            return groups[at:]
    reason = f"invalid group_next_token '{token[:60]}'. were rule groups changed?"
    raise BadInput(f'invalid parameter "group_next_token": {reason}')
