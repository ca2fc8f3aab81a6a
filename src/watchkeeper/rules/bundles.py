"""The built-in rules: bundles by name, each a rule file, and what to do about each alert.

builtin/NAME.yml      the rules of a bundle
builtin/runbooks.md   "### ALERT" and below it where to look and what helps
"""

import re
from functools import cache
from pathlib import Path

from watchkeeper.rules.files import RuleFile, read_rules

_FOLDER = Path(__file__).parent / "builtin"
_HEADING = re.compile(r"^### (\S+)\n\n(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)


def bundles() -> dict[str, Path]:
    """Give the bundles' files by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.yml"))}


@cache
def bundle(name: str) -> RuleFile:
    """Read one bundle.

    raises  KeyError when there is none of that name
    """
    return read_rules(bundles()[name])


def subject(name: str) -> str:
    """Say in a sentence what a bundle watches: the comment at the top of its file."""
    lines = bundles()[name].read_text("utf-8").split("\ngroups:", 1)[0].splitlines()
    return " ".join(line.removeprefix("# ") for line in lines)


@cache
def runbooks() -> dict[str, str]:
    """Give where to look and what helps, by the alert's name."""
    text = (_FOLDER / "runbooks.md").read_text("utf-8")
    return {found[1]: found[2].strip() for found in _HEADING.finditer(text)}
