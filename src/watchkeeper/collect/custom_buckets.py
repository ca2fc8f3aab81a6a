"""Classic histograms of a body, made into native ones with custom buckets: convert_classic_histograms_to_nhcb.

source  Prometheus 3.5, model/textparse/nhcbparse.go
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from watchkeeper.collect.exposition import Exposed, Shape
from watchkeeper.collect.number import parse_bound
from watchkeeper.model.classic_histogram import ClassicHistogram
from watchkeeper.model.errors import BadInput
from watchkeeper.model.exemplar import Exemplar
from watchkeeper.model.frame import Floats, MetricMetadata, histogram_cells, is_histogram
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.labels import METRIC_NAME, LabelPairs, Labels, label_pairs

_PARTS = ("bucket", "count", "sum")
_MARK = b"\x03"  # no series is written with it


@dataclass(slots=True)
class _Group:
    """The series of one classic histogram, by their places in the shape."""

    labels: Labels
    text: bytes
    buckets: list[tuple[float, int]] = field(default_factory=list)
    count: int | None = None
    sum: int | None = None

    @property
    def places(self) -> list[int]:
        return [at for _, at in self.buckets] + [at for at in (self.count, self.sum) if at is not None]

    def read(self, values: Floats) -> Histogram:
        """Give the native histogram.

        raises  BadInput when its counts contradict each other
        """
        classic = ClassicHistogram({bound: float(values[at]) for bound, at in self.buckets})
        classic.count = None if self.count is None else float(values[self.count])
        classic.sum = 0.0 if self.sum is None else float(values[self.sum])
        return classic.native()


@dataclass(slots=True)
class _Plan:
    """What is done with one shape while the same histograms can be read.

    good  which of the groups
    keep  int64[n], places of series that stay
    """

    shape: Shape
    good: tuple[bool, ...]
    made: Shape
    keep: npt.NDArray[np.int64]


class CustomBuckets:
    """Converts the bodies of one target. What cannot be converted is left out, as in Prometheus.

    classic  whether the classic series stay beside the native ones
    """

    def __init__(self, *, classic: bool) -> None:
        self._classic = classic
        self._shape: Shape | None = None
        self._groups: list[_Group] = []
        self._plan: _Plan | None = None

    def convert(self, exposed: Exposed) -> Exposed:
        """Give a body with native histograms in the place of its classic ones."""
        if exposed.shape is not self._shape:
            self._shape, self._groups = exposed.shape, _groups(exposed)
        if not self._groups:
            return exposed
        made: list[Histogram] = []
        good = []
        for group in self._groups:
            try:
                made.append(group.read(exposed.values))
            except BadInput:
                good.append(False)
            else:
                good.append(True)
        plan = self._planned(exposed.shape, tuple(good))
        held = [*exposed.histograms, *made]
        cells = histogram_cells(np.arange(len(exposed.histograms), len(held)))
        times = exposed.times
        if times is not None:
            firsts = [group.places[0] for group, is_good in zip(self._groups, good, strict=True) if is_good]
            times = np.concatenate([times[plan.keep], times[firsts]])
        samples = exposed.samples - (len(exposed.values) - len(plan.keep)) + len(made)
        values = np.concatenate([exposed.values[plan.keep], cells])
        return Exposed(plan.made, values, times, samples, self._moved(exposed, plan), held)

    def _planned(self, shape: Shape, good: tuple[bool, ...]) -> _Plan:
        plan = self._plan
        if plan is not None and plan.shape is shape and plan.good == good:
            return plan
        gone = set() if self._classic else {at for group in self._groups for at in group.places}
        keep = np.array([at for at in range(len(shape.texts)) if at not in gone], np.int64)
        native = [group for group, is_good in zip(self._groups, good, strict=True) if is_good]
        texts = (*(shape.texts[at] for at in keep.tolist()), *(group.text for group in native))
        series = (*(shape.series[at] for at in keep.tolist()), *(group.labels for group in native))
        self._plan = _Plan(shape, good, Shape(texts, series, shape.metadata), keep)
        return self._plan

    def _moved(self, exposed: Exposed, plan: _Plan) -> list[tuple[int, Exemplar]]:
        """Give exemplars with their places in what was made; those of buckets that are gone go with the native one."""
        if not exposed.exemplars:
            return []
        places = {at: place for place, at in enumerate(plan.keep.tolist())}
        native = [group for group, is_good in zip(self._groups, plan.good, strict=True) if is_good]
        for number, group in enumerate(native, len(plan.keep)):
            for at in group.places:
                places.setdefault(at, number)
        return [(places[at], one) for at, one in exposed.exemplars if at in places]


def _groups(exposed: Exposed) -> list[_Group]:
    """Find the classic histograms, but for those that are there as native ones, too."""
    shape = exposed.shape
    found: dict[LabelPairs, _Group] = {}
    native = is_histogram(exposed.values)
    whole = {label_pairs(shape.series[at]) for at in np.flatnonzero(native).tolist()}
    for at, labels in enumerate(shape.series):
        family, _, part = labels[METRIC_NAME].rpartition("_")
        if part not in _PARTS or not _is_histogram(shape.metadata, family):
            continue
        own = {**labels, METRIC_NAME: family}
        bound = parse_bound(own.pop("le", "")) if part == "bucket" else None
        key = label_pairs(own)
        if key in whole or (part == "bucket" and bound is None):
            continue
        group = found.setdefault(key, _Group(own, _MARK + shape.texts[at]))
        if bound is not None:
            group.buckets.append((bound, at))
        elif part == "count":
            group.count = at
        else:
            group.sum = at
    return list(found.values())


def _is_histogram(metadata: Mapping[str, MetricMetadata], family: str) -> bool:
    said = metadata.get(family)
    return said is not None and said.type == "histogram"
