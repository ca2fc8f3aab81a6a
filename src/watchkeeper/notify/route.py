"""The routing tree: which receivers an alert goes to, and how it is grouped on the way.

source  Alertmanager docs, Configuration, Route; dispatch/route.go
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from watchkeeper.model.labels import Labels
from watchkeeper.notify.matcher import LabelMatcher, match_all, ordered, shown
from watchkeeper.notify.schedule import Schedule
from watchkeeper.notify.settings import RouteConfig


@dataclass(frozen=True, slots=True)
class RouteOptions:
    """What a route does with its groups; children inherit all but the time intervals.

    digest  when its receiver is told, if not as alerts come
    """

    receiver: str
    group_by: frozenset[str] = frozenset()
    group_by_all: bool = False
    group_wait_ms: int = 30_000
    group_interval_ms: int = 300_000
    repeat_interval_ms: int = 14_400_000
    mute_time_intervals: tuple[str, ...] = ()
    active_time_intervals: tuple[str, ...] = ()
    digest: Schedule | None = None

    def group_labels(self, labels: Labels) -> dict[str, str]:
        """Give those of an alert's labels that its group has in common."""
        if self.group_by_all:
            return dict(labels)
        return {name: value for name, value in labels.items() if name in self.group_by}


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A node of the tree.

    key  the way from the root as matchers: how a group key begins; not always unique
    id   the key with the node's place among its siblings: unique
    """

    options: RouteOptions
    matchers: tuple[LabelMatcher, ...]
    goes_on: bool
    key: str
    id: str
    routes: tuple["Route", ...] = field(default=())

    def match(self, labels: Labels) -> list["Route"]:
        """Give the nodes that an alert goes to: depth first, first match first; the node itself when no child takes it.

        returns  empty when this node's own matchers do not hold
        """
        if not match_all(self.matchers, labels):
            return []
        found: list[Route] = []
        for child in self.routes:
            matches = child.match(labels)
            found.extend(matches)
            if matches and not child.goes_on:
                break
        return found or [self]

    def walk(self) -> Iterator["Route"]:
        """Give all nodes, parents first."""
        yield self
        for child in self.routes:
            yield from child.walk()


def build_routes(config: RouteConfig, digests: Mapping[str, Schedule] = MappingProxyType({})) -> Route:
    """Make the tree from its settings.

    digests  by receiver: when it is told, if not as alerts come
    """
    return _build(config, None, "", None, digests)


def _build(
    config: RouteConfig,
    inherited: RouteOptions | None,
    above: str,
    place: int | None,
    digests: Mapping[str, Schedule],
) -> Route:
    options = _options(config, inherited)
    options = replace(options, digest=digests.get(options.receiver))
    matchers = [LabelMatcher(name, "=", value) for name, value in config.match.items()]
    matchers += [LabelMatcher(name, "=~", f"^(?:{value})$") for name, value in config.match_re.items()]
    every = ordered([*matchers, *config.matchers])
    key = f"{above}/{shown(every)}" if above else shown(every)
    return Route(
        options=options,
        matchers=every,
        goes_on=config.continue_,
        key=key,
        id=key if place is None else f"{key}/{place}",
        routes=tuple(_build(child, options, key, at, digests) for at, child in enumerate(config.routes)),
    )


def _options(config: RouteConfig, inherited: RouteOptions | None) -> RouteOptions:
    base = inherited or RouteOptions(receiver=config.receiver)
    group_by, group_by_all = base.group_by, base.group_by_all
    if config.group_by == ("...",):
        group_by_all = True
    elif config.group_by is not None:  # an empty list is one group for all
        group_by, group_by_all = frozenset(config.group_by), False
    return RouteOptions(
        receiver=config.receiver or base.receiver,
        group_by=group_by,
        group_by_all=group_by_all,
        group_wait_ms=base.group_wait_ms if config.group_wait is None else config.group_wait,
        group_interval_ms=config.group_interval or base.group_interval_ms,
        repeat_interval_ms=config.repeat_interval or base.repeat_interval_ms,
        mute_time_intervals=config.mute_time_intervals,
        active_time_intervals=config.active_time_intervals,
    )
