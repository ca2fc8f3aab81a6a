"""Series of histograms evaluated at once give what their windows give one by one."""

import numpy as np
import pytest
from tests.query.promql.histogram_peer import BASE_MS, ROWS, STEP_MS, series

from watchkeeper.model.histogram import Hint, Histogram
from watchkeeper.query.promql import native
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.promql.histogram_columns import columns_of, resets_among
from watchkeeper.query.promql.histograms import windows
from watchkeeper.query.promql.histograms.quantile import quantiles
from watchkeeper.query.promql.memory import MemoryReader
from watchkeeper.query.promql.notation import as_stored, read_samples
from watchkeeper.query.promql.result import Result
from watchkeeper.query.promql.script import nearly_equal_histograms

NAMES = ("latency_seconds", "gappy_seconds", "queue_size", "custom_seconds", "nothing", "turning")
FUNCTIONS = ("rate", "increase", "delta", "irate", "sum_over_time", "avg_over_time")


@pytest.fixture(scope="module")
def engine() -> Engine:
    reader = MemoryReader()
    for key, points in series().items():
        stored = as_stored([one for _, one in points])
        reader.add(dict(key), list(zip((at for at, _ in points), stored, strict=True)))
    return Engine(reader)


def _ask(engine: Engine, expr: str) -> Result:
    return engine.range(expr, BASE_MS - 60_000, BASE_MS + (ROWS + 30) * STEP_MS, 37_000)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_series_at_once_is_its_windows_one_by_one(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, function: str, name: str
) -> None:
    expr = f"{function}({name}[2m])"
    whole = _ask(engine, expr)
    monkeypatch.setattr(windows, "_whole", lambda *_: None)
    single = _ask(engine, expr)
    assert (whole.warnings, whole.infos) == (single.warnings, single.infos)
    assert np.array_equal(whole.present, single.present)
    assert np.array_equal(whole.native(), single.native())
    for row, step in zip(*np.nonzero(whole.native()), strict=True):
        one, other = whole.histogram(row, step), single.histogram(row, step)
        assert nearly_equal_histograms(one, other), (row, step)
        assert one.hint is other.hint


@pytest.mark.parametrize("name", ["latency_seconds", "queue_size", "custom_seconds", "nothing", "unknown_seconds"])
def test_quantiles_by_columns_are_those_one_by_one(engine: Engine, name: str) -> None:
    result = _ask(engine, name)
    held = [result.histogram(row, step) for row, step in zip(*np.nonzero(result.native()), strict=True)]
    chance = np.random.default_rng(5)
    by_layout: dict[tuple[int, float], list[Histogram]] = {}
    for one in held:
        by_layout.setdefault((one.schema, one.zero_threshold), []).append(one)
    for histograms in by_layout.values():
        columns = columns_of(histograms)
        assert columns is not None
        shares = chance.choice([0, 0.001, 0.25, 0.5, 0.9, 1, -1, 2, np.nan, *chance.random(20)], len(histograms))
        wanted = [native.quantile(share, one) for share, one in zip(shares.tolist(), histograms, strict=True)]
        np.testing.assert_allclose(quantiles(shares, columns), wanted, rtol=1e-12)


@pytest.mark.parametrize("function", [*FUNCTIONS, "changes", "resets", "count_over_time", "last_over_time"])
def test_many_series_in_one_block_are_what_each_is_alone(function: str) -> None:
    reader = MemoryReader()
    every = [points for key, points in series().items() if dict(key)["__name__"] in ("latency_seconds", "changing")]
    for number in range(60):
        samples = [(BASE_MS + at * STEP_MS, one) for at, (_, one) in enumerate(every[number % len(every)])]
        reader.add({"__name__": "many", "number": str(number)}, samples)
    engine = Engine(reader)
    whole = _ask(engine, f"{function}(many[2m])")
    for number in range(0, 60, 7):
        alone = _ask(engine, f'{function}(many{{number="{number}"}}[2m])')
        if not len(alone.labels):
            continue
        (row,) = [at for at, one in enumerate(whole.labels.labels()) if one["number"] == str(number)]
        assert np.array_equal(whole.present[row], alone.present[0])
        assert np.array_equal(whole.native()[row], alone.native()[0])
        for step in np.flatnonzero(alone.present[0]).tolist():
            if alone.native()[0, step]:
                assert nearly_equal_histograms(whole.histogram(row, step), alone.histogram(0, step))
            else:
                assert whole.values[row, step] == alone.values[0, step]


def test_resets_of_any_column_but_the_sum_count() -> None:
    sides = ("[2 2]", "[2 3]", "[1 5]", "[1 0 6]")
    texts = (f"{{{{count:{at + 4} sum:{-at} buckets:{side}}}}}" for at, side in enumerate(sides))
    held = [one for one in read_samples(" ".join(texts)) if isinstance(one, Histogram)]
    assert resets_among(held).tolist() == [False, False, True, True]
    assert resets_among([]).tolist() == []


def test_hints_outweigh_what_is_counted() -> None:
    text = "{{count:4}} {{count:9 counter_reset_hint:reset}} {{count:1 counter_reset_hint:not_reset}}"
    held = [one for one in read_samples(text) if isinstance(one, Histogram)]
    assert resets_among(held).tolist() == [False, True, False]


def test_other_layouts_are_not_laid_side_by_side() -> None:
    one, other = read_samples("{{count:1}} {{schema:1 count:1}}")
    assert isinstance(one, Histogram)
    assert isinstance(other, Histogram)
    assert columns_of([one, other]) is None
    found = columns_of([one, one])
    assert found is not None
    assert found.histograms(found.numbers, [Hint.UNKNOWN] * 2) == [one, one]
