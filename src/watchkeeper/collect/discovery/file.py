"""Targets listed in JSON or YAML files, read again when they change.

source  Prometheus docs, Configuration, file_sd_config
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import orjson
import structlog
from pydantic import ValidationError

from watchkeeper.collect.discovery_settings import FileGroup, FileSdConfig, check_address
from watchkeeper.model import document
from watchkeeper.model.errors import BadInput
from watchkeeper.model.labels import Labels
from watchkeeper.model.metrics import counter

log = structlog.get_logger(__name__)

_BYTES_MAX = 16 << 20
_FILES_MAX = 10_000

_errors = counter("prometheus_sd_file_read_errors", "The number of File-SD read errors.")


@dataclass(slots=True)
class FileDiscovery:
    """The files of one file_sd_config.

    root  what relative paths start from: the folder of prometheus.yml
    A file that cannot be read keeps the targets that it last had.
    """

    config: FileSdConfig
    root: Path
    _seen: dict[str, tuple[int, int]] = field(default_factory=dict)
    _targets: dict[str, list[Labels]] = field(default_factory=dict)

    def targets(self) -> list[Labels]:
        """Give each target's labels as last read."""
        return [labels for path in sorted(self._targets) for labels in self._targets[path]]

    def refresh(self) -> bool:
        """Read what changed; says whether anything did. Touches the disk: for a worker thread."""
        found: set[str] = set()
        for pattern in self.config.files:
            files = self.root / pattern
            found.update(str(one) for one in islice(files.parent.glob(files.name), _FILES_MAX))
        changed = bool(self._targets.keys() - found)
        for path in self._targets.keys() - found:
            del self._targets[path]
            self._seen.pop(path, None)
        for path in sorted(found):
            changed = self._refresh_one(path) or changed
        return changed

    def _refresh_one(self, path: str) -> bool:
        try:
            state = Path(path).stat()
            seen = (state.st_mtime_ns, state.st_size)
            if self._seen.get(path) == seen:
                return False
            self._seen[path] = seen
            if state.st_size > _BYTES_MAX:
                raise BadInput(f"cannot read targets: got {state.st_size} bytes, want at most {_BYTES_MAX}")
            targets = read_groups(Path(path).read_bytes(), path)
        except (OSError, BadInput) as error:
            _errors.inc()
            log.warning("target_file_not_read", path=path, error=str(error))
            return False
        changed = self._targets.get(path) != targets
        self._targets[path] = targets
        return changed


def read_groups(content: bytes, path: str) -> list[Labels]:
    """Read one file of target groups.

    raises  BadInput naming the file and the fault
    """
    try:
        groups = orjson.loads(content) if path.lower().endswith(".json") else document.parse(content, path).content
        parsed = [FileGroup.model_validate(group) for group in _listed(groups)]
        for group in parsed:
            for target in group.targets:
                check_address(target)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in fault["loc"])
        raise BadInput(f"cannot read targets of {path}: {where}: {fault['msg']}") from None
    except ValueError as error:
        raise BadInput(f"cannot read targets of {path}: {error}") from None
    return [
        {**group.labels, "__meta_filepath": path, "__address__": target} for group in parsed for target in group.targets
    ]


def _listed(groups: object) -> Sequence[object]:
    if groups is None:
        return []
    if not isinstance(groups, list):
        raise BadInput("cannot read targets: got no list, want a list of groups with targets and labels")
    return groups
