"""The built-in rules: valid by promtool's word, and doing what their unit tests say."""

import subprocess
from pathlib import Path

import pytest

from watchkeeper.rules.files import check_rules

BUILTIN = sorted((Path(__file__).parents[2] / "src/watchkeeper/rules/builtin").glob("*.yml"))
UNIT_TESTS = sorted((Path(__file__).parent / "builtin").glob("*_test.yml"))


def test_every_alert_has_a_severity_and_says_what_is_wrong() -> None:
    for file in check_rules(BUILTIN):
        for rule in (rule for group in file.groups for rule in group.rules if rule.alert):
            assert rule.labels["severity"] in ("critical", "warning", "info"), rule.alert
            assert rule.annotations.keys() == {"summary", "description"}, rule.alert


def test_every_file_has_unit_tests() -> None:
    assert {path.stem for path in BUILTIN} == {path.stem.split("_")[0] for path in UNIT_TESTS}


@pytest.mark.peer
@pytest.mark.parametrize("path", BUILTIN, ids=lambda path: path.name)
def test_promtool_finds_nothing_to_complain_about(promtool: str, path: Path) -> None:
    peer = subprocess.run([promtool, "check", "rules", "--lint=all", "--lint-fatal", str(path)], capture_output=True)
    assert peer.returncode == 0, peer.stderr


@pytest.mark.peer
@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.name)
def test_promtool_sees_the_rules_do_what_they_should(promtool: str, path: Path) -> None:
    peer = subprocess.run([promtool, "test", "rules", path.name], cwd=path.parent, capture_output=True, text=True)
    assert peer.returncode == 0, peer.stdout + peer.stderr
