"""http_config against a real proxy's and a real token server's side of the wire."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

import pytest
from yarl import URL

from watchkeeper.model.document import parse
from watchkeeper.model.errors import BadConfigs, NotDelivered
from watchkeeper.net.client import Client, Reply
from watchkeeper.net.http_config import HttpConfig, request_options
from watchkeeper.net.proxy import Proxy, from_environment

Answer = Callable[[str, str], bytes]  # head and body of a request to the whole answer
OK = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"


class Server:
    """Keeps every request's head and body, answers one a connection."""

    def __init__(self, answer: Answer = lambda _head, _body: OK) -> None:
        self.heads: list[str] = []
        self.bodies: list[str] = []
        self._answer = answer

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0)
        body = (await reader.readexactly(length)).decode()
        self.heads.append(head)
        self.bodies.append(body)
        writer.write(self._answer(head, body))
        await writer.drain()
        writer.close()


def config(text: str) -> HttpConfig:
    return parse(text, "x.yml").read_as(HttpConfig)


async def send(client: Client, http: HttpConfig, url: str) -> Reply:
    return await client.send("POST", url, b"x", {}, request_options(http, 5))


def run(work: Callable[[Client], Awaitable[None]]) -> None:
    async def whole() -> None:
        client = Client("test")
        try:
            await asyncio.wait_for(work(client), 20)
        finally:
            await client.close()

    asyncio.run(whole())


def test_a_proxy_is_asked_instead_of_the_host_whose_name_only_it_knows() -> None:
    async def work(client: Client) -> None:
        async with Server() as proxy:
            http = config(f"proxy_url: 'http://me:pass@127.0.0.1:{proxy.port}'")
            assert (await send(client, http, "http://am.only-inside.example:9093/x?y=1")).body == b"ok"
            assert proxy.heads[0].startswith("POST http://am.only-inside.example:9093/x?y=1 HTTP/1.1\r\n")
            assert "Proxy-Authorization: Basic " + base64.b64encode(b"me:pass").decode() in proxy.heads[0]

    run(work)


def test_a_tunnel_is_asked_for_with_the_connect_headers() -> None:
    refusal = b"HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

    async def work(client: Client) -> None:
        async with Server(lambda _head, _body: refusal) as proxy:
            http = config(f"{{proxy_url: '{proxy.url}', proxy_connect_header: {{X-Tunnel: [one]}}}}")
            with pytest.raises(NotDelivered):
                await send(client, http, "https://am.only-inside.example/x")
            assert proxy.heads[0].startswith("CONNECT am.only-inside.example:443 HTTP/1.1\r\n")
            assert "X-Tunnel: one" in proxy.heads[0]

    run(work)


@pytest.mark.parametrize(
    ("no_proxy", "url", "asked"),
    [
        ("example.org", "http://example.org/", False),
        ("example.org", "http://am.example.org/", False),
        ("example.org", "http://notexample.org/", True),
        (".example.org", "http://example.org/", True),
        ("*.example.org", "http://am.example.org/", False),
        ("a.example, am.example:9093", "http://am.example:9093/", False),
        ("am.example:9093", "http://am.example/", True),
        ("10.0.0.0/8", "http://10.1.2.3/", False),
        ("10.0.0.1", "http://10.0.0.2/", True),
        ("*", "https://anything.example/", False),
        ("x", "http://localhost/", False),
        ("x", "http://127.0.0.1/", False),
    ],
)
def test_no_proxy_is_read_as_go_reads_it(no_proxy: str, url: str, *, asked: bool) -> None:
    assert bool(Proxy("http://p:1", "http://p:1", no_proxy).url_for(URL(url))) is asked


def test_the_environment_names_a_proxy_for_each_scheme() -> None:
    proxy = from_environment({"HTTP_PROXY": "p:1", "https_proxy": "http://q:2", "NO_PROXY": "b.example"}, ())
    urls = ("http://a.example/", "https://a.example/", "http://b.example/")
    assert [proxy.url_for(URL(url)) for url in urls] == ["http://p:1", "http://q:2", ""]


def _token(name: str, lasts_s: int) -> bytes:
    body = f'{{"access_token": "{name}", "token_type": "bearer", "expires_in": {lasts_s}}}'
    return f"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


def test_a_token_is_fetched_once_and_again_when_it_ends(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s e\n")

    async def work(client: Client) -> None:
        async with Server() as server, Server(lambda _h, _b: _token(f"t{len(tokens.heads)}", lasts)) as tokens:
            http = config(
                f"oauth2: {{client_id: me, client_secret_file: '{tmp_path}/secret', scopes: [a, b],"
                f" token_url: '{tokens.url}/token', endpoint_params: {{audience: x}}}}"
            )
            lasts = 3600
            for _ in range(2):
                await send(client, http, server.url)
            assert ["Authorization: Bearer t1" in head for head in server.heads] == [True, True]
            assert tokens.bodies == ["audience=x&grant_type=client_credentials&scope=a+b"]
            assert "Authorization: Basic " + base64.b64encode(b"me:s+e").decode() in tokens.heads[0]
            lasts = 5  # less than the ten seconds before its end at which a token is renewed
            (tmp_path / "secret").write_text("other")
            for _ in range(2):
                await send(client, http, server.url)
            assert len(tokens.heads) == 3

    run(work)


def test_a_token_server_without_basic_authentication_gets_the_secret_in_the_form() -> None:
    refusal = b"HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

    async def work(client: Client) -> None:
        def answer(_head: str, body: str) -> bytes:
            return _token("t", 60) if "client_secret=s" in body else refusal

        async with Server() as server, Server(answer) as tokens:
            http = config(f"oauth2: {{client_id: me, client_secret: s, token_url: '{tokens.url}'}}")
            await send(client, http, server.url)
            assert "Authorization: Bearer t\r\n" in server.heads[0]
            bad = config(f"oauth2: {{client_id: me, client_secret: wrong, token_url: '{tokens.url}'}}")
            with pytest.raises(NotDelivered, match="oauth2: cannot fetch token: 401") as refused:
                await send(client, bad, server.url)
            assert refused.value.permanent

    run(work)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("no_proxy: a", "if no_proxy is configured, proxy_url must also be configured"),
        ("{proxy_from_environment: true, proxy_url: 'http://a'}", "proxy_url must not be configured"),
        ("proxy_connect_header: {a: [b]}", "proxy_url or proxy_from_environment must also be configured"),
        ("proxy_url: 'socks5://a:1'", "other kinds of proxies are not supported"),
        ("oauth2: {client_id: a}", "oauth2 token_url must be configured"),
        ("oauth2: {token_url: a}", "oauth2 client_id must be configured"),
        (
            "{basic_auth: {username: a}, oauth2: {client_id: a, token_url: b}}",
            "at most one of basic_auth, oauth2 & authorization must be configured",
        ),
        ("{bearer_token: a, bearer_token_file: b}", "at most one of bearer_token & bearer_token_file"),
        ("{tls_config: {ca: a, ca_file: b}}", "at most one of ca, ca_file & ca_ref must be configured"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_prometheus_words(text: str, want: str) -> None:
    with pytest.raises(BadConfigs, match=want):
        config(text)
