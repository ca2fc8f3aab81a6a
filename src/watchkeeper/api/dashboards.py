"""Dashboards and their search, in the shapes of Grafana's HTTP API.

Those that come as files are read-only and go before those in the state store.
"""

import asyncio
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from starlette.responses import Response

from watchkeeper.api.times import rfc3339
from watchkeeper.model.clock import Clock
from watchkeeper.net.answers import Fault, json_answer, json_object, message_answer, text_field
from watchkeeper.net.auditing import remark
from watchkeeper.net.routing import EDIT, READ, Call, Role, Route
from watchkeeper.store.state.dashboards import DashboardHead, Dashboards, Folder

_UID = re.compile(r"[a-zA-Z0-9_\-]*")
_UID_LENGTH_MAX = 40
_DEPTH_MAX = 100
_BODY_BYTES_MAX = 4 << 20
_LIMIT_MAX = 5000


class ProvisionedDashboard(Protocol):
    """A dashboard that came as a file."""

    @property
    def uid(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def tags(self) -> tuple[str, ...]: ...
    @property
    def folder(self) -> str: ...
    @property
    def updated_ms(self) -> int: ...
    def body(self) -> dict[str, Any]: ...


class Provisioned(Protocol):
    """All dashboards that came as files."""

    def list(self) -> Sequence[ProvisionedDashboard]: ...
    def get(self, uid: str) -> ProvisionedDashboard | None: ...


@dataclass(frozen=True, slots=True)
class _Found:
    uid: str
    title: str
    tags: tuple[str, ...]
    folder: Folder | None


def routes(dashboards: Dashboards, provisioned: Provisioned, clock: Clock) -> list[Route]:
    """Give the routes of dashboards, folders and search."""
    shelf = _Shelf(dashboards, provisioned, clock)
    one = "/api/dashboards/uid/{uid}"
    save = Route(
        "/api/dashboards/db",
        ("POST",),
        shelf.save_dashboard,
        EDIT,
        "Keeps a dashboard.",
        body_bytes_max=_BODY_BYTES_MAX,
        error=_fault,
    )
    return [
        Route("/api/search", ("GET",), shelf.search, READ, "Dashboards by title, tag and folder."),
        Route(one, ("GET",), shelf.show_dashboard, READ, "A dashboard with what is known about it."),
        Route(one, ("DELETE",), shelf.delete_dashboard, EDIT, "Removes a dashboard."),
        save,
        Route("/api/folders", ("GET",), shelf.list_folders, READ, "Folders of dashboards."),
        Route("/api/folders", ("POST",), shelf.create_folder, EDIT, "Adds a folder."),
    ]


def slug(title: str) -> str:
    """Give a title as it stands in a URL."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "dashboard"


class _Shelf:
    def __init__(self, dashboards: Dashboards, provisioned: Provisioned, clock: Clock) -> None:
        self._kept, self._files, self._clock = dashboards, provisioned, clock

    async def search(self, call: Call) -> Response:
        limit, page = _number(call, "limit", 1000, _LIMIT_MAX), _number(call, "page", 1, 1 << 30)
        wanted = _wanted(call)
        folders = await asyncio.to_thread(self._kept.folders)
        if call.first("type") == "dash-folder":
            query = call.first("query").lower()
            hits = [_folder_hit(folder) for folder in folders if query in folder.title.lower()]
        else:
            heads = await asyncio.to_thread(self._kept.heads)
            found = self._all(heads, {folder.uid: folder for folder in folders})
            hits = [_hit(each) for each in sorted(found, key=lambda each: each.title.lower()) if wanted(each)]
        return json_answer(hits[(page - 1) * limit : page * limit])

    async def show_dashboard(self, call: Call) -> Response:
        uid = call.path["uid"]
        file = self._files.get(uid)
        if file is not None:
            folder = _file_folder(file)
            meta = _meta(call, file.uid, file.title, 1, folder, provisioned=True)
            times = {"created": rfc3339(file.updated_ms), "updated": rfc3339(file.updated_ms), "updatedBy": "file"}
            return json_answer({"meta": {**meta, **times}, "dashboard": {**file.body(), "uid": uid}})
        kept = await asyncio.to_thread(self._kept.get, uid)
        if kept is None:
            raise Fault(404, "Dashboard not found")
        head, body = kept
        folders = {folder.uid: folder for folder in await asyncio.to_thread(self._kept.folders)}
        meta = _meta(call, uid, head.title, head.version, folders.get(head.folder_uid or ""), provisioned=False)
        meta["created"], meta["updated"] = rfc3339(head.created_ms), rfc3339(head.updated_ms)
        dashboard = {**orjson.loads(body), "uid": uid, "version": head.version}
        return json_answer({"meta": {**meta, "updatedBy": head.updated_by}, "dashboard": dashboard})

    async def save_dashboard(self, call: Call) -> Response:
        content = json_object(call.body)
        dashboard = content.get("dashboard")
        if not isinstance(dashboard, dict):
            raise Fault(400, "cannot save dashboard: got no dashboard, want an object")
        _check_depth(dashboard)
        title, uid = _title(dashboard), _uid(dashboard)
        folder_uid = await self._folder(content)
        remark(uid=uid, title=title)
        if self._files.get(uid) is not None:
            raise Fault(400, "Cannot save provisioned dashboard")
        replaces = None if content.get("overwrite") is True else _version(dashboard)
        body = {key: value for key, value in dashboard.items() if key not in {"id", "version"}}
        tags = dashboard.get("tags")
        version = await asyncio.to_thread(
            self._kept.save,
            uid,
            orjson.dumps({**body, "uid": uid}),
            title=title,
            tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
            folder_uid=folder_uid,
            who=call.who.name,
            now_ms=self._clock.now_ms(),
            replaces=replaces,
        )
        if version is None:
            raise Fault(412, "The dashboard has been changed by someone else")
        answer = {"uid": uid, "url": f"/d/{uid}/{slug(title)}", "status": "success", "version": version}
        return json_answer({**answer, "slug": slug(title), "folderUid": folder_uid or ""})

    async def delete_dashboard(self, call: Call) -> Response:
        uid = call.path["uid"]
        if self._files.get(uid) is not None:
            raise Fault(400, "provisioned dashboard cannot be deleted")
        kept = await asyncio.to_thread(self._kept.get, uid)
        if kept is None or not await asyncio.to_thread(self._kept.delete, uid):
            raise Fault(404, "Dashboard not found")
        title = kept[0].title
        return json_answer({"title": title, "message": f"Dashboard {title} deleted", "uid": uid})

    async def list_folders(self, _call: Call) -> Response:
        folders = await asyncio.to_thread(self._kept.folders)
        return json_answer([{"uid": folder.uid, "title": folder.title} for folder in folders])

    async def create_folder(self, call: Call) -> Response:
        content = json_object(call.body)
        title, uid = _title(content), _uid(content)
        remark(uid=uid, title=title)
        if not await asyncio.to_thread(self._kept.add_folder, Folder(uid, title)):
            raise Fault(409, "a folder with that UID already exists")
        return json_answer({"uid": uid, "title": title, "url": f"/dashboards/f/{uid}"})

    def _all(self, heads: Sequence[DashboardHead], folders: dict[str, Folder]) -> list[_Found]:
        files = [_Found(file.uid, file.title, tuple(file.tags), _file_folder(file)) for file in self._files.list()]
        taken = {file.uid for file in files}
        kept = [
            _Found(head.uid, head.title, head.tags, folders.get(head.folder_uid or ""))
            for head in heads
            if head.uid not in taken
        ]
        return files + kept

    async def _folder(self, content: dict[str, Any]) -> str | None:
        uid = text_field(content, "folderUid", default="")
        if uid and uid not in {folder.uid for folder in await asyncio.to_thread(self._kept.folders)}:
            raise Fault(400, "folder not found")
        return uid or None


def _wanted(call: Call) -> Callable[[_Found], bool]:
    query, tags = call.first("query").lower(), set(call.every("tag"))
    folders = {uid for value in call.every("folderUIDs") for uid in value.split(",") if uid}
    uids = {uid for value in call.every("dashboardUIDs") for uid in value.split(",") if uid}

    def wanted(found: _Found) -> bool:
        folder = found.folder.uid if found.folder else "general"
        return (
            query in found.title.lower()
            and tags <= set(found.tags)
            and (not folders or folder in folders)
            and (not uids or found.uid in uids)
        )

    return wanted


def _hit(found: _Found) -> dict[str, Any]:
    name = slug(found.title)
    hit = {"uid": found.uid, "title": found.title, "uri": f"db/{name}", "url": f"/d/{found.uid}/{name}"}
    folder = {"folderUid": found.folder.uid, "folderTitle": found.folder.title} if found.folder else {}
    return {**hit, "type": "dash-db", "tags": found.tags, "isStarred": False, **folder}


def _folder_hit(folder: Folder) -> dict[str, Any]:
    hit = {"uid": folder.uid, "title": folder.title, "uri": f"db/{slug(folder.title)}", "tags": []}
    return {**hit, "url": f"/dashboards/f/{folder.uid}", "type": "dash-folder", "isStarred": False}


def _meta(
    call: Call, uid: str, title: str, version: int, folder: Folder | None, *, provisioned: bool
) -> dict[str, Any]:
    may_change = not provisioned and call.who.may(EDIT)
    return {
        "type": "db",
        "slug": slug(title),
        "url": f"/d/{uid}/{slug(title)}",
        "version": version,
        "folderUid": folder.uid if folder else "",
        "folderTitle": folder.title if folder else "General",
        "provisioned": provisioned,
        "canSave": may_change,
        "canEdit": may_change,
        "canDelete": may_change,
        "canAdmin": call.who.role is Role.ADMIN,
        "isStarred": False,
    }


def _file_folder(file: ProvisionedDashboard) -> Folder | None:
    return Folder(slug(file.folder), file.folder) if file.folder else None


def _title(content: dict[str, Any]) -> str:
    title = text_field(content, "title", default="").strip()
    if not title:
        raise Fault(400, "Dashboard title cannot be empty")
    return title


def _uid(content: dict[str, Any]) -> str:
    uid = text_field(content, "uid", default="", length_max=1000).strip()
    if len(uid) > _UID_LENGTH_MAX:
        raise Fault(400, f"uid too long, max {_UID_LENGTH_MAX} characters")
    if not _UID.fullmatch(uid):
        raise Fault(400, "uid contains illegal characters")
    return uid or secrets.token_hex(7)


def _version(dashboard: dict[str, Any]) -> int:
    version = dashboard.get("version", 0)
    if version is None:
        return 0
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version < 1 << 31:
        raise Fault(400, f"cannot save dashboard: got version {version!r:.40}, want a number")
    return version


def _check_depth(dashboard: dict[str, Any]) -> None:
    level: list[Any] = [dashboard]
    for _ in range(_DEPTH_MAX):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise Fault(400, f"cannot save dashboard: got more than {_DEPTH_MAX} levels of JSON, want at most {_DEPTH_MAX}")


def _number(call: Call, name: str, default: int, most: int) -> int:
    text = call.first(name) or str(default)
    if not text.isdecimal() or len(text) > 9:
        raise Fault(400, f"cannot read {name}: got {text[:40]!r}, want a number")
    return max(1, min(int(text), most))


def _fault(status: int, text: str) -> Response:
    if status == 412:
        return json_answer({"message": text, "status": "version-mismatch"}, status)
    return message_answer(status, text)
