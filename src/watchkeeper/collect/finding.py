"""All discoveries of one section of prometheus.yml, together."""

from dataclasses import dataclass, field
from pathlib import Path

from watchkeeper.collect.discovery.file import FileDiscovery
from watchkeeper.collect.discovery.static import static_targets
from watchkeeper.collect.discovery_settings import DiscoverySettings
from watchkeeper.model.labels import Labels


@dataclass(slots=True)
class Finder:
    """What the discoveries of a section find.

    root  what relative paths start from: the folder of prometheus.yml
    """

    settings: DiscoverySettings
    root: Path
    _files: list[FileDiscovery] = field(init=False)

    def __post_init__(self) -> None:
        self._files = [FileDiscovery(config, self.root) for config in self.settings.file_sd_configs]

    @property
    def changes(self) -> bool:
        """Whether what is found may change by itself."""
        return bool(self._files)

    def refresh(self) -> bool:
        """Look at the files again; says whether anything changed. For a worker thread."""
        changes = [discovery.refresh() for discovery in self._files]  # every one, whatever the first says
        return any(changes)

    def find(self) -> list[Labels]:
        """Give each target's labels as they are now, those that are written down first."""
        found: list[Labels] = [labels for static in self.settings.static_configs for labels in static_targets(static)]
        for discovery in self._files:
            found += discovery.targets()
        return found
