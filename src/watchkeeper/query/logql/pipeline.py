"""A query's pipeline, made ready: sweeps over blocks first, then what must look at one line after the other."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import eq, ge, gt, le, lt, ne

import numpy as np

from watchkeeper.model.errors import BadQuery
from watchkeeper.model.labels import Labels
from watchkeeper.model.logs import LineBlock
from watchkeeper.model.matchers import Matcher, match_all
from watchkeeper.model.pattern import compile_pattern
from watchkeeper.query.logql.fields import (
    DETAILS,
    ERROR,
    Extract,
    NotParsed,
    json_fields,
    logfmt_fields,
    regexp_fields,
)
from watchkeeper.query.logql.sweep import Places, Sweep, holding, line_filter
from watchkeeper.query.logql.tree import (
    Decolorize,
    DropLabels,
    JsonParser,
    KeepLabels,
    LabelCompare,
    LabelFilter,
    LabelFormat,
    LabelLogic,
    LineFilter,
    LineFormat,
    LogfmtParser,
    RegexpParser,
    Stage,
)
from watchkeeper.query.logql.units import duration_ns, size_bytes

_ANSI = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
_TEMPLATE_PART = re.compile(r"{{-?\s*\.([A-Za-z_][A-Za-z0-9_]*)\s*-?}}|{{-?\s*(__line__)\s*-?}}", re.ASCII)
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_ .:@-]+", re.ASCII)  # stands in JSON and logfmt as it is
_COMPARE = {"==": eq, "!=": ne, ">": gt, ">=": ge, "<": lt, "<=": le}


@dataclass(slots=True)
class Line:
    """A line on its way through the pipeline.

    labels  of stream and structured metadata, and what parsers added; the line's own to change
    known   of stream and structured metadata; shared
    """

    text: bytes
    labels: dict[str, str]
    known: Labels


Step = Callable[[Line], bool]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages made ready.

    sweeps  line filters that stand before any change of the line
    hints   texts that a line must hold for a later label filter to pass, with that label's name
    steps   all other stages, for one line each
    """

    sweeps: Sequence[Sweep]
    hints: Sequence[tuple[str, bytes]]
    steps: Sequence[Step]
    needed: frozenset[str] | None = None
    _escapes: Sweep = field(default_factory=lambda: holding(b"\\u"))

    def chosen(self, block: LineBlock, low: int, high: int) -> Places:
        """Give which of the lines low ≤ i < high pass all sweeps, ascending."""
        places = np.arange(low, high)
        needles = [needle for name, needle in self.hints if not _is_known(name, block)]
        if (self.sweeps or needles) and len(places):
            text, starts = block.text(), block.starts()
            for sweep in self.sweeps:
                places = sweep(text, starts, places) if len(places) else places
            for needle in needles:
                places = self._hinted(text, starts, places, needle)
        return places

    def run(self, block: LineBlock, places: Sequence[int]) -> Iterator[tuple[int, Line]]:
        """Put lines through the steps, in the order given; gives those that pass."""
        text, starts, metadata = block.text(), block.starts(), block.metadata()
        labels = dict(block.labels)
        known: list[Labels] = [labels] if metadata is None else [{**labels, **each} for each in metadata.sets]
        begins = starts.tolist()
        codes = None if metadata is None else metadata.codes
        own = [self._own(each) for each in known]
        steps = self.steps
        for place in places:
            at = 0 if codes is None else codes[place]
            line = Line(text[begins[place] : begins[place + 1] - 1], own[at].copy(), known[at])
            for step in steps:
                if not step(line):
                    break
            else:
                yield place, line

    def _own(self, known: Labels) -> dict[str, str]:
        if self.needed is None:
            return dict(known)
        return {name: value for name, value in known.items() if name in self.needed}

    def _hinted(self, text: bytes, starts: Places, places: Places, needle: bytes) -> Places:
        if not len(places):
            return places
        found = holding(needle)(text, starts, places)
        if b"\\u" in text:  # an escape may spell any letter
            found = np.union1d(found, self._escapes(text, starts, places))
        return found


def prepare(stages: Sequence[Stage], wanted: frozenset[str] | None = None) -> Pipeline:
    """Make stages ready.

    wanted  the only labels that matter in the end, None when all do
    raises  BadQuery when a template says what is not supported
    """
    sweeps: list[Sweep] = []
    rest = list(stages)
    while rest and isinstance(rest[0], LineFilter):
        sweeps.append(line_filter(rest.pop(0)))  # type: ignore[arg-type]
    needed = None if wanted is None else _needed(rest, wanted)
    return Pipeline(sweeps, _hints(rest), [_step(stage, needed) for stage in rest], needed)


def label_step(stage: LabelFilter) -> Step:
    """Make a label filter ready."""
    if isinstance(stage, LabelLogic):
        left, right = label_step(stage.left), label_step(stage.right)
        if stage.op == "and":
            return lambda line: left(line) and right(line)
        return lambda line: left(line) or right(line)
    return _text_test(stage) if stage.unit is None else _number_test(stage)


def number_of(text: str, unit: str) -> float | None:
    """Read a label's value as a number; None when it is none."""
    if unit == "duration":
        nanoseconds = duration_ns(text)
        return None if nanoseconds is None else nanoseconds / 1e9
    if unit == "bytes":
        return size_bytes(text)
    try:
        return None if "_" in text or not text.isascii() else float(text)
    except ValueError:
        return None


def _step(stage: Stage, needed: frozenset[str] | None) -> Step:
    match stage:
        case LineFilter():
            return _line_step(stage)
        case JsonParser():
            return _parser_step(json_fields(stage, needed))
        case LogfmtParser():
            return _parser_step(logfmt_fields(stage))
        case RegexpParser():
            return _parser_step(regexp_fields(stage))
        case LabelCompare() | LabelLogic():
            return label_step(stage)
        case LineFormat():
            return _line_format_step(stage)
        case LabelFormat():
            return _label_format_step(stage)
        case DropLabels():
            return _drop_step(stage)
        case KeepLabels():
            return _keep_step(stage)
        case Decolorize():
            return _decolorize


def _line_step(stage: LineFilter) -> Step:
    sweep, first = line_filter(stage), np.array([0])

    def passed(line: Line) -> bool:
        return len(sweep(line.text + b"\n", np.array([0, len(line.text) + 1]), first)) > 0

    return passed


def _parser_step(extract: Extract) -> Step:
    def parsed(line: Line) -> bool:
        labels, known = line.labels, line.known
        try:
            for name, value in extract(line.text):
                labels[name + "_extracted" if name in known else name] = value
        except NotParsed as error:
            labels[ERROR], labels[DETAILS] = error.name, error.details
        return True

    return parsed


def _text_test(stage: LabelCompare) -> Step:
    name, text = stage.name, stage.text
    if stage.op == "=":
        return lambda line: line.labels.get(name, "") == text
    if stage.op == "!=":
        return lambda line: line.labels.get(name, "") != text
    pattern, wanted = compile_pattern(f"^(?s:{text})$"), stage.op == "=~"
    verdicts: dict[str, bool] = {}

    def passed(line: Line) -> bool:
        value = line.labels.get(name, "")
        verdict = verdicts.get(value)
        if verdict is None:
            verdict = (pattern.search(value) is not None) == wanted
            if len(verdicts) < 10_000:
                verdicts[value] = verdict
        return verdict

    return passed


def _number_test(stage: LabelCompare) -> Step:
    name, number, unit, compare = stage.name, stage.number, stage.unit or "", _COMPARE[stage.op]

    def passed(line: Line) -> bool:
        if ERROR in line.labels:
            return True
        text = line.labels.get(name)
        if not text:
            return False
        value = number_of(text, unit)
        if value is None:
            line.labels[ERROR] = "LabelFilterErr"
            line.labels[DETAILS] = f"cannot read {text[:100]!r} as a {unit or 'number'}"
            return True
        return bool(compare(value, number))

    return passed


def _template(text: str) -> Callable[[Line], str]:
    """Make a template of fields alone ready: "{{.level}}: {{__line__}}".

    raises  BadQuery for functions, pipes and conditions, which are not supported yet
    """
    rest = _TEMPLATE_PART.sub("", text)
    if "{{" in rest:
        raise BadQuery(f"parse error : template {text[:100]!r} uses more than fields, which is not supported yet")
    parts = list(_TEMPLATE_PART.finditer(text))

    def filled(line: Line) -> str:
        out, at = [], 0
        for part in parts:
            out.append(text[at : part.start()])
            out.append(line.labels.get(part[1], "") if part[1] else line.text.decode(errors="replace"))
            at = part.end()
        return "".join([*out, text[at:]])

    return filled


def _line_format_step(stage: LineFormat) -> Step:
    template = _template(stage.template)

    def formatted(line: Line) -> bool:
        line.text = template(line).encode()
        return True

    return formatted


def _label_format_step(stage: LabelFormat) -> Step:
    renames = [(name, _template(source) if is_template else source) for name, source, is_template in stage.renames]

    def formatted(line: Line) -> bool:
        for name, source in renames:
            value = line.labels.pop(source, None) if isinstance(source, str) else source(line)
            if value is not None:
                line.labels[name] = value
        return True

    return formatted


def _drop_step(stage: DropLabels) -> Step:
    def dropped(line: Line) -> bool:
        for name in stage.names:
            line.labels.pop(name, None)
            if name == ERROR:
                line.labels.pop(DETAILS, None)
        for matcher in stage.matchers:
            if matcher.name in line.labels and matcher.test(line.labels[matcher.name]):
                del line.labels[matcher.name]
        return True

    return dropped


def _keep_step(stage: KeepLabels) -> Step:
    names: set[str] = {*stage.names, ERROR, DETAILS}

    def kept(line: Line) -> bool:
        line.labels = {
            name: value for name, value in line.labels.items() if name in names or _keeps(stage.matchers, name, value)
        }
        return True

    return kept


def _keeps(matchers: Sequence[Matcher], name: str, value: str) -> bool:
    return any(match_all([matcher], {name: value}) for matcher in matchers if matcher.name == name)


def _decolorize(line: Line) -> bool:
    line.text = _ANSI.sub(b"", line.text)
    return True


def _is_known(name: str, block: LineBlock) -> bool:
    """Say whether a label comes from the stream or its structured metadata, so that no parser sets it."""
    if name in block.labels:
        return True
    metadata = block.metadata()
    return metadata is not None and any(name in each for each in metadata.sets)


def _hints(stages: Sequence[Stage]) -> list[tuple[str, bytes]]:
    """Find texts that lines must hold: what `| json | level="error"` asks for stands in the line as it is."""
    hints: list[tuple[str, bytes]] = []
    parsed = False
    for stage in stages:
        if isinstance(stage, JsonParser | LogfmtParser):
            if parsed:
                break  # a second parser may set the label from elsewhere
            parsed = True
        elif isinstance(stage, LabelCompare | LabelLogic) and parsed:
            hints += _required(stage)
        elif not isinstance(stage, LabelCompare | LabelLogic):
            break
    return hints


def _required(stage: LabelFilter) -> list[tuple[str, bytes]]:
    if isinstance(stage, LabelLogic):
        return [*_required(stage.left), *_required(stage.right)] if stage.op == "and" else []
    if stage.unit is None and stage.op == "=" and stage.name not in (ERROR, DETAILS) and _stands_plainly(stage.text):
        return [(stage.name, stage.text.encode())]
    return []


def _stands_plainly(text: str) -> bool:
    """Say whether a label's value stands in the line as it is: nothing that is escaped, no number written anew."""
    if not _PLAIN_VALUE.fullmatch(text):
        return False
    return text.isdigit() or number_of(text, "") is None


def _needed(stages: Sequence[Stage], wanted: frozenset[str]) -> frozenset[str] | None:
    """Give the labels that parsers must find, None for all."""
    names = set(wanted)
    for stage in stages:
        if isinstance(stage, LabelCompare | LabelLogic):
            names |= _mentioned(stage)
        elif isinstance(stage, DropLabels | KeepLabels):
            names |= {*stage.names, *(matcher.name for matcher in stage.matchers)}
        elif not isinstance(stage, JsonParser | LogfmtParser | LineFilter | RegexpParser | Decolorize):
            return None
    return frozenset(names | {name.removesuffix("_extracted") for name in names})


def _mentioned(stage: LabelFilter) -> set[str]:
    if isinstance(stage, LabelLogic):
        return _mentioned(stage.left) | _mentioned(stage.right)
    return {stage.name}


def visible(labels: Mapping[str, str]) -> dict[str, str]:
    """Give labels in name order, empty values left out."""
    return {name: labels[name] for name in sorted(labels) if labels[name]}
