"""Rule files: Prometheus' format, read and checked with promtool's verdicts.

source  Prometheus docs, Recording rules, Configuring rules; promtool check rules
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict

from watchkeeper.model.document import Document, Settings, parse, setting
from watchkeeper.model.duration import parse_duration
from watchkeeper.model.errors import BadConfig, BadConfigs, BadInput
from watchkeeper.model.labels import METRIC_NAME, LabelPairs, label_pairs
from watchkeeper.rules.language import PROMQL, Language
from watchkeeper.rules.template import alert_text


def _read_duration(value: Any) -> Any:
    if value is None:
        return 0
    if not isinstance(value, str):
        return value
    try:
        return parse_duration(value)
    except BadInput as error:
        raise ValueError(f"a duration such as 5m or 1h30m ({error})") from None


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "" if text is None else text for key, text in value.items()}
    return {} if value is None else value


Duration = Annotated[int, BeforeValidator(_read_duration)]
LabelTexts = Annotated[dict[str, str], BeforeValidator(_without_nulls)]
Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]


class RuleConfig(Settings):
    """One rule; `record` or `alert` is set, not both."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)

    record: Text = setting("", "Name of the series that a recording rule writes.")
    alert: Text = setting("", "Name of the alert.")
    expr: Text = setting("", "PromQL expression, evaluated at each interval.")
    for_ms: Duration = setting(0, "How long the expression must give a result before the alert fires.", alias="for")
    keep_firing_for_ms: Duration = setting(
        0, "How long the alert keeps firing after the expression stopped giving a result.", alias="keep_firing_for"
    )
    labels: LabelTexts = setting(dict, "Labels to add or replace; templates in alerting rules.")
    annotations: LabelTexts = setting(dict, "Texts about the alert; templates.")

    @property
    def name(self) -> str:
        """The alert's or the series' name."""
        return self.alert or self.record


class GroupConfig(Settings):
    """Rules that are evaluated one after the other, at the same moment."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)

    name: Text = setting("", "Name, unique in its file.")
    interval_ms: Duration = setting(
        0, "Time between evaluations; global.evaluation_interval by default.", alias="interval"
    )
    query_offset_ms: Annotated[
        int | None, BeforeValidator(lambda value: value if value is None else _read_duration(value))
    ] = setting(
        None,
        "How far in the past the expressions are evaluated; global.rule_query_offset by default.",
        alias="query_offset",
    )
    limit: Annotated[int, BeforeValidator(lambda value: 0 if value is None else value)] = setting(
        0, "Alerts or series that one rule may give; 0: no limit."
    )
    labels: LabelTexts = setting(dict, "Labels added to every rule that does not set them itself.")
    rules: Annotated[tuple[RuleConfig, ...], BeforeValidator(lambda value: () if value is None else value)] = setting(
        (), "The rules."
    )


class _FileConfig(Settings):
    groups: Annotated[tuple[GroupConfig, ...], BeforeValidator(lambda value: () if value is None else value)] = setting(
        (), "Groups of rules."
    )


@dataclass(frozen=True, slots=True)
class SetAside:
    """What of a file cannot be used, and why.

    group    its group's name; "" when the whole file is meant
    kind     "record", "alert"; "" when the whole group is meant
    name     the rule's name
    rule_at  the rule's place in its group; None when the whole group is meant
    """

    group: str
    kind: str
    name: str
    reason: str
    rule_at: int | None = None


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A rule file that has been checked.

    path       as it is shown in /api/v1/rules
    set_aside  what was left out because it cannot be used; see rules/quarantine.py
    """

    path: str
    groups: tuple[GroupConfig, ...]
    set_aside: tuple[SetAside, ...] = ()
    language: Language = PROMQL

    @property
    def rule_count(self) -> int:
        """How many rules the file holds."""
        return sum(len(group.rules) for group in self.groups)


def read_rules(path: Path, language: Language = PROMQL, *, ignore_unknown: bool = False) -> RuleFile:
    """Read and check one rule file.

    ignore_unknown  take fields that are not known without effect, for files with more than rules in them
    raises  BadConfigs with every fault: file, line, field, what was got and wanted; BadConfig when it is no YAML
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BadConfig(str(path), 0, "", error.strerror or "an error", "a readable file") from error
    return parse_document(parse(text, str(path)), language, ignore_unknown=ignore_unknown)


def parse_rules(text: str | bytes, name: str, language: Language = PROMQL) -> RuleFile:
    """Check a rule file's text; like `read_rules`."""
    return parse_document(parse(text, name), language)


def parse_document(document: Document, language: Language = PROMQL, *, ignore_unknown: bool = False) -> RuleFile:
    """Check what a rule file's YAML holds; like `read_rules`."""
    config = document.read_as(_FileConfig, ignore_unknown=ignore_unknown)
    faults = list(_faults(document, config.groups, language))
    if faults:
        raise BadConfigs(faults)
    return RuleFile(document.name, config.groups, language=language)


def duplicates(files: Iterable[RuleFile]) -> list[str]:
    """Name the rules that are there more than once in a file with equal labels, as promtool's lint does.

    returns  a sentence each; which of two such recordings is kept depends on their order
    """
    out = []
    for file in files:
        seen: set[tuple[str, LabelPairs]] = set()
        told: set[tuple[str, LabelPairs]] = set()
        for rule in (rule for group in file.groups for rule in group.rules):
            key = rule.name, label_pairs(rule.labels)
            if key in seen and key not in told:
                told.add(key)
                labels = ", ".join(f"{name}={text!r}" for name, text in key[1])
                out.append(f"{file.path}: {rule.name}{{{labels}}} is there more than once: duplicate rule")
            seen.add(key)
    return out


def check_rules(paths: Iterable[Path], *, ignore_unknown: bool = False) -> list[RuleFile]:
    """Read and check rule files, all of them.

    raises  BadConfigs with the faults of every file
    """
    files: list[RuleFile] = []
    faults: list[BadConfig] = []
    for path in paths:
        try:
            files.append(read_rules(path, ignore_unknown=ignore_unknown))
        except BadConfigs as error:
            faults += error.faults
        except BadConfig as error:
            faults.append(error)
    if faults:
        raise BadConfigs(faults)
    return files


def _faults(document: Document, groups: tuple[GroupConfig, ...], language: Language) -> Iterator[BadConfig]:
    names: set[str] = set()
    for at, group in enumerate(groups):
        place = ("groups", at)
        if not group.name:
            yield document.fault((*place, "name"), "nothing", "a name: Groupname must not be empty")
        elif group.name in names:
            yield document.fault(
                (*place, "name"), f'groupname: "{group.name}" is repeated in the same file', "each name once"
            )
        names.add(group.name)
        yield from _bad_label_names(document, (*place, "labels"), group.labels)
        for number, rule in enumerate(group.rules):
            yield from _rule_faults(document, (*place, "rules", number), rule, language)


def _rule_faults(
    document: Document, place: tuple[str | int, ...], rule: RuleConfig, language: Language
) -> Iterator[BadConfig]:
    if rule.record and rule.alert:
        yield document.fault(place, "both", "one: only one of 'record' and 'alert' must be set")
    if not rule.name:
        yield document.fault(place, "neither", "one: one of 'record' or 'alert' must be set")
    yield from _expr_faults(document, place, rule, language)
    if rule.record:
        yield from _record_faults(document, place, rule)
    yield from _bad_label_names(document, (*place, "labels"), rule.labels)
    if "" in rule.annotations:
        yield document.fault((*place, "annotations"), "invalid annotation name: ", "a name")
    if rule.alert:
        for field, texts in (("labels", rule.labels), ("annotations", rule.annotations)):
            for key, text in texts.items():
                yield from _template_faults(document, (*place, field, key), rule.alert, text)


def _expr_faults(
    document: Document, place: tuple[str | int, ...], rule: RuleConfig, language: Language
) -> Iterator[BadConfig]:
    if not rule.expr:
        yield document.fault((*place, "expr"), "nothing", "an expression: field 'expr' must be set in rule")
        return
    try:
        language.check(rule.expr)
    except BadInput as error:
        yield document.fault((*place, "expr"), f"could not parse expression: {error}", language.name)


def _record_faults(document: Document, place: tuple[str | int, ...], rule: RuleConfig) -> Iterator[BadConfig]:
    for field, value in (
        ("annotations", rule.annotations),
        ("for", rule.for_ms),
        ("keep_firing_for", rule.keep_firing_for_ms),
    ):
        if value:
            got = f"invalid field '{field}' in recording rule"
            yield document.fault((*place, field), got, "it in alerting rules only")
    if "{" in rule.record or "}" in rule.record:
        got = f"braces present in the recording rule name; should it be in expr?: {rule.record}"
        yield document.fault((*place, "record"), got, "a metric name")


def _bad_label_names(document: Document, place: tuple[str | int, ...], labels: dict[str, str]) -> Iterator[BadConfig]:
    for name in labels:
        if not name or name == METRIC_NAME:
            yield document.fault((*place, name), f"invalid label name: {name}", "a label name but __name__")


def _template_faults(document: Document, place: tuple[str | int, ...], alert: str, text: str) -> Iterator[BadConfig]:
    try:
        alert_text(alert, text)
    except BadInput as error:
        yield document.fault(place, str(error), "a Go template")
