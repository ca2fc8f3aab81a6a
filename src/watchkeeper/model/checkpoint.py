"""Where long work looks whether it should go on: between frames, and between parts of a matrix.

What runs a query says how to look, for its thread; what does the work need not know what it works for.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class _OfThread(threading.local):
    look: Callable[[], None] | None = None


_own = _OfThread()


def checkpoint() -> None:
    """Look whether this thread's work should go on.

    raises  whatever the one who runs the work says: it took too long, or nobody waits for it
    """
    if _own.look is not None:
        _own.look()


@contextmanager
def looking(look: Callable[[], None]) -> Iterator[None]:
    """Let checkpoints of this thread call a function."""
    before = _own.look
    _own.look = look
    try:
        yield
    finally:
        _own.look = before
