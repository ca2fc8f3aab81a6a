"""promtail.yml as it is: which files to read, with which labels, through which stages.

source  Promtail docs, Configuration
"""

from typing import Any, Self

from pydantic import Field, model_validator

from watchkeeper.collect.relabel import RelabelConfig
from watchkeeper.model.document import Settings, setting

_IGNORED = "Read and left alone: lines are kept here."


class StaticConfig(Settings):
    """Some files and their labels."""

    targets: list[str] = setting(list, "Ignored, as in Promtail.")
    labels: dict[str, str] = setting(dict, "Labels of the lines; __path__ is the glob, __path_exclude__ another.")

    @model_validator(mode="after")
    def _has_path(self) -> Self:
        if not self.labels.get("__path__"):
            raise ValueError("labels with __path__, the files to read")
        return self


class LogScrapeConfig(Settings):
    """One entry of scrape_configs."""

    job_name: str = setting("", "Name of the job; the label job is this when the labels do not say.")
    pipeline_stages: list[dict[str, Any]] | None = setting(
        None, "What lines go through. Without any, JSON lines give level and timestamp by themselves."
    )
    static_configs: list[StaticConfig] = setting(list, "The files.")
    relabel_configs: list[RelabelConfig] = setting(list, "Rules over the labels of static_configs, __path__ included.")
    encoding: str = setting("utf-8", "Only utf-8.", pattern="(?i)^utf-?8$")


class PromtailConfig(Settings):
    """The whole file."""

    server: dict[str, Any] | None = setting(None, _IGNORED)
    clients: list[dict[str, Any]] = setting(list, _IGNORED)
    client: dict[str, Any] | None = setting(None, _IGNORED)
    positions: dict[str, Any] | None = setting(None, "Read and left alone: positions are kept with the lines.")
    limits_config: dict[str, Any] | None = setting(None, _IGNORED)
    target_config: dict[str, Any] | None = setting(None, _IGNORED)
    global_: dict[str, Any] | None = Field(None, alias="global", description=_IGNORED)
    tracing: dict[str, Any] | None = setting(None, _IGNORED)
    wal: dict[str, Any] | None = setting(None, _IGNORED)
    scrape_configs: list[LogScrapeConfig] = setting(list, "What to read.")


class TailSettings(Settings):
    """How files are read."""

    max_line_size_bytes: int = setting(256 << 10, "A longer line is cut.", unit="bytes", gt=0)
    chunk_bytes: int = setting(1 << 20, "Read of one file at a time.", unit="bytes", ge=4096)
    files_max: int = setting(5000, "Files read at the same time.", gt=0)
    poll_shortest_ms: int = setting(250, "Files are looked at this often while they grow.", unit="ms", gt=0)
    poll_longest_ms: int = setting(1000, "Files are looked at this often while nothing happens.", unit="ms", gt=0)
    glob_interval_ms: int = setting(2000, "New files are looked for this often.", unit="ms", gt=0)
    rotated_grace_ms: int = setting(5000, "A rotated file is read on for so long after its last line.", unit="ms", ge=0)
