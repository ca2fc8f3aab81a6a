"""What `watchkeeper check` does with a place: a folder, or one file of any kind; and what is doubtful in good files.

source  promtool check config, check rules, check metrics, --lint
"""

import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from watchkeeper.app.config import Loaded, document_of, load
from watchkeeper.collect.naming import doubtful_names
from watchkeeper.collect.settings import complete
from watchkeeper.model.duration import format_duration
from watchkeeper.model.errors import BadConfig, BadInput
from watchkeeper.notify.settings import load_config
from watchkeeper.rules.files import RuleFile, duplicates, read_rules
from watchkeeper.show.dashboards import Dashboards

DUPLICATE_RULES, LONG_INTERVALS = "duplicate-rules", "too-long-scrape-interval"
LINTS = ("all", DUPLICATE_RULES, LONG_INTERVALS, "none")
_STDIN = Path("-")
_METRICS = ".prom"  # as node_exporter's textfile collector has it
_LOOKBACK_MS = 300_000


class Checked:
    """What is to be said of a place that can be read.

    told      a line each: what was read
    notices   what a person should know though it is no error
    lint      what is doubtful
    is_fatal  doubt alone makes it fail
    faults    what is wrong, where the rest could be read
    """

    def __init__(
        self, told: Iterable[str], notices: Iterable[str] = (), lint: Iterable[str] = (), *, is_fatal: bool = False
    ) -> None:
        self.is_fatal = is_fatal
        self.told, self.notices, self.lint = list(told), list(notices), list(lint)
        self.faults: list[str] = []


def check_place(place: Path, lints: Collection[str], *, ignore_unknown: bool = False) -> Checked:
    """Read a folder, or a file by what is in it: rules, receivers and routes, or what to scrape; or metrics.

    lints           of LINTS
    ignore_unknown  take fields of rule files that are not known
    raises          BadConfigs, BadConfig with every fault; BadInput when metrics cannot be read
    """
    if place == _STDIN or place.suffix == _METRICS:
        return _metrics(place)
    kind = _kind_of(place) if place.is_file() else ""
    if kind == "rules":
        file = read_rules(place, ignore_unknown=ignore_unknown)
        return Checked([f"{file.rule_count} rules found"], lint=_duplicates([file], lints))
    if kind == "receivers":
        config = load_config(place)
        return Checked([f"receivers: {len(config.receivers)}", f"inhibit rules: {len(config.inhibit_rules)}"])
    if kind == "tests":
        raise BadConfig(str(place), 1, "tests", "unit tests of rules", f"them run: watchkeeper test rules {place}")
    loaded = load(place, ignore_unknown=ignore_unknown)
    dashboards = Dashboards([loaded.dashboards] if loaded.dashboards else [], builtin=None)
    doubtful = [*_duplicates(loaded.rule_files, lints), *_long_intervals(loaded, lints)]
    checked = Checked(_summary(loaded, len(dashboards.list())), loaded.notices, doubtful)
    checked.faults += dashboards.errors.values()
    return checked


def _metrics(place: Path) -> Checked:
    try:
        body = sys.stdin.buffer.read() if place == _STDIN else place.read_bytes()
        return Checked([], lint=doubtful_names(body), is_fatal=True)
    except OSError as error:
        raise BadInput(f"{place}: cannot read it: {error.strerror}") from None
    except BadInput as error:
        raise BadInput(f"{place}: {error}") from None


def _kind_of(path: Path) -> str:
    content = document_of(path).content
    fields = content.keys() if isinstance(content, dict) else set()
    if "groups" in fields:
        return "rules"
    if "tests" in fields:
        return "tests"
    return "receivers" if fields & {"route", "receivers"} and path.stem != "alertmanager" else ""


def _summary(loaded: Loaded, dashboards: int) -> list[str]:
    rules = sum(file.rule_count for file in loaded.rule_files)
    return [
        f"files: {', '.join(loaded.files) or 'none: built-in configuration'}",
        f"scrape configs: {len(loaded.prometheus.scrape_configs)}",
        f"rules: {rules} in {len(loaded.rule_files)} {'file' if len(loaded.rule_files) == 1 else 'files'}",
        f"receivers: {len(loaded.alertmanager.receivers)}",
        f"dashboards: {dashboards}",
    ]


def _duplicates(files: Iterable[RuleFile], lints: Collection[str]) -> list[str]:
    return duplicates(files) if {"all", DUPLICATE_RULES} & {*lints} else []


def _long_intervals(loaded: Loaded, lints: Collection[str]) -> Iterator[str]:
    if not {"all", LONG_INTERVALS} & {*lints}:
        return
    for config in loaded.prometheus.scrape_configs:
        interval_ms = complete(config, loaded.prometheus.global_).scrape_interval
        if interval_ms > _LOOKBACK_MS:
            what = f"job: {config.job_name}, interval: {format_duration(interval_ms)}"
            yield f"too long scrape interval found, data point will be marked as stale - {what}"
