from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.sessions import Sessions
from watchkeeper.store.state.users import Users

ONE, TWO, THREE = b"1" * 32, b"2" * 32, b"3" * 32


def _store(url: str) -> tuple[Users, Sessions]:
    state = StateStore(url)
    users = Users(state)
    users.add("a", "Admin", "h", 1)
    users.add("b", "Viewer", "h", 1)
    return users, Sessions(state)


def test_a_session_knows_the_role_of_today(url: str) -> None:
    users, sessions = _store(url)
    sessions.start(ONE, 2, 10, 100, "::1")
    found = sessions.find(ONE)
    assert found is not None and (found.login, found.role, found.disabled) == ("b", "Viewer", False)
    users.set_role(2, "Editor")
    users.set_disabled(2, disabled=True)
    found = sessions.find(ONE)
    assert found is not None and (found.role, found.disabled) == ("Editor", True)
    assert sessions.find(TWO) is None


def test_sessions_end_one_by_one_or_all(url: str) -> None:
    users, sessions = _store(url)
    for token, user in ((ONE, 1), (TWO, 2), (THREE, 2)):
        sessions.start(token, user, 10, 100, "::1")
    sessions.end(THREE)
    assert sessions.find(THREE) is None and sessions.end_all(2) == 1
    assert sessions.find(TWO) is None and sessions.find(ONE) is not None
    sessions.start(TWO, 2, 10, 100, "::1")
    assert users.remove(2) and sessions.find(TWO) is None, "they go with the person"


def test_those_that_are_over_are_forgotten(url: str) -> None:
    _, sessions = _store(url)
    sessions.start(ONE, 1, 10, 100, "::1")
    sessions.start(TWO, 1, 10, 1000, "::1")
    sessions.touch(TWO, 90)
    assert sessions.forget(now_ms=95, idle_ms=50) == 1 and sessions.find(ONE) is None
    assert sessions.forget(now_ms=140, idle_ms=50) == 1
