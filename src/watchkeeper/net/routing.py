"""A route, said once: path, methods, who may call it, how large its body may be. The application, the authorisation
matrix of the tests and the reference page are all made from the list of routes.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from starlette.datastructures import Headers
from starlette.responses import Response


class Role(IntEnum):
    """What a person may do; each includes those before it."""

    VIEWER = 1
    EDITOR = 2
    ADMIN = 3


class Scope(StrEnum):
    """What a key may do. ADMIN includes all."""

    READ = "read"
    METRICS_WRITE = "metrics:write"
    LOGS_WRITE = "logs:write"
    AGENT = "agent"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call a route: people of at least `role`, keys with any of `scopes`; or anybody when open.

    role  None: no person, whatever the role
    """

    role: Role | None = None
    scopes: frozenset[Scope] = frozenset()
    open: bool = False


OPEN = Access(open=True)
READ = Access(Role.VIEWER, frozenset({Scope.READ, Scope.ADMIN}))
EDIT = Access(Role.EDITOR, frozenset({Scope.ADMIN}))
ADMIN = Access(Role.ADMIN, frozenset({Scope.ADMIN}))
METRICS_WRITE = Access(Role.ADMIN, frozenset({Scope.METRICS_WRITE, Scope.ADMIN}))
LOGS_WRITE = Access(Role.ADMIN, frozenset({Scope.LOGS_WRITE, Scope.ADMIN}))
AGENT = Access(Role.VIEWER, frozenset({Scope.AGENT, Scope.ADMIN}))
SELF = Access(Role.VIEWER)  # a signed-in person about their own account; no key


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is calling.

    name   a login, "key:<name>", or "anonymous"
    role   a person's, or None for a key
    """

    name: str
    role: Role | None = None
    scopes: frozenset[Scope] = frozenset()
    user_id: int | None = None
    session: str | None = None

    def may(self, access: Access) -> bool:
        """Say whether this caller may use a route."""
        if access.open:
            return True
        if self.role is not None:
            return access.role is not None and self.role >= access.role
        return bool(self.scopes & access.scopes)


ANONYMOUS = Identity("anonymous")


@dataclass(frozen=True, slots=True)
class Call:
    """A request after the gate: authorised, its body whole, decompressed and within limits.

    params   query string and form fields together, in order, as in Go's http.Request.Form
    path     the route's path parameters, decoded once
    body     empty for form posts, whose fields are in params
    address  the caller's IP address
    """

    method: str
    route: str
    path: Mapping[str, str]
    params: Sequence[tuple[str, str]]
    headers: Headers
    body: bytes
    who: Identity
    address: str
    is_gone: Callable[[], Awaitable[bool]] = field(repr=False)

    def first(self, name: str, default: str = "") -> str:
        """Give a parameter's first value."""
        return next((value for key, value in self.params if key == name), default)

    def every(self, name: str) -> list[str]:
        """Give all values of a parameter."""
        return [value for key, value in self.params if key == name]


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One path of ours. Paths are Starlette's: "/api/v1/label/{name}/values", "/files/{rest:path}".

    decode          whether the gate undoes Content-Encoding (snappy included) before the handler sees the body
    audited         whether each call is written to the audit log, reading or not; calls that change state always are
    body_bytes_max  after decompression
    error           makes the body of 4xx and 5xx answers in the style of the API that the path belongs to
    """

    path: str
    methods: tuple[str, ...]
    handler: Handler
    access: Access
    summary: str
    decode: bool = True
    audited: bool = False
    body_bytes_max: int = 1 << 20
    error: Callable[[int, str], Response] | None = None
