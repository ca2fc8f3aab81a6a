"""The authorisation matrix: every route against every kind of caller, judged by a table that is written down, not
worked out from the code under test.

Use it for any list of routes:

    assert_matrix(routes, app, callers, declared)
"""

import asyncio
from collections.abc import Mapping, Sequence

from tests.net.judges.asgi import Client

from watchkeeper.net.routing import Route

# Which callers pass, by the name of the access that a route declares. Everybody else gets 401 (not known) or 403.
PASSES: Mapping[str, frozenset[str]] = {
    "OPEN": frozenset(
        {"none", "viewer", "editor", "admin", "expired", "revoked", "ended", "garbage"}
        | {"key:read", "key:metrics:write", "key:logs:write", "key:agent", "key:admin"}
    ),
    "READ": frozenset({"viewer", "editor", "admin", "key:read", "key:admin"}),
    "EDIT": frozenset({"editor", "admin", "key:admin"}),
    "ADMIN": frozenset({"admin", "key:admin"}),
    "METRICS_WRITE": frozenset({"admin", "key:metrics:write", "key:admin"}),
    "LOGS_WRITE": frozenset({"admin", "key:logs:write", "key:admin"}),
    "AGENT": frozenset({"viewer", "editor", "admin", "key:agent", "key:admin"}),
    "SELF": frozenset({"viewer", "editor", "admin"}),
}
UNKNOWN = frozenset({"none", "expired", "revoked", "ended", "garbage"})


def expected(access: str, caller: str) -> str:
    """Give what must come: "in", 401 or 403."""
    if caller in PASSES[access]:
        return "in"
    return "401" if caller in UNKNOWN else "403"


def concrete(path: str) -> str:
    """Fill a route's parameters with something that exists nowhere."""
    parts = [("x" if part.startswith("{") else part) for part in path.split("/")]
    return "/".join(parts)


def assert_matrix(
    routes: Sequence[Route],
    app: object,
    callers: Mapping[str, Mapping[str, str]],
    declared: Mapping[str, str],
) -> int:
    """Check every cell and give how many there were.

    callers   name as in PASSES → headers that present it; all names of PASSES must be there
    declared  "METHOD path" → name of the access, the golden table; it must name exactly the routes there are
    """
    found = {f"{method} {route.path}" for route in routes for method in route.methods}
    assert found == set(declared), {"not declared": found - set(declared), "gone": set(declared) - found}
    assert set(callers) == PASSES["OPEN"], set(callers) ^ PASSES["OPEN"]
    wrong, cells = asyncio.run(_judge(app, callers, declared))
    assert not wrong, "\n".join(wrong)
    return cells


async def _judge(
    app: object, callers: Mapping[str, Mapping[str, str]], declared: Mapping[str, str]
) -> tuple[list[str], int]:
    wrong, cells = [], 0
    for place, access in declared.items():
        method, path = place.split(" ", 1)
        for caller, headers in callers.items():
            cells += 1
            answer = await Client(app, headers).ask(method, concrete(path))
            got = str(answer.status) if answer.status in {401, 403} else "in"
            if access == "OPEN" and got in {"401", "403"} and b"Unauthorized" not in answer.body:
                got = "in"  # the handler's own word, such as a wrong password
            want = expected(access, caller)
            if got != want:
                wrong.append(f"{place} as {caller}: got {answer.status}, want {want}: {answer.body[:100]!r}")
    return wrong, cells
