from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.flags import Flags


def test_flags_are_claimed_once_and_put_again(url: str) -> None:
    flags = Flags(StateStore(url))
    assert flags.get("a") is None
    assert flags.claim("a", "1") and not flags.claim("a", "2") and flags.get("a") == "1"
    flags.put("a", "3")
    flags.put("b", "4")
    assert (flags.get("a"), flags.get("b")) == ("3", "4")
