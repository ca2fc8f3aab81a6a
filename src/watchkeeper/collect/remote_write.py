"""Receives remote write 1.0 and 2.0: what others scraped becomes rows of frames, one for each job and instance.

source  prometheus.io/docs/specs/prw, remote_write_spec and remote_write_spec_2_0;
        Prometheus, storage/remote/write_handler.go
"""

from array import array
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from watchkeeper.collect.histogram_wire import read_histogram
from watchkeeper.collect.known_series import KnownSeries, LabelBytes
from watchkeeper.collect.write_request import Columns, RequestReader
from watchkeeper.collect.write_symbols import SymbolWalk
from watchkeeper.collect.write_wire import read_labels, unreadable, walk_request
from watchkeeper.model.document import Settings, setting
from watchkeeper.model.doors import ExemplarWriter, MetricWriter
from watchkeeper.model.errors import BadInput, OverLimit
from watchkeeper.model.frame import ABSENT, STALE_BITS, Floats, Layout, Row, histogram_cells
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.labels import METRIC_NAME, Labels
from watchkeeper.model.metrics import counter
from watchkeeper.net.protobuf import BrokenMessage

VERSION_1, VERSION_2 = "prometheus.WriteRequest", "io.prometheus.write.v2.Request"

_EXAMPLES_MAX = 3
_PARTIAL = 16  # a row for less than a sixteenth of its frame gets a layout of its own
_LAYOUTS_PER_SOURCE_MAX = 16
_PLANS_MAX = 64

_received = counter("watchkeeper_remote_write_samples", "Samples received by remote write", ("result",))
_stored, _refused = _received.labels("stored"), _received.labels("refused")
_requests = counter("watchkeeper_remote_write_requests", "Remote write requests", ("result",))

Ints = npt.NDArray[np.int64]


class RemoteWriteSettings(Settings):
    """Limits of receiving remote write."""

    body_bytes_max: int = setting(64 << 20, "A request is refused above this, decompressed.", unit="bytes")
    labels_max: int = setting(200, "A series with more labels is refused.")
    label_name_bytes_max: int = setting(1024, "A longer label name is refused.", unit="bytes")
    label_value_bytes_max: int = setting(32 << 10, "A longer label value is refused.", unit="bytes")
    histogram_buckets_max: int = setting(10_000, "A native histogram with more buckets is refused.", unit="buckets")
    known_series_max: int = setting(1_000_000, "Series remembered between requests; then all are read anew.")


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a request.

    stored      samples that are kept, duplicates included; histograms and exemplars likewise
    refused     how many samples and histograms were not, by reason; exemplars never make a request fail
    examples    a few of them, with their series
    """

    stored: int
    refused: Mapping[str, int]
    examples: tuple[str, ...]
    histograms: int = 0
    exemplars: int = 0

    @property
    def complaint(self) -> str:
        """Say which samples were refused and how many; empty when none was."""
        if not self.refused:
            return ""
        total = sum(self.refused.values())
        reasons = ", ".join(f"{reason} ({count})" for reason, count in sorted(self.refused.items()))
        shown = "; ".join(self.examples)
        return f"{total} of {total + self.stored} samples refused, the rest is stored: {reasons}; for example {shown}"


@dataclass(slots=True)
class _Source:
    """One frame's series as far as senders have named them."""

    name: str
    number: int
    members: "array[int]" = field(default_factory=lambda: array("i"))  # series numbers, in the full layout's order
    full: Layout | None = None
    full_size: int = 0
    partial: OrderedDict[bytes, Layout] = field(default_factory=OrderedDict)


@dataclass(slots=True)
class _Group:
    """Samples of one source at one time.

    which    where they are in the request's columns
    layout   what they are appended under, once found; the source's full one when `whole`
    places   int64[n] in the layout; None when they are all of it, in its order
    """

    which: slice | Ints
    source: _Source
    numbers: Ints
    layout: Layout | None = None
    places: Ints | None = None
    whole: bool = False


@dataclass(slots=True)
class _Refusals:
    counts: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    def add(self, reason: str, count: int, labels: object) -> None:
        if count:
            self.counts[reason] = self.counts.get(reason, 0) + count
            if len(self.examples) < _EXAMPLES_MAX:
                self.examples.append(f"{reason}: {str(labels)[:200]}")


class RemoteWrite:
    """Stores what senders push. Called from the event loop's thread alone."""

    def __init__(
        self,
        writer: MetricWriter,
        settings: RemoteWriteSettings | None = None,
        exemplars: ExemplarWriter | None = None,
    ) -> None:
        self._writer, self._exemplars = writer, exemplars
        self.settings = settings or RemoteWriteSettings()
        self._known, self._keys = KnownSeries(), LabelBytes()
        self._fresh: dict[int, Labels] = {}  # of this request: spared a second reading
        self._bad: dict[int, tuple[str, str]] = {}
        self._sources: dict[str, _Source] = {}
        self._source_list: list[_Source] = []
        self._source_of = np.zeros(1024, np.int32)
        self._place_of = np.zeros(1024, np.int32)  # of each series in its source's full layout
        self._last_turn = np.zeros(1024, np.int32)  # scratch
        self._symbol_walk = SymbolWalk()
        self._readers = {
            message: RequestReader(walk, self._known, self._identify, self._refuse)
            for message, walk in ((VERSION_1, walk_request), (VERSION_2, self._symbol_walk))
        }
        self._plans: OrderedDict[int, list[_Group]] = OrderedDict()

    async def receive(self, body: bytes, message: str = VERSION_1) -> Received:
        """Store one request's samples; returns when they are on the disk.

        body     decompressed
        message  what it is: VERSION_1 or VERSION_2
        returns  what was stored; a bad series or sample is refused alone
        raises   BadInput when it is no such message, Refused when the store takes nothing now: nothing is stored
        """
        try:
            columns = self._readers[message].read(body)
            refusals = _Refusals()
            exemplars = self._add_exemplars(columns)
            stored, histograms = await self._store(columns, refusals)
            self._writer.describe(columns.metadata)
        except BrokenMessage as fault:
            _requests.labels("failed").inc()
            raise unreadable(fault, message) from None
        except BaseException:
            _requests.labels("failed").inc()
            raise
        finally:
            self._bad.clear()
            self._fresh.clear()
            self._forget_if_full()
        _requests.labels("partial" if refusals.counts else "ok").inc()
        _stored.inc(stored + histograms)
        _refused.inc(sum(refusals.counts.values()))
        return Received(stored, refusals.counts, tuple(refusals.examples), histograms, exemplars)

    def _add_exemplars(self, columns: Columns) -> int:
        """Hand on the exemplars of good series; says how many are kept."""
        if self._exemplars is None or not columns.exemplars:
            return 0
        return self._exemplars.add([(self._labels_of(at), one) for at, one in columns.exemplars if at >= 0])

    async def _store(self, columns: Columns, refusals: _Refusals) -> tuple[int, int]:
        for number, (reason, labels) in self._bad.items():
            refusals.add(reason, int((columns.series == number).sum()), labels)
        held = self._read_histograms(columns, refusals) if columns.histograms else ()
        rows = []
        count = 0
        for group in self._groups(columns):
            values, time_ms = columns.values[group.which], int(columns.times[group.which][0])
            try:
                rows.append(self._row(group, values, time_ms, held))
                count += len(values)
            except OverLimit as limit:
                refusals.add(str(limit), len(values), group.source.name)
        if not rows:
            if columns.exemplars:
                await self._writer.commit()
            return 0, 0
        appended = self._writer.append(rows)
        await self._writer.commit()
        for refusal in appended.examples:
            if len(refusals.examples) < _EXAMPLES_MAX:
                refusals.examples.append(f"{refusal.reason}: {dict(refusal.labels)}"[:300])
        for reason, number in appended.refused.items():
            refusals.counts[reason] = refusals.counts.get(reason, 0) + number
        stored = count - sum(appended.refused.values())
        histograms = min(len(held), stored)
        return stored - histograms, histograms

    def _read_histograms(self, columns: Columns, refusals: _Refusals) -> list[Histogram]:
        """Read native histograms into the columns: cells that stand for those that it gives."""
        held: list[Histogram] = []
        added: list[tuple[int, int, int]] = []
        for number, sent in columns.histograms:
            try:
                one, time_ms = read_histogram(sent, self.settings.histogram_buckets_max)
            except BrokenMessage:
                raise
            except (BadInput, OverLimit) as fault:
                refusals.add(str(fault), 1, self._labels_of(number) if number >= 0 else "")
                continue
            added.append((number, time_ms, -1 if one is None else len(held)))
            held += [] if one is None else [one]
        numbers, times, places = np.array(added, np.int64).reshape(-1, 3).T
        cells = np.where(places < 0, np.uint64(STALE_BITS), histogram_cells(places).view(np.uint64))
        columns.series = np.concatenate((columns.series, numbers))
        columns.times = np.concatenate((columns.times, times))
        columns.values = np.concatenate((columns.values.view(np.uint64), cells)).view(np.float64)
        return held

    # -- series

    def _identify(self, key: bytes) -> int:
        """Number new label bytes; a negative number when they are refused."""
        try:
            labels = self._labels(key)
        except BadInput as fault:
            return self._refuse(str(fault), key)
        source = self._source(f"write/{labels.get('job', '')}/{labels.get('instance', '')}")
        number = len(self._keys)
        if number == len(self._source_of):
            self._source_of = np.concatenate([self._source_of, np.zeros_like(self._source_of)])
            self._place_of = np.concatenate([self._place_of, np.zeros_like(self._place_of)])
            self._last_turn = np.zeros(len(self._place_of), np.int32)
        self._keys.append(key)
        self._fresh[number] = labels
        self._known.add(hash(key), number)
        self._source_of[number] = source.number
        self._place_of[number] = len(source.members)
        source.members.append(number)
        return number

    def _refuse(self, reason: str, key: bytes) -> int:
        number = -1 - len(self._bad)
        self._bad[number] = reason, _shown(key)
        return number

    def _source(self, name: str) -> _Source:
        if name not in self._sources:
            self._sources[name] = _Source(name, len(self._source_list))
            self._source_list.append(self._sources[name])
        return self._sources[name]

    def _labels_of(self, number: int) -> Labels:
        fresh = self._fresh.get(number)
        return self._labels(self._keys.get(number)) if fresh is None else fresh

    def _labels(self, key: bytes) -> Labels:
        """Read label bytes, refusing what is no series.

        raises  BadInput with the reason
        """
        pairs, limits = read_labels(key), self.settings
        if len(pairs) > limits.labels_max:
            raise BadInput(f"labels_max: got {len(pairs)} labels, want at most {limits.labels_max}")
        labels: dict[str, str] = {}
        for name, value in pairs:
            if len(name) > limits.label_name_bytes_max or len(value) > limits.label_value_bytes_max:
                raise BadInput("label name or value too long")
            if b"\0" in name or b"\0" in value or not name:
                raise BadInput("invalid label: empty name or NUL")
            try:
                text = name.decode()
                if text in labels:
                    raise BadInput(f"duplicate label name {text[:60]!r}")
                labels[text] = value.decode()
            except UnicodeDecodeError:
                raise BadInput("invalid UTF-8 in a label") from None
        if not labels.get(METRIC_NAME):
            raise BadInput("missing metric name (__name__ label)")
        return {name: value for name, value in labels.items() if value}

    def _forget_if_full(self) -> None:
        if len(self._keys) > self.settings.known_series_max:
            self._known.clear()
            self._symbol_walk.forget()
            self._keys.clear()
            self._sources.clear()
            self._source_list.clear()
            self._plans.clear()
            for reader in self._readers.values():
                reader.forget()

    # -- rows

    def _groups(self, columns: Columns) -> list[_Group]:
        """Part the samples by source and time, the times of a source ascending; each group names a series once."""
        plan = self._plans.get(columns.shape)
        if plan is not None and all(_same(columns.times[group.which]) for group in plan):
            return plan
        good = np.flatnonzero(columns.series >= 0)
        if not len(good):
            return []
        sources, times = self._source_of[columns.series[good]], columns.times[good]
        order = np.lexsort((times, sources))
        cuts = np.flatnonzero((np.diff(sources[order]) != 0) | (np.diff(times[order]) != 0)) + 1
        parts = np.split(good[order], cuts)
        distinct = self._are_distinct(columns.series[good])
        groups = [group for part in parts for group in self._groups_of(columns.series, part, distinct=distinct)]
        if columns.shape >= 0 and distinct and len(np.unique(sources)) == len(groups):
            self._plans[columns.shape] = groups
            if len(self._plans) > _PLANS_MAX:
                self._plans.popitem(last=False)
        return groups

    def _are_distinct(self, series: Ints) -> bool:
        turns = np.arange(len(series))
        self._last_turn[series] = turns
        return bool((self._last_turn[series] == turns).all())

    def _groups_of(self, series: Ints, which: Ints, *, distinct: bool) -> Iterator[_Group]:
        """Make one group of samples of one source and time, or more when they name a series more than once."""
        source = self._source_list[self._source_of[series[which[0]]]]
        while len(which):
            first = np.arange(len(which)) if distinct else np.sort(np.unique(series[which], return_index=True)[1])
            chosen = which[first]
            run = int(chosen[-1]) - int(chosen[0]) + 1 == len(chosen)
            part = slice(int(chosen[0]), int(chosen[-1]) + 1) if run else chosen
            yield _Group(part, source, series[chosen])
            which = which[len(which) :] if distinct else np.delete(which, first)

    def _row(self, group: _Group, values: Floats, time_ms: int, held: Sequence[Histogram]) -> Row:
        source = group.source
        if group.layout is None or (group.whole and group.layout is not source.full):
            self._find_layout(group)
        layout, places = group.layout, group.places
        assert layout is not None
        if places is None:
            return Row(layout, time_ms, values, histograms=held)
        whole = np.full(len(layout), ABSENT)
        # As integers: a float move may quieten the NaNs that carry a meaning.
        whole.view(np.uint64)[places] = values.view(np.uint64)
        return Row(layout, time_ms, whole, histograms=held)

    def _find_layout(self, group: _Group) -> None:
        source, numbers = group.source, group.numbers
        group.whole = len(numbers) * _PARTIAL >= len(source.members)
        if not group.whole:
            group.layout, group.places = self._partial_layout(source, numbers), None
            return
        group.layout, group.places = self._full_layout(source), self._place_of[numbers].astype(np.int64)
        if len(numbers) == len(group.layout) and np.array_equal(group.places, np.arange(len(numbers))):
            group.places = None

    def _full_layout(self, source: _Source) -> Layout:
        if source.full is None or source.full_size != len(source.members):
            series = [self._labels_of(number) for number in source.members]
            source.full = self._writer.layout(source.name, series)
            source.full_size = len(series)
        return source.full

    def _partial_layout(self, source: _Source, numbers: Ints) -> Layout:
        key = numbers.tobytes()
        if key not in source.partial:
            series = [self._labels_of(number) for number in numbers.tolist()]
            source.partial[key] = self._writer.layout(source.name, series)
            if len(source.partial) > _LAYOUTS_PER_SOURCE_MAX:
                source.partial.popitem(last=False)
        source.partial.move_to_end(key)
        return source.partial[key]


def _same(times: Ints) -> bool:
    return bool((times == times[0]).all())


def _shown(key: bytes) -> str:
    return repr(key[:120])[2:-1]
