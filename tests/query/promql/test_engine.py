"""The engine's door: limits, kinds of results, threads, notes."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from watchkeeper.model.doors import AlertSample
from watchkeeper.model.errors import BadQuery, OverLimit, Refused
from watchkeeper.model.frame import STALE
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.promql.memory import MemoryReader
from watchkeeper.query.settings import QuerySettings


@pytest.fixture
def reader() -> MemoryReader:
    made = MemoryReader()
    for instance in range(4):
        labels = {"__name__": "work_total", "instance": str(instance)}
        made.add(labels, [(at * 1000, float(at * instance)) for at in range(600)])
    made.add({"__name__": "gone"}, [(0, 1.0), (1000, STALE)])
    return made


def test_a_rule_gets_its_samples(reader: MemoryReader) -> None:
    assert Engine(reader).ask('work_total{instance="2"} > 5', 10_000) == [
        AlertSample({"__name__": "work_total", "instance": "2"}, 20.0)
    ]
    assert Engine(reader).ask("1 + 1", 0) == [AlertSample({}, 2.0)]
    assert Engine(reader).ask("gone", 500) == [AlertSample({"__name__": "gone"}, 1.0)]
    assert Engine(reader).ask("gone", 1000) == []
    with pytest.raises(BadQuery):
        Engine(reader).ask('"text"', 0)


def test_parse_errors_have_a_position_and_others_none(reader: MemoryReader) -> None:
    with pytest.raises(BadQuery) as caught:
        Engine(reader).instant("sum(", 0)
    assert caught.value.position == (1, 5)
    with pytest.raises(BadQuery) as caught:
        Engine(reader).instant("work_total * on() work_total", 10_000)
    assert caught.value.position is None


@pytest.mark.parametrize(
    "query",
    ["work_total", "rate(work_total[1m])", "count_over_time(vector(1)[1y:1ms])", "avg_over_time(work_total[100d:1s])"],
)
def test_too_many_samples_are_refused_before_they_are_in_memory(reader: MemoryReader, query: str) -> None:
    engine = Engine(reader, QuerySettings(max_samples=2000))
    with pytest.raises(OverLimit, match="too many samples"):
        engine.range(query, 0, 600_000, 1000)


def test_too_many_points_and_too_long_texts_are_refused(reader: MemoryReader) -> None:
    engine = Engine(reader, QuerySettings(expression_bytes_max=100))
    with pytest.raises(OverLimit, match="11,000 points per timeseries"):
        engine.range("1", 0, 11_000_000, 1000)
    with pytest.raises(OverLimit, match="expression_bytes_max"):
        engine.instant("1+" * 100 + "1", 0)
    with pytest.raises(BadQuery, match="zero or negative"):
        engine.range("1", 0, 1, 0)


def test_time_runs_out(reader: MemoryReader) -> None:
    engine = Engine(reader)
    with pytest.raises(Refused, match="query timed out in expression evaluation"):
        engine.instant("work_total", 0, engine.terms(timeout_s=-1))


def test_lookback_is_as_asked(reader: MemoryReader) -> None:
    engine = Engine(reader)
    assert len(engine.instant("work_total", 650_000).labels) == 4
    assert len(engine.instant("work_total", 650_000, engine.terms(lookback_ms=10_000)).labels) == 0


def test_experimental_functions_can_be_switched_off(reader: MemoryReader) -> None:
    engine = Engine(reader, QuerySettings(experimental_functions=False))
    with pytest.raises(BadQuery, match="not enabled"):
        engine.instant("mad_over_time(work_total[1m])", 0)


def test_strings_of_a_query_leave_nothing_behind(reader: MemoryReader) -> None:
    Engine(reader).instant("work_total", 0)
    known = len(reader.symbols)
    Engine(reader).instant('label_replace(work_total, "new", "made-$1", "instance", "(.*)")', 10_000)
    assert len(reader.symbols) == known


def test_many_threads_may_ask_at_once(reader: MemoryReader) -> None:
    engine = Engine(reader)
    query = 'sum by (x) (label_join(rate(work_total[1m]), "x", "-", "instance", "instance"))'
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: engine.range(query, 0, 600_000, 10_000), range(20)))
    for result in results:
        assert result.labels.labels() == results[0].labels.labels()
        assert np.array_equal(result.values, results[0].values)


def test_notes_are_not_endless(reader: MemoryReader) -> None:
    for number in range(15):
        reader.add({"__name__": f"gauge{number}", "n": str(number)}, [(0, 1.0), (1000, 2.0)])
    infos = Engine(reader).instant('rate({__name__=~"gauge.*"}[1m])', 1000).infos
    assert len(infos) == 11
    assert infos[-1] == "5 more info annotations omitted"
