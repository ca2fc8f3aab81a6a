"""The same alertmanager.yml and the same timeline of alerts give the same notifications as Alertmanager's.

All scenarios run at once in one pair of processes, each with a label, a route and hooks of its own; what is compared is
what the hooks got: which messages, in which order, with which content, and when (within a second).
"""

import pytest
from tests.notify.peer import Hook
from tests.notify.side_by_side import FIRING, Act, Found, Pair, Played, assert_same, firing, over, play

pytestmark = pytest.mark.peer

ROUTES = """
- {matchers: [s="grouping"], receiver: grouping, group_by: [alertname]}
- {matchers: [s="continue"], receiver: continue, continue: true}
- {matchers: ['s=~"cont.*"'], receiver: "second, +1", group_by: [s]}
- {matchers: [s="inhibit"], receiver: inhibit, group_by: [instance]}
- {matchers: [s="silence"], receiver: silence}
- {matchers: [s="resolved"], receiver: resolved}
- {matchers: [s="repeat"], receiver: repeat, repeat_interval: 2500ms, group_interval: 1s}
- {matchers: [s="quiet"], receiver: quiet}
- {matchers: [s="each"], receiver: each, group_by: ['...']}
- {matchers: [s="many"], receiver: many}
- match: {s: nested}
  receiver: nested
  group_by: [a]
  routes:
  - match_re: {team: "x|y"}
    matchers: ['env!="dev"', "zone=~eu.*"]
    receiver: "nested deep"
    group_by: []
    routes: [{matchers: ['quote="a\\"b\\\\c"'], continue: true}]
- {matchers: [s="broken"], receiver: broken}
- {matchers: [s="refused"], receiver: refused}
- {matchers: [s="old"], receiver: old, group_wait: 6s, group_interval: 2s}
- {matchers: [s="older"], receiver: older, group_wait: 4s, group_interval: 2s}
- {matchers: [s="muted"], receiver: muted, mute_time_intervals: [never, always]}
- {matchers: [s="inactive"], receiver: inactive, active_time_intervals: [never]}
- {matchers: [s="active"], receiver: active, active_time_intervals: [never, always], mute_time_intervals: [never]}
- {matchers: [s="hushed"], receiver: hushed}
- {matchers: [s="timeout"], receiver: timeout}
- {matchers: [s="added"], receiver: added}
- {matchers: [s="changed"], receiver: changed}
- {matchers: [s="again"], receiver: again}
- {matchers: [s="partly"], receiver: partly, group_by: [s]}
"""
EXTRA = {"quiet": "send_resolved: false", "many": "max_alerts: 2"}
RECEIVERS = [
    *("root", "grouping", "continue", "inhibit", "silence", "resolved", "repeat", "quiet", "each", "many", "nested"),
    *("broken", "refused", "old", "older", "muted", "inactive", "active", "hushed", "timeout", "added", "changed"),
    *("again", "partly"),
    "second, +1",
    "nested deep",
]
CONFIG = """
global: {{resolve_timeout: 4s}}
route:
  receiver: root
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 1h
  routes:{routes}
inhibit_rules:
- source_matchers: [severity="critical", s="inhibit"]
  target_matchers: [severity="warning"]
  equal: [instance, none]
time_intervals:
- {{name: never, time_intervals: [{{years: ['2001']}}]}}
- {{name: always, time_intervals: [{{times: [{{start_time: 00:00, end_time: 24:00}}]}}]}}
receivers:
{receivers}
"""


def config(hook: Hook) -> str:
    lines = []
    for name in RECEIVERS:
        path = name.replace(" ", "-").replace(",", "").replace("+", "")
        lines.append(f'- name: "{name}"')
        lines.append("  webhook_configs:")
        extra = EXTRA.get(name)
        lines.append(f"  - {{url: '{hook.url}/{path}'{', ' + extra if extra else ''}}}")
    return CONFIG.format(routes=ROUTES.replace("\n", "\n  "), receivers="\n".join(lines))


def at_0(pair: Pair) -> None:
    a, b = {"alertname": "A"}, {"alertname": "B"}
    job = {"job": "web", "instance": "2"}
    pair.post("grouping", firing(**a, x="1"), firing(**a, **job), firing(**a, **job | {"instance": "1"}), firing(**b))
    pair.post("continue", {"with": {**FIRING, "annotations": {"b": "<&>", "a": "é"}, "generatorURL": "http://g/?a&b"}})
    pair.post("inhibit", firing(severity="critical", instance="1"))
    pair.post("inhibit", firing(severity="warning", instance="1"), firing(severity="warning", instance="2"))
    pair.silence("for three seconds", 3, s="silence", x="1")
    pair.post("silence", firing(x="1"), firing(x="2"))
    for scenario in ("resolved", "quiet", "hushed", "added", "again"):
        pair.post(scenario, firing(alertname="A"))
    pair.post("repeat", firing(alertname="A"))
    pair.post("each", firing(x="1"), firing(x="2"), firing(x="2", y='q"\n\\'))
    pair.post("many", *(firing(x=str(n), common="c") for n in range(4)))
    deep = {"team": "x", "zone": "eu-1", "a": "1"}
    pair.post("nested", firing(**deep), firing(**deep, quote='a"b\\c'), firing(**deep | {"env": "dev"}))
    pair.post("broken", firing(x="1"))
    pair.post("refused", firing(x="1"))
    pair.post("old", {"at": pair.time(60), **firing(x="1")})
    pair.post("older", firing(x="1"))
    pair.post("muted", firing(x="1"))
    pair.post("inactive", firing(x="1"))
    pair.post("active", firing(x="1"))
    pair.post("timeout", {"alertname": "A"})
    pair.post("changed", {"with": {**FIRING, "annotations": {"a": "1"}}, "alertname": "A"})
    pair.post("partly", firing(x="1"), firing(x="2"))
    pair.post("no route of its own", firing(x="1"))


def at_2(pair: Pair) -> None:
    pair.post("older", {"at": pair.time(60), **firing(x="2")})
    pair.post("added", firing(alertname="B"))
    pair.post("changed", {"with": {**FIRING, "annotations": {"a": "2"}}, "alertname": "A"})
    pair.silence("hushed", 60, s="hushed")


def at_3(pair: Pair) -> None:
    for scenario in ("resolved", "quiet", "hushed", "again"):
        pair.post(scenario, over(pair, alertname="A"))
    pair.post("inhibit", over(pair, severity="critical", instance="1"))
    pair.post("partly", over(pair, x="1"))


def at_7(pair: Pair) -> None:
    pair.post("again", firing(alertname="A"))
    pair.post("hushed", firing(alertname="A"))
    pair.post("old", firing(x="2"))


TIMELINE: list[Act] = [(0, at_0), (2.4, at_2), (3.4, at_3), (7.5, at_7)]
LENGTH_S = 12.5


def answers(path: str, nth: int) -> int:
    if path == "/broken":
        return 200 if nth >= 2 else 503
    return 404 if path == "/refused" else 200


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Give what each side's hook received, by path, as times since the start."""
    return Played(lambda: play(tmp_path_factory.mktemp("peer"), config, TIMELINE, LENGTH_S, answers))


PATHS = sorted("/" + name.replace(" ", "-").replace(",", "").replace("+", "") for name in RECEIVERS)


@pytest.mark.parametrize("path", PATHS)
def test_receives_what_alertmanager_sends(path: str, run: Played) -> None:
    def check(found: Found) -> None:
        sides = found.get(path, {"real": [], "ours": []})
        if path in ("/broken", "/refused"):  # retries come at random moments
            sides = {side: sorted(received, key=lambda one: one.at_s)[:3] for side, received in sides.items()}
        assert_same(sides, slack_s=1.5 if path != "/broken" else 3.0, made_up_ends=path == "/timeout")

    run.check(check)


def test_is_silent_where_alertmanager_is(run: Played) -> None:
    def check(found: Found) -> None:
        assert [path for path in PATHS if path not in found] == ["/inactive", "/muted"]

    run.check(check)


def test_bytes_are_alertmanagers(run: Played) -> None:
    def check(found: Found) -> None:
        for path in ("/continue", "/each", "/nested-deep"):
            theirs, mine = (
                sorted(one.raw.split(b',"externalURL"')[0] for one in found[path][side]) for side in ("real", "ours")
            )
            assert mine == theirs

    run.check(check)
