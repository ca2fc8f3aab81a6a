"""Dashboards and folders that people made in the web UI or pushed through the API."""

from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from watchkeeper.store.state.db import StateStore
from watchkeeper.store.state.schema import dashboards, folders

_HEAD = [column for column in dashboards.c if column.name != "body"]


@dataclass(frozen=True, slots=True)
class DashboardHead:
    """What a list shows of a dashboard."""

    uid: str
    folder_uid: str | None
    title: str
    tags: tuple[str, ...]
    version: int
    created_ms: int
    updated_ms: int
    updated_by: str


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of dashboards."""

    uid: str
    title: str


class Dashboards:
    """Keeps dashboards; the JSON inside is not looked at."""

    def __init__(self, state: StateStore) -> None:
        self._state = state

    def heads(self) -> list[DashboardHead]:
        """Give what a list shows, by title."""
        with self._state.read() as connection:
            rows = connection.execute(select(*_HEAD).order_by(dashboards.c.title)).mappings()
            return [_head(dict(row)) for row in rows]

    def get(self, uid: str) -> tuple[DashboardHead, bytes] | None:
        """Give a dashboard and its JSON."""
        with self._state.read() as connection:
            row = connection.execute(select(dashboards).where(dashboards.c.uid == uid)).mappings().first()
        if row is None:
            return None
        fields = dict(row)
        body = fields.pop("body").encode()
        return _head(fields), body

    def save(
        self,
        uid: str,
        body: bytes,
        *,
        title: str,
        tags: tuple[str, ...],
        folder_uid: str | None,
        who: str,
        now_ms: int,
        replaces: int | None,
    ) -> int | None:
        """Keep a dashboard and give its new version.

        replaces  the version that the change was made from, for a uid that is there; None: whatever is there
        returns   None when another version is there
        """
        fields: dict[str, Any] = {
            "folder_uid": folder_uid,
            "title": title,
            "tags": orjson.dumps(tags).decode(),
            "body": body.decode(),
            "updated_ms": now_ms,
            "updated_by": who,
        }
        with self._state.write() as connection:
            found = dashboards.c.uid == uid
            if replaces is not None:
                found &= dashboards.c.version == replaces
            change = update(dashboards).where(found).values(version=dashboards.c.version + 1, **fields)
            if connection.execute(change).rowcount:
                return connection.execute(select(dashboards.c.version).where(dashboards.c.uid == uid)).scalar_one()
        try:
            with self._state.write() as connection:
                connection.execute(insert(dashboards).values(uid=uid, version=1, created_ms=now_ms, **fields))
                return 1
        except IntegrityError:
            return None

    def delete(self, uid: str) -> bool:
        """Remove a dashboard; False when there is none."""
        with self._state.write() as connection:
            return connection.execute(delete(dashboards).where(dashboards.c.uid == uid)).rowcount > 0

    def folders(self) -> list[Folder]:
        """Give the folders, by title."""
        with self._state.read() as connection:
            rows = connection.execute(select(folders).order_by(folders.c.title)).mappings()
            return [Folder(**row) for row in rows]

    def add_folder(self, folder: Folder) -> bool:
        """Add a folder; False when its uid is taken."""
        try:
            with self._state.write() as connection:
                connection.execute(insert(folders).values(uid=folder.uid, title=folder.title))
                return True
        except IntegrityError:
            return False


def _head(row: dict[str, Any]) -> DashboardHead:
    row["tags"] = tuple(orjson.loads(row["tags"]))
    return DashboardHead(**row)
