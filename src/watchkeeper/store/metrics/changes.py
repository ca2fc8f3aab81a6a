"""What changed since when: so that who keeps an answer can tell which part of it still holds.

Every append, deletion and drop gets a number, in order. A frame remembers, for numbers lately given, the earliest
sample time that came with them or later; old numbers are told apart no more, to the safe side.
"""

from collections.abc import Iterable, Mapping

from watchkeeper.store.metrics.frame import Frame

UNCHANGED_MS = (1 << 63) - 1
EVERYTHING_MS = -(1 << 63)
_REMEMBERED = 32  # steps of the past that a frame tells apart


class Changes:
    """Numbers the changes of a store. Written by one thread, read by any.

    A change is numbered after readers can see it. Who takes the number first and reads then may see more than the
    number says, never less.
    """

    def __init__(self) -> None:
        self.version = 0
        self._everything = 0

    def note(self, earliest_ms: Mapping[Frame, int]) -> None:
        """Number an append; gives the earliest time that each frame got a sample for."""
        version = self.version + 1
        for frame, time_ms in earliest_ms.items():
            frame.changes = _pushed(frame.changes, version, time_ms)
        self.version = version

    def everything(self) -> None:
        """Number a change that may concern any sample: a deletion, a drop, a frame that is gone."""
        self._everything = self.version + 1
        self.version += 1

    def since_ms(self, version: int, frames: Iterable[Frame]) -> int:
        """Give the earliest time for which these frames may have changed after a version."""
        if self._everything > version:
            return EVERYTHING_MS
        return min((_since(frame.changes, version) for frame in frames), default=UNCHANGED_MS)


def _pushed(changes: tuple[tuple[int, int], ...], version: int, time_ms: int) -> tuple[tuple[int, int], ...]:
    """Add an entry to those of ascending version and time: each holds for its version and all before it."""
    keep = len(changes)
    while keep and changes[keep - 1][1] >= time_ms:
        keep -= 1
    if keep >= _REMEMBERED:  # of the two oldest, the earlier time now holds for both versions
        changes = ((changes[1][0], changes[0][1]), *changes[2:keep])
        keep = len(changes)
    return (*changes[:keep], (version, time_ms))


def _since(changes: tuple[tuple[int, int], ...], version: int) -> int:
    return next((time_ms for number, time_ms in changes if number > version), UNCHANGED_MS)
