"""Regular expressions from outside: RE2 only (linear time, Go's syntax), with bounded memory."""

from functools import lru_cache
from typing import Protocol, cast

import re2

from watchkeeper.model.errors import BadInput

_MEMORY_BYTES_MAX = 8 << 20
_LENGTH_MAX = 64 << 10


class Match(Protocol):
    """What a match offers, as in the standard library."""

    def group(self, *groups: int | str) -> str: ...
    def groups(self) -> tuple[str | None, ...]: ...
    def groupdict(self) -> dict[str, str | None]: ...
    def start(self, group: int | str = 0) -> int: ...
    def end(self, group: int | str = 0) -> int: ...


class Pattern(Protocol):
    """What a compiled pattern offers."""

    pattern: str
    groups: int
    groupindex: dict[str, int]

    def search(self, text: str | bytes, pos: int | None = None, endpos: int | None = None) -> Match | None: ...
    def fullmatch(self, text: str | bytes) -> Match | None: ...
    def finditer(self, text: str | bytes) -> list[Match]: ...
    def sub(self, repl: str, text: str) -> str: ...


def compile_pattern(pattern: str) -> Pattern:
    """Compile a user's regular expression, unanchored, `.` not matching newline, as Go does.

    raises  BadInput with RE2's reason; nothing else ever
    """
    if len(pattern) > _LENGTH_MAX:
        raise BadInput(f"cannot compile regular expression: got {len(pattern)} characters, want at most {_LENGTH_MAX}")
    return _compiled(pattern)


def compile_sweep(pattern: str) -> Pattern:
    r"""Compile a user's regular expression to run over many newline-joined lines at once.

    `^` and `$` stand at line borders and nothing in it matches a newline, so each match lies within one line. That
    is what the same expression finds line by line, where no line holds a newline and the expression does not say
    `\A`, `\z` or switch its own flags.

    raises  BadInput with RE2's reason
    """
    compile_pattern(pattern)  # its errors speak of the user's own text
    return _compiled_sweep(pattern)


@lru_cache(maxsize=512)
def _compiled_sweep(pattern: str) -> Pattern:
    options = re2.Options()
    options.max_mem = _MEMORY_BYTES_MAX
    options.log_errors = False
    options.never_nl = True
    return cast("Pattern", re2.compile(f"(?m:{pattern})", options))


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Pattern:
    options = re2.Options()
    options.max_mem = _MEMORY_BYTES_MAX
    options.log_errors = False
    try:
        return cast("Pattern", re2.compile(pattern, options))
    except re2.error as error:
        reason = error.args[0] if error.args else "not valid"
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise BadInput(f"cannot compile regular expression {pattern[:200]!r}: {text}") from None
