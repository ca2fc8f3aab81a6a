"""Tokens → tree of Go's template language; refuses with Go's error texts ("template: name:line: …")."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

from watchkeeper.model.errors import BadInput
from watchkeeper.model.gotemplate.lexer import Kind, Token, quote, tokens
from watchkeeper.model.gotemplate.literals import read_number, unquote
from watchkeeper.model.gotemplate.nodes import (
    Action,
    Branch,
    Chain,
    Command,
    Definition,
    Dot,
    Field,
    Identifier,
    Invocation,
    Jump,
    Literal,
    Nil,
    Operand,
    Pipe,
    Statement,
    Text,
    Variable,
)

_DEPTH_MAX = 100
_Result = TypeVar("_Result")
_OPERANDS = frozenset(
    {
        Kind.BOOL,
        Kind.CHARACTER_CONSTANT,
        Kind.DOT,
        Kind.FIELD,
        Kind.IDENTIFIER,
        Kind.NUMBER,
        Kind.RAW_STRING,
        Kind.STRING,
        Kind.VARIABLE,
        Kind.LEFT_PAREN,
    }
)


@dataclass(frozen=True, slots=True)
class _End:
    """`end` or `else`: what closes a list of statements."""

    keyword: str

    def __str__(self) -> str:
        return f"{{{{{self.keyword}}}}}"


def parse(name: str, text: str, functions: Collection[str]) -> dict[str, Definition]:
    """Parse a template and those it defines, by name; the template itself is under `name`.

    functions  the names that may be called
    raises     BadInput with Go's text
    """
    return _Parser(name, text, functions).parse()


class _Parser:
    def __init__(self, name: str, text: str, functions: Collection[str]) -> None:
        self._name, self._text, self._functions = name, text, functions
        self._tokens = tokens(text)
        self._next = 0
        self._variables = ["$"]
        self._ranges = 0
        self._depth = 0
        self._action_line = 0
        self._definitions: dict[str, Definition] = {}

    def parse(self) -> dict[str, Definition]:
        body: list[Statement] = []
        while self._peek().kind is not Kind.EOF:
            if self._at_definition():
                self._define()
                continue
            node = self._statement()
            if isinstance(node, _End):
                self._fail(f"unexpected {node}")
            else:
                body.append(node)
        self._add(self._name, body)
        return self._definitions

    # tokens

    def _peek(self) -> Token:
        return self._tokens[min(self._next, len(self._tokens) - 1)]

    def _take(self) -> Token:
        token = self._peek()
        self._next += 1
        return token

    def _skip_space(self) -> Token:
        while self._peek().kind is Kind.SPACE:
            self._next += 1
        return self._peek()

    def _take_solid(self) -> Token:
        self._skip_space()
        return self._take()

    def _expect(self, kind: Kind, context: str) -> Token:
        token = self._take_solid()
        if token.kind is not kind:
            self._unexpected(token, context)
        return token

    def _fail(self, reason: str) -> None:
        line = self._tokens[max(0, min(self._next, len(self._tokens)) - 1)].line
        raise BadInput(f"template: {self._name}:{line}: {reason}")

    def _unexpected(self, token: Token, context: str) -> None:
        if token.kind is not Kind.ERROR:
            return self._fail(f"unexpected {token} in {context}")
        started = ""
        if self._action_line and self._action_line != token.line:
            started = f" in action started at {self._name}:{self._action_line}"
            if token.text.endswith(" action"):
                started = started.removeprefix(" in action")
        return self._fail(f"{token}{started}")

    # statements

    def _at_definition(self) -> bool:
        mark = self._next
        if self._take().kind is Kind.LEFT and self._take_solid().text == "define":
            return True
        self._next = mark
        return False

    def _define(self) -> None:
        name = self._template_name("define clause")
        self._expect(Kind.RIGHT, "define clause")
        self._in_own_scope(name, "define clause")

    def _in_own_scope(self, name: str, context: str) -> None:
        outer, self._variables, ranges, self._ranges = self._variables, ["$"], self._ranges, 0
        body, end = self._statements()
        if end.keyword != "end":
            self._fail(f"unexpected {end} in {context}")
        self._variables, self._ranges = outer, ranges
        self._add(name, body)

    def _add(self, name: str, body: list[Statement]) -> None:
        new = Definition(name, body, self._name, self._text)
        old = self._definitions.get(name)
        if old is None or old.is_empty:
            self._definitions[name] = new
        elif not new.is_empty:
            self._fail(f"template: multiple definition of template {quote(name)}")

    def _statements(self) -> tuple[list[Statement], _End]:
        out: list[Statement] = []
        while self._peek().kind is not Kind.EOF:
            node = self._statement()
            if isinstance(node, _End):
                return out, node
            out.append(node)
        self._take()
        self._fail("unexpected EOF")
        raise AssertionError

    def _statement(self) -> Statement | _End:
        token = self._take_solid()
        if token.kind is Kind.TEXT:
            return Text(token.at, token.text)
        if token.kind is not Kind.LEFT:
            self._unexpected(token, "input")
        self._action_line = token.line
        node = self._action()
        self._action_line = 0
        return node

    def _action(self) -> Statement | _End:
        token = self._skip_space()
        if token.kind is Kind.KEYWORD:
            read = self._keywords().get(token.text)
            if read is not None:
                self._take()
                return read(token)
        return Action(token.at, self._pipeline("command", Kind.RIGHT))

    def _keywords(self) -> dict[str, Callable[[Token], Statement | _End]]:
        return {
            "block": self._block,
            "break": self._jump,
            "continue": self._jump,
            "else": self._else,
            "end": self._end,
            "if": self._branch,
            "range": self._branch,
            "template": self._invocation,
            "with": self._branch,
        }

    def _block(self, token: Token) -> Statement:
        name = self._template_name("block clause")
        pipe = self._pipeline("block clause", Kind.RIGHT)
        self._nested(lambda: self._in_own_scope(name, "block clause"))
        return Invocation(token.at, name, pipe)

    def _jump(self, token: Token) -> Statement:
        self._expect(Kind.RIGHT, f"{{{{{token.text}}}}}")
        if not self._ranges:
            self._fail(f"{{{{{token.text}}}}} outside {{{{range}}}}")
        return Jump(token.at, token.text)

    def _else(self, _token: Token) -> _End:
        if self._skip_space().text not in ("if", "with"):
            self._expect(Kind.RIGHT, "else")
        return _End("else")

    def _end(self, _token: Token) -> _End:
        self._expect(Kind.RIGHT, "end")
        return _End("end")

    def _branch(self, token: Token) -> Statement:
        return self._nested(lambda: self._branch_inside(token))

    def _branch_inside(self, token: Token) -> Statement:
        scope = len(self._variables)
        keyword = token.text
        pipe = self._pipeline(keyword, Kind.RIGHT)
        self._ranges += keyword == "range"
        body, end = self._statements()
        self._ranges -= keyword == "range"
        otherwise: list[Statement] = []
        if end.keyword == "else":
            following = self._peek()
            if following.kind is Kind.KEYWORD and following.text == keyword and keyword in ("if", "with"):
                otherwise = [self._branch(self._take())]
            else:
                otherwise, end = self._statements()
                if end.keyword != "end":
                    self._fail(f"expected end; found {end}")
        del self._variables[scope:]
        return Branch(token.at, keyword, pipe, body, otherwise)

    def _invocation(self, token: Token) -> Statement:
        at = self._skip_space().at if token.kind is Kind.KEYWORD else token.at
        name = self._template_name("template clause")
        if self._skip_space().kind is Kind.RIGHT:
            self._take()
            return Invocation(at, name, None)
        return Invocation(at, name, self._pipeline("template clause", Kind.RIGHT))

    def _template_name(self, context: str) -> str:
        token = self._take_solid()
        if token.kind not in (Kind.STRING, Kind.RAW_STRING):
            self._unexpected(token, context)
        return self._unquote(token)

    # pipelines

    def _pipeline(self, context: str, end: Kind) -> Pipe:
        at = self._skip_space().at
        variables, assigns = self._declarations(context)
        commands: list[Command] = []
        while True:
            token = self._skip_space()
            if token.kind is end:
                self._take()
                break
            if token.kind not in _OPERANDS and token.text != "nil":
                self._take()
                self._unexpected(token, context)
            commands.append(self._command())
        if not commands:
            self._fail(f"missing value for {context}")
        for stage, command in enumerate(commands[1:], 2):
            if isinstance(command.args[0], Literal | Dot | Nil):
                self._fail(f"non executable command in pipeline stage {stage}")
        return Pipe(at, variables, assigns, tuple(commands))

    def _declarations(self, context: str) -> tuple[tuple[str, ...], bool]:
        names: list[str] = []
        while self._skip_space().kind is Kind.VARIABLE:
            mark = self._next
            variable = self._take()
            following = self._skip_space()
            if following.kind in (Kind.ASSIGN, Kind.DECLARE):
                self._take()
                self._variables.append(variable.text)
                return (*names, variable.text), following.kind is Kind.ASSIGN
            if following.text != ",":
                self._next = mark
                break
            self._take()
            names.append(variable.text)
            self._variables.append(variable.text)
            if context != "range" or len(names) > 1:
                self._fail(f"too many declarations in {context}")
            if self._skip_space().kind not in (Kind.VARIABLE, Kind.RIGHT, Kind.RIGHT_PAREN):
                self._fail("range can only initialize variables")
        return tuple(names), False

    def _command(self) -> Command:
        at = self._skip_space().at
        args: list[Operand] = []
        while True:
            self._skip_space()
            operand = self._operand()
            if operand is not None:
                args.append(operand)
            token = self._take()
            if token.kind is Kind.SPACE:
                continue
            if token.kind in (Kind.RIGHT, Kind.RIGHT_PAREN):
                self._next -= 1
            elif token.kind is not Kind.PIPE:
                self._unexpected(token, "operand")
            break
        if not args:
            self._fail("empty command")
        return Command(at, tuple(args))

    def _operand(self) -> Operand | None:
        node = self._term()
        if node is None or self._peek().kind is not Kind.FIELD:
            return node
        at = self._peek().at
        names: list[str] = []
        while self._peek().kind is Kind.FIELD:
            names.append(self._take().text[1:])
        if isinstance(node, Field):
            return Field(at, (*node.names, *names))
        if isinstance(node, Variable):
            return Variable(at, (*node.names, *names))
        if isinstance(node, Literal | Nil | Dot):
            self._fail(f"unexpected . after term {quote(str(node))}")
        return Chain(at, node, tuple(names))

    def _term(self) -> Operand | None:
        token = self._take_solid()
        match token.kind:
            case Kind.IDENTIFIER:
                if token.text not in self._functions:
                    self._fail(f"function {quote(token.text)} not defined")
                return Identifier(token.at, token.text)
            case Kind.DOT:
                return Dot(token.at)
            case Kind.FIELD:
                return Field(token.at, (token.text[1:],))
            case Kind.VARIABLE:
                if token.text not in self._variables:
                    self._fail(f"undefined variable {quote(token.text)}")
                return Variable(token.at, (token.text,))
            case Kind.BOOL:
                return Literal(token.at, token.text == "true", token.text)
            case Kind.NUMBER | Kind.CHARACTER_CONSTANT:
                return Literal(token.at, self._number(token), token.text)
            case Kind.STRING | Kind.RAW_STRING:
                return Literal(token.at, self._unquote(token), token.text)
            case Kind.LEFT_PAREN:
                return self._nested(lambda: self._pipeline("parenthesized pipeline", Kind.RIGHT_PAREN))
        if token.text == "nil" and token.kind is Kind.KEYWORD:
            return Nil(token.at)
        self._next -= 1
        return None

    def _nested(self, read: Callable[[], _Result]) -> _Result:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            self._fail(f"max nesting depth exceeded: want at most {_DEPTH_MAX}")
        result = read()
        self._depth -= 1
        return result

    def _number(self, token: Token) -> int | float:
        try:
            return read_number(token.text)
        except BadInput as error:
            self._fail(str(error))
            raise

    def _unquote(self, token: Token) -> str:
        try:
            return unquote(token.text)
        except BadInput as error:
            self._fail(str(error))
            raise
