"""An alert on its way from a rule to the people it concerns."""

from dataclasses import dataclass, field, replace
from typing import Self

from watchkeeper.model.labels import Labels, fingerprint


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert, as Alertmanager's API v2 knows it.

    labels         identify it; never without "alertname" when made by a rule
    starts_at_ms   Unix milliseconds when it began to fire
    ends_at_ms     when it is to count as resolved unless heard of again
    updated_at_ms  when it was last heard of
    generator_url  where its expression can be looked at
    """

    labels: Labels
    annotations: Labels
    starts_at_ms: int
    ends_at_ms: int
    updated_at_ms: int
    generator_url: str = ""
    fingerprint: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fingerprint", fingerprint(self.labels))

    def resolved(self, at_ms: int) -> bool:
        """Say whether it is over at a moment."""
        return self.ends_at_ms <= at_ms

    def changed(self, **fields: object) -> Self:
        """Give a copy with other fields."""
        if "labels" in fields:
            return replace(self, **fields)  # type: ignore[arg-type]
        assert fields.keys() <= set(self.__slots__), fields.keys()
        twin = object.__new__(type(self))  # the labels are the same, and hashing them is what costs
        for name in self.__slots__:
            object.__setattr__(twin, name, fields.get(name, getattr(self, name)))
        return twin
