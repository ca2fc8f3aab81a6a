"""Asks a target for its exposition: HTTP with every limit, or a function in this process."""

import asyncio
import os
import socket
import ssl
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

from yarl import URL

from watchkeeper import __version__
from watchkeeper.collect.connection import Answer, AnswerTooLarge, Connection, connect
from watchkeeper.collect.exposition import OPENMETRICS, PROTOBUF, TEXT
from watchkeeper.collect.settings import ScrapeConfig, ScrapeProtocol, ScrapeSettings
from watchkeeper.collect.targets import Target
from watchkeeper.model.errors import BadInput, NotDelivered
from watchkeeper.model.metrics import counter
from watchkeeper.net.client import Client, RequestOptions
from watchkeeper.net.http_config import reads_files, request_options
from watchkeeper.net.tls import TlsOptions, tls_context

_ACCEPT = {
    "PrometheusProto": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
    "OpenMetricsText1.0.0": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
    "OpenMetricsText0.0.1": "application/openmetrics-text;version=0.0.1",
    "PrometheusText1.0.0": "text/plain;version=1.0.0;escaping=allow-utf-8",
    "PrometheusText0.0.4": "text/plain;version=0.0.4",
}

_USER_AGENT = f"watchkeeper/{__version__}"

_over_size = counter(
    "prometheus_target_scrapes_exceeded_body_size_limit", "Total number of scrapes that hit the body size limit"
)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A body and the format that it is in."""

    body: bytes
    media: str


# Gets a target's exposition; raises BadInput with the reason as Prometheus' targets page would give it.
Fetch = Callable[[Target], Awaitable[Fetched]]
LocalFetch = Callable[[], Awaitable[bytes] | bytes]


def local_fetch(function: LocalFetch) -> Fetch:
    """Make a target of a function; one that is not async runs in a thread."""

    async def fetch(target: Target) -> Fetched:
        try:
            async with asyncio.timeout(target.timeout_ms / 1000):
                answer = await asyncio.to_thread(function)
                return Fetched(answer if isinstance(answer, bytes) else await answer, TEXT)
        except TimeoutError:
            raise BadInput("context deadline exceeded") from None

    return fetch


class HttpFetch:
    """Asks the targets of one scrape_config, each over a connection of its own that is kept open."""

    def __init__(self, config: ScrapeConfig, settings: ScrapeSettings) -> None:
        self._config = config
        self._limit = config.body_size_limit or settings.body_bytes_max
        self._accept = accept_header(config.scrape_protocols or ())
        self._fresh = reads_files(config)  # anew for each request, so that rotated secrets are found
        self._options: RequestOptions | None = None
        self._client: Client | None = None
        self._idle: dict[int, Connection] = {}
        self._requests: dict[int, bytes] = {}  # of targets whose request is always the same

    async def __call__(self, target: Target) -> Fetched:
        try:
            async with asyncio.timeout(target.timeout_ms / 1000):
                answer = await self._ask(target)
        except TimeoutError:
            raise BadInput(f'Get "{target.url}": context deadline exceeded') from None
        except AnswerTooLarge:
            _over_size.inc()
            raise BadInput("body size limit exceeded") from None
        except NotDelivered as error:
            raise BadInput(f'Get "{target.url}": {error}') from None
        except (OSError, ValueError) as error:
            raise BadInput(f'Get "{target.url}": {_reason(target, error)}') from None
        if answer.status != 200:
            raise BadInput(f"server returned HTTP status {answer.status} {answer.reason}".rstrip())
        media = media_type(answer.headers.get("content-type", ""), self._config.fallback_scrape_protocol)
        return Fetched(self._unpacked(answer), media)

    def close(self) -> None:
        """Close all connections."""
        for connection in self._idle.values():
            connection.close()
        self._idle.clear()

    def forget(self, target: Target) -> None:
        """Close the connection of a target that is no more."""
        self._requests.pop(target.number, None)
        connection = self._idle.pop(target.number, None)
        if connection is not None:
            connection.close()

    async def _ask(self, target: Target) -> Answer:
        if not self._config.proxy_url and not self._config.proxy_from_environment:
            answer = await self._ask_directly(target)
            if not (300 <= answer.status < 400 and self._config.follow_redirects and "location" in answer.headers):
                return answer
        from watchkeeper.collect.detour import ask_around  # noqa: PLC0415 # a large client that few need

        options = self._request_options()
        return await ask_around(options, target, await self._headers(target, options), self._limit)

    def _request_options(self) -> RequestOptions:
        """Give the settings in the client's words.

        raises  NotDelivered when a file cannot be read or used
        """
        if self._options is None or self._fresh:
            self._options = request_options(self._config, 0)
        return self._options

    async def _ask_directly(self, target: Target) -> Answer:
        request = self._requests.get(target.number) or await self._request(target)
        kept = self._idle.pop(target.number, None)
        if kept is not None and kept.usable:
            try:
                return await self._ask_over(kept, target, request)
            except ConnectionError:
                pass  # it had been closed while it was idle; a new one tells whether the target lives
        return await self._ask_over(await self._connect(urlsplit(target.url)), target, request)

    async def _request(self, target: Target) -> bytes:
        options = self._request_options()
        place = urlsplit(target.url)
        path = (place.path or "/") + (f"?{place.query}" if place.query else "")
        lines = [f"GET {path} HTTP/1.1", f"Host: {place.netloc.rpartition('@')[2]}"]
        lines += [f"{name}: {value}" for name, value in await self._headers(target, options)]
        request = "\r\n".join([*lines, "", ""]).encode()
        if not self._fresh and options.tokens is None:
            self._requests[target.number] = request
        return request

    async def _ask_over(self, connection: Connection, target: Target, request: bytes) -> Answer:
        answer = await connection.ask(request, self._limit)
        if connection.usable:
            self._idle[target.number] = connection
        else:
            connection.close()
        return answer

    async def _connect(self, place: SplitResult) -> Connection:
        port = place.port or (443 if place.scheme == "https" else 80)
        options = self._request_options().tls
        tls = (tls_context(options) if options else _default_tls()) if place.scheme == "https" else None
        return await connect(place.hostname or "", port, tls, options.server_name if options else "")

    def _unpacked(self, answer: Answer) -> bytes:
        """Undo gzip; a body that unpacks to more than the limit costs no more memory than the limit."""
        encoding = answer.headers.get("content-encoding", "").lower()
        if encoding in ("", "identity"):
            return answer.body
        if encoding != "gzip":
            raise BadInput(f"unsupported content encoding {encoding[:40]!r}")
        rest, pieces, room = answer.body, [], self._limit
        while rest:
            unpack = zlib.decompressobj(wbits=31)
            try:
                pieces.append(unpack.decompress(rest, room + 1))
            except zlib.error as error:
                raise BadInput(f"gzip: {error}") from None
            room -= len(pieces[-1])
            if room < 0:
                _over_size.inc()
                raise BadInput("body size limit exceeded")
            if not unpack.eof:
                raise BadInput("gzip: unexpected EOF")
            rest = unpack.unused_data
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _headers(self, target: Target, options: RequestOptions) -> list[tuple[str, str]]:
        headers = [
            ("User-Agent", _USER_AGENT),
            ("Accept", self._accept),
            ("Accept-Encoding", "gzip" if self._config.enable_compression else "identity"),
            ("X-Prometheus-Scrape-Timeout-Seconds", f"{target.timeout_ms / 1000:g}"),
        ]
        self._client = self._client or Client(_USER_AGENT)
        headers += (await self._client.credentials(URL(target.url, encoded=True), options)).items()
        headers += options.headers
        if any(not text.isprintable() for pair in headers for text in pair):
            raise BadInput("a header of the scrape config holds control characters")
        return headers


def accept_header(protocols: tuple[ScrapeProtocol, ...]) -> str:
    """Give the Accept header for formats in order of preference, as Prometheus does."""
    weighted = [f"{_ACCEPT[name]};q=0.{6 - at}" for at, name in enumerate(protocols) if name in _ACCEPT]
    return ",".join([*weighted, f"*/*;q=0.{max(6 - len(weighted), 1)}"])


def _media_of(protocol: ScrapeProtocol) -> str:
    if protocol == "PrometheusProto":
        return PROTOBUF
    return OPENMETRICS if protocol.startswith("OpenMetrics") else TEXT


def media_type(content_type: str, fallback: ScrapeProtocol | None) -> str:
    """Say which format a Content-Type stands for.

    raises  BadInput when it is none of ours and there is no fallback
    source  Prometheus 3, model/textparse/interface.go
    """
    instead = None if fallback is None else _media_of(fallback)
    if content_type.startswith("text/plain") and content_type[10:11] in ("", ";"):
        return TEXT
    if not content_type:
        if instead is None:
            raise BadInput(
                "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol "
                "specified for target"
            )
        return instead
    message = Message()
    message["Content-Type"] = content_type
    media = message.get_content_type() if "/" in content_type else ""
    if media in (TEXT, OPENMETRICS, PROTOBUF):
        return media
    if instead is None:
        verb = "received unsupported" if media else "cannot parse"
        raise BadInput(
            f'{verb} Content-Type "{content_type[:200]}" and no fallback_scrape_protocol specified for target'
        )
    return instead


def _reason(target: Target, error: Exception) -> str:
    """Say why a connection failed, in the words that Go has for it."""
    place = urlsplit(target.url)
    if isinstance(error, socket.gaierror):
        return f"dial tcp: lookup {place.hostname}: no such host"
    if isinstance(error, ssl.SSLError):
        return f"tls: {getattr(error, 'verify_message', '') or error.reason or error}"
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return f"dial tcp {place.netloc}: connect: {os.strerror(error.errno).lower()}"
    return str(error) or type(error).__name__


@lru_cache(maxsize=1)
def _default_tls() -> ssl.SSLContext:
    """Give the settings of a scrape_config that says nothing of TLS; one for all, it holds every root certificate."""
    return tls_context(TlsOptions())
