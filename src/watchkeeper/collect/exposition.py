"""The text exposition formats, read through a layout that is remembered per target.

A target says the same series scrape after scrape; only numbers change. So the reader keeps the text that stands before
each value. A body whose lines begin with the same texts needs no grammar: what is left of its lines are the numbers,
and they are read in one go. Anything else goes through the whole grammar (`textformat`, `openmetrics`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import orjson

from watchkeeper.collect.number import parse_value
from watchkeeper.collect.openmetrics import parse_openmetrics
from watchkeeper.collect.protobuf_format import HistogramOptions, parse_protobuf
from watchkeeper.collect.sample_text import Body, SeriesCache
from watchkeeper.collect.textformat import parse_text
from watchkeeper.model.errors import BadInput
from watchkeeper.model.exemplar import Exemplar
from watchkeeper.model.frame import NORMAL_NAN_BITS, Floats, MetricMetadata, Times, histogram_cells
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.labels import Labels

TEXT, OPENMETRICS = "text/plain", "application/openmetrics-text"
PROTOBUF = "application/vnd.google.protobuf"
NO_TIME = np.iinfo(np.int64).min  # a sample without a timestamp of its own
_JSON_NUMBERS = b"0123456789+-.eE,"
_NORMAL_NAN = np.uint64(NORMAL_NAN_BITS).view(np.float64)
_NAMES = {b"NaN": _NORMAL_NAN, b"+Inf": np.inf, b"-Inf": -np.inf}


@dataclass(slots=True, eq=False)
class Shape:
    """What a target speaks about; the same object for as long as it speaks about the same.

    texts     the series as written, one a sample; none twice unless samples have times of their own
    series    their labels, the metric's name among them
    metadata  what HELP, TYPE and UNIT lines said, by family
    released  all three have been let go of: the object only says "as before" from then on
    """

    texts: tuple[bytes, ...]
    series: tuple[Labels, ...]
    metadata: Mapping[str, MetricMetadata]
    released: bool = False

    def release(self) -> None:
        """Let go of what is only needed when a layout is new: most of what a target costs in memory."""
        self.texts, self.series, self.metadata, self.released = (), (), {}, True


@dataclass(frozen=True, slots=True)
class Exposed:
    """One body read.

    values      float64[n_series]
    times       int64[n_series], Unix milliseconds, NO_TIME where the sample has none; None when none has
    samples     how many sample lines there were, duplicates counted
    exemplars   with the place of their series; untimed ones have the time 0
    histograms  what the cells of `values` that `is_histogram` stand for
    """

    shape: Shape
    values: Floats
    times: Times | None
    samples: int
    exemplars: Sequence[tuple[int, Exemplar]] = ()
    histograms: Sequence[Histogram] = ()


@dataclass(frozen=True, slots=True)
class _Template:
    """The lines of a body up to their values.

    skeleton   all of the body but the values and the newlines behind them
    heads      int64[n_lines], how long each line is up to its value; all of it where it has none
    valued     int64[n_samples], which lines have a value
    rest       int64[n_lines - n_samples], the others
    """

    shape: Shape
    skeleton: bytes
    heads: npt.NDArray[np.int64]
    valued: npt.NDArray[np.int64]
    rest: npt.NDArray[np.int64]
    samples: int


@dataclass(slots=True)
class ExpositionReader:
    """Reads the bodies of one target, one after the other.

    histograms      what becomes of native ones
    strict numbers  as Go's: no `1_000`, no blanks, no digits of other scripts
    source          Prometheus 3.5, model/textparse; the same verdict on the same body
    """

    histograms: HistogramOptions = field(default_factory=HistogramOptions)
    _template: _Template | None = None
    _shape: Shape | None = None
    _media: str = ""
    _known: SeriesCache = field(default_factory=SeriesCache)

    def read(self, body: bytes, media: str = TEXT) -> Exposed:
        """Read one body.

        media   TEXT, OPENMETRICS or PROTOBUF
        raises  BadInput naming the place; the reader stays good for the next body
        """
        if media == self._media and self._template is not None:
            values = _fill(self._template, body)
            if values is not None:
                if self._template.shape.released and self._known:
                    self._known = SeriesCache()
                return Exposed(self._template.shape, values, None, self._template.samples)
        self._media = media
        if media == PROTOBUF:
            parsed = parse_protobuf(body, self._known, self.histograms)
        else:
            parsed = (parse_openmetrics if media == OPENMETRICS else parse_text)(body, self._known)
        return self._keep(body, parsed)

    def _keep(self, body: bytes, parsed: Body) -> Exposed:
        values, times = _normal_nan(np.array(parsed.values, np.float64)), None
        held = [one for _, one in parsed.histograms]
        values[[at for at, _ in parsed.histograms]] = histogram_cells(np.arange(len(held)))
        if parsed.timed:
            times = np.array([NO_TIME if time is None else time for time in parsed.times], np.int64)
        first = None if parsed.timed else _first_of_each(parsed.texts)
        texts: Sequence[bytes] = parsed.texts
        exemplars: Sequence[tuple[int, Exemplar]] = parsed.exemplars
        if first is not None:
            place_of = {at: place for place, at in enumerate(first)}
            exemplars = [(place_of[at], one) for at, one in exemplars if at in place_of]
            values, times = values[first], None if times is None else times[first]
            texts = [parsed.texts[at] for at in first]
        shape = self._shape_of(tuple(texts), parsed)
        self._template = _template(body, parsed, shape) if first is None and not parsed.timed else None
        return Exposed(shape, values, times, len(parsed.texts), exemplars, held)

    def _shape_of(self, texts: tuple[bytes, ...], parsed: Body) -> Shape:
        last = self._shape
        if last is not None and last.texts == texts and last.metadata == parsed.metadata:
            return last
        self._shape = Shape(texts, tuple(self._known.labels(text) for text in texts), parsed.metadata)
        self._known.keep_only(texts)
        return self._shape


def _first_of_each(texts: Sequence[bytes]) -> list[int] | None:
    """Give the index of each text's first appearance, or None when all are different."""
    if len(set(texts)) == len(texts):
        return None
    first: dict[bytes, int] = {}
    for at, text in enumerate(texts):
        first.setdefault(text, at)
    return list(first.values())


def _template(body: bytes, parsed: Body, shape: Shape) -> _Template | None:
    """Remember where the values stand; None when lines are not what they seem (a newline within quotes, NUL)."""
    if not parsed.plain or not shape.texts or b"\0" in body:
        return None
    lines = body.split(b"\n")
    if not lines[-1]:
        lines.pop()
    heads, pieces = [len(line) for line in lines], [line + b"\n" for line in lines]
    valued = []
    for value_start in parsed.value_starts:
        at = parsed.line_of(value_start)
        heads[at] = value_start - parsed.line_start(at)
        pieces[at] = lines[at][: heads[at]]
        if not pieces[at].endswith((b" ", b"\t", b"}")):
            return None
        valued.append(at)
    rest = np.delete(np.arange(len(lines)), valued)
    return _Template(shape, b"".join(pieces), np.array(heads, np.int64), np.array(valued, np.int64), rest, len(valued))


def _fill(template: _Template, body: bytes) -> Floats | None:
    """Give the values of a body with the remembered layout, or None when it has another."""
    text = np.frombuffer(body if body.endswith(b"\n") else body + b"\n", np.uint8)
    ends = np.flatnonzero(text == 10)
    if len(ends) != len(template.heads):
        return None
    lengths = ends - template.heads  # of each value and its newline
    lengths[1:] -= ends[:-1]
    lengths[0] += 1
    if (lengths[template.rest] != 1).any():
        return None
    ends, lengths = ends[template.valued], lengths[template.valued]
    if (lengths < 2).any():
        return None
    stops = np.cumsum(lengths)
    places = np.arange(stops[-1]) + np.repeat(ends + 1 - stops, lengths)
    heads = np.ones(len(text), np.bool_)
    heads[places] = False
    if text[heads].tobytes() != template.skeleton:
        return None
    return _numbers(text[places].tobytes()[:-1].replace(b"\n", b","), template.samples)


def _numbers(joined: bytes, count: int) -> Floats | None:
    """Read many values, parted by commas, at once; None when any has something behind it or is no number."""
    if joined.translate(None, _JSON_NUMBERS):
        return _numbers_with_names(joined.split(b","), count)
    if b"-0," in joined or joined.endswith(b"-0"):
        return _one_by_one(joined.split(b","), count)  # JSON's -0 would lose its sign
    try:
        values = np.array(orjson.loads(b"[%b]" % joined), np.float64)
    except orjson.JSONDecodeError:
        return _one_by_one(joined.split(b","), count)
    return values if len(values) == count else None


def _numbers_with_names(texts: list[bytes], count: int) -> Floats | None:
    """Read values among which are NaN or an infinity."""
    named = [(at, _NAMES[text]) for at, text in enumerate(texts) if text in _NAMES]
    for at, _ in named:
        texts[at] = b"0"
    joined = b",".join(texts)
    if joined.translate(None, _JSON_NUMBERS):
        return None
    values = _numbers(joined, count)
    if values is not None:
        for at, number in named:
            values[at] = number
    return values


def _one_by_one(texts: Sequence[bytes], count: int) -> Floats | None:
    if len(texts) != count:
        return None
    try:
        values = np.array([parse_value(text) for text in texts], np.float64)
    except BadInput:
        return None
    return _normal_nan(values)


def _normal_nan(values: Floats) -> Floats:
    values[np.isnan(values)] = _NORMAL_NAN
    return values
