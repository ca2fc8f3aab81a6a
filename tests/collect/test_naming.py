"""Doubts about names of metrics, one by one, and beside promtool for names put together at random."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.peers import PEERS

from watchkeeper.collect.naming import doubtful_names
from watchkeeper.model.errors import BadInput

_WORDS = [
    "a",
    "http",
    "seconds",
    "milliseconds",
    "total",
    "count",
    "sum",
    "bucket",
    "gauge",
    "counter",
    "histogram",
    "summary",
    "ms",
    "s",
    "Ms",
    "fooBar",
    "kelvins",
    "bits",
    "kilobits",
    "millimetres",
    "x:y",
    "minutes",
    "bytes",
    "b",
    "h",
    "untyped",
    "millikilobytes",
    "decaseconds",
    "Seconds",
    "kilo",
    "info",
]
_BLOCKS = ("", '{le="1"}', '{quantile="0.5"}', '{aB="1"}', '{a="1"}', '{le="1",quantile="1"}')
_SAMPLES = {
    "histogram": ('_bucket{le="1"} 1', '_sum{a="1"} 1', '_count{a="1"} 1'),
    "summary": ('{quantile="1"} 1', '_sum{a="1"} 1', '_count{a="1"} 1'),
}


@pytest.mark.parametrize(
    ("lines", "doubts"),
    [
        ("# HELP a_total x\n# TYPE a_total counter\na_total 1", []),
        ("a 1", ["a no help text"]),
        ("# HELP a x\na 1\na 2", ["a metric not unique"]),
        ('# HELP a x\na 1\na{b=""} 1', []),
        ("# HELP a_ms x\na_ms 1", ["a_ms metric names should not contain abbreviated units"]),
        ("# HELP a_kilobytes x\na_kilobytes 1", ['a_kilobytes use base unit "bytes" instead of "kilobytes"']),
        ("# HELP a x\n# TYPE a counter\na 1", ['a counter metrics should have "_total" suffix']),
        (
            "# HELP a_total x\n# TYPE a_total gauge\na_total 1",
            ['a_total non-counter metrics should not have "_total" suffix'],
        ),
        ('# HELP a x\n# TYPE a histogram\na_bucket{le="1"} 1\na_sum 1\na_count 1', []),
        ("# HELP a x\n# TYPE a gauge", []),
    ],
)
def test_a_doubt_names_the_metric_and_what_is_wrong(lines: str, doubts: list[str]) -> None:
    assert doubtful_names(f"{lines}\n".encode()) == doubts


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(BadInput, match="expected value after metric"):
        doubtful_names(b"a\n")


@st.composite
def _bodies(draw: st.DrawFn) -> str:
    names = draw(st.lists(st.lists(st.sampled_from(_WORDS), min_size=1, max_size=5).map("_".join), unique=True))
    lines: list[str] = []
    for name in names:
        kind = draw(st.sampled_from(("counter", "gauge", "histogram", "summary", "untyped", "")))
        lines += draw(st.sampled_from(([], [f"# HELP {name} x"], [f"# HELP {name} "])))
        lines += [f"# TYPE {name} {kind}"] if kind else []
        samples = _SAMPLES.get(kind, tuple(f"{block} 1" for block in _BLOCKS))
        lines += [name + draw(st.sampled_from(samples)) for _ in range(draw(st.integers(0, 3)))]
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.peer
@settings(max_examples=60, deadline=None)
@given(body=_bodies())
def test_doubts_are_promtools(body: str) -> None:
    theirs = subprocess.run(
        [str(PEERS / "promtool"), "check", "metrics"], input=body, capture_output=True, text=True, check=False
    )
    if theirs.returncode != 1:  # a part of one family may be another's name: promtool refuses that
        assert doubtful_names(body.encode()) == sorted(
            set(theirs.stderr.splitlines()), key=lambda one: one.split(" ", 1)
        )
