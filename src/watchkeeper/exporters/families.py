"""Metric families on their way to text exposition format 0.0.4; all that an exporter needs to speak."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["counter", "gauge", "untyped", "histogram", "summary"]
NO_LABELS: Mapping[str, str] = {}


@dataclass(slots=True)
class Families:
    """Families in the order in which they were first named; samples of one family stay together.

    lines  of each family, HELP and TYPE first
    """

    lines: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, kind: Kind, help_text: str, value: float, labels: Mapping[str, str] = NO_LABELS) -> None:
        """Add a sample; kind and help of a family are those of its first sample."""
        lines = self.lines.get(name)
        if lines is None:
            told = help_text.replace("\\", "\\\\").replace("\n", "\\n")
            lines = self.lines[name] = [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]
        lines.append(f"{name}{_block(labels)} {_number(value)}")

    def gauge(self, name: str, help_text: str, value: float, labels: Mapping[str, str] = NO_LABELS) -> None:
        """Add a sample of a gauge."""
        self.add(name, "gauge", help_text, value, labels)

    def counter(self, name: str, help_text: str, value: float, labels: Mapping[str, str] = NO_LABELS) -> None:
        """Add a sample of a counter; its name ends in _total."""
        self.add(name, "counter", help_text, value, labels)

    def join(self, other: "Families") -> None:
        """Take another's families behind one's own."""
        for name, lines in other.lines.items():
            if name in self.lines:
                self.lines[name] += lines[2:]
            else:
                self.lines[name] = lines

    def exposition(self) -> bytes:
        """Give all of it as text."""
        lines = [line for family in self.lines.values() for line in family]
        return ("\n".join(lines) + "\n").encode(errors="replace") if lines else b""


def _block(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join([f'{name}="{_escaped(value)}"' for name, value in labels.items()]) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(int(value))
    text = repr(value)
    return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}.get(text, text)
