"""The tree of a template. `str` of a node is how Go writes it in error messages."""

from collections.abc import Sequence
from dataclasses import dataclass

from watchkeeper.model.gotemplate.lexer import quote


@dataclass(frozen=True, slots=True)
class Node:
    """A place in the text: characters from 0."""

    at: int


@dataclass(frozen=True, slots=True)
class Identifier(Node):
    """A function's name."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Field(Node):
    """`.a.b`."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Variable(Node):
    """`$x.a`."""

    names: tuple[str, ...]  # the first with its $

    def __str__(self) -> str:
        return ".".join(self.names)


@dataclass(frozen=True, slots=True)
class Dot(Node):
    """`.`."""

    def __str__(self) -> str:
        return "."


@dataclass(frozen=True, slots=True)
class Nil(Node):
    """`nil`."""

    def __str__(self) -> str:
        return "nil"


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A bool, a number or a string, with the way it was written."""

    value: bool | float | int | str
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """Fields of what is in parentheses."""

    of: "Operand"
    names: tuple[str, ...]

    def __str__(self) -> str:
        inner = f"({self.of})" if isinstance(self.of, Pipe) else str(self.of)
        return inner + "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Command(Node):
    """A function or value with its arguments."""

    args: tuple["Operand", ...]

    def __str__(self) -> str:
        return " ".join(f"({arg})" if isinstance(arg, Pipe) else str(arg) for arg in self.args)


@dataclass(frozen=True, slots=True)
class Pipe(Node):
    """Commands whose results are handed on; `variables` are set to the last one's."""

    variables: tuple[str, ...]
    assigns: bool
    commands: tuple[Command, ...]

    def __str__(self) -> str:
        start = f"{', '.join(self.variables)} {'=' if self.assigns else ':='} " if self.variables else ""
        return start + " | ".join(str(command) for command in self.commands)


Operand = Identifier | Field | Variable | Dot | Nil | Literal | Chain | Pipe


@dataclass(frozen=True, slots=True)
class Text(Node):
    """What stands between actions."""

    text: str


@dataclass(frozen=True, slots=True)
class Action(Node):
    """A pipeline whose value is printed."""

    pipe: Pipe

    def __str__(self) -> str:
        return f"{{{{{self.pipe}}}}}"


@dataclass(frozen=True, slots=True)
class Branch(Node):
    """`if`, `with` or `range`."""

    keyword: str
    pipe: Pipe
    body: Sequence["Statement"]
    otherwise: Sequence["Statement"]

    def __str__(self) -> str:
        return f"{{{{{self.keyword} {self.pipe}}}}}"


@dataclass(frozen=True, slots=True)
class Invocation(Node):
    """`template "name" data`."""

    name: str
    pipe: Pipe | None

    def __str__(self) -> str:
        return f"{{{{template {quote(self.name)}{f' {self.pipe}' if self.pipe else ''}}}}}"


@dataclass(frozen=True, slots=True)
class Jump(Node):
    """`break` or `continue`."""

    keyword: str

    def __str__(self) -> str:
        return f"{{{{{self.keyword}}}}}"


Statement = Text | Action | Branch | Invocation | Jump


@dataclass(frozen=True, slots=True)
class Definition:
    """One named template, with the text it stands in (for places in error messages)."""

    name: str
    body: Sequence[Statement]
    file: str
    source: str

    @property
    def is_empty(self) -> bool:
        """Whether it holds nothing but space: such a definition does not replace another."""
        return all(isinstance(node, Text) and not node.text.strip() for node in self.body)
