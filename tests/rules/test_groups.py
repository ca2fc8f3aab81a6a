"""Groups over fake doors: what is stored, what is sent, what an error does."""

import asyncio
import threading

import pytest
from tests.rules.conftest import MINUTE_MS, START_MS, Bench

from watchkeeper.model.doors import AlertSample
from watchkeeper.model.errors import Refused
from watchkeeper.model.metrics import REGISTRY
from watchkeeper.rules.settings import RuleSettings

RECORD = "groups: [{name: g, rules: [{record: r, expr: e, labels: {team: a}}]}]"
ALERT = "groups: [{name: g, rules: [{alert: A, expr: e, for: 2m, labels: {severity: page}}]}]"
QUICK = "groups: [{name: g, rules: [{alert: A, expr: e, annotations: {s: 'is {{ $value }}', empty: ''}}]}]"


def vector(**values: float) -> list[AlertSample]:
    return [AlertSample({"__name__": "m", "job": job}, value) for job, value in values.items()]


def test_recording_renames_relabels_and_stores_as_of_the_evaluation(bench: Bench) -> None:
    bench.load(RECORD)
    bench.ask.answers["e"] = [AlertSample({"__name__": "m", "job": "a", "team": "old"}, 5.0)]
    bench.tick()
    assert bench.last() == {"r{job=a,team=a}": 5.0}
    row = bench.store.rows[-1]
    assert (row.time_ms, row.whole, row.layout.source) == (START_MS + MINUTE_MS, True, "rules/rules.yml;g")
    assert bench.ask.asked == [("e", START_MS + MINUTE_MS)]


def test_series_that_vanish_are_left_out_of_the_row(bench: Bench) -> None:
    bench.load(RECORD)
    bench.ask.answers["e"] = vector(a=1, b=2)
    bench.tick()
    bench.ask.answers["e"] = vector(b=3)
    bench.tick()
    assert bench.last() == {"r{job=b,team=a}": 3.0}


def test_layout_is_registered_once_while_the_series_stay(bench: Bench) -> None:
    bench.load(RECORD)
    bench.ask.answers["e"] = vector(a=1, b=2)
    for _ in range(3):
        bench.tick()
    assert len(bench.store.layouts) == 1


def test_failed_rule_keeps_its_series_open_and_stops_no_other(bench: Bench) -> None:
    bench.load("groups: [{name: g, rules: [{record: r, expr: e}, {record: q, expr: f}]}]")
    bench.ask.answers |= {"e": vector(a=1), "f": vector(a=2)}
    bench.tick()
    bench.ask.fail("e")
    bench.tick()
    assert bench.last() == {"r{job=a}": None, "q{job=a}": 2.0}
    first, second = bench.runner.rules_json()["groups"][0]["rules"]
    assert (first["health"], first["lastError"]) == ("err", "it broke")
    assert second["health"] == "ok" and "lastError" not in second


def test_crash_inside_a_rule_is_an_error_of_that_rule(bench: Bench) -> None:
    bench.load("groups: [{name: g, rules: [{record: r, expr: e}, {record: q, expr: f}]}]")
    bench.ask.answers |= {"e": ZeroDivisionError("ours"), "f": vector(a=2)}
    bench.tick()
    assert bench.last() == {"q{job=a}": 2.0}


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("{record: r, expr: e}", "vector contains metrics with the same labelset after applying rule labels"),
        ("{alert: r, expr: e}", "vector contains metrics with the same labelset after applying alert labels"),
    ],
)
def test_equal_labels_are_an_error_in_prometheus_words(bench: Bench, rule: str, text: str) -> None:
    bench.load(f"groups: [{{name: g, rules: [{rule}]}}]")
    bench.ask.answers["e"] = [AlertSample({"__name__": name}, 1.0) for name in ("a", "b")]
    bench.tick()
    assert bench.runner.rules_json()["groups"][0]["rules"][0]["lastError"] == text
    assert bench.last() == {}


def test_limit_of_a_group_fails_the_rule_and_forgets_its_alerts(bench: Bench) -> None:
    bench.load("groups: [{name: g, limit: 1, rules: [{record: r, expr: e}, {alert: A, expr: e}]}]")
    bench.ask.answers["e"] = vector(a=1, b=2)
    bench.tick()
    errors = [rule["lastError"] for rule in bench.runner.rules_json()["groups"][0]["rules"]]
    assert errors == ["exceeded limit of 1 with 2 series", "exceeded limit of 1 with 2 alerts"]
    assert bench.states() == [] and bench.sent == []


def test_our_own_limit_on_results_holds() -> None:
    bench = Bench(RuleSettings(results_max=1))
    bench.load(RECORD)
    bench.ask.answers["e"] = vector(a=1, b=2)
    bench.tick()
    assert bench.runner.rules_json()["groups"][0]["rules"][0]["health"] == "err"


def test_query_offset_shifts_question_and_samples_not_the_alert(bench: Bench) -> None:
    bench.load(QUICK.replace("name: g", "name: g, query_offset: 10s"))
    bench.ask.answers["e"] = vector(a=1)
    bench.tick()
    now_ms = START_MS + MINUTE_MS
    assert bench.ask.asked == [("e", now_ms - 10_000)]
    assert bench.store.rows[-1].time_ms == now_ms - 10_000
    assert bench.sent[0][0].starts_at_ms == now_ms


def test_alert_waits_fires_and_is_over(bench: Bench) -> None:
    bench.load(ALERT)
    bench.ask.answers["e"] = vector(a=1)
    bench.tick()
    assert bench.states() == ["pending"] and bench.sent == []
    assert bench.last() == {
        "ALERTS{alertname=A,alertstate=pending,job=a,severity=page}": 1.0,
        "ALERTS_FOR_STATE{alertname=A,job=a,severity=page}": (START_MS + MINUTE_MS) / 1000,
    }
    bench.tick()
    assert bench.states() == ["pending"]
    bench.tick()
    assert bench.states() == ["firing"]
    bench.ask.answers["e"] = []
    bench.tick()
    assert bench.states() == [] and bench.last() == {}
    fired, ended = (alerts[0] for alerts in bench.sent)
    assert fired.labels == ended.labels == {"alertname": "A", "job": "a", "severity": "page"}
    assert fired.starts_at_ms == ended.starts_at_ms == START_MS + 3 * MINUTE_MS
    assert fired.ends_at_ms == fired.starts_at_ms + 4 * MINUTE_MS
    assert ended.ends_at_ms == START_MS + 4 * MINUTE_MS
    assert fired.generator_url == "http://wk.example/graph?g0.expr=e&g0.tab=1"


def test_pending_alert_that_ends_is_forgotten_without_a_word(bench: Bench) -> None:
    bench.load(ALERT)
    bench.ask.answers["e"] = vector(a=1)
    bench.tick()
    bench.ask.answers["e"] = []
    bench.tick()
    assert bench.states() == [] and bench.sent == []


def test_firing_alert_is_sent_again_after_the_delay(bench: Bench) -> None:
    bench.load(QUICK)
    bench.ask.answers["e"] = vector(a=1)
    for _ in range(9):
        bench.tick(15_000)
    assert len(bench.sent) == 2


def test_resolved_alert_is_sent_for_a_quarter_of_an_hour(bench: Bench) -> None:
    bench.load(QUICK)
    bench.ask.answers["e"] = vector(a=1)
    bench.tick()
    bench.ask.answers["e"] = []
    bench.tick()
    ended_at = bench.clock.ms
    for _ in range(30):
        bench.tick()
    resolved = [alert for alerts in bench.sent for alert in alerts if alert.ends_at_ms == ended_at]
    assert [alert.updated_at_ms - ended_at for alert in resolved] == [
        0,
        *range(2 * MINUTE_MS, 16 * MINUTE_MS, 2 * MINUTE_MS),
    ]


def test_alert_that_comes_back_starts_anew(bench: Bench) -> None:
    bench.load(QUICK)
    for values in ([("a", 1.0)], [], [("a", 2.0)]):
        bench.ask.answers["e"] = vector(**dict(values))
        bench.tick()
    assert [alerts[0].starts_at_ms for alerts in bench.sent] == [
        START_MS + MINUTE_MS,
        START_MS + MINUTE_MS,
        START_MS + 3 * MINUTE_MS,
    ]
    assert bench.sent[-1][0].annotations == {"s": "is 2"}


def test_keep_firing_for_bridges_a_gap(bench: Bench) -> None:
    bench.load(QUICK.replace("expr: e,", "expr: e, keep_firing_for: 3m,"))
    bench.ask.answers["e"] = vector(a=1)
    bench.tick()
    bench.ask.answers["e"] = []
    bench.tick()
    shown = bench.runner.alerts_json()["alerts"][0]
    assert shown["state"] == "firing" and shown["keepFiringSince"] == "2027-01-15T08:02:00Z"
    bench.tick()
    bench.ask.answers["e"] = vector(a=1)
    bench.tick()
    assert "keepFiringSince" not in bench.runner.alerts_json()["alerts"][0]
    bench.ask.answers["e"] = []
    for _ in range(3):
        bench.tick()
        assert bench.states() == ["firing"]
    bench.tick()
    assert bench.states() == []


def test_value_and_annotations_follow_the_expression(bench: Bench) -> None:
    bench.load(QUICK)
    for value in (1.0, 2.5):
        bench.ask.answers["e"] = vector(a=value)
        bench.tick()
    shown = bench.runner.alerts_json()["alerts"][0]
    assert (shown["value"], shown["annotations"]) == ("2.5e+00", {"s": "is 2.5"})


def test_external_labels_are_sent_and_not_stored(bench: Bench) -> None:
    bench.load(QUICK, external_labels={"cluster": "c", "job": "never"})
    bench.ask.answers["e"] = vector(a=1)
    bench.tick()
    assert bench.sent[0][0].labels == {"alertname": "A", "cluster": "c", "job": "a"}
    assert "ALERTS{alertname=A,alertstate=firing,job=a}" in bench.last()


def test_group_labels_are_joined_and_the_rules_own_win(bench: Bench) -> None:
    bench.load("groups: [{name: g, labels: {team: x, x: y}, rules: [{record: r, expr: e, labels: {team: z}}]}]")
    bench.ask.answers["e"] = vector(a=1)
    bench.tick()
    assert bench.last() == {"r{job=a,team=z,x=y}": 1.0}


def test_refused_write_does_not_keep_alerts_from_being_sent(bench: Bench) -> None:
    bench.load(QUICK)
    bench.ask.answers["e"] = vector(a=1)
    bench.store.refuse = Refused("the disk is full")
    bench.tick()
    assert len(bench.sent) == 1
    assert bench.runner.rules_json()["groups"][0]["rules"][0]["lastError"] == "the disk is full"


def test_failed_sending_does_not_keep_samples_from_being_stored(bench: Bench) -> None:
    bench.load(QUICK)
    bench.ask.answers["e"] = vector(a=1)
    bench.send_error = Refused("not now")
    bench.tick()
    assert len(bench.last()) == 2
    bench.send_error = None
    bench.tick(2 * MINUTE_MS)
    assert len(bench.sent) == 1


def test_reload_keeps_the_state_of_rules_that_stay(bench: Bench) -> None:
    bench.load(ALERT)
    bench.ask.answers["e"] = vector(a=1)
    bench.tick()
    bench.load(ALERT.replace("rules: [", "rules: [{record: new, expr: f}, "))
    bench.tick()
    bench.tick()
    assert bench.states() == ["firing"]
    assert bench.runner.alerts_json()["alerts"][0]["activeAt"] == "2027-01-15T08:01:00Z"


def test_reload_with_other_labels_makes_another_rule(bench: Bench) -> None:
    bench.load(ALERT)
    bench.ask.answers["e"] = vector(a=1)
    bench.tick()
    bench.load(ALERT.replace("page", "mail"))
    assert bench.states() == []


def test_reload_without_a_group_ends_its_series_and_its_counters(bench: Bench) -> None:
    bench.load(RECORD)
    bench.ask.answers["e"] = vector(a=1)
    bench.tick()
    bench.load("")
    assert bench.last() == {} and bench.store.rows[-1].whole
    assert REGISTRY.get_sample_value("prometheus_rule_group_rules", {"rule_group": "rules.yml;g"}) is None


def test_evaluations_and_failures_are_counted(bench: Bench) -> None:
    def count(name: str) -> float:
        return REGISTRY.get_sample_value(name, {"rule_group": "rules.yml;counted"}) or 0.0

    bench.load("groups: [{name: counted, rules: [{record: r, expr: e}, {record: q, expr: f}]}]")
    bench.ask.fail("e")
    bench.tick()
    assert count("prometheus_rule_evaluations_total") == 2
    assert count("prometheus_rule_evaluation_failures_total") == 1
    assert count("prometheus_rule_group_iterations_total") == 1
    assert count("prometheus_rule_group_interval_seconds") == 60


def test_questions_are_asked_in_a_worker_thread(bench: Bench) -> None:
    threads = []
    bench.load(RECORD)

    def ask(*_: object) -> list[AlertSample]:
        threads.append(threading.current_thread())
        return []

    bench.runner._ask = ask
    bench.load("")
    bench.load(RECORD)
    asyncio.run(bench.runner.evaluate_all(START_MS))
    assert threads[0] is not threading.main_thread()
