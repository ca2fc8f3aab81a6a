from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.notifications import (
    LogEntry,
    LogKey,
    drop_notifications,
    load_notifications,
    save_notifications,
)


def test_keeps_the_last_entry_of_each_integration(url: str) -> None:
    state = StateStore(url)
    keys = [LogKey('{}/{a="b"}:{}', "web", "webhook", at) for at in range(2)]
    every = frozenset({0, 1, (1 << 64) - 1})
    save_notifications(state, [LogEntry(key, 10, 20, every, frozenset()) for key in keys])
    save_notifications(state, [LogEntry(keys[0], 15, 30, frozenset(), every)])
    assert sorted(load_notifications(state), key=lambda one: one.key.position) == [
        LogEntry(keys[0], 15, 30, frozenset(), every),
        LogEntry(keys[1], 10, 20, every, frozenset()),
    ]
    drop_notifications(state, 25)
    assert [one.key for one in load_notifications(state)] == [keys[0]]


def test_a_group_key_may_be_long(url: str) -> None:
    state = StateStore(url)
    entry = LogEntry(LogKey("{}:{a=" + "x" * 100_000 + "}", "r" * 500, "webhook", 0), 1, 2, frozenset({1}), frozenset())
    save_notifications(state, [entry])
    assert load_notifications(state) == [entry]
