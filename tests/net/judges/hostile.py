"""Bodies that must never get through, for every route that takes one; and paths that mean one thing only.

Use them for any list of routes:

    assert_bombs_refused(routes, app, headers)
    assert_paths_have_one_meaning(routes, app, headers)
    assert_headers(routes, app, headers)
"""

import asyncio
import gzip
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import zstandard
from tests.net.judges.asgi import Answer, Client
from tests.net.judges.matrix import concrete

from watchkeeper.net.headers import POLICY
from watchkeeper.net.routing import Route

FIVE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

PATH_TRICKS = [
    b"/../x", b"/./x", b"/%2e%2e/x", b"/%2e%2e%2fx", b"/.%2e/x", b"/%2E%2E/x", b"/%252e%252e/x", b"/..%5cx",
    b"/..%255cx", b"/%5c..%5cx", b"//x", b"/x//", b"/%2fx", b"/x%2f", b"/x%2F..", b"/x;y", b"/x;", b"/x%3by",
    b"/x%00", b"/%00", b"/x%0a", b"/x%0d%0ay", b"/x%09", b"/x.", b"/x%2e", b"/...", b"/%c0%ae%c0%ae/x", b"/%c0%af",
    b"/%zz", b"/%", b"/x%2", b"/x%e2%80%a8y", b"/x%23y", b"/x%3fy", b"/\xff", b"/x\\y",
]  # fmt: skip


@cache
def bombs() -> dict[str, tuple[str, bytes, frozenset[int]]]:
    """Give name → Content-Encoding, body, statuses that may come from a route that unpacks."""
    zeros = bytes(1 << 20)
    packer, gz = zlib.compressobj(9, zlib.DEFLATED, 31), b""
    for _ in range(200):
        gz += packer.compress(zeros)
    gz += packer.flush()
    zpacker = zstandard.ZstdCompressor(level=1).compressobj()
    zst = b"".join(zpacker.compress(zeros) for _ in range(200)) + zpacker.flush()
    sized = zstandard.ZstdCompressor().compress(zeros * 64)
    copies = (200 << 20) // 64  # one literal byte, then copies of 64 bytes from one byte back
    snappy_200_mib = _varint(64 * copies + 1) + b"\0x" + b"\xfe\x01\x00" * copies
    return {
        "gzip 200 KB to 200 MiB": ("gzip", gz, frozenset({413})),
        "gzip in many members": ("gzip", gzip.compress(zeros) * 100, frozenset({413})),
        "deflate to 64 MiB": ("deflate", zlib.compress(zeros * 64, 9), frozenset({413})),
        "zstd to 200 MiB": ("zstd", zst, frozenset({413})),
        "zstd that declares 64 MiB": ("zstd", sized, frozenset({413})),
        "snappy that unpacks to 200 MiB": ("snappy", snappy_200_mib, frozenset({413})),
        "snappy header says 1 GiB": ("snappy", _varint(1 << 30) + b"\0" * 20, frozenset({400})),
        "snappy header says 4 GiB": ("snappy", _varint((1 << 32) - 1) + b"\0" * 20, frozenset({400})),
        "snappy header without end": ("snappy", b"\xff" * 25, frozenset({400})),
        "gzip cut short": ("gzip", gzip.compress(b"x" * 1000)[:20], frozenset({400})),
        "gzip with rubbish after": ("gzip", gzip.compress(b"{}") + b"rubbish", frozenset({400})),
        "zstd cut short": ("zstd", zstandard.ZstdCompressor().compress(bytes(range(256)) * 99)[:-5], frozenset({400})),
        "no gzip at all": ("gzip", b"rubbish", frozenset({400})),
        "unknown coding": ("br", b"rubbish", frozenset({415})),
        "two codings": ("gzip, gzip", gzip.compress(gzip.compress(b"{}")), frozenset({415})),
    }


def assert_bombs_refused(routes: Sequence[Route], app: object, headers: Mapping[str, str]) -> int:
    """Send every bomb to every route that takes a body, and a body over the limit plain and in chunks.

    headers  present a signed-in admin
    """
    return asyncio.run(_bombard(routes, app, headers))


async def _bombard(routes: Sequence[Route], app: object, headers: Mapping[str, str]) -> int:
    client, wrong, sent = Client(app, headers), [], 0
    for method, route in _taking_bodies(routes):
        for name, (coding, body, statuses) in bombs().items():
            if "64 MiB" in name and route.body_bytes_max >= 64 << 20:
                continue
            if len(body) > route.body_bytes_max:
                wanted = frozenset({413})
            else:
                wanted = statuses if route.decode else frozenset(range(400, 500))
            sent += 1
            began, before = time.perf_counter(), _peak_bytes()
            answer = await client.ask(method, concrete(route.path), body=body, content_encoding=coding)
            took, grew = time.perf_counter() - began, _peak_bytes() - before
            if answer.status not in wanted or took > 2 or grew > 3 * route.body_bytes_max + (64 << 20):
                wrong.append(f"{method} {route.path}, {name}: {answer.status} in {took:.2f} s, {grew >> 20} MiB more")
        sent += 2
        wrong += await _oversize(client, method, route)
    assert not wrong, "\n".join(wrong)
    return sent


async def _oversize(client: Client, method: str, route: Route) -> list[str]:
    wrong = []
    host = [(b"host", b"localhost"), *((name.encode(), value.encode()) for name, value in client.headers.items())]
    target = concrete(route.path).encode()
    lying = await client.send(method, target, [*host, (b"content-length", b"10000000000")], [b"x"], stall=True)
    pieces = [bytes(1 << 20)] * ((route.body_bytes_max >> 20) + 2)
    chunked = await client.send(method, target, [*host, (b"transfer-encoding", b"chunked")], pieces)
    for name, answer in (("declares 10 GB", lying), ("chunks without end", chunked)):
        if answer.status != 413:
            wrong.append(f"{method} {route.path}, {name}: {answer.status}")
    return wrong


def assert_paths_have_one_meaning(routes: Sequence[Route], app: object, headers: Mapping[str, str]) -> int:
    """Put every trick in place of every route's parameter: refused, or nobody's; never a handler's answer."""

    async def run() -> int:
        client, wrong, sent = Client(app, headers), [], 0
        raw = [(b"host", b"localhost"), *((name.encode(), value.encode()) for name, value in headers.items())]
        for route in routes:
            if "{" not in route.path:
                continue
            stem = route.path.split("{")[0].rstrip("/").encode()
            for trick in PATH_TRICKS:
                sent += 1
                answer = await client.send(route.methods[0], stem + trick, raw, [b""])
                if answer.status != 400:
                    wrong.append(f"{route.methods[0]} {stem + trick!r}: {answer.status}")
        assert not wrong, "\n".join(wrong)
        return sent

    return asyncio.run(run())


def assert_headers(routes: Sequence[Route], app: object, headers: Mapping[str, str]) -> int:
    """Look at the headers of every route's answer, let in or not, and of pages that are nobody's."""

    async def run() -> int:
        count = 0
        for route in routes:
            for method in (*route.methods, "OPTIONS", "TRACE"):
                for presented in (headers, {}):
                    check_headers(await Client(app, presented).ask(method, concrete(route.path)))
                    count += 1
        for path in ("/nobody", "/a//b", "/%zz"):
            check_headers(await Client(app).ask("GET", path))
        check_headers(await Client(app).ask("GET", "/", host="evil.example"))
        return count + 4

    return asyncio.run(run())


def check_headers(answer: Answer) -> None:
    names = [name for name, _ in answer.raw_headers]
    assert answer.headers["content-security-policy"] == POLICY.decode()
    assert {name: answer.headers.get(name) for name in FIVE} == FIVE
    assert len(names) == len(set(names)), names
    assert "cache-control" in answer.headers
    assert not any(mark in value for _, value in answer.raw_headers for mark in (b"\r", b"\n", b"\0"))


def _taking_bodies(routes: Sequence[Route]) -> Iterator[tuple[str, Route]]:
    for route in routes:
        for method in route.methods:
            if method not in {"GET", "HEAD", "OPTIONS"}:
                yield method, route


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _peak_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines() if Path("/proc/self/status").exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
