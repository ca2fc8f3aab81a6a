import asyncio
import socket
import time
from collections.abc import Awaitable, Callable

import pytest
from starlette.responses import Response
from tests.net.judges.asgi import Answer
from tests.net.judges.hostile import check_headers

from watchkeeper.model.errors import BadInput
from watchkeeper.net.answers import json_answer
from watchkeeper.net.app import build_app
from watchkeeper.net.auth import OpenDoor
from watchkeeper.net.listener import Listener
from watchkeeper.net.routing import OPEN, READ, Call, Route
from watchkeeper.net.settings import NetSettings

Dialogue = Callable[[str, int], Awaitable[None]]


async def _echo(call: Call) -> Response:
    return json_answer({"bytes": len(call.body)})


async def _slow(_call: Call) -> Response:
    await asyncio.sleep(0.3)
    return json_answer({"slept": True})


def _serve(dialogue: Dialogue, **settings: float) -> None:
    made = NetSettings(listen="127.0.0.1:0", **settings)
    routes = [
        Route("/echo", ("GET", "POST"), _echo, READ, "", body_bytes_max=1 << 20),
        Route("/slow", ("GET",), _slow, READ, ""),
        Route("/-/healthy", ("GET",), _echo, OPEN, ""),
    ]

    async def run() -> None:
        listener = Listener(build_app(routes, OpenDoor(made.listen), made), made)
        await listener.start()
        host, _, port = listener.address.rpartition(":")
        try:
            await dialogue(host, int(port))
        finally:
            await listener.stop()

    asyncio.run(run())


async def _talk(host: str, port: int, request: bytes, *, wait_s: float = 5) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(request)
    try:
        async with asyncio.timeout(wait_s):
            return await reader.read()
    except ConnectionResetError:
        return b"reset"
    finally:
        writer.close()


def _parsed(wire: bytes) -> Answer:
    head, _, body = wire.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    headers = [tuple(line.split(b": ", 1)) for line in lines[1:]]
    return Answer(int(lines[0].split()[1]), headers, body)  # type: ignore[arg-type]


def test_requests_are_answered_over_the_wire() -> None:
    async def dialogue(host: str, port: int) -> None:
        head = b"Host: localhost\r\nConnection: close\r\n"
        answer = _parsed(await _talk(host, port, b"POST /echo HTTP/1.1\r\n" + head + b"Content-Length: 3\r\n\r\nabc"))
        assert answer.status == 200 and answer.json() == {"bytes": 3}
        assert "date" in answer.headers and "server" not in answer.headers
        check_headers(answer)
        chunks = b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
        assert _parsed(await _talk(host, port, b"POST /echo HTTP/1.1\r\n" + head + chunks)).json() == {"bytes": 5}

    _serve(dialogue)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /echo HTTP/1.1\r\nHost: localhost\r\nBad Name: x\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /echo HTTP/1.1\r\nHost: localhost\r\nx: a\0b\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_http_is_answered_400_and_cut(request_bytes: bytes) -> None:
    async def dialogue(host: str, port: int) -> None:
        wire = await _talk(host, port, request_bytes)
        answer = _parsed(wire)
        assert answer.status == 400
        check_headers(answer)

    _serve(dialogue, body_timeout_s=1)


def test_a_slow_head_is_cut_and_the_others_are_answered() -> None:
    async def dialogue(host: str, port: int) -> None:
        began = time.monotonic()
        half = [await asyncio.open_connection(host, port) for _ in range(600)]
        for _, writer in half:
            writer.write(b"GET /echo HTTP/1.1\r\nHost: loc")
        asked = time.monotonic()
        request = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert _parsed(await _talk(host, port, request)).status == 200
        assert time.monotonic() - asked < 1
        ends = await asyncio.gather(*(reader.read() for reader, _ in half))
        assert set(ends) == {b""}
        assert 0.8 < time.monotonic() - began < 5
        for _, writer in half:
            writer.close()

    _serve(dialogue, header_timeout_s=1)


def test_an_endless_head_is_cut() -> None:
    async def dialogue(host: str, port: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /echo HTTP/1.1\r\nHost: localhost\r\n")
        sent = 0
        try:
            while sent < 4 << 20:
                writer.write(b"x-filler: " + b"y" * 1000 + b"\r\n")
                sent += 1012
                await writer.drain()
                if reader.at_eof():
                    break
                await asyncio.sleep(0)
        except ConnectionError:
            pass
        assert sent < 4 << 20
        writer.close()

    _serve(dialogue)


def test_a_large_body_right_after_its_head_is_no_endless_head() -> None:
    async def dialogue(host: str, port: int) -> None:
        head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 500000\r\n\r\n"
        assert _parsed(await _talk(host, port, head + bytes(500_000))).json() == {"bytes": 500_000}

    _serve(dialogue, head_bytes_max=2000)


def test_a_body_of_one_byte_a_second_is_cut() -> None:
    async def dialogue(host: str, port: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n")

        async def drip() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.1)

        dripping = asyncio.create_task(drip())
        began = time.monotonic()
        # Not to the end: a byte that meets the closed connection resets it, and with it what was not read yet.
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        dripping.cancel()
        assert head.startswith(b"HTTP/1.1 408 ") and time.monotonic() - began < 2
        writer.close()

    _serve(dialogue, body_timeout_s=0.5)


def test_a_body_over_the_limit_is_answered_before_it_is_sent() -> None:
    async def dialogue(host: str, port: int) -> None:
        head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000000\r\n\r\n"
        assert _parsed(await _talk(host, port, head)).status == 413
        head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1500000\r\n\r\n"
        assert _parsed(await _talk(host, port, head + bytes(1_500_000))).status == 413

    _serve(dialogue)


def test_connections_over_the_limit_are_closed() -> None:
    async def dialogue(host: str, port: int) -> None:
        kept = [await asyncio.open_connection(host, port) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert await _talk(host, port, b"GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n") in {b"", b"reset"}
        for _, writer in kept:
            writer.close()

    _serve(dialogue, connections_max=3)


def test_a_stop_lets_requests_under_way_end() -> None:
    async def run() -> bytes:
        settings = NetSettings(listen="127.0.0.1:0")
        app = build_app([Route("/slow", ("GET",), _slow, READ, "")], OpenDoor(settings.listen), settings)
        listener = Listener(app, settings)
        await listener.start()
        host, _, port = listener.address.rpartition(":")
        talk = asyncio.create_task(_talk(host, int(port), b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        idle = await asyncio.open_connection(host, int(port))
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await listener.stop()
        assert time.monotonic() - began < 2
        idle[1].close()
        return await talk

    assert b'{"slept":true}' in asyncio.run(run())


def test_an_address_that_cannot_be_had_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = NetSettings(listen=listen)
        listener = Listener(build_app([], OpenDoor(listen), settings), settings)
        with pytest.raises(BadInput, match=f"cannot listen on {listen}"):
            asyncio.run(listener.start())
    for wrong in ("9090", "localhost", "localhost:99999", "localhost:http"):
        with pytest.raises(BadInput):
            asyncio.run(Listener(build_app([], OpenDoor("[::1]:1"), settings), NetSettings(listen=wrong)).start())
