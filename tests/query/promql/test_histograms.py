"""Native histograms through the engine: tables, counting, kept answers; scripts hold the functions themselves."""

import numpy as np
import pytest

from watchkeeper.model.frame import histogram_cells, is_histogram
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.thinned import Thinned
from watchkeeper.query.promql.context import Steps
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.promql.histogram_table import HistogramTable, sample_size
from watchkeeper.query.promql.kept import KeptResults
from watchkeeper.query.promql.memory import MemoryReader
from watchkeeper.query.promql.notation import read_samples
from watchkeeper.query.promql.reach import Reach
from watchkeeper.query.promql.result import Result

MINUTE_MS = 60_000


def _reader(**series: str) -> MemoryReader:
    reader = MemoryReader()
    for name, text in series.items():
        samples = [(at * MINUTE_MS, one) for at, one in enumerate(read_samples(text)) if one is not None]
        reader.add({"__name__": name}, samples)
    return reader


def _cells(result: Result, row: int = 0) -> list[float | Histogram]:
    native = result.native()[row]
    values = result.values[row].tolist()
    return [result.histogram(row, at) if native[at] else values[at] for at in range(len(values))]


def test_an_answer_holds_its_own_histograms_alone() -> None:
    engine = Engine(_reader(a="{{count:1}}+{{count:1}}x9"))
    result = engine.range("a", 0, 9 * MINUTE_MS, 3 * MINUTE_MS)
    assert len(result.histograms) == 4
    assert [one.count for one in _cells(result) if isinstance(one, Histogram)] == [1, 4, 7, 10]


def test_an_answer_of_floats_has_none() -> None:
    engine = Engine(_reader(a="{{count:1}}+{{count:1}}x9"))
    assert engine.instant("histogram_count(a)", 0).histograms == []


def test_floats_and_histograms_of_one_series_are_told_apart() -> None:
    result = Engine(_reader(a="1 {{count:2}} 3")).range("a", 0, 2 * MINUTE_MS, MINUTE_MS)
    assert _cells(result) == [1.0, read_samples("{{count:2}}")[0], 3.0]


def test_a_histogram_counts_by_its_size() -> None:
    engine = Engine(_reader(a="{{count:4 buckets:[1 2 1]}}x5", b="1x5"))
    for expr, count in (("a", 13), ("b", 1), ("a or b", 14), ("count_over_time(a[3m])", 39)):
        terms = engine.terms(counting=True)
        engine.instant(expr, 3 * MINUTE_MS, terms)
        assert terms.tally is not None
        assert terms.tally.total == count, expr


@pytest.mark.parametrize(
    ("text", "size"),
    [("{{}}", 11), ("{{buckets:[1]}}", 12), ("{{buckets:[1 2 1]}}", 13), ("{{buckets:[1 0 1] n_buckets:[3]}}", 14)],
)
def test_sizes_are_prometheus_own(text: str, size: int) -> None:
    (histogram,) = read_samples(text)
    assert isinstance(histogram, Histogram)
    assert sample_size(histogram) == size


def test_rows_that_are_joined_keep_their_histograms() -> None:
    result = Engine(_reader(a="{{count:1}} stale", b="_ {{count:2}} 3")).range(
        'label_replace({__name__=~"a|b"}, "__name__", "c", "", "")', 0, 60_000, 60_000
    )
    assert len(result.labels) == 1
    assert [one.count for one in _cells(result) if isinstance(one, Histogram)] == [1, 2]


class _Still:
    """A store that changed a while ago."""

    version = 1

    def changed_since_ms(self, _version: int, _selectors: object) -> int:
        return 20 * MINUTE_MS


def test_a_kept_answer_goes_on_with_its_histograms() -> None:
    reader = _reader(a="{{count:1}}+{{count:1}}x40")
    engine, kept = Engine(reader), KeptResults(_Still(), reader.symbols, 1 << 24)
    seen: list[int] = []

    def evaluate(steps: Steps) -> Result:
        seen.append(len(steps))
        return engine.range("a", steps.start_ms, steps.end_ms, MINUTE_MS)

    for start in (0, 2, 4):
        steps = Steps.spanning(start * MINUTE_MS, (start + 29) * MINUTE_MS, MINUTE_MS)
        result = kept.answer(("a", 0), Reach(forward_ms=0), steps, evaluate)
        counts = [one.count for one in _cells(result) if isinstance(one, Histogram)]
        assert counts == [start + at + 1.0 for at in range(30)]
        assert len(result.histograms) == 30
    assert seen == [30, 12, 14]


class _Tier:
    """A tier that would answer everything, and knows no histograms."""

    def choose(self, _start_ms: int, _end_ms: int, _fits: object) -> tuple[int, bool]:
        return MINUTE_MS, True

    def gone_before_ms(self, _start_ms: int) -> None:
        return None

    def thinned(self, *_: object) -> Thinned:
        raise AssertionError


def test_histograms_are_not_read_from_a_downsampling_tier() -> None:
    reader = _reader(a="{{count:1}}+{{count:1}}x9", b="1+1x9")
    engine = Engine(reader, thinned=_Tier())
    assert engine.instant("histogram_count(increase(a[3m]))", 9 * MINUTE_MS).values.tolist() == [[3.0]]
    assert engine.instant("histogram_count(a)", 9 * MINUTE_MS).values.tolist() == [[10.0]]
    with pytest.raises(AssertionError):
        engine.instant("b", 9 * MINUTE_MS)


def test_a_frame_brings_the_histograms_of_its_cells_alone() -> None:
    charged: list[int] = []
    table = HistogramTable(charged.append)
    every = [one for one in read_samples("{{count:1}}+{{count:1}}x99") if isinstance(one, Histogram)]
    moved = table.adopt(histogram_cells(np.array([7, 3, 7])), every)
    assert [one.count for one in table.at(moved)] == [8, 4, 8]
    assert charged == [40]


def test_a_table_gives_back_what_it_took() -> None:
    table = HistogramTable(lambda _: None)
    first, second = read_samples("{{count:1}} {{count:2}}")
    assert isinstance(first, Histogram)
    assert isinstance(second, Histogram)
    cell = table.cell(first)
    moved = table.adopt(np.array([1.0, histogram_cells(np.array([0]))[0]]), [second])
    assert moved[0] == 1
    assert table.at(np.array([cell, moved[1]])) == [first, second]
    assert table.where(np.array([[1.0]])) is None
    assert is_histogram(moved).tolist() == [False, True]
