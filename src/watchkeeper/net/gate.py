"""The gate before every body: size, time and unpacking are bounded before a handler sees a byte."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

from watchkeeper.model.errors import Refused
from watchkeeper.net.answers import Fault
from watchkeeper.net.encoding import decompress, too_large
from watchkeeper.net.origin import HeaderMap
from watchkeeper.net.routing import Route
from watchkeeper.net.settings import NetSettings

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Fields = list[tuple[str, str]]

_SLOWEST_BYTES_PER_S = 16 << 10
_INLINE_BYTES_MAX = 32 << 10  # larger ones are unpacked in a thread, so that the loop goes on
_DRAIN_BYTES_MAX = 16 << 20


class CallerGone(Exception):  # it is what happened
    """The connection closed before the request was whole; there is nobody to answer."""


class Gate:
    """Receives and unpacks bodies, within one budget for all requests together."""

    def __init__(self, settings: NetSettings) -> None:
        self._timeout_s = settings.body_timeout_s
        self._bytes_max = settings.bodies_bytes_max
        self._fields_max = settings.form_fields_max
        self._bytes = 0

    @asynccontextmanager
    async def body(self, route: Route, headers: HeaderMap, receive: Receive) -> AsyncIterator[bytes]:
        """Give a request's body, whole, unpacked when the route wants it so, while it is being handled.

        raises  Fault 400, 408, 413, 415; Refused when all bodies together are over the budget; CallerGone
        """
        held: list[int] = []

        def hold(count: int) -> None:
            if self._bytes + count > self._bytes_max:
                raise Refused("cannot take body: got too many bytes at once, want less", retry_after_s=2)
            self._bytes += count
            held.append(count)

        try:
            packed = await self._receive(route.body_bytes_max, headers, receive, hold)
            encoding = headers.get(b"content-encoding", b"").decode("latin-1")
            if packed and encoding and route.decode:
                body = await _unpack(packed, encoding, route.body_bytes_max)
                hold(len(body))
                yield body
            else:
                yield packed
        finally:
            self._bytes -= sum(held)

    def fields(self, query: bytes, form: bytes) -> Fields:
        """Read form and query parameters, the form's first, as Go does.

        raises  Fault 400 when they are no UTF-8, or too many
        """
        fields: Fields = []
        for text in (form, query):
            if text:
                if text.count(b"&") >= self._fields_max:
                    raise Fault(400, f"form_fields_max: got {text.count(b'&') + 1}, want at most {self._fields_max}")
                try:
                    fields += parse_qsl(text.decode(), keep_blank_values=True, errors="strict")
                except (UnicodeDecodeError, ValueError):
                    raise Fault(400, "cannot read parameters: got bytes that are no UTF-8, want UTF-8") from None
        return fields

    async def _receive(
        self, bytes_max: int, headers: HeaderMap, receive: Receive, hold: Callable[[int], None]
    ) -> bytes:
        declared = headers.get(b"content-length")
        if declared is None and b"transfer-encoding" not in headers:
            return b""
        if declared is not None and (not declared.isdigit() or len(declared) > 18):
            raise Fault(400, "cannot read body: got a Content-Length that is no number, want one", "length")
        if declared is not None and int(declared) > bytes_max:
            await _drain(int(declared), receive)
            raise too_large(bytes_max)
        pieces: list[bytes] = []
        size = 0
        started = time.monotonic()
        while True:
            left_s = started + self._timeout_s + size / _SLOWEST_BYTES_PER_S - time.monotonic()
            message = await _next(receive, min(left_s, self._timeout_s))
            piece = message.get("body", b"")
            size += len(piece)
            if size > bytes_max:
                await _drain(0, receive)
                raise too_large(bytes_max)
            hold(len(piece))
            pieces.append(piece)
            if not message.get("more_body", False):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _next(receive: Receive, timeout_s: float) -> MutableMapping[str, Any]:
    if timeout_s <= 0:
        raise _too_slow()
    try:
        async with asyncio.timeout(timeout_s):
            message = await receive()
    except TimeoutError:
        raise _too_slow() from None
    if message["type"] == "http.disconnect":
        raise CallerGone
    return message


def _too_slow() -> Fault:
    return Fault(408, "cannot read body: got it too slowly, want it faster", "slow", {"connection": "close"})


async def _drain(declared: int, receive: Receive) -> None:
    """Throw a little of an oversized body away, so that most callers read the answer before the line is cut."""
    if declared > _DRAIN_BYTES_MAX:
        return
    left = _DRAIN_BYTES_MAX
    try:
        async with asyncio.timeout(1):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return


async def _unpack(packed: bytes, encoding: str, bytes_max: int) -> bytes:
    if len(packed) <= _INLINE_BYTES_MAX:
        return decompress(packed, encoding, bytes_max)
    return await asyncio.to_thread(decompress, packed, encoding, bytes_max)
