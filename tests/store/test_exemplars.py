"""Exemplars: kept in order, bounded, durable, found by their series."""

import asyncio
import contextlib
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.doubles import SplitClock
from tests.examples import examples
from tests.store.simfiles import SimFiles

from watchkeeper.model.errors import Damaged
from watchkeeper.model.exemplar import Exemplar
from watchkeeper.model.labels import Labels
from watchkeeper.model.matchers import Matcher
from watchkeeper.store.files import Files
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.metrics.exemplars import ExemplarRing, decode_exemplars, encode_exemplars
from watchkeeper.store.settings import MetricSettings

A, B = {"__name__": "a_total"}, {"__name__": "b_total", "x": "é"}
EVERY = [[Matcher("__name__", "=~", ".+")]]


def one(value: float, time_ms: int, *, timed: bool = True, **labels: str) -> Exemplar:
    return Exemplar(labels or {"trace_id": "t"}, value, time_ms, timed)


def found(ring: ExemplarRing, start_ms: int = 0, end_ms: int = 1 << 60) -> dict[str, list[float]]:
    return {
        labels["__name__"]: [kept.value for kept in exemplars]
        for labels, exemplars in ring.find(EVERY, start_ms, end_ms)
    }


def test_exemplars_are_found_by_series_and_time() -> None:
    ring = ExemplarRing(10, lambda _: None)
    assert ring.add([(B, one(1, 10)), (A, one(2, 10)), (A, one(3, 20))]) == 3
    assert found(ring) == {"a_total": [2, 3], "b_total": [1]}
    assert list(found(ring)) == ["a_total", "b_total"]
    assert found(ring, 11) == {"a_total": [3]}
    assert ring.find([[Matcher("x", "=", "é")]], 0, 100) == [(B, [one(1, 10)])]


def test_what_is_repeated_is_kept_once_and_what_is_older_not_at_all() -> None:
    ring = ExemplarRing(10, lambda _: None)
    assert ring.add([(A, one(1, 20)), (A, one(1, 20)), (A, one(9, 10))]) == 2
    assert ring.add([(A, one(1, 20)), (A, one(2, 20))]) == 2
    assert found(ring) == {"a_total": [1, 2]}


def test_without_a_time_the_same_observation_is_told_apart_by_what_it_says() -> None:
    ring = ExemplarRing(10, lambda _: None)
    ring.add([(A, one(1, 10, timed=False))])
    ring.add([(A, one(1, 20, timed=False))])
    assert found(ring) == {"a_total": [1]}
    ring.add([(A, one(1, 30, timed=False, trace_id="other"))])
    assert found(ring) == {"a_total": [1, 1]}


def test_labels_of_more_than_128_characters_are_refused() -> None:
    ring = ExemplarRing(10, lambda _: None)
    assert ring.add([(A, one(1, 10, n="x" * 127)), (B, one(2, 10, n="x" * 128))]) == 1


def test_the_oldest_goes_when_the_ring_is_full() -> None:
    ring = ExemplarRing(3, lambda _: None)
    for at in range(5):
        ring.add([(A if at % 2 else B, one(at, at))])
    assert found(ring) == {"a_total": [3], "b_total": [2, 4]}
    assert ExemplarRing(0, lambda _: None).add([(A, one(1, 1))]) == 0


async def restart(files: Files, exemplars: Sequence[tuple[Labels, Exemplar]], segment_bytes: int) -> ExemplarRing:
    async def opened() -> MetricDb:
        db = MetricDb(files, MetricSettings(wal={"segment_bytes": segment_bytes}), SplitClock(1_700_000_000_000))
        await db.start()
        return db

    db = await opened()
    for pair in exemplars:
        db.exemplars.add([pair])
    await db.commit()
    await db.stop()
    db = await opened()
    await db.stop()
    return db.exemplars


def test_exemplars_survive_a_restart() -> None:
    kept = [(A, one(at, at, trace_id=str(at))) for at in range(50)]
    ring = asyncio.run(restart(SimFiles(), kept, 1 << 20))
    assert found(ring) == {"a_total": list(range(50))}


def test_each_segment_of_the_log_has_all_of_them() -> None:
    records: list[bytes] = []
    ring = ExemplarRing(10, records.append)
    ring.add([(A, one(1, 1)), (B, one(2, 2))])
    ring.segment_began()
    ring.add([(A, one(3, 3))])
    again = ExemplarRing(10, lambda _: None)
    for payload in records[1:]:
        again.replay(payload)
    assert found(again) == found(ring)


LABELS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)
EXEMPLAR = st.builds(Exemplar, LABELS, st.floats(allow_nan=False), st.integers(-(1 << 62), 1 << 62), st.booleans())


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.tuples(LABELS.map(lambda labels: {k: v for k, v in labels.items() if v}), EXEMPLAR), max_size=6))
def test_what_is_written_is_read(pairs: list[tuple[dict[str, str], Exemplar]]) -> None:
    assert decode_exemplars(encode_exemplars(pairs)) == pairs


@settings(max_examples=examples(100), deadline=None)
@given(st.binary(max_size=60), st.integers(0, 400), st.integers(0, 255))
def test_damage_raises_nothing_but_damaged(junk: bytes, at: int, byte: int) -> None:
    good = bytearray(encode_exemplars([(A, one(1, 2)), (B, one(3, 4))]))
    good[at % len(good)] = byte
    for payload in (junk, bytes(good)):
        with contextlib.suppress(Damaged):
            decode_exemplars(payload)
