"""How targets are found, wherever prometheus.yml lets one say it: in `scrape_configs` and under `alerting`."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, model_validator

from watchkeeper.collect.relabel import RelabelConfig
from watchkeeper.model.document import Settings, setting
from watchkeeper.model.duration import parse_duration
from watchkeeper.model.errors import BadInput

_FILE_SD_PATH = re.compile(r"^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$")


def _duration(value: Any) -> Any:
    if isinstance(value, int) or not isinstance(value, str):
        return value
    try:
        return parse_duration(value)
    except BadInput as error:
        raise ValueError(str(error)) from None


Duration = Annotated[int, BeforeValidator(_duration)]


def _listed(value: Any) -> Any:
    return [] if value is None else value


Rules = Annotated[tuple[RelabelConfig, ...], BeforeValidator(_listed)]


class StaticConfig(Settings):
    """Targets written down, with labels of theirs."""

    targets: tuple[str, ...] = setting((), "host:port of each target.")
    labels: Mapping[str, str] = setting(dict, "Labels that they all get.")

    @model_validator(mode="after")
    def _hosts(self) -> Self:
        for target in self.targets:
            check_address(target)
        return self


def check_address(address: str) -> None:
    """Refuse an address that is a URL.

    raises  ValueError in Prometheus' words
    """
    if "/" in address:
        raise ValueError(f'"{address}" is not a valid hostname')


class FileSdConfig(Settings):
    """Files that list targets; read again when they change."""

    files: tuple[str, ...] = setting((), "Paths ending in .json, .yml or .yaml; the last part may hold one *.")
    refresh_interval: Duration = setting(300_000, "How often they are read besides.", unit="ms", gt=0)

    @model_validator(mode="after")
    def _paths(self) -> Self:
        if not self.files:
            raise ValueError("file service discovery config must contain at least one path name")
        for path in self.files:
            if not _FILE_SD_PATH.match(path):
                raise ValueError(f"path name {path!r} is not valid for file discovery")
        return self


class FileGroup(Settings):
    """One group of a target file."""

    targets: tuple[str, ...] = setting((), "host:port of each target.")
    labels: Mapping[str, str] = setting(dict, "Labels that they all get.")


class DiscoverySettings(Settings):
    """Every way to find targets, and the rules over what was found."""

    static_configs: Annotated[tuple[StaticConfig, ...], BeforeValidator(_listed)] = setting((), "Targets written down.")
    file_sd_configs: Annotated[tuple[FileSdConfig, ...], BeforeValidator(_listed)] = setting((), "Targets in files.")

    @model_validator(mode="before")
    @classmethod
    def _discoveries(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for name in value:
                if isinstance(name, str) and name.endswith("_sd_configs") and name != "file_sd_configs":
                    raise ValueError(f"{name} is not supported yet, want static_configs or file_sd_configs")
        return value
