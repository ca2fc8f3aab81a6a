"""Gives memory that was freed back to the operating system, which the C library by itself hardly does.

After a burst (a first parse of a thousand targets, a block written, a heavy query) its heap is mostly holes.
"""

import ctypes
from typing import Any

_library: Any = ctypes.CDLL(None)
_trim = getattr(_library, "malloc_trim", None)  # glibc's alone


def trim() -> None:
    """Give back what is free; takes a millisecond or few, without the interpreter's lock."""
    if _trim is not None:
        _trim(0)
