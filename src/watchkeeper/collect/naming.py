"""What is doubtful about the names that a program gives its metrics, in promtool's words.

source  promtool check metrics; prometheus.io/docs/practices/naming
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from watchkeeper.collect.sample_text import SeriesCache
from watchkeeper.collect.textformat import parse_text
from watchkeeper.model.labels import METRIC_NAME

_BASE_UNITS = ("amperes", "bytes", "celsius", "grams", "joules", "kelvin", "meters", "metres", "seconds", "volts")
_BASE_OF = {
    **{unit: unit for unit in _BASE_UNITS},
    **dict.fromkeys(("minutes", "hours", "days", "weeks"), "seconds"),
    "kelvins": "kelvin",
    **dict.fromkeys(("fahrenheit", "rankine"), "celsius"),
    **dict.fromkeys(("inches", "yards", "miles"), "meters"),
    "bits": "bytes",
    "calories": "joules",
    **dict.fromkeys(("pounds", "ounces"), "grams"),
}
_PREFIXES = (
    *("pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo", "kibi", "mega", "mibi", "giga"),
    *("gibi", "tera", "tebi", "peta", "pebi"),
)
_ABBREVIATED = frozenset(("s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"))
_PARTS = {"summary": ("_count", "_sum"), "histogram": ("_count", "_sum", "_bucket")}
_BOUND = {"summary": "quantile", "histogram": "le"}
_CAMEL_CASE = re.compile("[a-z][A-Z]")


@dataclass(slots=True)
class _Family:
    """One metric as it was exposed.

    kind    counter, gauge, histogram, summary, or unknown
    labels  the names of all its samples' labels
    twice   a series of it stands there more than once
    """

    name: str
    kind: str
    help: str
    labels: set[str] = field(default_factory=set)
    twice: bool = False


def doubtful_names(body: bytes) -> list[str]:
    """Check a body in the text format, and give a line for each doubt: the metric and what is wrong with it.

    Sorted; each is said once, where promtool repeats those about labels for every series.

    raises  BadInput when it cannot be read
    """
    doubts = {(family.name, text) for family in _families(body) for text in _doubts(family)}
    return [" ".join(doubt) for doubt in sorted(doubts)]


def _families(body: bytes) -> Collection[_Family]:
    """Put samples to the families that were announced; one that was not makes its own. Empty ones do not count."""
    known = SeriesCache()
    parsed = parse_text(body, known)
    announced = {name: _Family(name, said.type, said.help) for name, said in parsed.metadata.items()}
    met: dict[str, _Family] = {}
    seen: set[tuple[tuple[str, str], ...]] = set()
    for text in parsed.texts:
        labels = known.labels(text)
        family = _family_of(labels[METRIC_NAME], announced)
        met[family.name] = family
        family.labels.update(labels.keys() - {METRIC_NAME})
        series = tuple(sorted(labels.items()))  # as written: promtool tells an empty label from none
        family.twice |= series in seen and family.kind not in _PARTS
        seen.add(series)
    return met.values()


def _family_of(name: str, announced: dict[str, _Family]) -> _Family:
    if name not in announced:
        for kind, suffixes in _PARTS.items():
            for suffix in suffixes:
                whole = announced.get(name.removesuffix(suffix)) if name.endswith(suffix) else None
                if whole is not None and whole.kind == kind:
                    return whole
        announced[name] = _Family(name, "unknown", "")
    return announced[name]


def _doubts(family: _Family) -> Iterator[str]:
    if not family.help:
        yield "no help text"
    if family.twice:
        yield "metric not unique"
    yield from _of_unit(family.name)
    if family.kind != "unknown":
        yield from _of_kind(family)
    if ":" in family.name:
        yield "metric names should not contain ':'"
    if _CAMEL_CASE.search(family.name):
        yield "metric names should be written in 'snake_case' not 'camelCase'"
    if any(map(_CAMEL_CASE.search, family.labels)):
        yield "label names should be written in 'snake_case' not 'camelCase'"


def _of_unit(name: str) -> Iterator[str]:
    for part in name.split("_"):
        if (base := _base_unit(part)) is not None:
            if part != base:
                yield f'use base unit "{base}" instead of "{part}"'
            break
    if not _ABBREVIATED.isdisjoint(name.lower().split("_")[1:]):
        yield "metric names should not contain abbreviated units"


def _base_unit(part: str) -> str | None:
    if part in _BASE_OF:
        return _BASE_OF[part]
    return next((_BASE_OF.get(part.removeprefix(prefix)) for prefix in _PREFIXES if part.startswith(prefix)), None)


def _of_kind(family: _Family) -> Iterator[str]:
    name, kind = family.name, family.kind
    if kind == "counter" and not name.endswith("_total"):
        yield 'counter metrics should have "_total" suffix'
    if kind != "counter" and name.endswith("_total"):
        yield 'non-counter metrics should not have "_total" suffix'
    if kind != "histogram" and name.endswith("_bucket"):
        yield 'non-histogram metrics should not have "_bucket" suffix'
    for suffix in ("_count", "_sum"):
        if kind not in _PARTS and name.endswith(suffix):
            yield f'non-histogram and non-summary metrics should not have "{suffix}" suffix'
    for bounded, label in _BOUND.items():
        if kind != bounded and label in family.labels:
            yield f'non-{bounded} metrics should not have "{label}" label'
    if kind in name.lower().split("_")[1:]:
        yield f"metric name should not include type '{kind}'"
