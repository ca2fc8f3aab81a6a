"""What Alertmanager's metrics say about its configuration; the mixin's alerts and dashboards read them.

source  github.com/prometheus/alertmanager, cmd/alertmanager/main.go, config/coordinator.go
"""

import hashlib

import watchkeeper
from watchkeeper.model.metrics import gauge
from watchkeeper.notify.render import shown_config
from watchkeeper.notify.settings import AlertmanagerConfig

_build = gauge(
    "alertmanager_build_info",
    "A metric with a constant '1' value labeled by version and revision from which alertmanager was built.",
    ("version", "revision"),
)
_hash = gauge("alertmanager_config_hash", "Hash of the currently loaded alertmanager configuration.")
_receivers = gauge("alertmanager_receivers", "Number of configured receivers.")
_integrations = gauge("alertmanager_integrations", "Number of configured integrations.")
_inhibitions = gauge("alertmanager_inhibition_rules", "Number of inhibition rules configured.")
_build.labels(watchkeeper.__version__, "").set(1)


def note_config(config: AlertmanagerConfig) -> None:
    """Show a configuration that is in use from now on."""
    _hash.set(int.from_bytes(hashlib.sha256(shown_config(config).encode()).digest()[:6]))
    _receivers.set(len(config.receivers))
    _integrations.set(sum(len(list(receiver.integrations())) for receiver in config.receivers))
    _inhibitions.set(len(config.inhibit_rules))
