from pathlib import Path

from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.inbox import add_message, load_messages


def test_gives_the_newest_first_and_stays_bounded(tmp_path: Path) -> None:
    state = StateStore(f"sqlite:///{tmp_path / 'state.db'}")
    for at in range(200):
        add_message(state, at, "inbox", "firing", f'{{"n":{at}}}', keep=50)
    assert [one.received_ms for one in load_messages(state, 3)] == [199, 198, 197]
    assert 50 <= len(load_messages(state, 1000)) < 50 + 16
