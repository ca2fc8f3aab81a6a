"""Relabelling: rules that rewrite, keep or drop label sets, compiled once.

source  Prometheus docs, Configuration, relabel_config; model/relabel
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import field_validator, model_validator

from watchkeeper.model.document import Settings, setting
from watchkeeper.model.errors import BadInput
from watchkeeper.model.labels import Labels
from watchkeeper.model.pattern import Match, Pattern, compile_pattern

Action = Literal[
    "replace",
    "keep",
    "drop",
    "keepequal",
    "dropequal",
    "hashmod",
    "labelmap",
    "labeldrop",
    "labelkeep",
    "lowercase",
    "uppercase",
]
_TARGETED = frozenset({"replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal"})
_REGEX, _REPLACEMENT, _SEPARATOR = "(.*)", "$1", ";"
_VARIABLE = re.compile(r"\$(?:\$|([A-Za-z0-9_]+)|\{([A-Za-z0-9_]+)\})")
_LABELS_OUT_MAX = 2000

Step = Callable[[dict[str, str]], bool]


class RelabelConfig(Settings):
    """One relabelling rule, with Prometheus' names, defaults and checks."""

    source_labels: tuple[str, ...] | None = setting(None, "Labels whose values are joined and matched.")
    separator: str = setting(_SEPARATOR, "What stands between the joined values.")
    target_label: str = setting("", "The label that is set.")
    regex: str = setting(_REGEX, "Matched against the joined values, anchored at both ends.")
    modulus: int = setting(0, "What the hash of the joined values is divided by.", ge=0, lt=1 << 64)
    replacement: str = setting(_REPLACEMENT, "The new value; $1 and ${name} stand for the groups of the regex.")
    action: Action = setting("replace", "What is done on a match.")

    @field_validator("action", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("separator", "replacement", "target_label", "regex", mode="before")
    @classmethod
    def _null_is_empty(cls, value: Any) -> Any:
        return "" if value is None else value

    @field_validator("regex")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            anchored(value)
        except BadInput as error:
            raise ValueError(str(error)) from None
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        fault = _fault(self)
        if fault:
            raise ValueError(fault)
        return self


def _fault(rule: RelabelConfig) -> str:
    action, target = rule.action, rule.target_label
    if action == "hashmod" and rule.modulus == 0:
        return "relabel configuration for hashmod requires non-zero modulus"
    if action in _TARGETED and not target:
        return f"relabel configuration for {action} action requires 'target_label' value"
    if action in ("lowercase", "uppercase") and rule.replacement != _REPLACEMENT:
        return f"'replacement' can not be set for {action} action"
    if action == "labelmap" and not rule.replacement:
        return f"{rule.replacement!r} is invalid 'replacement' for labelmap action"
    plain = rule.separator == _SEPARATOR and rule.replacement == _REPLACEMENT and not rule.modulus
    if action in ("keepequal", "dropequal") and not (plain and rule.regex == _REGEX):
        return f"{action} action requires only 'source_labels' and `target_label`, and no other fields"
    if action in ("labeldrop", "labelkeep") and not (plain and not target and rule.source_labels is None):
        return f"{action} action requires only 'regex', and no other fields"
    return ""


def anchored(regex: str) -> Pattern:
    """Compile a rule's regex: anchored, `.` matching newlines.

    raises  BadInput with RE2's reason
    """
    compile_pattern(regex)  # first alone, so that `)(` cannot climb out of the group around it
    return compile_pattern(f"^(?s:{regex})$")


@dataclass(frozen=True, slots=True)
class Relabel:
    """A list of rules, compiled."""

    steps: tuple[Step, ...]

    @classmethod
    def of(cls, rules: Sequence[RelabelConfig]) -> "Relabel":
        """Compile rules."""
        return cls(tuple(_step(rule) for rule in rules))

    def __bool__(self) -> bool:
        return bool(self.steps)

    def apply(self, labels: Labels) -> dict[str, str] | None:
        """Give the labels after all rules, empty ones left out; None when a rule dropped them."""
        work = {name: value for name, value in labels.items() if value}
        for step in self.steps:
            if not step(work):
                return None
        return work


def _step(rule: RelabelConfig) -> Step:
    pattern = anchored(rule.regex)
    sources = rule.source_labels or ()

    def joined(labels: Mapping[str, str]) -> str:
        return rule.separator.join([labels.get(name, "") for name in sources])

    match rule.action:
        case "keep" | "drop":
            return _keep_or_drop(joined, pattern, keep=rule.action == "keep")
        case "keepequal" | "dropequal":
            wanted = rule.action == "keepequal"
            return lambda labels: (labels.get(rule.target_label, "") == joined(labels)) is wanted
        case "replace":
            return _replace(rule, joined, pattern)
        case "lowercase":
            return lambda labels: _set(labels, rule.target_label, joined(labels).lower())
        case "uppercase":
            return lambda labels: _set(labels, rule.target_label, joined(labels).upper())
        case "hashmod":
            return lambda labels: _set(labels, rule.target_label, str(_hash(joined(labels)) % rule.modulus))
        case "labelmap":
            return _label_map(rule.replacement, pattern)
        case _:
            return _filter_names(pattern, drop=rule.action == "labeldrop")


def _keep_or_drop(joined: Callable[[Mapping[str, str]], str], pattern: Pattern, *, keep: bool) -> Step:
    return lambda labels: (pattern.search(joined(labels)) is not None) is keep


def _replace(rule: RelabelConfig, joined: Callable[[Mapping[str, str]], str], pattern: Pattern) -> Step:
    target, replacement = _Template(rule.target_label, pattern), _Template(rule.replacement, pattern)

    def step(labels: dict[str, str]) -> bool:
        found = pattern.search(joined(labels))
        if found is None:
            return True
        name = target.expand(found)
        return _set(labels, name, replacement.expand(found)) if name else True

    return step


def _label_map(replacement: str, pattern: Pattern) -> Step:
    template = _Template(replacement, pattern)

    def step(labels: dict[str, str]) -> bool:
        for name, value in sorted(labels.items()):
            found = pattern.search(name)
            if found is not None and len(labels) < _LABELS_OUT_MAX:
                _set(labels, template.expand(found), value)
        return True

    return step


def _filter_names(pattern: Pattern, *, drop: bool) -> Step:
    def step(labels: dict[str, str]) -> bool:
        for name in list(labels):
            if (pattern.search(name) is not None) is drop:
                del labels[name]
        return True

    return step


def _set(labels: dict[str, str], name: str, value: str) -> bool:
    if value:
        labels[name] = value
    else:
        labels.pop(name, None)
    return True


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[8:], "big")


class _Template:
    """`$1`, `$name`, `${name}`, `$$` as Go's Regexp.Expand reads them; what names no group is empty."""

    __slots__ = ("_parts",)

    def __init__(self, text: str, pattern: Pattern) -> None:
        parts: list[str | int] = []
        at = 0
        for found in _VARIABLE.finditer(text):
            parts.append(text[at : found.start()])
            at = found.end()
            parts.append("$" if found.group() == "$$" else _group(found[1] or found[2], pattern))
        self._parts = [part for part in [*parts, text[at:]] if part != ""]

    def expand(self, found: Match) -> str:
        """Fill in a match's groups."""
        return "".join([part if isinstance(part, str) else found.group(part) or "" for part in self._parts])


def _group(name: str, pattern: Pattern) -> int | str:
    if name.isdecimal() and (name == "0" or not name.startswith("0")):
        number = int(name[:9])
        return number if number <= pattern.groups else ""
    return pattern.groupindex.get(name, "")
