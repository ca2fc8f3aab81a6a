"""Time as an argument, so that tests hold it still."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time; `now_ms` may jump, `monotonic_s` may not."""

    def now_ms(self) -> int:
        """Give Unix milliseconds."""
        ...

    def monotonic_s(self) -> float:
        """Give seconds since an arbitrary moment, never going back."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()
