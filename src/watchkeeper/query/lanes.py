"""How many queries compute at the same moment, however many are under way.

Python threads that all want to compute take turns anyway, at a price: with twenty of them, whatever else the process
does (writes, scrapes, health) waits behind twenty time slices of the interpreter. So only a few are let compute, and
who has done so for a while lets the next one go on.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

_SLICE_S = 0.02
_PATIENCE_S = 0.5  # who waits to go on may hold a lock that those ahead wait for: better one too many for a while


def lanes_of_machine() -> int:
    """Give how many threads gain by computing at once: NumPy and codecs let go of the interpreter, Python does not."""
    return min(max(2, os.cpu_count() or 1), 8)


class Lane:
    """The right of one thread to compute."""

    def __init__(self, lanes: "Lanes") -> None:
        self._lanes, self._since_s = lanes, time.monotonic()

    def give_way(self) -> None:
        """Let another query go on if one waits and this one had its share; returns when it is its turn again."""
        if self._lanes.wanted and time.monotonic() - self._since_s > _SLICE_S:
            self._lanes.leave()
            self._lanes.enter(_PATIENCE_S)
            self._since_s = time.monotonic()


class Lanes:
    """Safe from any thread."""

    def __init__(self, count: int) -> None:
        self._lock = threading.Lock()
        self._free = count
        self._line: deque[threading.Event] = deque()

    @property
    def wanted(self) -> bool:
        """Say whether anybody waits."""
        return bool(self._line)

    @contextmanager
    def taken(self) -> Iterator[Lane]:
        """Wait for a lane and hold it for the length of a block."""
        self.enter(None)
        try:
            yield Lane(self)
        finally:
            self.leave()

    def enter(self, patience_s: float | None) -> None:
        """Return when there is a lane, or after this time without one."""
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return
            turn = threading.Event()
            self._line.append(turn)
        if turn.wait(patience_s):
            return
        with self._lock:
            if not turn.is_set():
                self._line.remove(turn)
                self._free -= 1

    def leave(self) -> None:
        """Give the lane to who waits longest."""
        with self._lock:
            if self._free >= 0 and self._line:
                self._line.popleft().set()
            else:
                self._free += 1
