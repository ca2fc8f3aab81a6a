"""The template language, by examples; tests/rules has the same beside promtool."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.model.errors import BadInput
from watchkeeper.model.gotemplate import INVOKE, Function, Record, SafeText, StringMap, Template


def render(text: str, data: object = None, **options: object) -> str:
    return Template.parse("t", text).execute(data, **options)  # type: ignore[arg-type]


DATA = {
    "name": "Ann",
    "n": 3,
    "f": 1.5,
    "yes": True,
    "list": [1, 2, 3],
    "empty": [],
    "map": StringMap(b="2", a="1"),
    "nil": None,
    "record": Record("main.Person", {"Name": "Bo"}, {"Greet": lambda who="you": f"hello {who}"}),
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain", "plain"),
        ("{{ .name }} is {{ .n }}", "Ann is 3"),
        ("a {{- .n -}} b", "a3b"),
        ("a {{/* nothing */}} b", "a  b"),
        ("a {{- /* nothing */ -}} b", "ab"),
        ("{{ .nil }} {{ .absent }}", "<no value> <no value>"),
        ("{{ .map }} {{ .list }}", "map[a:1 b:2] [1 2 3]"),
        ("{{ .map.a }}{{ index .map `b` }}", "12"),
        (
            "{{ .record.Name }} {{ .record.Greet }} {{ .record.Greet `all` }} {{ `Z` | .record.Greet }}",
            "Bo hello you hello all hello Z",
        ),
        ("{{ if .yes }}a{{ else }}b{{ end }}", "a"),
        ("{{ if .empty }}a{{ else if .nil }}b{{ else }}c{{ end }}", "c"),
        ("{{ with .name }}{{ . }}{{ end }}", "Ann"),
        ("{{ with .empty }}a{{ else with .n }}{{ . }}{{ else }}c{{ end }}", "3"),
        ("{{ range .list }}{{ . }},{{ end }}", "1,2,3,"),
        ("{{ range $i, $x := .list }}{{ $i }}{{ $x }} {{ end }}", "01 12 23 "),
        ("{{ range $k, $v := .map }}{{ $k }}{{ $v }} {{ end }}", "a1 b2 "),
        ("{{ range .empty }}a{{ else }}none{{ end }}", "none"),
        ("{{ range 3 }}{{ . }}{{ end }}", "012"),
        ("{{ range .list }}{{ if eq . 2 }}{{ continue }}{{ end }}{{ . }}{{ end }}", "13"),
        ("{{ range .list }}{{ if eq . 2 }}{{ break }}{{ end }}{{ . }}{{ end }}", "1"),
        ("{{ range .list }}{{ $.n }}{{ end }}", "333"),
        ("{{ $x := 1 }}{{ range .list }}{{ $x = . }}{{ end }}{{ $x }}", "3"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ end }}{{ $x }}", "1"),
        ("{{ define `d` }}<{{ . }}>{{ end }}{{ template `d` .n }}{{ template `d` }}", "<3><<no value>>"),
        ("{{ block `e` .n }}[{{ . }}]{{ end }}", "[3]"),
        ("{{ (index .list 1) }} {{ (.record).Name }}", "2 Bo"),
        ("{{ and 1 0 2 }} {{ or 0 `` 5 }} {{ not 0 }}", "0 5 true"),
        ("{{ or .name (index .list 9) }}", "Ann"),
        ("{{ .n | printf `%03d` | print `>` }}", ">003"),
        ("{{ len .name }} {{ slice .list 1 }} {{ slice .name 0 2 }}", "3 [2 3] An"),
        ("{{ eq .n 1 2 3 }} {{ ne .n 3 }} {{ lt 1 2 }} {{ ge 2.5 2.5 }} {{ gt `b` `a` }}", "true false true true true"),
        ("{{ true }} {{ 'a' }} {{ 0x10 }} {{ 1e3 }} {{ `raw\\n` }} {{ \"tab\\t\" }}", "true 97 16 1000 raw\\n tab\t"),
        ("{{ printf `%v %v` .record .map }}", "{Bo} map[a:1 b:2]"),
        ("{{ html `<a>` }} {{ js `it's` }} {{ urlquery `a b` }}", "&lt;a&gt; it\\'s a+b"),
    ],
)
def test_texts(text: str, wanted: str) -> None:
    assert render(text, DATA) == wanted


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{{", "template: t:1: unclosed action"),
        ("{{ .a", "template: t:1: unclosed action"),
        ("x\n{{ if .a }}", "template: t:2: unexpected EOF"),
        ("{{ end }}", "template: t:1: unexpected {{end}}"),
        ("{{ else }}", "template: t:1: unexpected {{else}}"),
        ("{{ nosuch }}", 'template: t:1: function "nosuch" not defined'),
        ("{{ $x }}", 'template: t:1: undefined variable "$x"'),
        ("{{ if }}a{{ end }}", "template: t:1: missing value for if"),
        ("{{ }}", "template: t:1: missing value for command"),
        ("{{ break }}", "template: t:1: {{break}} outside {{range}}"),
        ("{{ `a }}", "template: t:1: unterminated raw quoted string"),
        ('{{ "a }}', "template: t:1: unterminated quoted string"),
        ("{{ /* }}", 'template: t:1: unexpected "/" in command'),
        ("{{/* }}", "template: t:1: unclosed comment"),
        ("{{/* */ x}}", "template: t:1: comment ends before closing delimiter"),
        ("{{ 1 | 2 }}", "template: t:1: non executable command in pipeline stage 2"),
        ("{{ (1 }}", "template: t:1: unclosed left paren"),
        ("{{ 1) }}", "template: t:1: unexpected right paren"),
        ("{{ 1.a }}", "template: t:1: bad number syntax"),
        ("{{ true.x }}", 'template: t:1: unexpected . after term "true"'),
        ("{{ .a! }}", "template: t:1: bad character U+0021 '!'"),
        ("{{ \u2028 }}", "template: t:1: unrecognized character in action: U+2028"),
        ("{{ define `a` }}1{{ end }}{{ define `a` }}2{{ end }}", 'template: multiple definition of template "a"'),
        ("{{ range $a, $b, $c := . }}{{ end }}", "template: t:1: too many declarations in range"),
        ("{{ template x }}", "template: t:1: unexpected"),
        ("{{ " + "(" * 200 + "1", "max nesting depth"),
        ("{{ if 1 }}" * 200, "max nesting depth"),
    ],
)
def test_texts_that_are_no_templates(text: str, error: str) -> None:
    with pytest.raises(BadInput) as caught:
        Template.parse("t", text)
    assert error in str(caught.value)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("ab\n {{ .name.x }}", 'template: t:2:9: executing "t" at <.name.x>: can\'t evaluate field x in type string'),
        ("{{ .record.Nope }}", "can't evaluate field Nope in type main.Person"),
        (
            "{{ index .list 5 }}",
            'template: t:1:3: executing "t" at <index .list 5>: error calling index: index out of range: 5',
        ),
        ("{{ lt 1 `a` }}", "error calling lt: incompatible types for comparison: int and string"),
        ("{{ len 5 }}", "error calling len: len of type int"),
        ("{{ printf 5 }}", "expected string; found 5"),
        ("{{ printf .n }}", "wrong type for value; expected string; got int"),
        ("{{ not 1 2 }}", "wrong number of args for not: want 1 got 2"),
        ("{{ index }}", "wrong number of args for index: want at least 1 got 0"),
        ("{{ nil }}", "nil is not a command"),
        ("{{ 1 2 }}", "can't give argument to non-function 1"),
        ("{{ .name 2 }}", "name is not a method but has arguments"),
        ("{{ range .name }}{{ end }}", "range can't iterate over Ann"),
        ("{{ template `x` }}", 'template "x" not defined'),
        ("{{ range 1000000 }}{{ end }}", "exceeded maximum of 100000 steps"),
        ("{{ define `r` }}{{ template `r` }}{{ end }}{{ template `r` }}", "exceeded maximum template depth"),
        ("{{ $a := `aaaaaaaa` }}{{ range 40 }}{{ $a = print $a $a }}{{ end }}", "exceeded maximum of"),
        ("{{ range 99 }}{{ printf `%99999d` 1 }}{{ end }}", "exceeded maximum output"),
    ],
)
def test_texts_that_fail_when_executed(text: str, error: str) -> None:
    with pytest.raises(BadInput) as caught:
        render(text, DATA)
    assert error in str(caught.value)


def test_absent_keys_by_option() -> None:
    data = {"labels": StringMap(), "any": {}}
    assert render("{{ .labels.x }}|{{ .any.x }}", data, missing_key="zero") == "|<no value>"
    assert render("{{ .labels.x }}", data) == "<no value>"
    with pytest.raises(BadInput, match='map has no entry for key "x"'):
        render("{{ .any.x }}", data, missing_key="error")


def test_functions_are_given_and_may_be_replaced_at_execution() -> None:
    template = Template.parse("t", "{{ shout `a` }}{{ twice .n }}", {"shout": str.upper, "twice": lambda n: n * 2})
    assert template.execute(DATA) == "A6"
    assert template.execute(DATA, functions={"twice": lambda n: n * 3}) == "A9"


def test_function_declares_what_it_takes() -> None:
    template = Template.parse("t", "{{ half 3 }} {{ half .n }}", {"half": Function(lambda n: n / 2, ("float64",))})
    with pytest.raises(BadInput, match="wrong type for value; expected float64; got int"):
        template.execute(DATA)


def test_a_functions_own_error_is_named() -> None:
    def fails() -> str:
        raise BadInput("no luck")

    with pytest.raises(BadInput, match="error calling fails: no luck"):
        Template.parse("t", "{{ fails }}", {"fails": fails}).execute(None)


def test_templates_are_joined_and_the_later_definition_wins() -> None:
    first = Template.parse("a", '{{ define "x" }}1{{ end }}{{ define "y" }}y{{ end }}')
    second = Template.parse("b", '{{ define "x" }}2{{ end }}')
    whole = Template.parse("c", '{{ template "x" }}{{ template "y" }}', among=(first, second))
    assert whole.execute(None) == "2y"
    assert whole.execute(None, name="x") == "2"
    with pytest.raises(BadInput, match="no template"):
        whole.execute(None, name="nosuch")


def test_function_that_calls_another_template_shares_the_limits() -> None:
    template = Template.parse("t", '{{ define "x" }}<{{ . }}>{{ end }}{{ tmpl "x" 5 }}', {"tmpl": INVOKE})
    assert template.execute(None) == "<5>"
    endless = Template.parse(
        "t", '{{ define "x" }}{{ if 1 }}{{ tmpl "x" 5 }}{{ end }}{{ end }}{{ tmpl "x" 1 }}', {"tmpl": INVOKE}
    )
    with pytest.raises(BadInput, match="exceeded maximum"):
        endless.execute(None)


def test_escaping_spares_safe_text_and_the_templates_own() -> None:
    data = {"bad": "<i>", "good": SafeText("<b>")}
    assert render("<p>{{ .bad }}{{ .good }}", data, html=True) == "<p>&lt;i&gt;<b>"


SYMBOLS = '{{ }} {{- -}} . .a $x := = | ( ) , " \\ /* */ 1 -1.5 0x 1_0 \'c\' "s" `r` %d é'
WORDS = "if else end range with define template block break nil true printf index eq and len text"
PIECES = st.sampled_from([*SYMBOLS.split(), *WORDS.split(), " ", "\n"])


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=40).map(lambda text: "{{" + text + "}}"))
def test_any_text_gives_a_text_or_the_declared_error(text: str) -> None:
    with contextlib.suppress(BadInput):
        Template.parse("t", text).execute({"a": [1, StringMap(b="c")]})


@settings(max_examples=100)
@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_actions_is_itself(text: str) -> None:
    assert Template.parse("t", text).execute(None) == text
