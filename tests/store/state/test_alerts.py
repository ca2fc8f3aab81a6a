from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.model.alert import Alert
from watchkeeper.store.state.alerts import drop_alerts, load_alerts, save_alerts
from watchkeeper.store.state.db import StateStore


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def state(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateStore]:
    lite = f"sqlite:///{tmp_path_factory.mktemp('state') / 'state.db'}"
    store = StateStore(lite if request.param == "sqlite" else request.getfixturevalue("postgres").database())
    yield store
    store.close()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
labels = st.dictionaries(texts.filter(bool), texts, min_size=1, max_size=4)
addresses = texts.map(lambda text: text.replace("\0", ""))  # the API takes no URL with control characters
times = st.integers(-(1 << 50), 1 << 50)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.builds(Alert, labels, labels, times, times, times, addresses), max_size=5))
def test_gives_back_what_was_written(state: StateStore, written: list[Alert]) -> None:
    save_alerts(state, written)
    found = {one.fingerprint: one for one in load_alerts(state)}
    for one in {one.fingerprint: one for one in written}.values():
        assert found[one.fingerprint] == one
    drop_alerts(state, list(found))
    assert load_alerts(state) == []


def test_the_last_write_counts(state: StateStore) -> None:
    first = Alert({"a": "b"}, {}, 1, 2, 3)
    save_alerts(state, [first])
    save_alerts(state, [first.changed(ends_at_ms=9, annotations={"c": "d"})])
    (found,) = load_alerts(state)
    assert (found.ends_at_ms, found.annotations) == (9, {"c": "d"})


def test_writes_all_or_none(state: StateStore) -> None:
    before = load_alerts(state)
    with pytest.raises(Exception):  # noqa: B017 - the driver's own error
        save_alerts(state, [Alert({"x": "1"}, {}, 1, 2, 3), Alert({"x": "2"}, {}, 1, 2, 1 << 70)])
    assert load_alerts(state) == before
