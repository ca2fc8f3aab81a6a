"""Outgoing HTTP with limits: one timeout for all of a request, a bounded answer, and no way to a link-local address.

Names are resolved once, every address is checked, and the connection goes to a checked address; so neither another
spelling of an address nor a name that changes its mind (DNS rebinding) gets round the check. Redirects are followed
only when asked for, each hop is checked anew, and credentials stay with the host they were meant for.
"""

import asyncio
import base64
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDict
from yarl import URL

from watchkeeper.model.errors import NotDelivered
from watchkeeper.model.metrics import counter
from watchkeeper.net.oauth2 import TokenOptions, Tokens
from watchkeeper.net.proxy import Proxy
from watchkeeper.net.tls import TlsOptions, tls_context

_REDIRECTS_MAX = 10
_CLOUD_METADATA = frozenset({"fd00:ec2::254", "100.100.100.200"})  # beside the link-local ones

_refused = counter("watchkeeper_client_addresses_refused", "Outgoing requests refused because of where they would go")

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """How one request is made.

    timeout_s         for everything: name, connection, request, answer
    answer_bytes_max  of the answer's body; the rest is not read
    basic             user and password
    authorization     the whole header's value, such as "Bearer x"
    tokens            where the Authorization header's token is fetched
    headers           more headers, in order
    proxy             who is asked instead, if anybody
    """

    timeout_s: float = 10.0
    answer_bytes_max: int = 64 << 10
    basic: tuple[str, str] | None = field(default=None, repr=False)
    authorization: str | None = field(default=None, repr=False)
    tokens: TokenOptions | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    tls: TlsOptions | None = None
    follow_redirects: bool = False
    proxy: Proxy | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; its body may have been cut at the limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Client:
    """Makes outgoing requests; one for the process, closed at its end.

    user_agent  what it calls itself
    lookup      host and port to addresses; the system's resolver by default
    """

    def __init__(self, user_agent: str, lookup: Lookup | None = None) -> None:
        self._user_agent = user_agent
        self._resolver = _CheckedResolver(lookup or _system_lookup)
        self._session: aiohttp.ClientSession | None = None
        self._tokens = Tokens(self._send_form)

    async def send(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], options: RequestOptions
    ) -> Reply:
        """Make a request and give the answer, whatever its status.

        raises  NotDelivered: not permanent when the network failed or time ran out; permanent when the URL, the
                address or a header is not allowed
        """
        target = checked_url(url)
        try:
            async with asyncio.timeout(options.timeout_s):
                return await self._follow(method, target, body, dict(headers), options)
        except TimeoutError:
            raise NotDelivered(
                f"{_origin(target)} did not answer in {options.timeout_s:g} s", permanent=False
            ) from None
        except aiohttp.InvalidURL:
            raise NotDelivered("cannot use URL: its host is no name and no canonical address", permanent=True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise NotDelivered(f"cannot reach {_origin(target)}: {_reason(error)}", permanent=False) from None

    async def close(self) -> None:
        """Let go of all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _follow(
        self, method: str, target: URL, body: bytes, headers: dict[str, str], options: RequestOptions
    ) -> Reply:
        origin = target.origin()
        for _ in range(_REDIRECTS_MAX):
            credentials = await self.credentials(target, options) if target.origin() == origin else {}
            extra = options.headers if target.origin() == origin else ()
            reply = await self._once(method, target, body, [*headers.items(), *credentials.items(), *extra], options)
            location = reply.headers.get("location")
            if not options.follow_redirects or reply.status not in (301, 302, 303, 307, 308) or not location:
                return reply
            target = checked_url(str(target.with_user(None).join(URL(location))))
            if reply.status < 307 and method != "HEAD":
                method, body = "GET", b""
                headers.pop("Content-Type", None)
        raise NotDelivered(f"{_origin(target)}: stopped after {_REDIRECTS_MAX} redirects", permanent=True)

    async def credentials(self, target: URL, options: RequestOptions) -> dict[str, str]:
        """Give the header that says who is asking; none where nothing is said of it.

        raises  NotDelivered when a token cannot be fetched
        """
        if options.tokens is not None:
            return {"Authorization": await self._tokens.header(options.tokens)}
        if options.authorization is not None:
            return {"Authorization": options.authorization}
        basic = options.basic or ((target.user or "", target.password or "") if target.user else None)
        if basic is None:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(f"{basic[0]}:{basic[1]}".encode()).decode()}

    async def _send_form(self, tokens: TokenOptions, form: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        options = RequestOptions(tls=tokens.tls, proxy=tokens.proxy, follow_redirects=True)
        reply = await self.send("POST", tokens.url, form, headers, options)
        return reply.status, reply.body

    async def _once(
        self, method: str, target: URL, body: bytes, headers: Sequence[tuple[str, str]], options: RequestOptions
    ) -> Reply:
        for name, value in headers:
            if not name or any(character in "\r\n\0" for character in name + value):
                raise NotDelivered(f"cannot send header {name!r}: got control characters", permanent=True)
        proxy = options.proxy.url_for(target) if options.proxy is not None else ""
        async with self._open().request(
            method,
            target.with_user(None).with_fragment(None),
            data=body or None,
            headers=headers,
            ssl=tls_context(options.tls) if options.tls is not None else True,
            server_hostname=(options.tls.server_name or None) if options.tls is not None else None,
            allow_redirects=False,
            proxy=proxy or None,
            proxy_headers=CIMultiDict(options.proxy.connect) if proxy and options.proxy is not None else None,
        ) as answer:
            content = await _limited(answer, options.answer_bytes_max)
            return Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, content)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(resolver=self._resolver, use_dns_cache=False, limit=100, limit_per_host=20)
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers={"User-Agent": self._user_agent},
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                max_line_size=8190,
                max_field_size=8190,
            )
        return self._session


def checked_url(url: str) -> URL:
    """Read a URL that may be asked: http or https, a host, no control characters, no forbidden literal address.

    raises  NotDelivered, permanent, without the URL's secrets
    """
    if any(ord(character) <= 0x20 or character == "\x7f" for character in url):
        raise NotDelivered("cannot use URL: got white space or control characters", permanent=True)
    try:
        target = URL(url)
        _ = target.port
    except ValueError:
        raise NotDelivered("cannot use URL: it is not valid", permanent=True) from None
    if target.scheme not in ("http", "https") or not target.host:
        raise NotDelivered(
            f"cannot use URL: got scheme {target.scheme!r}, want http or https and a host", permanent=True
        )
    _check_address(target.host)
    return target


def forbidden(address: str) -> bool:
    """Say whether an IP address must never be asked: link-local and cloud metadata, however it is written."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        low = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if parsed in ipaddress.ip_network("64:ff9b::/96") or int(parsed) >> 32 == 0:  # NAT64; IPv4-compatible
            inner = low
        if inner is not None and forbidden(str(inner)):
            return True
    return parsed.is_link_local or str(parsed) in _CLOUD_METADATA


def _check_address(address: str) -> None:
    if forbidden(address):
        _refused.inc()
        raise NotDelivered("cannot use URL: its address is link-local, which is never allowed", permanent=True)


class _CheckedResolver(AbstractResolver):
    """Resolves a host, and refuses it whole when any of its addresses is forbidden."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 — both families
    ) -> list[ResolveResult]:
        found = await self._lookup(host, port)
        for address in found:
            _check_address(address)
        if not found:
            raise OSError(f"{host} has no address")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None:
        pass


async def _system_lookup(host: str, port: int) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


async def _limited(answer: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    """Read the body up to a limit; what is longer is cut, and its connection given up."""
    chunks, size = [], 0
    async for chunk in answer.content.iter_any():
        chunks.append(chunk[: bytes_max - size])
        size += len(chunk)
        if size >= bytes_max:
            answer.close()
            break
    return b"".join(chunks)


def _origin(target: URL) -> str:
    return str(target.origin())


def _reason(error: Any) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return str(error.os_error.strerror or error.os_error)[:200]
    return (type(error).__name__ if not str(error) else str(error))[:200]
