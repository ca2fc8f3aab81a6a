"""Calls an ASGI application in this process, byte for byte: no client library mends what is sent."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

RawHeaders = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Answer:
    status: int
    raw_headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode("latin-1") for name, value in self.raw_headers}

    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def session(self) -> str:
        """Give the token of the session cookie that was set."""
        for name, value in self.raw_headers:
            if name == b"set-cookie" and value.startswith(b"wk_session="):
                return value.split(b";")[0].split(b"=", 1)[1].decode()
        return ""


class Client:
    """Sends requests to one application.

    headers  sent with every request
    """

    def __init__(self, app: Any, headers: Mapping[str, str] | None = None, address: str = "127.0.0.1") -> None:
        self.app, self.headers, self.address = app, dict(headers or {}), address

    def call(self, method: str, path: str, *, json: Any = None, body: bytes = b"", **headers: str) -> Answer:
        """Send a request and wait; header names are written with underscores."""
        return asyncio.run(self.ask(method, path, json=json, body=body, **headers))

    async def ask(self, method: str, path: str, *, json: Any = None, body: bytes = b"", **headers: str) -> Answer:
        if json is not None:
            body, headers = orjson.dumps(json), {"content_type": "application/json", **headers}
        named = {"host": "localhost:9090", **self.headers}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in named.items()]
        if body or method not in {"GET", "HEAD", "OPTIONS"}:
            raw.append((b"content-length", str(len(body)).encode()))
        return await self.send(method, path.encode(), raw, [body])

    async def send(
        self, method: str, target: bytes, raw: RawHeaders, pieces: Sequence[bytes], *, stall: bool = False
    ) -> Answer:
        """Send exactly this.

        stall  the last piece is never followed by the body's end
        """
        path, _, query = target.partition(b"?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": list(raw),
            "client": (self.address, 40000),
            "server": ("127.0.0.1", 9090),
        }
        waiting = [
            {"type": "http.request", "body": piece, "more_body": stall or at < len(pieces) - 1}
            for at, piece in enumerate(pieces)
        ]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if waiting:
                return waiting.pop(0)
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start = sent[0]
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(start["status"], list(start["headers"]), body)
