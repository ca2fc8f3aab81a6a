"""Promtail's pipeline stages: fields out of a line, then time, labels and output from the fields.

source  Promtail docs, Stages
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from watchkeeper.collect.logs.moments import Moment, any_moment, moment_reader, rfc3339_ns
from watchkeeper.model.errors import BadInput
from watchkeeper.model.matchers import Matcher, match_all
from watchkeeper.model.metrics import counter
from watchkeeper.model.pattern import compile_pattern

_FAILED = counter("watchkeeper_log_stage_failures", "Lines that a stage could not read; they are kept.", ("stage",))

_DOTTED = re.compile(r'(?:[A-Za-z_@][\w-]*|"[^"\\]+")(?:\.(?:[A-Za-z_@][\w-]*|"[^"\\]+"))*', re.ASCII)
_PATH_STEP = re.compile(r'[A-Za-z_@][\w-]*|"[^"\\]+"', re.ASCII)
_CRI = re.compile(rb"(\S+) (stdout|stderr) ([FP])(?::\S*)? ?")
_LOGFMT = re.compile(r'([^\s="]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))')
_SELECTOR = re.compile(r'\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*("(?:[^"\\\n]|\\.)*"|`[^`]*`)\s*(?:,|(?=\}))', re.ASCII)
_FILTER = re.compile(r'\s*(\|=|\|~|!=|!~)\s*("(?:[^"\\\n]|\\.)*"|`[^`]*`)\s*')

LEVELS = {
    "trace": "trace", "trc": "trace", "debug": "debug", "dbg": "debug", "info": "info", "inf": "info",
    "information": "info", "informational": "info", "notice": "info", "warn": "warn", "warning": "warn", "wrn": "warn",
    "error": "error", "err": "error", "eror": "error", "critical": "critical", "crit": "critical", "fatal": "fatal",
    "panic": "fatal", "emergency": "fatal", "alert": "critical",
}  # fmt: skip
_LEVEL_KEYS = ("level", "severity", "lvl", "log_level", "loglevel", "levelname", "severity_text")
_TIME_KEYS = ("timestamp", "time", "ts", "@timestamp")


@dataclass(slots=True)
class Entry:
    """A line on its way through the stages.

    time_ns  None: the time it was read
    """

    line: bytes
    labels: dict[str, str]
    time_ns: int | None = None
    extracted: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


Stage = Callable[[Entry], bool]  # False drops the line


def compile_stages(stages: Sequence[Mapping[str, Any]] | None) -> Stage:
    """Make stages ready; None stands for what JSON lines tell by themselves.

    raises  BadInput naming the stage: got what, want what
    """
    if stages is None:
        return _by_itself
    ready = [_stage(stage, f"pipeline_stages[{at}]") for at, stage in enumerate(stages)]

    def run(entry: Entry) -> bool:
        return all(stage(entry) for stage in ready)

    return run


def joins_partial_lines(stages: Sequence[Mapping[str, Any]] | None) -> bool:
    """Say whether the runtime's own splitting of long lines is to be undone (a leading cri stage)."""
    return stages is not None and len(stages) > 0 and "cri" in stages[0]


def is_partial(line: bytes) -> bool:
    """Say whether a line of the CRI format goes on in the next."""
    found = _CRI.match(line)
    return found is not None and found[3] == b"P"


def joined_partials(lines: Sequence[bytes]) -> bytes:
    """Put the parts of a split CRI line together, under the last part's head."""
    heads = [_CRI.match(line) for line in lines]
    texts = [line[head.end() :] if head else line for line, head in zip(lines, heads, strict=True)]
    last = heads[-1]
    return (lines[-1][: last.end()] if last else b"") + b"".join(texts)


def _stage(stage: object, where: str) -> Stage:
    if not isinstance(stage, Mapping) or len(stage) != 1:
        raise BadInput(f"{where}: got {str(stage)[:80]}, want one stage, such as json: {{expressions: …}}")
    name, content = next(iter(stage.items()))
    make = _STAGES.get(name)
    if make is None:
        raise BadInput(f"{where}: got unknown stage {name!r}, want one of {', '.join(sorted(_STAGES))}")
    if content is not None and not isinstance(content, Mapping):
        raise BadInput(f"{where}.{name}: got {str(content)[:80]!r}, want a mapping")
    return make(content or {}, f"{where}.{name}")


# -- what JSON lines tell by themselves


def _by_itself(entry: Entry) -> bool:
    if not entry.line.startswith(b"{"):
        return True
    try:
        content = orjson.loads(entry.line)
    except orjson.JSONDecodeError:
        return True
    for key in _LEVEL_KEYS:
        level = content.get(key)
        if level.__class__ is str:
            known = LEVELS.get(level.lower())
            if known:
                entry.labels["level"] = known
            break
    for key in _TIME_KEYS:
        moment = content.get(key)
        if moment is not None:
            entry.time_ns = any_moment(moment if moment.__class__ is str else str(moment))
            break
    return True


# -- stages that read fields


def _docker(content: Mapping[str, Any], where: str) -> Stage:
    _only(content, where)

    def run(entry: Entry) -> bool:
        fields = _json_object(entry.line, "docker")
        if fields is None or not isinstance(fields.get("log"), str):
            return True
        entry.line = fields["log"].removesuffix("\n").removesuffix("\r").encode(errors="replace")
        _set_label(entry, "stream", fields.get("stream"))
        if isinstance(fields.get("time"), str):
            entry.time_ns = rfc3339_ns(fields["time"])
        return True

    return run


def _cri(content: Mapping[str, Any], where: str) -> Stage:
    _only(content, where, "max_partial_lines", "max_partial_line_size", "max_partial_line_size_truncate")

    def run(entry: Entry) -> bool:
        found = _CRI.match(entry.line)
        if found is None:
            _FAILED.labels("cri").inc()
            return True
        entry.line = entry.line[found.end() :]
        _set_label(entry, "stream", found[2].decode())
        entry.time_ns = rfc3339_ns(found[1].decode(errors="replace"))
        return True

    return run


def _json(content: Mapping[str, Any], where: str) -> Stage:
    _only(content, where, "expressions", "source", "drop_malformed")
    drops = str(content.get("drop_malformed", "")).lower() == "true"
    source = content.get("source")
    paths: dict[str, list[str]] = {}
    for name, expression in _mapping(content.get("expressions"), f"{where}.expressions").items():
        text = str(expression) if expression else name
        if not _DOTTED.fullmatch(text):
            raise BadInput(f"{where}.expressions.{name}: got {text!r}, want a path such as log.level")
        paths[name] = [step.strip('"') for step in _PATH_STEP.findall(text)]

    def run(entry: Entry) -> bool:
        fields = _json_object(_source(entry, source), "json")
        if fields is None:
            return not drops
        for name, path in paths.items():
            value: Any = fields
            for step in path:
                value = value.get(step) if isinstance(value, dict) else None
            if value is not None:
                entry.extracted[name] = value
        return True

    return run


def _regex(content: Mapping[str, Any], where: str) -> Stage:
    _only(content, where, "expression", "source")
    pattern = compile_pattern(_text(content, "expression", where))
    names = dict(pattern.groupindex)
    if not names:
        raise BadInput(f"{where}.expression: got no named group, want at least one (?P<name>…)")
    source = content.get("source")

    def run(entry: Entry) -> bool:
        found = pattern.search(_source(entry, source))
        if found is not None:
            for name, group in names.items():
                value: Any = found.group(group)
                entry.extracted[name] = "" if value is None else value.decode(errors="replace")
        return True

    return run


def _logfmt(content: Mapping[str, Any], where: str) -> Stage:
    _only(content, where, "mapping", "source")
    mapping = {key or name: name for name, key in _mapping(content.get("mapping"), f"{where}.mapping").items()}
    source = content.get("source")

    def run(entry: Entry) -> bool:
        for key, quoted, plain in _LOGFMT.findall(_source(entry, source).decode(errors="replace")):
            if key in mapping:
                entry.extracted[mapping[key]] = quoted.replace('\\"', '"') or plain
        return True

    return run


# -- stages that use fields


def _timestamp(content: Mapping[str, Any], where: str) -> Stage:
    _only(content, where, "source", "format", "location", "fallback_formats", "action_on_failure")
    source, location = _text(content, "source", where), str(content.get("location") or "")
    layouts = [_text(content, "format", where), *map(str, content.get("fallback_formats") or ())]
    try:
        readers: list[Moment] = [moment_reader(layout, location) for layout in layouts]
    except BadInput as error:
        raise BadInput(f"{where}.format: {error}") from error

    def run(entry: Entry) -> bool:
        value = entry.extracted.get(source)
        if value is None:
            return True
        text = value if isinstance(value, str) else str(value)
        for reader in readers:
            found = reader(text)
            if found is not None:
                entry.time_ns = found
                return True
        _FAILED.labels("timestamp").inc()
        return True

    return run


def _labels(content: Mapping[str, Any], where: str) -> Stage:
    del where
    sources = {name: str(source or name) for name, source in content.items()}

    def run(entry: Entry) -> bool:
        for name, source in sources.items():
            _set_label(entry, name, entry.extracted.get(source))
        return True

    return run


def _structured_metadata(content: Mapping[str, Any], where: str) -> Stage:
    del where
    sources = {name: str(source or name) for name, source in content.items()}

    def run(entry: Entry) -> bool:
        for name, source in sources.items():
            value = entry.extracted.get(source)
            if value is not None:
                entry.metadata[name] = _written(value)
        return True

    return run


def _static_labels(content: Mapping[str, Any], where: str) -> Stage:
    del where

    def run(entry: Entry) -> bool:
        for name, value in content.items():
            _set_label(entry, name, value)
        return True

    return run


def _output(content: Mapping[str, Any], where: str) -> Stage:
    _only(content, where, "source")
    source = _text(content, "source", where)

    def run(entry: Entry) -> bool:
        value = entry.extracted.get(source)
        if value is not None:
            entry.line = _written(value).encode(errors="replace")
        return True

    return run


def _match(content: Mapping[str, Any], where: str) -> Stage:
    _only(content, where, "selector", "stages", "action", "drop_counter_reason", "pipeline_name")
    matchers, filters = _selector(_text(content, "selector", where), where)
    drops = content.get("action") == "drop"
    inner = [_stage(stage, f"{where}.stages[{at}]") for at, stage in enumerate(content.get("stages") or ())]

    def run(entry: Entry) -> bool:
        if not match_all(matchers, entry.labels) or not all(test(entry.line) for test in filters):
            return True
        return not drops and all(stage(entry) for stage in inner)

    return run


def _drop(content: Mapping[str, Any], where: str) -> Stage:
    _only(content, where, "source", "expression", "value", "longer_than", "drop_counter_reason")
    pattern = compile_pattern(str(content["expression"])) if content.get("expression") else None
    value, source = content.get("value"), content.get("source")
    longer = content.get("longer_than")
    if longer is not None and not str(longer).isdigit():
        raise BadInput(f"{where}.longer_than: got {longer!r}, want a number of bytes")

    def run(entry: Entry) -> bool:
        text = _source(entry, source)
        tests = [source is None or str(source) in entry.extracted]
        if pattern is not None:
            tests.append(pattern.search(text) is not None)
        if value is not None:
            tests.append(text == str(value).encode())
        if longer is not None:
            tests.append(len(entry.line) > int(longer))
        return not all(tests)

    return run


_STAGES: dict[str, Callable[[Mapping[str, Any], str], Stage]] = {
    "docker": _docker,
    "cri": _cri,
    "json": _json,
    "regex": _regex,
    "logfmt": _logfmt,
    "timestamp": _timestamp,
    "labels": _labels,
    "structured_metadata": _structured_metadata,
    "static_labels": _static_labels,
    "output": _output,
    "match": _match,
    "drop": _drop,
}


def _selector(text: str, where: str) -> tuple[list[Matcher], list[Callable[[bytes], bool]]]:
    """Read {app="x"} |= "text", which is all of LogQL that match stages commonly use."""
    matchers, place = [], text.find("{") + 1
    while (found := _SELECTOR.match(text, place)) is not None:
        matchers.append(Matcher(found[1], found[2], _unquoted(found[3])))  # type: ignore[arg-type]
        place = found.end()
    if not text.startswith("{") or text[place : place + 1] != "}":
        raise BadInput(f'{where}.selector: got {text!r}, want a selector such as {{app="api"}}')
    place += 1
    filters: list[Callable[[bytes], bool]] = []
    while (found := _FILTER.match(text, place)) is not None:
        filters.append(_line_test(found[1], _unquoted(found[2])))
        place = found.end()
    if text[place:].strip():
        raise BadInput(f"{where}.selector: got {text[place:].strip()!r}, want line filters (|= != |~ !~) alone")
    return matchers, filters


def _line_test(op: str, text: str) -> Callable[[bytes], bool]:
    wanted = op.startswith("|")
    if op in ("|=", "!="):
        needle = text.encode()
        return lambda line: (needle in line) == wanted
    pattern = compile_pattern(text)
    return lambda line: (pattern.search(line) is not None) == wanted


def _unquoted(quoted: str) -> str:
    if quoted[0] == "`":
        return quoted[1:-1]
    try:
        return str(orjson.loads(quoted))
    except orjson.JSONDecodeError:
        return quoted[1:-1]


def _json_object(text: bytes, stage: str) -> dict[str, Any] | None:
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        _FAILED.labels(stage).inc()
        return None
    return fields


def _source(entry: Entry, source: object) -> bytes:
    if not source:
        return entry.line
    return _written(entry.extracted.get(str(source), "")).encode(errors="replace")


def _set_label(entry: Entry, name: str, value: object) -> None:
    if value is not None and value != "":
        entry.labels[name] = _written(value)


def _written(value: object) -> str:
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _text(content: Mapping[str, Any], name: str, where: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not value:
        raise BadInput(f"{where}.{name}: got {value!r}, want text")
    return value


def _mapping(content: object, where: str) -> Mapping[str, Any]:
    if not isinstance(content, Mapping) or not content:
        raise BadInput(f"{where}: got {content!r}, want a mapping of names")
    return content


def _only(content: Mapping[str, Any], where: str, *known: str) -> None:
    for name in content:
        if name not in known:
            raise BadInput(f"{where}.{name}: got an unknown field, want {', '.join(known) or 'none'}")
