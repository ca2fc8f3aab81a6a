"""Targets that are written down in the configuration."""

from watchkeeper.collect.discovery_settings import StaticConfig
from watchkeeper.model.labels import Labels


def static_targets(config: StaticConfig) -> list[Labels]:
    """Give each target's labels, its address among them."""
    return [{**config.labels, "__address__": target} for target in config.targets]
