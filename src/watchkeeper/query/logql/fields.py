"""Labels out of lines: json, logfmt, regexp, each for one line at a time."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from watchkeeper.model.pattern import compile_pattern
from watchkeeper.query.logql.tree import JsonParser, LogfmtParser, RegexpParser

ERROR = "__error__"
DETAILS = "__error_details__"
Found = Iterable[tuple[str, str]]
Extract = Callable[[bytes], Found]

_UNFIT = re.compile(r"[^A-Za-z0-9_]")
_PAIR = re.compile(rb'\s*([^\s="]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*)(?=\s|$)))?(?=\s|$)|\s*(\S+)')
_DEPTH_MAX = 100
_NAMES_MAX = 20_000
_names: dict[str, str] = {}


class NotParsed(Exception):
    """A line that its parser cannot read: Loki's name of the error, and details."""

    def __init__(self, name: str, details: str) -> None:
        super().__init__(details)
        self.name, self.details = name, details


def label_name(key: str) -> str:
    """Make a field's key a label name, as Loki does."""
    name = _names.get(key)
    if name is None:
        name = _UNFIT.sub("_", key.strip())
        if name[:1].isdigit():
            name = "_" + name
        if len(_names) < _NAMES_MAX:
            _names[key] = name
    return name


def json_fields(stage: JsonParser, wanted: frozenset[str] | None) -> Extract:
    """Make the function that reads a JSON line; with `wanted`, only fields that become one of these labels."""
    if stage.fields:
        return lambda line: _by_path(stage.fields, _object(line))
    if wanted is None:
        return lambda line: _flattened(_object(line), "", 0)
    wanted -= {ERROR, DETAILS}
    if any("_" in name for name in wanted):
        return lambda line: _chosen(_object(line), wanted)
    names = tuple(wanted)  # each can only be a key of the line's own, spelt the same
    return lambda line: _named(_object(line), names)


def logfmt_fields(stage: LogfmtParser) -> Extract:
    """Make the function that reads a logfmt line."""
    if not stage.fields:
        return lambda line: _logfmt(line, stage)
    names: dict[str, list[str]] = {}
    for name, key in stage.fields:
        names.setdefault(key, []).append(name)

    def chosen(line: bytes) -> Found:
        for key, value in _logfmt(line, stage):
            for name in names.get(key, ()):
                yield name, value

    return chosen


def regexp_fields(stage: RegexpParser) -> Extract:
    """Make the function that reads a line by the named groups of an expression."""
    pattern = compile_pattern(stage.pattern)
    groups = dict(pattern.groupindex)

    def chosen(line: bytes) -> Found:
        found = pattern.search(line)
        if found is not None:
            for name, group in groups.items():
                value: Any = found.group(group)
                if value:
                    yield name, value.decode(errors="replace")

    return chosen


def _object(line: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise NotParsed("JSONParserErr", str(error)) from None
    if not isinstance(content, dict):
        raise NotParsed("JSONParserErr", "Value looks like object, but can't find closing '}' symbol")
    return content


def _flattened(content: dict[str, Any], prefix: str, depth: int) -> Found:
    for key, value in content.items():
        name = prefix + "_" + (label_name("_" + key)[1:] if key else "") if prefix else label_name(key)
        if type(value) is str:
            if value:
                yield name, value
        elif type(value) is dict:
            if depth < _DEPTH_MAX:
                yield from _flattened(value, name, depth + 1)
        elif value is not None and type(value) is not list:
            yield name, _scalar(value)


def _chosen(content: dict[str, Any], wanted: frozenset[str]) -> Found:
    for key, value in content.items():
        name = _names.get(key) or label_name(key)
        if type(value) is dict:
            yield from _flattened(value, name, 1)
        elif name in wanted and value is not None and value != "" and type(value) is not list:
            yield name, value if type(value) is str else _scalar(value)


def _named(content: dict[str, Any], names: tuple[str, ...]) -> list[tuple[str, str]]:
    found = []
    for name in names:
        value = content.get(name)
        if value.__class__ is str:
            if value:
                found.append((name, value))
        elif value is not None and value.__class__ not in (dict, list):
            found.append((name, _scalar(value)))
    return found


def _by_path(fields: tuple[tuple[str, tuple[str | int, ...]], ...], content: dict[str, Any]) -> Found:
    for name, path in fields:
        value: Any = content
        for step in path:
            if isinstance(step, int):
                value = value[step] if isinstance(value, list) and step < len(value) else None
            else:
                value = value.get(step) if isinstance(value, dict) else None
        if isinstance(value, dict | list):
            yield name, orjson.dumps(value).decode()
        elif value is not None and value != "":
            yield name, value if isinstance(value, str) else _scalar(value)


def _scalar(value: object) -> str:
    if value is True:
        return "true"
    if value is False:
        return "false"
    return str(value)


def _logfmt(line: bytes, stage: LogfmtParser) -> Found:
    for found in _PAIR.finditer(line):
        key, quoted, plain, unfit = found.groups()
        if unfit is not None:
            if stage.strict:
                raise NotParsed("LogfmtParserErr", f"logfmt syntax error at pos {found.start() + 1}")
            continue
        value = _unquoted(quoted) if quoted is not None else (plain or b"").decode(errors="replace")
        if value or stage.keep_empty:
            yield label_name(key.decode(errors="replace")), value


def _unquoted(quoted: bytes) -> str:
    if b"\\" not in quoted:
        return quoted.decode(errors="replace")
    try:
        return str(orjson.loads(b'"' + quoted + b'"'))
    except orjson.JSONDecodeError:
        return quoted.decode(errors="replace")
