"""One kept-alive HTTP/1.1 connection to a target: as little as a scrape needs, with every limit.

A general client costs a millisecond of CPU a request here; this one a tenth of it, which is most of a scrape.
"""

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Any

from httptools import HttpParserError, HttpResponseParser

_HEAD_BYTES_MAX = 64 << 10


@dataclass(slots=True)
class Answer:
    """An HTTP answer; header names in lower case, the body as sent."""

    status: int = 0
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class AnswerTooLarge(Exception):  # it is what happened
    """A body is larger than allowed; the connection is closed."""


class AnswerBroken(ConnectionError):
    """What came was no HTTP answer, or ended early."""


class Connection(asyncio.Protocol):
    """Sends one request at a time and gives its answer.

    usable  whether another request may be sent
    fresh   whether nothing was ever received: then a failure is the target's, not an idle connection's
    """

    def __init__(self) -> None:
        self.usable, self.fresh = False, True
        self._transport: asyncio.Transport | None = None
        self._parser: Any = HttpResponseParser(self)
        self._waiting: asyncio.Future[Answer] | None = None
        self._answer = Answer()
        self._pieces: list[bytes] = []
        self._head_bytes = self._body_bytes = self._body_max = 0
        self._head_done = False

    async def ask(self, request: bytes, body_bytes_max: int) -> Answer:
        """Send a request and wait for its answer.

        raises  AnswerTooLarge, ConnectionError; the connection is not usable then, nor when the wait is cancelled
        """
        assert self._transport is not None
        assert self._waiting is None
        self._begin(body_bytes_max)
        waiting = self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await waiting
        except BaseException:
            self.close()
            raise
        finally:
            self._waiting = None

    def close(self) -> None:
        """Let go of the connection at once."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def _begin(self, body_bytes_max: int) -> None:
        self._answer, self._pieces = Answer(), []
        self._head_bytes = self._body_bytes = 0
        self._head_done, self._body_max = False, body_bytes_max

    def _end(self, error: Exception | None = None) -> None:
        waiting = self._waiting
        if waiting is None or waiting.done():
            return
        if error is not None:
            self.usable = False
            waiting.set_exception(error)
            return
        self._answer.body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self.usable = self.usable and bool(self._parser.should_keep_alive())
        waiting.set_result(self._answer)

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]  # uvloop's own class has the same methods
        self.usable = True

    def data_received(self, data: bytes) -> None:
        self.fresh = False
        if self._waiting is None or self._waiting.done():
            self.close()  # an answer that nobody asked for
            return
        if not self._head_done:
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES_MAX and b"\r\n\r\n" not in data:
                self._end(AnswerBroken("malformed HTTP response: header too long"))
                return
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._end(AnswerBroken(f"malformed HTTP response: {error}"))

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        headers = self._answer.headers
        ends_here = self._head_done and "content-length" not in headers and "transfer-encoding" not in headers
        self._end(None if ends_here and exc is None else exc or AnswerBroken("EOF"))

    # -- httptools

    def on_message_begin(self) -> None:
        self._begin(self._body_max)

    def on_status(self, status: bytes) -> None:
        self._answer.reason += status.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._head_done = True
        self._answer.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._body_max:
            self._end(AnswerTooLarge())
            self.close()
        else:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        if self._answer.status >= 200:  # 1xx come before the answer
            self._end()


async def connect(host: str, port: int, tls: ssl.SSLContext | None, server_name: str) -> Connection:
    """Open a connection.

    raises  OSError, ssl.SSLError among them
    """
    loop = asyncio.get_running_loop()
    name = (server_name or host) if tls is not None else None
    _, connection = await loop.create_connection(Connection, host, port, ssl=tls, server_hostname=name)
    return connection
