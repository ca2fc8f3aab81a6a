import asyncio
import zlib
from typing import Any

import pytest
import zstandard
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from tests.net.judges.asgi import Client
from tests.net.judges.hostile import check_headers

from watchkeeper.model.errors import BadInput, OverLimit, Refused
from watchkeeper.net.answers import Fault, json_answer
from watchkeeper.net.app import build_app
from watchkeeper.net.auditing import AuditEntry, remark
from watchkeeper.net.auth import Credentials, Denial, Kind, OpenDoor
from watchkeeper.net.routing import ADMIN, EDIT, OPEN, READ, Access, Call, Handler, Identity, Role, Route
from watchkeeper.net.settings import NetSettings


class Guest:
    """Lets a cookie "good" in as an editor, and everybody else as nobody."""

    async def identify(self, credentials: Credentials) -> Identity | Denial:
        if credentials.secret == "good":
            return Identity("ed", Role.EDITOR)
        if credentials.kind is Kind.NONE:
            return Identity("anonymous")
        return Denial(401, "Unauthorized", "credentials", who="ed")


class Book:
    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    async def record(self, entry: AuditEntry) -> None:
        self.entries.append(entry)


async def _show(call: Call) -> Response:
    content = {"method": call.method, "path": dict(call.path), "params": call.params, "body": call.body.decode()}
    return json_answer({**content, "address": call.address, "who": call.who.name})


def _client(
    *routes: Route, settings: NetSettings | None = None, book: Book | None = None, headers: Any = None
) -> Client:
    app = build_app(routes, Guest(), settings or NetSettings(), audit=book)
    return Client(app, headers)


def _open(handler: Handler, path: str = "/x", methods: tuple[str, ...] = ("GET", "POST"), **more: Any) -> Route:
    return Route(path, methods, handler, OPEN, "", **more)


def test_form_fields_come_before_the_query_as_in_go() -> None:
    client = _client(_open(_show))
    form, kind = b"query=up&match[]=a&x=%2B", "application/x-www-form-urlencoded"
    answer = client.call("POST", "/x?query=down&match[]=b&empty=", body=form, content_type=kind).json()
    assert answer["params"] == [
        ["query", "up"], ["match[]", "a"], ["x", "+"], ["query", "down"], ["match[]", "b"], ["empty", ""],
    ]  # fmt: skip
    assert answer["body"] == ""


def test_parameters_that_are_no_utf8_or_too_many_are_refused() -> None:
    client = _client(_open(_show), settings=NetSettings(form_fields_max=10))
    assert client.call("GET", "/x?a=%ff").status == 400
    assert client.call("GET", "/x?" + "a=1&" * 11).status == 400


def test_head_is_get_without_its_body() -> None:
    client = _client(_open(_show))
    got, head = client.call("GET", "/x"), client.call("HEAD", "/x")
    assert head.status == 200 and head.body == b""
    assert abs(int(head.headers["content-length"]) - len(got.body)) <= 1


def test_other_methods_are_told_which_there_are() -> None:
    client = _client(_open(_show))
    refused, asked = client.call("DELETE", "/x"), client.call("OPTIONS", "/x")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    assert (asked.status, asked.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")


def test_a_foreign_host_is_answered_421() -> None:
    client = _client(_open(_show), settings=NetSettings(allowed_hosts=("watch.example.org",)))
    for host in ("localhost", "127.0.0.1:9090", "[::1]:9090", "watch.example.org", "WATCH.example.org:443"):
        assert client.call("GET", "/x", host=host).status == 200, host
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[::2]", "10.0.0.1"):
        assert client.call("GET", "/x", host=host).status == 421, host


def test_two_hosts_or_none_are_refused() -> None:
    client = _client(_open(_show))
    for raw in ([], [(b"host", b"localhost"), (b"host", b"localhost")]):
        assert asyncio.run(client.send("GET", b"/x", raw, [b""])).status == 400


def test_a_listener_for_all_takes_any_host_unless_told() -> None:
    client = _client(_open(_show), settings=NetSettings(listen="0.0.0.0:9090"))
    assert client.call("GET", "/x", host="anything.example").status == 200


CROSS = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "x-wk-csrf": "1"},
    {"sec-fetch-site": ""},
    {"origin": "https://evil.example", "x-wk-csrf": "1"},
    {"origin": "null", "x-wk-csrf": "1"},
    {"origin": "http://localhost:9090.evil.example", "x-wk-csrf": "1"},
    {"origin": "https://localhost:9090", "x-wk-csrf": "1"},
    {"origin": "http://localhost", "x-wk-csrf": "1"},
    {"sec-fetch-site": "same-origin"},
    {"origin": "http://localhost:9090"},
    {"sec-fetch-site": "same-origin", "x-wk-csrf": "0"},
    {},
    {"content-type": "text/plain"},
]


@pytest.mark.parametrize("headers", CROSS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_another_site_changes_nothing(method: str, headers: dict[str, str]) -> None:
    touched = []

    async def touch(call: Call) -> Response:
        touched.append(call)
        return json_answer({})

    client = _client(_open_for(EDIT, touch, (method,)), headers={"cookie": "wk_session=good", **headers})
    assert client.call(method, "/x").status == 403 and not touched


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin", "x-wk-csrf": "1"},
        {"origin": "http://localhost:9090", "x-wk-csrf": "1"},
        {"x-wk-csrf": "1"},
        {"sec-fetch-site": "same-origin", "x-wk-csrf": "1", "origin": "https://behind.a.proxy"},
    ],
)
def test_our_own_page_may_change(headers: dict[str, str]) -> None:
    client = _client(_open_for(EDIT, _show), headers={"cookie": "other=1; wk_session=good", **headers})
    assert client.call("POST", "/x").status == 200


_PAGE = "https://grafana.example"


def _shared(*routes: Route, **headers: str) -> Client:
    return _client(*routes, settings=NetSettings(cors_origin=r"https?://grafana\.example"), headers=headers)


def test_no_other_sites_page_may_read_answers_unless_told() -> None:
    answer = _client(_open(_show)).call("GET", "/x", origin=_PAGE)
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_pages_of_a_chosen_origin_may_read_answers() -> None:
    for method in ("GET", "OPTIONS", "POST"):
        answer = _shared(_open(_show)).call(method, "/x", origin=_PAGE, sec_fetch_site="cross-site")
        assert answer.status == (204 if method == "OPTIONS" else 200)
        assert answer.headers["access-control-allow-origin"] == _PAGE
        assert answer.headers["access-control-allow-methods"] == "GET, POST, OPTIONS"
        assert "Authorization" in answer.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in answer.headers
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    refused = _shared(_open(_show)).call("GET", "/nowhere", origin=_PAGE)
    assert refused.headers["access-control-allow-origin"] == _PAGE  # the page may read why


@pytest.mark.parametrize("origin", ["https://grafana.example.evil", "https://evil/https://grafana.example", "null"])
def test_pages_of_other_origins_still_may_not(origin: str) -> None:
    client = _shared(_open(_show))
    answer = client.call("GET", "/x", origin=origin)
    assert "access-control-allow-origin" not in answer.headers
    assert "Origin" in answer.headers["vary"]
    assert client.call("POST", "/x", origin=origin).status == 403


def test_a_chosen_origin_does_not_act_for_who_is_signed_in() -> None:
    client = _shared(_open_for(EDIT, _show), cookie="wk_session=good")
    assert client.call("POST", "/x", origin=_PAGE, sec_fetch_site="cross-site", x_wk_csrf="1").status == 403


def test_without_auth_another_site_still_changes_nothing() -> None:
    app = build_app([_open_for(ADMIN, _show)], OpenDoor("127.0.0.1:9090"), NetSettings())
    assert Client(app).call("POST", "/x").status == 200
    assert Client(app).call("POST", "/x", origin="https://evil.example").status == 403
    assert Client(app).call("POST", "/x", sec_fetch_site="cross-site").status == 403


def test_no_auth_is_for_loopback_only() -> None:
    for listen in ("0.0.0.0:9090", ":9090", "[::]:9090", "192.168.1.1:1", "example.org:80"):
        with pytest.raises(BadInput, match="loopback"):
            OpenDoor(listen)
    for listen in ("127.0.0.1:9090", "[::1]:9090", "localhost:0", "127.8.8.8:1"):
        OpenDoor(listen)


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (BadInput("cannot do it"), 400, "cannot do it"),
        (OverLimit("samples_max", 3, 2), 422, "samples_max: got 3, want at most 2"),
        (Refused("not now", retry_after_s=7), 503, "not now"),
        (Fault(409, "taken"), 409, "taken"),
        (Fault(302, "x", headers={"location": "//evil.example"}), 500, "header"),
    ],
)
def test_errors_become_answers(error: Exception, status: int, text: str) -> None:
    async def fail(_call: Call) -> Response:
        raise error

    answer = _client(_open(fail)).call("GET", "/x")
    assert answer.status == status and text in answer.json()["message"]
    check_headers(answer)
    assert answer.headers.get("retry-after") == ("7" if status == 503 else None)


def test_a_bug_is_a_number_for_the_caller_and_a_traceback_for_the_log() -> None:
    async def fail(_call: Call) -> Response:
        raise ZeroDivisionError("a secret")

    answer = _client(_open(fail)).call("GET", "/x")
    assert answer.status == 500 and b"internal error" in answer.body
    assert b"secret" not in answer.body and b"ZeroDivision" not in answer.body
    check_headers(answer)


def test_a_route_gives_its_errors_their_shape() -> None:
    def shaped(status: int, text: str) -> Response:
        return PlainTextResponse(f"{status}!{text}", status)

    client = _client(Route("/x", ("GET",), _show, READ, "", error=shaped))
    assert client.call("GET", "/x").body == b"401!Unauthorized"
    assert client.call("PUT", "/x").body.startswith(b"405!")


@pytest.mark.parametrize("name", ["set-cookie", "x-thing", "location", "content-disposition"])
@pytest.mark.parametrize("value", ["/a\r\nset-cookie: stolen=1", "/a\nb", "/a\rb", "/a\0b"])
def test_no_header_breaks_out_of_its_line(name: str, value: str) -> None:
    async def reflect(_call: Call) -> Response:
        response = Response()
        response.raw_headers.append((name.encode(), value.encode()))
        return response

    answer = _client(_open(reflect)).call("GET", "/x")
    assert answer.status == 500 and b"stolen" not in answer.body
    check_headers(answer)


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "evil"])
def test_no_answer_sends_a_caller_elsewhere(target: str) -> None:
    async def go(_call: Call) -> Response:
        return Response(status_code=302, headers={"location": target})

    assert _client(_open(go)).call("GET", "/x").status == 500


@pytest.mark.parametrize("offer", ["gzip", "gzip, deflate, br, zstd", "zstd;q=0, gzip", "identity", "", "gzip;q=0"])
def test_long_answers_are_packed_when_the_caller_takes_it(offer: str) -> None:
    async def long(_call: Call) -> Response:
        return json_answer({"x": "y" * 5000})

    answer = _client(_open(long)).call("GET", "/x", accept_encoding=offer)
    coding = answer.headers.get("content-encoding", "")
    assert coding == {"gzip": "gzip", "zstd;q=0, gzip": "gzip"}.get(offer, "zstd" if "zstd" in offer else "")
    plain = {"": bytes, "gzip": lambda body: zlib.decompress(body, 31), "zstd": zstandard.decompress}[coding](
        answer.body
    )
    assert len(plain) == 5008 and int(answer.headers["content-length"]) == len(answer.body)
    assert answer.headers["vary"] == "Accept-Encoding"
    check_headers(answer)


def test_streams_carry_the_headers_too() -> None:
    async def stream(_call: Call) -> Response:
        async def pieces() -> Any:
            yield b"a"
            yield b"b"

        return StreamingResponse(pieces())

    answer = _client(_open(stream)).call("GET", "/x")
    assert answer.body == b"ab"
    check_headers(answer)


def test_https_marks_cookies_and_sends_hsts() -> None:
    async def cookie(_call: Call) -> Response:
        return json_answer({}, headers={"set-cookie": "wk_session=t; HttpOnly"})

    plain = _client(_open(cookie)).call("GET", "/x")
    secure = _client(_open(cookie), settings=NetSettings(external_url="https://localhost/")).call("GET", "/x")
    assert "Secure" not in plain.headers["set-cookie"] and "strict-transport-security" not in plain.headers
    assert secure.headers["set-cookie"].endswith("; Secure") and "strict-transport-security" in secure.headers


def test_the_address_is_believed_from_our_own_proxies_only() -> None:
    behind = NetSettings(trusted_proxies=("127.0.0.0/8", "10.0.0.0/8"))
    for settings, forwarded, want in [
        (NetSettings(), "6.6.6.6", "127.0.0.1"),
        (behind, "6.6.6.6", "6.6.6.6"),
        (behind, "6.6.6.6, 7.7.7.7, 10.1.1.1", "7.7.7.7"),
        (behind, "evil\r\n", "127.0.0.1"),
        (behind, "10.0.0.1", "127.0.0.1"),
    ]:
        got = _client(_open(_show), settings=settings).call("GET", "/x", x_forwarded_for=forwarded)
        assert got.json()["address"] == want, forwarded


def test_a_slow_body_is_cut() -> None:
    client = _client(_open(_show), settings=NetSettings(body_timeout_s=0.05))
    raw = [(b"host", b"localhost"), (b"content-length", b"5")]
    answer = asyncio.run(client.send("POST", b"/x", raw, [b"a"], stall=True))
    assert answer.status == 408 and answer.headers["connection"] == "close"


def test_bodies_share_one_budget() -> None:
    client = _client(_open(_show), settings=NetSettings(bodies_bytes_max=100))
    assert client.call("POST", "/x", body=b"x" * 101).status == 503
    assert client.call("POST", "/x", body=b"x" * 100).status == 200, "what was held is let go"


@pytest.mark.parametrize("length", [b"-1", b"+5", b"0x5", b"5 ", b"9" * 30, b"", "５".encode()])
def test_a_length_that_is_no_number_is_refused(length: bytes) -> None:
    raw = [(b"host", b"localhost"), (b"content-length", length)]
    assert asyncio.run(_client(_open(_show)).send("POST", b"/x", raw, [b"hello"])).status == 400


def test_requests_over_the_limit_wait_outside_but_health_is_told() -> None:
    async def run() -> list[int]:
        gate = asyncio.Event()

        async def wait(_call: Call) -> Response:
            await gate.wait()
            return json_answer({})

        slow = Route("/slow", ("GET",), wait, READ, "")
        settings = NetSettings(requests_max=2)
        client = _client(slow, _open(_show, "/health"), settings=settings, headers={"authorization": "Bearer good"})
        waiting = [asyncio.create_task(client.ask("GET", "/slow")) for _ in range(2)]
        await asyncio.sleep(0)
        statuses = [(await client.ask("GET", "/slow")).status, (await client.ask("GET", "/health")).status]
        gate.set()
        return statuses + [(await task).status for task in waiting]

    assert asyncio.run(run()) == [503, 200, 200, 200]


def test_while_starting_only_open_routes_answer() -> None:
    routes = [_open(_show, "/health"), _open_for(READ, _show, ("GET",))]
    ready = [False]
    client = Client(build_app(routes, OpenDoor("[::1]:1"), NetSettings(), ready=lambda: ready[0]))
    refused = client.call("GET", "/x")
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    check_headers(refused)
    assert client.call("GET", "/health").status == 200
    ready[0] = True
    assert client.call("GET", "/x").status == 200


def test_a_handler_learns_that_the_caller_is_gone() -> None:
    async def run() -> list[bool]:
        seen = []
        left = asyncio.Event()

        async def watch(call: Call) -> Response:
            seen.append(await call.is_gone())
            left.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            seen.append(await call.is_gone())
            return json_answer({})

        app = build_app([_open(watch)], Guest(), NetSettings())
        scope = {"type": "http", "method": "GET", "path": "/x", "raw_path": b"/x", "query_string": b""}

        async def receive() -> dict[str, Any]:
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(_message: Any) -> None:
            pass

        await app({**scope, "headers": [(b"host", b"localhost")], "client": None}, receive, send)
        return seen

    assert asyncio.run(run()) == [False, True]


def test_one_entry_for_each_change_and_each_refusal() -> None:
    async def change(_call: Call) -> Response:
        remark(who="bob", colour="red")
        return json_answer({})

    async def fail(_call: Call) -> Response:
        raise BadInput("no")

    book = Book()
    routes = (
        _open_for(EDIT, change, path="/change/{id}"),
        _open_for(EDIT, fail, path="/fail"),
        _open_for(READ, _show, ("GET", "POST"), path="/query"),
        Route("/agent", ("GET",), _show, READ, "", audited=True),
        _open_for(ADMIN, _show, ("GET",), path="/admin"),
    )
    client = _client(*routes, book=book, headers={"authorization": "Bearer good"})
    for method, path in [("POST", "/change/7"), ("POST", "/fail"), ("POST", "/query"), ("GET", "/query")]:
        client.call(method, path)
    client.call("GET", "/agent")
    client.call("GET", "/admin")
    for path in ("/query", "/agent"):
        client.call("GET", path, authorization="Bearer bad")
    Client(client.app).call("GET", "/query")
    Client(client.app).call("GET", "/agent")
    got = [(entry.who, entry.action, entry.route, entry.status) for entry in book.entries]
    assert got == [
        ("bob", "change", "/change/{id}", 200),
        ("ed", "fail", "/fail", 400),
        ("ed", "_show", "/agent", 200),
        ("ed", "authenticate", "/admin", 403),
        ("ed", "authenticate", "/query", 401),
        ("ed", "_show", "/agent", 401),
        ("anonymous", "_show", "/agent", 401),
    ]
    assert book.entries[0].detail == {"method": "POST", "id": "7", "colour": "red"}


def test_a_lost_audit_entry_does_not_undo_the_answer() -> None:
    class Broken(Book):
        async def record(self, entry: AuditEntry) -> None:
            raise OSError("disk full")

    client = _client(_open_for(EDIT, _show), book=Broken(), headers={"authorization": "Bearer good"})
    assert client.call("POST", "/x").status == 200


def _open_for(access: Access, handler: Handler, methods: tuple[str, ...] = ("POST",), path: str = "/x") -> Route:
    return Route(path, methods, handler, access, "")
