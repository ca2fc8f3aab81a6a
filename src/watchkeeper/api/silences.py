"""Silences as people make them: with a preview, a question before broad ones, the right to one's own services, and
recurring ones. Alertmanager's own routes for silences stay as they are in `alertmanager.py`.
"""

from functools import wraps
from typing import Any

from starlette.responses import Response

from watchkeeper.model.duration import parse_duration
from watchkeeper.model.errors import BadInput
from watchkeeper.net.answers import Fault, json_answer, json_object, text_field
from watchkeeper.net.auditing import remark
from watchkeeper.net.routing import EDIT, READ, Call, Handler, Role, Route, Scope
from watchkeeper.notify.breadth import Breadth, breadth_of
from watchkeeper.notify.desk import Desk
from watchkeeper.notify.gotext import rfc3339
from watchkeeper.notify.matcher import LabelMatcher, parse_matcher
from watchkeeper.notify.recurring import Recurring
from watchkeeper.notify.shown import AlertFilter
from watchkeeper.notify.silence import Silence, UnknownSilence, validate

_MATCHERS_MAX = 50
_NEXT_SHOWN = 5
_PREVIEW_MAX = 100


def routes(desk: Desk) -> list[Route]:
    """Give the routes of silences."""

    async def preview_silence(call: Call) -> Response:
        return json_answer(_preview(_breadth(desk, _matchers(json_object(call.body)))))

    async def make_silence(call: Call) -> Response:
        content = json_object(call.body)
        matchers, comment = _matchers(content), text_field(content, "comment", length_max=1000)
        _check_right(desk, call, matchers)
        if (refusal := _ask_first(desk, content, matchers)) is not None:
            return refusal
        now_ms = desk.now_ms()
        silence = Silence("", matchers, now_ms, now_ms + _lasts_ms(content), call.who.name, comment)
        remark(matchers=[str(one) for one in matchers], comment=comment)
        return json_answer({"silenceID": await desk.put_silence(silence)})

    async def end_silence(call: Call) -> Response:
        silence = desk.silence(call.path["silence_id"])
        _check_right(desk, call, silence.matchers)
        await desk.end_silence(silence.id)
        return json_answer({"message": "Silence ended"})

    async def list_recurring(call: Call) -> Response:
        del call
        return json_answer([_shown(one, desk.now_ms()) for one in desk.recurring.all()])

    async def make_recurring(call: Call) -> Response:
        content = json_object(call.body)
        matchers, comment = _matchers(content), text_field(content, "comment", length_max=1000)
        if (refusal := _ask_first(desk, content, matchers)) is not None:
            return refusal
        body = {
            "matchers": [str(one) for one in matchers],
            "schedule": content.get("schedule"),
            "lasts_ms": _lasts_ms(content),
            "created_by": call.who.name,
            "comment": comment,
        }
        remark(matchers=body["matchers"], comment=comment)
        return json_answer(_shown(await desk.recurring.add(body), desk.now_ms()))

    async def end_recurring(call: Call) -> Response:
        await desk.recurring.end(call.path["silence_id"])
        return json_answer({"message": "Recurring silence ended"})

    return [
        Route("/api/silences/preview", ("POST",), preview_silence, READ, "What a silence would mute."),
        Route("/api/silences", ("POST",), _found(make_silence), READ, "Makes a silence; Viewers, of their own."),
        Route("/api/silences/{silence_id}", ("DELETE",), _found(end_silence), READ, "Ends a silence; the same."),
        Route("/api/recurring-silences", ("GET",), list_recurring, READ, "Recurring silences, with their next times."),
        Route("/api/recurring-silences", ("POST",), _found(make_recurring), EDIT, "Makes a recurring silence."),
        Route("/api/recurring-silences/{silence_id}", ("DELETE",), _found(end_recurring), EDIT, "Ends one."),
    ]


def _found(handler: Handler) -> Handler:
    @wraps(handler)
    async def answered(call: Call) -> Response:
        try:
            return await handler(call)
        except UnknownSilence as error:
            raise Fault(404, str(error)) from None

    return answered


def _matchers(content: dict[str, Any]) -> tuple[LabelMatcher, ...]:
    texts = content.get("matchers")
    listed = isinstance(texts, list) and all(isinstance(one, str) for one in texts)
    if not listed or not texts or len(texts) > _MATCHERS_MAX:
        raise Fault(400, f"cannot read matchers: want a list of 1 to {_MATCHERS_MAX} texts such as 'job=\"api\"'")
    matchers = tuple(map(parse_matcher, texts))
    validate(Silence("", matchers, 0, 1, "", ""))
    return matchers


def _lasts_ms(content: dict[str, Any]) -> int:
    try:
        lasts_ms = parse_duration(text_field(content, "for", length_max=40))
    except BadInput as error:
        raise Fault(400, str(error)) from None
    if lasts_ms <= 0:
        raise Fault(400, "cannot silence: got for 0s, want longer")
    return lasts_ms


def _breadth(desk: Desk, matchers: tuple[LabelMatcher, ...]) -> Breadth:
    return breadth_of(matchers, desk.alerts(AlertFilter()), desk.silence_rules.silence_asks_beyond)


def _ask_first(desk: Desk, content: dict[str, Any], matchers: tuple[LabelMatcher, ...]) -> Response | None:
    """Give the question that a broad silence is answered with, unless it is confirmed."""
    breadth = _breadth(desk, matchers)
    if not breadth.reasons or content.get("confirm") is True:
        return None
    text = f"cannot make silence without confirm: {'; '.join(breadth.reasons)}"
    return json_answer({"message": text, **_preview(breadth)}, 409)


def _preview(breadth: Breadth) -> dict[str, Any]:
    return {
        "affected": len(breadth.affected),
        "of": breadth.of,
        "reasons": list(breadth.reasons),
        "alerts": [
            {"fingerprint": f"{one.alert.fingerprint:016x}", "labels": one.alert.labels}
            for one in breadth.affected[:_PREVIEW_MAX]
        ],
    }


def _check_right(desk: Desk, call: Call, matchers: tuple[LabelMatcher, ...]) -> None:
    """Let Editors silence anything, Viewers what is their own.

    raises  Fault 403
    """
    who = call.who
    if (who.role is not None and who.role >= Role.EDITOR) or Scope.ADMIN in who.scopes:
        return
    owned = desk.silence_rules.owned_by(who.name) if who.role is not None else []
    if not any(all(one in matchers for one in own) for own in owned):
        what = " or ".join("{" + ",".join(map(str, own)) + "}" for own in owned)
        raise Fault(403, f"cannot silence: want the Editor role, or matchers with {what or 'services of your own'}")


def _shown(one: Recurring, now_ms: int) -> dict[str, Any]:
    nexts = one.occurrences(now_ms, _NEXT_SHOWN)
    return {
        "id": one.id,
        **one.body(),
        "next": [{"starts": rfc3339(start_ms), "ends": rfc3339(end_ms)} for start_ms, end_ms in nexts],
    }
