"""Random callers: whatever comes, no route may answer 5xx but the 503 of somebody who cannot now.

assert_no_route_breaks(routes, app, headers)
"""

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson
from tests.net.judges.asgi import Client

from watchkeeper.net.routing import Route

ATOMS: list[Any] = [
    None, True, False, 0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 1.5, 1e308, "", "x", "0", "-1", "1e400",
    "NaN", "\0", "a\r\nb", "\ud7ff\u202e", "x" * 300, "{", "up", '{job="x"}', "1h", "2026-01-01T00:00:00Z", "../x",
    "١٢", [], {},
]  # fmt: skip
QUERIES = [
    "up", "rate(up[5m])", "sum by (job) (up)", "{", "1", '"x"', "up offset -1h", "topk(1e9, up)", "up @ 1e300",
    "label_replace(up, '', '$1', 'job', '(.*)')", "up[5m:1s]", "histogram_quantile(NaN, up)", "absent(up) or vector(1)",
    '{job="x"}', '{job=~".+"} |= "a"', 'rate({job="x"}[1m])', '{job="x"} | json | a > 1', '{job="x"} | unwrap a',
]  # fmt: skip
TIMES = [
    "0",
    "-1",
    "1795318796",
    "1795318796.5",
    "1e18",
    "-1e18",
    "9223372036854775807",
    "NaN",
    "Inf",
    "2026-11-22T00:00:00Z",
    "",
]
NAMES = [
    "query", "start", "end", "step", "time", "match[]", "limit", "timeout", "user", "password", "name", "scopes",
    "role", "login", "dashboard", "title", "uid", "version", "folderUid", "oldPassword", "newPassword", "queries",
    "from", "to", "ref", "expr", "kind", "matchers", "startsAt", "endsAt", "createdBy", "comment", "id", "labels",
    "annotations",
    "streams", "stream", "values", "isRegex", "isEqual", "value", "filter", "active", "type", "before", "page", "tag",
    "direction", "since", "interval", "instant", "overwrite", "secondsToLive", "metric", "dedup", "lookback_delta",
    "stats",
]  # fmt: skip


def assert_no_route_breaks(
    routes: Sequence[Route], app: object, headers: Mapping[str, str], *, tries: int = 20, seed: int = 0
) -> int:
    """Call every route with random parameters and bodies.

    headers  present a signed-in admin
    seed     makes the same calls again
    """
    return asyncio.run(_fuzz(routes, Client(app, headers), tries, random.Random(seed)))


async def _fuzz(routes: Sequence[Route], client: Client, tries: int, chance: random.Random) -> int:
    broken, count = [], 0
    for route in routes:
        for method in route.methods:
            for path, body, kind in _calls(route, tries, chance):
                answer = await client.ask(method, path, body=body, content_type=kind)
                count += 1
                if answer.status >= 500 and answer.status != 503:
                    broken.append(f"{method} {path[:200]} {kind} {body[:300]!r}: {answer.status} {answer.body[:200]!r}")
    assert not broken, "\n".join(broken[:40])
    return count


def _calls(route: Route, tries: int, chance: random.Random) -> Iterator[tuple[str, bytes, str]]:
    for _ in range(tries):
        parts = [_segment(chance) if part.startswith("{") else part for part in route.path.split("/")]
        fields = [(chance.choice(NAMES), _text(chance)) for _ in range(chance.randrange(5))]
        if chance.random() < 0.5:  # a query that could be answered, but for one part
            fields += [("query", chance.choice(QUERIES)), ("step", chance.choice(["15", "1m", "0", "1e-9"]))]
            fields += [(name, chance.choice(TIMES)) for name in ("start", "end", "time")]
        query = "&".join(f"{quote(name)}={quote(text)}" for name, text in fields)
        kind, body = chance.choice(
            [
                ("application/json", orjson.dumps(_json(chance, 4))),
                ("application/json", orjson.dumps({chance.choice(NAMES): _json(chance, 3) for _ in range(5)})),
                ("application/json", b'{"a":' * chance.randrange(2000)),
                ("application/x-www-form-urlencoded", query.encode()),
                ("application/x-protobuf", chance.randbytes(chance.randrange(60))),
                ("text/plain", chance.randbytes(chance.randrange(60))),
                ("", b""),
            ]
        )
        yield "/".join(parts) + (f"?{query}" if query else ""), body, kind


def _segment(chance: random.Random) -> str:
    return quote(chance.choice(["x", "1", "999999999999999999999", "__name__", "a b", "ü", "-", "%41", "00" * 16]))


def _text(chance: random.Random) -> str:
    atom = chance.choice(ATOMS)
    return atom if isinstance(atom, str) else orjson.dumps(atom).decode()


def _json(chance: random.Random, depth: int) -> Any:
    if depth == 0 or chance.random() < 0.3:
        return chance.choice(ATOMS)
    if chance.random() < 0.3:
        return [_json(chance, depth - 1) for _ in range(chance.randrange(4))]
    return {chance.choice(NAMES): _json(chance, depth - 1) for _ in range(chance.randrange(6))}
