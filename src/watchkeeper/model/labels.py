"""Labels: one series as a mapping, many series as columns of numbers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

Labels = Mapping[str, str]
LabelPairs = tuple[tuple[str, str], ...]
Codes = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]

METRIC_NAME = "__name__"
_FNV_OFFSET, _FNV_PRIME, _U64 = 0xCBF29CE484222325, 0x100000001B3, 0xFFFFFFFFFFFFFFFF


def label_pairs(labels: Labels) -> LabelPairs:
    """Give the labels sorted by name, without empty values: equal pairs mean the same series."""
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def fingerprint(labels: Labels) -> int:
    """Hash labels to 64 bits as Prometheus and Alertmanager do (FNV-1a over name, 0xff, value, 0xff).

    source  github.com/prometheus/common, model.LabelsToSignature
    """
    state = _FNV_OFFSET
    for name in sorted(labels):
        for byte in name.encode() + b"\xff" + labels[name].encode() + b"\xff":
            state = ((state ^ byte) * _FNV_PRIME) & _U64
    return state


class Symbols:
    """Strings by number: an append-only dictionary shared by all label columns of a store.

    Code 0 is the empty string, which is how Prometheus says "no such label". Codes are never reused. Adding is
    done by one thread at a time (the event loop's); reading is safe from any.
    """

    __slots__ = ("_codes", "_texts")

    def __init__(self) -> None:
        self._texts: list[str] = [""]
        self._codes: dict[str, int] = {"": 0}

    def __len__(self) -> int:
        return len(self._texts)

    def code(self, text: str) -> int:
        """Give the number of a string, adding the string when it is new."""
        code = self._codes.get(text)
        if code is None:
            code = len(self._texts)
            self._texts.append(text)
            self._codes[text] = code
        return code

    def find(self, text: str) -> int | None:
        """Give the number of a string, or None when it was never seen."""
        return self._codes.get(text)

    def text(self, code: int) -> str:
        """Give the string of a number."""
        return self._texts[code]

    def texts(self, codes: npt.NDArray[np.integer]) -> list[str]:
        """Give the strings of many numbers."""
        return [self.text(code) for code in codes.tolist()]

    def overlay(self) -> "OverlaySymbols":
        """Give a dictionary that sees this one and keeps what is added to itself, for the length of a query."""
        return OverlaySymbols(self)


class OverlaySymbols(Symbols):
    """Symbols of one query: new strings get negative codes and are gone with the query."""

    __slots__ = ("_below",)

    def __init__(self, below: Symbols) -> None:
        super().__init__()
        self._below = below

    def __len__(self) -> int:
        return len(self._below) + len(self._texts) - 1

    def code(self, text: str) -> int:
        found = self.find(text)
        return -super().code(text) if found is None else found

    def find(self, text: str) -> int | None:
        own = self._codes.get(text)
        return self._below.find(text) if own is None else -own

    def text(self, code: int) -> str:
        return self._below.text(code) if code >= 0 else self._texts[-code]


class LabelTable:
    """Labels of n series: a row of codes for each label name.

    names    sorted, unique; a name whose codes are all 0 may be present
    codes    int32[len(names), n_series]; 0 where a series lacks the label
    symbols  what the codes mean; tables are compared and joined only when theirs share a base
    """

    __slots__ = ("codes", "names", "symbols")

    def __init__(self, names: tuple[str, ...], codes: Codes, symbols: Symbols) -> None:
        assert codes.ndim == 2 and codes.shape[0] == len(names), (names, codes.shape)
        self.names, self.codes, self.symbols = names, codes, symbols

    @classmethod
    def from_labels(cls, rows: Sequence[Labels], symbols: Symbols) -> Self:
        """Code the labels of many series."""
        names = tuple(sorted({name for row in rows for name in row}))
        codes = np.zeros((len(names), len(rows)), np.int32)
        for at, name in enumerate(names):
            codes[at] = [symbols.code(row.get(name, "")) for row in rows]
        return cls(names, codes, symbols)

    @classmethod
    def join(cls, tables: Sequence["LabelTable"], symbols: Symbols) -> Self:
        """Put tables one after the other; names are united, absent ones coded 0."""
        names = tuple(sorted({name for table in tables for name in table.names}))
        joined = np.zeros((len(names), sum(len(table) for table in tables)), np.int32)
        row_of = {name: at for at, name in enumerate(names)}
        start = 0
        for table in tables:
            rows = [row_of[name] for name in table.names]
            joined[rows, start : start + len(table)] = table.codes
            start += len(table)
        return cls(names, joined, symbols)

    def __len__(self) -> int:
        return int(self.codes.shape[1])

    def column(self, name: str) -> Codes:
        """Give one label's codes, int32[n_series]; zeros when no series has it."""
        if name in self.names:
            return self.codes[self.names.index(name)]
        return np.zeros(len(self), np.int32)

    def values(self, name: str) -> list[str]:
        """Give one label's values in series order; empty text where absent."""
        return self.symbols.texts(self.column(name))

    def take(self, which: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> "LabelTable":
        """Give the chosen series, by index or by mask."""
        return LabelTable(self.names, self.codes[:, which], self.symbols)

    def keep(self, names: Iterable[str]) -> "LabelTable":
        """Give the table with these labels alone (those of them it has)."""
        wanted = set(names)
        return self._chosen([name in wanted for name in self.names])

    def drop(self, names: Iterable[str]) -> "LabelTable":
        """Give the table without these labels."""
        unwanted = set(names)
        return self._chosen([name not in unwanted for name in self.names])

    def replaced(self, name: str, codes: Codes) -> "LabelTable":
        """Give the table with one label set to new codes, int32[n_series]."""
        rest = self.drop([name])
        at = sum(other < name for other in rest.names)
        names = (*rest.names[:at], name, *rest.names[at:])
        return LabelTable(names, np.insert(rest.codes, at, codes, axis=0), self.symbols)

    def group_ids(self, names: Iterable[str] | None = None) -> tuple[Ints, Ints]:
        """Number the series by equal values of these labels (of all when None).

        returns  int64[n_series] group of each series, counted from 0 in order of first appearance, and
                 int64[n_groups] the first series of each group
        """
        wanted = self.names if names is None else [name for name in self.names if name in set(names)]
        ids = np.zeros(len(self), np.int64)
        for name in wanted:
            column = self.column(name).astype(np.int64)
            column -= column.min(initial=0)
            _, ids = np.unique(ids * (int(column.max(initial=0)) + 1) + column, return_inverse=True)
        _, first, ids = np.unique(ids, return_index=True, return_inverse=True)
        order = np.argsort(first, kind="stable")
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        return rank[ids] if len(ids) else ids, first[order]

    def labels(self) -> list[dict[str, str]]:
        """Give each series' labels as a mapping in name order, absent ones left out."""
        columns = [(name, self.symbols.texts(row)) for name, row in zip(self.names, self.codes, strict=True)]
        return [{name: texts[at] for name, texts in columns if texts[at]} for at in range(len(self))]

    def _chosen(self, mask: list[bool]) -> "LabelTable":
        names = tuple(name for name, chosen in zip(self.names, mask, strict=True) if chosen)
        return LabelTable(names, self.codes[np.array(mask, np.bool_)], self.symbols)
