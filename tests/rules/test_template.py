"""What alert texts become; promtool is asked whether it agrees."""

import subprocess
from pathlib import Path

import pytest
import yaml
from tests.rules.conftest import START_MS

from watchkeeper.model.doors import AlertSample
from watchkeeper.model.errors import BadInput, Refused
from watchkeeper.rules.template import AlertText, Surroundings, link

LABELS = {
    "__name__": "m",
    "job": "api",
    "instance": "web-1.example.org:9100",
    "path": "/a b",
    "empty2": "x",
}
VALUES = (1234567.25, 0.0, -0.000123, 93784.0, 1e15, 42.0)
TEXTS = (Path(__file__).parent / "templates.txt").read_text().splitlines()


def ask(expr: str, _: int) -> list[AlertSample]:
    if expr == "busy":
        raise Refused("too many queries")
    if expr == "m":
        return [AlertSample(LABELS, ask.value)]  # type: ignore[attr-defined]
    rows = (("c", 1.0), ("a", 2.0), ("b", 3.0))
    return [AlertSample({"__name__": "s", "i": at}, value) for at, value in rows] if expr == "s" else []


AROUND = Surroundings(ask, {"cluster": "c1"}, "http://prom.example:9090/pfx")


def expand(text: str, value: float = 1.5) -> str:
    ask.value = value  # type: ignore[attr-defined]
    return AlertText("A", text).expand(AlertSample(LABELS, value), START_MS, AROUND)


@pytest.mark.peer
@pytest.mark.parametrize("value", VALUES)
def test_texts_and_errors_are_those_of_promtool(promtool: str, tmp_path: Path, value: float) -> None:
    ask.value = value  # type: ignore[attr-defined]
    rules, wanted = [], []
    given = {name: text for name, text in LABELS.items() if name != "__name__"}
    for at, text in enumerate(TEXTS):
        ours = AlertText(f"A{at}", text).expand(AlertSample(LABELS, value), 60_000, AROUND)
        rules.append({"alert": f"A{at}", "expr": "m", "annotations": {"x": text}})
        alert = {"exp_labels": given, "exp_annotations": {"x": ours} if ours else {}}
        wanted.append({"eval_time": "1m", "alertname": f"A{at}", "exp_alerts": [alert]})
    selector = ",".join(f'{name}="{text}"' for name, text in given.items())
    series = [{"series": f"m{{{selector}}}", "values": f"{value!r}x5".replace("+", "")}]
    series += [{"series": f's{{i="{at}"}}', "values": f"{number}x5"} for at, number in (("c", 1), ("a", 2), ("b", 3))]
    test = {"interval": "1m", "external_labels": {"cluster": "c1"}, "input_series": series, "alert_rule_test": wanted}
    test["external_url"] = AROUND.external_url
    (tmp_path / "r.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    whole = {"rule_files": ["r.yml"], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "t.yml").write_text(yaml.safe_dump(whole))
    verdict = subprocess.run([promtool, "test", "rules", "t.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert verdict.returncode == 0, verdict.stderr[:8000]


def test_address_of_the_server_is_known() -> None:
    assert expand("{{ externalURL }} {{ pathPrefix }} {{ $externalURL }}") == (
        "http://prom.example:9090/pfx /pfx http://prom.example:9090/pfx"
    )


def test_failing_query_is_said_in_the_text() -> None:
    assert expand('{{ query "busy" }}').startswith("<error expanding template: error executing template __alert_A: ")
    assert "error calling query: too many queries" in expand('{{ query "busy" }}')


def test_bad_pattern_is_said_in_the_text() -> None:
    assert "error calling match" in expand('{{ match "(" "x" }}')


def test_text_that_is_no_template_is_refused_when_it_is_read() -> None:
    with pytest.raises(BadInput, match="template: __alert_A:1: "):
        AlertText("A", "{{ nosuch $value }}")


@pytest.mark.parametrize(
    "text",
    [
        "{{ range 200000 }}{{ end }}",
        '{{ define "r" }}{{ template "r" }}{{ end }}{{ template "r" }}',
        '{{ $x := "aaaaaaaaaaaaaaaa" }}{{ range 100 }}{{ $x = print $x $x }}{{ end }}{{ $x }}',
        '{{ range 2000 }}{{ printf "%9999d" 1 }}{{ end }}',
        '{{ range 99 }}{{ printf "%999999d" 1 | len }}{{ end }}',
        '{{ $x := printf "%99999d" 1 }}{{ reReplaceAll "" $x $x }}',
        '{{ $x := printf "%99999d" 1 }}{{ reReplaceAll "(.*)" "$1$1$1$1$1$1$1$1$1$1$1$1" $x }}',
        '{{ $x := printf "%99999d" 1 }}{{ reReplaceAll "(.*)" (reReplaceAll "." "$$1" $x) $x }}',
        '{{ printf "' + "%[1]999999d" * 1000 + '" 1 }}',
    ],
)
def test_greedy_texts_are_stopped(text: str) -> None:
    assert "exceeded maximum" in expand(text)


def test_links_are_quoted_as_go_does() -> None:
    assert link('a{b="c d"} > 1', 1) == "/graph?g0.expr=a%7Bb%3D%22c+d%22%7D+%3E+1&g0.tab=1"
