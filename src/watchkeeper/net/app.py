"""The one ASGI application, made from the list of routes. Every request goes the same way:

    path → Host → route → who is calling → may they → cross-site check → body gate → parameters → handler
    → headers on every answer, errors included → audit → metrics

Starlette gives requests and responses their types; the order above is ours, so that no route can leave a step out.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from watchkeeper.model.clock import Clock, SystemClock
from watchkeeper.model.errors import BadInput, OverLimit, Refused
from watchkeeper.model.metrics import counter, gauge, histogram
from watchkeeper.net.answers import Fault, message_answer
from watchkeeper.net.auditing import SAFE_METHODS, AuditEntry, NoRecord, Recorder, changes_state, collecting
from watchkeeper.net.auth import Credentials, Denial, Doorkeeper, Kind, read_credentials
from watchkeeper.net.encoding import compress
from watchkeeper.net.gate import CallerGone, Gate
from watchkeeper.net.headers import RawHeaders, is_unsafe, protected
from watchkeeper.net.origin import Origin
from watchkeeper.net.paths import read_path
from watchkeeper.net.router import Place, Router
from watchkeeper.net.routing import ANONYMOUS, Call, Identity, Route
from watchkeeper.net.settings import NetSettings

log = structlog.get_logger(__name__)

_requests = counter("prometheus_http_requests", "Counter of HTTP requests.", ("handler", "code"))
_seconds = histogram(
    "prometheus_http_request_duration_seconds",
    "Histogram of latencies for HTTP requests.",
    ("handler",),
    (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
)
_refused = counter(
    "watchkeeper_http_requests_refused", "Requests refused before their handler, by reason.", ("reason",)
)
_under_way = gauge("watchkeeper_http_requests_in_flight", "Requests being answered.")
_unaudited = counter("watchkeeper_audit_entries_lost", "Audit entries that could not be written.")

_COMPRESS_BYTES_MIN = 1 << 10
_COMPRESS_INLINE_BYTES_MAX = 256 << 10
_PACKED_TYPES = ("text/", "application/json", "application/openmetrics", "application/javascript", "image/svg")
_UNSAFE_HEADERS = "cannot answer: a header would break out of its line"


@dataclass(slots=True)
class _Visit:
    """What becomes known of a request on its way."""

    scope: AsgiScope
    receive: Receive
    headers: Mapping[bytes, bytes]
    method: str
    address: str
    route: Route | None = None
    path: Mapping[str, str] = field(default_factory=dict)
    who: Identity = ANONYMOUS
    remarks: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""  # why credentials or rights were not enough


def build_app(
    routes: Sequence[Route],
    door: Doorkeeper,
    settings: NetSettings,
    *,
    audit: Recorder | None = None,
    clock: Clock | None = None,
    ready: Callable[[], bool] = lambda: True,
) -> ASGIApp:
    """Make the ASGI application of all routes.

    door   says who is calling
    audit  keeps the audit log; left out, nothing is kept (tests of one stage)
    ready  while it says no, every route that is not open is answered 503 with Retry-After
    """
    return _App(routes, door, settings, audit or NoRecord(), clock or SystemClock(), ready)


class _App:
    def __init__(
        self,
        routes: Sequence[Route],
        door: Doorkeeper,
        settings: NetSettings,
        audit: Recorder,
        clock: Clock,
        ready: Callable[[], bool],
    ) -> None:
        self._router, self._ready = Router(routes), ready
        self._door, self._audit, self._clock = door, audit, clock
        self._gate = Gate(settings)
        self._origin = Origin(settings)
        self._requests_max = settings.requests_max
        self._under_way = 0
        self._meters: dict[tuple[str, int], tuple[Callable[[], None], Callable[[float], None]]] = {}
        _under_way.set_function(lambda: self._under_way)

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _serve(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers = dict(scope["headers"])
        client = scope.get("client")
        peer = client[0] if client else ""
        visit = _Visit(scope, receive, headers, scope["method"], self._origin.address(peer, headers))
        self._under_way += 1
        try:
            response = await self._answer(visit)
        except CallerGone:
            _refused.labels("gone").inc()
            return
        finally:
            self._under_way -= 1
        await self._note(visit, response)
        code = response.status_code
        try:
            await self._send(visit, response, send)
        finally:
            self._count(visit.route.path if visit.route else "unmatched", code, time.perf_counter() - started)

    # --- from the request to a response ---

    async def _answer(self, visit: _Visit) -> Response:
        try:
            response = await self._handle(visit)
        except Fault as fault:
            _refused.labels(fault.reason or "handler").inc()
            visit.refused = visit.refused or fault.reason
            response = _error(visit.route, fault.status, str(fault))
            response.headers.update(fault.headers)
            if fault.status == 413:
                response.headers["connection"] = "close"
        except OverLimit as error:
            response = _error(visit.route, 422, str(error))
        except BadInput as error:
            response = _error(visit.route, 400, str(error))
        except Refused as error:
            response = _error(visit.route, 503, str(error))
            response.headers["retry-after"] = str(error.retry_after_s)
        except CallerGone:
            raise
        except Exception:  # the last place: the caller gets a number, the log the traceback
            number = secrets.token_hex(6)
            log.exception("request_failed", id=number, method=visit.method, route=visit.route and visit.route.path)
            response = _error(visit.route, 500, f"internal error {number}: the log has the details")
        if is_unsafe(response):
            log.error("response_header_refused", route=visit.route and visit.route.path)
            response = _error(visit.route, 500, _UNSAFE_HEADERS)
        return response

    async def _handle(self, visit: _Visit) -> Response:
        scope = visit.scope
        path = read_path(scope.get("raw_path") or scope["path"].encode())
        host = self._origin.check_host(scope["headers"], scope.get("http_version", "1.1"))
        found = self._router.find(path)
        if found is None:
            raise Fault(404, "Not found", "not_found")
        place, visit.path = found
        route = self._choose(place, visit)
        if route is None:
            return Response(status_code=204, headers={"allow": place.allow})
        if not route.access.open and not self._ready():
            raise Refused("starting or stopping, try again", retry_after_s=1)
        credentials = _credentials(visit)
        await self._admit(visit, route, credentials)
        https = self._origin.https or scope.get("scheme") == "https"
        kind = Kind.NONE if route.access.open else credentials.kind
        self._origin.check_site(visit.method, kind, host, https, visit.headers)
        if self._under_way > self._requests_max and not (route.access.open and visit.method in SAFE_METHODS):
            raise Refused("requests_max: too many requests at the same time", retry_after_s=1)
        return await self._call(visit, route)

    def _choose(self, place: Place, visit: _Visit) -> Route | None:
        route = place.route(visit.method)
        if route is not None:
            visit.route = route
            return route
        visit.route = next(iter(place.routes.values()))  # its renderer and its name in the metrics
        if visit.method == "OPTIONS":
            return None
        shown = visit.method[:20] if visit.method.isalpha() else "of this name"
        text = f"method {shown} is not allowed, but [{','.join(sorted(place.routes))}] are"
        raise Fault(405, text, "method", {"allow": place.allow})

    async def _admit(self, visit: _Visit, route: Route, credentials: Credentials) -> None:
        if route.access.open:
            return
        verdict = await self._door.identify(credentials)
        if isinstance(verdict, Denial):
            visit.refused = verdict.reason
            visit.remarks = {"who": verdict.who} if verdict.who else {}
            extra = {"retry-after": str(verdict.retry_after_s)} if verdict.retry_after_s else {}
            raise Fault(verdict.status, verdict.text, verdict.reason, extra or _challenge(credentials))
        visit.who = verdict
        if not verdict.may(route.access):
            if verdict == ANONYMOUS:
                raise Fault(401, "Unauthorized", "anonymous", _challenge(credentials))
            visit.refused = "denied"
            raise Fault(403, "Permission denied", "denied")

    async def _call(self, visit: _Visit, route: Route) -> Response:
        headers, receive = visit.headers, visit.receive
        takes_body = visit.method not in SAFE_METHODS
        caller = _Caller(receive)
        async with self._gate.body(route, headers if takes_body else {}, receive) as body:
            is_form = body and headers.get(b"content-type", b"").startswith(b"application/x-www-form-urlencoded")
            call = Call(
                method=visit.method,
                route=route.path,
                path=visit.path,
                params=self._gate.fields(visit.scope["query_string"], body if is_form else b""),
                headers=Headers(raw=visit.scope["headers"]),
                body=b"" if is_form else body,
                who=visit.who,
                address=visit.address,
                is_gone=caller.is_gone,
            )
            try:
                with collecting() as visit.remarks:
                    return await route.handler(call)
            finally:
                await caller.stop_listening()

    # --- from the response to the wire ---

    async def _send(self, visit: _Visit, response: Response, send: Send) -> None:
        https = self._origin.https or visit.scope.get("scheme") == "https"
        sharing = self._origin.sharing(visit.headers)
        if isinstance(response, StreamingResponse) or not hasattr(response, "body"):
            guarded = partial(protected, https=https, sharing=sharing)
            await response(visit.scope, visit.receive, _with_headers(send, guarded))
            return
        body = bytes(response.body)
        raw = response.raw_headers
        if len(body) > _COMPRESS_BYTES_MIN:
            body, raw = await _packed(body, raw, visit.headers.get(b"accept-encoding", b""))
        start = {"type": "http.response.start", "status": response.status_code}
        await send({**start, "headers": protected(raw, https=https, sharing=sharing)})
        await send({"type": "http.response.body", "body": b"" if visit.method == "HEAD" else body})
        if response.background is not None:
            await response.background()

    async def _note(self, visit: _Visit, response: Response) -> None:
        route, status = visit.route, response.status_code
        if route is None or not self._is_noted(visit, route):
            return
        detail = {"method": visit.method, **visit.path, **visit.remarks}
        who = str(detail.pop("who", visit.who.name))[:190]
        is_call = visit.method in route.methods and (route.audited or changes_state(route))
        action = getattr(route.handler, "__name__", "call") if is_call else "authenticate"
        if visit.refused:
            detail["refused"] = visit.refused
        entry = AuditEntry(self._clock.now_ms(), who, visit.address, action, route.path, status, detail)
        try:
            await self._audit.record(entry)
        except Exception:  # what was done is done; the loss is counted and shown
            _unaudited.inc()
            log.exception("audit_entry_lost", action=action, route=route.path)

    def _is_noted(self, visit: _Visit, route: Route) -> bool:
        if visit.method not in route.methods:
            return False
        if route.audited or (visit.method not in SAFE_METHODS and changes_state(route)):
            return True
        return visit.refused in {"credentials", "throttled", "denied", "csrf"}

    def _count(self, handler: str, code: int, seconds: float) -> None:
        meters = self._meters.get((handler, code))
        if meters is None:
            meters = (_requests.labels(handler, str(code)).inc, _seconds.labels(handler).observe)
            self._meters[handler, code] = meters
        meters[0]()
        meters[1](seconds)


class _Caller:
    """Tells whether the connection closed while a handler works."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._listening: asyncio.Future[MutableMapping[str, Any]] | None = None

    async def is_gone(self) -> bool:
        if self._listening is None:
            self._listening = asyncio.ensure_future(self._receive())
        await asyncio.sleep(0)
        done = self._listening.done() and not self._listening.cancelled()
        return done and self._listening.result()["type"] == "http.disconnect"

    async def stop_listening(self) -> None:
        if self._listening is not None and not self._listening.done():
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening


def _credentials(visit: _Visit) -> Credentials:
    def text(name: bytes) -> str:
        return visit.headers.get(name, b"").decode("latin-1")

    return read_credentials(text(b"authorization"), text(b"x-api-key"), text(b"cookie"), visit.address)


def _challenge(credentials: Credentials) -> dict[str, str]:
    """Ask for basic auth only where somebody tried it: a browser would put its own box over our page."""
    scheme = "Basic" if credentials.kind is Kind.PASSWORD else "Bearer"
    return {"www-authenticate": f'{scheme} realm="watchkeeper"'}


def _error(route: Route | None, status: int, text: str) -> Response:
    return (route.error if route is not None and route.error is not None else message_answer)(status, text)


def _with_headers(send: Send, guarded: Callable[[Any], RawHeaders]) -> Send:
    async def forward(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": guarded(message["headers"])}
        await send(message)

    return forward


async def _packed(
    body: bytes, raw: list[tuple[bytes, bytes]], accepted: bytes
) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    headers = dict(raw)
    if b"content-encoding" in headers or not headers.get(b"content-type", b"").decode("latin-1").startswith(
        _PACKED_TYPES
    ):
        return body, raw
    offers = accepted.decode("latin-1")
    small = len(body) <= _COMPRESS_INLINE_BYTES_MAX
    packed, coding = compress(body, offers) if small else await asyncio.to_thread(compress, body, offers)
    rest = [(name, value) for name, value in raw if name not in {b"content-length", b"vary"}]
    vary = [(b"vary", b"Accept-Encoding")]
    if not coding:
        return body, [*rest, *vary, (b"content-length", str(len(body)).encode())]
    length = (b"content-length", str(len(packed)).encode())
    return packed, [*rest, *vary, (b"content-encoding", coding.encode()), length]


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
