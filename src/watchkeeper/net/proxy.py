"""Which proxy a request goes to, as Go's httpproxy decides it.

source  pkg.go.dev/golang.org/x/net/http/httpproxy: Config, NoProxy
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from yarl import URL

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxy:
    """Proxies, who is asked without them, and headers for tunnels.

    plain, secure  the proxy's URL for http and for https; "" for none
    no_proxy       hosts, domains, addresses and networks, with commas between; "*" for all
    connect        headers of CONNECT
    always         whatever the host, even this one: a proxy_url without no_proxy
    """

    plain: str = field(repr=False)
    secure: str = field(repr=False)
    no_proxy: str = ""
    connect: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    always: bool = False

    def url_for(self, target: URL) -> str:
        """Give the proxy's URL for a request, "" when it goes directly."""
        proxy = self.secure if target.scheme == "https" else self.plain
        if proxy and "://" not in proxy:
            proxy = f"http://{proxy}"
        return proxy if proxy and (self.always or self._goes_by_proxy(target)) else ""

    def _goes_by_proxy(self, target: URL) -> bool:
        host = (target.host or "").rstrip(".").lower()
        port = target.port or _PORTS.get(target.scheme, 0)
        address = _address(host)
        if host == "localhost" or (address is not None and address.is_loopback):
            return False
        entries = [one.strip().lower() for one in self.no_proxy.split(",")]
        return not any(_matches(one, host, port, address) for one in entries if one)


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _address(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def _matches(entry: str, host: str, port: int, address: _Address | None) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdecimal() and (":" not in name or name.endswith("]")):
        if int(wanted[:6]) != port:
            return False
        entry = name
    if (literal := _address(entry)) is not None:
        return literal == address
    entry = entry.removeprefix("*")
    if entry.startswith("."):
        return host.endswith(entry)
    return host == entry or host.endswith("." + entry)


def from_environment(environ: Mapping[str, str], connect: tuple[tuple[str, str], ...]) -> Proxy:
    """Give the proxies that HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in capitals or not, name."""

    def value(name: str) -> str:
        return environ.get(name) or environ.get(name.lower(), "")

    return Proxy(value("HTTP_PROXY"), value("HTTPS_PROXY"), value("NO_PROXY"), connect)


def redacted(url: str) -> str:
    """Give a proxy's URL as it may be shown, as Go blanks its password."""
    shown = URL(url)
    return str(shown.with_password("xxxxx")) if shown.password else url
