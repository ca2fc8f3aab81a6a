from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.keys import Keys

HASHES = [bytes([at]) * 32 for at in range(5)]


def _add(keys: Keys, name: str, at: int, now_ms: int = 0, expires_ms: int | None = None) -> int | None:
    scopes = ("read", "agent")
    return keys.add(name, HASHES[at], "wk_abcd", scopes, created_by="me", now_ms=now_ms, expires_ms=expires_ms)


def test_a_key_is_good_until_it_expires_or_is_revoked(url: str) -> None:
    keys = Keys(StateStore(url))
    number = _add(keys, "a", 0, now_ms=5, expires_ms=100)
    assert number is not None
    key = keys.find(HASHES[0])
    assert key is not None and key.scopes == ("read", "agent")
    assert key.is_good(99) and not key.is_good(100)
    assert keys.revoke(number, 50) and not keys.revoke(number, 51)
    key = keys.find(HASHES[0])
    assert key is not None and not key.is_good(60)
    assert keys.find(HASHES[1]) is None


def test_a_name_is_free_again_when_its_key_is_over(url: str) -> None:
    keys = Keys(StateStore(url))
    assert _add(keys, "a", 0, expires_ms=100) == 1
    assert _add(keys, "a", 1, now_ms=99) is None
    assert _add(keys, "a", 1, now_ms=100) is not None
    assert [key.name for key in keys.all()] == ["a", "a (before #1)"]


def test_use_is_noted(url: str) -> None:
    keys = Keys(StateStore(url))
    number = _add(keys, "a", 0)
    assert number is not None
    keys.touch(number, 77)
    assert keys.all()[0].used_ms == 77
