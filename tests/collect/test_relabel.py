from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.collect.conftest import BodyServer

from watchkeeper.collect.relabel import Relabel, RelabelConfig
from watchkeeper.model import document
from watchkeeper.model.errors import BadInput

LABELS = {"__name__": "m", "a": "foo", "b": "bar", "c": "Baz", "__meta_x": "y", "n": "10"}


def apply(*rules: dict[str, Any], labels: dict[str, str] | None = None) -> dict[str, str] | None:
    return Relabel.of([RelabelConfig.model_validate(rule) for rule in rules]).apply(labels or LABELS)


RULES: list[list[dict[str, Any]]] = [
    [{"source_labels": ["a"], "regex": "f(.*)", "target_label": "d", "replacement": "ch${1}-ch${1}"}],
    [{"source_labels": ["a", "b"], "regex": "f(.*);(.*)r", "target_label": "a", "replacement": "b${1}${2}m"}],
    [
        {
            "source_labels": ["a", "b"],
            "separator": "-",
            "regex": "(?P<x>.*)-(.*)",
            "target_label": "d",
            "replacement": "$x/$2",
        }
    ],
    [{"source_labels": ["a"], "regex": ".*o.*", "action": "drop"}],
    [{"source_labels": ["a"], "regex": "o", "action": "drop"}],
    [{"source_labels": ["a"], "regex": "foo|bar", "action": "keep"}],
    [{"source_labels": ["a"], "regex": "fo", "action": "keep"}],
    [{"source_labels": ["missing"], "regex": "", "action": "keep"}],
    [{"source_labels": ["a"], "target_label": "d", "action": "hashmod", "modulus": 1000}],
    [{"source_labels": ["a", "b"], "target_label": "d", "action": "hashmod", "modulus": 18446744073709551615}],
    [{"regex": "(b.*)", "replacement": "bar_${1}", "action": "labelmap"}],
    [{"regex": "__meta_(.+)", "action": "labelmap"}],
    [{"regex": "[ab]", "action": "labeldrop"}],
    [{"regex": "__name__|a|instance|job", "action": "labelkeep"}],
    [{"source_labels": ["c"], "target_label": "c", "action": "uppercase"}],
    [{"source_labels": ["c"], "target_label": "d", "action": "lowercase"}],
    [{"source_labels": ["a"], "target_label": "b", "action": "keepequal"}],
    [{"source_labels": ["a"], "target_label": "a", "action": "keepequal"}],
    [{"source_labels": ["a"], "target_label": "b", "action": "dropequal"}],
    [{"source_labels": ["a"], "target_label": "a", "action": "dropequal"}],
    [{"target_label": "d", "replacement": "static"}],
    [{"target_label": "a", "replacement": ""}],
    [{"source_labels": ["missing"], "target_label": "a"}],
    [{"source_labels": ["a"], "regex": "(x)?foo", "target_label": "d", "replacement": "[$1]"}],
    [{"source_labels": ["a"], "target_label": "d", "replacement": "$1x-${1}x-$$-$9-$-$ {1}"}],
    [{"source_labels": ["a"], "target_label": "${1}_label", "replacement": "v"}],
    [{"source_labels": ["n"], "regex": r"(\d+)", "target_label": "d", "replacement": "$01-$1_"}],
    [{"source_labels": ["a"], "regex": "foo", "target_label": "d", "replacement": "$0 ${0}"}],
    [{"source_labels": ["a"], "regex": "(?i)FOO", "target_label": "d", "replacement": "yes"}],
    [{"source_labels": ["a", "b", "c"], "separator": "", "target_label": "d"}],
    [
        {"source_labels": ["a"], "target_label": "tmp"},
        {"source_labels": ["tmp", "b"], "regex": "foo;bar", "target_label": "d", "replacement": "both"},
        {"regex": "tmp", "action": "labeldrop"},
    ],
]


@pytest.mark.parametrize(
    ("rules", "changed"),
    [
        (RULES[0], {"d": "choo-choo"}),
        (RULES[1], {"a": "boobam"}),
        (RULES[2], {"d": "foo/bar"}),
        (RULES[4], {}),
        (RULES[8], {"d": "696"}),
        (RULES[10], {"bar_b": "bar"}),
        (RULES[11], {"x": "y"}),
        (RULES[14], {"c": "BAZ"}),
        (RULES[20], {"d": "static"}),
        (RULES[23], {"d": "[]"}),
        (RULES[30], {"d": "both"}),
    ],
)
def test_rules_change_labels(rules: list[dict[str, Any]], changed: dict[str, str]) -> None:
    assert apply(*rules) == LABELS | changed


@pytest.mark.parametrize("rules", [RULES[3], RULES[6], RULES[16], RULES[19]])
def test_rules_drop(rules: list[dict[str, Any]]) -> None:
    assert apply(*rules) is None


@pytest.mark.peer
def test_all_rules_do_what_prometheus_does(server: BodyServer, real_prometheus: Callable[..., Any]) -> None:
    server.answers["/metrics"] = (b"m 1\n", "text/plain")
    own = {name: value for name, value in LABELS.items() if name != "__name__"}
    jobs: list[dict[str, Any]] = [
        {
            "job_name": f"r{at}",
            "static_configs": [{"targets": [server.address], "labels": own}],
            "relabel_configs": rules,
        }
        for at, rules in enumerate(RULES)
        if rules[0].get("action") != "labelkeep"  # would take the address away
    ]
    peer = real_prometheus(orjson.dumps({"scrape_configs": jobs}).decode())
    peer.wait_for(
        lambda: (
            sum(map(len, (peer.get("/api/v1/targets")[k] for k in ("activeTargets", "droppedTargets")))) == len(jobs)
        )
    )
    active = {one["scrapePool"]: one["labels"] for one in peer.get("/api/v1/targets")["activeTargets"]}
    for job in jobs:
        found = {**own, "__address__": server.address, "job": job["job_name"]}
        got = apply(*job["relabel_configs"], labels=found)
        if got is not None:
            got = {name: value for name, value in got.items() if not name.startswith("__")}
            got.setdefault("instance", server.address)
        assert got == active.get(job["job_name"]), job["relabel_configs"]


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ({"action": "hashmod", "target_label": "a"}, "requires non-zero modulus"),
        ({"action": "replace"}, "replace action requires 'target_label' value"),
        ({"action": "lowercase", "target_label": "a", "replacement": "x"}, "'replacement' can not be set"),
        ({"action": "labeldrop", "source_labels": ["a"]}, "requires only 'regex', and no other fields"),
        ({"action": "keepequal", "target_label": "a", "regex": "x"}, "requires only 'source_labels'"),
        ({"action": "nonsense"}, "Input should be|'replace'"),
        ({"target_label": "a", "regex": "("}, "missing \\)"),
        ({"target_label": "a", "regex": ")("}, "cannot compile"),
        ({"target_label": "a", "unknown": "x"}, "unknown field"),
    ],
)
def test_faulty_rules_are_refused_with_their_line(rule: dict[str, Any], error: str) -> None:
    with pytest.raises(BadInput, match=error):
        document.parse(orjson.dumps(rule), "rules.yml").read_as(RelabelConfig)


TEXT = st.text("ab$1{}-", max_size=8)


@settings(max_examples=100, deadline=None)
@given(replacement=TEXT, value=TEXT)
def test_no_replacement_makes_it_fail(replacement: str, value: str) -> None:
    got = apply(
        {"source_labels": ["a"], "target_label": "d", "replacement": replacement}, labels={"a": value, "x": "y"}
    )
    assert got is not None
    assert got["x"] == "y"
