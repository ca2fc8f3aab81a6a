"""Where the host's files lie: the root of its file system, or of a copy of it."""

from dataclasses import dataclass
from pathlib import Path

_BYTES_MAX = 1 << 20


class NotHere(Exception):  # it is what happened
    """The host has no such thing; the collector gives nothing and counts as failed, as in the node exporter."""


@dataclass(frozen=True, slots=True)
class Host:
    """Reads small files below a root."""

    root: Path

    def read(self, path: str) -> str:
        """Give a file's text, stripped.

        raises  NotHere
        """
        try:
            with (self.root / path).open("rb") as file:
                return file.read(_BYTES_MAX).decode(errors="replace").strip()
        except OSError as error:
            raise NotHere(f"{path}: {error.strerror}") from None

    def maybe(self, path: str) -> str:
        """Give a file's text, or nothing when it cannot be read."""
        try:
            return self.read(path)
        except NotHere:
            return ""

    def number(self, path: str) -> int | None:
        """Give a file's number, decimal or 0x…; None when there is none."""
        text = self.maybe(path)
        try:
            return int(text, 0)
        except ValueError:
            return None

    def names(self, path: str) -> list[str]:
        """Give the names in a folder, sorted; none when there is no such folder."""
        try:
            return sorted(entry.name for entry in (self.root / path).iterdir())
        except OSError:
            return []


def numbers(words: list[str]) -> list[int]:
    """Read whole numbers.

    raises  NotHere when one is none
    """
    try:
        return [int(word) for word in words]
    except ValueError:
        raise NotHere(f"got {' '.join(words)[:80]!r}, want whole numbers") from None
