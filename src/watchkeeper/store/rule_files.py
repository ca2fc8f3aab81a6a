"""Rule files that came over HTTP, one a namespace, kept in the data directory.

    log-rules/NAME.yml    NAME is the namespace, percent-encoded; UTF-8

A file is written beside its place, synced, and renamed: what is there is whole.
"""

from urllib.parse import quote, unquote

from watchkeeper.store.files import Files, write_whole

_FOLDER, _ENDING, _DRAFT = "log-rules", ".yml", ".tmp"


class RuleFiles:
    """Texts by namespace. Methods block; one caller at a time."""

    def __init__(self, files: Files) -> None:
        self._files = files
        files.makedirs(_FOLDER)

    def read_all(self) -> dict[str, bytes]:
        """Give every namespace's text, in the order of their names."""
        names = sorted(name for name in self._files.listdir(_FOLDER) if name.endswith(_ENDING))
        return {unquote(name.removesuffix(_ENDING)): self._read(f"{_FOLDER}/{name}") for name in names}

    def write(self, namespace: str, text: bytes) -> None:
        """Put a namespace's text in the place of the one before; on the disk when it returns.

        raises  OSError: the text before is still there
        """
        path = self._path(namespace)
        fd = self._files.open(path + _DRAFT)
        try:
            self._files.ftruncate(fd, 0)
            write_whole(self._files, fd, text, 0)
            self._files.fdatasync(fd)
        finally:
            self._files.close(fd)
        self._files.rename(path + _DRAFT, path)
        self._files.fsync_dir(_FOLDER)

    def remove(self, namespace: str) -> None:
        """Remove a namespace that is there; gone from the disk when it returns."""
        self._files.unlink(self._path(namespace))
        self._files.fsync_dir(_FOLDER)

    def _path(self, namespace: str) -> str:
        return f"{_FOLDER}/{quote(namespace, safe='')}{_ENDING}"

    def _read(self, path: str) -> bytes:
        fd = self._files.open(path)
        try:
            return self._files.pread(fd, self._files.size(fd), 0)
        finally:
            self._files.close(fd)
