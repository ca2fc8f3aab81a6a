"""Why was I (not) paged? The delivery ledger over HTTP."""

from starlette.responses import Response

from watchkeeper.net.answers import Fault, json_answer
from watchkeeper.net.routing import READ, Call, Route
from watchkeeper.notify.matcher import parse_matcher
from watchkeeper.notify.why import Why

_LIMIT_DEFAULT, _LIMIT_MAX = 200, 5000
_FILTERS_MAX = 100


def routes(why: Why) -> list[Route]:
    """Give the routes of the delivery ledger."""

    async def alert_history(call: Call) -> Response:
        text = call.path["fingerprint"]
        if len(text) != 16 or not all(one in "0123456789abcdef" for one in text):
            raise Fault(400, f"cannot read fingerprint: got {text[:40]!r}, want 16 hexadecimal digits")
        found = await why.history(int(text, 16), limit(call))
        if found is None:
            raise Fault(404, f"cannot find alert {text}: got no step of it, want one within the ledger's retention")
        return json_answer(found)

    async def why_paged(call: Call) -> Response:
        name, texts = call.first("alert"), call.every("filter")
        if not name:
            raise Fault(400, "cannot answer why: got no alert, want its name")
        if len(texts) > _FILTERS_MAX:
            raise Fault(400, f"cannot use filter: got {len(texts)} matchers, want at most {_FILTERS_MAX}")
        return json_answer(await why.why(name, tuple(map(parse_matcher, texts)), limit(call)))

    async def recent_alerts(call: Call) -> Response:
        return json_answer(await why.recent(limit(call)))

    return [
        Route("/api/alerts/history", ("GET",), recent_alerts, READ, "Alerts that something happened to, latest first."),
        Route("/api/alerts/{fingerprint}/history", ("GET",), alert_history, READ, "An alert's whole way."),
        Route("/api/alerts/why", ("GET",), why_paged, READ, "Why was I (not) paged? By alert name and matchers."),
    ]


def limit(call: Call) -> int:
    """Read how many steps or alerts are asked for.

    raises  Fault
    """
    text = call.first("limit")
    if not text:
        return _LIMIT_DEFAULT
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _LIMIT_MAX):
        raise Fault(400, f"cannot read limit: got {text[:20]!r}, want 1 to {_LIMIT_MAX}")
    return int(text)
