import pytest

from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.users import Users


@pytest.fixture
def users(url: str) -> Users:
    return Users(StateStore(url))


def test_people_are_found_whatever_the_case(users: Users) -> None:
    made = users.add(" Bob ", "Viewer", "hash", 5, name="Bob", email="b@example.org")
    assert made is not None and made.login == "bob"
    assert users.by_login("BOB") == users.by_id(made.id) == made
    assert users.by_login("alice") is None and users.by_id(99) is None
    assert users.add("bOb", "Admin", "other", 6) is None
    assert users.count() == 1 and [user.login for user in users.all()] == ["bob"]


def test_a_hash_is_not_shown() -> None:
    from watchkeeper.store.state.users import User

    assert "canary" not in repr(
        User(1, "a", "", "", "Admin", "canary", disabled=False, created_ms=0, password_changed_ms=0)
    )


def test_the_last_admin_stays(users: Users) -> None:
    first, second = users.add("a", "Admin", "h", 1), users.add("b", "Admin", "h", 1)
    assert first is not None and second is not None
    assert users.set_disabled(second.id, disabled=True)
    assert not users.set_role(first.id, "Editor")
    assert not users.set_disabled(first.id, disabled=True)
    assert not users.remove(first.id)
    kept = users.by_id(first.id)
    assert kept == first
    assert users.set_disabled(second.id, disabled=False) and users.remove(first.id)


def test_changes_to_nobody_are_told(users: Users) -> None:
    assert not users.set_password(7, "h", 1) and not users.set_role(7, "Admin") and not users.remove(7)


def test_a_changed_password_has_a_time(users: Users) -> None:
    made = users.add("a", "Admin", "h", 1)
    assert made is not None and users.set_password(made.id, "new", 9)
    got = users.by_id(made.id)
    assert got is not None and (got.password_hash, got.password_changed_ms, got.created_ms) == ("new", 9, 1)
