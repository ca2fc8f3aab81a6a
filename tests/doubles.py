"""Clocks that stand still until a test moves them."""

from dataclasses import dataclass


@dataclass
class StillClock:
    """Wall and steady time in step: whoever moves `ms` moves both."""

    ms: int = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1000

    def pass_s(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)


@dataclass
class SplitClock:
    """Wall and steady time each by itself, as when somebody sets the wall clock; `pass_s` moves both."""

    ms: int
    s: float = 0.0

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.s

    def pass_s(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)
        self.s += seconds
