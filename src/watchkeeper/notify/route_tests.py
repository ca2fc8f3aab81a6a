"""Tests of routing that are written in files: an alert's labels in; receivers, groups, mutes and inhibition out.

    config: alertmanager.yml                     beside this file by default
    tests:
      - name: a critical alert pages
        labels: {alertname: ApiDown, severity: critical}
        at: 2024-01-13T03:00:00+01:00            for time intervals; without it, none holds back
        firing: [{alertname: ClusterDown}]       other alerts that fire, for inhibition
        silences: ['{team="web"}']               silences in force
        receivers: [pager, incidents]            of the routes that match, in their order
        notified: [incidents]                    those that would be told then
        group: {alertname: ApiDown}              labels that its groups share
        repeat_interval: 4h                      also group_wait, group_interval: of every route that matches

What a test does not name is not checked. It is amtool's `config routes test` for more than receivers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from watchkeeper.model.alert import Alert
from watchkeeper.model.document import Document, Settings, parse, setting
from watchkeeper.model.duration import format_duration
from watchkeeper.model.errors import BadConfig, BadConfigs
from watchkeeper.model.fields import Several
from watchkeeper.notify.field_types import MatcherLines, MaybeDuration
from watchkeeper.notify.inhibit import Inhibitor
from watchkeeper.notify.matcher import LabelMatcher, Matchers, match_all, shown
from watchkeeper.notify.mute import MuteTimes
from watchkeeper.notify.route import Route, build_routes
from watchkeeper.notify.settings import AlertmanagerConfig, load_config

_FOREVER_MS = 1 << 60


def _labels(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): text if isinstance(text, str) else str(text) for name, text in value.items()}
    return value


def _moment(value: Any) -> Any:
    if isinstance(value, datetime):
        when = value
    elif isinstance(value, str) and value:
        try:
            when = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("a moment such as 2024-01-13T03:00:00+01:00") from None
    else:
        return value
    return round((when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp() * 1000)


Labels = Annotated[dict[str, str], BeforeValidator(_labels)]


class RouteTest(Settings):
    """One alert, and what should become of it."""

    name: str = setting("", "What it shows.")
    labels: Labels = setting(dict, "The alert's labels.")
    at: Annotated[int | None, BeforeValidator(_moment)] = setting(None, "When, in RFC 3339; UTC without a zone.")
    firing: Several[Labels] = setting((), "Labels of other alerts that fire.")
    silences: Several[MatcherLines] = setting((), "Matchers of each silence in force.")
    receivers: tuple[str, ...] | None = setting(None, "Receivers of the routes that match, in their order.")
    notified: tuple[str, ...] | None = setting(None, "Receivers that would be told.")
    routes: tuple[str, ...] | None = setting(None, 'The routes that match, as matchers from the root: {}/{a="b"}.')
    group: Labels | None = setting(None, "Labels of its group, on every route that matches.")
    groups: dict[str, Labels] | None = setting(None, "Labels of its group by receiver.")
    muted_by: tuple[str, ...] | None = setting(None, "Time intervals that hold it back on any route.")
    inhibited_by: Several[Labels] | None = setting(None, "Labels of those of `firing` that inhibit it.")
    silenced: bool | None = setting(None, "Whether a silence holds it back.")
    group_wait: MaybeDuration = setting(None, "Of every route that matches.")
    group_interval: MaybeDuration = setting(None, "Of every route that matches.")
    repeat_interval: MaybeDuration = setting(None, "Of every route that matches.")


class RouteTestFile(Settings):
    """The whole file."""

    config: str = setting("alertmanager.yml", "The configuration, relative to this file.")
    tests: Several[RouteTest] = setting((), "The tests.")


@dataclass(frozen=True, slots=True)
class Failure:
    """What a test found otherwise; `because` says how the alert went, a line each."""

    line: int
    name: str
    text: str
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A file's verdict."""

    path: Path
    tests: int
    failures: tuple[Failure, ...]


def run_route_tests(path: Path) -> Outcome:
    """Run the tests of a file.

    raises  BadConfig, BadConfigs when it, or the configuration that it names, cannot be used
    """
    try:
        document = parse(path.read_bytes(), str(path))
    except OSError as error:
        raise BadConfig(str(path), 0, "", error.strerror or str(error), "a file that can be read") from None
    file = document.read_as(RouteTestFile)
    if not file.tests:
        raise document.fault(("tests",), "none", "at least one test")
    config = load_config(path.parent / file.config)
    faults = list(_faults(file, config, document))
    if faults:
        raise BadConfigs(faults)
    failures: list[Failure] = []
    for at, test in enumerate(file.tests):
        case = _Case(config, test)
        where = document.line(("tests", at))
        name = test.name or shown_labels(test.labels)
        failures += (Failure(where, name, text, case.because()) for text in case.differences())
    return Outcome(path, len(file.tests), tuple(failures))


def _faults(file: RouteTestFile, config: AlertmanagerConfig, document: Document) -> Iterator[BadConfig]:
    """Find names that the configuration does not have: a test of those could never pass, or never fail."""
    receivers = {one.name for one in config.receivers}
    intervals = {one.name for one in (*config.mute_time_intervals, *config.time_intervals)}
    for at, test in enumerate(file.tests):
        if not test.labels:
            yield document.fault(("tests", at, "labels"), "none", "the labels of an alert")
        named = (("receivers", receivers, "a receiver"), ("notified", receivers, "a receiver"))
        for field, known, what in (*named, ("muted_by", intervals, "a time interval")):
            for place, name in enumerate(getattr(test, field) or ()):
                if name not in known:
                    yield document.fault(("tests", at, field, place), repr(name), f"{what} of {file.config}")


class _Case:
    """One test against one configuration."""

    def __init__(self, config: AlertmanagerConfig, test: RouteTest) -> None:
        assert config.route is not None  # read_config saw to it
        self._test, self._root = test, build_routes(config.route)
        self._routes = self._root.match(test.labels)
        self._mute_times = MuteTimes((*config.mute_time_intervals, *config.time_intervals))
        self._inhibitor = Inhibitor(config.inhibit_rules)
        self._others = {f"{one.fingerprint:016x}": one for one in (_firing(labels) for labels in test.firing)}
        for one in self._others.values():
            self._inhibitor.learn(one)

    def differences(self) -> Iterator[str]:
        """Say what is not as the test wants it."""
        test, routes = self._test, self._routes
        receivers = [route.options.receiver for route in routes]
        yield from _differ("receivers", receivers, test.receivers)
        yield from _differ("routes", [route.key for route in routes], test.routes)
        yield from _differ("notified", self._notified(), test.notified)
        muting = list(dict.fromkeys(name for route in routes for name in self._muted_by(route)))
        yield from _differ("muted_by", muting, test.muted_by)
        inhibiting = [dict(self._others[one].labels) for one in self._inhibited_by()]
        if test.inhibited_by is not None and _as_set(inhibiting) != _as_set(test.inhibited_by):
            yield f"inhibited_by: got {_list(inhibiting)}, want {_list(test.inhibited_by)}"
        if test.silenced is not None and self._is_silenced() != test.silenced:
            yield f"silenced: got {str(self._is_silenced()).lower()}, want {str(test.silenced).lower()}"
        for route in routes:
            yield from self._group_differences(route)

    def _group_differences(self, route: Route) -> Iterator[str]:
        test, options = self._test, route.options
        got = options.group_labels(test.labels)
        want = test.group if test.groups is None else test.groups.get(options.receiver, test.group)
        if want is not None and got != want:
            yield f"group for {options.receiver}: got {shown_labels(got)}, want {shown_labels(want)}"
        for name in ("group_wait", "group_interval", "repeat_interval"):
            wanted, has = getattr(test, name), getattr(options, f"{name}_ms")
            if wanted is not None and wanted != has:
                yield f"{name} for {options.receiver}: got {format_duration(has)}, want {format_duration(wanted)}"

    def _notified(self) -> list[str]:
        if self._inhibited_by() or self._is_silenced():
            return []
        return [route.options.receiver for route in self._routes if not self._muted_by(route)]

    def _muted_by(self, route: Route) -> Sequence[str]:
        at, options = self._test.at, route.options
        if at is None:
            return ()
        active = options.active_time_intervals
        if active and not self._mute_times.current(active, at):
            return active
        return self._mute_times.current(options.mute_time_intervals, at)

    def _inhibited_by(self) -> list[str]:
        return self._inhibitor.muted_by(self._test.labels, self._test.at or 0)

    def _is_silenced(self) -> bool:
        return any(match_all(one, self._test.labels) for one in self._test.silences)

    def because(self) -> tuple[str, ...]:
        """Say how the alert went through the tree, and what holds it back."""
        return (*_way(self._root, self._test.labels, 0), *self._held_back())

    def _held_back(self) -> Iterator[str]:
        for route in self._routes:
            if names := self._muted_by(route):
                yield f"{route.options.receiver} is held back by time interval {', '.join(names)}"
        for one in self._inhibited_by():
            yield f"inhibited by {shown_labels(self._others[one].labels)}"
        if self._is_silenced():
            yield "silenced"


def _way(route: Route, labels: Mapping[str, str], depth: int) -> Iterator[str]:
    """Show each node that was tried, and which label kept the alert out."""
    indent, name = "  " * depth, shown(route.matchers)
    failing = _failing(route.matchers, labels)
    if failing is not None:
        value = labels.get(failing.name)
        has = "it has no such label" if value is None else f'its {failing.name} is "{value}"'
        yield f"{indent}✗ {name} → {route.options.receiver}: {has}"
        return
    taken = False
    below: list[str] = []
    for child in route.routes:
        below += _way(child, labels, depth + 1)
        if child.match(labels):
            taken = True
            if not child.goes_on:
                break
    ends = "" if taken else "  ← goes here"
    yield f"{indent}✓ {name} → {route.options.receiver}{ends}"
    yield from below


def _failing(matchers: Matchers, labels: Mapping[str, str]) -> LabelMatcher | None:
    return next((one for one in matchers if not one.test(labels.get(one.name, ""))), None)


def _firing(labels: Mapping[str, str]) -> Alert:
    return Alert(labels, {}, 0, _FOREVER_MS, 0)


def _differ(what: str, got: Sequence[str], want: Sequence[str] | None) -> Iterator[str]:
    if want is not None and list(got) != list(want):
        yield f"{what}: got [{', '.join(got)}], want [{', '.join(want)}]"


def _as_set(many: Sequence[Mapping[str, str]]) -> set[frozenset[tuple[str, str]]]:
    return {frozenset(one.items()) for one in many}


def _list(many: Sequence[Mapping[str, str]]) -> str:
    return f"[{', '.join(map(shown_labels, many))}]"


def shown_labels(labels: Mapping[str, str]) -> str:
    """Write labels as {a="b", c="d"}."""
    return "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"
