"""What Go calls a value: its type's name, whether it is true, its fields and methods, how it is printed.

Python's None, bool, int, float, str, list and dict stand for nil, bool, int, float64, string, []interface {} and
map[string]interface {}. Classes of ours say more by class attributes:

go_type     the type's name in error messages
go_methods  what may be called on it: name → function of the value and the arguments
go_zero     of a mapping: what an absent key gives under missing_key="zero"
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from watchkeeper.model.gotemplate.floats import format_float


class StringMap(dict[str, str]):
    """Go's map[string]string."""

    go_type: ClassVar[str] = "map[string]string"
    go_zero: ClassVar[str] = ""


class SafeText(str):
    """Text that is not escaped when a template that escapes prints it."""

    __slots__ = ()
    go_type: ClassVar[str] = "template.HTML"


@dataclass(frozen=True, slots=True)
class Record:
    """Go's struct: named fields and methods; any other name is an error that names the type."""

    go_type: str
    fields: Mapping[str, Any]
    methods: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


def type_name(value: Any) -> str:
    """Give Go's name of a value's type."""
    named = getattr(value, "go_type", None)
    if named is not None:
        return str(named)
    if value is None:
        return "interface {}"
    for kind, name in _TYPE_NAMES:
        if isinstance(value, kind):
            return name
    return "func" if callable(value) else type(value).__name__


_TYPE_NAMES: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (int, "int"),
    (float, "float64"),
    (str, "string"),
    (Mapping, "map[string]interface {}"),
    (Sequence, "[]interface {}"),
)


def is_true(value: Any) -> bool:
    """Say whether a value counts as true: not nil, zero, false or empty."""
    if value is None or value is False:
        return False
    if isinstance(value, int | float):
        return value != 0
    if isinstance(value, str | Mapping | Sequence):
        return len(value) > 0
    return True


def method(value: Any, name: str) -> Callable[..., Any] | None:
    """Give a value's method, bound; None when it has none of this name."""
    if isinstance(value, Record):
        return value.methods.get(name)
    known: Mapping[str, Callable[..., Any]] = getattr(type(value), "go_methods", {})
    found = known.get(name)
    return None if found is None else lambda *args: found(value, *args)


def show(value: Any, *, nil: str = "<nil>") -> str:
    """Write a value as Go's %v does; texts bare, mappings in key order."""
    if value is None:
        return nil
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return format_float(value)
    if isinstance(value, int):
        return str(value)
    own = method(value, "String")
    if own is not None:
        return str(own())
    if isinstance(value, Record):
        return "{" + " ".join(show(part) for part in value.fields.values()) + "}"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{show(key)}:{show(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, Sequence):
        return "[" + " ".join(show(part) for part in value) + "]"
    return str(value)
