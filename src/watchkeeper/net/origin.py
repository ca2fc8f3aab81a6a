"""Where a request comes from: the name it was sent to, the page that sent it, the address behind proxies."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from watchkeeper.model.pattern import compile_pattern
from watchkeeper.net.answers import Fault
from watchkeeper.net.auth import Kind, is_loopback
from watchkeeper.net.headers import RawHeaders
from watchkeeper.net.settings import NetSettings

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_SHARED: RawHeaders = [
    (b"access-control-allow-headers", b"Accept, Authorization, Content-Type, Origin, X-Api-Key"),
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-expose-headers", b"Date"),
    (b"vary", b"Origin"),
]
HeaderMap = Mapping[bytes, bytes]


class Origin:
    """Checks the Host header, cross-site requests, and whose address to believe."""

    def __init__(self, settings: NetSettings) -> None:
        configured = {host.lower().strip("[]") for host in settings.allowed_hosts}
        external = urlsplit(settings.external_url)
        if external.hostname:
            configured.add(external.hostname)
        self._any_host = not settings.allowed_hosts and not is_loopback(settings.listen)
        self._hosts = frozenset(configured | _LOOPBACK)
        self._external = f"{external.scheme}://{external.netloc}".lower() if external.netloc else ""
        self.https = external.scheme == "https"
        self._shared = compile_pattern(settings.cors_origin) if settings.cors_origin else None
        self._proxies = tuple(ipaddress.ip_network(net, strict=False) for net in settings.trusted_proxies)

    def check_host(self, headers: list[tuple[bytes, bytes]], version: str) -> str:
        """Give the Host that a request is addressed to.

        raises  Fault 400 when there is none, or two; 421 when it is not one of ours (a name re-bound to our address)
        """
        hosts = [value for name, value in headers if name == b"host"]
        if not hosts and version == "1.0":
            return ""
        if len(hosts) != 1:
            raise Fault(400, f"cannot read Host: got {len(hosts)}, want 1", "host")
        host = hosts[0].decode("latin-1").lower()
        if not self._any_host and _name(host) not in self._hosts:
            raise Fault(421, "cannot answer for this Host: want one of the setting allowed_hosts", "host")
        return host

    def check_site(self, method: str, kind: Kind, host: str, https: bool, headers: HeaderMap) -> None:
        """Refuse a change that another site's page asks for.

        A browser says where a request comes from (Sec-Fetch-Site, or Origin on plain http), and adds a session's
        cookie by itself; only our own page can add x-wk-csrf.

        raises  Fault 403
        """
        if method in _SAFE:
            return
        origin = headers.get(b"origin")
        if origin is not None and kind is not Kind.SESSION and self._may_read(origin):
            return
        site = headers.get(b"sec-fetch-site")
        if site is not None:
            foreign = site not in {b"same-origin", b"none"}
        else:
            foreign = origin is not None and not self._is_ours(origin.decode("latin-1").lower(), host, https)
        if foreign:
            raise Fault(403, "cannot accept a change from another site: want a request of our own page", "csrf")
        if kind is Kind.SESSION and headers.get(b"x-wk-csrf") != b"1":
            raise Fault(403, "cannot accept a change by session cookie alone: want the header x-wk-csrf: 1", "csrf")

    def sharing(self, headers: HeaderMap) -> RawHeaders:
        """Give the headers that let another site's page read the answer, where the setting cors_origin says so.

        source  Prometheus, util/httputil/cors.go; never with credentials: a browser adds no cookie of ours
        """
        origin = headers.get(b"origin")
        if self._shared is None or origin is None:
            return []
        if not self._may_read(origin):
            return [(b"vary", b"Origin")]
        return [(b"access-control-allow-origin", origin), *_SHARED]

    def _may_read(self, origin: bytes) -> bool:
        return self._shared is not None and self._shared.fullmatch(origin.decode("latin-1")) is not None

    def address(self, peer: str, headers: HeaderMap) -> str:
        """Give the caller's address: the last in X-Forwarded-For that no trusted proxy of ours has."""
        forwarded = headers.get(b"x-forwarded-for")
        if not self._proxies or forwarded is None or not self._is_proxy(peer):
            return peer
        for part in reversed(forwarded.decode("latin-1").split(",")):
            hop = part.strip().strip("[]")
            if not _is_address(hop):
                return peer
            if not self._is_proxy(hop):
                return hop
        return peer

    def _is_ours(self, origin: str, host: str, https: bool) -> bool:
        return origin in {f"{'https' if https else 'http'}://{host}", self._external}

    def _is_proxy(self, address: str) -> bool:
        return _is_address(address) and any(ipaddress.ip_address(address) in net for net in self._proxies)


def _name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
