"""OAuth 2.0 tokens by client credentials, fetched once and kept until shortly before they end.

source  RFC 6749, 2.3.1 and 4.4; golang.org/x/oauth2 for what is left to clients
"""

import asyncio
import base64
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from urllib.parse import quote_plus, urlencode

import orjson

from watchkeeper.model.errors import NotDelivered
from watchkeeper.net.proxy import Proxy
from watchkeeper.net.tls import TlsOptions

_EARLY_S = 10.0  # a token is renewed so long before it ends
_KEPT_MAX = 1000


@dataclass(frozen=True, slots=True)
class TokenOptions:
    """Where and how tokens are fetched."""

    url: str
    client_id: str
    secret: str = field(repr=False)
    scopes: tuple[str, ...] = ()
    params: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    tls: TlsOptions | None = None
    proxy: Proxy | None = None


# Sends a form; gives status and body, or raises NotDelivered.
SendForm = Callable[[TokenOptions, bytes, dict[str, str]], Awaitable[tuple[int, bytes]]]


class Tokens:
    """Keeps the tokens of all settings that need one.

    send  makes the request
    """

    def __init__(self, send: SendForm, now_s: Callable[[], float] = monotonic) -> None:
        self._send, self._now_s = send, now_s
        self._kept: OrderedDict[TokenOptions, tuple[str, float]] = OrderedDict()
        self._in_form: dict[str, bool] = {}  # by token URL: whether its server wants the secret in the form
        self._fetching: dict[TokenOptions, asyncio.Lock] = {}

    async def header(self, options: TokenOptions) -> str:
        """Give the Authorization header's value, from a fresh token where the last one has ended.

        raises  NotDelivered; permanent when the server refuses the client
        """
        lock = self._fetching.setdefault(options, asyncio.Lock())
        async with lock:
            kept = self._kept.get(options)
            if kept is None or kept[1] <= self._now_s():
                kept = await self._fetched(options)
                self._kept[options] = kept
                while len(self._kept) > _KEPT_MAX:  # secrets that were changed leave theirs behind
                    self._fetching.pop(self._kept.popitem(last=False)[0], None)
        return kept[0]

    async def _fetched(self, options: TokenOptions) -> tuple[str, float]:
        known = self._in_form.get(options.url)
        status, body = await self._ask(options, in_form=bool(known))
        if known is None and status // 100 != 2:  # servers that know no Basic authentication of clients
            status, body = await self._ask(options, in_form=True)
            known = True
        if status // 100 != 2:
            shown = body[:200].decode(errors="replace")
            raise NotDelivered(f"oauth2: cannot fetch token: {status}\nResponse: {shown}", permanent=status < 500)
        self._in_form[options.url] = bool(known)
        return self._read(body)

    async def _ask(self, options: TokenOptions, *, in_form: bool) -> tuple[int, bytes]:
        form: dict[str, str] = {"grant_type": "client_credentials"}
        if options.scopes:
            form["scope"] = " ".join(options.scopes)
        form |= dict(options.params)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if in_form:
            form["client_id"] = options.client_id
            if options.secret:
                form["client_secret"] = options.secret
        else:
            pair = f"{quote_plus(options.client_id)}:{quote_plus(options.secret)}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return await self._send(options, urlencode(sorted(form.items())).encode(), headers)

    def _read(self, body: bytes) -> tuple[str, float]:
        try:
            answer: Any = orjson.loads(body)
            token, kind = answer["access_token"], answer.get("token_type") or "Bearer"
            lasts_s = float(answer.get("expires_in") or 0)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise NotDelivered("oauth2: server response missing access_token", permanent=False) from None
        kind = "Bearer" if str(kind).lower() == "bearer" else str(kind)
        return f"{kind} {token}", self._now_s() + lasts_s - _EARLY_S if lasts_s > 0 else float("inf")
