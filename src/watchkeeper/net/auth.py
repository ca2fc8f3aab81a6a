"""Who is calling: what a request may present, and what a doorkeeper answers.

cookie wk_session            a person signed in to the web UI
Authorization: Bearer KEY    a key
x-api-key: KEY               a key
Authorization: Basic …       a person's user:password, or anything:KEY
"""

import base64
import binascii
import ipaddress
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from watchkeeper.model.errors import BadInput
from watchkeeper.net.routing import Identity, Role

SESSION_COOKIE = "wk_session"
KEY_PREFIX = "wk_"


class Kind(Enum):
    """Which way a request says who is calling."""

    NONE = "none"
    SESSION = "session"
    KEY = "key"
    PASSWORD = "password"  # noqa: S105 # a kind of credentials, not one


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request presents; a header goes before the cookie.

    user     for PASSWORD
    secret   session token, key or password
    address  the caller's, for the throttle and the audit log
    """

    kind: Kind
    address: str
    user: str = ""
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a caller was not let in: 401, or 429 after too many tries. The text never tells which part was wrong."""

    status: int
    text: str
    reason: str
    who: str = ""
    retry_after_s: int = 0


class Doorkeeper(Protocol):
    """Tells who is calling. Asked for every request to a route that is not open."""

    async def identify(self, credentials: Credentials) -> Identity | Denial:
        """Give the caller, ANONYMOUS for Kind.NONE, or why these credentials are refused.

        raises  Refused when it cannot be found out now
        """
        ...


class OpenDoor:
    """The doorkeeper of `--auth none`: everybody is an admin. Only for a listener that this machine alone reaches."""

    def __init__(self, listen: str) -> None:
        refuse_unless_loopback(listen)

    async def identify(self, credentials: Credentials) -> Identity | Denial:  # noqa: ARG002 # nobody is asked
        return Identity("everybody", Role.ADMIN)


def refuse_unless_loopback(listen: str) -> None:
    """Let `--auth none` pass only on a loopback address.

    raises  BadInput naming the address
    """
    if not is_loopback(listen):
        raise BadInput(f"cannot use --auth none: got listener {listen}, want a loopback address such as 127.0.0.1:9090")


def is_loopback(listen: str) -> bool:
    """Say whether host:port is reachable from this machine alone; names other than localhost count as not."""
    host = listen.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_credentials(authorization: str, api_key: str, cookie: str, address: str) -> Credentials:
    """Find what a request presents.

    authorization, api_key, cookie  the headers of these names, "" when absent
    """
    if api_key:
        return Credentials(Kind.KEY, address, secret=api_key.strip())
    scheme, _, value = authorization.strip().partition(" ")
    value = value.strip()
    match scheme.lower():
        case "bearer" if value:
            return Credentials(Kind.KEY, address, secret=value)
        case "basic" if value:
            return _basic(value, address)
    token = session_token(cookie)
    if token:
        return Credentials(Kind.SESSION, address, secret=token)
    return Credentials(Kind.NONE, address)


def session_token(cookie: str) -> str:
    """Take the session's token from a Cookie header, or ""."""
    if SESSION_COOKIE in cookie:
        for part in cookie.split(";"):
            name, _, value = part.strip().partition("=")
            if name == SESSION_COOKIE:
                return value
    return ""


def session_cookie(token: str, age_s: int) -> str:
    """Give the Set-Cookie header of a session; an empty token takes it away. The gate adds Secure over https."""
    return f"{SESSION_COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age_s if token else 0}"


def _basic(value: str, address: str) -> Credentials:
    try:
        user, colon, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        user, colon, secret = "", "", ""
    if colon and secret.startswith(KEY_PREFIX):
        return Credentials(Kind.KEY, address, user, secret)
    return Credentials(Kind.PASSWORD, address, user, secret)
