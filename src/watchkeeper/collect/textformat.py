"""The text exposition format 0.0.4 and 1.0.0, the whole grammar; the verdict on any body is Prometheus 3.5's.

source  Prometheus, model/textparse/promlex.l and promparse.go; exposition format page of its documentation
"""

import re

from watchkeeper.collect.number import parse_value
from watchkeeper.collect.sample_text import QUOTED, Body, SeriesCache, read_labels, series_of, shown, to_text
from watchkeeper.model.errors import BadInput
from watchkeeper.model.frame import MetricMetadata

_NAME = rb"[a-zA-Z_:][a-zA-Z0-9_:]*+"
_BLOCK = rb'\{[^}"]*(?:' + QUOTED + rb'[^}"]*)*\}'
_SERIES = re.compile(
    rb"[ \t]*(?P<name>" + _NAME + rb")?[ \t]*(?P<block>" + _BLOCK + rb")?[ \t]*(?P<value>[^{ \t\n]+)"
    rb"[ \t]*(?:(?P<time>[0-9]+)[ \t]*)?\n"
)
_PAIR = re.compile(
    rb"[ \t]*(?:([a-zA-Z_][a-zA-Z0-9_]*)|(" + QUOTED + rb"))[ \t]*(?:=[ \t]*(" + QUOTED + rb")[ \t]*|(?=[,}]))(,?)"
)
_META = re.compile(rb"[ \t]*#[ \t]+(HELP|TYPE)[ \t]+(?:(" + _NAME + rb")|(" + QUOTED + rb"))([^\n]*)\n")
_META_WORD = re.compile(rb"[ \t]*#[ \t]+(?:HELP|TYPE)[ \t]")
_BLANKS = re.compile(rb"[ \t]*")
_HELP_ESCAPE = re.compile(r"\\[\\n]")
_KINDS = {"counter": "counter", "gauge": "gauge", "histogram": "histogram", "summary": "summary", "untyped": "unknown"}


def parse_text(body: bytes, known: SeriesCache) -> Body:
    """Read a body line by line.

    known   label blocks seen before; new ones are added
    raises  BadBody in Prometheus' words: the body as a whole is refused then
    """
    parsed = Body()
    parsed.mark_lines(body)
    with parsed.counting_faults():
        _read_lines(parsed, body + b"\n", known)
    return parsed


def _read_lines(parsed: Body, text: bytes, known: SeriesCache) -> None:
    at, kind, end = 0, "", len(text)
    while at < end:
        found = _SERIES.match(text, at)
        if found is not None and (found["name"] or found["block"]):
            _add_sample(parsed, found, kind, known)
            at = found.end()
            continue
        start = _BLANKS.match(text, at).end()  # type: ignore[union-attr]  # matches the empty text at least
        if text[start : start + 1] == b"\n":
            at = start + 1
        elif text[start : start + 1] == b"\0":
            break  # Prometheus' lexer takes a NUL here for the end of the text
        elif text[start : start + 1] == b"#":
            at, kind = _read_comment(parsed, text, at, kind)
        else:
            raise BadInput(_complaint(text, at))


def _add_sample(parsed: Body, found: re.Match[bytes], kind: str, known: SeriesCache) -> None:
    block, value, time = found.group("block", "value", "time")
    series = series_of(found, kind, known, _PAIR, commas=False)
    parsed.add(series, parse_value(value), None if time is None else _time_ms(time), found.start("value"))
    if time is not None or found.end() - found.end("value") != 1 or (block is not None and b"\n" in block):
        parsed.plain = False


def _read_comment(parsed: Body, text: bytes, at: int, kind: str) -> tuple[int, str]:
    """Take a comment's line; gives where the next begins and the kind of the samples from there on."""
    end = text.index(b"\n", at) + 1
    found = _META.match(text, at)
    if found is None:
        if _META_WORD.match(text, at):
            which = "HELP" if b"HELP" in text[at:end].split(None, 2)[1] else "TYPE"
            raise BadInput(f"expected metric name after {which}, got {shown(text[at:end], 60)}")
        return end, kind
    word, plain, quoted, rest = found.groups()
    family = (plain or quoted[1:-1]).decode(errors="replace")
    said = b"" if rest.strip(b" \t") == b"" else rest[1:]
    old = parsed.metadata.get(family, MetricMetadata("unknown", ""))
    if word == b"TYPE":
        if said.decode(errors="replace") not in _KINDS:
            raise BadInput(f"invalid metric type {shown(said, 60)}")
        kind = _KINDS[said.decode()]
        parsed.metadata[family] = MetricMetadata(kind, old.help)
    else:
        parsed.metadata[family] = MetricMetadata(old.type, _help(said))
    return found.end(), kind


def _help(said: bytes) -> str:
    try:
        text = said.decode()
    except UnicodeDecodeError:
        raise BadInput(f"help text {shown(said)} is not a valid utf8 string") from None
    return _HELP_ESCAPE.sub(lambda found: "\n" if found.group() == "\\n" else "\\", text)


def _time_ms(digits: bytes) -> int:
    number = int(digits[:32])
    if len(digits) > 32 or number >= 1 << 63:
        raise BadInput(f'strconv.ParseInt: parsing "{digits[:40].decode()}": value out of range')
    return number


def _complaint(text: bytes, at: int) -> str:
    """Say what is wrong with a line that is neither sample nor comment."""
    line = text[at : text.find(b"\n", at)]
    name = re.match(rb"[ \t]*(" + _NAME + rb")?", line)
    rest = line[name.end() :].lstrip(b" \t") if name else line
    if name is not None and name[1] is None and not rest.startswith(b"{"):
        return f'expected a valid start token, got {shown(rest, 1)} ("INVALID") while parsing: {shown(line)}'
    if rest.startswith(b"{"):
        block = re.compile(_BLOCK).match(rest)
        if block is None:
            return f'expected label value, got {shown(rest, 20)} ("INVALID") while parsing: {shown(line)}'
        read_labels((name[1] if name else None) or b"", block.group(), _PAIR, commas=False)
        rest = rest[block.end() :].lstrip(b" \t")
    if not rest or rest.startswith(b"{"):
        return f'expected value after metric, got {shown(rest, 20)} ("INVALID") while parsing: {shown(line)}'
    parts = rest.split()
    parse_value(parts[0])
    to_text(line, "line")
    got = shown(b" ".join(parts[1:]), 20)
    return f'expected timestamp or new record, got {got} ("INVALID") while parsing: {shown(line)}'
