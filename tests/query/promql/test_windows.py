"""The fast paths over windows equal the plain loop."""

import math
from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.model.frame import ABSENT, STALE, Floats, FrameSlice
from watchkeeper.model.labels import LabelTable, Symbols
from watchkeeper.query.promql.functions import over_time, rate, regression, table
from watchkeeper.query.promql.windows import RangeVector, Windows, windows_of

# NaN payloads do not survive Python floats, so gaps are placed by their own draw.
KINDS = st.sampled_from(["number", "number", "number", "absent", "stale", "nan"])


@st.composite
def frames(draw: st.DrawFn) -> list[FrameSlice]:
    symbols, out = Symbols(), []
    for number in range(draw(st.integers(1, 3))):
        rows, series = draw(st.integers(1, 12)), draw(st.integers(1, 3))
        times = np.cumsum(draw(st.lists(st.integers(1, 40), min_size=rows, max_size=rows))).astype(np.int64)
        values = np.empty((series, rows))
        for row in range(series):
            for column in range(rows):
                kind = draw(KINDS)
                number_ = draw(st.integers(-20, 20)) / draw(st.sampled_from([1, 3]))
                values[row, column] = {"absent": ABSENT, "stale": STALE, "nan": np.nan}.get(kind, number_)
        labels = LabelTable.from_labels([{"f": str(number), "s": str(row)} for row in range(series)], symbols)
        out.append(FrameSlice(labels, times, values, gaps=True))
    return out


def _samples(frame: FrameSlice, row: int) -> list[tuple[int, float]]:
    bits = frame.values[row].view(np.uint64)
    gone = (np.float64(ABSENT).view(np.uint64), np.float64(STALE).view(np.uint64))
    return [(int(at), float(v)) for at, v, b in zip(frame.times, frame.values[row], bits, strict=True) if b not in gone]


def _plain_rate(points: list[tuple[int, float]], _end: int, _range: int) -> float:
    total = points[-1][1] - points[0][1]
    for (_, before), (_, now) in pairwise(points):
        total += before if now < before else 0.0
    return total


def _delta_of_resets(windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    begin, end = windows.values.take(windows.first, axis=1), windows.values.take(windows.last, axis=1)
    moved = end - begin
    rate._add_resets(windows, moved)
    return moved, windows.filled(2)


def _mean(points: list[tuple[int, float]]) -> float:
    return math.fsum(v for _, v in points) / len(points)


def _variance(points: list[tuple[int, float]]) -> float:
    mean = _mean(points)
    return math.fsum((v - mean) ** 2 for _, v in points) / len(points)


def _quantile(points: list[tuple[int, float]]) -> float:
    ordered = sorted((v for _, v in points), key=lambda v: (not math.isnan(v), v))
    rank = 0.3 * (len(ordered) - 1)
    low, high = math.floor(rank), min(math.floor(rank) + 1, len(ordered) - 1)
    return ordered[low] * (1 - rank + low) + ordered[high] * (rank - low)


def _slope(points: list[tuple[int, float]]) -> float:
    if any(math.isnan(v) for _, v in points):
        return math.nan
    mean_t, mean = math.fsum(t for t, _ in points) / len(points) / 1000, _mean(points)
    spread = math.fsum((t / 1000 - mean_t) ** 2 for t, _ in points)
    return math.fsum((t / 1000 - mean_t) * (v - mean) for t, v in points) / spread


def _extreme(points: list[tuple[int, float]], pick: Callable[[Iterable[float]], float]) -> float:
    known = [v for _, v in points if not math.isnan(v)]
    return pick(known) if known else math.nan


Points = list[tuple[int, float]]
# By name: the function, how many points it needs, and the plain loop.
PLAIN: dict[str, tuple[Callable[[Windows], tuple[np.ndarray, np.ndarray]], int, Callable[[Points], float]]] = {
    "sum": (over_time.sum_over_time, 1, lambda points: math.fsum(v for _, v in points)),
    "avg": (over_time.avg_over_time, 1, _mean),
    "min": (over_time.RANGE["min_over_time"], 1, lambda points: _extreme(points, min)),
    "max": (over_time.RANGE["max_over_time"], 1, lambda points: _extreme(points, max)),
    "count": (over_time.count_over_time, 1, lambda points: float(len(points))),
    "last": (over_time.last_over_time, 1, lambda points: points[-1][1]),
    "stdvar": (over_time.stdvar_over_time, 1, _variance),
    "quantile": (
        lambda windows: over_time.quantile_over_time(windows, np.full(len(windows.lo), 0.3)), 1, _quantile
    ),
    "changes": (
        rate.changes, 1,
        lambda points: float(
            sum(a != b and not (math.isnan(a) and math.isnan(b)) for (_, a), (_, b) in pairwise(points))
        ),
    ),
    "resets": (
        rate.resets, 1, lambda points: float(sum(b < a for (_, a), (_, b) in pairwise(points)))
    ),
    "moved": (_delta_of_resets, 2, lambda points: _plain_rate(points, 0, 0)),
    "deriv": (regression.deriv, 2, _slope),
}  # fmt: skip


@pytest.mark.parametrize("dense_from", [1, 1 << 14], ids=["dense", "ragged"])
@pytest.mark.parametrize("name", PLAIN)
@settings(max_examples=25, deadline=None)
@given(made=frames(), range_ms=st.integers(1, 200), step=st.integers(25, 90))
def test_equals_the_plain_loop(name: str, dense_from: int, made: list[FrameSlice], range_ms: int, step: int) -> None:
    function, minimum, plain = PLAIN[name]
    ends = np.arange(0, 500, step, dtype=np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("watchkeeper.query.promql.windows._DENSE_CELLS_MIN", dense_from)
        tables, blocks = windows_of(made, ends, ends, range_ms, keep_stale=False)
    labels = LabelTable.join(tables, made[0].labels.symbols) if tables else made[0].labels.take(np.zeros(0, int))
    values, present = RangeVector(labels, blocks, len(ends)).apply(function)
    got = {tuple(one.values()): row for row, one in enumerate(labels.labels())}
    for frame in made:
        for row, own in enumerate(frame.labels.labels()):
            samples = _samples(frame, row)
            at = got.get(tuple(own.values()))
            for column, end in enumerate(ends.tolist()):
                points = [(t, v) for t, v in samples if end - range_ms < t <= end]
                if at is None or not present[at, column]:
                    assert len(points) < minimum
                    continue
                want = plain(points)
                have = float(values[at, column])
                if math.isnan(want):
                    assert math.isnan(have)
                else:
                    assert have == pytest.approx(want, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", sorted(table.RANGE))
def test_frames_with_the_same_windows_are_worked_on_as_one_and_give_what_each_gives_alone(name: str) -> None:
    chance, symbols, ends = np.random.default_rng(5), Symbols(), np.arange(200, 100_000, 1500, dtype=np.int64)
    made = []
    for number, (late_ms, rows) in enumerate(((0, 80), (7, 80), (300, 80), (7, 81), (7, 80), (999, 80))):
        values: Floats = np.cumsum(chance.integers(-1, 5, (number + 1, rows)), axis=1).astype(np.float64)
        labels = LabelTable.from_labels([{"f": str(number), "s": str(row)} for row in range(number + 1)], symbols)
        made.append(FrameSlice(labels, np.arange(rows, dtype=np.int64) * 1000 + late_ms, values, gaps=False))
    numbers = [np.full(len(ends), 0.4)] * {"quantile_over_time": 1, "predict_linear": 1}.get(name, 0)
    if name == "double_exponential_smoothing":
        numbers = [np.full(len(ends), 0.4), np.full(len(ends), 0.3)]

    def function(windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        return table.RANGE[name](windows, *(np.tile(one, len(windows.lo) // len(one)) for one in numbers))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("watchkeeper.query.promql.windows._STACKED_CELLS_MIN", 1)
        _, blocks = windows_of(made, ends, ends, 4700, keep_stale=False)
    values, present = RangeVector(LabelTable.join([one.labels for one in made], symbols), blocks, len(ends)).apply(
        function
    )
    start = 0
    for frame, block in zip(made, blocks, strict=True):
        alone, there = RangeVector(frame.labels, [block], len(ends)).apply(function)
        here = slice(start, start + len(frame.labels))
        assert np.array_equal(present[here], there)
        assert np.array_equal(values[here][there].view(np.uint64), alone[there].view(np.uint64))
        start += len(frame.labels)


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(st.integers(1, 12), min_size=1, max_size=12),
    late=st.lists(st.integers(-4, 8), min_size=12, max_size=12),
    range_ms=st.integers(1, 30),
    step=st.integers(1, 9),
)
def test_bounds_taken_from_another_frame_are_those_found_by_searching(
    steps: list[int], late: list[int], range_ms: int, step: int
) -> None:
    times = np.cumsum(steps).astype(np.int64)
    moved = np.maximum.accumulate(times + np.array(late[: len(times)]))
    ends = np.arange(-3, 90, step, dtype=np.int64)
    labels = LabelTable.from_labels([{"a": "b"}], Symbols())
    made = [FrameSlice(labels, one, np.zeros((1, len(one))), gaps=False) for one in (times, moved)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("watchkeeper.query.promql.windows._STACKED_CELLS_MIN", 1)
        patch.setattr("watchkeeper.query.promql.windows._DENSE_STEPS_MIN", 1)
        _, blocks = windows_of(made, ends, ends, range_ms, keep_stale=False)
    for block, frame in zip(blocks, made, strict=True):
        assert np.array_equal(block.lo, np.searchsorted(frame.times, ends - range_ms, side="right"))
        assert np.array_equal(block.hi, np.searchsorted(frame.times, ends, side="right"))


def test_sums_that_cancel_are_compensated() -> None:
    symbols = Symbols()
    labels = LabelTable.from_labels([{"a": "b"}], symbols)
    frame = FrameSlice(labels, np.arange(1, 5, dtype=np.int64), np.array([[1.0, 1e100, 1.0, -1e100]]), gaps=False)
    tables, blocks = windows_of([frame], np.array([4]), np.array([4]), 10, keep_stale=False)
    values, _ = RangeVector(tables[0], blocks, 1).apply(over_time.sum_over_time)
    assert values[0, 0] == 2.0


def test_a_mean_beyond_the_largest_float_is_finite() -> None:
    labels = LabelTable.from_labels([{"a": "b"}], Symbols())
    frame = FrameSlice(labels, np.arange(1, 4, dtype=np.int64), np.array([[1.5e308, 1.5e308, 1.5e308]]), gaps=False)
    tables, blocks = windows_of([frame], np.array([4]), np.array([4]), 10, keep_stale=False)
    values, _ = RangeVector(tables[0], blocks, 1).apply(over_time.avg_over_time)
    assert values[0, 0] == pytest.approx(1.5e308)
