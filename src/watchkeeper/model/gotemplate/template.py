"""Template: a text parsed once, executed as often as wanted."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from watchkeeper.model.errors import BadInput
from watchkeeper.model.gotemplate.builtins import BUILTINS, Function, as_function
from watchkeeper.model.gotemplate.execution import Budget, Execution, Plan
from watchkeeper.model.gotemplate.html_escaping import HtmlEscaper
from watchkeeper.model.gotemplate.lexer import quote
from watchkeeper.model.gotemplate.nodes import Definition
from watchkeeper.model.gotemplate.parser import parse

TEXT_CHARACTERS_MAX = 1 << 18
Functions = Mapping[str, Function | Callable[..., Any]]

# Stands in the functions for one that gives what another template makes of data: {"tmpl": INVOKE}.
INVOKE = Function(lambda *_: "", ("string", "any"))


class Template:
    """A parsed template with the templates it may invoke. Immutable; safe from any thread.

    definitions  its own and the others', by name
    """

    def __init__(self, name: str, definitions: Mapping[str, Definition], functions: Mapping[str, Function]) -> None:
        self.name, self.definitions, self._functions = name, definitions, functions
        self._invoking = tuple(key for key, call in functions.items() if call is INVOKE)

    @classmethod
    def parse(
        cls, name: str, text: str, functions: Functions | None = None, *, among: Iterable["Template"] = ()
    ) -> Self:
        """Parse a text.

        functions  what it may call besides Go's own; plain callables take arguments of any kind
        among      templates parsed before, whose definitions it may invoke; a later definition wins
        raises     BadInput "template: name:line: …" with Go's text
        """
        if len(text) > TEXT_CHARACTERS_MAX:
            raise BadInput(f"template: {name}:1: got {len(text)} characters, want at most {TEXT_CHARACTERS_MAX}")
        known = BUILTINS | {key: as_function(call) for key, call in (functions or {}).items()}
        definitions: dict[str, Definition] = {}
        for other in among:
            _join(definitions, other.definitions)
        try:
            _join(definitions, parse(name, text, known))
        except RecursionError:  # the parser bounds its depth; a deep caller's stack may come first
            raise BadInput(f"template: {name}:1: max nesting depth exceeded") from None
        return cls(name, definitions, known)

    def execute(
        self,
        data: Any,
        *,
        name: str | None = None,
        missing_key: str = "default",
        html: bool = False,
        functions: Functions | None = None,
    ) -> str:
        """Give the text the template makes of data.

        name         which of the definitions; this template's own by default
        missing_key  what an absent key of a mapping gives, as Go's option: default, zero or error
        html         whether the text is HTML, and values are escaped by where they stand in it, as html/template does
        functions    take the place of those given to `parse`, for functions that need the moment's data
        raises       BadInput with Go's text, or naming the limit that was reached: 100,000 steps, 60 levels, 1 MiB
        """
        wanted = self.name if name is None else name
        definition = self.definitions.get(wanted)
        if definition is None:
            raise BadInput(f"template: no template {quote(wanted)} associated with template {quote(self.name)}")
        known = self._functions
        if functions:
            known = {**known, **{key: as_function(call) for key, call in functions.items()}}
        out: list[str] = []
        budget = Budget()
        for key in self._invoking:
            known = {**known, key: Function(_invoker(lambda: execution), INVOKE.takes)}
        execution = Execution(
            Plan(self.definitions, known, missing_key, HtmlEscaper() if html else None), definition, budget, out
        )
        try:
            execution.run(data)
        except RecursionError:  # the budget's depth is to prevent this; a deep caller's stack may come first
            raise BadInput(f"template: {self.name}: exceeded maximum template depth") from None
        return "".join(out)


def _join(into: dict[str, Definition], new: Mapping[str, Definition]) -> None:
    for name, definition in new.items():
        if name not in into or not definition.is_empty:
            into[name] = definition


def _invoker(execution: Callable[[], Execution]) -> Callable[[str, Any], str]:
    def invoke(name: str, data: Any) -> str:
        out: list[str] = []
        execution().invoke(name, data, out)
        return "".join(out)

    return invoke
