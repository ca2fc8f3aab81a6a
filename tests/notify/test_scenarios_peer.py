"""Fifty and more scenarios: what Alertmanager sends, to whom and when, is what we send."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.notify.peer import Hook, Received
from tests.notify.scenarios import LENGTH_S, MOMENTS, SCENARIOS, SILENT, Scenario, answers
from tests.notify.side_by_side import Act, Found, Pair, Played, assert_same, firing, play

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("scenarios")]

INTERVALS = {
    "always": [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}],
    "week": [{"weekdays": ["sunday:saturday"]}],
    "months": [{"months": ["1:6", "july:december"]}],
    "days": [{"days_of_month": ["-31:-1"]}],
    "tokyo": [{"times": [{"start_time": "00:00", "end_time": "24:00"}], "location": "Asia/Tokyo"}],
    "long ago": [{"years": ["1990:2001"], "weekdays": ["sunday:saturday"]}],
    "either": [{"years": ["2001"]}, {"years": ["2002:2200"]}],
}


def config(hook: Hook, scenarios: list[Scenario]) -> str:
    """Give alertmanager.yml, which may be JSON: YAML holds it."""
    routes: list[dict[str, Any]] = []
    receivers: list[dict[str, Any]] = [{"name": "nobody"}]
    for one in scenarios:
        routes += one.routes or [{"matchers": [one.own], "receiver": one.name, **one.route}]
        for at, hooks in enumerate(one.hooks):
            urls = [{"url": f"{hook.url}/{one.name}/{at}/{n}", **more} for n, more in enumerate(hooks)]
            receivers.append({"name": f"{one.name}-{at}" if at else one.name, "webhook_configs": urls})
    content = {
        "route": {
            "receiver": "nobody",
            "group_wait": "1s",
            "group_interval": "2s",
            "repeat_interval": "1h",
            "routes": routes,
        },
        "inhibit_rules": [_within(one, rule) for one in scenarios for rule in one.inhibit],
        "time_intervals": [{"name": name, "time_intervals": parts} for name, parts in INTERVALS.items()],
        "receivers": receivers,
    }
    return orjson.dumps(content).decode()


def _within(scenario: Scenario, rule: dict[str, Any]) -> dict[str, Any]:
    """Let a rule concern the scenario's own alerts only."""
    return {**rule, "equal": [*rule.get("equal", ()), "s"]} | {
        f"{side}_matchers": [*rule.get(f"{side}_matchers", ()), scenario.own] for side in ("source", "target")
    }


def _played(folder: Path, scenarios: list[Scenario]) -> Found:
    def at(moment: float) -> Act:
        def act(pair: Pair) -> None:
            for one in scenarios:
                if moment in one.steps:
                    one.steps[moment](pair, one.name)

        return moment, act

    return play(folder, lambda hook: config(hook, scenarios), list(map(at, MOMENTS)), LENGTH_S, answers)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return _played(tmp_path_factory.mktemp("scenarios"), SCENARIOS)


def _of(found: Found, name: str) -> dict[str, dict[str, list[Received]]]:
    return {path: sides for path, sides in found.items() if path.split("/")[1] == name}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_receivers_get_what_alertmanager_sends(scenario: Scenario, found: Found, tmp_path: Path) -> None:
    try:
        _assert_same_as_alertmanager(scenario, found)
    except AssertionError:  # a busy machine moves a timer past a step now and then: a true difference comes again
        _assert_same_as_alertmanager(scenario, _played(tmp_path, [scenario]))


def _assert_same_as_alertmanager(scenario: Scenario, found: Found) -> None:
    of_this = _of(found, scenario.name)
    assert bool(of_this) == (scenario.name not in SILENT)
    for path, sides in of_this.items():
        slack_s = 3.0 if path == "/one-fails-for-a-while/0/1" else 1.5  # tried again at random moments
        assert_same(sides, slack_s=slack_s, made_up_ends=scenario.made_up_ends)


def test_there_are_fifty() -> None:
    assert len({one.name for one in SCENARIOS}) == len(SCENARIOS) >= 50


# --- what a reload and a restart keep ---

_KEPT = ("stays", "ends", "silent", "moves", "new-route")


def _kept_config(hook: Hook) -> str:
    return config(hook, [Scenario(name, {}) for name in _KEPT])


def _begin(pair: Pair) -> None:
    pair.silence("silent", 60, s="silent")
    _say_again(pair)


def _say_again(pair: Pair) -> None:
    """Say what fires as Prometheus does, with the moment since when."""
    since = pair.first.setdefault("A", pair.time())
    for name in _KEPT:
        pair.post(name, {"at": since, **firing(alertname="A")})


def _reload(pair: Pair) -> None:
    pair.reload(lambda text: text.replace("/moves/0/0", "/moved/0/0"))


def _after_reload(pair: Pair) -> None:
    pair.post("moves", {"at": pair.first.setdefault("B", pair.time()), **firing(alertname="B")})
    _say_again(pair)


def _restart(pair: Pair) -> None:
    pair.restart()
    _say_again(pair)
    pair.post("moves", {"at": pair.first["B"], **firing(alertname="B")})


def _end(pair: Pair) -> None:
    ended = {"startsAt": pair.first["A"], "endsAt": pair.time()}
    pair.post("ends", {"with": ended, "alertname": "A"})
    pair.post("stays", firing(alertname="C"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Played:
    timeline: list[Act] = [(0, _begin), (2.4, _reload), (2.6, _after_reload), (5.4, _restart), (8.0, _end)]
    return Played(lambda: play(tmp_path_factory.mktemp("kept"), _kept_config, timeline, 14))


@pytest.mark.parametrize("path", ["/stays/0/0", "/ends/0/0", "/moves/0/0", "/moved/0/0", "/new-route/0/0"])
def test_a_reload_and_a_restart_repeat_nothing_and_lose_nothing(path: str, kept: Played) -> None:
    kept.check(lambda found: assert_same(found[path], slack_s=3.0))


def test_a_silence_outlives_a_restart(kept: Played) -> None:
    def check(found: Found) -> None:
        assert "/silent/0/0" not in found

    kept.check(check)
