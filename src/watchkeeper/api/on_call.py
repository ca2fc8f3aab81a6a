"""Acknowledging alerts, and incidents: their notes and the post-mortem that is drafted of them."""

from typing import Any

from starlette.responses import PlainTextResponse, Response

from watchkeeper.api.alert_history import limit
from watchkeeper.model.duration import parse_duration
from watchkeeper.model.errors import BadInput
from watchkeeper.net.answers import Fault, json_answer, json_object, text_field
from watchkeeper.net.auditing import remark
from watchkeeper.net.routing import EDIT, READ, Call, Route
from watchkeeper.notify.desk import Desk
from watchkeeper.notify.matcher import parse_matcher
from watchkeeper.notify.postmortem import draft
from watchkeeper.notify.shown import AlertFilter
from watchkeeper.notify.why import Why, ack_json

_ALERTS_MAX = 1000
_LASTS_MAX_MS = 30 * 86_400_000


def routes(desk: Desk, why: Why, external_url: str) -> list[Route]:
    """Give the routes of the people on call."""

    async def acknowledge(call: Call) -> Response:
        content = json_object(call.body)
        chosen = _chosen(desk, content)
        lasts_ms = _lasts_ms(content, desk.ack_lasts_ms)
        comment = text_field(content, "comment", default="", length_max=1000)
        remark(alerts=[f"{one:016x}" for one in chosen[:20]], comment=comment)
        await desk.acks.add(chosen, call.who.name, desk.now_ms() + lasts_ms, comment)
        return json_answer([ack_json(ack) for one in chosen if (ack := desk.acks.find(one)) is not None])

    async def end_acknowledgement(call: Call) -> Response:
        ended = await desk.acks.end([fingerprint_of(call)])
        if not ended:
            raise Fault(404, "cannot end acknowledgement: got an alert without one")
        return json_answer({"message": "Acknowledgement ended"})

    async def list_acks(call: Call) -> Response:
        del call
        return json_answer([ack_json(one) for one in desk.acks.all()])

    async def add_note(call: Call) -> Response:
        comment = text_field(json_object(call.body), "comment", length_max=1000)
        if not await why.note(fingerprint_of(call), call.who.name, comment):
            raise Fault(404, "cannot note: got an alert that is not known")
        return json_answer({"message": "Noted"})

    async def incident(call: Call) -> Response:
        found = await why.incident(fingerprint_of(call), limit(call))
        if not found:
            raise Fault(404, "cannot find incident: got an alert that is not known")
        return json_answer({"alerts": found})

    async def draft_postmortem(call: Call) -> Response:
        found = await why.incident(fingerprint_of(call), limit(call))
        if not found:
            raise Fault(404, "cannot draft: got an alert that is not known")
        return PlainTextResponse(draft(found, external_url), media_type="text/markdown")

    return [
        Route("/api/acks", ("GET",), list_acks, READ, "Acknowledgements that hold."),
        Route("/api/acks", ("POST",), acknowledge, EDIT, "Acknowledges alerts: who, until when, why."),
        Route("/api/acks/{fingerprint}", ("DELETE",), end_acknowledgement, EDIT, "Ends an acknowledgement."),
        Route("/api/incidents/{fingerprint}", ("GET",), incident, READ, "An alert's way, with those grouped with it."),
        Route("/api/incidents/{fingerprint}/notes", ("POST",), add_note, EDIT, "Writes a note into an alert's way."),
        Route("/api/incidents/{fingerprint}/draft", ("GET",), draft_postmortem, READ, "A post-mortem, as Markdown."),
    ]


def fingerprint_of(call: Call) -> int:
    """Read the fingerprint in a path.

    raises  Fault
    """
    return _fingerprint(call.path["fingerprint"])


def _fingerprint(text: Any) -> int:
    if not isinstance(text, str) or len(text) != 16 or not all(one in "0123456789abcdef" for one in text):
        raise Fault(400, f"cannot read fingerprint: got {text!r:.40}, want 16 hexadecimal digits")
    return int(text, 16)


def _chosen(desk: Desk, content: dict[str, Any]) -> list[int]:
    """Find the alerts that are meant: by fingerprints, or those that are not over and satisfy matchers."""
    listed, texts = content.get("alerts"), content.get("filter")
    if (listed is None) == (texts is None):
        raise Fault(400, "cannot acknowledge: got neither or both, want alerts (fingerprints) or filter (matchers)")
    if not isinstance(listed if texts is None else texts, list):
        raise Fault(400, "cannot acknowledge: got no list, want a list in alerts or filter")
    if texts is not None:
        if not texts or not all(isinstance(one, str) for one in texts):
            raise Fault(400, "cannot read filter: got no texts, want matchers")
        chosen = [one.alert.fingerprint for one in desk.alerts(AlertFilter(tuple(map(parse_matcher, texts))))]
    else:
        chosen = list(dict.fromkeys(map(_fingerprint, listed or [])))
        chosen = [one for one in chosen if (known := desk.known(one)) and not known.alert.resolved(desk.now_ms())]
    if not chosen:
        raise Fault(404, "cannot acknowledge: got no alert that fires")
    if len(chosen) > _ALERTS_MAX:
        raise Fault(400, f"cannot acknowledge: got {len(chosen)} alerts, want at most {_ALERTS_MAX}")
    return chosen


def _lasts_ms(content: dict[str, Any], default_ms: int) -> int:
    text = text_field(content, "for", default="", length_max=40)
    try:
        lasts_ms = parse_duration(text) if text else default_ms
    except BadInput as error:
        raise Fault(400, str(error)) from None
    if not 0 < lasts_ms <= _LASTS_MAX_MS:
        raise Fault(400, f"cannot acknowledge: got for {text}, want more than 0s and at most 30d")
    return lasts_ms
