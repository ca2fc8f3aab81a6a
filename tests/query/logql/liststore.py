"""A store of plain lists, and what queries should give by the plainest loops."""

from collections.abc import Mapping, Sequence

import numpy as np

from watchkeeper.model.labels import Labels
from watchkeeper.model.logs import LineBlock, LineMetadata, LogVolume
from watchkeeper.model.matchers import Matcher, match_all

Row = tuple[int, bytes]


class ListBlock:
    def __init__(self, stream: int, labels: Labels, rows: Sequence[Row], metadata: Sequence[Mapping[str, str]]) -> None:
        self.labels, self.stream = labels, stream
        self._rows, self._metadata = rows, metadata
        self.first_ns, self.last_ns = rows[0][0], rows[-1][0]
        self.line_count, self.size_bytes = len(rows), sum(len(line) for _, line in rows)

    def times(self) -> np.ndarray:
        return np.array([time for time, _ in self._rows], np.int64)

    def starts(self) -> np.ndarray:
        return np.cumsum([0, *(len(line) + 1 for _, line in self._rows)]).astype(np.int64)

    def text(self) -> bytes:
        return b"".join(line + b"\n" for _, line in self._rows)

    def metadata(self) -> LineMetadata | None:
        if not any(self._metadata):
            return None
        return LineMetadata(np.arange(1, len(self._rows) + 1, dtype=np.int32), [{}, *self._metadata])


class ListStore:
    def __init__(self, block_lines: int = 4) -> None:
        self.blocks: list[LineBlock] = []
        self.rows: list[tuple[Labels, int, bytes]] = []
        self._block_lines = block_lines

    def add(
        self, labels: Labels, lines: Sequence[tuple[int, bytes]], metadata: Sequence[Mapping[str, str]] = ()
    ) -> None:
        order = sorted(range(len(lines)), key=lambda at: lines[at][0])
        stream = len({block.stream for block in self.blocks})
        for begin in range(0, len(lines), self._block_lines):
            part = order[begin : begin + self._block_lines]
            own = [metadata[at] for at in part] if metadata else []
            self.blocks.append(ListBlock(stream, labels, [lines[at] for at in part], own))
        self.rows += [(labels, time, line) for time, line in lines]

    def select(self, matchers: Sequence[Matcher], start_ns: int, end_ns: int) -> list[LineBlock]:
        return [
            block
            for block in self.blocks
            if match_all(list(matchers), block.labels) and block.first_ns <= end_ns and block.last_ns >= start_ns
        ]

    def streams(self, selectors: Sequence[Sequence[Matcher]], start_ns: int, end_ns: int) -> list[Labels]:
        raise NotImplementedError

    def volume(self, matchers: Sequence[Matcher], start_ns: int, end_ns: int) -> LogVolume:
        raise NotImplementedError
