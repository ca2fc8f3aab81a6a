"""Labels: one series as a mapping, many as columns."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.model.labels import LabelTable, Symbols, fingerprint, label_pairs

NAMES = st.sampled_from(["__name__", "job", "instance", "zone"])
ROWS = st.lists(st.dictionaries(NAMES, st.sampled_from(["", "a", "b", "ä"]), max_size=4), max_size=8)


def without_empty(labels: dict[str, str]) -> dict[str, str]:
    return {name: labels[name] for name in sorted(labels) if labels[name]}


def test_equal_pairs_mean_the_same_series() -> None:
    assert label_pairs({"b": "2", "a": "1", "c": ""}) == (("a", "1"), ("b", "2")) == label_pairs({"a": "1", "b": "2"})


def test_fingerprints_are_prometheus_own() -> None:
    # source: github.com/prometheus/common, model/signature_test.go
    assert fingerprint({}) == 14695981039346656037
    assert fingerprint({"name": "garland, briggs", "fear": "love is not enough"}) == 5799056148416392346


def test_symbols_number_each_text_once() -> None:
    symbols = Symbols()
    first, second = symbols.code("a"), symbols.code("b")
    assert (symbols.code("a"), symbols.find("b"), symbols.find("c")) == (first, second, None)
    assert symbols.code("") == 0 and symbols.text(0) == "" and len(symbols) == 3
    assert symbols.texts(np.array([second, 0, first])) == ["b", "", "a"]


def test_overlay_sees_what_is_below_and_keeps_its_own() -> None:
    below = Symbols()
    known = below.code("known")
    overlay = below.overlay()
    own = overlay.code("own")
    assert overlay.code("known") == known and own < 0 and overlay.code("own") == own
    assert overlay.texts(np.array([known, own, 0])) == ["known", "own", ""]
    assert below.find("own") is None and len(below) == 2 and len(overlay) == 3
    later = below.code("later")
    assert overlay.find("later") == later


@given(ROWS)
def test_table_gives_back_the_labels_it_was_made_of(rows: list[dict[str, str]]) -> None:
    table = LabelTable.from_labels(rows, Symbols())
    assert len(table) == len(rows)
    assert table.labels() == [without_empty(row) for row in rows]
    assert list(table.names) == sorted(table.names)


@given(ROWS, ROWS)
def test_joined_tables_follow_each_other(first: list[dict[str, str]], second: list[dict[str, str]]) -> None:
    symbols = Symbols()
    joined = LabelTable.join([LabelTable.from_labels(rows, symbols) for rows in (first, second)], symbols)
    assert joined.labels() == [without_empty(row) for row in first + second]


@given(ROWS, st.sets(NAMES))
def test_keep_and_drop_share_the_labels_between_them(rows: list[dict[str, str]], names: set[str]) -> None:
    table = LabelTable.from_labels(rows, Symbols())
    kept, dropped = table.keep(names).labels(), table.drop(names).labels()
    assert [without_empty(a | b) for a, b in zip(kept, dropped, strict=True)] == table.labels()
    assert all(labels.keys() <= names for labels in kept) and not any(labels.keys() & names for labels in dropped)


@given(ROWS, NAMES)
def test_replaced_label_has_the_new_value_everywhere(rows: list[dict[str, str]], name: str) -> None:
    symbols = Symbols()
    table = LabelTable.from_labels(rows, symbols)
    codes = np.full(len(rows), symbols.code("new"), np.int32)
    replaced = table.replaced(name, codes)
    assert replaced.labels() == [without_empty(row | {name: "new"}) for row in rows]
    assert list(replaced.names) == sorted({*table.names, name})
    assert replaced.values(name) == ["new"] * len(rows)


@given(ROWS, st.none() | st.sets(NAMES))
def test_groups_are_those_of_a_plain_loop(rows: list[dict[str, str]], names: set[str] | None) -> None:
    table = LabelTable.from_labels(rows, Symbols().overlay())  # negative codes, too
    ids, first = table.group_ids(names)
    seen: dict[tuple[tuple[str, str], ...], int] = {}
    keys = [tuple(sorted((n, v) for n, v in row.items() if v and (names is None or n in names))) for row in rows]
    assert ids.tolist() == [seen.setdefault(key, len(seen)) for key in keys]
    assert first.tolist() == [keys.index(key) for key in seen]


def test_taking_series_by_index_and_by_mask() -> None:
    table = LabelTable.from_labels([{"a": "1"}, {"a": "2"}, {"a": "3"}], Symbols())
    assert table.take(np.array([2, 0])).values("a") == ["3", "1"]
    assert table.take(np.array([False, True, False])).values("a") == ["2"]
    assert table.values("nosuch") == ["", "", ""]
