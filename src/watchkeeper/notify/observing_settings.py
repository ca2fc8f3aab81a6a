"""Alertmanager's settings for watching itself: read and checked as there, and told to be without effect."""

from typing import Any, Literal, Self

from pydantic import model_validator

from watchkeeper.model.document import Settings, setting
from watchkeeper.model.fields import Several, Text
from watchkeeper.net.http_config import TlsConfig
from watchkeeper.notify.field_types import Duration


class TracingConfig(Settings):
    """Where Alertmanager sends traces of its own work. watchkeeper makes none."""

    client_type: Text = setting("grpc", "http or grpc.")
    endpoint: Text = setting("", "Where to.")
    sampling_fraction: float = setting(0.0, "Which share.")
    insecure: bool = setting(False, "Whether without TLS.")
    tls_config: TlsConfig | None = setting(None, "TLS.")
    headers: dict[str, Any] = setting(dict, "Headers, each with values, secrets or files.")
    compression: Literal["", "gzip"] = setting("", "gzip, or none.")
    timeout: Duration = setting(10_000, "For a batch.")

    @model_validator(mode="after")
    def _known_way(self) -> Self:
        if not self.endpoint:
            raise ValueError("tracing endpoint must be set")
        if self.client_type not in ("grpc", "http"):
            raise ValueError(f"expected tracing client type to be to be http or grpc, but got {self.client_type}")
        return self


class FileOutput(Settings):
    """A file of events."""

    path: Text = setting("", "Which.")

    @model_validator(mode="after")
    def _has_path(self) -> Self:
        if not self.path:
            raise ValueError("event_recorder file output requires a path")
        return self


class EventRecorderConfig(Settings):
    """Where Alertmanager writes what became of alerts. watchkeeper keeps that in its ledger: `watchkeeper why`."""

    file_outputs: Several[FileOutput] = setting((), "Files.")
    webhook_outputs: Several[dict[str, Any]] = setting((), "URLs.")
    kafka_outputs: Several[dict[str, Any]] = setting((), "Topics.")
