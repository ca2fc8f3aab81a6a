import asyncio
import gzip
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response

from watchkeeper.net.routing import ANONYMOUS, Call, Route
from watchkeeper.show.serving import routes


def build(root: Path) -> list[Route]:
    (root / "assets").mkdir()
    (root / "index.html").write_text("<!doctype html><title>w</title>")
    (root / "assets" / "index-abc.js").write_text("let a = 1;")
    (root / "assets" / "index-abc.js.gz").write_bytes(gzip.compress(b"let a = 1;"))
    (root / ".done").touch()
    return routes(root)


def ask(found: list[Route], path: str, values: dict[str, str] | None = None, **headers: str) -> Response:
    async def is_gone() -> bool:
        return False

    route = next(each for each in found if each.path == path)
    sent = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    call = Call("GET", path, values or {}, [], sent, b"", ANONYMOUS, "127.0.0.1", is_gone)
    return asyncio.run(route.handler(call))  # type: ignore[arg-type]


def test_app_paths_give_the_page_with_a_policy_and_without_caching(tmp_path: Path) -> None:
    found = build(tmp_path)
    for path in ("/", "/d/{uid}", "/explore", "/login"):
        answer = ask(found, path)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-cache"
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert bytes(answer.body).startswith(b"<!doctype html>")


def test_assets_are_immutable_and_packed_for_those_who_take_gzip(tmp_path: Path) -> None:
    found = build(tmp_path)
    packed = ask(found, "/assets/{name}", {"name": "index-abc.js"}, accept_encoding="gzip, br")
    assert packed.headers["content-encoding"] == "gzip"
    assert "immutable" in packed.headers["cache-control"]
    assert gzip.decompress(bytes(packed.body)) == b"let a = 1;"
    plain = ask(found, "/assets/{name}", {"name": "index-abc.js"})
    assert "content-encoding" not in plain.headers
    assert bytes(plain.body) == b"let a = 1;"
    assert plain.headers["content-type"].startswith("text/javascript")


def test_a_client_that_has_the_page_gets_304(tmp_path: Path) -> None:
    found = build(tmp_path)
    etag = ask(found, "/").headers["etag"]
    assert ask(found, "/", if_none_match=etag).status_code == 304


def test_only_files_of_the_build_are_served(tmp_path: Path) -> None:
    found = build(tmp_path)
    for name in ("../index.html", "nothing.js", ".done", "../.done"):
        assert ask(found, "/assets/{name}", {"name": name}).status_code == 404


def test_without_a_build_the_page_says_how_to_get_one(tmp_path: Path) -> None:
    answer = ask(routes(tmp_path), "/")
    assert answer.status_code == 503
    assert b"make setup" in bytes(answer.body)


def test_every_route_is_open() -> None:
    assert all(route.access.open for route in routes())
