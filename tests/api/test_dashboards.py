from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.net.judges.asgi import Answer, Client
from tests.net.judges.world import World

from watchkeeper.api import dashboards as api
from watchkeeper.store.state.dashboards import Dashboards

BOARD = {"title": "Checkout: errors & latency", "tags": ["shop", "prod"], "panels": [{"id": 1}], "unknown": {"kept": 1}}


@dataclass
class File:
    uid: str = "host"
    title: str = "Host"
    tags: tuple[str, ...] = ("linux",)
    folder: str = "watchkeeper"
    updated_ms: int = 1_800_000_000_000

    def body(self) -> dict[str, Any]:
        return {"title": self.title, "panels": [], "uid": self.uid}


@dataclass
class Files:
    files: list[File] = field(default_factory=lambda: [File()])

    def list(self) -> list[File]:
        return self.files

    def get(self, uid: str) -> File | None:
        return next((file for file in self.files if file.uid == uid), None)


@dataclass
class Board:
    world: World

    def __post_init__(self) -> None:
        routes = api.routes(Dashboards(self.world.state), Files(), self.world.clock)
        self.app = self.world.app([*self.world.routes(), *routes])
        self.editor = Client(self.app, self.world.session("editor", self.app))
        self.viewer = Client(self.app, self.world.session("viewer", self.app))

    def save(self, dashboard: dict[str, Any], **more: Any) -> Answer:
        return self.editor.call("POST", "/api/dashboards/db", json={"dashboard": dashboard, **more})

    def found(self, query: str) -> list[str]:
        return [hit["title"] for hit in self.viewer.call("GET", f"/api/search?{query}").json()]


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(World(tmp_path))


def test_a_dashboard_is_kept_whole(board: Board) -> None:
    made = board.save({**BOARD, "id": None}).json()
    assert made["status"] == "success" and made["version"] == 1
    assert made["slug"] == "checkout-errors-latency"
    assert made["url"] == f"/d/{made['uid']}/checkout-errors-latency"
    got = board.viewer.call("GET", f"/api/dashboards/uid/{made['uid']}").json()
    assert got["dashboard"] == {**BOARD, "uid": made["uid"], "version": 1}
    meta = got["meta"]
    assert (meta["slug"], meta["version"], meta["provisioned"]) == ("checkout-errors-latency", 1, False)
    assert (meta["canSave"], meta["updatedBy"], meta["created"]) == (False, "editor", "2027-01-15T08:00:00Z")
    own = board.editor.call("GET", f"/api/dashboards/uid/{made['uid']}").json()
    assert own["meta"]["canSave"] is True


def test_a_change_from_an_old_version_is_refused(board: Board) -> None:
    uid = board.save(BOARD).json()["uid"]
    assert board.save({**BOARD, "uid": uid, "version": 1, "title": "Two"}).json()["version"] == 2
    stale = board.save({**BOARD, "uid": uid, "version": 1, "title": "Three"})
    assert (stale.status, stale.json()["status"]) == (412, "version-mismatch")
    assert board.save({**BOARD, "uid": uid}).status == 412, "no version is an old one"
    forced = board.save({**BOARD, "uid": uid, "version": 1, "title": "Three"}, overwrite=True)
    assert forced.json()["version"] == 3
    assert board.viewer.call("GET", f"/api/dashboards/uid/{uid}").json()["dashboard"]["title"] == "Three"


def test_one_from_elsewhere_comes_in_under_its_uid(board: Board) -> None:
    made = board.save({**BOARD, "uid": "rYdddlPWk", "version": 17, "id": 9})
    assert made.status == 200 and made.json()["uid"] == "rYdddlPWk" and made.json()["version"] == 1


def test_search_by_title_tag_and_folder(board: Board) -> None:
    folder = board.editor.call("POST", "/api/folders", json={"title": "Shop", "uid": "shop"}).json()
    assert folder["uid"] == "shop"
    board.save(BOARD, folderUid="shop")
    board.save({"title": "Alpha", "tags": ["prod"]})
    assert board.found("") == ["Alpha", "Checkout: errors & latency", "Host"]
    assert board.found("query=ERRORS") == ["Checkout: errors & latency"]
    assert board.found("tag=prod") == ["Alpha", "Checkout: errors & latency"]
    assert board.found("tag=prod&tag=shop") == ["Checkout: errors & latency"]
    assert board.found("folderUIDs=shop") == ["Checkout: errors & latency"]
    assert board.found("folderUIDs=general,watchkeeper") == ["Alpha", "Host"]
    assert board.found("limit=1&page=2") == ["Checkout: errors & latency"]
    assert board.found("type=dash-folder") == ["Shop"]
    (hit,) = board.viewer.call("GET", "/api/search?query=host").json()
    assert hit == {
        "uid": "host", "title": "Host", "uri": "db/host", "url": "/d/host/host", "type": "dash-db",
        "tags": ["linux"], "isStarred": False, "folderUid": "watchkeeper", "folderTitle": "watchkeeper",
    }  # fmt: skip


def test_those_from_files_are_read_only(board: Board) -> None:
    got = board.editor.call("GET", "/api/dashboards/uid/host").json()
    assert got["meta"]["provisioned"] is True and got["meta"]["canSave"] is False
    assert board.save({**BOARD, "uid": "host"}, overwrite=True).json() == {
        "message": "Cannot save provisioned dashboard"
    }
    refused = board.editor.call("DELETE", "/api/dashboards/uid/host")
    assert refused.status == 400


def test_a_dashboard_is_removed(board: Board) -> None:
    uid = board.save(BOARD).json()["uid"]
    assert board.viewer.call("DELETE", f"/api/dashboards/uid/{uid}").status == 403
    gone = board.editor.call("DELETE", f"/api/dashboards/uid/{uid}")
    assert gone.json()["message"] == "Dashboard Checkout: errors & latency deleted"
    assert board.editor.call("DELETE", f"/api/dashboards/uid/{uid}").status == 404
    assert board.viewer.call("GET", f"/api/dashboards/uid/{uid}").status == 404


@pytest.mark.parametrize(
    ("dashboard", "text"),
    [
        ({}, "Dashboard title cannot be empty"),
        ({"title": " "}, "Dashboard title cannot be empty"),
        ({"title": "x", "uid": "a/b"}, "uid contains illegal characters"),
        ({"title": "x", "uid": "x" * 41}, "uid too long, max 40 characters"),
        ({"title": 5}, "title"),
        ({"title": "a\r\nb"}, "control characters"),
        ({"title": "x", "version": "1"}, "version"),
        ({"title": "x", "version": 2**40}, "version"),
        ([], "no dashboard"),
        (None, "no dashboard"),
    ],
)
def test_what_is_no_dashboard_is_refused(board: Board, dashboard: Any, text: str) -> None:
    answer = board.save(dashboard)
    assert answer.status == 400 and text in answer.json()["message"]


def test_depth_and_size_are_bounded(board: Board) -> None:
    deep: dict[str, Any] = {"title": "x"}
    for _ in range(120):
        deep = {"title": "x", "rows": [deep]}
    assert "levels" in board.save(deep).json()["message"]
    body = b'{"dashboard":{"title":"x","a":' + b"[" * 2000 + b"]" * 2000 + b"}}"
    assert board.editor.call("POST", "/api/dashboards/db", body=body).status == 400
    assert board.save({"title": "x", "text": "y" * (4 << 20)}).status == 413
    assert board.save(BOARD, folderUid="nowhere").json() == {"message": "folder not found"}
