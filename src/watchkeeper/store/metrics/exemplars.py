"""Exemplars: a bounded ring in memory, every one of them in the metrics log.

EXEMPLARS record: u32 series, u32 exemplars, then zstd of
    u32 length of the JSON text; [[labels of each series], [labels of each exemplar]]; i32 series of each exemplar;
    i64 Unix milliseconds; f64 values; u8 whether the sender said when
The whole ring is written again once a segment of the log, before the next exemplar, so that old segments can go.
"""

import struct
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import orjson
import zstandard

from watchkeeper.model.doors import Matchers
from watchkeeper.model.errors import Damaged
from watchkeeper.model.exemplar import LABEL_RUNES_MAX, Exemplar
from watchkeeper.model.labels import LabelPairs, Labels, label_pairs
from watchkeeper.model.matchers import match_all
from watchkeeper.model.metrics import counter, gauge

APPENDED = counter("prometheus_tsdb_exemplar_exemplars_appended", "Total number of appended exemplars.")
OUT_OF_ORDER = counter(
    "prometheus_tsdb_exemplar_out_of_order_exemplars",
    "Total number of out of order exemplar ingestion failed attempts.",
)
TOO_LONG = counter("watchkeeper_exemplars_too_long", "Exemplars refused for labels of more than 128 characters.")
IN_STORAGE = gauge(
    "prometheus_tsdb_exemplar_exemplars_in_storage", "Number of exemplars currently in circular storage."
)
WITH_EXEMPLARS = gauge(
    "prometheus_tsdb_exemplar_series_with_exemplars_in_storage",
    "Number of series with exemplars currently in circular storage.",
)
MOST = gauge(
    "prometheus_tsdb_exemplar_max_exemplars", "Total number of exemplars the exemplar storage can store, resizeable."
)

_HEAD = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_BYTES_MAX = 1 << 30
_FLOATS_AT = 12  # bytes of an exemplar's columns before its value

Pair = tuple[Labels, Exemplar]


@dataclass(frozen=True, slots=True)
class _Kept:
    """An exemplar, its labels as JSON: a fifth of the memory."""

    labels: bytes
    value: float
    time_ms: int
    timed: bool

    def told(self) -> Exemplar:
        """Give it as others know it."""
        return Exemplar(orjson.loads(self.labels), self.value, self.time_ms, self.timed)


@dataclass(slots=True, eq=False)
class _Series:
    labels: LabelPairs
    kept: deque[_Kept] = field(default_factory=deque)


class ExemplarRing:
    """The newest exemplars: model.doors.ExemplarReader and ExemplarWriter.

    most  how many are kept
    log   writes a record's payload; raises Refused
    """

    def __init__(self, most: int, log: Callable[[bytes], None]) -> None:
        self._most, self._log = most, log
        self._series: dict[LabelPairs, _Series] = {}
        self._arrivals: deque[_Series] = deque()  # whose turn it is to lose its oldest
        self._due = False
        self._lock = threading.Lock()
        MOST.set(most)

    def __len__(self) -> int:
        return len(self._arrivals)

    def segment_began(self) -> None:
        """Note that the log has a new segment, which knows none of the exemplars."""
        self._due = True

    def repeat(self) -> None:
        """Write the ring again where a segment does not have it yet."""
        if self._due and self._arrivals:
            self._log(encode_exemplars(self._all()))
        self._due = False

    def add(self, exemplars: Sequence[Pair]) -> int:
        """Keep exemplars; see ExemplarWriter.add."""
        if not self._most:
            return 0
        good = [(label_pairs(labels), labels, one) for labels, one in exemplars if not _is_long(one)]
        TOO_LONG.inc(len(exemplars) - len(good))
        fresh, repeated = self._sift(good)
        if fresh:
            self.repeat()
            self._log(encode_exemplars(fresh))
            self._take(fresh)
            APPENDED.inc(len(fresh))
        return len(fresh) + repeated

    def replay(self, payload: bytes) -> None:
        """Take the exemplars of a record of the log.

        raises  Damaged when the payload is none of ours
        """
        decoded = decode_exemplars(payload)
        fresh, _ = self._sift([(label_pairs(labels), labels, one) for labels, one in decoded], counted=False)
        self._take(fresh)

    def find(
        self, selectors: Sequence[Matchers], start_ms: int, end_ms: int
    ) -> list[tuple[Labels, Sequence[Exemplar]]]:
        """Give exemplars by series; see ExemplarReader.find."""
        with self._lock:
            series = [(one.labels, list(one.kept)) for one in self._series.values()]
        found: list[tuple[Labels, Sequence[Exemplar]]] = []
        for pairs, kept in sorted(series, key=lambda one: one[0]):
            labels = dict(pairs)
            if not any(match_all(list(matchers), labels) for matchers in selectors):
                continue
            inside = [one.told() for one in kept if start_ms <= one.time_ms <= end_ms]
            if inside:
                found.append((labels, inside))
        return found

    # -- inside

    def _sift(
        self, exemplars: Sequence[tuple[LabelPairs, Labels, Exemplar]], *, counted: bool = True
    ) -> tuple[list[Pair], int]:
        """Give those that are new, and how many are repeated."""
        newest: dict[LabelPairs, Exemplar] = {}
        fresh: list[Pair] = []
        repeated = 0
        for pairs, labels, one in exemplars:
            last = newest.get(pairs)
            if last is None and pairs in self._series:
                last = self._series[pairs].kept[-1].told()
            if last is not None and one.repeats(last):
                repeated += 1
            elif last is not None and one.time_ms < last.time_ms:
                OUT_OF_ORDER.inc(int(counted))
            else:
                newest[pairs] = one
                fresh.append((labels, one))
        return fresh, repeated

    def _take(self, exemplars: Sequence[Pair]) -> None:
        with self._lock:
            for labels, one in exemplars:
                pairs = label_pairs(labels)
                series = self._series.get(pairs)
                if series is None:
                    series = self._series[pairs] = _Series(pairs)
                text = orjson.dumps(dict(one.labels), option=orjson.OPT_SORT_KEYS)
                series.kept.append(_Kept(text, one.value, one.time_ms, one.timed))
                self._arrivals.append(series)
            while len(self._arrivals) > self._most:
                oldest = self._arrivals.popleft()
                oldest.kept.popleft()
                if not oldest.kept:
                    del self._series[oldest.labels]
        IN_STORAGE.set(len(self._arrivals))
        WITH_EXEMPLARS.set(len(self._series))

    def _all(self) -> list[Pair]:
        pairs = [(dict(one.labels), kept.told()) for one in self._series.values() for kept in one.kept]
        return sorted(pairs, key=lambda pair: pair[1].time_ms)


def _is_long(one: Exemplar) -> bool:
    return sum(len(name) + len(value) for name, value in one.labels.items()) > LABEL_RUNES_MAX


def encode_exemplars(exemplars: Sequence[Pair]) -> bytes:
    """Write a record's payload."""
    places: dict[LabelPairs, int] = {}
    of_series = [places.setdefault(label_pairs(labels), len(places)) for labels, _ in exemplars]
    told = [one for _, one in exemplars]
    text = orjson.dumps([[dict(pairs) for pairs in places], [dict(one.labels) for one in told]])
    plain = b"".join(
        (
            _LENGTH.pack(len(text)),
            text,
            np.array(of_series, np.int32).tobytes(),
            np.array([one.time_ms for one in told], np.int64).tobytes(),
            np.array([one.value for one in told], np.float64).tobytes(),
            bytes(one.timed for one in told),
        )
    )
    packed: bytes = zstandard.ZstdCompressor(level=1).compress(plain)
    return _HEAD.pack(len(places), len(told)) + packed


def decode_exemplars(payload: bytes) -> list[Pair]:
    """Undo `encode_exemplars`.

    raises  Damaged when the payload is none of ours
    """
    try:
        n_series, n = _HEAD.unpack_from(payload)
        packed = payload[_HEAD.size :]
        if zstandard.frame_content_size(packed) > _BYTES_MAX:
            raise ValueError(f"got a text of more than {_BYTES_MAX} bytes")
        plain = zstandard.ZstdDecompressor().decompress(packed, max_output_size=_BYTES_MAX)
        (length,) = _LENGTH.unpack_from(plain)
        at = _LENGTH.size + length
        series, labels = orjson.loads(plain[_LENGTH.size : at])
        if len(series) != n_series or len(labels) != n or len(plain) != at + n * 21:
            raise ValueError(f"got {len(labels)} exemplars of {len(series)} series, want {n} of {n_series}")
        of_series = np.frombuffer(plain, np.int32, n, at).tolist()
        times = np.frombuffer(plain, np.int64, n, at + 4 * n).tolist()
        values = np.frombuffer(plain, np.float64, n, at + _FLOATS_AT * n).tolist()
        timed = plain[at + 20 * n :]
        told = zip(of_series, labels, values, times, timed, strict=True)
        return [(series[where], Exemplar(one, value, time_ms, bool(said))) for where, one, value, time_ms, said in told]
    except (struct.error, ValueError, IndexError, TypeError, zstandard.ZstdError) as error:
        raise Damaged(f"cannot read exemplars of the log: {error}") from error
