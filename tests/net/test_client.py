import asyncio
import ssl
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from watchkeeper.model.errors import NotDelivered
from watchkeeper.net.client import Client, Reply, RequestOptions, forbidden
from watchkeeper.net.tls import TlsOptions

FORBIDDEN = [
    "http://169.254.169.254/latest",
    "http://169.254.0.1/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0xa9.0xfe.0xa9.0xfe/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://user:password@169.254.169.254/",
    "http://good.example@169.254.169.254/",
    "http://meta.example/",
    "http://both.example/",
    "file:///etc/passwd",
    "gopher://127.0.0.1/",
    "ftp://127.0.0.1/",
    "unix:///run/socket",
    "//127.0.0.1/",
    "http://",
    "http:///path",
    "http://127.0.0.1:99999/",
    "http://a b/",
    "http://127.0.0.1/\r\nX: y",
    "http://127.0.0.1\t/",
    "",
]


class Canary:
    """A server that remembers every request, under any name."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
        self.url = ""

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._handle)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.path_qs, dict(request.headers), await request.read()))
        return await self.answer(request) if self.answer is not None else web.Response(text="ok")

    async def stop(self) -> None:
        await self._runner.cleanup()


async def lookup(host: str, port: int) -> Sequence[str]:
    """Resolve our names, and let the system read the spellings of addresses that it understands."""
    names = {"meta.example": ["169.254.169.254"], "both.example": ["127.0.0.1", "169.254.169.254"]}
    names |= {"here.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]}
    if host in names:
        return names[host]
    infos = await asyncio.get_running_loop().getaddrinfo(host, port)
    return [str(info[4][0]) for info in infos]


def with_canary(work: Callable[[Canary, Client], Awaitable[None]]) -> None:
    async def whole() -> None:
        canary, client = Canary(), Client("watchkeeper/test", lookup)
        await canary.start()
        try:
            await asyncio.wait_for(work(canary, client), 20)
        finally:
            await client.close()
            await canary.stop()

    asyncio.run(whole())


async def post(client: Client, url: str, body: bytes = b"x", **options: Any) -> Reply:
    return await client.send("POST", url, body, {"Content-Type": "text/plain"}, RequestOptions(**options))


def test_sends_and_gives_the_answer() -> None:
    async def work(canary: Canary, client: Client) -> None:
        reply = await post(client, f"{canary.url}/a?b=c", b"body", headers=(("X-A", "1"), ("X-A", "2")))
        assert (reply.status, reply.body) == (200, b"ok")
        method, path, headers, body = canary.seen[0]
        assert (method, path, body) == ("POST", "/a?b=c", b"body")
        assert headers["User-Agent"] == "watchkeeper/test"

    with_canary(work)


@pytest.mark.parametrize("url", FORBIDDEN)
def test_never_goes_where_it_must_not(url: str) -> None:
    async def work(canary: Canary, client: Client) -> None:
        with pytest.raises(NotDelivered) as caught:
            await post(client, url.replace("/127.0.0.1/", f"/127.0.0.1:{canary.port}/"), timeout_s=5)
        assert caught.value.permanent
        assert canary.seen == []
        assert "password" not in str(caught.value)

    with_canary(work)


@pytest.mark.parametrize("target", [*FORBIDDEN[:18], "file:///etc/passwd"])
def test_redirects_are_checked_like_first_addresses(target: str) -> None:
    async def work(canary: Canary, client: Client) -> None:
        async def elsewhere(_request: web.Request) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": target})

        canary.answer = elsewhere
        with pytest.raises(NotDelivered) as caught:
            await post(client, canary.url, follow_redirects=True, timeout_s=5)
        assert caught.value.permanent
        assert len(canary.seen) == 1

    with_canary(work)


def test_redirects_are_not_followed_unless_asked_for() -> None:
    async def work(canary: Canary, client: Client) -> None:
        async def elsewhere(_request: web.Request) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": "/other"})

        canary.answer = elsewhere
        assert (await post(client, canary.url)).status == 307
        assert len(canary.seen) == 1

    with_canary(work)


def test_credentials_stay_with_their_host() -> None:
    async def work(canary: Canary, client: Client) -> None:
        async def elsewhere(request: web.Request) -> web.StreamResponse:
            if request.path == "/":
                return web.Response(status=307, headers={"Location": f"http://other.example:{canary.port}/end"})
            return web.Response()

        canary.answer = elsewhere
        url = f"http://here.example:{canary.port}/"
        await post(client, url, follow_redirects=True, basic=("u", "p"), headers=(("X-Secret", "s"),))
        assert [("Authorization" in seen[2], "X-Secret" in seen[2]) for seen in canary.seen] == [
            (True, True),
            (False, False),
        ]
        assert canary.seen[1][3] == b"x"  # 307 keeps method and body

    with_canary(work)


def test_endless_redirects_end() -> None:
    async def work(canary: Canary, client: Client) -> None:
        async def again(_request: web.Request) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": "/"})

        canary.answer = again
        with pytest.raises(NotDelivered, match="redirects"):
            await post(client, canary.url, follow_redirects=True)
        assert len(canary.seen) == 10

    with_canary(work)


@pytest.mark.parametrize("header", [("X-A", "1\r\nX-B: 2"), ("X-A\n", "1"), ("X-A", "1\n2"), ("X", "\0"), ("", "x")])
def test_headers_cannot_break_out_of_their_line(header: tuple[str, str]) -> None:
    async def work(canary: Canary, client: Client) -> None:
        with pytest.raises(NotDelivered) as caught:
            await post(client, canary.url, headers=(header,))
        assert caught.value.permanent
        assert canary.seen == []

    with_canary(work)


def test_ways_to_authenticate() -> None:
    async def work(canary: Canary, client: Client) -> None:
        await post(client, canary.url, basic=("u", "p"))
        await post(client, canary.url, authorization="Bearer token")
        await post(client, canary.url.replace("//", "//u:p@"))
        await post(client, canary.url)
        assert [seen[2].get("Authorization") for seen in canary.seen] == [
            "Basic dTpw",
            "Bearer token",
            "Basic dTpw",
            None,
        ]

    with_canary(work)


def test_one_timeout_covers_a_dripping_answer() -> None:
    async def work(canary: Canary, client: Client) -> None:
        async def drip(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.02)

        canary.answer = drip
        with pytest.raises(NotDelivered, match="did not answer in") as caught:
            await post(client, canary.url, timeout_s=0.3)
        assert not caught.value.permanent

    with_canary(work)


def test_an_endless_answer_is_cut() -> None:
    async def work(canary: Canary, client: Client) -> None:
        async def flood(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(2000):
                await response.write(b"x" * 65536)
            return response

        canary.answer = flood
        reply = await post(client, canary.url, answer_bytes_max=1000)
        assert len(reply.body) == 1000

    with_canary(work)


def test_a_refused_connection_may_pass() -> None:
    async def work(canary: Canary, client: Client) -> None:
        await canary.stop()
        with pytest.raises(NotDelivered, match="cannot reach") as caught:
            await post(client, canary.url)
        assert not caught.value.permanent

    with_canary(work)


def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    async def whole() -> None:
        canary, client = Canary(), Client("watchkeeper/test", lookup)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = _self_signed()
        context.load_cert_chain(certificate)
        await canary.start(context)
        try:
            with pytest.raises(NotDelivered):
                await post(client, canary.url)
            pem = Path(certificate).read_text().split("-----BEGIN PRIVATE KEY-----")[0]
            assert (await post(client, canary.url, tls=TlsOptions(ca_pem=pem))).status == 200
            assert (await post(client, canary.url, tls=TlsOptions(insecure_skip_verify=True))).status == 200
            named = TlsOptions(ca_pem=pem, server_name="other.example")
            with pytest.raises(NotDelivered):
                await post(client, canary.url, tls=named)
            with pytest.raises(NotDelivered, match="tls_config") as caught:
                await post(client, canary.url, tls=TlsOptions(ca_pem="nonsense"))
            assert caught.value.permanent
        finally:
            await client.close()
            await canary.stop()

    asyncio.run(asyncio.wait_for(whole(), 20))


def _self_signed() -> str:
    folder = Path(tempfile.mkdtemp())
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1"
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key"), "-out", str(folder / "cert")]
    try:
        subprocess.run([*command.split(), *files], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    both = folder / "both.pem"
    both.write_text((folder / "cert").read_text() + (folder / "key").read_text())
    return str(both)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "::1", "192.168.1.1", "8.8.8.8", "2001:db8::1", "name"])
def test_other_addresses_are_allowed(address: str) -> None:
    assert not forbidden(address)
