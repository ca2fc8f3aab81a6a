from typing import Any

from watchkeeper.store.state.dashboards import Dashboards, Folder
from watchkeeper.store.state.db import StateStore


def _save(shelf: Dashboards, uid: str, replaces: int | None, **more: Any) -> int | None:
    fields: dict[str, Any] = {"title": "T", "tags": ("a",), "folder_uid": None, "who": "me", "now_ms": 5, **more}
    return shelf.save(uid, b'{"x":1}', replaces=replaces, **fields)


def test_versions_count_up_and_guard(url: str) -> None:
    shelf = Dashboards(StateStore(url))
    assert _save(shelf, "u", 0) == 1
    assert _save(shelf, "u", 0) is None and _save(shelf, "u", 7) is None
    assert _save(shelf, "u", 1, title="Two", now_ms=6) == 2
    assert _save(shelf, "u", None) == 3
    assert _save(shelf, "v", 17) == 1, "one from elsewhere"
    found = shelf.get("u")
    assert found is not None
    head, body = found
    assert body == b'{"x":1}' and (head.version, head.created_ms, head.tags) == (3, 5, ("a",))
    assert {each.uid for each in shelf.heads()} == {"u", "v"}


def test_folders_and_removal(url: str) -> None:
    shelf = Dashboards(StateStore(url))
    assert shelf.add_folder(Folder("f", "Folder")) and not shelf.add_folder(Folder("f", "Other"))
    assert _save(shelf, "u", 0, folder_uid="f") == 1
    assert shelf.heads()[0].folder_uid == "f" and shelf.folders() == [Folder("f", "Folder")]
    assert shelf.delete("u") and not shelf.delete("u") and shelf.get("u") is None
