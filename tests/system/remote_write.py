"""A remote-write sender of a few lines, both versions."""

from collections.abc import Mapping, Sequence

import cramjam

from watchkeeper.model.exemplar import Exemplar
from watchkeeper.model.frame import MetricMetadata
from watchkeeper.net.protobuf import double_field, field, number_field, varint

Series = tuple[Mapping[str, str], Sequence[tuple[int, float]]]
_KINDS = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")


def _series(labels: Mapping[str, str], samples: Sequence[tuple[int, float]]) -> bytes:
    pairs = b"".join(
        field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in sorted(labels.items())
    )
    points = (double_field(1, value) + number_field(2, time_ms) for time_ms, value in samples)
    return pairs + b"".join(field(2, point) for point in points)


def write_request(series: Sequence[Series]) -> bytes:
    """Give the body of POST /api/v1/write: WriteRequest in snappy's block format."""
    message = b"".join(field(1, _series(labels, samples)) for labels, samples in series)
    return bytes(cramjam.snappy.compress_raw(message))


class Symbols:
    """Writes the parts of a version 2 request; `body` puts them together."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {"": 0}
        self.series: list[bytes] = []

    def ref(self, text: str) -> int:
        return self.texts.setdefault(text, len(self.texts))

    def refs(self, labels: Mapping[str, str]) -> bytes:
        numbers = [self.ref(text) for pair in sorted(labels.items()) for text in pair]
        return field(1, b"".join(map(varint, numbers)))

    def add(
        self,
        labels: Mapping[str, str],
        samples: Sequence[tuple[int, float]] = (),
        exemplars: Sequence[Exemplar] = (),
        said: MetricMetadata | None = None,
        created_ms: int = 0,
    ) -> None:
        """Add a series, its fields in the order in which Prometheus writes them."""
        parts = [self.refs(labels)]
        parts += [field(2, double_field(1, value) + number_field(2, time_ms)) for time_ms, value in samples]
        for one in exemplars:
            parts.append(field(4, self.refs(one.labels) + double_field(2, one.value) + number_field(3, one.time_ms)))
        told = b""
        if said is not None:
            told = number_field(1, _KINDS.index(said.type)) + number_field(3, self.ref(said.help))
            told += number_field(4, self.ref(said.unit))
        self.series.append(b"".join(parts) + field(5, told) + number_field(6, created_ms))

    def body(self) -> bytes:
        """Give the message, not compressed."""
        return b"".join(field(4, text.encode()) for text in self.texts) + b"".join(field(5, one) for one in self.series)
