"""All streams as columns of label codes, for matchers to run over."""

from collections.abc import Sequence

import numpy as np

from watchkeeper.model.doors import Matchers
from watchkeeper.model.labels import Labels, LabelTable, Symbols
from watchkeeper.model.logs import TimesNs
from watchkeeper.model.matchers import match_table


class Roster:
    """Numbers streams from 0. Adding is done in one thread; who calls sees to it that nobody reads meanwhile."""

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols
        self._table = LabelTable.from_labels([], symbols)
        self._fresh: list[Labels] = []

    def __len__(self) -> int:
        return len(self._table) + len(self._fresh)

    def add(self, labels: Labels) -> int:
        """Add a stream, giving its number."""
        for value in labels.values():
            self._symbols.code(value)  # here, because only this thread may add strings
        self._fresh.append(labels)
        return len(self) - 1

    def match(self, selectors: Sequence[Matchers]) -> TimesNs:
        """Give the numbers of the streams that match any selector, ascending; all when there is none."""
        if self._fresh:
            fresh = LabelTable.from_labels(self._fresh, self._symbols)
            self._table, self._fresh = LabelTable.join([self._table, fresh], self._symbols), []
        if not selectors:
            return np.arange(len(self._table))
        chosen = np.zeros(len(self._table), np.bool_)
        for matchers in selectors:
            chosen |= match_table(list(matchers), self._table)
        return np.flatnonzero(chosen)
