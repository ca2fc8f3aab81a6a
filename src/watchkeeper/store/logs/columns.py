"""Lines of one stream as columns: joining, ordering, dropping what is there twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from watchkeeper.model.logs import LineMetadata, TimesNs

_NO_METADATA: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Some lines, in the order they came.

    times     int64[n], Unix nanoseconds
    starts    int64[n + 1]: line i is text[starts[i] : starts[i + 1] - 1]
    text      the lines, each followed by a newline
    metadata  None when no line has any
    """

    times: TimesNs
    starts: TimesNs
    text: bytes
    metadata: LineMetadata | None = None

    def __len__(self) -> int:
        return len(self.times)

    @property
    def size_bytes(self) -> int:
        """The lines' bytes, newlines between them not counted."""
        return len(self.text) - len(self.times)

    def take(self, order: TimesNs) -> "Columns":
        """Give chosen lines in a chosen order; int64 places."""
        begin, end = self.starts[order].tolist(), self.starts[order + 1].tolist()
        text = b"".join([self.text[a:b] for a, b in zip(begin, end, strict=True)])
        starts = _starts(self.starts[order + 1] - self.starts[order])
        metadata = self.metadata and LineMetadata(self.metadata.codes[order], self.metadata.sets)
        return Columns(self.times[order], starts, text, metadata)


def columns(times_ns: Sequence[int], lines: Sequence[bytes], metadata: Sequence[Mapping[str, str]] = ()) -> Columns:
    """Make columns of lines."""
    text = b"\n".join([*lines, b""])
    sizes = np.fromiter(map(len, lines), np.int64, len(lines))
    return Columns(np.array(times_ns, np.int64), _starts(sizes + 1), text, _coded(metadata))


def joined(pieces: Sequence[Columns]) -> Columns:
    """Put pieces one after the other."""
    if len(pieces) == 1:
        return pieces[0]
    sizes = [np.diff(piece.starts) for piece in pieces]
    metadata = _joined_metadata(pieces) if any(piece.metadata for piece in pieces) else None
    return Columns(
        np.concatenate([piece.times for piece in pieces]),
        _starts(np.concatenate(sizes)),
        b"".join([piece.text for piece in pieces]),
        metadata,
    )


def in_order(lines: Columns) -> Columns:
    """Give the lines sorted by time (as they came within one time), exact duplicates once, as Loki keeps them."""
    steps = np.diff(lines.times)
    if (steps > 0).all():
        return lines
    if (steps < 0).any():
        lines = lines.take(np.argsort(lines.times, kind="stable"))
        steps = np.diff(lines.times)
    same = steps == 0
    if not same.any():
        return lines
    twice = _repeated(lines, same)
    return lines if not twice else lines.take(np.delete(np.arange(len(lines)), twice))


def without(lines: Columns, others: Sequence[Columns]) -> Columns:
    """Give the lines that none of the others hold with the same time and text."""
    keep = np.ones(len(lines), np.bool_)
    for other in others:
        for at in np.flatnonzero(keep & np.isin(lines.times, other.times)).tolist():
            line = lines.text[lines.starts[at] : lines.starts[at + 1]]
            first, last = np.searchsorted(other.times, lines.times[at], "left"), len(other)
            while first < last and other.times[first] == lines.times[at]:
                if other.text[other.starts[first] : other.starts[first + 1]] == line:
                    keep[at] = False
                    break
                first += 1
    return lines if keep.all() else lines.take(np.flatnonzero(keep))


def _repeated(lines: Columns, same: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[int]:
    """Give the places of lines that an earlier line of the same time equals."""
    twice: list[int] = []
    seen: set[bytes] = set()
    time_before = -1
    starts, text = lines.starts, lines.text
    inside = np.zeros(len(lines), np.bool_)
    inside[1:] |= same
    inside[:-1] |= same
    for at in np.flatnonzero(inside).tolist():
        time = int(lines.times[at])
        if time != time_before:
            seen, time_before = set(), time
        line = text[starts[at] : starts[at + 1]]
        if line in seen:
            twice.append(at)
        seen.add(line)
    return twice


def _starts(sizes: TimesNs) -> TimesNs:
    starts = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    return starts


def _coded(metadata: Sequence[Mapping[str, str]]) -> LineMetadata | None:
    if not any(metadata):
        return None
    places: dict[tuple[tuple[str, str], ...], int] = {(): 0}
    codes = [places.setdefault(tuple(sorted(each.items())), len(places)) for each in metadata]
    return LineMetadata(np.array(codes, np.int32), [dict(pairs) for pairs in places])


def _joined_metadata(pieces: Sequence[Columns]) -> LineMetadata:
    sets: list[Mapping[str, str]] = [_NO_METADATA]
    codes = []
    for piece in pieces:
        if piece.metadata is None:
            codes.append(np.zeros(len(piece), np.int32))
            continue
        shifted = piece.metadata.codes + np.int32(len(sets) - 1)
        codes.append(np.where(piece.metadata.codes == 0, np.int32(0), shifted))
        sets.extend(piece.metadata.sets[1:])
    return LineMetadata(np.concatenate(codes), sets)
