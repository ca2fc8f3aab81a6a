"""Scenarios for both Alertmanagers: each has a label `s`, routes and receivers of its own, and what happens when.

A scenario's steps are called at the moments of MOMENTS; group_wait is 1 s, group_interval 2 s: flushes of an alert that
comes at 0 lie at 1, 3, 5, 7 s, well away from the moments.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.notify.side_by_side import FIRING, Pair, firing, over

Step = Callable[[Pair, str], None]
MOMENTS = (0.0, 0.4, 2.0, 2.4, 4.4, 6.4)
LENGTH_S = 10.5


@dataclass(frozen=True)
class Scenario:
    """What is configured and what happens.

    route      more fields of its route
    routes     routes instead of the one that the name implies
    hooks      fields of each webhook of each receiver; receivers are named "<name>", "<name>-1", …
    inhibit    inhibition rules
    made_up_ends  whether an alert ends that was not said again
    """

    name: str
    steps: dict[float, Step]
    route: dict[str, Any] = field(default_factory=dict)
    routes: Sequence[dict[str, Any]] = ()
    hooks: Sequence[Sequence[dict[str, Any]]] = (({},),)
    inhibit: Sequence[dict[str, Any]] = ()
    made_up_ends: bool = False

    @property
    def own(self) -> str:
        """The matcher of its alerts."""
        return f's="{self.name}"'


def _post(*alerts: dict[str, str]) -> Step:
    return lambda pair, name: pair.post(name, *(firing(**one) for one in alerts))


def _end(*alerts: dict[str, str]) -> Step:
    return lambda pair, name: pair.post(name, *(over(pair, **one) for one in alerts))


def _both(*steps: Step) -> Step:
    def step(pair: Pair, name: str) -> None:
        for one in steps:
            one(pair, name)

    return step


def _said(text: str, **labels: str) -> Step:
    return lambda pair, name: pair.post(name, {"with": {**FIRING, "annotations": {"text": text}}, **labels})


def _lasting(seconds: float, **labels: str) -> Step:
    return lambda pair, name: pair.post(name, {"with": {"endsAt": pair.time(-seconds)}, **labels})


def _silence(seconds: float, after_s: float = 0, **labels: str) -> Step:
    return lambda pair, name: pair.silence(name, seconds, after_s=after_s, s=name, **labels)


def _expire(pair: Pair, name: str) -> None:
    pair.expire(name)


A, B, C = {"alertname": "A"}, {"alertname": "B"}, {"alertname": "C"}
ONE, TWO = {"x": "1"}, {"x": "2"}
MUTED = {"mute_time_intervals": ["always"]}

TIMERS = [
    Scenario("flaps", {0: _post(A), 2.4: _end(A), 4.4: _post(A), 6.4: _end(A)}),
    Scenario("over-before-the-first-flush", {0: _post(A), 0.4: _end(A)}),
    Scenario("over-and-back-between-flushes", {0: _post(A), 2.0: _end(A), 2.4: _post(A)}),
    Scenario("all-over-then-again", {0: _post(A, B), 2.4: _end(A, B), 6.4: _post(A)}),
    Scenario("one-of-two-ends", {0: _post(A, B), 2.4: _end(A), 4.4: _post(C), 6.4: _end(B)}),
    Scenario("at-once", {0: _post(A), 2.4: _post(B)}, route={"group_wait": "0s"}),
    Scenario("own-interval", {0: _post(A), 2.4: _post(B)}, route={"group_interval": "4s"}),
    Scenario("repeats", {0: _post(A, B), 2.4: _end(A)}, route={"repeat_interval": "3s"}),
    Scenario("long-gone", {0: _end(A), 2.4: _end(B)}),
    Scenario("ends-by-itself", {0: _lasting(2.4, **A)}, made_up_ends=True),
    Scenario("is-kept-alive", {0: _lasting(2.4, **A), 2.4: _lasting(60, **A)}, made_up_ends=True),
    Scenario("begins-later", {0: lambda pair, name: pair.post(name, {"at": pair.time(-30), **firing(**A)})}),
    Scenario("joins-each-time", {0: _post(A), 2.4: _post(B), 4.4: _post(C)}),
    Scenario(
        "only-text-changes", {0: _said("one", **A), 2.4: _said("two", **A), 4.4: _both(_said("3", **A), _post(B))}
    ),
]
GROUPS = [
    Scenario("no-grouping", {0: _post({**A, **ONE}, {**B, **TWO})}, route={"group_by": []}),
    Scenario("inherits-grouping", {0: _post({**A, **ONE}, {**B, **TWO})}, route={"group_by": None}),
    Scenario("by-what-some-lack", {0: _post({**A, **ONE}, A, {**A, "y": "1"})}, route={"group_by": ["x", "y"]}),
    Scenario(
        "inherits-each-for-itself",
        {0: _post({**A, **ONE}, {**A, **TWO})},
        route={"group_by": ["..."], "routes": [{"matchers": ['x="1"'], "receiver": "inherits-each-for-itself-1"}]},
        hooks=(({},), ({},)),
    ),
    Scenario("empty-label", {0: _post({**A, "x": ""}, A), 2.4: _end({**A, "x": ""})}),
    Scenario("without-a-name", {0: _post(ONE, {})}),
    Scenario("many-labels", {0: _post({f"l{n:02}": str(n) for n in range(20)}, {"job": "b"}, {"instance": "1"})}),
    Scenario("three-hundred", {0: _post(*({"n": str(n)} for n in range(300))), 2.4: _end({"n": "7"})}),
    Scenario("hardly-any-shown", {0: _post(A, B, C), 2.4: _end(A, B)}, hooks=(({"max_alerts": 1},),)),
]
ROUTES = [
    Scenario(
        "three-go-on",
        {0: _post(A)},
        routes=[
            {"matchers": ['s="three-go-on"'], "receiver": name, "continue": True}
            for name in ("three-go-on", "three-go-on-1", "three-go-on-2")
        ],
        hooks=(({},), ({},), ({},)),
    ),
    Scenario(
        "child-goes-on",
        {0: _post({**A, **ONE}, {**A, **TWO}, {**A, "x": "3"})},
        route={
            "routes": [
                {"matchers": ['x=~"1|2"'], "receiver": "child-goes-on-1", "continue": True},
                {"matchers": ['x="2"'], "receiver": "child-goes-on-2", "group_by": ["x"]},
            ]
        },
        hooks=(({},), ({},), ({},)),
    ),
    Scenario(
        "whole-values",
        {0: _post({"x": "abc"}, {"x": "xabcx"}, {"x": "a\nc"}, {"x": "4"}, {})},
        route={
            "routes": [
                {"matchers": ['x=~"a.c"'], "receiver": "whole-values-1"},
                {"matchers": ['x!~"4|"', "x!=zzz"], "receiver": "whole-values-2"},
                {"matchers": ['x=""'], "receiver": "whole-values-3"},
            ]
        },
        hooks=(({},), ({},), ({},), ({},)),
    ),
    Scenario(
        "utf8",
        {0: lambda pair, name: pair.post(name, {**firing(), "größe": "é", "a b": "☃"})},
        route={"routes": [{"matchers": ['"größe"="é"', '{"a b"=~"."}'], "receiver": "utf8-1", "group_by": ["a b"]}]},
        hooks=(({},), ({},)),
    ),
    Scenario(
        "old-matchers",
        {0: _post({**A, **ONE}, {**A, **TWO}, {**A, "x": "33"})},
        route={"routes": [{"match": {"alertname": "A"}, "match_re": {"x": "[12]"}, "receiver": "old-matchers-1"}]},
        hooks=(({},), ({},)),
    ),
    Scenario(
        "deepest-wins",
        {0: _post({**A, **ONE, "y": "1"}, {**A, **ONE, "y": "2"}, A)},
        route={
            "group_wait": "2s",
            "routes": [
                {
                    "matchers": ["x=1"],
                    "group_interval": "1s",
                    "routes": [{"matchers": ["y=1"], "receiver": "deepest-wins-1", "group_wait": "1s"}],
                }
            ],
        },
        hooks=(({},), ({},)),
    ),
]
MUTES = [
    Scenario("by-week", {0: _post(A)}, route={"mute_time_intervals": ["week"]}),
    Scenario("by-month", {0: _post(A)}, route={"mute_time_intervals": ["months"]}),
    Scenario("by-day-from-the-end", {0: _post(A)}, route={"mute_time_intervals": ["days"]}),
    Scenario("by-place", {0: _post(A)}, route={"mute_time_intervals": ["tokyo"]}),
    Scenario("not-this-year", {0: _post(A)}, route={"mute_time_intervals": ["long ago"]}),
    Scenario("second-of-two", {0: _post(A)}, route={"mute_time_intervals": ["either"]}),
    Scenario("active-but-muted", {0: _post(A)}, route={"active_time_intervals": ["always"], **MUTED}),
    Scenario(
        "muted-above",
        {0: _post(A, {**A, **ONE})},
        route={**MUTED, "routes": [{"matchers": ["x=1"], "receiver": "muted-above-1"}]},
        hooks=(({},), ({},)),
    ),
    Scenario("silent-by-regex", {0: _both(_silence(60, x="=~1|2"), _post(ONE, TWO, {"x": "12"}))}),
    Scenario("silent-unless", {0: _both(_silence(60, x="!=1"), _post(ONE, TWO, {}))}),
    Scenario("silent-unless-regex", {0: _both(_silence(60, x="!~1.*"), _post(ONE, TWO, {"x": "12"}))}),
    Scenario("silence-ends-early", {0: _both(_silence(60), _post(A)), 2.4: _expire}),
    Scenario("silence-is-extended", {0: _both(_silence(2.4), _post(A)), 0.4: _silence(60)}),
    Scenario("silence-begins-later", {0: _both(_silence(60, after_s=2.0), _post(A)), 2.4: _post(B), 4.4: _end(A)}),
    Scenario(
        "silenced-in-the-middle", {0: _post(A, B), 2.4: _both(_silence(60, alertname="A"), _end(A)), 4.4: _end(B)}
    ),
    Scenario("over-while-silent-then-back", {0: _post(A), 0.4: _silence(4.0), 2.4: _end(A), 6.4: _post(A)}),
]
INHIBITS = [
    Scenario(
        "inhibits-itself-not",
        {0: _post({"sev": "high", **ONE}, {"sev": "high", **TWO})},
        inhibit=[{"source_matchers": ["sev=high"], "target_matchers": ["sev=high"]}],
    ),
    Scenario(
        "inhibited-inhibits",
        {0: _post({"sev": "1"}, {"sev": "2"}, {"sev": "3"})},
        inhibit=[
            {"source_matchers": ["sev=1"], "target_matchers": ["sev=2"]},
            {"source_matchers": ["sev=2"], "target_matchers": ["sev=3"]},
        ],
    ),
    Scenario(
        "inhibited-in-the-middle",
        {0: _post({"sev": "low"}), 2.4: _post({"sev": "high"}), 4.4: _end({"sev": "low"}), 6.4: _end({"sev": "high"})},
        inhibit=[{"source_matchers": ["sev=high"], "target_matchers": ["sev=low"]}],
    ),
    Scenario(
        "inhibits-old-style",
        {0: _post({"sev": "high", **ONE}, {"sev": "low", **ONE}, {"sev": "low", **TWO})},
        inhibit=[{"source_match": {"sev": "high"}, "target_match_re": {"sev": "l.w"}, "equal": ["x"]}],
    ),
    Scenario(
        "both-lack-the-equal-label",
        {0: _post({"sev": "high"}, {"sev": "low"}, {"sev": "low", "x": "1"})},
        inhibit=[{"source_matchers": ["sev=high"], "target_matchers": ["sev=low"], "equal": ["x", "y"]}],
    ),
    Scenario(
        "source-ends",
        {0: _post({"sev": "high"}, {"sev": "low"}), 2.4: _end({"sev": "high"}), 4.4: _post({"sev": "high"})},
        inhibit=[{"source_matchers": ["sev=high"], "target_matchers": ["sev=low"]}],
        route={"group_by": ["sev"]},
    ),
]
RECEIVERS = [
    Scenario(
        "one-tells-of-ends",
        {0: _post(A, B), 2.4: _end(A), 4.4: _end(B)},
        hooks=(({"send_resolved": False}, {"send_resolved": True}),),
    ),
    Scenario("one-fails-for-a-while", {0: _post(A), 2.4: _post(B)}, hooks=(({}, {}),)),
    Scenario("one-is-refused", {0: _post(A), 2.4: _post(B)}, hooks=(({}, {}),)),
    Scenario("told-by-nobody", {0: _post(A)}, hooks=((),)),
]
SCENARIOS = [*TIMERS, *GROUPS, *ROUTES, *MUTES, *INHIBITS, *RECEIVERS]
SILENT = {
    *("over-before-the-first-flush", "long-gone", "by-week", "by-month", "by-day-from-the-end", "by-place"),
    *("second-of-two", "active-but-muted", "told-by-nobody", "silence-is-extended"),
}


def answers(path: str, nth: int) -> int:
    """Give the status of the n-th answer on a path of the receivers that do not always take what they are sent."""
    if path == "/one-fails-for-a-while/0/1":
        return 200 if nth >= 2 else 503
    return 404 if path == "/one-is-refused/0/1" and nth == 0 else 200
