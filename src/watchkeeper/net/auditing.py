"""What goes into the audit log: one entry for each call that changes state, each refused credential, each audited call.

Samples and log lines pushed with a key, and queries, change no state in this sense: they are counted in metrics.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from watchkeeper.net.routing import Route, Scope

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_NO_STATE = frozenset({Scope.READ, Scope.METRICS_WRITE, Scope.LOGS_WRITE})

_remarks: ContextVar[dict[str, Any] | None] = ContextVar("_remarks", default=None)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit log.

    who     a login, "key:<name>", "anonymous", or a login that could not prove itself
    action  the handler's name, such as "create_key"; "authenticate" for credentials refused elsewhere
    route   the route's path as declared; what filled its parameters is in the detail
    status  of the answer
    detail  never holds a secret
    """

    time_ms: int
    who: str
    address: str
    action: str
    route: str
    status: int
    detail: Mapping[str, Any] = field(default_factory=dict)


class Recorder(Protocol):
    """Keeps audit entries."""

    async def record(self, entry: AuditEntry) -> None:
        """Return when the entry is on the disk."""
        ...


class NoRecord:
    """Keeps nothing: for tests of one stage."""

    async def record(self, entry: AuditEntry) -> None:
        pass


def changes_state(route: Route) -> bool:
    """Say whether a route's calls are audited because they change state."""
    return not SAFE_METHODS.issuperset(route.methods) and not (route.access.scopes & _NO_STATE)


def remark(**detail: Any) -> None:
    """Add to the audit entry of the call being handled; `who` replaces the caller's name. Never a secret."""
    remarks = _remarks.get()
    if remarks is not None:
        remarks.update(detail)


@contextmanager
def collecting() -> Iterator[dict[str, Any]]:
    """Give the mapping that remarks go into while a call is handled."""
    remarks: dict[str, Any] = {}
    token = _remarks.set(remarks)
    try:
        yield remarks
    finally:
        _remarks.reset(token)
