"""The built web UI over HTTP: static files that never change under their name, and one page for every path of the app.

    /assets/<name>-<hash>.<type>   for a year, immutable
    /, /d/<uid>, /explore, …       index.html, asked for anew each time (ETag)

The build leaves a `.gz` beside every file. Only that copy is kept in memory; a client that takes no gzip gets it
unpacked.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import PlainTextResponse, Response

from watchkeeper.net.routing import OPEN, Call, Route

STATIC = Path(__file__).parent / "static"

# Paths that the UI's own router knows; anything else is nobody's and stays a 404.
APP_PATHS = (
    "/",
    "/login",
    "/dashboards",
    "/d/{uid}",
    "/d/{uid}/{slug}",
    "/explore",
    "/graph",  # links in alerts are Prometheus': /graph?g0.expr=…
    "/alerts",
    "/silences",
    "/targets",
    "/logs",
    "/account",
)

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}

# Scripts and styles are files of ours; nothing is fetched from elsewhere, nothing may frame us.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {"x-content-type-options": "nosniff", "referrer-policy": "same-origin", "vary": "Accept-Encoding"}
_NOT_BUILT = "The web UI is not built. In a clone, `make setup` builds it; a released wheel contains it.\n"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the build, packed."""

    packed: bytes
    media_type: str
    etag: str

    def answer(self, call: Call, headers: Mapping[str, str]) -> Response:
        """Give the file as the caller takes it, or 304 when the caller has it."""
        all_headers = {**_HEADERS, **headers, "etag": self.etag}
        if self.etag in call.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=all_headers)
        if "gzip" in call.headers.get("accept-encoding", ""):
            all_headers["content-encoding"] = "gzip"
            return Response(self.packed, media_type=self.media_type, headers=all_headers)
        return Response(gzip.decompress(self.packed), media_type=self.media_type, headers=all_headers)


def load(root: Path) -> dict[str, Asset]:
    """Read the build into memory.

    returns  packed files by path below root; empty when nothing is built
    """
    assets: dict[str, Asset] = {}
    for file in sorted(root.rglob("*")):
        media_type = _TYPES.get(file.suffix)
        if media_type is None or not file.is_file():
            continue
        beside = file.with_name(file.name + ".gz")
        packed = beside.read_bytes() if beside.is_file() else gzip.compress(file.read_bytes(), mtime=0)
        etag = f'"{hashlib.sha256(packed).hexdigest()[:20]}"'
        assets[file.relative_to(root).as_posix()] = Asset(packed, media_type, etag)
    return assets


def routes(root: Path = STATIC) -> list[Route]:
    """Make the routes of the web UI; all are open, because the sign-in page must come before signing in.

    root  where `npm run build` wrote; the default is inside the package
    """
    assets = load(root)

    async def page(call: Call) -> Response:
        index = assets.get("index.html")
        if index is None:
            return PlainTextResponse(_NOT_BUILT, 503)
        return index.answer(call, {"cache-control": "no-cache", "content-security-policy": POLICY})

    async def asset(call: Call) -> Response:
        found = assets.get(f"assets/{call.path['name']}")
        if found is None:
            return PlainTextResponse("404 page not found\n", 404)
        return found.answer(call, {"cache-control": "public, max-age=31536000, immutable"})

    async def licences(call: Call) -> Response:
        found = assets.get("licences.txt")
        return found.answer(call, {"cache-control": "no-cache"}) if found else PlainTextResponse(_NOT_BUILT, 503)

    pages = [Route(path, ("GET",), page, OPEN, "The web UI") for path in APP_PATHS]
    return [
        *pages,
        Route("/assets/{name}", ("GET",), asset, OPEN, "A file of the web UI"),
        Route("/licences.txt", ("GET",), licences, OPEN, "Licences of the libraries in the web UI"),
    ]
