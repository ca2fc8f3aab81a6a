"""Answers of range queries, kept so that a dashboard's refresh computes only the steps that are new.

A step holds as long as no sample that it may read was added, deleted or dropped since: the store numbers its changes
and says from when on samples of a selector changed after a number. What the steps hold is equal to what evaluating them
again would give; so late samples, staleness, offsets, @ and deletions need no rules of their own.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from watchkeeper.model import metrics
from watchkeeper.model.doors import Changing
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.labels import LabelTable, Symbols
from watchkeeper.query.promql.context import Steps
from watchkeeper.query.promql.histogram_table import pruned, renumbered
from watchkeeper.query.promql.matrix import ever, group
from watchkeeper.query.promql.reach import Reach
from watchkeeper.query.promql.result import Memo, Result

_STEPS_MIN = 16  # shorter answers are evaluated each time
_POINT_BYTES = 9 + 37  # value, presence, JSON text and its length
_ENTRY_BYTES = 4000
_HISTOGRAM_BYTES = 2000
_FRESH_S = 60.0  # what was used within a refresh or two gives way to nothing
_IDLE_S = 600.0

_STEPS = metrics.counter(
    "watchkeeper_query_range_steps", "Steps of range queries, kept from the query before or computed.", ("from",)
)
_KEPT, _COMPUTED = _STEPS.labels("kept"), _STEPS.labels("computed")
_BYTES = metrics.gauge("watchkeeper_query_kept_bytes", "Answers of range queries that are kept, with their texts.")

Evaluate = Callable[[Steps], Result]
Key = tuple[str, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    version: int
    steps: Steps
    result: Result
    size_bytes: int
    used_s: float


class KeptResults:
    """The last answer to each range query. Safe from any thread.

    bytes_max  the least recently used go first, but what was used a moment ago stays; 0: nothing is kept
    """

    def __init__(self, changes: Changing, symbols: Symbols, bytes_max: int) -> None:
        self._changes, self._symbols, self._bytes_max = changes, symbols, bytes_max
        self._lock = threading.Lock()
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._bytes = 0

    def answer(self, key: tuple[str, int], reach: Reach, steps: Steps, evaluate: Evaluate) -> Result:
        """Give a range query's answer, evaluating what is not kept of it.

        key       the expression's text, and how far back it looks for samples
        evaluate  gives the answer for a part of the steps; what it raises passes through
        """
        if not self._bytes_max or len(steps) < _STEPS_MIN:
            return evaluate(steps)
        version = self._changes.version  # before anything is read
        place = (*key, steps.step_ms, steps.start_ms % steps.step_ms)
        with self._lock:
            entry = self._entries.get(place)
        held = None if entry is None else self._still_good(entry, reach, steps)
        if entry is None or held is None:
            result = replace(evaluate(steps), memo=Memo())
            _COMPUTED.inc(len(steps))
        else:
            result = self._completed(entry, held, steps, evaluate)
            _KEPT.inc(len(held))
            _COMPUTED.inc(len(steps) - len(held))
        if not result.warnings:
            self._keep(place, _Entry(version, steps, result, _size_of(result), time.monotonic()))
        return result

    def _still_good(self, entry: _Entry, reach: Reach, steps: Steps) -> Steps | None:
        """Give the wanted steps that are kept and hold."""
        changed_ms = self._changes.changed_since_ms(entry.version, reach.selectors)
        if changed_ms <= reach.fixed_ms:
            return None
        first = max(steps.start_ms, entry.steps.start_ms)
        last = min(int(steps.times[-1]), int(entry.steps.times[-1]))
        if changed_ms - reach.forward_ms <= last:
            last = changed_ms - reach.forward_ms - 1
            last -= (last - first) % steps.step_ms
        return Steps.spanning(first, last, steps.step_ms) if first <= last else None

    def _completed(self, entry: _Entry, held: Steps, steps: Steps, evaluate: Evaluate) -> Result:
        parts = []
        if held.start_ms > steps.start_ms:
            parts.append(evaluate(Steps.spanning(steps.start_ms, held.start_ms - 1, steps.step_ms)))
        old = entry.result
        here = slice(*np.searchsorted(old.times, [held.start_ms, held.end_ms + 1]).tolist())
        kept = replace(old, times=held.times, values=old.values[:, here], present=old.present[:, here])
        parts.append(kept)
        if held.times[-1] < steps.times[-1]:
            parts.append(evaluate(Steps.spanning(int(held.times[-1]) + steps.step_ms, steps.end_ms, steps.step_ms)))
        result, is_same = _joined(parts, kept, self._symbols.overlay())
        memo = Memo()
        if is_same and old.memo is not None:
            memo.before, memo.held = old.memo.written, (held.start_ms, int(held.times[-1]))
        return replace(result, times=steps.times, memo=memo)

    def _keep(self, place: Key, entry: _Entry) -> None:
        if 4 * entry.size_bytes > self._bytes_max:
            return
        with self._lock:
            before = self._entries.pop(place, None)
            self._bytes -= 0 if before is None else before.size_bytes
            while self._entries:
                oldest = next(iter(self._entries.values()))
                age_s = entry.used_s - oldest.used_s
                if age_s < _IDLE_S and self._bytes + entry.size_bytes <= self._bytes_max:
                    break
                if age_s < _FRESH_S:  # more than fits is asked for at every refresh: a part of it is kept, not none
                    return
                self._bytes -= self._entries.popitem(last=False)[1].size_bytes
            self._entries[place] = entry
            self._bytes += entry.size_bytes
            _BYTES.set(self._bytes)


def _size_of(result: Result) -> int:
    histograms = len(result.histograms) * _HISTOGRAM_BYTES
    return _ENTRY_BYTES + len(result.labels) * 400 + result.values.size * _POINT_BYTES + histograms


def _joined(parts: Sequence[Result], kept: Result, symbols: Symbols) -> tuple[Result, bool]:
    """Put answers for steps in turn together; say whether the series are the kept one's, in its order."""
    warnings = list(dict.fromkeys(text for part in parts for text in part.warnings))
    infos = list(dict.fromkeys(text for part in parts for text in part.infos))
    tables = [_recoded(part.labels, symbols) for part in parts]
    whole = replace(kept, labels=tables[parts.index(kept)], warnings=warnings, infos=infos)
    if any(part.histograms for part in parts):
        parts, whole = _one_table(parts, whole)
    if all(_equal(table, whole.labels) for table in tables):
        values = np.concatenate([part.values for part in parts], axis=1)
        present = np.concatenate([part.present for part in parts], axis=1)
        ids = None
    else:
        labels = LabelTable.join(tables, symbols)
        ids, first = group(labels)
        values = np.zeros((len(first), sum(len(part.times) for part in parts)))
        present = np.zeros(values.shape, np.bool_)
        row = column = 0
        for part in parts:
            rows = ids[row : row + len(part.labels)]
            values[rows, column : column + len(part.times)] = part.values
            present[rows, column : column + len(part.times)] = part.present
            row, column = row + len(part.labels), column + len(part.times)
        whole = replace(whole, labels=labels.take(first))
    seen = ever(present)
    if whole.histograms:
        values, held = pruned(values, replace(whole, values=values, present=present).native(), whole.histograms)
        whole = replace(whole, histograms=held)
    if seen.all():
        return replace(whole, values=values, present=present), ids is None
    return replace(whole, labels=whole.labels.take(seen), values=values[seen], present=present[seen]), False


def _one_table(parts: Sequence[Result], whole: Result) -> tuple[list[Result], Result]:
    """Let the cells of all parts be places in one table of histograms."""
    held: list[Histogram] = []
    moved = []
    for part in parts:
        moved.append(replace(part, values=renumbered(part.values, len(held))))
        held += part.histograms
    return moved, replace(whole, histograms=held)


def _equal(left: LabelTable, right: LabelTable) -> bool:
    return left is right or (left.names == right.names and np.array_equal(left.codes, right.codes))


def _recoded(table: LabelTable, symbols: Symbols) -> LabelTable:
    """Give a table of another query in this one's symbols; both see the store's."""
    own = np.unique(table.codes[table.codes < 0])
    if not len(own):
        return LabelTable(table.names, table.codes, symbols)
    fresh = np.array([symbols.code(text) for text in table.symbols.texts(own)], np.int32)
    codes = np.where(table.codes < 0, fresh[np.searchsorted(own, np.minimum(table.codes, own[-1]))], table.codes)
    return LabelTable(table.names, codes.astype(np.int32), symbols)
