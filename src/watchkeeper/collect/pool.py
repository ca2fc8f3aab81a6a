"""A scrape pool: one scrape_config, its discoveries, and the targets that they find."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from watchkeeper.collect.finding import Finder
from watchkeeper.collect.relabel import Relabel
from watchkeeper.collect.settings import ScrapeConfig
from watchkeeper.collect.targets import Target, make_target
from watchkeeper.model.errors import BadInput
from watchkeeper.model.labels import LabelPairs, Labels, label_pairs
from watchkeeper.model.metrics import counter

log = structlog.get_logger(__name__)

_exceeded = counter(
    "prometheus_target_scrape_pool_exceeded_target_limit",
    "Total number of times scrape pools hit the target limit, during sync or config reload.",
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a pool's discoveries amount to now.

    targets  by number, each once
    dropped  labels before relabelling of those that a rule dropped
    refused  why one cannot be scraped, by its labels before relabelling
    error    set when the pool is over its target_limit: then none is scraped well
    """

    targets: dict[int, Target]
    dropped: list[Labels]
    refused: list[tuple[Labels, str]]
    error: str = ""


@dataclass(slots=True)
class Pool:
    """One scrape_config with all its settings filled in."""

    config: ScrapeConfig
    root: Path
    finder: Finder = field(init=False)
    _relabel: Relabel = field(init=False)

    def __post_init__(self) -> None:
        self.finder = Finder(self.config, self.root)
        self._relabel = Relabel.of(self.config.relabel_configs)

    def find(self) -> Found:
        """Give the targets as they are now."""
        return self._sort_out(self.finder.find())

    def _sort_out(self, found: Sequence[Labels]) -> Found:
        result = Found({}, [], [])
        seen: set[LabelPairs] = set()
        for labels in found:
            try:
                discovered, target = make_target(self.config, self._relabel, labels)
            except BadInput as fault:
                result.refused.append((labels, str(fault)))
                log.warning("target_refused", pool=self.config.job_name, error=str(fault))
                continue
            if target is None:
                result.dropped.append(discovered)
            elif label_pairs({**target.labels, "__url__": target.url}) not in seen:
                seen.add(label_pairs({**target.labels, "__url__": target.url}))
                result.targets[target.number] = target
        limit = self.config.target_limit or 0
        if limit and len(result.targets) > limit:
            _exceeded.inc()
            error = f"target_limit exceeded (number of targets: {len(result.targets)}, limit: {limit})"
            return Found(result.targets, result.dropped, result.refused, error)
        return result
