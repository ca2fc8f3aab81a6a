"""The series of a frame: which column each label set has. No Python object a series, only arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watchkeeper.model.errors import BadInput
from watchkeeper.model.labels import Codes, Labels, LabelTable, Symbols
from watchkeeper.model.matchers import Matcher, match_table

Hashes = npt.NDArray[np.uint64]
_MATCHES_MAX = 1024  # selectors remembered of one frame
_MATCHED_PER_SERIES = 4  # and how many columns all of them may name, as a multiple of the frame's
_MATCHED_MIN = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Columns that a selector matches, ascending, with their labels and hashes."""

    columns: Codes
    labels: LabelTable
    hashes: Hashes


_NOTHING = Match(  # for all selectors that match no column
    np.empty(0, np.int32), LabelTable((), np.zeros((0, 0), np.int32), Symbols()), np.empty(0, np.uint64)
)


class Matches:
    """What was asked of a frame lately and is likely to be asked again: rules and dashboards repeat themselves."""

    def __init__(self, table: LabelTable, hashes: Hashes) -> None:
        self._table, self._hashes = table, hashes
        self._known: dict[tuple[Matcher, ...], Match] = {}
        self._room = max(_MATCHED_MIN, _MATCHED_PER_SERIES * len(table))

    def find(self, matchers: tuple[Matcher, ...]) -> Match:
        """Give the columns that satisfy all matchers. Safe from any thread."""
        known = self._known.get(matchers)
        if known is not None:
            return known
        columns = np.flatnonzero(match_table(matchers, self._table)).astype(np.int32)
        found = Match(columns, self._table.take(columns), self._hashes[columns])
        if len(self._known) >= _MATCHES_MAX or len(columns) > self._room:
            self._known, self._room = {}, max(_MATCHED_MIN, _MATCHED_PER_SERIES * len(self._table))
        self._room -= len(columns)
        self._known[matchers] = found if len(columns) else _NOTHING
        return found


def hash_table(table: LabelTable, symbols: Symbols) -> Hashes:
    """Give uint64[n_series]: equal for equal labels, whatever names the table has besides; good within a process."""
    hashes = np.zeros(len(table), np.uint64)
    for name, codes in zip(table.names, table.codes, strict=True):
        pair = (np.uint64(symbols.code(name)) << np.uint64(32)) | codes.astype(np.uint64)
        hashes += np.where(codes != 0, spread(pair), np.uint64(0))
    return hashes


def spread(number: Hashes) -> Hashes:
    """Spread 64 bits over 64 bits (the finaliser of splitmix64)."""
    number = number + np.uint64(0x9E3779B97F4A7C15)
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))


class ColumnIndex:
    """Label sets by column, append-only.

    table   of all columns, replaced (never changed) when columns are added
    hashes  uint64[n_columns], likewise, and `matches`
    """

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols
        self.table = LabelTable((), np.zeros((0, 0), np.int32), symbols)
        self.hashes: Hashes = np.empty(0, np.uint64)
        self.matches = Matches(self.table, self.hashes)
        self._order = np.empty(0, np.int64)

    def find(self, table: LabelTable) -> tuple[Codes, npt.NDArray[np.int64]]:
        """Give each series' column, int32[n], and the series (indices into the table) that are new.

        New series get the columns they would have after `add`; equal ones the same.
        """
        hashes = hash_table(table, self._symbols)
        known, columns = self.locate(hashes)
        _, first, inverse = np.unique(hashes[~known], return_index=True, return_inverse=True)
        by_place = np.argsort(first)  # new columns in order of first appearance: neighbours stay neighbours
        rank = np.empty(len(first), np.int32)
        rank[by_place] = np.arange(len(first), dtype=np.int32)
        columns[~known] = rank[inverse] + len(self.hashes)
        fresh = np.flatnonzero(~known)[first[by_place]]
        self._check(table, columns, fresh)
        return columns, fresh

    def locate(self, hashes: Hashes) -> tuple[npt.NDArray[np.bool_], Codes]:
        """Say which hashes are of a series here, and give their columns, 0 for the others."""
        ordered = self.hashes[self._order]
        at = np.searchsorted(ordered, hashes)
        at[at == len(ordered)] = 0
        known = ordered[at] == hashes if len(ordered) else np.zeros(len(hashes), np.bool_)
        columns = np.zeros(len(hashes), np.int32)
        columns[known] = self._order[at[known]]
        return known, columns

    def _check(self, table: LabelTable, columns: Codes, fresh: npt.NDArray[np.int64]) -> None:
        """Compare the labels themselves: two label sets with one hash would become one series."""
        after = LabelTable.join([self.table, table.take(fresh)], self._symbols) if len(fresh) else self.table
        for name in {*after.names, *table.names}:
            if not np.array_equal(after.column(name)[columns], table.column(name)):
                raise BadInput("cannot register series: got two label sets with one hash, want one of them renamed")

    def add(self, table: LabelTable) -> None:
        """Append columns."""
        if not len(table):
            return
        self.table = LabelTable.join([self.table, table], self._symbols) if len(self.hashes) else table
        self.hashes = np.concatenate([self.hashes, hash_table(table, self._symbols)])
        self.matches = Matches(self.table, self.hashes)
        self._order = np.argsort(self.hashes, kind="stable")


def code_columns(labels: Mapping[str, Sequence[str]], series: int, symbols: Symbols) -> LabelTable:
    """Code labels that are there by name: the value of each series, empty where it lacks the label."""
    names = tuple(sorted(labels))
    codes = np.zeros((len(names), series), np.int32)
    for at, name in enumerate(names):
        known = {text: symbols.code(text) for text in set(labels[name])}  # most are the same for many series
        codes[at] = np.fromiter(map(known.__getitem__, labels[name]), np.int32, series)
    return LabelTable(names, codes, symbols)


def code_labels(series: Sequence[Labels], symbols: Symbols) -> LabelTable:
    """Code the labels of series for a frame.

    raises  BadInput when a label is not valid Unicode
    """
    try:
        "".join(text for labels in series for pair in labels.items() for text in pair).encode()
    except UnicodeEncodeError:
        raise BadInput("cannot register series: got a label with a lone surrogate, want valid Unicode") from None
    return LabelTable.from_labels(series, symbols)
