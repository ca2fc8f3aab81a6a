"""What both text formats share: label blocks, and what a parsed body is made of."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from watchkeeper.collect.number import format_bound, parse_bound
from watchkeeper.model.errors import BadInput
from watchkeeper.model.exemplar import Exemplar
from watchkeeper.model.frame import MetricMetadata
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.labels import METRIC_NAME, Labels

QUOTED = rb'"(?:\\.|[^\\"])*"'
_MARKS = {"histogram": b"\x01", "summary": b"\x02"}
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
_ESCAPE = re.compile(r'\\[\\"n]')


class BadBody(BadInput):
    """A body that is refused as a whole; says how many samples came before the fault."""

    def __init__(self, text: str, samples: int, kept: int) -> None:
        super().__init__(text)
        self.samples, self.kept = samples, kept


class BadSeries(BadInput):
    """A sample that reads well and yet cannot be: it counts as scraped."""


@dataclass(slots=True)
class Body:
    """A body through the whole grammar.

    texts         the series as written, with a mark of their bucket kind where it changes their labels
    value_starts  where each value begins in the body
    exemplars     with the place of their sample; untimed ones have the time 0
    histograms    native histograms with the place of their sample, whose value means nothing
    plain         no line holds a timestamp, an exemplar or a newline within quotes
    """

    texts: list[bytes] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    times: list[int | None] = field(default_factory=list)
    value_starts: list[int] = field(default_factory=list)
    metadata: dict[str, MetricMetadata] = field(default_factory=dict)
    exemplars: list[tuple[int, Exemplar]] = field(default_factory=list)
    histograms: list[tuple[int, Histogram]] = field(default_factory=list)
    plain: bool = True
    timed: bool = False
    _starts: list[int] = field(default_factory=list)

    def add(self, text: bytes, value: float, time_ms: int | None, value_start: int) -> None:
        """Take one sample."""
        self.texts.append(text)
        self.values.append(value)
        self.times.append(time_ms)
        self.value_starts.append(value_start)
        self.timed = self.timed or time_ms is not None

    @contextmanager
    def counting_faults(self) -> Iterator[None]:
        """Turn a fault into one that says how far the reading came."""
        try:
            yield
        except BadBody:
            raise
        except BadInput as fault:
            so_far = len(self.texts)
            raise BadBody(str(fault), so_far + isinstance(fault, BadSeries), so_far) from None

    def mark_lines(self, body: bytes) -> None:
        """Find where lines begin, for those that ask by offset."""
        starts, at = [0], body.find(b"\n")
        while at >= 0:
            starts.append(at + 1)
            at = body.find(b"\n", at + 1)
        self._starts = starts

    def line_of(self, offset: int) -> int:
        """Give the number, from 0, of the line that holds a byte."""
        return bisect_right(self._starts, offset) - 1

    def line_start(self, line: int) -> int:
        """Give where a line begins."""
        return self._starts[line]


class SeriesCache:
    """The labels of series texts that were seen before."""

    __slots__ = ("_labels",)

    def __init__(self) -> None:
        self._labels: dict[bytes, Labels] = {}

    def __len__(self) -> int:
        return len(self._labels)

    def __contains__(self, text: bytes) -> bool:
        return text in self._labels

    def labels(self, text: bytes) -> Labels:
        """Give the labels of a known text."""
        return self._labels[text]

    def learn(self, text: bytes, labels: Labels) -> None:
        """Keep the labels of a text."""
        self._labels[text] = labels

    def keep_only(self, texts: Iterable[bytes]) -> None:
        """Forget all but these."""
        known = self._labels
        self._labels = {text: known[text] for text in texts}


def unescape(text: str) -> str:
    r"""Undo \\, \" and \n; any other backslash stands for itself."""
    return _ESCAPE.sub(lambda found: _ESCAPES[found.group()], text) if "\\" in text else text


def to_text(raw: bytes, what: str) -> str:
    """Decode UTF-8.

    raises  BadInput naming what was decoded
    """
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BadInput(f"invalid UTF-8 {what}: {shown(raw)}") from None


def shown(raw: bytes, most: int = 120) -> str:
    """Quote bytes for an error."""
    return (
        '"' + raw[:most].decode(errors="replace").replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    )


def series_of(found: re.Match[bytes], kind: str, known: SeriesCache, pair: re.Pattern[bytes], *, commas: bool) -> bytes:
    """Give the text that a sample's series is known by; a new one's labels are read and kept.

    found  with the groups name and block; `kind` of the family marks buckets, whose bounds are written in one form
    """
    name, block = found["name"] or b"", found["block"] or b""
    series = name + block
    mark = _MARKS.get(kind)
    if mark is not None and (b"le" in series or b"quantile" in series):
        series = mark + series
    if series not in known:
        labels = read_labels(name, block, pair, commas=commas)
        normal_bounds(labels, kind)
        known.learn(series, labels)
    return series


def read_labels(name: bytes, block: bytes, pair: re.Pattern[bytes], *, commas: bool) -> dict[str, str]:
    """Read a label block into labels, the metric's name among them.

    block   with its braces, or empty
    pair    one label: groups name, quoted name, value, comma
    commas  whether labels must be parted by one
    raises  BadInput naming the fault
    """
    labels: dict[str, str] = {}
    at, parted = 1, True
    while at < len(block) - 1:
        found = pair.match(block, at)
        if found is None:
            if block[at:-1].strip(b" \t") or (commas and block[at:-1]):
                raise BadInput(
                    f'expected label name, got {shown(block[at:], 20)} ("INVALID") while parsing: {shown(name + block)}'
                )
            break
        if not parted and commas:
            raise BadInput(
                f"expected comma or brace close, got {shown(block[at:], 20)} while parsing: {shown(name + block)}"
            )
        plain, quoted, value, comma = found.groups()
        _add_label(labels, name + block, plain, quoted, value, named=bool(name))
        at, parted = found.end(), bool(comma)
    if not name and "" not in labels:
        raise BadInput(f"metric name not set while parsing: {shown(name + block)}")
    if not name and METRIC_NAME in labels:
        raise BadSeries(f"label name {METRIC_NAME!r} is not unique: invalid sample while parsing: {shown(block)}")
    labels[METRIC_NAME] = name.decode() if name else labels.pop("")
    return labels


def _add_label(
    labels: dict[str, str], where: bytes, plain: bytes | None, quoted: bytes | None, value: bytes | None, *, named: bool
) -> None:
    if value is None:
        if plain is not None:
            raise BadInput(f"expected equal, got {shown(plain, 20)} while parsing: {shown(where)}")
        if named or "" in labels:
            raise BadInput(f"metric name already set while parsing: {shown(where)}")
        labels[""] = unescape(_name_text(quoted, where))
        return
    label = plain.decode() if plain is not None else unescape(_name_text(quoted, where))
    if not label:
        raise BadSeries(f"invalid metric name or label names: {shown(where)}")
    if label in labels or (named and label == METRIC_NAME):
        raise BadSeries(f"label name {label!r} is not unique: invalid sample while parsing: {shown(where)}")
    labels[label] = unescape(to_text(value[1:-1], "label value"))


def _name_text(quoted: bytes | None, where: bytes) -> str:
    try:
        return (quoted or b'""')[1:-1].decode()
    except UnicodeDecodeError:
        raise BadSeries(f"invalid metric name or label names: {shown(where)}") from None


def normal_bounds(labels: dict[str, str], kind: str) -> None:
    """Write the bound of a bucket or quantile in one form, so that "1" and "1.0" are one series.

    source  Prometheus 3, model/textparse normalizeFloatsInLabelValues
    """
    label = {"histogram": "le", "summary": "quantile"}.get(kind, "")
    if label in labels:
        number = parse_bound(labels[label])
        if number is not None:
            labels[label] = format_bound(number)
