"""The socket: uvicorn's HTTP/1.1 protocol with what it lacks against slow and endless heads.

A request's head must be whole within a time and a size; a connection over the limit is closed at once. Sends 400 with
our headers for what is no HTTP.
"""

import asyncio
import email.utils
import logging
import socket
from collections.abc import Callable
from contextlib import suppress

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from watchkeeper.model.errors import BadInput
from watchkeeper.model.metrics import counter, gauge
from watchkeeper.net.headers import SECURITY
from watchkeeper.net.settings import NetSettings

log = structlog.get_logger(__name__)

_connections = gauge("watchkeeper_http_connections", "Open connections to the listener.")
_cut = counter("watchkeeper_http_connections_cut", "Connections closed before an answer, by reason.", ("reason",))

_STOP_S = 3.0


class Listener:
    """Serves one ASGI application on one address; a Part. Signals are the program's affair, not its.

    ready  called with the address once it listens
    """

    def __init__(self, app: ASGIApp, settings: NetSettings, ready: Callable[[str], None] | None = None) -> None:
        self._app, self._settings, self._ready = app, settings, ready
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._ticking: asyncio.Task[None] | None = None
        self.address = ""

    async def start(self) -> None:
        """Bind and listen.

        raises  BadInput when the address cannot be had
        """
        settings = self._settings
        config = uvicorn.Config(
            self._app,
            http=HttpToolsProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=int(settings.idle_timeout_s),
        )
        config.load()
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # malformed requests are counted, not logged
        host, port = _split(settings.listen)
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: _Guarded(config, self._state, settings), host, port, backlog=2048, reuse_address=True
            )
        except OSError as error:
            reason = error.strerror or str(error)
            raise BadInput(f"cannot listen on {settings.listen}: got {reason}, want a free address") from error
        self.address = _shown(self._server.sockets[0])
        self._ticking = loop.create_task(self._tick())
        _connections.set_function(lambda: len(self._state.connections))
        log.info("listener_started", address=self.address)
        if self._ready is not None:
            self._ready(self.address)

    async def stop(self) -> None:
        """Stop listening, let requests under way end for three seconds, then close."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                while self._state.tasks:
                    await asyncio.wait(list(self._state.tasks))
        for task in list(self._state.tasks):
            task.cancel()
        for connection in list(self._state.connections):
            connection.transport.abort()
        if self._ticking is not None:
            self._ticking.cancel()
        self._server = None

    async def _tick(self) -> None:
        while True:
            date = email.utils.formatdate(usegmt=True).encode()
            self._state.default_headers = [(b"date", date)]
            await asyncio.sleep(1)


class _Guarded(HttpToolsProtocol):
    """Cuts heads that are slow or endless, and connections over the limit."""

    def __init__(self, config: uvicorn.Config, state: ServerState, settings: NetSettings) -> None:
        super().__init__(config, state, {})
        self._settings = settings
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.server_state.connections) >= self._settings.connections_max:
            _cut.labels("connections_max").inc()
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_done()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > self._settings.head_bytes_max and not self._is_body_next(data):
                self._cut("head_bytes_max")
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._head_timer is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._head_done()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        _cut.labels("malformed").inc()
        text = msg.encode("ascii", "replace")
        lines = [b"HTTP/1.1 400 Bad Request"]
        lines += [name + b": " + value for name, value in (*self.server_state.default_headers, *SECURITY)]
        lines += [b"cache-control: no-store", b"content-type: text/plain; charset=utf-8"]
        lines += [b"content-length: " + str(len(text)).encode(), b"connection: close", b"", text]
        self.transport.write(b"\r\n".join(lines))
        self.transport.close()

    def _is_body_next(self, data: bytes) -> bool:
        """Say whether this piece, large as it is, ends the head early and goes on with the body."""
        end = data.find(b"\r\n\r\n")
        return 0 <= end <= self._settings.head_bytes_max

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(self._settings.header_timeout_s, self._cut, "header_timeout")

    def _head_done(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _cut(self, reason: str) -> None:
        _cut.labels(reason).inc()
        self._head_done()
        self.transport.close()


def _split(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port[:9]) > 65535:
        raise BadInput(f"cannot listen: got {listen!r}, want HOST:PORT")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 # ":9090" means all, as in Prometheus


def _shown(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
