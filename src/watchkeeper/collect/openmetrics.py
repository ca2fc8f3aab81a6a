"""OpenMetrics 1.0, the whole grammar; `_created` series are kept.

source  Prometheus, model/textparse/openmetricslex.l and openmetricsparse.go; openmetrics.io, specification 1.0
"""

import math
import re

from watchkeeper.collect.number import parse_value
from watchkeeper.collect.sample_text import (
    QUOTED,
    BadBody,
    Body,
    SeriesCache,
    read_labels,
    series_of,
    shown,
    to_text,
    unescape,
)
from watchkeeper.model.errors import BadInput
from watchkeeper.model.exemplar import Exemplar
from watchkeeper.model.frame import MetricMetadata

_NAME = rb"[a-zA-Z_:][a-zA-Z0-9_:]*+"
_VALUE_TEXT = rb'"(?:\\.|[^\\"\n])*"'
_BLOCK = rb'\{[^}"]*(?:' + QUOTED + rb'[^}"]*)*\}'
_SERIES = re.compile(
    rb"(?P<name>" + _NAME + rb")?(?P<block>" + _BLOCK + rb")? (?P<value>[^ \n]+)"
    rb"(?: (?P<time>(?!# \{)[^ \n]+))?(?P<exemplar> # \{[^\n]*)?\n"
)
_SERIES_START = re.compile(rb"(?:" + _NAME + rb"(?:" + _BLOCK + rb")?|" + _BLOCK + rb") [^ \n]+")
_PAIR = re.compile(rb"(?:([a-zA-Z_][a-zA-Z0-9_]*)|(" + QUOTED + rb"))(?:=(" + _VALUE_TEXT + rb")|(?=[,}]))(,?)")
_META = re.compile(rb"# (HELP|TYPE|UNIT) (?:(" + _NAME + rb")|(" + QUOTED + rb")) ([^\n]*)\n")
_EXEMPLAR_PAIR = rb"(?:[a-zA-Z_][a-zA-Z0-9_]*|" + _VALUE_TEXT + rb")=" + _VALUE_TEXT
_EXEMPLAR = re.compile(
    rb" # \{((?:" + _EXEMPLAR_PAIR + rb"(?:," + _EXEMPLAR_PAIR + rb")*,?)?)\} ([^ \n]+)(?: ([^ \n]+))?"
)
_EXEMPLAR_LABEL = re.compile(rb"([a-zA-Z_][a-zA-Z0-9_]*|" + _VALUE_TEXT + rb")=(" + _VALUE_TEXT + rb"),?")
_KINDS = frozenset({"counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset", "unknown"})
_TIME_MAX = float(1 << 63)


def parse_openmetrics(body: bytes, known: SeriesCache) -> Body:
    """Read a body line by line.

    known   label blocks seen before; new ones are added
    raises  BadBody in Prometheus' words: the body as a whole is refused then; an empty one is none
    """
    parsed = Body()
    parsed.mark_lines(body)
    with parsed.counting_faults():
        _read_lines(parsed, body, known)
    return parsed


def _read_lines(parsed: Body, body: bytes, known: SeriesCache) -> None:
    at, kind, end = 0, "", len(body)
    while at < end:
        found = _SERIES.match(body, at)
        if found is not None and (found["name"] or found["block"]):
            _add_sample(parsed, found, kind, known)
            at = found.end()
        elif body.startswith(b"# EOF", at):
            _check_end(body, at)
            return
        else:
            at, kind = _read_meta(parsed, body, at, kind)
    if end:
        raise BadInput("data does not end with # EOF")


def _check_end(body: bytes, at: int) -> None:
    if body[at:] not in (b"# EOF", b"# EOF\n"):
        raise BadInput("unexpected data after # EOF")


def _add_sample(parsed: Body, found: re.Match[bytes], kind: str, known: SeriesCache) -> None:
    block, value, time = found.group("block", "value", "time")
    series = series_of(found, kind, known, _PAIR, commas=True)
    time_ms = None if time is None else _milliseconds(time, "timestamp")
    number = parse_value(value)
    if found["exemplar"] is not None:
        parsed.exemplars.append((len(parsed.texts), _read_exemplar(found["exemplar"])))
    parsed.add(series, number, time_ms, found.start("value"))
    if time is not None or found["exemplar"] is not None or (block is not None and b"\n" in block):
        parsed.plain = False


def _milliseconds(text: bytes, what: str) -> int:
    seconds = parse_value(text)
    if not math.isfinite(seconds):
        raise BadInput(f"invalid {what} {seconds:f}")
    if abs(seconds * 1000) >= _TIME_MAX:
        raise BadInput(f"invalid {what} {seconds:f}")
    return int(seconds * 1000)


def _read_exemplar(text: bytes) -> Exemplar:
    found = _EXEMPLAR.fullmatch(text)
    if found is None:
        raise BadInput(f"expected an exemplar, got {shown(text)}")
    labels = {}
    for name, value in _EXEMPLAR_LABEL.findall(found[1]):
        plain = to_text(name[1:-1] if name.startswith(b'"') else name, "exemplar label name")
        labels[unescape(plain)] = unescape(to_text(value[1:-1], "exemplar label value"))
    value = parse_value(found[2])
    if found[3] is None:
        return Exemplar(labels, value, 0, timed=False)
    return Exemplar(labels, value, _milliseconds(found[3], "exemplar timestamp"))


def _read_meta(parsed: Body, body: bytes, at: int, kind: str) -> tuple[int, str]:
    """Take a line of metadata; gives where the next begins and the kind of the samples from there on."""
    found = _META.match(body, at)
    if found is None:
        if _SERIES_START.match(body, at):
            count = len(parsed.texts) + 1
            raise BadBody(
                _complaint(body, at), count, count
            )  # Prometheus counts the sample before it sees what follows it
        raise BadInput(_complaint(body, at))
    word, plain, quoted, said = found.groups()
    family = (plain or quoted[1:-1]).decode(errors="replace")
    old = parsed.metadata.get(family, MetricMetadata("unknown", ""))
    if word == b"TYPE":
        kind = said.decode(errors="replace")
        if kind not in _KINDS:
            raise BadInput(f"invalid metric type {shown(said, 60)}")
        parsed.metadata[family] = MetricMetadata(kind, old.help, old.unit)
    elif word == b"UNIT":
        unit = said.decode(errors="replace")
        if unit and not family.endswith("_" + unit):
            raise BadInput(f'unit "{unit[:60]}" not a suffix of metric "{family[:60]}"')
        parsed.metadata[family] = MetricMetadata(old.type, old.help, unit)
    else:
        try:
            parsed.metadata[family] = MetricMetadata(old.type, unescape(said.decode()), old.unit)
        except UnicodeDecodeError:
            raise BadInput(f"help text {shown(said)} is not a valid utf8 string") from None
    return found.end(), kind


def _complaint(body: bytes, at: int) -> str:
    """Say what is wrong with a line that is neither sample nor metadata."""
    end = body.find(b"\n", at)
    line = body[at : end if end >= 0 else len(body)]
    name = re.match(_NAME, line)
    rest = line[name.end() :] if name else line
    if name is None and not rest.startswith(b"{"):
        return f'expected a valid start token, got {shown(rest, 1)} ("INVALID") while parsing: {shown(line)}'
    if rest.startswith(b"{"):
        block = re.match(_BLOCK, rest)
        if block is None:
            return f'expected label value, got {shown(rest, 20)} ("INVALID") while parsing: {shown(line)}'
        read_labels(name.group() if name else b"", block.group(), _PAIR, commas=True)
        rest = rest[block.end() :]
    if end < 0:
        return "data does not end with # EOF"
    return f'expected value after metric, got {shown(rest, 20)} ("INVALID") while parsing: {shown(line)}'
