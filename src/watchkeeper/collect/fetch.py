"""Asks a target for its exposition: HTTP with every limit, or a function in this process."""

import asyncio
import base64
import os
import ssl
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import aiohttp
from yarl import URL

from watchkeeper import __version__
from watchkeeper.collect.exposition import OPENMETRICS, TEXT
from watchkeeper.collect.settings import HttpClient, ScrapeConfig, ScrapeProtocol, ScrapeSettings, TlsConfig
from watchkeeper.collect.targets import Target
from watchkeeper.model.errors import BadInput
from watchkeeper.model.metrics import counter

_ACCEPT = {
    "OpenMetricsText1.0.0": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
    "OpenMetricsText0.0.1": "application/openmetrics-text;version=0.0.1",
    "PrometheusText1.0.0": "text/plain;version=1.0.0;escaping=allow-utf-8",
    "PrometheusText0.0.4": "text/plain;version=0.0.4",
}
_TLS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_REDIRECTS_MAX = 10

_over_size = counter("prometheus_target_scrapes_exceeded_body_size_limit", "Scrapes refused for a body too large")


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

    async def fetch(_: Target) -> Fetched:
        answer = await asyncio.to_thread(function)
        return Fetched(answer if isinstance(answer, bytes) else await answer, TEXT)

    return fetch


def new_session(settings: ScrapeSettings) -> aiohttp.ClientSession:
    """Open the client that all HTTP targets share."""
    connector = aiohttp.TCPConnector(
        limit=settings.connections_max, limit_per_host=0, keepalive_timeout=330, ttl_dns_cache=30
    )
    return aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        read_bufsize=1 << 18,
        headers={"User-Agent": f"watchkeeper/{__version__}"},
    )


class HttpFetch:
    """Asks the targets of one scrape_config."""

    def __init__(self, config: ScrapeConfig, session: aiohttp.ClientSession, settings: ScrapeSettings) -> None:
        self._config, self._session = config, session
        self._limit = config.body_size_limit or settings.body_bytes_max
        self._accept = accept_header(config.scrape_protocols or ())
        self._ssl = _ssl_context(config.tls_config) if config.tls_config != TlsConfig() else None
        self._urls: dict[str, URL] = {}

    async def __call__(self, target: Target) -> Fetched:
        try:
            async with asyncio.timeout(target.timeout_ms / 1000):
                return await self._get(target)
        except TimeoutError:
            raise BadInput(f'Get "{target.url}": context deadline exceeded') from None
        except aiohttp.TooManyRedirects:
            raise BadInput(f'Get "{target.url}": stopped after {_REDIRECTS_MAX} redirects') from None
        except aiohttp.ClientConnectorError as error:
            raise BadInput(f'Get "{target.url}": dial tcp {_dialled(target, error)}') from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise BadInput(f'Get "{target.url}": {str(error) or type(error).__name__}') from None

    async def _get(self, target: Target) -> Fetched:
        config = self._config
        url = self._urls.get(target.url)
        if url is None:
            url = self._urls[target.url] = URL(target.url, encoded=True)
        request = self._session.get(
            url,
            headers=self._headers(target),
            ssl=self._ssl if self._ssl is not None else True,
            proxy=config.proxy_url or None,
            allow_redirects=config.follow_redirects,
            max_redirects=_REDIRECTS_MAX,
            server_hostname=config.tls_config.server_name or None,
        )
        async with request as response:
            if response.status != 200:
                raise BadInput(f"server returned HTTP status {response.status} {response.reason}".rstrip())
            media = media_type(response.headers.get("Content-Type", ""), config.fallback_scrape_protocol)
            body = await self._read(response)
        return Fetched(body, media)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """Read the body while counting; a body over the limit costs no more memory than the limit."""
        encoding = response.headers.get("Content-Encoding", "").lower()
        unpack = None
        if encoding == "gzip":
            unpack = zlib.decompressobj(wbits=31)
        elif encoding not in ("", "identity"):
            raise BadInput(f"unsupported content encoding {encoding[:40]!r}")
        chunks, size = [], 0
        async for chunk in response.content.iter_any():
            plain = chunk if unpack is None else _unpack(unpack, chunk, self._limit - size + 1)
            size += len(plain)
            if size > self._limit:
                _over_size.inc()
                raise BadInput("body size limit exceeded")
            chunks.append(plain)
        if unpack is not None and not unpack.eof:
            raise BadInput("gzip: unexpected EOF")
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _headers(self, target: Target) -> dict[str, str]:
        headers = {
            "Accept": self._accept,
            "Accept-Encoding": "gzip" if self._config.enable_compression else "identity",
            "X-Prometheus-Scrape-Timeout-Seconds": f"{target.timeout_ms / 1000:g}",
        }
        authorization = _authorization(self._config)
        if authorization:
            headers["Authorization"] = authorization
        return headers | _extra_headers(self._config)


def _unpack(unpack: "zlib._Decompress", chunk: bytes, most: int) -> bytes:
    try:
        return unpack.decompress(chunk, most)
    except zlib.error as error:
        raise BadInput(f"gzip: {error}") from None


def accept_header(protocols: tuple[ScrapeProtocol, ...]) -> str:
    """Give the Accept header for formats in order of preference, as Prometheus does."""
    weighted = [f"{_ACCEPT[name]};q=0.{6 - at}" for at, name in enumerate(protocols) if name in _ACCEPT]
    return ",".join([*weighted, f"*/*;q=0.{max(6 - len(weighted), 1)}"])


def media_type(content_type: str, fallback: ScrapeProtocol | None) -> str:
    """Say which format a Content-Type stands for.

    raises  BadInput when it is none of ours and there is no fallback
    source  Prometheus 3, model/textparse/interface.go
    """
    instead = None if fallback is None else OPENMETRICS if fallback.startswith("OpenMetrics") else TEXT
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
    if media in (TEXT, OPENMETRICS):
        return media
    if instead is None:
        verb = "received unsupported" if media else "cannot parse"
        raise BadInput(
            f'{verb} Content-Type "{content_type[:200]}" and no fallback_scrape_protocol specified for target'
        )
    return instead


def _dialled(target: Target, error: aiohttp.ClientConnectorError) -> str:
    reason = os.strerror(error.os_error.errno).lower() if error.os_error.errno else str(error.os_error)
    return f"{URL(target.url).authority}: connect: {reason}"


def _authorization(config: HttpClient) -> str:
    """Make the Authorization header; files are read each time, so that rotated secrets are found."""
    if config.basic_auth is not None:
        basic = config.basic_auth
        user = _secret(basic.username, basic.username_file)
        password = _secret(basic.password.get_secret_value(), basic.password_file)
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    if config.authorization is not None:
        given = config.authorization
        return f"{given.type} {_secret(given.credentials.get_secret_value(), given.credentials_file)}".strip()
    token = _secret(config.bearer_token.get_secret_value(), config.bearer_token_file)
    return f"Bearer {token}" if token else ""


def _secret(text: str, file: str) -> str:
    if not file:
        return text
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"unable to read file {file}: {error}") from None


def _extra_headers(config: HttpClient) -> dict[str, str]:
    headers = {}
    for name, given in config.http_headers.items():
        values = [*(given.get("values") or []), *(given.get("secrets") or [])]
        values += [_secret("", file) for file in given.get("files") or []]
        if values:
            headers[name] = ", ".join(values)
    return headers


def _ssl_context(tls: TlsConfig) -> ssl.SSLContext:
    """Make the TLS settings of a scrape_config.

    raises  BadInput when a file cannot be used
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca_file or None, cadata=tls.ca or None)
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot set up TLS: {error}") from None
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.min_version:
        context.minimum_version = _TLS[tls.min_version]
    if tls.max_version:
        context.maximum_version = _TLS[tls.max_version]
    return context
