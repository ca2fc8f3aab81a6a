"""YAML with lines and limits, read into typed settings.

Plain scalars stay text (null aside) and the settings' own types decide what they mean, as in Go's decoder: `010` in a
text field is "010", and `no` is a word. Aliases, depth and size are bounded before anything is built.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from watchkeeper.model.errors import BadConfig, BadConfigs, BadInput
from watchkeeper.model.go_yaml import resolved

_BYTES_MAX = 16 << 20
_DEPTH_MAX = 50
_ALIASES_MAX = 100
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

SettingsT = TypeVar("SettingsT", bound="Settings")
Path = tuple[str | int, ...]


class Settings(BaseModel):
    """What a file's mapping becomes; an unknown field is an error that names it, as in Prometheus."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def setting(default: Any, description: str, *, unit: str = "", **more: Any) -> Any:
    """Declare a setting once: default, help, unit and bounds; the reference page is made from it."""
    extra: dict[str, Any] = {"unit": unit} if unit else {}
    if callable(default):
        return Field(default_factory=default, description=description, json_schema_extra=extra, **more)
    return Field(default, description=description, json_schema_extra=extra, **more)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: plain dicts, lists, text and None, and the line of each place in it."""

    name: str
    content: Any
    lines: Mapping[Path, int]

    def read_as(self, kind: type[SettingsT], at: Path = (), *, ignore_unknown: bool = False) -> SettingsT:
        """Turn the file (or the part of it at a path) into settings.

        ignore_unknown  leave out fields that are not known, instead of refusing them
        raises  BadConfigs with every fault: file, line, field, got, want
        """
        content = self.content
        for step in at:
            content = content[step]
        try:
            extra: Literal["ignore"] | None = "ignore" if ignore_unknown else None
            return kind.model_validate({} if content is None else content, extra=extra)
        except ValidationError as error:
            faults = [self._fault(at + tuple(fault["loc"]), fault) for fault in error.errors(include_url=False)]
            raise BadConfigs(faults) from None

    def line(self, path: Sequence[str | int]) -> int:
        """Give the line (from 1) of a place, or of the nearest place around it."""
        steps = tuple(path)
        while steps and steps not in self.lines:
            steps = steps[:-1]
        return self.lines.get(steps, 1)

    def fault(self, path: Sequence[str | int], got: str, want: str) -> BadConfig:
        """Say what is wrong at a place."""
        return BadConfig(self.name, self.line(path), _dotted(path), got, want)

    def _fault(self, path: Path, fault: Any) -> BadConfig:
        known: Path = ()
        for step in path:  # union branches add steps of pydantic's own: keep those that are in the file
            if (*known, step) in self.lines:
                known = (*known, step)
        if fault["type"] == "extra_forbidden":
            return self.fault(known, "an unknown field", "a field of this section (see the configuration reference)")
        if fault["type"] == "missing":
            return self.fault((*known, path[-1]), "nothing", "this field")
        got = repr(fault["input"]) if isinstance(fault["input"], str | int | float | None) else _kind(fault["input"])
        return self.fault(
            known, got[:120], str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
        )


def parse(text: str | bytes, name: str) -> Document:
    """Parse one YAML document.

    name    the file's name, for errors
    raises  BadConfig naming the line when it is no YAML, or too large, deep or full of aliases
    """
    if len(text) > _BYTES_MAX:
        raise BadConfig(name, 1, "", f"{len(text)} bytes", f"at most {_BYTES_MAX}")
    try:
        return Document(name, *_build(text, name))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadConfig(name, line, "", str(error.problem or error.context), "valid YAML") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadConfig(name, 1, "", str(error).split("\n", 1)[0], "valid YAML in UTF-8") from None


def typed(text: str) -> Any:
    """Read a YAML text for what it says to Go: mappings, lists, texts, numbers, truth values, None.

    Keys that are no texts are left out of mappings, as in what Go makes of them for JSON.

    raises  BadInput when it is no YAML, or too large, deep or full of aliases
    """
    try:
        _check_shape(text, "text")
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise BadInput(f"not valid YAML: {error}") from None
    return None if node is None else _typed(node)


def _typed(node: Any) -> Any:
    if isinstance(node, yaml.MappingNode):
        pairs = [(_typed(key), value) for key, value in node.value]
        return {key: _typed(value) for key, value in pairs if isinstance(key, str)}
    if isinstance(node, yaml.SequenceNode):
        return [_typed(one) for one in node.value]
    return node.value if node.style else resolved(node.value)


def _build(text: str | bytes, name: str) -> tuple[Any, dict[Path, int]]:
    _check_shape(text, name)
    node = yaml.compose(text, Loader=_LOADER)
    lines: dict[Path, int] = {}
    return (None if node is None else _value(node, (), lines, name)), lines


def _check_shape(text: str | bytes, name: str) -> None:
    """Refuse deep or alias-ridden documents while they are still a stream of events."""
    depth = aliases = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
        if depth > _DEPTH_MAX:
            raise BadConfig(name, _line(event), "", f"depth {depth}", f"depth at most {_DEPTH_MAX}")
        if aliases > _ALIASES_MAX:
            raise BadConfig(name, _line(event), "", f"{aliases} aliases", f"at most {_ALIASES_MAX}")


def _value(node: Any, path: Path, lines: dict[Path, int], name: str) -> Any:
    if len(lines) > 1_000_000:
        raise BadConfig(name, node.start_mark.line + 1, "", "over a million values", "fewer (aliases multiply them)")
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        return None if not node.style and node.value in _NULLS else node.value
    if isinstance(node, yaml.SequenceNode):
        return [_value(child, (*path, at), lines, name) for at, child in enumerate(node.value)]
    content: dict[str, Any] = {}
    for key, child in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise BadConfig(name, key.start_mark.line + 1, _dotted(path), "a key that is no text", "text")
        if key.value == "<<" and not key.style:
            for merged in child.value if isinstance(child, yaml.SequenceNode) else [child]:
                content = {**_value(merged, path, dict(lines), name), **content}
            continue
        if key.value in content and (*path, key.value) in lines:
            raise BadConfig(name, key.start_mark.line + 1, _dotted((*path, key.value)), "the field twice", "it once")
        lines[(*path, key.value)] = key.start_mark.line + 1
        content[key.value] = _value(child, (*path, key.value), lines, name)
    return content


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _dotted(path: Sequence[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def _kind(value: Any) -> str:
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else type(value).__name__
