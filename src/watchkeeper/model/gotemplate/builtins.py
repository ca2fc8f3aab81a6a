"""The functions every Go template has, and how functions declare what they take."""

import html as html_module
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from watchkeeper.model.errors import BadInput
from watchkeeper.model.gotemplate.printf import sprint, sprintf
from watchkeeper.model.gotemplate.values import is_true, show, type_name

Kinds = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """What a template may call.

    call      raises BadInput: the template fails with "error calling <name>: <text>"
    takes     a kind for each argument: any, string, int, float64, bool; or the go_type of a class
    variadic  the kind of any further arguments; None when there may be none
    """

    call: Callable[..., Any]
    takes: Kinds = ()
    variadic: str | None = None


def as_function(call: Callable[..., Any] | Function) -> Function:
    """Make a function of a plain callable: as many arguments as it has positional parameters, of any kind."""
    if isinstance(call, Function):
        return call
    parameters = inspect.signature(call).parameters.values()
    plain = [parameter for parameter in parameters if parameter.kind is not parameter.VAR_POSITIONAL]
    return Function(call, ("any",) * len(plain), "any" if len(plain) < len(parameters) else None)


def _basic_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "string"
    raise BadInput("invalid type for comparison")


def _equal(first: Any, *others: Any) -> bool:
    if not others:
        raise BadInput("missing argument for comparison")
    return any(_equals(first, other) for other in others)


def _equals(first: Any, second: Any) -> bool:
    if first is None or second is None:
        return first is second
    if _comparable_kind(first) != _comparable_kind(second):
        raise _incompatible(first, second)
    return bool(first == second)


def _incompatible(first: Any, second: Any) -> BadInput:
    return BadInput(f"incompatible types for comparison: {type_name(first)} and {type_name(second)}")


def _comparable_kind(value: Any) -> str:
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str):
        raise BadInput(f"non-comparable type {show(value)}: {type_name(value)}")
    return _basic_kind(value)


def _not_equal(first: Any, second: Any) -> bool:
    return not _equals(first, second)


def _less(first: Any, second: Any) -> bool:
    kind = _basic_kind(first)
    if kind != _basic_kind(second):
        raise _incompatible(first, second)
    if kind == "bool":
        raise BadInput("invalid type for comparison")
    return bool(first < second)


def _less_or_equal(first: Any, second: Any) -> bool:
    return _less(first, second) or _equals(first, second)


def _greater(first: Any, second: Any) -> bool:
    return not _less_or_equal(first, second)


def _greater_or_equal(first: Any, second: Any) -> bool:
    return not _less(first, second)


def _length(value: Any) -> int:
    if value is None:
        raise BadInput("len of nil pointer")
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping | Sequence):
        return len(value)
    raise BadInput(f"len of type {type_name(value)}")


def _index(value: Any, *indexes: Any) -> Any:
    if value is None and indexes:
        raise BadInput("index of untyped nil")
    for index in indexes:
        value = _at(value, index)
    return value


def _at(value: Any, index: Any) -> Any:
    if isinstance(value, Mapping):
        if index is not None and not isinstance(index, str):
            raise BadInput(f"value has type {type_name(index)}; should be string")
        return value.get(index, getattr(value, "go_zero", None))
    if isinstance(value, str):
        return value.encode()[_position(index, len(value.encode()))]
    if isinstance(value, Sequence):
        return value[_position(index, len(value))]
    raise BadInput("index of nil pointer" if value is None else f"can't index item of type {type_name(value)}")


def _position(index: Any, length: int, *, end: bool = False) -> int:
    if not isinstance(index, int) or isinstance(index, bool):
        named = "nil" if index is None else f"type {type_name(index)}"
        raise BadInput(f"cannot index slice/array with {named}")
    if not 0 <= index < length + end:
        raise BadInput(f"index out of range: {index}")
    return index


def _slice(value: Any, *indexes: Any) -> Any:
    if not isinstance(value, Sequence):
        raise BadInput("slice of untyped nil" if value is None else f"can't slice item of type {type_name(value)}")
    if len(indexes) > 3 or (len(indexes) == 3 and isinstance(value, str)):
        raise BadInput(
            "cannot 3-index slice a string" if isinstance(value, str) else f"too many slice indexes: {len(indexes)}"
        )
    whole = value.encode() if isinstance(value, str) else value
    bounds = [_position(index, len(whole), end=True) for index in indexes]
    start = bounds[0] if bounds else 0
    stop = bounds[1] if len(bounds) > 1 else len(whole)
    if start > stop:
        raise BadInput(f"invalid slice index: {start} > {stop}")
    part = whole[start:stop]
    return part.decode(errors="replace") if isinstance(part, bytes) else part


def _call(function: Any, *args: Any) -> Any:
    if function is None:
        raise BadInput("call of nil")
    if not callable(function):
        raise BadInput(f"non-function {show(function)} of type {type_name(function)}")
    return function(*args)


def _joined(values: Sequence[Any]) -> str:
    return str(values[0]) if len(values) == 1 and isinstance(values[0], str) else sprint(values)


def escape_html(text: str) -> str:
    """Escape text as Go's html function does."""
    return html_module.escape(text).replace("&quot;", "&#34;").replace("&#x27;", "&#39;").replace("\0", "\ufffd")


_JS_ESCAPES = {
    ord(character): escape
    for character, escape in {
        "\\": r"\\",
        "'": r"\'",
        '"': r"\"",
        "<": r"\u003C",
        ">": r"\u003E",
        "&": r"\u0026",
        "=": r"\u003D",
    }.items()
} | {code: f"\\u{code:04X}" for code in (*range(0x20), 0x2028, 0x2029)}


def _js(*values: Any) -> str:
    return _joined(values).translate(_JS_ESCAPES)


def _println(*values: Any) -> str:
    return " ".join(show(value) for value in values) + "\n"


# `and` and `or` are here for their names and arity: execution evaluates their arguments one by one.
BUILTINS: dict[str, Function] = {
    "and": Function(
        lambda first, *rest: next((arg for arg in (first, *rest) if not is_true(arg)), (first, *rest)[-1]),
        ("any",),
        "any",
    ),
    "or": Function(
        lambda first, *rest: next((arg for arg in (first, *rest) if is_true(arg)), (first, *rest)[-1]), ("any",), "any"
    ),
    "not": Function(lambda value: not is_true(value), ("any",)),
    "eq": Function(_equal, ("any",), "any"),
    "ne": Function(_not_equal, ("any", "any")),
    "lt": Function(_less, ("any", "any")),
    "le": Function(_less_or_equal, ("any", "any")),
    "gt": Function(_greater, ("any", "any")),
    "ge": Function(_greater_or_equal, ("any", "any")),
    "len": Function(_length, ("any",)),
    "index": Function(_index, ("any",), "any"),
    "slice": Function(_slice, ("any",), "any"),
    "print": Function(lambda *values: sprint(values), (), "any"),
    "printf": Function(lambda form, *values: sprintf(form, values), ("string",), "any"),
    "println": Function(_println, (), "any"),
    "html": Function(lambda *values: escape_html(_joined(values)), (), "any"),
    "js": Function(_js, (), "any"),
    "urlquery": Function(lambda *values: quote_plus(_joined(values), safe="~"), (), "any"),
    "call": Function(_call, ("any",), "any"),
}
