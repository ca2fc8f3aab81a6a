"""Alerts and groups as the API shows them: with what mutes them and who receives them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from watchkeeper.model.alert import Alert
from watchkeeper.model.labels import Labels
from watchkeeper.model.pattern import Pattern
from watchkeeper.notify.matcher import LabelMatcher, Matchers


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts are asked for.

    receiver  a regular expression for whole receiver names, or None for all
    """

    matchers: Matchers = ()
    active: bool = True
    silenced: bool = True
    inhibited: bool = True
    muted: bool = True
    receiver: Pattern | None = None

    def wants_receiver(self, names: Sequence[str]) -> bool:
        """Say whether any of these receivers is asked for."""
        return self.receiver is None or any(self.receiver.search(name) is not None for name in names)

    def wants(self, shown: "ShownAlert") -> bool:
        """Say whether an alert is asked for."""
        if not self.active and not shown.is_suppressed:
            return False
        if (not self.silenced and shown.silenced_by) or (not self.inhibited and shown.inhibited_by):
            return False
        return all(_passes(matcher, shown.alert.labels) for matcher in self.matchers)


def _passes(matcher: LabelMatcher, labels: Labels) -> bool:
    present = matcher.name in labels
    if not matcher.value and present != matcher.is_equal:  # {a=""} is "has no a", {a!=""} is "has one"
        return True
    return matcher.test(labels.get(matcher.name, ""))


@dataclass(frozen=True, slots=True)
class ShownAlert:
    """An alert with its status."""

    alert: Alert
    receivers: tuple[str, ...]
    silenced_by: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()
    muted_by: tuple[str, ...] = ()

    @property
    def is_suppressed(self) -> bool:
        """Whether silences or other alerts mute it."""
        return bool(self.silenced_by or self.inhibited_by)


@dataclass(frozen=True, slots=True)
class ShownGroup:
    """A group with those of its alerts that were asked for."""

    labels: Labels
    receiver: str
    alerts: tuple[ShownAlert, ...]


Show = Callable[[Alert, tuple[str, ...]], ShownAlert]
