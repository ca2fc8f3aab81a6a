"""The desk's own metrics: alerts and silences by state, groups, how long an alert takes to find its own."""

from collections.abc import Callable
from functools import partial

from watchkeeper.model.clock import Clock
from watchkeeper.model.metrics import gauge, summary
from watchkeeper.notify.alert_book import AlertBook
from watchkeeper.notify.group import Groups
from watchkeeper.notify.showing import Showing
from watchkeeper.notify.silence import SilenceBook, State

_LAST_S = 1.0
_SILENCE_STATES: tuple[State, ...] = ("active", "pending", "expired")

_alerts = gauge("alertmanager_alerts", "How many alerts by state.", ("state",))
_silences = gauge("alertmanager_silences", "How many silences by state.", ("state",))
processing_s = summary(
    "alertmanager_dispatcher_alert_processing_duration_seconds", "Summary of latencies for the processing of alerts."
)
_groups = gauge("alertmanager_dispatcher_aggregation_groups", "Number of active aggregation groups")


class _Counts:
    """Counts alerts by state; one pass over all serves every state of one scrape."""

    def __init__(self, clock: Clock, book: AlertBook, showing: Callable[[], Showing]) -> None:
        self._clock, self._book, self._showing = clock, book, showing
        self._counts: dict[str, int] = {}
        self._counted_s = -_LAST_S

    def of(self, state: str) -> int:
        now_s, now_ms = self._clock.monotonic_s(), self._clock.now_ms()
        if now_s >= self._counted_s + _LAST_S:
            live = [one for one in self._book if not one.resolved(now_ms)]
            suppressed = sum(self._showing().show(one, (), now_ms).is_suppressed for one in live)
            self._counts = {"active": len(live) - suppressed, "suppressed": suppressed}
            self._counted_s = now_s
        return self._counts.get(state, 0)  # none is unprocessed: every alert is looked at as it comes in


def serve_counts(
    clock: Clock, book: AlertBook, silences: SilenceBook, of_config: Callable[[], tuple[Groups, Showing]]
) -> None:
    """Serve the gauges from now on.

    of_config  gives what the configuration in use has made
    """
    counts = _Counts(clock, book, lambda: of_config()[1])
    _groups.set_function(lambda: len(of_config()[0]))
    for state in ("active", "suppressed", "unprocessed"):
        _alerts.labels(state).set_function(partial(counts.of, state))
    for kind in _SILENCE_STATES:
        _silences.labels(kind).set_function(partial(_count_silences, silences, clock, kind))


def _count_silences(silences: SilenceBook, clock: Clock, state: State) -> int:
    return silences.count(state, clock.now_ms())
