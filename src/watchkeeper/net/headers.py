"""Headers that every response carries, error pages included, and what no header may contain."""

from collections.abc import Iterable, Sequence

from starlette.responses import Response

RawHeaders = list[tuple[bytes, bytes]]

# Scripts, styles and fonts are files of ours; nothing is fetched from elsewhere, nothing may frame us.
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    b"font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_OWN_PAGES_ONLY = (b"cross-origin-resource-policy", b"same-origin")
SECURITY: RawHeaders = [
    (b"content-security-policy", POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    _OWN_PAGES_ONLY,
]
HSTS = (b"strict-transport-security", b"max-age=31536000")
_OURS = frozenset(name for name, _ in SECURITY) | {HSTS[0]}


def protected(
    raw: Iterable[tuple[bytes, bytes]], *, https: bool, sharing: Sequence[tuple[bytes, bytes]] = ()
) -> RawHeaders:
    """Give a response's headers with ours in place of any of the same name.

    sharing  headers that let another site's page read it

    Answers are not stored unless the handler says so; cookies leave as Secure over https.
    """
    headers: RawHeaders = []
    stored = False
    for name, value in raw:
        key = name.lower()
        if key in _OURS:
            continue
        stored = stored or key == b"cache-control"
        headers.append((key, value + b"; Secure" if https and key == b"set-cookie" else value))
    headers += SECURITY
    if https:
        headers.append(HSTS)
    if sharing:
        headers += sharing
        headers.remove(_OWN_PAGES_ONLY)
        headers.append((_OWN_PAGES_ONLY[0], b"cross-origin"))
    if not stored:
        headers.append((b"cache-control", b"no-store"))
    return headers


def is_unsafe(response: Response) -> bool:
    """Say whether a header would break out of its line, or send the caller to another site."""
    for name, value in response.raw_headers:
        if any(mark in value or mark in name for mark in (b"\r", b"\n", b"\0")):
            return True
        if name == b"location" and (not value.startswith(b"/") or value[1:2] in {b"/", b"\\"}):
            return True
    return False
