"""From what a target exposed to rows of its frame: our labels, metric relabelling, limits, report series."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from watchkeeper.collect.exposition import NO_TIME, Exposed, Shape
from watchkeeper.collect.relabel import Relabel
from watchkeeper.collect.settings import ScrapeConfig
from watchkeeper.collect.targets import Target
from watchkeeper.model.doors import MetricWriter
from watchkeeper.model.errors import BadInput
from watchkeeper.model.exemplar import Exemplar
from watchkeeper.model.frame import STALE, Floats, Layout, MetricMetadata, Row
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.labels import METRIC_NAME, LabelPairs, Labels, label_pairs
from watchkeeper.model.metrics import counter

REPORTS = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)

_OWN_LAYOUTS_MAX = 1000  # a target's series with times of their own form a few groups that stay the same

_QUIET_SCRAPES = 10

_over_samples = counter(
    "prometheus_target_scrapes_exceeded_sample_limit",
    "Total number of scrapes that hit the sample limit and were rejected.",
)
_over_labels = counter(
    "prometheus_target_scrape_pool_exceeded_label_limits",
    "Total number of times scrape pools hit the label limits, during sync or config reload.",
)
_duplicates = counter(
    "prometheus_target_scrapes_sample_duplicate_timestamp",
    "Total number of samples rejected due to duplicate timestamps but different values.",
)

_refused = {
    "duplicate sample for timestamp": _duplicates,
    "out of order sample": counter(
        "prometheus_target_scrapes_sample_out_of_order",
        "Total number of samples rejected due to not being out of the expected order.",
    ),
    "out of bounds": counter(
        "prometheus_target_scrapes_sample_out_of_bounds",
        "Total number of samples rejected due to timestamp falling outside of the time bounds.",
    ),
}


def count_refused(refused: Mapping[str, int]) -> None:
    """Count samples of a scrape that the store did not take, by its reasons."""
    for reason, number in refused.items():
        if reason in _refused:
            _refused[reason].inc(number)


@dataclass(frozen=True, slots=True)
class Counts:
    """What a scrape reports about itself; see REPORTS."""

    scraped: int = 0
    kept: int = 0
    added: int = 0


class ScrapeFailed(BadInput):
    """A body that cannot be stored; carries what was counted until then."""

    def __init__(self, text: str, counts: Counts) -> None:
        super().__init__(text)
        self.counts = counts


@dataclass(frozen=True, slots=True)
class _Bound:
    """A shape made ready to store.

    take      int64[n]: which of the exposed values make the row, or None when all do
    own_take  int64[m]: which of them have times of their own; their labels beside it
    reports   the places of the report series in the row, -1 where the target itself says that series
    keys      hashes of all series, to see how many are new next time
    """

    shape: Shape
    layout: Layout
    take: npt.NDArray[np.int64] | None
    own_take: npt.NDArray[np.int64]
    own_labels: tuple[Labels, ...]
    reports: tuple[int, ...]
    kept: int
    keys: frozenset[int]


class TargetRows:
    """Makes the rows of one target. Remembers labels by series text, and the layout by shape.

    metadata  what its last new shape said about metric families
    """

    def __init__(self, writer: MetricWriter, target: Target, config: ScrapeConfig, relabel: Relabel) -> None:
        self._writer, self._target, self._config, self._relabel = writer, target, config, relabel
        self._final: dict[bytes, tuple[LabelPairs, Labels] | None] = {}
        self._bound: _Bound | None = None
        self._quiet = 0  # scrapes in a row with the same shape
        self._timed_now: npt.NDArray[np.bool_] | None = None
        self._report_labels = [{METRIC_NAME: name, **target.labels} for name in REPORTS]
        self._report_layout: Layout | None = None
        self.metadata: Mapping[str, MetricMetadata] = {}
        self._own: dict[bytes, tuple[Layout, npt.NDArray[np.int64]]] = {}
        self._own_last: tuple[Labels, ...] = ()  # series with times of their own in the scrape before

    def rows(self, exposed: Exposed, time_ms: int, duration_s: float) -> tuple[list[Row], Counts]:
        """Give the rows of a scrape that went well.

        raises  ScrapeFailed when a limit is passed or a series is no series: the scrape fails whole
        """
        timed = self._timed(exposed)
        bound, added = self._bind(exposed, timed)
        counts = Counts(exposed.samples, bound.kept + exposed.samples - len(exposed.values), added)
        values = np.empty(len(bound.layout), np.float64)
        plain = exposed.values if bound.take is None else exposed.values[bound.take]
        values[: len(plain)] = plain
        for place, value in zip(bound.reports, _report(1.0, duration_s, counts), strict=True):
            if place >= 0:
                values[place] = value
        held = exposed.histograms
        rows = [Row(bound.layout, time_ms, values, whole=True, histograms=held)]
        if len(bound.own_take) and exposed.times is not None:
            rows += self._own_rows(bound, exposed.values[bound.own_take], exposed.times[bound.own_take], held)
        return rows + self._own_ended(bound.own_labels, bound.keys, time_ms), counts

    def exemplars(self, exposed: Exposed, time_ms: int) -> list[tuple[Labels, Exemplar]]:
        """Give the exemplars of a scrape whose rows were made, each with its series."""
        found = []
        for at, one in exposed.exemplars:
            final = self._final.get(exposed.shape.texts[at])
            if final is not None:
                own_ms = NO_TIME if exposed.times is None else int(exposed.times[at])
                known_ms = time_ms if own_ms == NO_TIME else own_ms
                found.append((final[1], one if one.timed else replace(one, time_ms=known_ms)))
        return found

    def failed(self, time_ms: int, duration_s: float, counts: Counts) -> list[Row]:
        """Give the row of a scrape that failed: up is 0 and all the target's series end."""
        values = np.array(_report(0.0, duration_s, counts), np.float64)
        return [Row(self._reports(), time_ms, values, whole=True), *self._own_ended((), frozenset(), time_ms)]

    def gone(self, time_ms: int) -> list[Row]:
        """Give the last row of a target that is no more: every series ends, the report's too."""
        ends = Row(self._reports(), time_ms, np.full(len(REPORTS), STALE), whole=True)
        return [ends, *self._own_ended((), frozenset(), time_ms)]

    def _reports(self) -> Layout:
        if self._report_layout is None:
            self._report_layout = self._writer.layout(self._target.source, self._report_labels)
        return self._report_layout

    def _timed(self, exposed: Exposed) -> npt.NDArray[np.bool_] | None:
        if exposed.times is None or not self._config.honor_timestamps:
            return None
        return np.asarray(exposed.times != NO_TIME)

    def _bind(self, exposed: Exposed, timed: npt.NDArray[np.bool_] | None) -> tuple[_Bound, int]:
        bound, before = self._bound, self._timed_now
        same_times = timed is before or (timed is not None and before is not None and np.array_equal(timed, before))
        if bound is not None and bound.shape is exposed.shape and same_times:
            self._quiet += 1
            if self._quiet == _QUIET_SCRAPES and timed is None and not exposed.exemplars:
                bound.shape.release()
                self._final = {}
            return bound, 0
        fresh = self._make(exposed, timed)
        known = bound.keys if bound is not None else frozenset()
        self._bound, self._timed_now, self._quiet = fresh, timed, 0
        self._own.clear()
        self.metadata = _shared(exposed.shape.metadata)
        self._writer.describe(self.metadata)
        return fresh, len(fresh.keys - known)

    def _make(self, exposed: Exposed, timed: npt.NDArray[np.bool_] | None) -> _Bound:
        shape = exposed.shape
        finals = self._finals(shape, exposed.samples)
        seen: dict[LabelPairs, int] = {}
        take: list[int] = []
        own: list[int] = []
        series: list[Labels] = []
        for at, final in enumerate(finals):
            if final is None:
                continue
            if timed is not None and timed[at]:
                own.append(at)
            elif final[0] in seen:
                _duplicates.inc()
            else:
                seen[final[0]] = len(series)
                take.append(at)
                series.append(final[1])
        _duplicates.inc(exposed.samples - len(finals))
        reports = self._place_reports(seen, series)
        layout = self._writer.layout(self._target.source, series)
        own_labels = tuple(final[1] for at in own if (final := finals[at]) is not None)
        keys = frozenset(map(hash, seen)) | {hash(label_pairs(labels)) for labels in own_labels}
        places = None if len(take) == len(finals) else np.array(take, np.int64)
        kept = sum(final is not None for final in finals)
        return _Bound(shape, layout, places, np.array(own, np.int64), own_labels, reports, kept, keys)

    def _place_reports(self, seen: Mapping[LabelPairs, int], series: list[Labels]) -> tuple[int, ...]:
        places = []
        for labels in self._report_labels:
            taken = label_pairs(labels) in seen
            places.append(-1 if taken else len(series))
            if not taken:
                series.append(labels)
        return tuple(places)

    def _finals(self, shape: Shape, samples: int) -> list[tuple[LabelPairs, Labels] | None]:
        """Give each series' final labels, None where a rule dropped it."""
        known, finals = self._final, []
        for text, labels in zip(shape.texts, shape.series, strict=True):
            if text in known:
                finals.append(known[text])
                continue
            try:
                finals.append(self._finish(labels))
            except BadInput as error:
                raise ScrapeFailed(str(error), Counts(samples, len(finals), 0)) from None
        self._final = dict(zip(shape.texts, finals, strict=True))
        kept = sum(final is not None for final in finals)
        limit = self._config.sample_limit or 0
        if limit and kept > limit:
            _over_samples.inc()
            raise ScrapeFailed("sample limit exceeded", Counts(samples, kept, min(kept, limit)))
        return finals

    def _finish(self, exposed: Labels) -> tuple[LabelPairs, Labels] | None:
        labels = with_target_labels(exposed, self._target.labels, honor=self._config.honor_labels)
        final = self._relabel.apply(labels) if self._relabel else labels
        if not final:
            return None
        if not final.get(METRIC_NAME):
            raise BadInput("missing metric name (__name__ label)")
        self._check_names(final)
        self._check_limits(final)
        return label_pairs(final), final

    def _check_names(self, labels: Labels) -> None:
        if self._config.metric_name_validation_scheme != "legacy":
            return
        for name in labels:
            if not (name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit()):
                raise BadInput(f"invalid metric name or label names: {dict(labels)}")

    def _check_limits(self, labels: Labels) -> None:
        config, metric = self._config, labels[METRIC_NAME][:50]
        if config.label_limit and len(labels) > config.label_limit:
            _over_labels.inc()
            got = f"number of labels: {len(labels)}, limit: {config.label_limit}"
            raise BadInput(f"label_limit exceeded (metric: {metric}, {got})")
        name_max, value_max = config.label_name_length_limit or 0, config.label_value_length_limit or 0
        if not (name_max or value_max):
            return
        for name, value in labels.items():
            label = f"metric: {metric}, label name: {name[:50]}"
            if name_max and len(name.encode()) > name_max:
                _over_labels.inc()
                length = len(name.encode())
                raise BadInput(f"label_name_length_limit exceeded ({label}, length: {length}, limit: {name_max})")
            if value_max and len(value.encode()) > value_max:
                _over_labels.inc()
                got = f'value: "{value[:50]}", length: {len(value.encode())}, limit: {value_max}'
                raise BadInput(f"label_value_length_limit exceeded ({label}, {got})")

    def _own_rows(
        self, bound: _Bound, values: Floats, times: npt.NDArray[np.int64], held: Sequence[Histogram]
    ) -> list[Row]:
        """Give rows for samples with times of their own: they live in a frame beside the target's."""
        rows = []
        for time in np.unique(times):
            which = np.flatnonzero(times == time)
            key = which.tobytes()
            if key not in self._own:
                self._own[key] = self._own_layout([bound.own_labels[at] for at in which])
            layout, take = self._own[key]
            rows.append(Row(layout, int(time), values[which[take]], histograms=held))
        return rows

    def _own_ended(self, now: tuple[Labels, ...], keys: frozenset[int], time_ms: int) -> list[Row]:
        """Give a row that ends the series with times of their own which are said no more, where that is wanted.

        now, keys  such series of this scrape; the hashes of all its series
        """
        before, self._own_last = self._own_last, now
        if before is now or not self._config.track_timestamps_staleness:
            return []
        ended = [labels for labels in before if hash(label_pairs(labels)) not in keys]
        if not ended:
            return []
        layout, take = self._own_layout(ended)
        return [Row(layout, time_ms, np.full(len(take), STALE))]

    def _own_layout(self, series: Sequence[Labels]) -> tuple[Layout, npt.NDArray[np.int64]]:
        if len(self._own) >= _OWN_LAYOUTS_MAX:
            self._own.clear()
        first: dict[LabelPairs, int] = {}
        for at, labels in enumerate(series):
            first.setdefault(label_pairs(labels), at)
        take = list(first.values())
        layout = self._writer.layout(f"{self._target.source}/own", [series[at] for at in take])
        return layout, np.array(take, np.int64)


def _report(up: float, duration_s: float, counts: Counts) -> tuple[float, ...]:
    return up, duration_s, float(counts.scraped), float(counts.kept), float(counts.added)


def with_target_labels(exposed: Labels, target: Labels, *, honor: bool) -> dict[str, str]:
    """Join a sample's own labels and its target's.

    honor    whether the sample's win; otherwise they move aside with "exported_" before their names
    returns  without empty values
    source   Prometheus, scrape/scrape.go mutateSampleLabels
    """
    if honor:
        joined = {**target, **exposed}
        return {name: value for name, value in joined.items() if value}
    joined = {name: value for name, value in {**exposed, **target}.items() if value}
    clashing = sorted((name for name in target if exposed.get(name)), key=len)
    for name in clashing:
        aside = f"exported_{name}"
        while aside in joined:
            aside = f"exported_{aside}"
        joined[aside] = exposed[name]
    return joined


def _shared(families: Mapping[str, MetricMetadata]) -> Mapping[str, MetricMetadata]:
    """Give the same with what many targets say in memory once."""
    return {sys.intern(name): _once(said) for name, said in families.items()}


@lru_cache(maxsize=1 << 14)
def _once(said: MetricMetadata) -> MetricMetadata:
    return said
