"""Which new series are taken: one metric that explodes must not take the place of the rest.

A series is refused by itself when its labels are too many or too long. Of a metric whose series in one source would be
too many, or were too many new ones within an hour, all new series are refused; those that are known go on, and so does
every other metric. A label that holds user ids, say, is so stopped at the scrape in which it passes the bound.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog

from watchkeeper.model.errors import Refused
from watchkeeper.model.labels import METRIC_NAME, Labels, LabelTable, OverlaySymbols, Symbols
from watchkeeper.model.metrics import counter
from watchkeeper.store.metrics.columns import ColumnIndex, code_labels
from watchkeeper.store.settings import MetricSettings

log = structlog.get_logger(__name__)

_HOUR_S = 3600.0
_RATE_S = 10  # over which the rate of samples is counted
_NAMED_MAX = 100  # metrics that have a counter of their own

REFUSED_SERIES = counter(
    "watchkeeper_series_refused",
    "New series refused, by metric; those of many metrics under the name other.",
    ("metric",),
)


@dataclass(slots=True)
class _Hour:
    """New series of a source within an hour, all together and by metric."""

    since_s: float
    total: int = 0
    by_metric: dict[str, int] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)


class Admission:
    """Used by one thread.

    now_s  gives steady seconds
    """

    def __init__(self, settings: MetricSettings, symbols: Symbols, now_s: Callable[[], float]) -> None:
        self._settings, self._symbols, self._now_s = settings, symbols, now_s
        self._hours: dict[str, _Hour] = {}
        self._named: set[str] = set()
        self._left, self._left_at_s = float(settings.samples_per_s_max * _RATE_S), now_s()

    def refused(self, source: str, index: ColumnIndex, series: Sequence[Labels]) -> dict[int, str]:
        """Give the places of the series that are not taken, and why."""
        settings = self._settings
        found = {at: reason for at, labels in enumerate(series) if (reason := self._unfit(labels)) is not None}
        if found:
            self._tell(
                source, {str(series[at].get(METRIC_NAME, "")): reason for at, reason in found.items()}, found, series
            )
        hour = self._hour(source)
        if max(len(index.hashes), hour.total) + len(series) > settings.series_max_per_metric:
            found |= self._exploding(source, index, series, hour)
        return found

    def count(self, samples: int) -> None:
        """Count samples that are about to be written.

        raises  Refused when there were too many within the last seconds; they are not counted then
        """
        limit = self._settings.samples_per_s_max
        if not limit:
            return
        now_s = self._now_s()
        left = min(limit * _RATE_S, self._left + (now_s - self._left_at_s) * limit)
        self._left, self._left_at_s = left, now_s
        if left <= 0:
            raise Refused(f"samples_per_s_max: got more than {limit} samples a second, want at most that", 2)
        self._left -= samples

    def note(self, source: str, fresh: LabelTable) -> None:
        """Count series that were taken anew."""
        hour = self._hour(source)
        hour.total += len(fresh)
        codes, counts = np.unique(fresh.column(METRIC_NAME), return_counts=True)
        for name, number in zip(self._symbols.texts(codes), counts.tolist(), strict=True):
            hour.by_metric[name] = hour.by_metric.get(name, 0) + number

    def _unfit(self, labels: Labels) -> str | None:
        settings = self._settings
        if len(labels) > settings.labels_max:
            return f"labels_max: got {len(labels)} labels, want at most {settings.labels_max}"
        longest_name, longest = max(map(len, labels), default=0), max(map(len, labels.values()), default=0)
        if longest_name > settings.label_name_length_max:
            return f"label_name_length_max: got {longest_name}, want at most {settings.label_name_length_max}"
        if longest > settings.label_value_length_max:
            return f"label_value_length_max: got {longest}, want at most {settings.label_value_length_max}"
        return None

    def _exploding(self, source: str, index: ColumnIndex, series: Sequence[Labels], hour: _Hour) -> dict[int, str]:
        overlay: OverlaySymbols = self._symbols.overlay()  # so that what is refused leaves no strings behind
        table = code_labels(series, overlay)
        _, fresh = index.find(table)
        names = table.column(METRIC_NAME)
        known_names = index.table.column(METRIC_NAME)
        limit = self._settings.series_max_per_metric
        found: dict[int, str] = {}
        reasons: dict[str, str] = {}
        for code, number in zip(*np.unique(names[fresh], return_counts=True), strict=True):
            name = overlay.text(int(code))
            there = max(int((known_names == code).sum()), hour.by_metric.get(name, 0))
            if there + int(number) > limit:
                reasons[name] = (
                    f"series_max_per_metric: got {there + int(number)} series of {name}, want at most {limit}"
                )
                found |= dict.fromkeys(fresh[names[fresh] == code].tolist(), reasons[name])
        if found:
            again = {tuple(sorted(series[at].items())) for at in found}  # the same new series twice in the list
            found |= {
                at: reasons[name]
                for at, one in enumerate(series)
                if (name := str(one.get(METRIC_NAME, ""))) in reasons and tuple(sorted(one.items())) in again
            }
            self._tell(source, reasons, found, series)
        return found

    def _tell(self, source: str, reasons: dict[str, str], places: dict[int, str], series: Sequence[Labels]) -> None:
        hour = self._hour(source)
        for name, reason in reasons.items():
            number = sum(series[at].get(METRIC_NAME, "") == name for at in places)
            known = name in self._named or len(self._named) < _NAMED_MAX
            if known:
                self._named.add(name)
            REFUSED_SERIES.labels(name if known else "other").inc(number)
            if name not in hour.told:  # once an hour
                hour.told.add(name)
                log.warning("series_refused", source=source, metric=name, series=number, reason=reason)

    def _hour(self, source: str) -> _Hour:
        now_s = self._now_s()
        hour = self._hours.get(source)
        if hour is None or now_s - hour.since_s >= _HOUR_S:
            if len(self._hours) > 10_000:
                self._hours = {name: one for name, one in self._hours.items() if now_s - one.since_s < _HOUR_S}
            hour = self._hours[source] = _Hour(now_s)
        return hour
