"""Dashboards that come as files: the built-in ones and a directory's `*.json`, in any form Grafana writes.

    classic           {"title": …, "panels": […]}, also {"dashboard": {…}} as Grafana's API gives it
    resource (v1, v2) {"apiVersion": "dashboard.grafana.app/…", "metadata": {"name": uid}, "spec": {…}}

A file's JSON is kept and given out as it is; the UI knows how to draw each form. One bad file never hides the others:
it is reported, and what it said before stays.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import structlog

from watchkeeper.model.errors import BadConfig
from watchkeeper.model.metrics import gauge

log = structlog.get_logger(__name__)

BUILTIN = Path(__file__).parent / "builtin"
BYTES_MAX = 4 << 20
FILES_MAX = 2_000

_loaded = gauge("watchkeeper_dashboards_provisioned", "Dashboards that come from files.")
_failed = gauge("watchkeeper_dashboard_files_failed", "Dashboard files that could not be used at the last reading.")


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard from a file.

    uid         the file's own, or one made from its name
    folder      the name of the subdirectory it lies in; "" at the top, "watchkeeper" for the built-in ones
    text        the JSON of the dashboard itself, unknown fields included
    updated_ms  the file's modification time
    """

    uid: str
    title: str
    tags: tuple[str, ...]
    folder: str
    file: str
    text: bytes
    updated_ms: int
    builtin: bool = False

    @property
    def slug(self) -> str:
        """Give the title as it stands in a URL."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "dashboard"

    def body(self) -> dict[str, Any]:
        """Give the dashboard's JSON, a new copy each time."""
        parsed: dict[str, Any] = orjson.loads(self.text)
        return parsed


def read(file: Path, *, folder: str = "", builtin: bool = False) -> Dashboard:
    """Read a dashboard file.

    raises  BadConfig saying what about the file cannot be used
    """
    try:
        status = file.stat()
        if status.st_size > BYTES_MAX:
            raise BadConfig(str(file), 0, "", f"{status.st_size} bytes", f"at most {BYTES_MAX}")
        content = orjson.loads(file.read_bytes())
    except OSError as error:
        raise BadConfig(str(file), 0, "", error.strerror or "an unreadable file", "a readable file") from error
    except orjson.JSONDecodeError as error:
        raise BadConfig(str(file), error.lineno, "", error.msg, "JSON") from error
    content, spec = _unwrap(file, content)
    title = spec.get("title")
    if not isinstance(title, str) or not title.strip():
        raise BadConfig(str(file), 0, "title", repr(title)[:80], "a title")
    tags = spec.get("tags")
    return Dashboard(
        uid=_uid(file, content, spec),
        title=title.strip(),
        tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
        folder=folder,
        file=str(file),
        text=orjson.dumps(content),
        updated_ms=status.st_mtime_ns // 1_000_000,
        builtin=builtin,
    )


def _unwrap(file: Path, content: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the dashboard, and the part of it that has title and tags."""
    if isinstance(content, dict) and isinstance(content.get("dashboard"), dict) and "title" not in content:
        content = content["dashboard"]
    if not isinstance(content, dict):
        raise BadConfig(str(file), 1, "", type(content).__name__, "a JSON object")
    spec = content.get("spec", content) if "apiVersion" in content else content
    if not isinstance(spec, dict):
        raise BadConfig(str(file), 0, "spec", type(spec).__name__, "a JSON object")
    if not any(part in spec for part in ("panels", "rows", "elements")):
        raise BadConfig(str(file), 0, "", "no panels, rows or elements", "a Grafana dashboard")
    return content, spec


def _uid(file: Path, content: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    metadata = content.get("metadata")
    named = metadata.get("name") if isinstance(metadata, dict) else None
    for uid in (spec.get("uid"), named):
        if isinstance(uid, str) and re.fullmatch(r"[a-zA-Z0-9_\-]{1,40}", uid):
            return uid
    return hashlib.sha256(file.name.encode()).hexdigest()[:14]


class Dashboards:
    """Keeps what the files say; `reload` reads those that changed.

    errors  file → why it is not used, as of the last reload
    """

    def __init__(self, directories: Sequence[Path] = (), builtin: Path | None = BUILTIN) -> None:
        self._directories = tuple(directories)
        self._builtin = builtin
        self._read: dict[Path, tuple[tuple[int, int], Dashboard | None]] = {}
        self._by_uid: dict[str, Dashboard] = {}
        self.errors: dict[str, str] = {}
        self.reload()

    def point(self, directories: Sequence[Path]) -> None:
        """Read other directories from now on."""
        self._directories = tuple(directories)
        self.reload()

    def reload(self) -> None:
        """Read new and changed files; a file that turned bad keeps what it said before, and is in `errors`."""
        errors: dict[str, str] = {}
        kept: dict[Path, tuple[tuple[int, int], Dashboard | None]] = {}
        by_uid: dict[str, Dashboard] = {}
        for file, folder in self._files():
            seen, dashboard, error = self._refresh(file, folder)
            kept[file] = (seen, dashboard)
            if error:
                errors[str(file)] = error
            if dashboard is None:
                continue
            first = by_uid.setdefault(dashboard.uid, dashboard)
            if first is not dashboard and not dashboard.builtin:
                errors[str(file)] = f"{file}: uid: got {dashboard.uid!r}, want one that {first.file} does not have"
        self._report(errors)
        self._read, self._by_uid, self.errors = kept, by_uid, errors
        _loaded.set(len(by_uid))
        _failed.set(len(errors))

    def get(self, uid: str) -> Dashboard | None:
        """Give one, or None."""
        return self._by_uid.get(uid)

    def _files(self) -> list[tuple[Path, str]]:
        """List the files, the user's before the built-in ones, so that the user's may take a built-in's place."""
        found = [
            (file, "" if file.parent == directory else file.parent.name)
            for directory in self._directories
            for file in sorted([*directory.glob("*.json"), *directory.glob("*/*.json")])
        ]
        builtin = sorted(self._builtin.glob("*.json")) if self._builtin else []
        return found[:FILES_MAX] + [(file, "watchkeeper") for file in builtin]

    def _refresh(self, file: Path, folder: str) -> tuple[tuple[int, int], Dashboard | None, str]:
        seen_before, dashboard_before = self._read.get(file, ((0, 0), None))
        try:
            status = file.stat()
            seen = (status.st_mtime_ns, status.st_size)
        except OSError:
            seen = (0, 0)
        if seen == seen_before and dashboard_before is not None:
            return seen, dashboard_before, ""
        try:
            return seen, read(file, folder=folder, builtin=file.parent == self._builtin), ""
        except BadConfig as error:
            return (0, 0), dashboard_before, str(error)  # (0, 0): look again at the next reload

    def _report(self, errors: Mapping[str, str]) -> None:
        for file, error in errors.items():
            if self.errors.get(file) != error:
                log.warning("dashboard_file_refused", file=file, error=error)

    def list(self) -> list[Dashboard]:
        """Give all, by folder and title."""
        return sorted(self._by_uid.values(), key=lambda each: (each.folder.lower(), each.title.lower()))
