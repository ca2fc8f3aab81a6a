"""Line filters over a whole block at once: which lines hold a text, or match an expression.

A block is newline-joined text; a needle without a newline that is found lies within one line, so one pass over the
bytes finds all. Only the places of matches become Python objects.
"""

import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from watchkeeper.model.pattern import compile_pattern, compile_sweep
from watchkeeper.query.logql.tree import LineFilter

Places = npt.NDArray[np.int64]
Sweep = Callable[[bytes, Places, Places], Places]

_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")
_UNSWEEPABLE = re.compile(r"\\[AzZCQ]|\(\?[A-Za-z]*-")  # text borders, single bytes, quoting, flags taken back
_SPARSE = 8  # below one line in so many, lines are looked at one by one


def line_filter(stage: LineFilter) -> Sweep:
    """Make the function (text, starts, chosen lines) → the lines among them that pass; int64 places, ascending."""
    tests = [_test(stage.op, alternative) for alternative in stage.alternatives]
    negative = stage.op in ("!=", "!~")

    def passed(text: bytes, starts: Places, chosen: Places) -> Places:
        if not len(chosen):
            return chosen
        found = tests[0](text, starts, chosen)
        for test in tests[1:]:
            found = np.union1d(found, test(text, starts, chosen))
        return np.setdiff1d(chosen, found, assume_unique=True) if negative else found

    return passed


def holding(needle: bytes) -> Sweep:
    """Make the function that gives the lines which hold some bytes."""
    if not needle:
        return lambda _text, _starts, chosen: chosen

    def found(text: bytes, starts: Places, chosen: Places) -> Places:
        low, high = int(chosen[0]), int(chosen[-1]) + 1
        if len(chosen) * _SPARSE < high - low:
            return _one_by_one(lambda begin, end: text.find(needle, begin, end) >= 0, starts, chosen)
        places = _places(text, needle, int(starts[low]), int(starts[high]))
        lines = _lines_of(places, starts)
        if b"\n" in needle:  # it may reach into the next line
            lines = lines[places + len(needle) < starts[lines + 1]]
        return _among(lines, chosen, high - low)

    return found


def matching(pattern: str) -> Sweep:
    """Make the function that gives the lines which a regular expression matches somewhere."""
    if not _SPECIAL.search(pattern):
        return holding(pattern.encode())
    by_line = compile_pattern(pattern)
    sweep = None if _UNSWEEPABLE.search(pattern) else compile_sweep(pattern)

    def found(text: bytes, starts: Places, chosen: Places) -> Places:
        low, high = int(chosen[0]), int(chosen[-1]) + 1
        begin, end = int(starts[low]), int(starts[high])
        dense = len(chosen) * _SPARSE >= high - low
        if sweep is None or not dense or text.count(b"\n", begin, end) != high - low:
            return _one_by_one(lambda first, last: by_line.search(text[first:last]) is not None, starts, chosen)
        places = []
        at = begin
        while at < end and (match := sweep.search(text, at, end - 1)) is not None:
            places.append(match.start())
            at = text.find(b"\n", match.end()) + 1
            if at == 0:
                break
        return _among(_lines_of(np.array(places, np.int64), starts), chosen, high - low)

    return found


def _test(op: str, alternative: str) -> Sweep:
    return matching(alternative) if op in ("|~", "!~") else holding(alternative.encode())


def _places(text: bytes, needle: bytes, begin: int, end: int) -> Places:
    """Find the needle; once a line unless it holds newlines itself."""
    places = []
    step = 1 if b"\n" in needle else 0
    at = text.find(needle, begin, end)
    while at >= 0:
        places.append(at)
        behind = at + 1 if step else text.find(b"\n", at + len(needle), end)
        at = text.find(needle, behind, end) if behind >= 0 else -1
    return np.array(places, np.int64)


def _lines_of(places: Places, starts: Places) -> Places:
    return np.searchsorted(starts, places, "right") - 1


def _among(lines: Places, chosen: Places, span: int) -> Places:
    """Give the lines, each once, that are among the chosen."""
    if len(lines) > 1:
        lines = lines[np.concatenate([[True], np.diff(lines) > 0])]
    return lines if len(chosen) == span else np.intersect1d(lines, chosen, assume_unique=True)


def _one_by_one(test: Callable[[int, int], bool], starts: Places, chosen: Places) -> Places:
    begins, ends = starts[chosen].tolist(), (starts[chosen + 1] - 1).tolist()
    verdicts = [test(begin, end) for begin, end in zip(begins, ends, strict=True)]
    return chosen[np.array(verdicts, np.bool_)]
