"""Functions on texts that Prometheus and Alertmanager both give their templates."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from watchkeeper.model.errors import BadInput
from watchkeeper.model.pattern import Match, compile_pattern

_LENGTH_MAX = 1 << 20
_WORD = re.compile(r"\w+(?:['.:’]\w+)*")
_LETTER = re.compile(r"[^\W\d_]")
_REFERENCE = re.compile(rb"\$(?:\$|(\w+)|\{(\w+)\})")


def replace_all(pattern: str, replacement: str, text: str) -> str:
    """Put a replacement for every match of a pattern.

    raises  BadInput for a bad pattern, or when the result grows too long
    """
    data, wanted = text.encode(), replacement.encode()  # RE2 counts places in texts anew for each match, not in bytes
    out: list[bytes] = []
    length = at = 0
    for found in compile_pattern(pattern).finditer(data):
        for piece in chain((data[at : found.start()],), _expanded(wanted, found)):
            out.append(piece)
            length += len(piece)
            if length > _LENGTH_MAX:  # before it is joined: a long text may come between any two characters
                raise BadInput(f"exceeded maximum of {_LENGTH_MAX} bytes")
        at = found.end()
    return (b"".join(out) + data[at:]).decode(errors="replace")


def _expanded(replacement: bytes, found: Match) -> Iterator[bytes]:
    """Give a replacement in pieces, groups put in: $1, ${1}, $name; $$ is a dollar; what is no group is nothing."""
    at = 0
    for reference in _REFERENCE.finditer(replacement):
        yield replacement[at : reference.start()]
        yield _group((reference.group(1) or reference.group(2) or b"").decode(), found)
        at = reference.end()
    yield replacement[at:]


def _group(name: str, found: Any) -> bytes:
    if not name:
        return b"$"
    if name.isdigit():
        number = int(name[:6])
        return (found.group(number) or b"") if number <= len(found.groups()) else b""
    return found.groupdict().get(name) or b""


def title(text: str) -> str:
    """Put each word's first letter in capitals; a word goes on over an apostrophe, a dot or a colon."""
    return _WORD.sub(lambda word: _LETTER.sub(lambda letter: letter.group().upper(), word.group(), count=1), text)


def matches(pattern: str, text: str) -> bool:
    """Say whether a pattern matches somewhere in a text.

    raises  BadInput for a bad pattern
    """
    return compile_pattern(pattern).search(text) is not None
