"""One bad rule, group or file is set aside; the rest runs, and in its place what ran before."""

import asyncio
from pathlib import Path

from tests.doubles import StillClock
from tests.rules.conftest import START_MS, FakeStore

from watchkeeper.model.doors import AlertSample
from watchkeeper.rules.files import RuleFile, duplicates, parse_rules
from watchkeeper.rules.quarantine import mended, read_usable
from watchkeeper.rules.runner import RuleRunner

GOOD = "groups:\n- {name: a, rules: [{record: one, expr: '1'}, {alert: Two, expr: '2'}]}\n- {name: b, rules: []}\n"
BAD_RULE = "groups:\n- {name: a, rules: [{record: one, expr: '1 +'}, {alert: Two, expr: '3'}]}\n"


def usable(folder: Path, text: str) -> RuleFile:
    path = folder / "r.yml"
    path.write_text(text)
    return read_usable(path)


def before(folder: Path) -> RuleFile:
    return mended(usable(folder, BAD_RULE), {group.name: group for group in parse_rules(GOOD, "r.yml").groups})


def test_a_good_file_is_as_it_is(tmp_path: Path) -> None:
    file = usable(tmp_path, GOOD)
    assert not file.set_aside
    assert [group.name for group in file.groups] == ["a", "b"]


def test_only_the_bad_rule_is_left_out_and_named(tmp_path: Path) -> None:
    file = usable(tmp_path, BAD_RULE)
    assert [rule.name for rule in file.groups[0].rules] == ["Two"]
    (left_out,) = file.set_aside
    assert (left_out.group, left_out.kind, left_out.name, left_out.rule_at) == ("a", "record", "one", 0)
    assert f"{tmp_path}/r.yml:2: groups[0].rules[0].expr" in left_out.reason


def test_the_version_before_takes_the_place_of_a_bad_rule(tmp_path: Path) -> None:
    (group,) = before(tmp_path).groups
    assert [(rule.name, rule.expr) for rule in group.rules] == [("one", "1"), ("Two", "3")]


def test_a_bad_group_is_replaced_by_the_one_before(tmp_path: Path) -> None:
    file = usable(tmp_path, "groups:\n- {name: a, intervall: 5m, rules: []}\n- {name: c, rules: []}\n")
    assert [group.name for group in file.groups] == ["c"]
    old = {group.name: group for group in parse_rules(GOOD, "r.yml").groups}
    assert [group.name for group in mended(file, old).groups] == ["c", "a"]


def test_a_file_that_is_no_yaml_leaves_all_as_it_was(tmp_path: Path) -> None:
    file = usable(tmp_path, "groups: [")
    assert file.groups == ()
    old = {group.name: group for group in parse_rules(GOOD, "r.yml").groups}
    assert mended(file, old).groups == tuple(old.values())


def test_what_is_set_aside_is_shown_with_its_reason(tmp_path: Path) -> None:
    async def shown() -> list[dict[str, object]]:
        store = FakeStore()
        runner = RuleRunner(ask, store, store, send, StillClock(START_MS))  # type: ignore[arg-type]
        await runner.apply([usable(tmp_path, GOOD)])
        await runner.apply([usable(tmp_path, BAD_RULE)])
        await runner.evaluate_all(START_MS)
        groups: list[dict[str, list[dict[str, object]]]] = runner.rules_json()["groups"]
        assert runner.rules_json([("rule_name[]", "Two")])["groups"][0]["rules"][0]["name"] == "Two"
        return [rule for group in groups for rule in group["rules"]]

    def ask(_expr: str, _time_ms: int) -> list[AlertSample]:
        return []

    async def send(_alerts: object) -> None:
        return None

    rules = asyncio.run(shown())
    assert [(rule["name"], rule["health"]) for rule in rules] == [("one", "ok"), ("Two", "ok"), ("one", "err")]
    assert "could not parse expression" in str(rules[-1]["lastError"])


def test_rules_with_equal_names_and_labels_are_told_of() -> None:
    rules = "{record: b, expr: '1'}, {record: b, expr: '2'}, {record: b, expr: '3', labels: {x: y}}"
    text = f"groups: [{{name: a, rules: [{rules}]}}]"
    assert duplicates([parse_rules(text, "r.yml")]) == ["r.yml: b{} is there more than once: duplicate rule"]
