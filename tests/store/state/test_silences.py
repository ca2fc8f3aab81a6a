from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.silences import SilenceRow, drop_silences, load_silences, save_silences


def test_gives_back_what_was_written_also_to_another_process(url: str) -> None:
    state, matcher = StateStore(url), {"name": "ä", "value": "b.*\n", "isRegex": True, "isEqual": False}
    rows = [SilenceRow(str(at), [matcher], 1, 2 + at, 3, "me", "why\r\n", {"x": "y"}) for at in range(3)]
    save_silences(state, rows)
    assert sorted(load_silences(StateStore(url)), key=lambda row: row.id) == rows  # nothing was closed
    save_silences(state, [SilenceRow("1", [matcher], 1, 99, 4, "you", "")])
    drop_silences(state, ["0", "2"])
    (left,) = load_silences(state)
    assert (left.ends_ms, left.created_by, left.annotations) == (99, "you", {})
