"""Scripts in Prometheus' promqltest language: load samples, evaluate, compare.

source  Prometheus, promql/promqltest/README.md
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from watchkeeper.model.duration import parse_duration
from watchkeeper.model.errors import BadInput, WatchkeeperError
from watchkeeper.model.frame import Floats
from watchkeeper.model.histogram import Hint, Histogram
from watchkeeper.model.pattern import compile_pattern
from watchkeeper.query.promql.ast import Type
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.promql.lexer import unquote
from watchkeeper.query.promql.memory import MemoryReader
from watchkeeper.query.promql.native import text as histogram_text
from watchkeeper.query.promql.notation import (
    Key,
    Sample,
    as_stored,
    begins_with_metric,
    read_metric,
    read_number,
    read_samples,
    with_custom_buckets,
)
from watchkeeper.query.promql.result import Result
from watchkeeper.query.settings import QuerySettings

_EPSILON = 1e-6  # of the relative difference, as upstream
_HINT = "counter_reset_hint:unknown"  # else an unknown hint is one that the script does not mind
_LOAD = re.compile(r"load(_with_nhcb)?\s+(\S+)\s*", re.ASCII)
_INSTANT = re.compile(r"eval(_\w+)?\s+instant\s+(?:at\s+(\S+)\s+)?(.+)", re.DOTALL)
_RANGE = re.compile(r"eval(_\w+)?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.+)", re.DOTALL)
_OFFSETS = re.compile(r"(_|[+-]?[\da-wyz]+?)([+-][\da-wyz]+)?(?:x(\d+))?", re.ASCII)

Points = list[tuple[int, Sample]]


@dataclass(slots=True)
class Verdict:
    """What became of one eval command."""

    file: str
    line: int
    expr: str
    outcome: str
    detail: str = ""


@dataclass(slots=True)
class _Expect:
    """What an eval command expects."""

    results: list[tuple[Key, list[Sample | None]]] = field(default_factory=list)
    scalar: float | None = None
    text: str | None = None
    matrix: list[tuple[Key, Points]] | None = None
    notes: list[tuple[str, str, str]] = field(default_factory=list)
    fails: bool = False
    ordered: bool = False
    all_hints: bool = False


class Script:
    """Runs one script; `verdicts` has one entry an eval command."""

    def __init__(self, name: str, text: str, settings: QuerySettings | None = None) -> None:
        self.name, self._settings = name, settings or QuerySettings(experimental_functions=True)
        self._lines = text.split("\n")
        self._reader = MemoryReader()
        self.verdicts: list[Verdict] = []

    def run(self) -> list[Verdict]:
        """Run all commands.

        raises  BadInput when a command cannot be understood
        """
        for number, command, block in self._commands():
            word = command.split(None, 1)[0]
            if word == "clear":
                self._reader = MemoryReader()
            elif word in ("load", "load_with_nhcb"):
                self._load(command, block)
            elif word.startswith("eval"):
                self.verdicts.append(self._eval(number, command, block))
            elif word not in ("ignore", "resume"):
                raise BadInput(f"{self.name}:{number}: got command {word!r}, want load, clear or eval")
        return self.verdicts

    def _commands(self) -> Iterator[tuple[int, str, list[str]]]:
        """Give each command with its line and the indented lines below it."""
        at = 0
        while at < len(self._lines):
            line = self._lines[at].strip()
            at += 1
            if not line or line.startswith("#"):
                continue
            number, block = at, []
            while at < len(self._lines) and self._lines[at].strip() and not _at_margin(self._lines[at]):
                if not self._lines[at].strip().startswith("#"):
                    block.append(self._lines[at].strip())
                at += 1
            yield number, line, block

    # --- load -------------------------------------------------------------------------------------------------

    def _load(self, command: str, block: list[str]) -> None:
        found = _LOAD.match(command)
        if found is None:
            raise BadInput(f"{self.name}: cannot read {command!r}: want load <step>")
        step_ms = parse_duration(found.group(2))
        series: dict[Key, Points] = {}
        for line in block:
            key, rest = read_metric(line)
            if rest.startswith("@st"):
                offsets = enumerate(_read_offsets(rest.removeprefix("@st")))
                starts = {at * step_ms: at * step_ms + one for at, one in offsets if one is not None}
                self._reader.add_starts(dict(key), starts)
            else:
                series[key] = [(at * step_ms, one) for at, one in enumerate(read_samples(rest)) if one is not None]
        native = with_custom_buckets(series) if found.group(1) else {}
        for key, points in (*series.items(), *native.items()):
            stored = as_stored([one for _, one in points])
            self._reader.add(dict(key), list(zip((at for at, _ in points), stored, strict=True)))

    # --- eval -------------------------------------------------------------------------------------------------

    def _eval(self, number: int, command: str, block: list[str]) -> Verdict:
        spans = _RANGE.fullmatch(command)
        instant = None if spans else _INSTANT.fullmatch(command)
        if spans is None and instant is None:
            raise BadInput(f"{self.name}:{number}: cannot read {command!r}")
        found = spans or instant
        assert found is not None
        expr = found.groups()[-1]
        verdict = Verdict(self.name, number, expr, "pass")
        expect = self._read_expectations(block, found.group(1) or "")
        fault = self._compare(spans, instant, expr, expect)
        if fault:
            verdict.outcome, verdict.detail = "fail", fault
        return verdict

    def _compare(self, spans: re.Match[str] | None, instant: re.Match[str] | None, expr: str, expect: _Expect) -> str:
        engine = Engine(self._reader, self._settings)
        try:
            if spans is not None:
                start_ms, end_ms, step_ms = (_time_ms(spans.group(number)) for number in (2, 3, 4))
                result = engine.range(expr, start_ms, end_ms, step_ms)
            else:
                assert instant is not None
                result = engine.instant(expr, _time_ms(instant.group(2) or "0s"))
        except WatchkeeperError as error:
            return _compare_failure(expect, str(error))
        if expect.fails:
            return "expected it to fail"
        return _compare_notes(expect, result) or _compare_result(expect, result, in_steps=spans is not None)

    def _read_expectations(self, block: list[str], mode: str) -> _Expect:
        expect = _Expect(fails=mode == "_fail", ordered=mode == "_ordered")
        if mode in ("_warn", "_info"):
            expect.notes.append((mode[1:], "", ""))
        lines = list(block)
        step_ms = 0
        while lines:
            line = lines.pop(0)
            expect.all_hints = expect.all_hints or _HINT in line
            if line.startswith("expected_fail_"):
                kind, text = line.removeprefix("expected_fail_").split(None, 1)
                expect.notes.append(("fail", "regex" if kind == "regexp" else "msg", text))
            elif line.startswith("expect range vector"):
                found = re.fullmatch(r"expect range vector from (\S+) to (\S+) step (\S+)", line)
                assert found is not None, line
                start_ms, step_ms = _time_ms(found.group(1)), _time_ms(found.group(3))
                expect.matrix = [(key, _on_grid(values, start_ms, step_ms)) for key, values in map(_read_result, lines)]
                break
            elif line.startswith("expect string"):
                expect.text = unquote(line.removeprefix("expect string").strip())
            elif line.startswith("expect "):
                self._read_expect(expect, line.removeprefix("expect ").strip())
            elif begins_with_metric(line):
                expect.results.append(_read_result(line))
            else:
                expect.scalar = read_number(line)
        return expect

    def _read_expect(self, expect: _Expect, line: str) -> None:
        word, _, rest = line.partition(" ")
        kind, _, text = rest.strip().partition(":")
        if word == "fail":
            expect.fails = True
        if word == "ordered":
            expect.ordered = True
        else:
            expect.notes.append((word, kind, text.strip()))


def _at_margin(line: str) -> bool:
    return not line[0].isspace()


def _read_offsets(text: str) -> list[int | None]:
    """Expand start timestamps, in ms from their samples: -30s-1mx2 _ 0."""
    offsets: list[int | None] = []
    for word in text.split():
        found = _OFFSETS.fullmatch(word)
        if found is None:
            raise BadInput(f"cannot read start timestamp {word!r}: want a duration, _, or a-bxn")
        first, change, times = found.groups()
        if first == "_":
            offsets += [None] * int(times or 1)
            continue
        start_ms, step_ms = _offset_ms(first), _offset_ms(change or "0")
        offsets += [start_ms + at * step_ms for at in range(int(times or 0) + 1)]
    return offsets


def _offset_ms(text: str) -> int:
    return _time_ms(text.removeprefix("+")) if text.lstrip("+-") != "0" else 0


def _time_ms(text: str) -> int:
    negative, text = text.startswith("-"), text.lstrip("-")
    value = round(float(text) * 1000) if re.fullmatch(r"[\d.]+", text) else parse_duration(text)
    return -value if negative else value


def _read_result(line: str) -> tuple[Key, list[Sample | None]]:
    key, rest = read_metric(line)
    return key, read_samples(rest)


def _on_grid(values: list[Sample | None], start_ms: int, step_ms: int) -> Points:
    return [(start_ms + at * step_ms, value) for at, value in enumerate(values) if value is not None]


# --- comparing ------------------------------------------------------------------------------------------------


def _compare_failure(expect: _Expect, text: str) -> str:
    if not expect.fails:
        return f"failed: {text}"
    for word, kind, wanted in expect.notes:
        if word == "fail" and kind == "msg" and wanted not in (text, _without_position(text)):
            return f"failed with {text!r}, want {wanted!r}"
        if word == "fail" and kind == "regex" and compile_pattern(wanted).search(text) is None:
            return f"failed with {text!r}, want a match of {wanted!r}"
    return ""


def _without_position(text: str) -> str:
    return re.sub(r"^\d+:\d+: ", "", text)


def _compare_notes(expect: _Expect, result: Result) -> str:
    for word, found in (("warn", result.warnings), ("info", result.infos)):
        if any(kind == f"no_{word}" for kind, _, _ in expect.notes) and found:
            return f"unexpected {word}: {found}"
        for kind, how, wanted in expect.notes:
            if kind == word and not any(_note_fits(how, wanted, note) for note in found):
                return f"missing {word} {wanted!r}, got {found}"
    return ""


def _note_fits(how: str, wanted: str, note: str) -> bool:
    if how == "regex":
        return compile_pattern(wanted).search(note) is not None
    return not wanted or wanted in (note, re.sub(r" \(\d+:\d+\)$", "", note))


def _compare_result(expect: _Expect, result: Result, *, in_steps: bool) -> str:
    if expect.text is not None:
        return "" if result.text == expect.text else f"got {result.text!r}, want {expect.text!r}"
    if expect.scalar is not None:
        got = float(result.values[0, 0]) if result.kind is Type.SCALAR else math.nan
        same = result.kind is Type.SCALAR and nearly_equal(got, expect.scalar)
        return "" if same else f"got {result.kind} {got}, want scalar {expect.scalar}"
    got_rows = _rows(result)
    if expect.matrix is not None:
        wanted = expect.matrix
    elif in_steps:
        wanted = [(key, [(at, v) for at, v in enumerate(values) if v is not None]) for key, values in expect.results]
        got_rows = [(key, [(int(np.searchsorted(result.times, at)), v) for at, v in row]) for key, row in got_rows]
    else:
        wanted = [
            (key, [(int(result.times[0]), value) for value in values if value is not None])
            for key, values in expect.results
        ]
    if expect.ordered and [key for key, _ in got_rows] != [key for key, _ in wanted]:
        return f"got order {[key for key, _ in got_rows]}, want {[key for key, _ in wanted]}"
    return _compare_rows(dict(got_rows), dict(wanted), all_hints=expect.all_hints)


def _rows(result: Result) -> list[tuple[Key, Points]]:
    out = []
    for row, labels in enumerate(result.labels.labels()):
        there = np.nonzero(result.present[row])[0]
        values: list[Sample] = list(result.values[row, there].tolist())
        if result.histograms:
            for at in np.nonzero(result.native()[row, there])[0].tolist():
                values[at] = result.histogram(row, int(there[at]))
        points = zip(result.times[there].tolist(), values, strict=True)
        out.append((tuple(sorted(labels.items())), list(points)))
    return out


def _compare_rows(got: dict[Key, Points], wanted: dict[Key, Points], *, all_hints: bool) -> str:
    for key, points in wanted.items():
        if key not in got:
            return f"missing {dict(key)}; got {[dict(one) for one in got][:5]}"
        same_times = [at for at, _ in got[key]] == [at for at, _ in points]
        same = same_times and all(
            _same(one, two, all_hints=all_hints) for (_, one), (_, two) in zip(got[key], points, strict=True)
        )
        if not same:
            return f"{dict(key)}: got {_shown(got[key][:12])}, want {_shown(points[:12])}"
    extra = [dict(key) for key in got if key not in wanted]
    return f"unexpected {extra[:5]}" if extra else ""


def _same(got: Sample, want: Sample, *, all_hints: bool) -> bool:
    if isinstance(got, Histogram) and isinstance(want, Histogram):
        minded = all_hints or want.hint is not Hint.UNKNOWN
        return nearly_equal_histograms(got, want) and (got.hint is want.hint or not minded)
    return not isinstance(got, Histogram) and not isinstance(want, Histogram) and nearly_equal(got, want)


def _shown(points: Points) -> list[tuple[int, float | str]]:
    return [(at, f"{histogram_text(one)} {one.hint.name}" if isinstance(one, Histogram) else one) for at, one in points]


def nearly_equal_histograms(left: Histogram, right: Histogram) -> bool:
    """Compare two histograms in the same buckets, but for their hints."""
    alike = left.schema == right.schema and len(left.bounds) == len(right.bounds)
    sides = ((left.positive, right.positive), (left.negative, right.negative))
    if not alike or not all(np.array_equal(one.index, other.index) for one, other in sides):
        return False
    columns = [(one.counts, other.counts) for one, other in sides]
    columns.append((_numbers(left), _numbers(right)))
    return all(
        nearly_equal(one, other)
        for pair in columns
        for one, other in zip(*(side.tolist() for side in pair), strict=True)
    )


def _numbers(histogram: Histogram) -> Floats:
    own = [histogram.count, histogram.sum, histogram.zero_count, histogram.zero_threshold]
    return np.concatenate([own, histogram.bounds])


def nearly_equal(left: float, right: float) -> bool:
    """Compare as upstream's tests do: NaN equals NaN, else within a millionth."""
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    if left == right:
        return True
    size, apart = abs(left) + abs(right), abs(left - right)
    if 0 in (left, right) or size < 2.2250738585072014e-308:
        return apart < _EPSILON * 2.2250738585072014e-308
    return apart / min(size, 1.7976931348623157e308) < _EPSILON


def run_files(paths: list[Path]) -> list[Verdict]:
    """Run scripts from files, each on its own."""
    return [verdict for path in paths for verdict in Script(path.name, path.read_text()).run()]
