"""One reading of a request's path: decoded once, then the same text is routed, authorised and handed on.

Everything that two readers could read differently is refused instead of mended.
"""

import re

from watchkeeper.net.answers import Fault

_PLAIN = re.compile(rb"[A-Za-z0-9/_.~@:!$&'()*+,=\-]*")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LENGTH_MAX = 4096


def read_path(raw: bytes) -> str:
    """Decode a raw path once.

    raises  Fault 400 for dot segments, empty segments, encoded slashes, backslashes, `;`, control characters,
            doubled encoding, text that is no UTF-8, and paths over 4,096 bytes
    """
    if len(raw) > _LENGTH_MAX:
        raise _bad(f"{len(raw)} bytes", f"at most {_LENGTH_MAX}")
    if not raw.startswith(b"/"):
        raise _bad("no leading slash", "an absolute path")
    path = raw.decode("ascii") if _PLAIN.fullmatch(raw) else _decoded(raw)
    if "//" in path:
        raise _bad("an empty segment", "one slash between segments")
    if "." in path and any(segment.endswith(".") for segment in path.split("/")):
        raise _bad("a segment that ends with a dot", "plain segments")
    return path


def _decoded(raw: bytes) -> str:
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        raise _bad("raw bytes beyond ASCII", "percent-encoding") from None
    if _BROKEN_ESCAPE.search(text):
        raise _bad("a broken percent-encoding", "%XX")
    try:
        path = _ESCAPE.sub(lambda match: chr(int(match[0][1:], 16)), text).encode("latin-1").decode()
    except UnicodeDecodeError:
        raise _bad("an encoding that is no UTF-8", "UTF-8") from None
    if path.count("/") != text.count("/"):
        raise _bad("an encoded slash", "none")
    if _ESCAPE.search(path):
        raise _bad("a doubled encoding", "one")
    if any(mark in path for mark in "\\;?#") or not path.isprintable():
        raise _bad("a backslash, `;`, `?`, `#` or control character", "none")
    return path


def _bad(got: str, want: str) -> Fault:
    return Fault(400, f"cannot read path: got {got}, want {want}", "path")
