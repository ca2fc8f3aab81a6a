"""Alertmanager's API v2, as its OpenAPI document has it, under /api/v2 and /alertmanager/api/v2.

Error texts and codes are the real one's, because amtool and dashboards show and compare them.

source  github.com/prometheus/alertmanager, api/v2; compared with Alertmanager 0.33 by tests
"""

import re
from collections.abc import Sequence
from functools import wraps
from typing import Any

from starlette.responses import PlainTextResponse, Response

from watchkeeper import __version__
from watchkeeper.api.alertmanager_bodies import BodyFault, read_alerts, read_silence
from watchkeeper.model.errors import BadInput
from watchkeeper.model.metrics import counter
from watchkeeper.net.routing import EDIT, METRICS_WRITE, OPEN, READ, Call, Handler, Route
from watchkeeper.notify.alert_book import Incoming
from watchkeeper.notify.desk import Desk
from watchkeeper.notify.gotext import json_bytes, quoted, rfc3339_ms
from watchkeeper.notify.matcher import LabelMatcher, compile_go, parse_matcher
from watchkeeper.notify.shown import AlertFilter, ShownAlert, ShownGroup
from watchkeeper.notify.silence import Silence, UnknownSilence

_COMPATIBLE_WITH = "0.33.1"
_BODY_BYTES_MAX = 32 << 20
_FILTERS_MAX = 100
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_TRUE = frozenset({"true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"})
_NO_STORE = {"Cache-Control": "no-store"}

_received = counter("alertmanager_alerts_received", "The total number of received alerts.", ("status", "version"))
_invalid = counter(
    "alertmanager_alerts_invalid", "The total number of received alerts that were invalid.", ("version",)
)


def routes(desk: Desk) -> list[Route]:
    """Give the routes of Alertmanager's API."""
    api = _Api(desk)
    return [route for prefix in ("", "/alertmanager") for route in _under(prefix, api)] + [
        Route("/alertmanager/-/healthy", ("GET",), api.healthy, OPEN, "Whether it runs."),
        Route("/alertmanager/-/ready", ("GET",), api.ready, OPEN, "Whether it serves."),
    ]


def _under(prefix: str, api: "_Api") -> list[Route]:
    def route(path: str, method: str, handler: Handler, access: Any, summary: str, bytes_max: int = 1 << 20) -> Route:
        whole = f"{prefix}/api/v2{path}"
        return Route(whole, (method,), _answering(handler), access, summary, body_bytes_max=bytes_max, error=_fault)

    return [
        route("/status", "GET", api.status, READ, "Version, uptime and configuration of the notifier."),
        route("/receivers", "GET", api.receivers, READ, "Receivers by name."),
        route("/alerts", "GET", api.alerts, READ, "Alerts with their status."),
        route("/alerts", "POST", api.post_alerts, METRICS_WRITE, "Takes alerts.", _BODY_BYTES_MAX),
        route("/alerts/groups", "GET", api.groups, READ, "Alerts as they are grouped for receivers."),
        route("/silences", "GET", api.silences, READ, "Silences: active, pending, expired."),
        route("/silences", "POST", api.post_silence, EDIT, "Makes or changes a silence."),
        route("/silence/{silence_id}", "GET", api.silence, READ, "One silence."),
        route("/silence/{silence_id}", "DELETE", api.delete_silence, EDIT, "Ends a silence."),
        route("/{rest:path}", "GET", api.nothing, READ, "Says that there is nothing else, as Alertmanager does."),
    ]


def _answering(handler: Handler) -> Handler:
    """Turn what a body or a parameter has wrong into the answer that Alertmanager gives."""

    @wraps(handler)  # the audit log calls an entry by its handler's name
    async def answered(call: Call) -> Response:
        try:
            return await handler(call)
        except BodyFault as fault:
            return _json({"code": fault.code, "message": str(fault)}, fault.status)
        except UnknownSilence as error:
            return _json(str(error), 404)
        except BadInput as error:
            return _json(str(error), 400)

    return answered


class _Api:
    """The handlers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def nothing(self, call: Call) -> Response:
        """Answer for a path of the API that there is not."""
        return _fault(404, f"path /api/v2/{call.path['rest']} was not found")

    async def status(self, call: Call) -> Response:
        del call
        return _json(
            {
                "cluster": self._desk.cluster_status(),
                "config": {"original": self._desk.config_text()},
                "uptime": rfc3339_ms(self._desk.started_ms),
                "versionInfo": {
                    "branch": "watchkeeper",
                    "buildDate": "",
                    "buildUser": "watchkeeper",
                    "goVersion": "",
                    "revision": __version__,
                    "version": _COMPATIBLE_WITH,
                },
            }
        )

    async def receivers(self, call: Call) -> Response:
        del call
        config = self._desk.config
        return _json(
            [{"labels": {"name": one.name, **(one.labels or {})}, "name": one.name} for one in config.receivers]
        )

    async def alerts(self, call: Call) -> Response:
        return _json([_alert(shown) for shown in self._desk.alerts(_alert_filter(call))])

    async def groups(self, call: Call) -> Response:
        return _json([_group(group) for group in self._desk.groups(_alert_filter(call))])

    async def post_alerts(self, call: Call) -> Response:
        _check_media_type(call)
        incoming, refused = read_alerts(call.body, self._desk.now_ms(), self._desk.config.global_.resolve_timeout)
        _count(incoming, len(refused), self._desk.now_ms())
        await self._desk.take(incoming)
        return _json("\n".join(refused), 400) if refused else Response(headers=_NO_STORE)

    async def silences(self, call: Call) -> Response:
        found = self._desk.silences(_matchers(call), call.every("creator"))
        return _json([_silence(one, self._desk.now_ms()) for one in found])

    async def silence(self, call: Call) -> Response:
        silence_id = _silence_id(call)
        try:
            return _json(_silence(self._desk.silence(silence_id), self._desk.now_ms()))
        except UnknownSilence:
            return Response(status_code=404, headers=_NO_STORE)

    async def post_silence(self, call: Call) -> Response:
        _check_media_type(call)
        return _json({"silenceID": await self._desk.put_silence(read_silence(call.body, self._desk.now_ms()))})

    async def delete_silence(self, call: Call) -> Response:
        silence_id = _silence_id(call)
        try:
            await self._desk.end_silence(silence_id)
        except UnknownSilence:
            return Response(status_code=404, headers=_NO_STORE)
        return Response(headers=_NO_STORE)

    async def healthy(self, call: Call) -> Response:
        del call
        return PlainTextResponse("OK")

    async def ready(self, call: Call) -> Response:
        del call
        return PlainTextResponse("OK") if self._desk.is_ready else PlainTextResponse("not yet", 503)


def _count(incoming: Sequence[Incoming], refused: int, now_ms: int) -> None:
    over = sum(one.alert.resolved(now_ms) for one in incoming)
    _received.labels("firing", "v2").inc(len(incoming) - over)
    _received.labels("resolved", "v2").inc(over)
    _invalid.labels("v2").inc(refused)


def _alert_filter(call: Call) -> AlertFilter:
    def flag(name: str) -> bool:
        text = call.first(name)
        return text.lower() in _TRUE if text else True

    receiver = call.first("receiver")
    matchers = _matchers(call)
    try:
        pattern = compile_go(f"^(?:{receiver})$") if receiver else None
    except BadInput as error:
        raise BadInput(f"failed to parse receiver param: {error}") from None
    return AlertFilter(matchers, flag("active"), flag("silenced"), flag("inhibited"), flag("muted"), pattern)


def _matchers(call: Call) -> tuple[LabelMatcher, ...]:
    texts = call.every("filter")
    if len(texts) > _FILTERS_MAX:
        raise BadInput(f"cannot use filter: got {len(texts)} matchers, want at most {_FILTERS_MAX}")
    return tuple(map(parse_matcher, texts))


def _silence_id(call: Call) -> str:
    text = call.path["silence_id"]
    if _UUID.fullmatch(text) is None:
        raise BodyFault(422, 601, f"silenceID in path must be of type uuid: {quoted(text)}")
    return text


def _check_media_type(call: Call) -> None:
    given = call.headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()
    if call.body and given != "application/json":
        raise BodyFault(415, 415, f'unsupported media type "{given}", only [application/json] are allowed')


def _group(group: ShownGroup) -> dict[str, Any]:
    return {
        "alerts": [_alert(shown) for shown in group.alerts],
        "labels": dict(sorted(group.labels.items())),
        "receiver": {"name": group.receiver},
    }


def _alert(shown: ShownAlert) -> dict[str, Any]:
    alert = shown.alert
    out = {
        "annotations": dict(sorted(alert.annotations.items())),
        "endsAt": rfc3339_ms(alert.ends_at_ms),
        "fingerprint": f"{alert.fingerprint:016x}",
        "receivers": [{"name": name} for name in shown.receivers],
        "startsAt": rfc3339_ms(alert.starts_at_ms),
        "status": {
            "inhibitedBy": shown.inhibited_by,
            "mutedBy": shown.muted_by,
            "silencedBy": shown.silenced_by,
            "state": "suppressed" if shown.is_suppressed or shown.muted_by else "active",
        },
        "updatedAt": rfc3339_ms(alert.updated_at_ms),
        "generatorURL": alert.generator_url,
        "labels": dict(sorted(alert.labels.items())),
    }
    if not alert.generator_url:
        del out["generatorURL"]
    return out


def _silence(silence: Silence, now_ms: int) -> dict[str, Any]:
    out: dict[str, Any] = {
        "id": silence.id,
        "status": {"state": silence.state(now_ms)},
        "updatedAt": rfc3339_ms(silence.updated_at_ms),
        "annotations": silence.annotations,
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "endsAt": rfc3339_ms(silence.ends_at_ms),
        "matchers": [
            {"isEqual": one.is_equal, "isRegex": one.is_regex, "name": one.name, "value": one.value}
            for one in silence.matchers
        ],
        "startsAt": rfc3339_ms(silence.starts_at_ms),
    }
    if not silence.annotations:
        del out["annotations"]
    return out


def _json(content: Any, status: int = 200) -> Response:
    return Response(json_bytes(content) + b"\n", status, _NO_STORE, media_type="application/json")


def _fault(status: int, text: str) -> Response:
    return _json({"code": status, "message": text}, status)
