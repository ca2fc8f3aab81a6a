"""The pipeline part of LogQL's grammar: line filters, parsers, label filters, formats."""

import re

from watchkeeper.model.errors import BadInput
from watchkeeper.model.matchers import Matcher
from watchkeeper.model.pattern import compile_pattern
from watchkeeper.query.logql.lexer import Token, parse_error
from watchkeeper.query.logql.reader import TokenReader
from watchkeeper.query.logql.tree import (
    Decolorize,
    DropLabels,
    JsonParser,
    KeepLabels,
    LabelCompare,
    LabelFilter,
    LabelFormat,
    LabelLogic,
    LineFilter,
    LineFormat,
    LogfmtParser,
    RegexpParser,
    Stage,
)
from watchkeeper.query.logql.units import duration_ns, size_bytes

_STAGES_MAX = 100
_PATH_PART = re.compile(r'\.?([A-Za-z_][\w-]*)|\[(\d{1,9})\]|\["((?:[^"\\]|\\.)*)"\]', re.ASCII)
_TEXT_OPS = frozenset({"=", "!=", "=~", "!~"})
_NUMBER_OPS = frozenset({"=", "==", "!=", ">", ">=", "<", "<="})


def parse_pipeline(reader: TokenReader) -> tuple[Stage, ...]:
    """Read stages until something else, or an unwrap, follows."""
    stages: list[Stage] = []
    while reader.at_pipeline():
        if reader.at("|") and reader.peek(1).text == "unwrap":
            break
        stages.append(_line_filter(reader) if not reader.at("|") else _stage(reader))
        if len(stages) > _STAGES_MAX:
            raise parse_error(reader.text, f"query has too many stages, want at most {_STAGES_MAX}")
    return tuple(stages)


def parse_unwrap_filters(reader: TokenReader) -> tuple[LabelFilter, ...]:
    """Read the label filters that may follow an unwrap."""
    filters: list[LabelFilter] = []
    while reader.at("|"):
        reader.take()
        filters.append(_label_filter(reader))
    return tuple(filters)


def _line_filter(reader: TokenReader) -> LineFilter:
    op = reader.take()
    if op.kind in ("|>", "!>"):
        raise parse_error(reader.text, "pattern line filters are not supported by watchkeeper yet", op.place)
    alternatives = [_line_pattern(reader, op)]
    while reader.take_word("or"):
        alternatives.append(_line_pattern(reader, op))
    return LineFilter(op.kind, tuple(alternatives))  # type: ignore[arg-type]


def _line_pattern(reader: TokenReader, op: Token) -> str:
    if reader.at_word("ip"):
        raise parse_error(reader.text, "ip() filters are not supported by watchkeeper yet", reader.peek().place)
    token = reader.expect("STRING", "STRING or ip")
    if op.kind in ("|~", "!~"):
        _check_pattern(reader, token)
    return token.text


def _stage(reader: TokenReader) -> Stage:
    bar = reader.take()
    word = reader.peek()
    following = reader.peek(1).kind
    if word.kind == "(" or (word.kind == "IDENTIFIER" and following in _TEXT_OPS | _NUMBER_OPS):
        return _label_filter(reader)
    if word.kind != "IDENTIFIER":
        raise reader.unexpected()
    reader.take()
    match word.text:
        case "json":
            return JsonParser(tuple((name, _path(reader, text)) for name, text in _extractions(reader)))
        case "logfmt":
            flags = _flags(reader)
            fields = tuple((name, text.text if text else name) for name, text in _extractions(reader))
            return LogfmtParser(fields, "--strict" in flags, "--keep-empty" in flags)
        case "regexp":
            return _regexp(reader)
        case "line_format":
            return LineFormat(reader.expect("STRING").text)
        case "label_format":
            return _label_format(reader)
        case "drop":
            return DropLabels(*_names_and_matchers(reader))
        case "keep":
            return KeepLabels(*_names_and_matchers(reader))
        case "decolorize":
            return Decolorize()
        case "pattern" | "unpack":
            raise parse_error(reader.text, f"| {word.text} is not supported by watchkeeper yet", bar.place)
        case _:
            raise reader.unexpected(word)


def _regexp(reader: TokenReader) -> RegexpParser:
    token = reader.expect("STRING")
    _check_pattern(reader, token)
    if not compile_pattern(token.text).groupindex:
        raise parse_error(reader.text, "at least one named capture must be supplied", token.place)
    return RegexpParser(token.text)


def _check_pattern(reader: TokenReader, token: Token) -> None:
    try:
        compile_pattern(token.text)
    except BadInput as error:
        raise parse_error(reader.text, str(error), token.place) from error


def _flags(reader: TokenReader) -> set[str]:
    flags = set()
    while reader.at("FLAG"):
        token = reader.take()
        if token.text not in ("--strict", "--keep-empty"):
            raise reader.unexpected(token)
        flags.add(token.text)
    return flags


def _extractions(reader: TokenReader) -> list[tuple[str, Token | None]]:
    """Read `a="x", b` after a parser; nothing at all is possible, too."""
    found: list[tuple[str, Token | None]] = []
    while reader.at("IDENTIFIER"):
        name = reader.take().text
        text = None
        if reader.at("="):
            reader.take()
            text = reader.expect("STRING")
        found.append((name, text))
        if not reader.at(","):
            break
        reader.take()
    return found


def _path(reader: TokenReader, text: Token | None) -> tuple[str | int, ...]:
    if text is None:
        raise reader.unexpected(expecting="=")
    path: list[str | int] = []
    place = 0
    while place < len(text.text):
        part = _PATH_PART.match(text.text, place)
        if part is None:
            raise parse_error(reader.text, f"cannot parse expression [{text.text}]: syntax error", text.place)
        name, index, quoted = part.groups()
        path.append(int(index) if index else name or quoted.replace('\\"', '"').replace("\\\\", "\\"))
        place = part.end()
    return tuple(path)


def _label_filter(reader: TokenReader) -> LabelFilter:
    left = _label_and(reader)
    while reader.at_word("or"):
        reader.take_operator()
        left = LabelLogic("or", left, _label_and(reader))
    return left


def _label_and(reader: TokenReader) -> LabelFilter:
    left = _label_term(reader)
    while True:
        if reader.at_word("and") or reader.at(","):
            reader.take_operator()
        elif not (reader.at("IDENTIFIER") and reader.peek(1).kind in _TEXT_OPS | _NUMBER_OPS):
            return left
        left = LabelLogic("and", left, _label_term(reader))


def _label_term(reader: TokenReader) -> LabelFilter:
    if reader.at("("):
        reader.take()
        with reader.deeper():
            inner = _label_filter(reader)
        reader.expect(")")
        return inner
    name = reader.expect("IDENTIFIER")
    return _comparison(reader, name.text)


def _comparison(reader: TokenReader, name: str) -> LabelCompare:
    op = reader.take()
    if op.kind not in _TEXT_OPS | _NUMBER_OPS:
        raise reader.unexpected(op)
    value = reader.take()
    if value.kind == "STRING" and op.kind in _TEXT_OPS:
        if op.kind in ("=~", "!~"):
            _check_pattern(reader, value)
        return LabelCompare(name, op.kind, text=value.text)  # type: ignore[arg-type]
    if value.kind == "IDENTIFIER" and value.text == "ip" and op.kind in ("=", "!="):
        raise parse_error(reader.text, "ip() filters are not supported by watchkeeper yet", value.place)
    if op.kind in _NUMBER_OPS:
        return _number_comparison(reader, name, op, value)
    raise reader.unexpected(value, "STRING")


def _number_comparison(reader: TokenReader, name: str, op: Token, value: Token) -> LabelCompare:
    sign = 1.0
    if value.kind in ("-", "+"):
        sign = -1.0 if value.kind == "-" else 1.0
        value = reader.take()
    kind = "==" if op.kind == "=" else op.kind
    if value.kind == "NUMBER":
        return LabelCompare(name, kind, number=sign * float(value.text), unit="")  # type: ignore[arg-type]
    if value.kind == "DURATION":
        seconds = (duration_ns(value.text) or 0) / 1e9
        return LabelCompare(name, kind, number=sign * seconds, unit="duration")  # type: ignore[arg-type]
    if value.kind == "BYTES":
        return LabelCompare(name, kind, number=size_bytes(value.text) or 0.0, unit="bytes")  # type: ignore[arg-type]
    raise reader.unexpected(value, "BYTES or NUMBER or DURATION")


def _label_format(reader: TokenReader) -> LabelFormat:
    renames = []
    while True:
        name = reader.expect("IDENTIFIER").text
        reader.expect("=")
        source = reader.take()
        if source.kind not in ("IDENTIFIER", "STRING"):
            raise reader.unexpected(source, "IDENTIFIER or STRING")
        renames.append((name, source.text, source.kind == "STRING"))
        if not reader.at(","):
            return LabelFormat(tuple(renames))
        reader.take()


def _names_and_matchers(reader: TokenReader) -> tuple[tuple[str, ...], tuple[Matcher, ...]]:
    names: list[str] = []
    matchers: list[Matcher] = []
    while True:
        name = reader.expect("IDENTIFIER").text
        if reader.peek().kind in _TEXT_OPS:
            op, value = reader.take(), reader.expect("STRING")
            try:
                matchers.append(Matcher(name, op.kind, value.text))  # type: ignore[arg-type]
            except BadInput as error:
                raise parse_error(reader.text, str(error), value.place) from error
        else:
            names.append(name)
        if not reader.at(","):
            return tuple(names), tuple(matchers)
        reader.take()
