"""A template's tree walked over data, with Go's rules and error texts, within limits.

source  pkg.go.dev/text/template, and what Go's own package answers (the tests ask promtool)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from watchkeeper.model.errors import BadInput
from watchkeeper.model.gotemplate.builtins import Function
from watchkeeper.model.gotemplate.html_escaping import HtmlEscaper
from watchkeeper.model.gotemplate.lexer import quote
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
    Node,
    Operand,
    Pipe,
    Statement,
    Text,
    Variable,
)
from watchkeeper.model.gotemplate.values import Record, is_true, method, show, type_name

STEPS_MAX = 100_000
DEPTH_MAX = 60
OUTPUT_CHARACTERS_MAX = 1 << 20
WORK_CHARACTERS_MAX = 16 << 20  # all text that goes into and comes out of functions

_MISSING: Any = object()  # no value came down the pipeline
_KINDS = {"string": str, "int": int, "float64": float, "bool": bool}
_LITERALS = {"string": "string", "int": "integer", "float64": "float", "bool": "bool"}


@dataclass(slots=True)
class Budget:
    """What one rendering may use, templates called by its functions included."""

    steps: int = STEPS_MAX
    depth: int = DEPTH_MAX
    output: int = OUTPUT_CHARACTERS_MAX
    work: int = WORK_CHARACTERS_MAX


@dataclass(frozen=True, slots=True)
class Plan:
    """What stays the same during a rendering."""

    definitions: Mapping[str, Definition]
    functions: Mapping[str, Function]
    missing_key: str
    html: HtmlEscaper | None


class Execution:
    """One template being executed; those it invokes get their own, over the same plan, budget and output."""

    def __init__(self, plan: Plan, definition: Definition, budget: Budget, out: list[str]) -> None:
        self._plan = plan
        self._definition = definition
        self._budget = budget
        self._out = out
        self._variables: list[list[Any]] = []
        self._node: Node | None = None

    def run(self, data: Any) -> None:
        """Write the template's text to the output.

        raises  BadInput with Go's text, or naming the limit that was reached
        """
        self._variables = [["$", data]]
        self._walk_all(data, self._definition.body)

    # statements

    def _fail(self, reason: str) -> BadInput:
        name = self._definition.name
        if self._node is None:
            return BadInput(f"template: {self._definition.file}: {reason}")
        before = self._definition.source[: self._node.at]
        line = 1 + before.count("\n")
        column = len(before[before.rfind("\n") + 1 :].encode())
        place = f"{self._definition.file}:{line}:{column}"
        return BadInput(f"template: {place}: executing {quote(name)} at <{self._node}>: {reason}")

    def _at(self, node: Node) -> None:
        self._node = node
        self._budget.steps -= 1
        if self._budget.steps < 0:
            raise self._fail(f"exceeded maximum of {STEPS_MAX} steps")

    def _write(self, text: str) -> None:
        self._budget.output -= len(text)
        if self._budget.output < 0:
            raise self._fail(f"exceeded maximum output of {OUTPUT_CHARACTERS_MAX} characters")
        self._out.append(text)

    def _walk_all(self, dot: Any, body: Sequence[Statement]) -> str | None:
        """Walk statements; gives "break" or "continue" when one of these ended the list."""
        for node in body:
            jump = self._walk(dot, node)
            if jump is not None:
                return jump
        return None

    def _walk(self, dot: Any, node: Statement) -> str | None:
        self._at(node)
        match node:
            case Text():
                self._write(node.text if self._plan.html is None else self._plan.html.literal(node.text))
            case Action():
                value = self._pipeline(dot, node.pipe)
                if not node.pipe.variables:
                    self._print(node, value)
            case Branch():
                return self._deeper(lambda: self._range(dot, node) if node.keyword == "range" else self._if(dot, node))
            case Invocation():
                self._deeper(lambda: self._invoke(dot, node))
            case Jump():
                return node.keyword
        return None

    def _deeper(self, walk: Callable[[], str | None]) -> str | None:
        self._budget.depth -= 1
        if self._budget.depth < 0:
            raise self._fail(f"exceeded maximum template depth ({DEPTH_MAX})")
        jump = walk()
        self._budget.depth += 1
        return jump

    def _print(self, node: Action, value: Any) -> None:
        self._node = node
        if callable(value):
            raise self._fail(f"can't print {node.pipe} of type func")
        text = show(value, nil="<no value>")
        if self._plan.html is not None:
            last = node.pipe.commands[-1].args[0]
            text = self._plan.html.value(value, text, last.name if isinstance(last, Identifier) else "")
        self._write(text)

    def _if(self, dot: Any, node: Branch) -> str | None:
        mark = len(self._variables)
        value = self._pipeline(dot, node.pipe)
        if is_true(value):
            jump = self._walk_all(value if node.keyword == "with" else dot, node.body)
        else:
            jump = self._walk_all(dot, node.otherwise)
        del self._variables[mark:]
        return jump

    def _range(self, dot: Any, node: Branch) -> str | None:
        outer = len(self._variables)
        value = self._pipeline(dot, node.pipe)
        inner = len(self._variables)
        jump: str | None = None
        ran = False
        for index, element in self._elements(node, value):
            ran = True
            self._at(node)
            self._set_loop_variables(node.pipe, index, element)
            jump = self._walk_all(element, node.body)
            del self._variables[inner:]
            if jump == "break":
                break
        del self._variables[outer:]
        return None if ran else self._walk_all(dot, node.otherwise)

    def _elements(self, node: Branch, value: Any) -> Any:
        if value is None:
            return ()
        if isinstance(value, Mapping):
            return [(key, value[key]) for key in sorted(value)]
        if isinstance(value, int) and not isinstance(value, bool):
            if len(node.pipe.variables) > 1:
                raise self._fail(f"can't use {value} to iterate over more than one variable")
            return ((number, number) for number in range(value))
        if isinstance(value, Sequence) and not isinstance(value, str):
            return enumerate(value)
        raise self._fail(f"range can't iterate over {show(value)}")

    def _set_loop_variables(self, pipe: Pipe, index: Any, element: Any) -> None:
        names = pipe.variables
        values = (index, element) if len(names) > 1 else (element,)
        for name, value in zip(names, values, strict=False):
            self._set(name, value)

    def _set(self, name: str, value: Any) -> None:
        for variable in reversed(self._variables):
            if variable[0] == name:
                variable[1] = value
                return
        raise self._fail(f"undefined variable: {name}")

    def _invoke(self, dot: Any, node: Invocation) -> None:
        data = None if node.pipe is None else self._pipeline(dot, node.pipe)
        self._node = node
        self.invoke(node.name, data, self._out)

    def invoke(self, name: str, data: Any, out: list[str]) -> None:
        """Execute a template by name into an output, within the same budget."""
        definition = self._plan.definitions.get(name)
        if definition is None:
            raise self._fail(f"template {quote(name)} not defined")
        Execution(self._plan, definition, self._budget, out).run(data)

    # pipelines

    def _pipeline(self, dot: Any, pipe: Pipe) -> Any:
        self._at(pipe)
        value: Any = _MISSING
        for command in pipe.commands:
            value = self._command(dot, command, value)
        for name in pipe.variables:
            if pipe.assigns:
                self._set(name, value)
            else:
                self._variables.append([name, value])
        return value

    def _command(self, dot: Any, command: Command, final: Any) -> Any:
        first = command.args[0]
        match first:
            case Field() | Variable() | Chain():
                return self._chain(dot, first, command.args, final)
            case Identifier():
                return self._function(dot, first, command, command.args, final)
        self._at(first)
        self._refuse_arguments(command.args, final)
        if isinstance(first, Nil):
            raise self._fail("nil is not a command")
        return self._operand(dot, first)

    def _refuse_arguments(self, args: Sequence[Operand], final: Any) -> None:
        if len(args) > 1 or final is not _MISSING:
            raise self._fail(f"can't give argument to non-function {args[0]}")

    def _operand(self, dot: Any, node: Operand) -> Any:
        match node:
            case Dot():
                self._at(node)
                return dot
            case Nil():
                return None
            case Literal():
                self._at(node)
                return node.value
            case Pipe():
                return self._pipeline(dot, node)
            case Identifier():
                return self._function(dot, node, node, (node,), _MISSING)
        return self._chain(dot, node, (node,), _MISSING)

    def _chain(self, dot: Any, node: Field | Variable | Chain, args: Sequence[Operand], final: Any) -> Any:
        self._at(node)
        names = node.names
        if isinstance(node, Variable):
            receiver = next(value for name, value in reversed(self._variables) if name == names[0])
            names = names[1:]
            if not names:
                self._refuse_arguments(args, final)
        elif isinstance(node, Chain):
            if isinstance(node.of, Nil):
                raise self._fail(f"indirection through explicit nil in {node}")
            receiver = self._operand(dot, node.of)
        else:
            receiver = dot
        for at, name in enumerate(names):
            last = at == len(names) - 1
            receiver = self._field(dot, node, receiver, name, args if last else args[:1], final if last else _MISSING)
        return receiver

    def _field(self, dot: Any, node: Node, receiver: Any, name: str, args: Sequence[Operand], final: Any) -> Any:
        call = method(receiver, name)
        if call is not None:
            function = Function(call, (), "any")
            return self._call(dot, node, name, function, args, final)
        has_arguments = len(args) > 1 or final is not _MISSING
        if isinstance(receiver, Record) and name in receiver.fields:
            if has_arguments:
                raise self._fail(f"{name} has arguments but cannot be invoked as function")
            return receiver.fields[name]
        if isinstance(receiver, Mapping):
            if has_arguments:
                raise self._fail(f"{name} is not a method but has arguments")
            return self._entry(receiver, name)
        if receiver is None:
            if self._plan.missing_key == "error":
                raise self._fail(f'nil data; no entry for key "{name}"')
            if self._plan.missing_key == "default":
                return None
            raise self._fail(f"nil pointer evaluating interface {{}}.{name}")
        raise self._fail(f"can't evaluate field {name} in type {type_name(receiver)}")

    def _entry(self, receiver: Mapping[str, Any], name: str) -> Any:
        if name in receiver:
            return receiver[name]
        if self._plan.missing_key == "error":
            raise self._fail(f'map has no entry for key "{name}"')
        return getattr(receiver, "go_zero", None) if self._plan.missing_key == "zero" else None

    # calls

    def _function(self, dot: Any, name: Identifier, node: Node, args: Sequence[Operand], final: Any) -> Any:
        self._at(name)
        if name.name in ("and", "or"):
            return self._short_circuit(dot, name.name, args, final)
        return self._call(dot, node, name.name, self._plan.functions[name.name], args, final)

    def _short_circuit(self, dot: Any, name: str, args: Sequence[Operand], final: Any) -> Any:
        if len(args) == 1 and final is _MISSING:
            raise self._fail(f"wrong number of args for {name}: want at least 1 got 0")
        value: Any = None
        for arg in args[1:]:
            value = self._operand(dot, arg)
            if is_true(value) == (name == "or"):
                return value
        return value if final is _MISSING else final

    def _call(self, dot: Any, node: Node, name: str, function: Function, args: Sequence[Operand], final: Any) -> Any:
        operands = args[1:]
        got, want = len(operands) + (final is not _MISSING), len(function.takes)
        if function.variadic is None and got != want:
            raise self._fail(f"wrong number of args for {name}: want {want} got {got}")
        if got < want:
            raise self._fail(f"wrong number of args for {name}: want at least {want} got {got}")
        kinds = function.takes + (function.variadic or "any",) * (got - want)
        values = [self._argument(dot, arg, kind) for arg, kind in zip(operands, kinds, strict=False)]
        if final is not _MISSING:
            values.append(self._checked(final, kinds[-1]))
        self._spend(values)
        try:
            result = function.call(*values)
        except (BadInput, TypeError, OverflowError, ValueError) as error:
            self._node = node
            raise self._fail(f"error calling {name}: {error}") from None
        self._spend((result,))
        return result

    def _argument(self, dot: Any, node: Operand, kind: str) -> Any:
        if isinstance(node, Literal) and kind in _KINDS:
            self._at(node)
            value = node.value
            if isinstance(value, _KINDS[kind]) and isinstance(value, bool) == (kind == "bool"):
                return value
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if kind == "float64" and number:
                return float(value)
            if kind == "int" and isinstance(value, float) and value.is_integer():
                return int(value)
            raise self._fail(f"expected {_LITERALS[kind]}; found {node}")
        if isinstance(node, Literal) and kind != "any":
            self._at(node)
            raise self._fail(f"can't handle {node} for arg of type {kind}")
        return self._checked(self._operand(dot, node), kind)

    def _checked(self, value: Any, kind: str) -> Any:
        if kind == "any":
            return value
        if value is None:
            raise self._fail(f"invalid value; expected {kind}")
        wanted = _KINDS.get(kind)
        fits = type_name(value) == kind if wanted is None else isinstance(value, wanted)
        if not fits or (isinstance(value, bool) and kind != "bool"):
            raise self._fail(f"wrong type for value; expected {kind}; got {type_name(value)}")
        return value

    def _spend(self, values: Sequence[Any]) -> None:
        self._budget.work -= sum(len(value) for value in values if isinstance(value, str | Mapping | Sequence))
        if self._budget.work < 0:
            raise self._fail(f"exceeded maximum of {WORK_CHARACTERS_MAX} characters of work")
