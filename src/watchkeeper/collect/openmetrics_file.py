"""A file in OpenMetrics, however large, as histories: some megabytes of lines at a time."""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from watchkeeper.collect.openmetrics import parse_openmetrics
from watchkeeper.collect.sample_text import Body, SeriesCache
from watchkeeper.model.errors import BadInput
from watchkeeper.model.frame import NORMAL_NAN_BITS
from watchkeeper.model.history import History
from watchkeeper.model.labels import LabelPairs, Labels, label_pairs

_PIECE_BYTES = 16 << 20
_END = b"# EOF\n"


def read_openmetrics(file: BinaryIO) -> Iterator[tuple[History, int]]:
    """Give the samples of a file piece by piece, and how many bytes of it were read.

    raises  BadInput when it is no OpenMetrics, or a sample has no timestamp
    """
    rest, kind, ended = b"", b"", False
    known = SeriesCache()
    while piece := file.read(_PIECE_BYTES):
        if ended:
            raise BadInput("unexpected data after # EOF")
        lines = rest + piece
        cut = lines.rfind(b"\n") + 1
        lines, rest = lines[:cut], lines[cut:]
        ended = lines.endswith(_END) or rest == _END.strip()
        body = parse_openmetrics(kind + lines.removesuffix(_END) + _END, known)
        yield _history(body, known), len(piece)
        at = lines.rfind(b"# TYPE ")  # a family may go on in the next piece
        if at >= 0:
            kind = lines[at : lines.index(b"\n", at) + 1]
    if not ended:
        raise BadInput("data does not end with # EOF")


def _history(body: Body, known: SeriesCache) -> History:
    numbers: dict[LabelPairs, int] = {}
    series: list[Labels] = []
    by_text: dict[bytes, int] = {}
    for text in body.texts:
        if text not in by_text:
            own = {name: value for name, value in known.labels(text).items() if value}
            pairs = label_pairs(own)
            if pairs not in numbers:
                numbers[pairs] = len(series)
                series.append(own)
            by_text[text] = numbers[pairs]
    if None in body.times:
        labels = known.labels(body.texts[body.times.index(None)])
        raise BadInput(f"expected timestamp for series {dict(labels)}, got none")
    owners = np.array([by_text[text] for text in body.texts], np.int64)
    times, values = np.array(body.times, np.int64), np.array(body.values, np.float64)
    values.view(np.uint64)[np.isnan(values)] = NORMAL_NAN_BITS
    order = np.lexsort((times, owners))
    owners, times, values = owners[order], times[order], values[order]
    first = np.ones(len(owners), np.bool_)
    first[1:] = (np.diff(owners) != 0) | (np.diff(times) != 0)
    counts = np.bincount(owners[first], minlength=len(series))
    return History(series, counts, times[first], values[first])
