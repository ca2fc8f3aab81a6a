import math
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pytest
from tests.query.logql.liststore import ListStore

from watchkeeper.model.errors import BadQuery, OverLimit
from watchkeeper.query.logql.engine import Engine
from watchkeeper.query.logql.result import Lines, Matrix
from watchkeeper.query.logql.settings import LogQuerySettings

S = 10**9


def engine(store: ListStore, **settings: int) -> Engine:
    return Engine(store, LogQuerySettings(**settings))


def texts(found: object) -> list[str]:
    assert isinstance(found, Lines)
    return [line.text.decode() for line in found.lines]


def values(found: object) -> dict[tuple[tuple[str, str], ...], list[float]]:
    assert isinstance(found, Matrix)
    return {tuple(labels.items()): row for labels, row in zip(found.labels, found.values.tolist(), strict=True)}


def filled(store: ListStore) -> ListStore:
    chance = random.Random(1)
    for app in ("api", "web"):
        lines = []
        for at in range(30):
            fields: dict[str, Any] = {
                "level": chance.choice(["info", "warn", "error"]), "status": chance.choice([200, 404, 500]),
                "took": f"{chance.randrange(1, 3000)}ms", "size": chance.choice(["1KB", "2MiB"]), "n": at,
                "nested": {"deep": {"er": app}, "list": [1]}, "app": "other", "empty": "", "none": None, "ok": True,
            }  # fmt: skip
            lines.append((at * S, orjson.dumps(fields)))
        store.add({"app": app}, lines)
    return store


def parsed(store: ListStore) -> list[tuple[str, int, dict[str, Any], bytes]]:
    return [(labels["app"], time, orjson.loads(line), line) for labels, time, line in store.rows]


def test_lines_come_in_the_direction_asked_for_and_no_more_than_the_limit(store: ListStore) -> None:
    store.add({"app": "a"}, [(at * S, b"a%d" % at) for at in range(10)])
    store.add({"app": "b"}, [(at * S + 1, b"b%d" % at) for at in range(10)])
    run = engine(store)
    assert texts(run.range('{app=~".+"}', 0, 100 * S, S, limit=3)) == ["b9", "a9", "b8"]
    assert texts(run.range('{app=~".+"}', 0, 100 * S, S, limit=3, direction="forward")) == ["a0", "b0", "a1"]
    assert texts(run.range('{app="a"}', 3 * S, 6 * S, S, limit=100)) == ["a5", "a4", "a3"]
    assert texts(run.range('{app="a"} |= "7"', 0, 100 * S, S)) == ["a7"]
    assert texts(run.range('{app="a"} !~ "[1-9]"', 0, 100 * S, S)) == ["a0"]
    assert texts(run.range('{app="none"}', 0, 100 * S, S)) == []


FILTERS = [
    ('| json | level="error"', lambda app, f: f["level"] == "error"),
    ('| json | level!="error"', lambda app, f: f["level"] != "error"),
    ('| json | level=~"err.*|warn"', lambda app, f: f["level"] in ("error", "warn")),
    ("| json | status>=404", lambda app, f: f["status"] >= 404),
    ("| json | status=200 or level=`warn`", lambda app, f: f["status"] == 200 or f["level"] == "warn"),
    ('| json | status="200" and level="warn"', lambda app, f: f["status"] == 200 and f["level"] == "warn"),
    ("| json | took>1s", lambda app, f: int(f["took"][:-2]) > 1000),
    ("| json | size<1MB", lambda app, f: f["size"] == "1KB"),
    ('| json | nested_deep_er="web"', lambda app, f: app == "web"),
    ('| json | app="api"', lambda app, f: app == "api"),
    ('| json | app_extracted="other" | ok="true"', lambda app, f: True),
    ('| json deep="nested.deep.er", first="nested.list[0]" | deep="api" | first="1"', lambda app, f: app == "api"),
    ('|= "error" | json | n > 10 != "web"', lambda app, f: f["level"] == "error" and f["n"] > 10 and app != "web"),
    ('| json | empty="" | missing="" | none=""', lambda app, f: True),
    ("| json | missing > 1", lambda app, f: False),
    ('| regexp "took\\":\\"(?P<ms>[0-9]+)ms" | ms < 100', lambda app, f: int(f["took"][:-2]) < 100),
]


@pytest.mark.parametrize(("pipeline", "want"), FILTERS, ids=[text for text, _ in FILTERS])
def test_filters_give_what_a_plain_loop_gives(store: ListStore, pipeline: str, want: Any) -> None:
    filled(store)
    found = engine(store).range('{app=~".+"} ' + pipeline, 0, 100 * S, S, limit=5000)
    rows = sorted((time, line) for app, time, fields, line in parsed(store) if want(app, fields))
    assert isinstance(found, Lines)
    assert sorted((line.time_ns, line.text) for line in found.lines) == rows
    counted = engine(store).instant(f'sum(count_over_time({{app=~".+"}} {pipeline} [100s]))', 50 * S)
    assert sum(sum(row) for row in values(counted).values()) == len([row for row in rows if row[0] > -50 * S])


def test_labels_of_a_json_line(store: ListStore) -> None:
    store.add({"app": "a"}, [(1, b'{"level":"x","a b":{"1c":2.5},"app":"y","l":[1],"t":true}')], [{"trace": "7"}])
    found = engine(store).range('{app="a"} | json', 0, 10, S)
    assert isinstance(found, Lines)
    assert found.lines[0].labels == {
        "a_b_1c": "2.5", "app": "a", "app_extracted": "y", "level": "x", "t": "true", "trace": "7",
    }  # fmt: skip
    assert found.lines[0].metadata == {"trace": "7"}
    assert texts(engine(store).range('{app="a"} | trace="7"', 0, 10, S)) != []
    assert texts(engine(store).range('{app="a"} | trace="8"', 0, 10, S)) == []


def test_a_value_written_with_escapes_is_found_all_the_same(store: ListStore) -> None:
    store.add({"app": "a"}, [(1, b'{"level":"\\u0065rror"}'), (2, b'{"level":"error"}'), (3, b'{"level":"info"}')])
    assert len(texts(engine(store).range('{app="a"} | json | level="error"', 0, 10, S))) == 2


def test_lines_that_cannot_be_parsed_have_an_error_label_and_fail_metric_queries(store: ListStore) -> None:
    store.add({"app": "a"}, [(1 * S, b"not json"), (2 * S, b'{"level":"x"}')])
    found = engine(store).range('{app="a"} | json | __error__="JSONParserErr"', 0, 10 * S, S)
    assert texts(found) == ["not json"]
    with pytest.raises(BadQuery, match="pipeline error: 'JSONParserErr' for series: "):
        engine(store).instant('count_over_time({app="a"} | json [1m])', 10 * S)
    for fix in ('| __error__=""', "| drop __error__"):
        assert values(engine(store).instant(f'sum(count_over_time({{app="a"}} | json {fix} [1m]))', 10 * S))


def test_logfmt(store: ListStore) -> None:
    store.add({"app": "a"}, [(1, b'level=warn msg="two words \\"q\\"" took=1.5s bad= x-y=1')])
    found = engine(store).range('{app="a"} | logfmt | took > 1s', 0, 10, S)
    assert isinstance(found, Lines)
    assert found.lines[0].labels == {
        "app": "a", "level": "warn", "msg": 'two words "q"', "took": "1.5s", "x_y": "1",
    }  # fmt: skip


def test_formats_and_keep_and_drop(store: ListStore) -> None:
    store.add({"app": "a"}, [(1, b'{"level":"x","n":1}')])
    run = engine(store)
    assert texts(run.range('{app="a"} | json | line_format "{{.level}}-{{ .n }} {{.none}}!"', 0, 10, S)) == ["x-1 !"]
    for stage, want in {
        "keep level": {"level": "x"},
        "drop app, n": {"level": "x"},
        'drop level="y", n': {"app": "a", "level": "x"},
        "label_format lvl=level": {"app": "a", "lvl": "x", "n": "1"},
        'label_format both="{{.level}}{{.n}}"': {"app": "a", "both": "x1", "level": "x", "n": "1"},
    }.items():
        found = run.range(f'{{app="a"}} | json | {stage}', 0, 10, S)
        assert isinstance(found, Lines)
        assert found.lines[0].labels == want, stage


def counted(store: ListStore, at: int, window: int, weight: Any = lambda row: 1) -> float:
    rows = [weight(row) for row in store.rows if at - window < row[1] <= at]
    return float(sum(rows)) if rows else math.nan


@pytest.mark.parametrize("window", [1, 7, 40])
def test_windows_are_open_on_the_left_and_closed_on_the_right(store: ListStore, window: int) -> None:
    filled(store)
    steps = range(0, 60, 5)
    found = {
        op: engine(store).range(f'sum({op}({{app=~".+"}}[{window}s]))', 0, 59 * S, 5 * S)
        for op in ("count_over_time", "rate", "bytes_over_time", "bytes_rate")
    }
    lines = [counted(store, at * S, window * S) for at in steps]
    size = [counted(store, at * S, window * S, lambda row: len(row[2])) for at in steps]
    wanted: dict[str, list[float] | np.ndarray] = {
        "count_over_time": lines, "rate": np.array(lines) / window, "bytes_over_time": size,
        "bytes_rate": np.array(size) / window,
    }  # fmt: skip
    for op, want in wanted.items():
        (row,) = values(found[op]).values()
        assert np.allclose(row, want, equal_nan=True), op


def test_sums_by_a_parsed_label_equal_the_plain_count(store: ListStore) -> None:
    filled(store)
    found = values(engine(store).instant('sum by (level) (count_over_time({app="api"} | json [1h]))', 100 * S))
    want: dict[str, int] = {}
    for app, _, fields, _ in parsed(store):
        if app == "api":
            want[fields["level"]] = want.get(fields["level"], 0) + 1
    assert {dict(key)["level"]: row[0] for key, row in found.items()} == want
    whole = values(engine(store).instant('max by (level) (count_over_time({app="api"} | json [1h]))', 100 * S))
    assert {dict(key)["level"] for key in whole} == set(want)


def test_unwrapped_values(store: ListStore) -> None:
    filled(store)
    numbers = [fields["n"] for app, _, fields, _ in parsed(store) if app == "web"]
    for op, want in {
        "sum_over_time": sum(numbers), "avg_over_time": np.mean(numbers), "max_over_time": 29, "min_over_time": 0,
        "last_over_time": 29, "first_over_time": 0, "quantile_over_time": np.quantile(numbers, 0.9),
        "stddev_over_time": np.std(numbers),
    }.items():  # fmt: skip
        first = "0.9, " if op.startswith("quantile") else ""
        found = engine(store).instant(f'sum({op}({first}{{app="web"}} | json | keep n | unwrap n [1h]))', 100 * S)
        assert values(found) == {(): [pytest.approx(want)]}, op


def test_aggregations_and_operators(store: ListStore) -> None:
    for app, count in {"a": 1, "b": 2, "c": 4}.items():
        store.add({"app": app, "env": "x"}, [(S + at, b"l") for at in range(count)])
    run = engine(store)

    def at_once(expr: str) -> Mapping[Any, list[float]]:
        return values(run.instant(expr, 10 * S))

    every = 'count_over_time({env="x"}[1m])'
    assert at_once(f"sum by (env) ({every})") == {(("env", "x"),): [7.0]}
    assert at_once(f"avg({every})") == {(): [pytest.approx(7 / 3)]}
    assert at_once(f"count({every})") == {(): [3.0]}
    assert at_once(f"max({every})") == {(): [4.0]}
    assert at_once(f"sum without (app) ({every})") == {(("env", "x"),): [7.0]}
    assert {dict(key)["app"] for key in at_once(f"topk(2, {every})")} == {"b", "c"}
    assert {dict(key)["app"] for key in at_once(f"bottomk(1, {every})")} == {"a"}
    assert {dict(key)["app"] for key in at_once(f"{every} > 1")} == {"b", "c"}
    assert sorted(row[0] for row in at_once(f"{every} > bool 1").values()) == [0, 1, 1]
    assert sorted(row[0] for row in at_once(f"{every} / {every} * 100").values()) == [100, 100, 100]
    assert at_once(f"sum({every}) / on () sum({every})") == {(): [1.0]}
    assert {dict(key)["app"] for key in at_once(f'{every} and count_over_time({{app="a"}}[1m])')} == {"a"}
    assert {dict(key)["app"] for key in at_once(f'{every} unless count_over_time({{app="a"}}[1m])')} == {"b", "c"}
    assert len(at_once(f'count_over_time({{app="a"}}[1m]) or {every}')) == 3
    assert at_once("vector(1)+vector(1)") == {(): [2.0]}
    assert at_once('absent_over_time({app="none"}[1m])') == {(("app", "none"),): [1.0]}
    assert at_once('absent_over_time({app="a"}[1m])') == {}
    scalar = run.instant("2 ^ 3 - 1", 0)
    assert isinstance(scalar, Matrix)
    assert scalar.is_scalar
    assert scalar.values.tolist() == [[7.0]]


def test_limits_are_named(store: ListStore) -> None:
    filled(store)
    run = engine(store, max_entries_limit_per_query=10, max_query_series=3)
    with pytest.raises(BadQuery, match=r"max entries limit per query exceeded, limit > max_entries_limit_per_query"):
        run.range('{app="api"}', 0, 100 * S, S, limit=11)
    with pytest.raises(BadQuery, match=r"maximum number of series \(3\) reached for a single query"):
        run.instant('count_over_time({app="api"} | json [1h])', 100 * S)
    with pytest.raises(BadQuery, match="exceeded maximum resolution"):
        run.range('rate({app="api"}[1m])', 0, 100 * S, 1_000_000)
    with pytest.raises(BadQuery, match="the query time range exceeds the limit"):
        run.range('{app="api"}', 0, 40 * 86_400 * S, S)
    with pytest.raises(OverLimit, match="max_result_bytes"):
        engine(store, max_result_bytes=100).range('{app="api"}', 0, 100 * S, S)
    with pytest.raises(OverLimit, match="max_range_series"):
        engine(store, max_range_series=2).instant('count_over_time({app="api"} | json [1h])', 100 * S)
