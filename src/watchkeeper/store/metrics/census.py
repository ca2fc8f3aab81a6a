"""Counts what series there are, over columns of label codes: nothing is kept for it."""

from collections.abc import Sequence

import numpy as np

from watchkeeper.model.census import Census, Counted
from watchkeeper.model.labels import METRIC_NAME, LabelTable, Symbols
from watchkeeper.store.metrics.frame import NEVER_MS, Frame


def take_census(frames: Sequence[Frame], symbols: Symbols, limit: int) -> Census:
    """Count the series that have samples in memory; from any thread.

    limit  how many of each list are given
    """
    views = [frame.view for frame in frames]
    alive = [np.flatnonzero(view.newest_ms > NEVER_MS) for view in views]
    chunks = sum(
        len(columns) + sum(len(chunk.columns) for strip in view.strips for chunk in strip.chunks)
        for view, columns in zip(views, alive, strict=True)
    )
    tables = [view.table.take(columns) for view, columns in zip(views, alive, strict=True)]
    hashes = [view.hashes[columns] for view, columns in zip(views, alive, strict=True)]
    table = LabelTable.join(tables, symbols)
    if len(table):  # a series that moved to another frame is in two for a while
        table = table.take(np.sort(np.unique(np.concatenate(hashes), return_index=True)[1]))
    oldest = [frame.oldest_ms for frame, columns in zip(frames, alive, strict=True) if len(columns)]
    newest = [int(view.newest_ms[columns].max()) for view, columns in zip(views, alive, strict=True) if len(columns)]
    counts = _Counts(table, symbols, limit)
    return Census(
        len(table),
        sum(counts.values.values()),
        chunks,
        min(oldest, default=None),
        max(newest, default=None),
        *(_largest(one, limit) for one in (counts.metrics, counts.values, counts.sizes, counts.pairs)),
    )


class _Counts:
    """Of a table: series by metric, distinct values and their bytes by label, series by pair."""

    def __init__(self, table: LabelTable, symbols: Symbols, limit: int) -> None:
        self.metrics: dict[str, int] = {}
        self.values: dict[str, int] = {}
        self.sizes: dict[str, int] = {}
        self.pairs: dict[str, int] = {}
        for name in table.names:
            codes, counts = np.unique(table.column(name), return_counts=True)
            codes, counts = codes[codes != 0], counts[codes != 0]
            if not len(codes):
                continue
            texts = symbols.texts(codes)
            self.values[name] = len(codes)
            both = len(name.encode()) + 2  # as Prometheus counts
            sizes = ((both + len(text.encode())) * n for text, n in zip(texts, counts.tolist(), strict=True))
            self.sizes[name] = sum(sizes)
            if name == METRIC_NAME:
                self.metrics = dict(zip(texts, counts.tolist(), strict=True))
            top = np.argsort(-counts, kind="stable")[:limit].tolist()
            self.pairs.update({f"{name}={texts[at]}": int(counts[at]) for at in top})


def _largest(counts: dict[str, int], limit: int) -> Counted:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]
