"""Values in HTML are escaped as Go's html/template escapes them: rendered by amtool, and by us."""

import subprocess
from pathlib import Path

import orjson
import pytest
from tests.notify.peer import program

from watchkeeper.model.gotemplate import Template

pytestmark = pytest.mark.peer

VALUES = {
    "a": "<b> \"q\" 'x' & ; x=1+2 ${y} `z` /s\\ é \u2028%41%zz",
    "u": "javascript:alert(1)",
    "h": "https://host/p a?q=<1>&r='2'#f",
    "r": "/path/:a b",
    "m": "mailto:a@b.c",
    "w": "word",
    "n": "12px",
    "c": "#ff00ff",
    "e": "",
    "x": "expression(alert(1))",
    "d": "data:text/html,<script>alert(1)</script>",
    "s": "</script><script>alert(1)</script>",
    "o": "onclick",
    "t": "title",
}
A = "{{ .CommonLabels.a }}"
SNIPPETS = [
    *(f"<p>{{{{ .CommonLabels.{name} }}}}</p>" for name in VALUES),
    *(f'<a href="{{{{ .CommonLabels.{name} }}}}">l</a>' for name in VALUES),
    *(f"<a href='/x?y={{{{ .CommonLabels.{name} }}}}'>l</a>" for name in ("a", "h", "u")),
    *(f"<a href=/x/{{{{ .CommonLabels.{name} }}}}>l</a>" for name in ("a", "h", "e")),
    *(f"<a href={{{{ .CommonLabels.{name} }}}}>l</a>" for name in ("h", "u", "e")),
    *(f'<p style="color: {{{{ .CommonLabels.{name} }}}}">l</p>' for name in VALUES),
    *(f"<p title={{{{ .CommonLabels.{name} }}}}>l</p>" for name in ("a", "w", "e")),
    *(f"<p {{{{ .CommonLabels.{name} }}}}='1'>l</p>" for name in ("a", "w", "o", "t", "e")),
    *(f"<script>var x = {{{{ .CommonLabels.{name} }}}};</script>" for name in ("a", "s", "w", "e")),
    f"<p title=\"{A}\" alt='{A}'>l</p>",
    f'<a href="{{{{ .CommonLabels.h }}}}{A}?{A}#{A}">l</a>',
    f'<img src="http://h/{A}.png" data-action="{{{{ .CommonLabels.u }}}}" xlink:href="{{{{ .CommonLabels.u }}}}">',
    f"<p onclick=\"f({A}, '{A}')\">l</p>",
    f"<p onclick='f({A})'>l</p>",
    f'<script>var a = "{A}"; var b = \'{A}\'; // "it\n var c = {A}; /* "{A} */ f({A})</script>',
    "<script>var n = {{ len .CommonLabels }}+{{ len .CommonLabels }};</script>",
    f'<script type="application/json">{{"a": {A}}}</script>',
    f"<style>p {{ color: {A}; width: {{{{ .CommonLabels.n }}}}; content: '{A}' }}</style>",
    "<style>p { background: url({{ .CommonLabels.h }}) url('{{ .CommonLabels.u }}') }</style>",
    "<p style=\"background: url('/x?{{ .CommonLabels.a }}')\">l</p>",
    f"<!-- {A} --><p>after</p><!--[if mso]><p>{A}</p><![endif]-->",
    f"<title>{A}</title><textarea>{A} <b></textarea>{A}",
    f"a < b <3 < {A} <!DOCTYPE html><br/>{A}",
    f"<input value = \"{A}\" disabled checked={{{{ .CommonLabels.w }}}} name='n'>{A}",
    f'{{{{ define "link" }}}}<a href=\'{{{{ .CommonLabels.h }}}}\'>{A}</a>{{{{ end }}}}{{{{ template "link" . }}}}{A}',
    "{{ range .CommonLabels.SortedPairs }}<li title='{{ .Name }}={{ .Value }}'>{{ .Value }}</li>{{ end }}",
    '<p>{{ .CommonLabels.a | safeHtml }}</p><p title="{{ .CommonLabels.w | safeHtml }}">l</p>',
    '<p>{{ .CommonLabels.a | html }}</p><p title="{{ .CommonLabels.a | html }}">{{ html .CommonLabels.a }}</p>',
    '<a href="/x/{{ .CommonLabels.a | urlquery }}?y={{ urlquery .CommonLabels.a }}">l</a>',
    "<p>{{ .CommonLabels.a | urlquery }}</p>",
    f"<style>/* {A} */ p {{ color: /* it's */ {A} }}</style><script>/* a\nb */ f() // {A}\n</script>",
    f"<script>f(`${{{{ .CommonLabels.w }}}} {A}`)</script><script>'it\\'s {A}'</script>",
    f"<div\nclass='x'\n  title='{A}'\n>{A}</div\n>{A}",
    f'<a href="{{{{ .ExternalURL }}}}/#/alerts?receiver={{{{ .Receiver | urlquery }}}}">{A}</a>',
]


@pytest.fixture(scope="module")
def data_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("html") / "data.json"
    data = {"receiver": "r+ x", "status": "firing", "alerts": [], "groupLabels": {}, "commonLabels": VALUES}
    file.write_bytes(orjson.dumps({**data, "commonAnnotations": {}, "externalURL": "http://e/<p>"}))
    return file


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_value_is_escaped_by_where_it_stands(snippet: str, data_file: Path) -> None:
    words = ["template", "render", "--template.glob=/nowhere/*.tmpl", "--template.type=html"]
    named = [f"--template.text={snippet}", f"--template.data={data_file}"]
    done = subprocess.run([program("amtool"), *words, *named], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert _ours(snippet) == done.stdout.removesuffix("\n")


def _ours(snippet: str) -> str:
    from watchkeeper.notify.template import FUNCTIONS
    from watchkeeper.notify.texts import KV

    data = {"CommonLabels": KV(VALUES), "ExternalURL": "http://e/<p>", "Receiver": "r+ x"}
    return Template.parse("", snippet, FUNCTIONS).execute(data, html=True)
