"""What of a group is to be heard: inhibition, time intervals, silences, in Alertmanager's order; and who holds what.

source  github.com/prometheus/alertmanager, notify/notify.go: the stages and their order
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from watchkeeper.model.alert import Alert
from watchkeeper.model.metrics import counter
from watchkeeper.notify.group import Flush
from watchkeeper.notify.inhibit import Inhibitor
from watchkeeper.notify.mute import MuteTimes
from watchkeeper.notify.route import RouteOptions
from watchkeeper.notify.silence import SilenceBook

_suppressed = counter(
    "alertmanager_notifications_suppressed",
    "The total number of notifications suppressed for being silenced, inhibited, outside of active time intervals or"
    " within muted time intervals.",
    ("reason",),
)


_REASONS = {
    "inhibited": "inhibition",
    "silenced": "silence",
    "muted": "mute_time_interval",
    "inactive": "active_time_interval",
}


@dataclass(frozen=True, slots=True)
class Hold:
    """Why an alert is not heard.

    kind  inhibited, silenced, muted (inside an interval) or inactive (outside of all)
    by    fingerprints of alerts, ids of silences, or names of intervals
    """

    kind: str
    by: tuple[str, ...]

    @property
    def words(self) -> str:
        """Say it of a time interval."""
        where = "outside of active" if self.kind == "inactive" else "inside mute"
        return f"{where} time interval {', '.join(self.by)}"


@dataclass(frozen=True, slots=True)
class Sifted:
    """The alerts of a flush that are heard, and why the others are not, by fingerprint."""

    heard: tuple[Alert, ...]
    held: Mapping[int, Hold] = field(default_factory=dict)

    def count(self) -> None:
        """Count what was held back from people."""
        for hold in self.held.values():
            _suppressed.labels(_REASONS[hold.kind]).inc()


class Sieve:
    """Holds back what one configuration mutes."""

    def __init__(self, inhibitor: Inhibitor, mute_times: MuteTimes, silences: SilenceBook) -> None:
        self._inhibitor, self._mute_times, self._silences = inhibitor, mute_times, silences

    def sift(self, flush: Flush) -> Sifted:
        """Take out what is muted at the moment of a flush, and note at the group which intervals mute it."""
        group, now_ms = flush.group, flush.now_ms
        held: dict[int, Hold] = {}
        alerts = []
        for one in flush.alerts:
            if by := self._inhibitor.muted_by(one.labels, now_ms):
                held[one.fingerprint] = Hold("inhibited", tuple(by))
            else:
                alerts.append(one)
        muting = self.muting_of(group.route.options, now_ms) if alerts else None
        group.muted_by = muting.by if muting is not None else ()
        if muting is not None:
            return Sifted((), {**held, **{one.fingerprint: muting for one in alerts}})
        heard = []
        for one in alerts:
            if by := self._silences.muted_by(one.fingerprint, one.labels, now_ms):
                held[one.fingerprint] = Hold("silenced", tuple(by))
            else:
                heard.append(one)
        return Sifted(tuple(heard), held)

    def muting_of(self, options: RouteOptions, now_ms: int) -> Hold | None:
        """Say which time intervals of a route mute all that goes its way."""
        active = options.active_time_intervals
        if active and not self._mute_times.current(active, now_ms):
            return Hold("inactive", active)
        muting = self._mute_times.current(options.mute_time_intervals, now_ms)
        return Hold("muted", tuple(muting)) if muting else None
