"""What became of rule unit tests, as promtool tells it: texts, coloured differences, JUnit's XML.

source  promtool test rules, --diff, --junit
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import ndiff
from itertools import starmap
from math import isfinite
from xml.etree import ElementTree as ET

import numpy as np
import orjson

from watchkeeper.model.gotemplate import format_float
from watchkeeper.model.gotemplate.lexer import quote
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.labels import LabelPairs, Labels
from watchkeeper.query.promql.literal import write_histogram
from watchkeeper.query.promql.notation import Sample

Alert = tuple[LabelPairs, LabelPairs]
Report = Callable[[str, Sequence[Alert], Sequence[Alert]], str]
_COLOURS = {"-": "\x1b[0;31m", "+": "\x1b[0;32m"}


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """What became of one test; its failures are texts for a person."""

    __test__ = False  # for pytest: a class of the product, whatever its name

    name: str
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file of tests.

    tests     those that ran
    fault     why the file cannot be run at all
    warnings  patterns that no rule file matches
    """

    path: str
    tests: tuple[TestOutcome, ...] = ()
    fault: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """Texts for a person; empty when all passed."""
        found = [
            f"    name: {test.name},\n{failure}" if test.name and failure.startswith(" ") else failure
            for test in self.tests
            for failure in test.failures
        ]
        return (self.fault, *found) if self.fault else tuple(found)


def junit(outcomes: Sequence[Outcome]) -> bytes:
    """Write outcomes as JUnit's XML, a suite a file, as promtool does."""
    suites = ET.Element("testsuites")
    for outcome in outcomes:
        failed = sum(bool(test.failures) for test in outcome.tests)
        counts = {
            "tests": len(outcome.tests) or 1,
            "failures": failed,
            "errors": int(bool(outcome.fault)),
            "skipped": 0,
        }
        numbers = {name: str(count) for name, count in counts.items()}
        suite = ET.SubElement(suites, "testsuite", {"name": outcome.path, **numbers, "timestamp": ""})
        if outcome.fault:
            case = ET.SubElement(suite, "testcase", {"name": "unknown"})
            ET.SubElement(case, "error").text = outcome.fault
        for test in outcome.tests:
            case = ET.SubElement(suite, "testcase", {"name": test.name})
            for failure in test.failures:
                ET.SubElement(case, "failure").text = failure
    return ET.tostring(suites, "utf-8")


def plainly(head: str, wanted: Sequence[Alert], got: Sequence[Alert]) -> str:
    """Show the alerts that were expected, and those that fire."""
    return f"{head}\n        exp:{_numbered(wanted)}, \n        got:{_numbered(got)}"


def in_colours(head: str, wanted: Sequence[Alert], got: Sequence[Alert]) -> str:
    """Show in one list what is missing, red, and what is too much, green."""
    lines = ndiff(_as_json(wanted), _as_json(got))
    told = [_coloured(line) for line in lines if not line.startswith("?")]
    return "\n".join([f"{head}\n        diff: [", *(f"            {line}" for line in told), "            ]"])


def samples_differ(
    head: str, wanted: Sequence[tuple[LabelPairs, Sample]], got: Sequence[tuple[LabelPairs, Sample]]
) -> str:
    """Show the samples that were expected, and those that there are."""
    wanted_text, got_text = (", ".join(starmap(_shown_sample, side)) or "nil" for side in (wanted, got))
    return f"{head}\n        exp: {wanted_text}\n        got: {got_text}"


def braced(labels: Labels) -> str:
    """Write labels as selectors have them."""
    return "{" + ", ".join(f"{name}={quote(text)}" for name, text in labels.items()) + "}"


def _shown_sample(labels: LabelPairs, value: Sample) -> str:
    if isinstance(value, Histogram):
        return f"{braced(dict(labels))} {write_histogram(value)}"
    text = np.format_float_scientific(value, trim="-", exp_digits=2).upper() if isfinite(value) else format_float(value)
    return f"{braced(dict(labels))} {text}"


def _numbered(alerts: Sequence[Alert]) -> str:
    lines = [
        f"            {at}:\n              Labels:{braced(dict(labels))}\n"
        f"              Annotations:{braced(dict(annotations))}"
        for at, (labels, annotations) in enumerate(alerts)
    ]
    return "[\n" + ",\n".join(lines) + "\n            ]" if lines else "[]"


def _as_json(alerts: Sequence[Alert]) -> list[str]:
    content = [{"Annotations": dict(annotations), "Labels": dict(labels)} for labels, annotations in alerts]
    return [line for one in content for line in orjson.dumps(one, option=orjson.OPT_INDENT_2).decode().splitlines()]


def _coloured(line: str) -> str:
    return f"{_COLOURS[line[0]]}{line}\x1b[0m" if line[0] in _COLOURS else line
