"""prometheus.yml's `alerting`: the Alertmanagers that alerts are sent to, with Prometheus 3's names and defaults."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, model_validator

from watchkeeper.collect.discovery_settings import DiscoverySettings, Duration, Rules
from watchkeeper.model.document import Settings, setting
from watchkeeper.model.fields import Several
from watchkeeper.net.http_config import HttpConfig
from watchkeeper.notify.aws import SigV4


def _version(value: str) -> str:
    if value != "v2":
        raise ValueError(f"expected Alertmanager api version to be one of [v2] but got {value}")
    return value


class AlertmanagersConfig(HttpConfig, DiscoverySettings):
    """One entry of `alertmanagers`: a set of Alertmanagers, usually a cluster."""

    scheme: Literal["http", "https"] = setting("http", "How they are asked.")
    path_prefix: str = setting("", "What stands before /api/v2/alerts.")
    timeout: Duration = setting(10_000, "How long a request may last.", unit="ms", gt=0)
    api_version: Annotated[str, AfterValidator(_version)] = setting("v2", "Version of their API: v2.")
    relabel_configs: Rules = setting((), "Rules over Alertmanagers.")
    alert_relabel_configs: Rules = setting((), "Rules over the alerts that they get.")
    sigv4: SigV4 | None = setting(None, "Sign requests as AWS wants it.")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.sigv4 is not None and (self.basic_auth or self.authorization or self.oauth2):
            message = "at most one of basic_auth, authorization, oauth2, & sigv4 must be configured"
            raise ValueError(message)
        return self


class AlertingConfig(Settings):
    """Where alerts go besides our own alertmanager.yml."""

    alert_relabel_configs: Rules = setting((), "Rules over every alert that is sent.")
    alertmanagers: Several[AlertmanagersConfig] = setting((), "Sets of Alertmanagers; every one gets every alert.")


Alerting = Annotated[AlertingConfig, BeforeValidator(lambda value: {} if value is None else value)]


class ForwardSettings(Settings):
    """Sending alerts to the Alertmanagers of prometheus.yml; names follow Prometheus' flags."""

    notification_queue_capacity: int = setting(
        10_000, "Alerts that wait to be sent; the oldest go when there are more.", unit="alerts", ge=1
    )
    notification_batch_size: int = setting(256, "Alerts in one request.", unit="alerts", ge=1)
    drain_notification_queue_on_shutdown: bool = setting(
        default=True, description="Send what waits before the process ends, for ten seconds at most."
    )
