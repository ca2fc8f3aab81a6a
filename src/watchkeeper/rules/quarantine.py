"""Rules that cannot be used are set aside, and the rest of their file runs on.

What is set aside is as little as can be: a rule, else its group, else the file. In its place the version that ran
before goes on, where there is one, so that a typing error in one alert neither stops nor blinds the others.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from watchkeeper.model.document import Document, parse
from watchkeeper.model.errors import BadConfig, BadConfigs
from watchkeeper.rules.files import GroupConfig, RuleConfig, RuleFile, SetAside, parse_document
from watchkeeper.rules.language import PROMQL, Language

_PLACE = re.compile(r"groups\[(\d+)\](?:\.rules\[(\d+)\])?")
_Place = tuple[int, int | None]


def read_usable(path: Path, language: Language = PROMQL) -> RuleFile:
    """Read a rule file, leaving out what cannot be used and saying why.

    raises  BadConfig when the file cannot be read at all: there is nothing to leave out then
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BadConfig(str(path), 0, "", error.strerror or "an error", "a readable file") from error
    try:
        document = parse(text, str(path))
    except BadConfig as error:
        return RuleFile(str(path), (), (SetAside("", "", "", str(error)),), language)
    return _usable(document, language)


def _usable(document: Document, language: Language) -> RuleFile:
    try:
        return parse_document(document, language)
    except BadConfigs as error:
        faults = error.faults
    places: dict[_Place, str] = {}
    for fault in faults:
        place = _place(fault)
        if place is None:
            return RuleFile(document.name, (), (SetAside("", "", "", str(fault)),), language)
        places.setdefault(place, str(fault))
    rest = _without(document, places)
    try:
        usable = parse_document(rest, language)
    except BadConfigs as error:  # such as a name that was only right beside what was left out
        return RuleFile(document.name, (), (SetAside("", "", "", str(error.faults[0])),), language)
    return replace(usable, set_aside=tuple(_named(document, place, text) for place, text in places.items()))


def _place(fault: BadConfig) -> _Place | None:
    found = _PLACE.match(fault.field)
    if found is None:
        return None
    return int(found[1]), None if found[2] is None else int(found[2])


def _without(document: Document, places: Iterable[_Place]) -> Document:
    gone = set(places)
    groups: list[Any] = []
    for at, group in enumerate(document.content["groups"]):
        if (at, None) in gone:
            continue
        rules = group.get("rules") or []
        groups.append(group | {"rules": [rule for number, rule in enumerate(rules) if (at, number) not in gone]})
    return replace(document, content={**document.content, "groups": groups}, lines={(): 1})


def _named(document: Document, place: _Place, text: str) -> SetAside:
    at, number = place
    group = document.content["groups"][at]
    name = str(group.get("name") or "") if isinstance(group, dict) else ""
    if number is None:
        return SetAside(name, "", "", text)
    rule = group["rules"][number]
    named = rule if isinstance(rule, dict) else {}
    alert = named.get("alert")
    return SetAside(name, "alert" if alert else "record", str(alert or named.get("record") or ""), text, number)


def mended(file: RuleFile, before: Mapping[str, GroupConfig]) -> RuleFile:
    """Put the versions that ran before in the place of what was set aside.

    before  the groups of this file that have been running, by name
    """
    if not file.set_aside:
        return file
    if any(not one.group and one.rule_at is None for one in file.set_aside):
        names = {group.name for group in file.groups}
        return replace(file, groups=file.groups + tuple(old for name, old in before.items() if name not in names))
    groups = [_mended_group(group, before.get(group.name), file.set_aside) for group in file.groups]
    whole = {one.group for one in file.set_aside if one.rule_at is None} - {group.name for group in groups}
    groups += [before[name] for name in sorted(whole) if name in before]
    return replace(file, groups=tuple(groups))


def _mended_group(group: GroupConfig, old: GroupConfig | None, set_aside: Sequence[SetAside]) -> GroupConfig:
    if old is None:
        return group
    rules = list(group.rules)
    for one in sorted((one for one in set_aside if one.group == group.name), key=lambda one: one.rule_at or 0):
        known = _find(old.rules, one)
        if one.rule_at is not None and known is not None:
            rules.insert(one.rule_at, known)
    return group.model_copy(update={"rules": tuple(rules)})


def _find(rules: Iterable[RuleConfig], wanted: SetAside) -> RuleConfig | None:
    return next((rule for rule in rules if rule.name and getattr(rule, wanted.kind) == wanted.name), None)
