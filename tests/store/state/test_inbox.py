from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.inbox import NewMessage, add_messages, load_messages


def test_gives_the_newest_first_and_stays_bounded(url: str) -> None:
    state = StateStore(url)
    for start in range(0, 200, 8):
        add_messages(state, [NewMessage(at, "inbox", "firing", f'{{"n":{at}}}') for at in range(start, start + 8)], 50)
    assert [one.received_ms for one in load_messages(state, 3)] == [199, 198, 197]
    assert len(load_messages(state, 1000)) == 50
